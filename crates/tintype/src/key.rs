//! Object keys. Nothing else in the program formats or parses one.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tintype_image::{Format, OutputFormat};

use crate::preset::{Preset, hex};
use crate::upload::UploadId;

/// Longest key S3 allows, in bytes of UTF-8.
const MAX_BYTES: usize = 1024;
/// Longest name of a variant, in bytes.
const MAX_NAME: usize = 64;
/// What the key of a manifest ends in.
const MANIFEST: &str = ".manifest.json";
/// What the key of a claim ends in: no extension, so no variant's key ends in it.
const CLAIM: &str = ".in-work";
/// Longest thing after a dot that is taken for an extension.
const MAX_EXTENSION: usize = 10;
/// Longest name of an upload's original: its id, a dot and an extension.
const MAX_UPLOAD_NAME: usize = 32 + 1 + MAX_EXTENSION;

/// The path of one object in a bucket. Never empty, never rooted, never with `.` or `..` as a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(value_type = String, example = "image/abc_50x50.jpg"))]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// No text at all.
    #[error("a key cannot be empty")]
    Empty,
    /// Past 1024 bytes.
    #[error("a key of {0} bytes is too long; S3 allows 1024")]
    TooLong(usize),
    /// `/a`, `a//b`, `a/../b`, or a control character.
    #[error("the key {0:?} has an empty, `.` or `..` segment, or a control character")]
    Segment(String),
}

impl Key {
    /// Checks and wraps a key.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(KeyError::TooLong(text.len()));
        }
        let bad_segment = text.split('/').any(|s| matches!(s, "" | "." | ".."));
        // XML, which S3 lists keys in, has neither control characters nor these two.
        let unlistable = |c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}');
        if bad_segment || text.chars().any(unlistable) {
            return Err(KeyError::Segment(text));
        }
        Ok(Self(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The extension, in lower case and less its dot: of `a/b.JPG`, `jpg`. A leading dot starts none.
    pub fn extension(&self) -> Option<String> {
        split_extension(&self.0).1.map(str::to_ascii_lowercase)
    }
}

/// Splits `a/b.jpg` in `a/b` and `jpg`.
fn split_extension(path: &str) -> (&str, Option<&str>) {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name_at..].rfind('.') {
        Some(dot) if dot > 0 => {
            let extension = &path[name_at + dot + 1..];
            if is_extension(extension) { (&path[..name_at + dot], Some(extension)) } else { (path, None) }
        }
        _ => (path, None),
    }
}

/// Whether a text can end a key as its extension.
pub(crate) fn is_extension(text: &str) -> bool {
    (1..=MAX_EXTENSION).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The extension of a client's file name, fit for a key, with the case the client gave it.
pub fn extension_of_filename(filename: &str) -> Option<&str> {
    let name = filename.rsplit(['/', '\\']).next().unwrap_or(filename);
    split_extension(name).1
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// The two folders of a bucket: where originals arrive, and where variants go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    prefix: String,
    folder: String,
}

/// `temp/` and `image/`.
impl Default for Layout {
    fn default() -> Self {
        Self { prefix: "temp/".to_owned(), folder: "image/".to_owned() }
    }
}

/// Why two folders cannot be a layout.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LayoutError {
    /// One holds the other, so a variant would start the processor again.
    #[error(
        "upload.prefix {prefix:?} and variants.folder {folder:?} overlap: every variant would be processed as an upload, for ever"
    )]
    Overlap {
        /// Where originals arrive.
        prefix: String,
        /// Where variants go.
        folder: String,
    },
    /// Not a possible part of a key.
    #[error("`{0}` is not a folder: {1}")]
    NotAFolder(String, KeyError),
}

impl Layout {
    /// A layout of a prefix for uploads and a folder for variants. A missing last slash is added.
    ///
    /// # Errors
    /// When one holds the other, one is no key, or the prefix leaves no room for an upload's name.
    pub fn new(prefix: &str, folder: &str) -> Result<Self, LayoutError> {
        // The whole bucket holds every folder.
        if [prefix, folder].iter().any(|text| matches!(*text, "" | "/")) {
            return Err(LayoutError::Overlap { prefix: prefix.to_owned(), folder: folder.to_owned() });
        }
        let (prefix, folder) = (as_folder(prefix)?, as_folder(folder)?);
        if prefix.starts_with(&folder) || folder.starts_with(&prefix) {
            return Err(LayoutError::Overlap { prefix, folder });
        }
        let longest = prefix.len() + MAX_UPLOAD_NAME;
        if longest > MAX_BYTES {
            return Err(LayoutError::NotAFolder(prefix, KeyError::TooLong(longest)));
        }
        Ok(Self { prefix, folder })
    }

