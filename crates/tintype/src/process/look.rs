//! Before the first step, where a listing is all that is known: whether an original is done, without reading it.

use futures::future::try_join_all;
use tintype_image::Format;

use super::load::{Sealed, is_whole, sealed};
use super::{ProcessError, Processor, conflict, public};
use crate::key::{Key, extension_for};
use crate::manifest::Manifest;
use crate::preset::Preset;
use crate::store::StoreError;

/// What a listing says of an original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its key.
    pub key: Key,
    /// Its entity tag, unquoted.
    pub etag: Option<String>,
    /// Its bytes.
    pub size: u64,
}

/// What the store holds for an original already.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing, or what came of another state of it, of another preset version, or not all of it.
    Nothing,
    /// All there is to be made of it.
    Finished(Box<Manifest>),
    /// What came of another original, whose keys its own would be.
    OfAnother(Key),
}

/// Looks at the manifest, and then for its variants.
pub async fn look(processor: &Processor, original: &Sighting, preset: &Preset) -> Result<Found, ProcessError> {
    conflict::by_name(processor, &original.key)?;
    let keys = manifest_keys(processor, &original.key);
    let stored = try_join_all(keys.iter().map(|key| sealed(processor, key))).await?;
    for Sealed { manifest, .. } in stored.into_iter().flatten() {
        if manifest.original.key != original.key {
            // Without an extension it may come to keys other than these.
            if keys.len() == 1 {
                return Ok(Found::OfAnother(manifest.original.key));
            }
        } else if is_of(&manifest, original, preset) && is_whole(processor, &manifest).await? {
            return Ok(Found::Finished(Box::new(manifest)));
        }
    }
    Ok(Found::Nothing)
}

/// Every set that is sealed for an original, and where its manifest is. Mostly one; without an extension, bytes of another
/// format have had another.
pub async fn sets_of(processor: &Processor, original: &Key) -> Result<Vec<(Key, Manifest)>, StoreError> {
    let keys = manifest_keys(processor, original);
    let stored = try_join_all(keys.iter().map(|key| sealed(processor, key))).await?;
    let sets = keys.into_iter().zip(stored).filter_map(|(key, sealed)| Some((key, sealed?.manifest)));
    Ok(sets.filter(|(_, manifest)| manifest.original.key == *original).collect())
}

/// Where the manifest of an original can be. One place, but for a key without an extension, which gets that of its format.
pub fn manifest_keys(processor: &Processor, original: &Key) -> Vec<Key> {
    let of = |format| processor.layout.manifest_key(original, &extension_for(original, None, format)).ok();
    let iso: &[Format] = if cfg!(feature = "heif") { &[Format::Avif, Format::Heic] } else { &[] };
    let mut keys: Vec<Key> = Format::ALL.into_iter().chain(iso.iter().copied()).filter_map(of).collect();
    keys.dedup();
    keys
}

/// An entity tag changes with every change of the bytes. Without one nothing can be told.
fn is_of(manifest: &Manifest, original: &Sighting, preset: &Preset) -> bool {
    original.etag.is_some()
        && manifest.original.etag == original.etag
        && manifest.original.bytes == original.size
        && manifest.preset == preset.reference()
        && public::is_public(manifest, preset.metadata)
}
