//! Reads settings by type; what is wrong is noted and reading goes on.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tintype_image::Tolerance;
use toml::{Table, Value};
use url::Url;

use super::Mistake;
use super::front::Origins;
use super::shown::{Shown, shown};
use super::sources::{Setting, Settings, Sources, defaults, place};
use super::value::{parse_bytes, parse_duration, without_secrets};
use crate::auth::{ConfiguredKey, KeyHash, Scope, Scopes};

/// Settings, and the mistakes seen so far.
pub struct Reader {
    settings: BTreeMap<String, Setting>,
    /// The tables of `[presets]`, and the file they are in.
    pub presets: (Table, String),
    /// What was wrong.
    pub mistakes: Vec<Mistake>,
}

impl Reader {
    /// A reader of all sources.
    pub fn new(sources: &Sources) -> Self {
        let Settings { by_key, presets, mistakes } = sources.settings();
        Self { settings: by_key, presets, mistakes }
    }

    /// Notes a mistake; gives none of whatever was to be read.
    pub fn mistake<T>(&mut self, key: &str, problem: &str) -> Option<T> {
        let from = self.settings.get(key).and_then(|setting| setting.from.as_deref());
        self.mistakes.push(Mistake { place: place(key, from), problem: problem.to_owned() });
        None
    }

    /// Every setting as an operator may see it.
    pub fn shown(&self) -> Vec<Shown> {
        self.settings.iter().map(|(key, setting)| shown(key, setting)).collect()
    }

    fn value(&self, key: &str) -> Value {
        self.settings.get(key).map(|setting| setting.value.clone()).expect("every key that is read has a default")
    }

    /// Whether a key was set to something else than its default.
    pub fn is_changed(&self, key: &str) -> bool {
        // A variable's value is a text, whatever it stands for.
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let default = defaults().remove(key).map(|setting| plain(&setting.value));
        default != self.settings.get(key).map(|setting| plain(&setting.value))
    }

