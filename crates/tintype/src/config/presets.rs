//! The presets: `[presets.NAME]` of the file, and the default one, which `[variants]` makes too.

use std::collections::HashMap;

use tintype_image::{MetadataPolicy, Quality, VariantSpec};
use toml::{Table, Value};

use super::Mistake;
use super::callback::check_url;
use super::fields::Fields;
use super::reader::Reader;
use super::sources::place;
use super::variant;
use crate::key::{Layout, as_folder, is_variant_name, suffix};
use crate::preset::{DEFAULT, DefaultPreset, Preset, Presets};

const METADATA: [(&str, MetadataPolicy); 3] = [
    ("private-stripped", MetadataPolicy::PrivateStripped),
    ("keep", MetadataPolicy::Keep),
    ("none", MetadataPolicy::None),
];
const FILENAMES: [(&str, bool); 2] = [("images", false), ("any", true)];
/// What makes the default preset when the file does not spell it out.
const OF_DEFAULT: [&str; 5] =
    ["variants.small", "variants.medium", "variants.large", "variants.blur", "variants.blur_radius"];

/// Reads all presets.
pub fn read(r: &mut Reader, layout: Option<&Layout>) -> Option<Presets> {
    let default = read_default(r)?;
    let (tables, from) = r.presets.clone();
    let mut others = read_tables(r, &tables, &from, &default, layout);
    let spelled_out = others.iter().position(|preset| preset.name == DEFAULT).map(|at| others.remove(at));
    if tables.contains_key(DEFAULT) {
        for key in OF_DEFAULT.into_iter().filter(|key| r.is_changed(key)).collect::<Vec<_>>() {
            r.mistake::<()>(key, "it has no effect beside [presets.default]; drop one of them");
        }
    }
    Some(Presets::new(spelled_out.unwrap_or_else(|| Preset::from_default(&default)), others))
}

/// The seed's knobs.
fn read_default(r: &mut Reader) -> Option<DefaultPreset> {
    let boxes = ["small", "medium", "large"].map(|size| r.number(&format!("variants.{size}"), 1, 10_000));
    let blur = r.boolean("variants.blur");
    let blur_radius = r.fraction("variants.blur_radius", 0.0, 200.0);
    let quality = r.number("variants.quality", 1, 100);
    let metadata = r.one_of("variants.metadata", &METADATA.map(|(word, _)| word));
    let [small, medium, large] = boxes;
    let boxes = [small?, medium?, large?];
    if boxes[0] == boxes[1] || boxes[1] == boxes[2] || boxes[0] == boxes[2] {
        return r.mistake("variants.small", "small, medium and large must differ: equal sizes would be one variant");
    }
    let metadata = metadata?;
    Some(DefaultPreset {
        boxes,
        blur: blur?,
        blur_radius: blur_radius?,
        quality: u8::try_from(quality?).unwrap_or(u8::MAX),
        metadata: METADATA.iter().find(|(word, _)| *word == metadata)?.1,
    })
}

fn read_tables(
    r: &mut Reader,
    tables: &Table,
    from: &str,
    base: &DefaultPreset,
    layout: Option<&Layout>,
) -> Vec<Preset> {
    let mut owners = HashMap::new();
    let mut presets = Vec::new();
    for (name, value) in tables {
        let path = format!("presets.{name}");
        if !is_variant_name(name) {
            let problem = "a preset's name is 1 to 64 letters, digits, - and _".to_owned();
            r.mistakes.push(Mistake { place: place(&path, Some(from)), problem });
        }
        let Some(preset) = read_preset(&mut r.mistakes, name, &path, value, from, base) else { continue };
        check_paths(&mut r.mistakes, &preset, from, layout, &mut owners);
        presets.push(preset);
    }
    presets
}

fn read_preset(
    mistakes: &mut Vec<Mistake>,
    name: &str,
    path: &str,
    value: &Value,
    from: &str,
    base: &DefaultPreset,
) -> Option<Preset> {
    let mut fields = Fields::new(path.to_owned(), from, value, mistakes)?;
    let quality = variant::read_quality(&mut fields, Quality::all(base.quality));
    let metadata = fields.word("metadata", &METADATA).unwrap_or(base.metadata);
    let paths = read_paths(&mut fields);
    let callback_url = fields.text("callback_url");
    if let Some(Err(problem)) = callback_url.as_deref().map(check_url) {
        fields.mistake("callback_url", problem);
    }
    let any_filename = fields.word("filenames", &FILENAMES).unwrap_or(false);
    let variants = read_variants(&mut fields, quality);
    fields.finish();
    Some(Preset { callback_url, any_filename, ..Preset::new(name, variants, metadata, paths) })
}

fn read_paths(fields: &mut Fields<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    for text in fields.texts("paths").unwrap_or_default() {
        match as_folder(&text) {
            Ok(folder) => paths.push(folder),
            Err(error) => fields.mistake("paths", &format!("{error}; write a folder such as \"temp/avatars/\"")),
        }
    }
    paths
}

fn read_variants(fields: &mut Fields<'_>, quality: Quality) -> Vec<VariantSpec> {
    let list = match fields.value("variants") {
        Some(Value::Array(list)) if !list.is_empty() => list,
        _ => {
            let problem = "it must be a list with a table for each variant, e.g. [{ name = \"original\" }, \
                           { name = \"64\", fit = \"cover\", width = 64, height = 64 }]";
            fields.mistake("variants", problem);
            return Vec::new();
        }
    };
    let mut owners: HashMap<String, (usize, String)> = HashMap::new();
    let mut variants = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let inner = fields.inner(&format!("variants[{index}]"), value);
        let Some(spec) = inner.and_then(|inner| variant::read(inner, quality)) else { continue };
        match owners.get(&suffix(&spec.name)) {
            Some((first, name)) => {
                let problem = format!(
                    "{:?} would write the same key as variants[{first}], {name:?}; name one of them otherwise",
                    spec.name
                );
                fields.mistake(&format!("variants[{index}].name"), &problem);
            }
            None => drop(owners.insert(suffix(&spec.name), (index, spec.name.clone()))),
        }
        variants.push(spec);
    }
    variants
}

/// A path holds originals, and those of one preset.
fn check_paths(
    mistakes: &mut Vec<Mistake>,
    preset: &Preset,
    from: &str,
    layout: Option<&Layout>,
    owners: &mut HashMap<String, String>,
) {
    let mut mistake = |problem: String| {
        let place = place(&format!("presets.{}.paths", preset.name), Some(from));
        mistakes.push(Mistake { place, problem });
    };
    for path in &preset.paths {
        if let Some(folder) = layout.map(Layout::folder).filter(|folder| path.starts_with(*folder)) {
            mistake(format!("{path:?} lies in variants.folder {folder:?}, where no original is; name another folder"));
        }
        if let Some(owner) = owners.insert(path.clone(), preset.name.clone()) {
            mistake(format!("{path:?} is a path of {owner:?} already; drop one of them"));
        }
    }
}
