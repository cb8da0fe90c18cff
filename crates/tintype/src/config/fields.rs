//! One table of the file, read key by key: what is wrong is noted and reading goes on; what was never asked
//! for is a mistake.

use toml::{Table, Value};

use super::sources::{nearest, place};
use super::{Mistake, value};

/// A table on its way to being read.
pub struct Fields<'a> {
    path: String,
    from: &'a str,
    table: Table,
    asked: Vec<&'static str>,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Fields<'a> {
    /// The table at a path, e.g. `presets.avatar`, of a file.
    pub fn new(path: String, from: &'a str, value: &Value, mistakes: &'a mut Vec<Mistake>) -> Option<Self> {
        if let Value::Table(table) = value {
            return Some(Self { path, from, table: table.clone(), asked: Vec::new(), mistakes });
        }
        mistakes.push(Mistake { place: place(&path, Some(from)), problem: "it must be a table of keys".to_owned() });
        None
    }

    /// Notes a mistake on a key, or on the table itself for none.
    pub fn mistake(&mut self, key: &str, problem: &str) {
        let dot = if key.is_empty() { "" } else { "." };
        let place = place(&format!("{}{dot}{key}", self.path), Some(self.from));
        self.mistakes.push(Mistake { place, problem: problem.to_owned() });
    }

    /// Whether a key was written, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of a key as it is.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.get(key).cloned()
    }

    /// What `read` makes of a value; where it makes nothing, `must_be` is told.
    fn read<T>(&mut self, key: &'static str, must_be: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let known = read(&value);
        if known.is_none() {
            self.mistake(key, &format!("{value} will not do: it must be {must_be}"));
        }
        known
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        self.read(key, "a list of texts in quotes", |value| value.as_array()?.iter().map(text).collect())
    }

    /// Yes or no.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    /// A whole number in a range.
    pub fn number(&mut self, key: &'static str, least: u32, most: u32) -> Option<u32> {
        let read = |value: &Value| u32::try_from(value.as_integer()?).ok().filter(|n| (least..=most).contains(n));
        self.read(key, &format!("a whole number from {least} to {most}"), read)
    }

    /// A number above 0, up to a bound.
    pub fn fraction(&mut self, key: &'static str, most: f64) -> Option<f32> {
        let read = |value: &Value| {
            let number = value.as_float().or_else(|| value.as_integer().map(|n| n as f64))?;
            (number > 0.0 && number <= most).then_some(number as f32)
        };
        self.read(key, &format!("a number above 0, at most {most}"), read)
    }

    /// A colour such as `"#ffffff"`.
    pub fn color(&mut self, key: &'static str) -> Option<[u8; 3]> {
        self.read(key, "a colour such as \"#ffffff\"", |value| value::parse_color(value.as_str()?))
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let read = |value: &Value| Some(words.iter().find(|(word, _)| value.as_str() == Some(*word))?.1);
        self.read(key, &format!("one of {}", known.join(", ")), read)
    }

    /// The end: keys that nobody asked for are mistakes.
    pub fn finish(mut self) {
        let unknown: Vec<String> =
            self.table.keys().filter(|key| !self.asked.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            let meant = nearest(&key, self.asked.iter().copied()).unwrap_or_default();
            self.mistake(&key, &format!("there is no such key; did you mean {meant}?"));
        }
    }

    /// A table inside this one, to be read the same way.
    pub fn inner(&mut self, key: &str, value: &Value) -> Option<Fields<'_>> {
        Fields::new(format!("{}.{key}", self.path), self.from, value, self.mistakes)
    }
}
