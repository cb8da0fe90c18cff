//! The settings in force as an operator sees them: each with where it was set, and nothing that is secret.

use serde::Serialize;
use serde_json::{Value, json};

use super::sources::Setting;
use super::without_secrets;

/// What is secret, or stands for a secret.
const SECRET: [&str; 5] =
    ["auth.keys", "callback.previous_secrets", "callback.secret", "events.b2_secret", "events.eventgrid_key"];
/// What is shown instead.
const HIDDEN: &str = "(set, not shown)";

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Shown {
    /// Its key, e.g. `upload.expires`.
    #[cfg_attr(feature = "server", schema(example = "upload.expires"))]
    key: String,
    /// As it was written; of a secret only whether it is set, of an address no password and no query.
    value: Value,
    /// A file, a variable or a flag; null for a default.
    #[cfg_attr(feature = "server", schema(example = "tintype.toml"))]
    from: Option<String>,
}

/// A setting without its secrets.
pub(super) fn shown(key: &str, setting: &Setting) -> Shown {
    let is_secret = SECRET.contains(&key) && !is_empty(&setting.value);
    let value = if is_secret { json!(HIDDEN) } else { plain(&setting.value) };
    Shown { key: key.to_owned(), value, from: setting.from.clone() }
}

fn is_empty(value: &toml::Value) -> bool {
    value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// Any text may hold an address, and an address a password.
fn plain(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(without_passwords(text)),
        toml::Value::Array(items) => items.iter().map(plain).collect(),
        other => json!(other),
    }
}

fn without_passwords(text: &str) -> String {
    // In a variable a list is a text; a comma may also be part of a password.
    let parts: Vec<_> = text.split(',').collect();
    match text.matches("://").count() {
        0 => text.to_owned(),
        1 => without_secrets(text),
        _ if parts.iter().all(|part| part.contains("://")) => {
            parts.into_iter().map(without_secrets).collect::<Vec<_>>().join(",")
        }
        _ => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::{Config, Sources};

    #[test]
    fn settings_are_shown_with_their_source_and_without_their_secrets() {
        let secret = format!("whsec_{}", "S3CRETs3cret".repeat(3));
        let hash = format!("sha256:{}", "ab".repeat(32));
        let environment = [
            ("TINTYPE_CALLBACK__URL", "https://user:S3CRET@example.com/{id}?key=S3CRET"),
            ("TINTYPE_CALLBACK__SECRET", &secret),
            ("TINTYPE_CALLBACK__PREVIOUS_SECRETS", &secret),
            ("TINTYPE_EVENTS__EVENTGRID_KEY", "S3CRET-S3CRET-S3CRET-S3CRET"),
            ("TINTYPE_EVENTS__B2_SECRET", "S3CRET-S3CRET-S3CRET-S3CRET"),
            ("TINTYPE_AUTH__KEYS", &hash),
            ("TINTYPE_LEDGER__URL", "postgres://tintype:S3CRET@db.example.com/ledger?sslrootcert=/S3CRET"),
            ("TINTYPE_UPLOAD__MAX_BYTES", "1MiB"),
        ];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        let text = serde_json::to_string(&config.shown).unwrap();
        assert!(!text.to_lowercase().contains("s3cret") && !text.contains("abab"), "{text}");
        let of = |key: &str| config.shown.iter().find(|shown| shown.key == key).unwrap();
        assert_eq!(of("upload.max_bytes").value, "1MiB");
        assert_eq!(of("upload.max_bytes").from.as_deref(), Some("TINTYPE_UPLOAD__MAX_BYTES"));
        assert_eq!((&of("upload.prefix").from, of("upload.prefix").value.as_str()), (&None, Some("temp/")));
        assert_eq!(of("callback.url").value, "https://…@example.com/{id}?…");
        assert_eq!(of("ledger.url").value, "postgres://…@db.example.com/ledger?…");
        for (text, expected) in [
            ("postgres://u:a,b@h/d", "postgres://…@h/d"),
            ("https://u:a@h,https://v:b@i", "https://…@h,https://…@i"),
            ("https://u:a,b@h,https://v:b@i", super::HIDDEN),
            ("5s,30s", "5s,30s"),
        ] {
            assert_eq!(super::without_passwords(text), expected);
        }
        for key in super::SECRET {
            assert_eq!(of(key).value, super::HIDDEN, "{key}");
        }
        let unset = Config::load(&Sources::default()).unwrap();
        assert!(super::SECRET.iter().all(|key| unset.shown.iter().any(|s| s.key == *key && s.value != super::HIDDEN)));
    }
}
