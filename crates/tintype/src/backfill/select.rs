//! Which objects of a listing are originals.

use std::sync::Arc;

use crate::error::Failure;
use crate::key::{Key, Layout, is_manifest};
use crate::preset::{Preset, Presets};
use crate::process::Sighting;
use crate::store::Listed;

/// Extensions that nobody gives to an image. Others are read, whatever they are: bytes decide.
const NO_IMAGE: &[&str] = &[
    "7z", "aac", "avi", "avro", "bz2", "cfg", "conf", "css", "csv", "db", "dll", "doc", "docx", "eml", "eot", "exe",
    "flac", "gz", "htm", "html", "ics", "ini", "jar", "js", "json", "jsonl", "log", "m4a", "m4v", "map", "md", "mjs",
    "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "ndjson", "odp", "ods", "odt", "ogg", "opus", "orc", "otf", "parquet",
    "pdf", "ppt", "pptx", "py", "rar", "rtf", "sh", "sql", "sqlite", "tar", "tgz", "toml", "tsv", "ttf", "txt", "wasm",
    "wav", "webm", "woff", "woff2", "xls", "xlsx", "xml", "xz", "yaml", "yml", "zip", "zst",
];

/// What decides.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Where variants are, which are never originals.
    pub layout: Layout,
    /// What is made of each.
    pub presets: Wanted,
    /// Read everything, whatever its name is.
    pub every_name: bool,
}

/// Which preset is for which original.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One for all.
    One(Arc<Preset>),
    /// By folder, as the service gives them.
    ByFolder(Presets),
}

/// One object to be developed.
#[derive(Debug, Clone)]
pub struct Original {
    /// Where it is, and what it was when it was listed.
    pub sighting: Sighting,
    /// What to make of it.
    pub preset: Arc<Preset>,
}

/// Why an object is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It came of one.
    Output,
    /// An empty object in the place of a folder, as consoles make them.
    FolderMark,
    /// Its extension is one that no image has.
    Name,
}

/// What is to become of an object.
#[derive(Debug)]
pub enum Choice {
    /// Nothing.
    Skip(Skip),
    /// It cannot be an original.
    Refuse(Failure),
    /// Its variants.
    Take(Original),
}

impl Selection {
    /// Decides by the name; bytes are not read yet.
    pub fn choose(&self, object: &Listed) -> Choice {
        if object.size == 0 && object.name.ends_with('/') {
            return Choice::Skip(Skip::FolderMark);
        }
        let key = match Key::new(&object.name) {
            Ok(key) => key,
            Err(why) => return Choice::Refuse(Failure::new("invalid_request", why.to_string())),
        };
        if self.layout.is_output(&key) || is_manifest(&key) {
            return Choice::Skip(Skip::Output);
        }
        if !self.every_name && key.extension().is_some_and(|extension| NO_IMAGE.contains(&extension.as_str())) {
            return Choice::Skip(Skip::Name);
        }
        let preset = self.presets.of(&key).clone();
        Choice::Take(Original { sighting: Sighting { key, etag: object.etag.clone(), size: object.size }, preset })
    }
}

impl Wanted {
    /// The preset for an original.
    pub fn of(&self, key: &Key) -> &Arc<Preset> {
        match self {
            Self::One(preset) => preset,
            Self::ByFolder(presets) => presets.of_key(key),
        }
    }

    /// All that may be used.
    pub fn all(&self) -> Vec<&Arc<Preset>> {
        match self {
            Self::One(preset) => vec![preset],
            Self::ByFolder(presets) => presets.iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tintype_image::MetadataPolicy;

    fn choice(name: &str, size: u64, every_name: bool) -> String {
        let preset = Arc::new(Preset::new("default", Vec::new(), MetadataPolicy::None, Vec::new()));
        let layout = Layout::new("temp/", "image/").unwrap();
        let selection = Selection { layout, presets: Wanted::One(preset), every_name };
        let object = Listed { name: name.into(), size, etag: None, modified: time::OffsetDateTime::UNIX_EPOCH };
        match selection.choose(&object) {
            Choice::Skip(why) => format!("{why:?}"),
            Choice::Refuse(failure) => failure.code.into_owned(),
            Choice::Take(original) => original.sighting.key.to_string(),
        }
    }

    #[test]
    fn originals_are_all_but_what_came_of_them_and_what_no_image_is_called() {
        for name in ["temp/a.jpg", "photos/2024/b.JPG", "abc", "a.unknown", "a.svg", "images/a.jpg", "temp/a.heic"] {
            assert_eq!(choice(name, 1, false), name);
        }
        for name in ["image/a.jpg", "image/a.jpg.manifest.json", "old/a.jpg.manifest.json"] {
            assert_eq!(choice(name, 1, true), "Output", "{name}");
        }
        assert_eq!(choice("photos/", 0, false), "FolderMark");
        for name in ["a.TXT", "b/clip.mp4"] {
            assert_eq!(choice(name, 1, false), "Name");
            assert_eq!(choice(name, 1, true), name);
        }
        for name in ["photos/", "a//b.jpg", "a/../b.jpg"] {
            assert_eq!(choice(name, 1, false), "invalid_request", "{name}");
        }
    }

    #[test]
    fn no_name_of_an_image_is_in_the_list() {
        let images = ["jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "tif", "tiff", "bmp", "dib", "heic"];
        assert!(images.iter().all(|extension| !NO_IMAGE.contains(extension)));
        assert!(NO_IMAGE.is_sorted());
    }
}