    /// The layout of `tintype process`: inputs come from elsewhere, so no prefix can overlap.
    pub fn for_files(folder: &str) -> Result<Self, LayoutError> {
        Ok(Self { prefix: String::new(), folder: as_folder(folder)? })
    }

    /// Where originals arrive; ends in a slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where variants go; ends in a slash.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// `temp/<id>.<extension>`, where a new upload is to be put.
    pub fn upload_key(&self, id: &UploadId, extension: Option<&str>) -> Key {
        let dot = if extension.is_some() { "." } else { "" };
        Key(format!("{}{id}{dot}{}", self.prefix, extension.unwrap_or_default()))
    }

    /// The key of an object of a given name where originals arrive.
    ///
    /// # Errors
    /// When the name cannot end a key.
    pub fn original_named(&self, name: &str) -> Result<Key, KeyError> {
        Key::new(format!("{}{name}", self.prefix))
    }

    /// The key of an object of a given name where variants go.
    ///
    /// # Errors
    /// When the name cannot end a key.
    pub fn output_named(&self, name: &str) -> Result<Key, KeyError> {
        Key::new(format!("{}{name}", self.folder))
    }

    /// Whether a key is one that [`Self::upload_key`] makes: it names the upload that was asked for.
    pub fn is_upload_key(&self, key: &Key) -> bool {
        let made = |id: UploadId| self.upload_key(&id, split_extension(&key.0).1);
        key.0.starts_with(&self.prefix) && self.upload_id(key).map(made).as_ref() == Some(key)
    }

    /// Whether a key is one that [`Self::upload_key`] makes of this id. What others put there may be called as an upload is.
    pub fn is_upload_key_of(&self, key: &Key, id: &UploadId) -> bool {
        self.is_upload_key(key) && self.upload_id(key).as_ref() == Some(id)
    }

    /// The id in a key that [`Self::upload_key`] made.
    pub fn upload_id(&self, key: &Key) -> Option<UploadId> {
        UploadId::parse(split_extension(self.relative(key)).0)
    }

    /// The key less the prefix of uploads; a key outside the prefix stays whole.
    pub fn relative<'a>(&self, original: &'a Key) -> &'a str {
        match original.0.strip_prefix(&self.prefix) {
            Some(rest) if !rest.is_empty() => rest,
            _ => &original.0,
        }
    }

    /// Whether a key lies where variants go, and so is never an original.
    pub fn is_output(&self, key: &Key) -> bool {
        key.0.starts_with(&self.folder)
    }

    /// The key of a variant, with the extension that it was found to have.
    ///
    /// # Errors
    /// When the key grows past what S3 allows.
    pub fn variant_key(&self, original: &Key, variant: &str, extension: &str) -> Result<Key, KeyError> {
        let (stem, _) = split_extension(self.relative(original));
        Key::new(format!("{}{stem}{}.{extension}", self.folder, suffix(variant)))
    }

    /// The id of an upload that is known by its key, and what the keys of all its variants begin with.
    pub fn output_prefix(&self, original: &Key) -> Option<(UploadId, String)> {
        let id = self.upload_id(original).filter(|_| self.is_upload_key(original))?;
        let prefix = format!("{}{id}", self.folder);
        Some((id, prefix))
    }

    /// Every key that developing an original can write a variant of a preset to. `extension` is that of
    /// [`extension_for`].
    pub fn possible_keys(&self, original: &Key, preset: &Preset, extension: &str) -> Vec<Key> {
        let keys = preset.variants.iter().flat_map(|spec| {
            let extensions = possible_extensions(extension, spec.format).into_iter();
            extensions.filter_map(|extension| self.variant_key(original, &spec.name, &extension).ok())
        });
        keys.collect()
    }

    /// The key of the manifest that seals an original's variants. `extension` is that of [`extension_for`].
    pub fn manifest_key(&self, original: &Key, extension: &str) -> Result<Key, KeyError> {
        Key::new(format!("{}{MANIFEST}", self.variant_key(original, "original", extension)?))
    }
}

