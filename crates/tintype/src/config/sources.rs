//! Where settings come from, and which setting came from where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{DEFAULTS, Mistake};
use crate::aws::profile::Files;

/// AWS's variables and the keys they set. They are of the whole machine, so what is written for Tintype goes before them.
const AWS: [(&str, &str); 3] =
    [("AWS_DEFAULT_REGION", "store.region"), ("AWS_REGION", "store.region"), ("AWS_ENDPOINT_URL", "aws.endpoint")];
/// The seed's variables and the keys they set.
const SEED: [(&str, &str); 8] = [
    ("IMAGE_FOLDER", "variants.folder"),
    ("CALLBACK_URL", "callback.url"),
    ("TEMPORARY_IMAGE_PATH", "upload.prefix"),
    ("THUMB_DIMENSION_SMALL", "variants.small"),
    ("THUMB_DIMENSION_MEDIUM", "variants.medium"),
    ("THUMB_DIMENSION_LARGE", "variants.large"),
    ("BLUR", "variants.blur"),
    ("BLUR_RADIUS", "variants.blur_radius"),
];
/// Names of the programs that call Tintype, in the recipes and the clients: no settings, so they may stand beside ours.
const OF_CLIENTS: [&str; 2] = ["TINTYPE_KEY", "TINTYPE_URL"];
/// The section of the file that has no defaults.
const PRESETS: &str = "presets";
/// The file that is read when it is there and no other is named.
const USUAL_FILE: &str = "tintype.toml";

/// All places a setting can come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named with `--config`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Key and value of each flag that was given.
    pub flags: Vec<(&'static str, String)>,
}

/// What all sources say together.
pub(super) struct Settings {
    /// Every key with its setting in force.
    pub(super) by_key: BTreeMap<String, Setting>,
    /// The tables of `[presets]`, which have no defaults, and the file they are in.
    pub(super) presets: (Table, String),
    /// Unknown keys and unreadable files.
    pub(super) mistakes: Vec<Mistake>,
}

/// One value, and where it was set.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// A file, a variable, a flag; none for a default.
    pub from: Option<String>,
}

