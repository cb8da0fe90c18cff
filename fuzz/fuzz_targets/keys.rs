//! Keys and layouts: what is let through is a key, and what is made of it stays in its folder.
//!
//! Lines: prefix, folder, key, a client's file name, a variant's name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tintype::key::{Key, Layout, extension_for, extension_of_filename, is_manifest, is_variant_name};
use tintype::upload::UploadId;
use tintype_image::Format;

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (prefix, folder, key, filename, variant) = (line(), line(), line(), line(), line());
    if let Ok(key) = Key::new(key) {
        is_a_key(&key);
    }
    let Ok(layout) = Layout::new(prefix, folder) else { return };
    assert!(layout.prefix().ends_with('/') && layout.folder().ends_with('/'));
    assert!(!layout.prefix().starts_with(layout.folder()) && !layout.folder().starts_with(layout.prefix()));
    an_upload_finds_its_row(&layout, filename);
    if let Ok(key) = Key::new(key) {
        variants_stay_in_their_folder(&layout, &key, variant);
    }
});

fn is_a_key(key: &Key) {
    let text = key.as_str();
    assert!((1..=1024).contains(&text.len()) && !text.contains(char::is_control));
    assert!(!text.split('/').any(|segment| matches!(segment, "" | "." | "..")));
    let json = serde_json::to_string(key).expect("a text");
    assert_eq!(serde_json::from_str::<Key>(&json).expect("the same"), *key);
    if let Some(extension) = key.extension() {
        assert!(extension.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{extension}");
        assert!(text.to_ascii_lowercase().ends_with(&format!(".{extension}")));
    }
}

fn an_upload_finds_its_row(layout: &Layout, filename: &str) {
    let id = UploadId::parse("0123456789abcdef0123456789abcdef").expect("an id");
    let key = layout.upload_key(&id, extension_of_filename(filename));
    is_a_key(&key);
    assert!(!layout.is_output(&key), "an upload where variants go");
    assert_eq!(layout.upload_id(&key), Some(id), "{key}");
}

fn variants_stay_in_their_folder(layout: &Layout, original: &Key, variant: &str) {
    let rest = layout.relative(original);
    assert!(original.as_str().ends_with(rest) && !rest.is_empty());
    let extension = extension_for(original, None, Format::Jpeg);
    if let Ok(manifest) = layout.manifest_key(original, &extension) {
        is_a_key(&manifest);
        assert!(layout.is_output(&manifest) && is_manifest(&manifest));
    }
    if !is_variant_name(variant) {
        return;
    }
    if let Ok(key) = layout.variant_key(original, variant, &extension) {
        is_a_key(&key);
        assert!(layout.is_output(&key), "{key} is outside {}", layout.folder());
        assert_eq!(key.as_str().matches('/').count(), layout.folder().matches('/').count() + rest.matches('/').count());
    }
}