impl Layout {
    /// What the names of all outputs of an original begin with, less the folder of variants. Originals that have it in common
    /// may write to the same keys: `a.jpg` and `a.JPG`, `a.png` and `a.jpg` where both give `a_64.webp`.
    pub fn names<'a>(&self, original: &'a Key) -> &'a str {
        split_extension(self.relative(original)).0
    }

    /// The key of the object that says who works on originals of such names.
    ///
    /// # Errors
    /// When the folder leaves no room for it.
    pub fn claim_key(&self, original: &Key) -> Result<Key, KeyError> {
        let names = self.names(original);
        Key::new(format!("{}{names}{CLAIM}", self.folder)).or_else(|_| {
            // What is made of it would be too long as well, and that is for the steps to say.
            Key::new(format!("{}{}{CLAIM}", self.folder, hex(&Sha256::digest(names))))
        })
    }

    /// What the originals of an object in the folder of variants can be called there, less their extension: an underscore
    /// of the last segment may be where a variant's name begins, or not.
    pub fn possible_stems(&self, object: &Key) -> Vec<String> {
        let stem = split_extension(object.0.strip_prefix(&self.folder).unwrap_or(&object.0)).0;
        let name_at = stem.rfind('/').map_or(0, |slash| slash + 1);
        let cuts = stem[name_at..].match_indices('_').map(|(at, _)| stem[..name_at + at].to_owned());
        std::iter::once(stem.to_owned()).chain(cuts).filter(|stem| !stem.is_empty() && !stem.ends_with('/')).collect()
    }

    /// Where a manifest that names an object can be, given what its original may be called.
    pub fn possible_manifests(&self, stem: &str, object: &Key) -> Vec<Key> {
        let own = object.extension();
        let usual = Format::ALL.iter().map(|format| format.extension().to_owned()).chain(["jpg".into(), "tif".into()]);
        let mut extensions: Vec<String> = own.into_iter().chain(usual).collect();
        let mut seen = std::collections::HashSet::new();
        extensions.retain(|extension| seen.insert(extension.clone()));
        extensions.iter().filter_map(|e| Key::new(format!("{}{stem}.{e}{MANIFEST}", self.folder)).ok()).collect()
    }
}

impl Layout {
    /// Why no original may have this name, if so: what is made of it would be the manifest of another, or one of its
    /// variants. `suffixes` are those of all variants there are ([`suffix`]).
    pub fn clash(&self, original: &Key, suffixes: &[String]) -> Option<String> {
        let (stem, extension) = split_extension(self.relative(original));
        let dot_extension =
            extension.map(|extension| format!(".{}", extension.to_ascii_lowercase())).unwrap_or_default();
        if format!("{stem}{dot_extension}").ends_with(MANIFEST) {
            return Some(format!("a name that ends in {MANIFEST} is a manifest's"));
        }
        let name = &stem[stem.rfind('/').map_or(0, |slash| slash + 1)..];
        let ends = |suffix: &&String| name.strip_suffix(suffix.as_str()).is_some_and(|rest| !rest.is_empty());
        let suffix = suffixes.iter().filter(|suffix| !suffix.is_empty()).find(ends)?;
        let base = name.strip_suffix(suffix.as_str()).unwrap_or_default();
        Some(format!("its name ends in `{suffix}`, as that of a variant of {base:?} does: rename it"))
    }

    /// Where the manifests of originals are that are called the same but for their extensions.
    pub fn manifests_beside(&self, original: &Key) -> Vec<Key> {
        self.possible_manifests(split_extension(self.relative(original)).0, original)
    }

    /// Whether a key is one that a variant of an original has, of one of these names and with whatever extension.
    pub fn is_variant_of(&self, original: &Key, key: &Key, suffixes: &[String]) -> bool {
        let stem = split_extension(self.relative(original)).0;
        let (path, extension) = split_extension(&key.0);
        let rest = path.strip_prefix(&self.folder).and_then(|path| path.strip_prefix(stem));
        extension.is_some() && rest.is_some_and(|rest| suffixes.iter().any(|suffix| suffix == rest))
    }
}