    /// Any text.
    pub fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key) {
            Value::String(text) => Some(text),
            _ => self.mistake(key, "it must be a text in quotes"),
        }
    }

    /// Text that may not be empty.
    pub fn name(&mut self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty()).or_else(|| self.mistake(key, "it may not be empty"))
    }

    /// A folder or file.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// One of some words, whatever their case.
    pub fn one_of(&mut self, key: &str, words: &[&str]) -> Option<String> {
        let text = self.text(key)?;
        match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
            Some(word) => Some((*word).to_owned()),
            None => self.mistake(key, &format!("{text:?} is none of: {}", words.join(", "))),
        }
    }

    /// A whole number in a range.
    pub fn number(&mut self, key: &str, least: u32, most: u32) -> Option<u32> {
        let number = match self.value(key) {
            Value::Integer(number) => Some(number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.and_then(|n| u32::try_from(n).ok()).filter(|n| (least..=most).contains(n)) {
            Some(number) => Some(number),
            None => self.mistake(key, &format!("it must be a whole number from {least} to {most}")),
        }
    }

    /// A number above one bound and up to another.
    pub fn fraction(&mut self, key: &str, above: f64, most: f64) -> Option<f32> {
        let number = match self.value(key) {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|n| *n > above && *n <= most) {
            Some(number) => Some(number as f32),
            None => self.mistake(key, &format!("it must be a number above {above}, at most {most}")),
        }
    }

    /// How much of a damaged file has to be there: `"accept"`, `"refuse"`, or the least part of its rows.
    pub fn tolerance(&mut self, key: &str) -> Option<Tolerance> {
        let value = self.value(key);
        let part = match &value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let known = match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("accept") => Some(Tolerance::Half),
            Some("refuse") => Some(Tolerance::Refuse),
            _ => part.filter(|part| (0.0..=1.0).contains(part)).map(Tolerance::Rows),
        };
        known.or_else(|| {
            self.mistake(key, "it must be \"accept\", \"refuse\", or the least part of the rows, a number from 0 to 1")
        })
    }

    /// A count of bytes or pixels in a range: `1048576` or `"1MiB"`.
    pub fn bytes(&mut self, key: &str, least: u64, most: u64) -> Option<u64> {
        let number = match self.value(key) {
            Value::Integer(number) => u64::try_from(number).ok(),
            Value::String(text) => parse_bytes(&text),
            _ => None,
        };
        match number.filter(|n| (least..=most).contains(n)) {
            Some(number) => Some(number),
            None => self.mistake(
                key,
                &format!("it must be a whole number from {least} to {most}, or a text such as \"10MiB\""),
            ),
        }
    }

    /// Yes or no; the seed also wrote `1` and `t`.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        let known = match self.value(key) {
            Value::Boolean(value) => Some(value),
            Value::Integer(1) => Some(true),
            Value::Integer(0) => Some(false),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "t" | "yes" | "on" => Some(true),
                "false" | "0" | "f" | "no" | "off" | "" => Some(false),
                _ => None,
            },
            _ => None,
        };
        known.or_else(|| self.mistake(key, "it must be true or false"))
    }

    /// Yes, no, or a word that stands for a value known elsewhere.
    pub fn boolean_or(&mut self, key: &str, word: &str, meaning: bool) -> Option<bool> {
        if self.value(key).as_str() == Some(word) { Some(meaning) } else { self.boolean(key) }
    }

    /// A duration in a range.
    pub fn duration(&mut self, key: &str, least: Duration, most: Duration) -> Option<Duration> {
        let value = self.value(key);
        match read_duration(&value) {
            Ok(duration) if (least..=most).contains(&duration) => Some(duration),
            Ok(_) => {
                self.mistake(key, &format!("{value} is not from {} s to {} s", least.as_secs_f32(), most.as_secs()))
            }
            Err(problem) => self.mistake(key, &problem),
        }
    }

    /// The parts of a list; in a variable, as in the file, as JSON, or with commas.
    fn items(&mut self, key: &str) -> Option<Vec<Value>> {
        let known = items(&self.value(key));
        known.or_else(|| {
            self.mistake(key, "it begins with [ and is no list: write [\"a\", \"b\"], or a,b in a variable")
        })
    }

    /// A list of durations.
    pub fn durations(&mut self, key: &str) -> Option<Vec<Duration>> {
        let list: Result<Vec<_>, _> = self.items(key)?.iter().map(read_duration).collect();
        match list {
            Ok(list) => Some(list),
            Err(problem) => self.mistake(key, &format!("{problem}, as in [\"5s\", \"5m\", \"1h\"]")),
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let list: Option<Vec<_>> = self.items(key)?.iter().map(|item| Some(item.as_str()?.to_owned())).collect();
        list.or_else(|| self.mistake(key, "it must be a list of texts in quotes"))
    }

    /// An address to listen on.
    pub fn address(&mut self, key: &str) -> Option<SocketAddr> {
        let text = self.text(key)?;
        let parsed = text.replace("localhost", "127.0.0.1").parse().ok();
        parsed.or_else(|| self.mistake(key, &format!("{text:?} is no address; write one such as \"127.0.0.1:8000\"")))
    }

    /// The same, or empty for none.
    pub fn optional_address(&mut self, key: &str) -> Option<Option<SocketAddr>> {
        if self.text(key)?.is_empty() { Some(None) } else { self.address(key).map(Some) }
    }

    /// A web address, or empty for none.
    pub fn optional_url(&mut self, key: &str) -> Option<Option<Url>> {
        let text = self.text(key)?;
        if text.is_empty() {
            return Some(None);
        }
        match text.parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(Some(url)),
            _ => {
                let shown = without_secrets(&text);
                self.mistake(key, &format!("{shown:?} is no http:// or https:// address"))
            }
        }
    }

    /// Origins of web pages, or `"*"` for any.
    pub fn origins(&mut self, key: &str) -> Option<Origins> {
        let known = match self.texts(key)?.as_slice() {
            [any] if any == "*" => Some(Origins::Any),
            named => named.iter().map(|text| origin(text)).collect::<Option<_>>().map(Origins::These),
        };
        known.or_else(|| {
            self.mistake(key, "it must be a list of origins such as [\"https://app.example.com\"], or [\"*\"] alone")
        })
    }

    /// A list of networks, or of single addresses.
    pub fn networks(&mut self, key: &str) -> Option<Vec<IpNet>> {
        let network = |text: &String| text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)));
        let list: Option<Vec<_>> = self.texts(key)?.iter().map(network).collect();
        list.or_else(|| {
            self.mistake(
                key,
                "each must be a network or an address, e.g. [\"10.20.0.0/16\", \"fd00::/8\", \"192.168.1.7\"]",
            )
        })
    }

    /// Hashes of API keys, each with scopes or with all.
    pub fn keys(&mut self, key: &str) -> Option<Vec<ConfiguredKey>> {
        let list: Option<Vec<_>> = self.items(key)?.iter().map(|item| configured_key(item.as_str()?)).collect();
        let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        list.or_else(|| self.mistake(key, &format!("each must be \"sha256:\" and 64 hex digits (echo \"sha256:$(printf %s \"$KEY\" | sha256sum | cut -c1-64)\"), and perhaps, after a space each, some of: {}", scopes.join(", "))))
    }
}

fn read_duration(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => parse_duration(text),
        other => parse_duration(&other.to_string()),
    }
}

/// None for a text that begins as a list and is none.
fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.clone()),
        Value::String(text) if text.trim_start().starts_with('[') => {
            let list = text.trim().parse().ok().or_else(|| serde_json::from_str(text).ok())?;
            if let Value::Array(items) = list { Some(items) } else { None }
        }
        Value::String(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Some(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        other => Some(vec![other.clone()]),
    }
}

/// As a browser sends it: no path, no default port.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
    plain.then(|| url.origin().ascii_serialization())
}

/// `sha256:HEX`, with all scopes, or `sha256:HEX events uploads:read`, with some.
fn configured_key(text: &str) -> Option<ConfiguredKey> {
    let text = text.trim().strip_prefix("sha256:")?;
    let (digits, scopes) = text.split_once(' ').unwrap_or((text, "admin"));
    Some(ConfiguredKey { hash: KeyHash::parse(digits)?, scopes: Scopes::parse(scopes).ok()? })
}