impl Sources {
    /// This process's environment.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        // A variable that is not UTF-8 is none of ours.
        let environment = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
        Self { file, environment: environment.collect(), flags }
    }

    /// The file that is read, if there is one.
    pub fn file_in_use(&self) -> Option<&Path> {
        let usual = Path::new(USUAL_FILE);
        self.file.as_deref().or(Some(usual).filter(|usual| usual.exists()))
    }

    /// Reads them all.
    pub(super) fn settings(&self) -> Settings {
        let mut mistakes = Vec::new();
        let (mut in_file, file) = self.in_file(&mut mistakes);
        let presets = match in_file.remove(PRESETS) {
            Some(Value::Table(presets)) => presets,
            Some(_) => {
                let problem = "it must be tables: [presets.avatar], say, with its variants below".to_owned();
                mistakes.push(Mistake { place: place(PRESETS, Some(&file)), problem });
                Table::new()
            }
            None => Table::new(),
        };
        let by_key = self.by_key(&in_file, &file, &mut mistakes);
        Settings { by_key, presets: (presets, file), mistakes }
    }

    fn by_key(&self, in_file: &Table, file: &str, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, Setting> {
        let mut settings = defaults();
        for (key, setting) in self.overrides(in_file, file) {
            if key.split('.').next() == Some(PRESETS) {
                let problem = "presets are written in the file alone: see `tintype config`".to_owned();
                mistakes.push(Mistake { place: place(&key, setting.from.as_deref()), problem });
            } else if let Some(section) = key.strip_suffix('.').or(Some(&*key)).filter(|k| is_section(&settings, k)) {
                let problem = format!("{section} is a section: write [{section}] and its keys below it");
                mistakes.push(Mistake { place: place(&key, setting.from.as_deref()), problem });
            } else if let Some(known) = settings.get_mut(&key) {
                *known = setting;
            } else {
                let nearest = nearest(&key, settings.keys().map(String::as_str)).unwrap_or_default().to_owned();
                let variable = setting.from.as_deref().is_some_and(|from| from.starts_with("TINTYPE_"));
                let meant = match key.split_once('.') {
                    // Presets have no defaults, so that none of their keys is near.
                    Some((section, rest)) if !variable && distance(section, PRESETS) <= 2 => {
                        format!("{PRESETS}.{rest}")
                    }
                    _ if variable => as_variable(&nearest),
                    _ => nearest,
                };
                mistakes.push(Mistake {
                    place: place(&key, setting.from.as_deref()),
                    problem: format!("there is no such key; did you mean {meant}?"),
                });
            }
        }
        settings
    }

    /// What is set, in the order of precedence.
    fn overrides(&self, in_file: &Table, file: &str) -> Vec<(String, Setting)> {
        let of_file = |(key, value)| (key, Setting { value, from: Some(file.to_owned()) });
        let alias = |&(variable, key): &(&str, &str)| {
            let value = self.environment.get(variable)?;
            Some((key.to_owned(), text(value, variable)))
        };
        let aws = AWS.iter().filter_map(alias);
        let mut found: Vec<_> = self.profile_region().into_iter().collect();
        found.extend(aws.filter(|(_, setting)| setting.value.as_str() != Some("")));
        found.extend(flatten(in_file).into_iter().map(of_file));
        found.extend(SEED.iter().filter_map(alias));
        for (variable, value) in self.environment.iter().filter(|(name, _)| !OF_CLIENTS.contains(&name.as_str())) {
            // One underscore too few is still a mistake worth telling: it may be the secret that is left out.
            if let Some(key) = variable.strip_prefix("TINTYPE_") {
                found.push((key.to_lowercase().replace("__", "."), text(value, variable)));
            }
        }
        found.extend(self.flags.iter().map(|(key, value)| ((*key).to_owned(), text(value, flag_name(key)))));
        found
    }

    /// The region that `aws configure` was told.
    fn profile_region(&self) -> Option<(String, Setting)> {
        let files = Files::of(|name| self.environment.get(name).cloned());
        Some(("store.region".to_owned(), text(&files.region()?, &format!("AWS profile {}", files.name()))))
    }

    /// The file's tables and its name; nothing where there is none.
    fn in_file(&self, mistakes: &mut Vec<Mistake>) -> (Table, String) {
        let Some(path) = self.file_in_use() else { return (Table::new(), String::new()) };
        let table = std::fs::read_to_string(path)
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => e.to_string(),
            })
            .and_then(|text| text.parse::<Table>().map_err(|e| without_text(&text, &e)));
        let name = path.display().to_string();
        match table {
            Ok(table) => (table, name),
            Err(problem) => {
                mistakes.push(Mistake { place: name.clone(), problem });
                (Table::new(), name)
            }
        }
    }
}

/// What is wrong and in which line, without the line, which may be that of a secret.
fn without_text(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line} is no TOML: {}", error.message())
}

/// Every key with its default.
pub(super) fn defaults() -> BTreeMap<String, Setting> {
    let defaults: Table = DEFAULTS.parse().expect("the embedded defaults are TOML");
    flatten(&defaults).into_iter().map(|(key, value)| (key, Setting { value, from: None })).collect()
}

/// `upload.expires` as `TINTYPE_UPLOAD__EXPIRES`.
pub(super) fn as_variable(key: &str) -> String {
    format!("TINTYPE_{}", key.replace('.', "__").to_uppercase())
}

fn flag_name(key: &str) -> &'static str {
    match key {
        "server.listen" => "--listen",
        "store.listen" => "--store-listen",
        "store.url" => "the address given",
        "store.endpoint" => "--endpoint",
        "store.region" => "--region",
        _ => "--data",
    }
}

fn is_section(settings: &BTreeMap<String, Setting>, key: &str) -> bool {
    settings.keys().any(|known| known.split_once('.').is_some_and(|(section, _)| section == key))
}

/// `upload.expires (TINTYPE_UPLOAD__EXPIRES)`.
pub(super) fn place(key: &str, from: Option<&str>) -> String {
    from.map_or_else(|| key.to_owned(), |from| format!("{key} ({from})"))
}

fn text(value: &str, from: &str) -> Setting {
    Setting { value: Value::String(value.to_owned()), from: Some(from.to_owned()) }
}

/// `[a] b = 1` as `a.b = 1`.
fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => flat.extend(flatten(inner).into_iter().map(|(k, v)| (format!("{key}.{k}"), v))),
            value => flat.push((key.clone(), value.clone())),
        }
    }
    flat
}

/// The word that was most likely meant.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|known| distance(known, word))
}

/// Edit distance (Levenshtein), for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