/// Whether a key is a manifest's, by its name alone: of this layout or of one before.
pub fn is_manifest(key: &Key) -> bool {
    key.0.ends_with(MANIFEST)
}

/// Where the manifest of an original would be whose variant `original` has a key.
pub fn manifest_of(original_variant: &Key) -> Option<Key> {
    Key::new(format!("{original_variant}{MANIFEST}")).ok()
}

/// The variant `original` that a manifest would be beside, by its place.
pub fn of_manifest(place: &Key) -> Option<Key> {
    Key::new(place.0.strip_suffix(MANIFEST)?).ok()
}

/// What a variant's name adds to the stem of its original. Names with one suffix would be one key.
pub fn suffix(variant: &str) -> String {
    match variant {
        "original" => String::new(),
        _ => format!("_{}", variant.strip_prefix("original_").unwrap_or(variant)),
    }
}

/// Whether a variant's name can be a part of a key, and of nothing else: no dot, no slash.
pub fn is_variant_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// A folder as keys begin with it; a missing last slash is added.
///
/// # Errors
/// When it cannot begin a key.
pub fn as_folder(text: &str) -> Result<String, LayoutError> {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    match Key::new(trimmed) {
        Ok(key) => Ok(format!("{key}/")),
        Err(why) => Err(LayoutError::NotAFolder(text.to_owned(), why)),
    }
}

/// The extension variants get: the one that was promised, or the key's own, or the format's.
pub fn extension_for(original: &Key, promised: Option<&str>, format: Format) -> String {
    original.extension().or_else(|| promised.map(str::to_owned)).unwrap_or_else(|| format.extension().to_owned())
}

/// The extension of a variant made in a format, given that of its original: that one, if it says the same.
pub fn extension_in(original: &str, format: Format) -> String {
    if says(original, format) { original.to_owned() } else { format.extension().to_owned() }
}

/// The extension of a variant before its image is seen; `original` is that of the original, where it is known.
pub fn promised_extension(original: Option<&str>, output: OutputFormat) -> Option<String> {
    match output {
        OutputFormat::Same => original.map(str::to_owned),
        _ => output.fixed().map(|format| extension_in(original.unwrap_or_default(), format)),
    }
}

/// What the names of all that the doctor writes begin with; 12 hex digits follow.
pub const DOCTORS_NAME: &str = "tintype-doctor-";

/// Whether an original is the doctor's, which removes it and all that was made of it: a server's row of it stays, and no
/// backend is told of it.
pub fn is_of_doctor(key: &Key) -> bool {
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    // Of the whole form, so that few other files are taken for one.
    name.strip_prefix(DOCTORS_NAME).and_then(|rest| rest.strip_suffix(".png")).is_some_and(|rest| {
        let (random, what) = rest.split_at_checked(12).unwrap_or_default();
        !random.is_empty()
            && random.bytes().all(|b| b.is_ascii_hexdigit())
            && (what.is_empty() || what.starts_with('-'))
    })
}

/// The extensions of images that are read, in lower case.
pub fn image_extensions() -> Vec<&'static str> {
    let of = |format: Format| std::iter::once(format.extension()).chain(also(format).iter().copied());
    let mut known: Vec<_> = Format::ALL.into_iter().flat_map(of).collect();
    if cfg!(feature = "heif") {
        known.extend(["avif", "heic", "heif", "hif"]);
    }
    known
}

/// Every extension that a variant can come to have.
fn possible_extensions(original: &str, output: OutputFormat) -> Vec<String> {
    match promised_extension(Some(original), output) {
        Some(extension) => vec![extension],
        None => Format::ALL.iter().map(|format| extension_in(original, *format)).collect(),
    }
}

fn says(extension: &str, format: Format) -> bool {
    extension == format.extension() || also(format).contains(&extension)
}

/// What images of a format are called too.
const fn also(format: Format) -> &'static [&'static str] {
    match format {
        Format::Jpeg => &["jpg", "jpe", "jfif"],
        Format::Png => &["apng"],
        Format::Tiff => &["tif"],
        Format::Bmp => &["dib"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
