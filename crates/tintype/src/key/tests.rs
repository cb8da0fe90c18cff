#![allow(clippy::unwrap_used)]
use super::*;

fn layout() -> Layout {
    Layout::new("temp/", "image").unwrap()
}

fn variant(original: &str, name: &str) -> String {
    let original = Key::new(original).unwrap();
    let extension = extension_for(&original, None, Format::Jpeg);
    layout().variant_key(&original, name, &extension).unwrap().into()
}

#[test]
fn a_variant_of_another_format_has_its_extension() {
    let promised = |original, output| promised_extension(original, output);
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(promised(Some("jpg"), OutputFormat::Same), is("jpg"));
    assert_eq!(promised(Some("jpg"), OutputFormat::Jpeg), is("jpg"));
    assert_eq!(promised(Some("jpg"), OutputFormat::WebP), is("webp"));
    assert_eq!(promised(Some("png"), OutputFormat::Jpeg), is("jpeg"));
    assert_eq!(promised(None, OutputFormat::WebP), is("webp"));
    assert_eq!(promised(None, OutputFormat::Same), None);
    assert_eq!(promised(Some("jpg"), OutputFormat::Auto), None);
    assert_eq!(extension_in("jpg", Format::Jpeg), "jpg");
    for extension in ["jpg", "webp"] {
        assert!(possible_extensions("jpg", OutputFormat::Auto).contains(&extension.to_owned()), "{extension}");
    }
}

#[test]
fn names_that_are_no_part_of_a_key() {
    for bad in ["", "a.b", "a/b", "..", "a b", "ü", "a\n"] {
        assert!(!is_variant_name(bad), "{bad:?}");
    }
    assert!(!is_variant_name(&"x".repeat(65)));
    assert!(is_variant_name("400x400_blurred-2"));
    assert_eq!(suffix("original_blurred"), suffix("blurred"));
}

#[test]
fn variants_are_named_as_the_contract_says() {
    assert_eq!(variant("temp/abc.JPG", "original"), "image/abc.jpg");
    assert_eq!(variant("temp/abc.JPG", "original_blurred"), "image/abc_blurred.jpg");
    assert_eq!(variant("temp/abc.JPG", "50x50"), "image/abc_50x50.jpg");
    assert_eq!(variant("temp/abc.JPG", "50x50_blurred"), "image/abc_50x50_blurred.jpg");
    assert_eq!(variant("temp/2026/abc.jpg", "50x50"), "image/2026/abc_50x50.jpg");
    assert_eq!(variant("test/key", "50x50"), "image/test/key_50x50.jpeg");
    assert_eq!(variant("temp/.jpg", "original"), "image/.jpg.jpeg");
    assert_eq!(variant("temp/v1.2 final", "original"), "image/v1.2 final.jpeg");
    let manifest = layout().manifest_key(&Key::new("temp/abc.JPG").unwrap(), "jpg").unwrap();
    assert_eq!(manifest.as_str(), "image/abc.jpg.manifest.json");
}

#[test]
fn a_name_that_is_an_outputs_is_no_originals() {
    let suffixes: Vec<String> = ["original", "original_blurred", "50x50", "50x50_blurred"].map(suffix).into();
    let clash = |key: &str| layout().clash(&Key::new(key).unwrap(), &suffixes).is_some();
    for key in [
        "temp/a.jpg.manifest.json",
        "temp/a.manifest.JSON",
        "temp/a_50x50.jpg",
        "temp/2026/a_50x50",
        "a_50x50.PNG",
        "temp/a_blurred.jpg",
        "temp/a_50x50_blurred.webp",
    ] {
        assert!(clash(key), "{key}");
    }
    for key in [
        "temp/a.jpg",
        "temp/a_150x50.jpg",
        "temp/a_50x500.jpg",
        "temp/_50x50.jpg",
        "temp/x/_blurred.jpg",
        "temp/a.json",
        "temp/a_50x50/b.jpg",
        "temp/a_original.jpg",
        "temp/a.manifest.jpg",
        "temp/0123456789abcdef0123456789abcdef.jpg",
    ] {
        assert!(!clash(key), "{key}");
    }
}

#[test]
fn variants_of_an_original_are_known_by_their_keys() {
    let suffixes: Vec<String> = ["original", "50x50"].map(suffix).into();
    let is = |original: &str, key: &str| {
        layout().is_variant_of(&Key::new(original).unwrap(), &Key::new(key).unwrap(), &suffixes)
    };
    assert!(
        is("temp/a.JPG", "image/a.jpg") && is("temp/a.JPG", "image/a_50x50.webp") && is("temp/x/a", "image/x/a.png")
    );
    for key in [
        "image/b.jpg",
        "image/ab.jpg",
        "image/a_100x100.jpg",
        "image/x/a.jpg",
        "image/a",
        "temp/a.jpg",
        "image/a.jpg.manifest.json",
    ] {
        assert!(!is("temp/a.JPG", key), "{key}");
    }
}

#[test]
fn extensions_of_images_that_are_read() {
    let known = image_extensions();
    for extension in ["jpg", "jpeg", "png", "gif", "webp", "tif", "tiff", "bmp"] {
        assert!(known.contains(&extension), "{extension}");
    }
    assert!(!known.contains(&"pdf") && !known.contains(&"svg"));
    assert_eq!(known.contains(&"heic"), cfg!(feature = "heif"));
}

