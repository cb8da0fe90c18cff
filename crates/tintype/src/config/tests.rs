#![allow(clippy::unwrap_used)]

use tintype_image::{BoxSize, Fit, Gravity, MetadataPolicy, OutputFormat, Quality, VariantSpec};

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
    assert_eq!(config.presets.get("default").unwrap().variants.len(), 8);
    assert_eq!((config.layout.prefix(), config.layout.folder()), ("temp/", "image/"));
    assert!(config.callback.is_none());
    assert_eq!(config.ledger, LedgerUrl::Sqlite(PathBuf::from("tintype-data/tintype.db")));
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
    let variants = &config.presets.get("default").unwrap().variants;
    let made: Vec<_> =
        variants.iter().map(|v| (v.name.as_str(), v.blur)).filter(|(name, _)| !name.contains("100")).collect();
    let expected = [
        ("original", None),
        ("original_blurred", Some(7.0)),
        ("40x40", None),
        ("40x40_blurred", Some(0.4)),
        ("900x900", None),
        ("900x900_blurred", Some(9.0)),
    ];
    assert_eq!(made, expected);
    let callback = config.callback.unwrap();
    assert_eq!(callback.url, "http://localhost/cb/{key}/");
    assert!(callback.guard.allow_private, "the server listens on loopback");
    for (word, blur) in [("true", true), ("1", true), ("t", true), ("False", false), ("0", false)] {
        assert_eq!(load(&[("BLUR", word)]).presets.get("default").unwrap().variants.len() == 8, blur, "{word}");
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
fn keys_have_the_scopes_they_are_given_or_all() {
    let hash = "a".repeat(64);
    let keys = format!("sha256:{hash}, sha256:{hash} events uploads:read");
    let config = load(&[
        ("TINTYPE_SERVER__LISTEN", "0.0.0.0:80"),
        ("TINTYPE_AUTH__KEYS", &keys),
        ("TINTYPE_CALLBACK__URL", "https://example.com/"),
    ]);
    let told: Vec<_> = config.keys.iter().map(|key| (key.hash.to_string(), key.scopes.to_string())).collect();
    assert_eq!(told, [(hash.clone(), "admin".to_owned()), (hash.clone(), "events uploads:read".to_owned())]);
    assert_eq!(config.keys[0].id(), "config-aaaaaaaa");
    assert!(!config.callback.unwrap().guard.allow_private);
    for wrong in [format!("sha256:{hash} everything"), hash.clone(), format!("md5:{hash}")] {
        assert_eq!(places(&sources(&[("TINTYPE_AUTH__KEYS", &wrong)])), ["auth.keys (TINTYPE_AUTH__KEYS)"], "{wrong}");
    }
}

/// Every setting whose default is a list, with two items for it.
const LISTS: [(&str, [&str; 2]); 9] = [
    ("server.cors_origins", ["https://a.example", "http://[::1]:3000"]),
    ("server.trusted_proxies", ["10.0.0.0/8", "::1"]),
    ("store.cors_origins", ["https://a.example", "https://b.example"]),
    (
        "callback.previous_secrets",
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
    ),
    ("callback.allow_networks", ["10.20.0.0/16", "192.168.1.7"]),
    ("callback.schedule", ["5s", "1h"]),
    (
        "auth.keys",
        [
            "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb events uploads:read",
        ],
    ),
    ("events.sns_topics", ["arn:aws:sns:eu-west-1:1:photos", "arn:aws:sns:eu-west-1:1:more"]),
    ("events.oidc.emails", ["push@p.iam.gserviceaccount.com", "pull@p.iam.gserviceaccount.com"]),
];

#[test]
fn a_list_in_a_variable_is_written_as_in_the_file_or_with_commas() {
    let all: Vec<_> = sources::defaults().into_iter().filter(|(_, setting)| setting.value.is_array()).collect();
    let mut tested: Vec<_> = LISTS.iter().map(|(key, _)| *key).collect();
    tested.sort_unstable();
    assert_eq!(all.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), tested, "every list setting");
    for (key, [a, b]) in LISTS {
        let variable = sources::as_variable(key);
        let loaded = |value: &str| {
            let set = [
                ("TINTYPE_CALLBACK__URL", "https://example.com/"),
                ("TINTYPE_CALLBACK__SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
                ("TINTYPE_EVENTS__OIDC__AUDIENCE", "https://img.example.com"),
                ("TINTYPE_EVENTS__OIDC__EMAILS", "push@p.iam.gserviceaccount.com"),
                (&variable, value),
            ];
            lists(&load(&set))
        };
        let commas = loaded(&format!("{a}, {b}"));
        assert_ne!(commas, loaded(a), "{key}: both are read");
        assert_eq!(loaded(&format!("[{a:?}, {b:?}]")), commas, "{key} as JSON and TOML");
        assert_eq!(loaded(&format!(" ['{a}',\n '{b}', ] ")), commas, "{key} as TOML alone");
        assert_eq!(loaded(&format!(r#"["{a}","{}"]"#, b.replace('/', r"\/"))), commas, "{key} as JSON alone");
    }
}

/// What lists come to, secrets by their number.
fn lists(config: &Config) -> String {
    let callback = config.callback.as_ref().unwrap();
    let keys: Vec<_> = config.keys.iter().map(|key| format!("{} {}", key.hash, key.scopes)).collect();
    let front = (&config.front.api_origins, &config.front.trusted_proxies, &config.front.store_origins);
    let events = (&config.events.sns_topics, config.events.oidc.as_ref().map(|oidc| &oidc.emails));
    let callback = (callback.previous_secrets.len(), &callback.guard.allow_networks, &callback.schedule);
    format!("{front:?} {events:?} {callback:?} {keys:?}")
}

#[test]
fn a_list_as_the_reference_prints_it_is_taken_and_half_a_list_is_not() {
    for (key, setting) in sources::defaults() {
        if setting.value.is_array() {
            assert!(
                Config::load(&sources(&[(&sources::as_variable(&key), &setting.value.to_string())])).is_ok(),
                "{key}"
            );
            let variable = sources::as_variable(&key);
            for half in ["[a, b]", r#"["a""#, r#"["a"] x"#, "[\"a\"]\nb = 1"] {
                let told = Config::load(&sources(&[(&variable, half)])).unwrap_err().0;
                assert_eq!(told.len(), 1, "{key} {half}: {told:?}");
                assert!(told[0].problem.contains("no list"), "{key} {half}: {}", told[0].problem);
            }
        }
    }
}

#[test]
fn whoever_pushes_events_is_named_whole() {
    let config = load_file(
        "[events]\nsns_topics = [\"arn:aws:sns:eu-west-1:1:photos\"]\neventgrid_key = \"0123456789abcdefghij\"\n\
         [events.oidc]\naudience = \"https://img.example.com\"\nemails = [\"push@p.iam.gserviceaccount.com\"]\n",
        &[],
    );
    let events = config.unwrap().events;
    assert_eq!(events.sns_topics, ["arn:aws:sns:eu-west-1:1:photos"]);
    let oidc = events.oidc.unwrap();
    assert_eq!((oidc.issuer.as_str(), oidc.emails.len()), ("https://accounts.google.com", 1));
    let key = events.eventgrid_key.unwrap();
    assert!(key.is("0123456789abcdefghij") && !key.is("0123456789abcdefghiJ") && !key.is(""));
    assert_eq!(format!("{key:?}"), "SharedKey(…)");
    assert!(load(&[]).events.oidc.is_none() && load(&[]).events.eventgrid_key.is_none());
}

#[test]
fn half_a_proof_is_a_mistake() {
    for (variable, value, key) in [
        ("TINTYPE_EVENTS__SNS_TOPICS", "photos", "events.sns_topics"),
        ("TINTYPE_EVENTS__SNS_TOPICS", "arn:aws:sqs:eu-west-1:1:photos", "events.sns_topics"),
        ("TINTYPE_EVENTS__EVENTGRID_KEY", "short", "events.eventgrid_key"),
    ] {
        assert_eq!(places(&sources(&[(variable, value)])), [format!("{key} ({variable})")], "{value}");
    }
    assert_eq!(places(&sources(&[("TINTYPE_EVENTS__OIDC__AUDIENCE", "a")])), ["events.oidc.emails"]);
    assert_eq!(places(&sources(&[("TINTYPE_EVENTS__OIDC__EMAILS", "b")])), ["events.oidc.audience"]);
    let oidc = [("TINTYPE_EVENTS__OIDC__AUDIENCE", "a"), ("TINTYPE_EVENTS__OIDC__EMAILS", "b")];
    let with = |url| places(&sources(&[oidc[0], oidc[1], ("TINTYPE_EVENTS__OIDC__JWKS_URL", url)]));
    for good in ["https://keys.example/", "http://127.0.0.1:9/keys"] {
        assert_eq!(
            load(&[oidc[0], oidc[1], ("TINTYPE_EVENTS__OIDC__JWKS_URL", good)]).events.oidc.unwrap().jwks_url.as_str(),
            good
        );
    }
    for bad in ["http://keys.example/", "http://localhost.evil.example/", ""] {
        assert_eq!(with(bad).len(), 1, "{bad}");
    }
}

#[test]
fn mistakes_repeat_no_secret() {
    for (content, place) in [
        ("[callback]\nsecret = whsec_hunter2\n", "line 2"),
        ("[callback]\nsecret = \"whsec_hunter2\n", "line 2"),
        ("callback.secret = \"hunter2\"\ncallback.secret = \"hunter2\"\n", "line 2"),
        ("store.endpoint = \"ftp://me:hunter2@host\"\n", "store.endpoint"),
        ("store.endpoint = \"ftp://host/?key=hunter2\"\n", "store.endpoint"),
        ("store.url = \"gs://me:hunter2@host\"\n", "store.url"),
        ("ledger.url = \"mysql://me:hunter2@host/db\"\n", "ledger.url"),
        ("events.eventgrid_key = \"hunter2\"\n", "events.eventgrid_key"),
        ("callback.secret = 2\n", "callback.secret"),
        ("auth.keys = [\"hunter2\"]\n", "auth.keys"),
    ] {
        let told = load_file(content, &[]).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains(place), "{told}");
    }
}

#[test]
fn what_is_written_for_tintype_goes_before_awss_variables() {
    let aws = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://localhost:4566")];
    let config = load(&aws);
    assert_eq!(
        (config.region.as_str(), config.aws_endpoint.map(String::from)),
        ("eu-west-1", Some("http://localhost:4566/".into()))
    );
    assert_eq!(load_file("store.region = \"eu-north-1\"", &aws).unwrap().region, "eu-north-1");
    let s3 = load(&[aws[1], ("TINTYPE_STORE__ENDPOINT", "http://localhost:9000")]).s3("b");
    assert_eq!(s3.bucket_url().as_str(), "http://localhost:9000/b");
}

#[test]
fn a_secret_is_here_or_elsewhere_but_not_both() {
    let arn = ("TINTYPE_CALLBACK__SECRET_FROM", "arn:aws:secretsmanager:eu-west-1:1:secret:a-AbCdEf");
    let url = ("CALLBACK_URL", "http://localhost/");
    assert!(load(&[arn, url]).callback.unwrap().is_signed());
    let secret = ("TINTYPE_CALLBACK__SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let place = ["callback.secret_from (TINTYPE_CALLBACK__SECRET_FROM)"];
    assert_eq!(places(&sources(&[arn, secret, url])), place);
    assert_eq!(places(&sources(&[("TINTYPE_CALLBACK__SECRET_FROM", "my-secret"), url])), place);
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
        [("1d", Some(86_400_000)), ("250ms", Some(250)), ("0", Some(0)), ("3", None), ("-1s", None), ("1w", None)]
    {
        assert_eq!(value::parse_duration(text).ok(), millis.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn a_duration_without_a_unit_is_refused_with_what_to_write() {
    for (file, environment, key) in [
        ("server.drain = 90\n", None, "server.drain"),
        ("server.drain = \"90\"\n", None, "server.drain"),
        ("", Some(("TINTYPE_SERVER__DRAIN", "90")), "server.drain"),
        ("callback.schedule = [\"5s\", 90]\n", None, "callback.schedule"),
        ("", Some(("TINTYPE_CALLBACK__SCHEDULE", "5s, 90")), "callback.schedule"),
    ] {
        let told = load_file(file, environment.as_slice()).unwrap_err().0;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].place.starts_with(key), "{told:?}");
        assert!(told[0].problem.contains("90 has no unit: write \"90s\" or \"90d\""), "{told:?}");
    }
    // Nothing is nothing in any unit.
    assert_eq!(load_file("upload.keep_originals = 0\n", &[]).unwrap().keep_originals, None);
}

#[test]
fn a_bucket_that_cannot_be_called_so_is_told_why() {
    let long = "b".repeat(64);
    for (name, why) in [
        ("b", "at least 3"),
        ("My_Bucket", "no capital"),
        (&long, "at most 63"),
        ("a/b", "of a bucket alone"),
        ("", "of a bucket alone"),
    ] {
        let told = mistakes(&format!("store.url = \"s3://{name}\"\n"));
        assert!(told.len() == 1 && told[0].1.contains(why), "{name}: {told:?}");
    }
}

#[test]
fn preset_is_nearly_presets() {
    let told = mistakes("[preset.avatar]\npaths = [\"temp/a/\"]\n");
    assert_eq!(told.len(), 1);
    assert!(told[0].1.contains("did you mean presets.avatar.paths?"), "{told:?}");
}

#[test]
fn the_names_of_the_programs_that_call_are_no_settings() {
    let clients = [("TINTYPE_KEY", "tt_abcdefghij_x"), ("TINTYPE_URL", "http://127.0.0.1:8000")];
    assert!(Config::load(&sources(&clients)).is_ok());
    assert_eq!(places(&sources(&[("TINTYPE_KEYS", "x")])).len(), 1, "others are still looked at");
}

/// Loads a file of this content.
fn load_file(content: &str, environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml");
    std::fs::write(&file, content).unwrap();
    Config::load(&Sources { file: Some(file), ..sources(environment) })
}

/// The key of each mistake, less the file it is in, and what is said of it.
fn mistakes(content: &str) -> Vec<(String, String)> {
    let key = |mistake: Mistake| (mistake.place.split(" (").next().unwrap_or_default().to_owned(), mistake.problem);
    load_file(content, &[]).unwrap_err().0.into_iter().map(key).collect()
}

#[test]
fn the_example_in_the_defaults_is_a_preset() {
    let at = DEFAULTS.find("# [presets.avatar]").unwrap();
    let example: Vec<_> = DEFAULTS[at..].lines().map(|line| line.strip_prefix("# ").unwrap()).collect();
    let config = load_file(&example.join("\n"), &[]).unwrap();
    let preset = config.presets.get("avatar").unwrap();
    let names: Vec<_> = preset.variants.iter().map(|variant| variant.name.as_str()).collect();
    assert_eq!(names, ["original", "64", "card", "wide", "blurred"]);
    assert_eq!(preset.paths, ["temp/avatars/"]);
    assert_eq!(preset.metadata, MetadataPolicy::None);
    let size = BoxSize { width: 64, height: 64 };
    let expected = VariantSpec {
        name: "64".into(),
        fit: Some(Fit::Cover { size, gravity: Gravity::Smart, enlarge: false }),
        format: OutputFormat::WebP,
        quality: Quality { jpeg: 80, webp: 75, avif: 60 },
        ..VariantSpec::default()
    };
    assert_eq!(preset.variants[1], expected);
    assert!(preset.variants[0].is_verbatim());
    assert_eq!(preset.variants[3].fit, Some(Fit::Inside(BoxSize::of_width(1600))));
    assert_eq!(config.presets.get("default").unwrap().variants.len(), 8, "the seed's stays");
}

#[test]
fn every_mistake_of_a_preset_is_told_with_its_key() {
    let told = mistakes(
        r##"
        [presets.avatar]
        pathes = []
        paths = ["image/x", "a//b"]
        quality = { jpeg = 0, gif = 3 }
        metadata = "all"
        variants = [
          { name = "original", quality = 50 },
          { name = "original" },
          { name = "a.b", widht = 3 },
          { name = "blurred", blur = 300, width = 0 },
          { name = "original_blurred", width = 10, gravity = "middle" },
          { name = "c", fit = "cover", width = 10 },
          { name = "d", fit = "contain" },
          { name = "e", width = 10, enlarge = true, gravity = "north" },
          { name = "f", format = "gif", background = "white" },
          { name = "g", format = "webp", progressive = true, blur = 1, sharpen = 1 },
          { name = "h", format = "png", lossless = true },
          { width = 10 },
          "small",
        ]
        [presets.default]
        [presets."no good"]
        variants = [{ name = "a", width = 1 }]
        "##,
    );
    let keys: Vec<_> = told.iter().map(|(key, _)| key.as_str()).collect();
    let v = |rest: &str| format!("presets.avatar.variants{rest}");
    let expected = [
        "presets.avatar.quality.jpeg",
        "presets.avatar.quality.gif",
        "presets.avatar.metadata",
        "presets.avatar.paths",
        &v("[0].quality"),
        &v("[1].name"),
        &v("[2].name"),
        &v("[2].widht"),
        &v("[3].width"),
        &v("[3].blur"),
        &v("[4].gravity"),
        &v("[4].name"),
        &v("[5].height"),
        &v("[6].fit"),
        &v("[7].gravity"),
        &v("[7].enlarge"),
        &v("[8].format"),
        &v("[8].background"),
        &v("[9].sharpen"),
        &v("[9].progressive"),
        &v("[10].lossless"),
        &v("[11].name"),
        &v("[12]"),
        "presets.avatar.pathes",
        "presets.avatar.paths",
        "presets.default.variants",
        "presets.no good",
    ];
    assert_eq!(keys, expected);
    let of = |key: &str| told.iter().find(|(known, _)| known == key).unwrap().1.clone();
    assert!(of("presets.avatar.pathes").contains("did you mean paths?"));
    assert!(of(&v("[2].widht")).contains("did you mean width?"));
    assert!(of(&v("[4].name")).contains("same key as variants[3], \"blurred\""), "{}", of(&v("[4].name")));
    assert!(of(&v("[8].format")).contains("\"webp\""));
}

#[test]
fn the_seeds_knobs_and_a_default_preset_exclude_each_other() {
    let default = "[presets.default]\nvariants = [{ name = \"original\" }, { name = \"s\", width = 5 }]\n";
    let config = load_file(default, &[]).unwrap();
    assert_eq!(config.presets.get("default").unwrap().variants.len(), 2);
    assert_eq!(config.presets.names(), "\"default\"");
    let unchanged = format!("[variants]\nsmall = 50\nblur = true\n{default}");
    assert!(load_file(&unchanged, &[("THUMB_DIMENSION_LARGE", "400")]).is_ok(), "as `tintype config` prints it");
    let told = mistakes(&format!("[variants]\nsmall = 51\n{default}"));
    assert_eq!(told.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["variants.small"]);
}

#[test]
fn two_presets_do_not_share_a_path_and_a_variable_makes_none() {
    let one =
        |name: &str| format!("[presets.{name}]\npaths = [\"temp/a\"]\nvariants = [{{ name = \"s\", width = 5 }}]\n");
    let told = mistakes(&(one("a") + &one("b")));
    assert_eq!(told.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["presets.b.paths"]);
    assert!(told[0].1.contains("\"a\" already"), "{}", told[0].1);
    assert_eq!(places(&sources(&[("TINTYPE_PRESETS__A", "x")])), ["presets.a (TINTYPE_PRESETS__A)"]);
}

#[test]
fn colours_as_people_write_them() {
    for (text, color) in
        [("#fff", Some([255; 3])), ("#0a1B2c", Some([10, 27, 44])), ("white", None), ("#ffff", None), ("#ggg", None)]
    {
        assert_eq!(value::parse_color(text), color, "{text}");
    }
}

#[test]
fn the_callbacks_secrets_and_networks() {
    let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let url = ("TINTYPE_CALLBACK__URL", "https://example.com/{id}?key={key}");
    let callback = load(&[
        url,
        ("TINTYPE_CALLBACK__SECRET", new),
        ("TINTYPE_CALLBACK__PREVIOUS_SECRETS", old),
        ("TINTYPE_CALLBACK__ALLOW_NETWORKS", "10.20.0.0/16, fd00::/8, 192.168.1.7"),
    ])
    .callback
    .unwrap();
    assert_eq!(callback.previous_secrets.len(), 1);
    let networks: Vec<_> = callback.guard.allow_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.20.0.0/16", "fd00::/8", "192.168.1.7/32"]);
    for (key, value) in [
        ("TINTYPE_CALLBACK__PREVIOUS_SECRETS", old),
        ("TINTYPE_CALLBACK__PREVIOUS_SECRETS", "hunter2"),
        ("TINTYPE_CALLBACK__ALLOW_NETWORKS", "example.com"),
        ("TINTYPE_CALLBACK__ALLOW_NETWORKS", "10.0.0.0/33"),
        ("TINTYPE_CALLBACK__CONCURRENCY", "0"),
        ("TINTYPE_CALLBACK__CONNECT_TIMEOUT", "0s"),
    ] {
        assert_eq!(places(&sources(&[url, (key, value)])).len(), 1, "{key} {value}");
    }
}

#[test]
fn an_upload_does_not_choose_who_is_called() {
    for bad in [
        "https://{id}.example.com/",
        "https://example.com:{id}/",
        "https://{key}@example.com/",
        "https://example.com{key}",
        "https://{key}/",
        "{key}",
        "ftp://example.com/",
        "example.com",
        "https://example.com/{uuid}",
    ] {
        assert_eq!(places(&sources(&[("CALLBACK_URL", bad)])), ["callback.url (CALLBACK_URL)"], "{bad}");
    }
    for good in ["https://u:p@example.com/{id}/{key}?id={id}#{id}", "http://[::1]:80/{key}", "https://example.com?{id}"]
    {
        assert_eq!(load(&[("CALLBACK_URL", good)]).callback.unwrap().url, good);
    }
}

#[test]
fn a_preset_is_told_elsewhere_or_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.toml");
    let mut sources = sources(&[]);
    sources.file = Some(file.clone());
    let variants = "variants = [{ name = \"original\" }]\n";
    let own = "https://example.com/{id}";
    std::fs::write(
        &file,
        format!("[presets.avatar]\ncallback_url = {own:?}\n{variants}[presets.mute]\ncallback_url = \"\"\n{variants}"),
    )
    .unwrap();
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.presets.get("avatar").unwrap().callback_url.as_deref(), Some(own));
    assert_eq!(config.presets.get("mute").unwrap().callback_url.as_deref(), Some(""));
    assert_eq!(config.callback.unwrap().url, "", "there is someone to tell, though callback.url is empty");
    std::fs::write(&file, format!("[presets.avatar]\ncallback_url = \"https://{{id}}.example.com\"\n{variants}"))
        .unwrap();
    assert_eq!(places(&sources), [format!("presets.avatar.callback_url ({})", file.display())]);
}
