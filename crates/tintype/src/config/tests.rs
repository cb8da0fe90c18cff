#![allow(clippy::unwrap_used)]

use super::*;

fn sources(environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Sources { environment, ..Default::default() }
}

fn load(environment: &[(&str, &str)]) -> Config {
    Config::load(&sources(environment)).unwrap()
}

fn places(sources: &Sources) -> Vec<String> {
    Config::load(sources).unwrap_err().0.into_iter().map(|mistake| mistake.place).collect()
}

#[test]
fn defaults_need_nothing() {
    let config = load(&[]);
    assert_eq!(config.upload.expires, Duration::from_secs(1000));
    assert_eq!(config.upload.max_bytes, 10_485_760);
    assert_eq!(config.preset.boxes, [50, 100, 400]);
    assert_eq!((config.layout.prefix(), config.layout.folder()), ("temp/", "image/"));
    assert!(config.callback.is_none());
    assert_eq!(config.ledger, PathBuf::from("tintype-data/tintype.db"));
}

#[test]
fn the_seeds_names_work_and_tintypes_win() {
    let config = load(&[
        ("IMAGE_FOLDER", "pictures"),
        ("TEMPORARY_IMAGE_PATH", "incoming/"),
        ("THUMB_DIMENSION_SMALL", "40"),
        ("THUMB_DIMENSION_LARGE", "800"),
        ("TINTYPE_VARIANTS__LARGE", "900"),
        ("BLUR", "T"),
        ("BLUR_RADIUS", "7"),
        ("CALLBACK_URL", "http://localhost/cb/{key}/"),
    ]);
    assert_eq!((config.layout.prefix(), config.layout.folder()), ("incoming/", "pictures/"));
    assert_eq!(config.preset.boxes, [40, 100, 900]);
    assert_eq!(config.preset.blur_radius, 7.0);
    let callback = config.callback.unwrap();
    assert_eq!(callback.url, "http://localhost/cb/{key}/");
    assert!(callback.allow_private, "the server listens on loopback");
    for (word, blur) in [("true", true), ("1", true), ("t", true), ("False", false), ("0", false)] {
        assert_eq!(load(&[("BLUR", word)]).preset.blur, blur, "{word}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml");
    std::fs::write(&file, "[upload]\nexpires = \"soon\"\nmax_bites = 3\n[variants]\nfolder = \"temp/x\"\n").unwrap();
    let mut sources = sources(&[
        ("TINTYPE_CALLBACK__SECRET", "hunter2"),
        ("TINTYPE_CALLBACK__URL", "ftp://x"),
        ("THUMB_DIMENSION_SMALL", "0"),
        ("TINTYPE_AUTH__KEYS", "plain"),
        ("TINTYPE_CALLBACK_SECRET", "hunter2"),
        ("TINTYPE_LOG__LEVEL", "loud"),
    ]);
    sources.file = Some(file.clone());
    let from = file.display();
    assert_eq!(
        places(&sources),
        [
            format!("upload.max_bites ({from})"),
            "callback_secret (TINTYPE_CALLBACK_SECRET)".into(),
            "auth.keys (TINTYPE_AUTH__KEYS)".into(),
            format!("variants.folder ({from})"),
            format!("upload.expires ({from})"),
            "variants.small (THUMB_DIMENSION_SMALL)".into(),
            "callback.secret (TINTYPE_CALLBACK__SECRET)".into(),
            "callback.url (TINTYPE_CALLBACK__URL)".into(),
            "log.level (TINTYPE_LOG__LEVEL)".into(),
        ]
    );
    let text = Config::load(&sources).unwrap_err().to_string();
    assert!(text.contains("did you mean upload.max_bytes?"), "{text}");
    assert!(text.contains("did you mean TINTYPE_CALLBACK__SECRET?"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_open_address_needs_keys() {
    let hash = format!("sha256:{}", "a".repeat(64));
    assert_eq!(
        places(&sources(&[("TINTYPE_SERVER__LISTEN", "0.0.0.0:80")])),
        ["server.listen (TINTYPE_SERVER__LISTEN)"]
    );
    let config = load(&[
        ("TINTYPE_SERVER__LISTEN", "0.0.0.0:80"),
        ("TINTYPE_AUTH__KEYS", &hash),
        ("TINTYPE_CALLBACK__URL", "https://example.com/"),
    ]);
    assert_eq!(config.keys, [[0xAA; 32]]);
    assert!(!config.callback.unwrap().allow_private);
}

#[test]
fn flags_win() {
    let mut sources = sources(&[("TINTYPE_SERVER__LISTEN", "127.0.0.1:1")]);
    sources.flags = vec![("server.listen", "127.0.0.1:2".into())];
    assert_eq!(Config::load(&sources).unwrap().listen.port(), 2);
}

#[test]
fn sizes_and_durations_as_people_write_them() {
    for (text, bytes) in [
        ("10MiB", Some(10 << 20)),
        ("5 kB", Some(5000)),
        ("7", Some(7)),
        ("x", None),
        ("1TB", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(value::parse_bytes(text), bytes, "{text}");
    }
    for (text, millis) in
        [("1d", Some(86_400_000)), ("250ms", Some(250)), ("3", Some(3000)), ("-1s", None), ("1w", None)]
    {
        assert_eq!(value::parse_duration(text), millis.map(Duration::from_millis), "{text}");
    }
}