#[test]
fn a_claim_is_no_variant_of_another() {
    let claim = layout().claim_key(&Key::new("temp/abc.JPG").unwrap()).unwrap();
    assert_eq!(claim.as_str(), "image/abc.in-work");
    assert_eq!(variant("temp/abc.in-work", "original"), "image/abc.in-work.jpeg");
}

#[test]
fn originals_whose_outputs_may_meet_have_one_claim_however_long_they_are() {
    let claim = |key: &str| layout().claim_key(&Key::new(key).unwrap()).unwrap();
    for other in ["temp/photos/a.JPG", "temp/photos/a.png", "temp/photos/a", "photos/a.jpg"] {
        assert_eq!(claim("temp/photos/a.jpg"), claim(other), "{other}");
    }
    assert_ne!(claim("temp/photos/a.jpg"), claim("temp/photos/b.jpg"));
    let long = |last: &str| claim(&format!("temp/{}{last}", "x".repeat(1018)));
    assert_ne!(long("a"), long("b"));
}

#[test]
fn callback_key_is_less_the_prefix() {
    assert_eq!(layout().relative(&Key::new("temp/abc").unwrap()), "abc");
    assert_eq!(layout().relative(&Key::new("test/key").unwrap()), "test/key");
}

#[test]
fn ids_come_back_from_keys() {
    let id = UploadId::random();
    for extension in [None, Some("JPG")] {
        assert_eq!(layout().upload_id(&layout().upload_key(&id, extension)), Some(id.clone()));
    }
    assert_eq!(layout().upload_id(&Key::new("temp/abc.jpg").unwrap()), None);
}

#[test]
fn an_upload_is_known_by_its_key() {
    let id = "0123456789abcdef0123456789abcdef";
    let is = |key: String| layout().is_upload_key(&Key::new(key).unwrap());
    assert!(is(format!("temp/{id}")) && is(format!("temp/{id}.JPG")));
    for own in [
        format!("{id}.jpg"),
        format!("temp/a/{id}.jpg"),
        format!("temp/{}.jpg", id.to_uppercase()),
        format!("temp/{id}.a-b"),
    ] {
        assert!(!is(own.clone()), "{own}");
    }
    assert!(!is("temp/01234567-89ab-4def-8123-456789abcdef.jpg".into()));
}

#[test]
fn originals_of_variants_are_guessed_from_their_names() {
    let object = |key: &str| Key::new(key).unwrap();
    let stems = layout().possible_stems(&object("image/2_0/a_b_50x50.jpg"));
    assert_eq!(stems, ["2_0/a_b_50x50", "2_0/a", "2_0/a_b"]);
    assert_eq!(layout().possible_stems(&object("image/_x.jpg")), ["_x"]);
    let manifests = layout().possible_manifests("a", &object("image/a_50x50.webp"));
    for key in ["image/a.webp.manifest.json", "image/a.jpg.manifest.json", "image/a.jpeg.manifest.json"] {
        assert!(manifests.contains(&object(key)), "{key} {manifests:?}");
    }
}

#[test]
fn overlapping_folders_are_refused() {
    for (prefix, folder) in [("a/", "a/"), ("a/", "a/b/"), ("a/b", "a"), ("temp", "temp/")] {
        assert!(matches!(Layout::new(prefix, folder), Err(LayoutError::Overlap { .. })), "{prefix} {folder}");
    }
    assert!(Layout::new("temp", "temporary").is_ok());
    assert!(matches!(Layout::new("", "image"), Err(LayoutError::Overlap { .. })));
    assert!(matches!(Layout::new("a//b", "image"), Err(LayoutError::NotAFolder(..))));
    // Found by fuzzing: every upload's key would have been too long.
    assert!(matches!(Layout::new(&"a".repeat(1000), "image"), Err(LayoutError::NotAFolder(..))));
    assert!(Layout::new(&"a".repeat(980), "image").is_ok());
}

#[test]
fn traversal_is_no_key() {
    for bad in ["", "/a", "a//b", "a/../b", "..", "a/./b", "a/", "a\nb", "a\0", "a\u{FFFE}"] {
        assert!(Key::new(bad).is_err(), "{bad:?}");
    }
    assert!(Key::new("x".repeat(1025)).is_err());
    assert!(Key::new("temp/ü b+c%20.jpg").is_ok());
}

#[test]
fn extensions_of_file_names() {
    assert_eq!(extension_of_filename("C:\\photos\\Me.JPG"), Some("JPG"));
    assert_eq!(extension_of_filename("../../etc/passwd"), None);
    assert_eq!(extension_of_filename("a.b/c"), None);
    assert_eq!(extension_of_filename("x.j/pg"), None);
    assert_eq!(extension_of_filename("x.<b>"), None);
}

#[test]
fn the_doctors_files_are_known_by_their_whole_name() {
    let is = |key: &str| is_of_doctor(&Key::new(key).unwrap());
    assert!(is("temp/tintype-doctor-0123456789ab.png") && is("temp/tintype-doctor-0123456789ab-anyone.png"));
    for other in
        ["temp/a.png", "temp/tintype-doctor-me.png", "temp/tintype-doctor-0123456789ab.jpg", "tintype-doctor-/a.png"]
    {
        assert!(!is(other), "{other}");
    }
}
