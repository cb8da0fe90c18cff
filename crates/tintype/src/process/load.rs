//! First step: read the original, and see whether its work is done already.

use futures::future::try_join_all;
use sha2::{Digest, Sha256};
use tintype_image::{Format, Limits};

use super::{ProcessError, Processor, Task, public};
use crate::error::Failure;
use crate::key::{Key, extension_for};
use crate::manifest::Manifest;
use crate::preset::{Preset, hex};
use crate::store::{Object, StoreError};

/// Most bytes of a manifest that is read back.
pub const MAX_MANIFEST: u64 = 1 << 20;

/// An original in memory.
pub struct Original {
    /// Bytes, and what the store says of them.
    pub object: Object,
    /// What the bytes are.
    pub format: Format,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// The extension of its variants of the same format.
    pub extension: String,
    /// Where its manifest goes.
    pub manifest_key: Key,
}

/// Reads an original within the limit of bytes.
pub async fn original(processor: &Processor, task: &Task) -> Result<Original, ProcessError> {
    let object = processor.source.get_pinned(&task.key, &task.pin, processor.max_bytes).await?;
    let format = sniff(&object)?;
    let sha256 = hex(&Sha256::digest(&object.bytes));
    let extension = extension_for(&task.key, task.extension.as_deref(), format);
    let manifest_key = processor
        .layout
        .manifest_key(&task.key, &extension)
        .map_err(|e| Failure::new("invalid_request", e.to_string()))?;
    Ok(Original { object, format, sha256, extension, manifest_key })
}

/// Bytes decide the type; a name or header never does. The image crate words the refusal.
fn sniff(object: &Object) -> Result<Format, ProcessError> {
    if let Some(format) = Format::sniff(&object.bytes) {
        return Ok(format);
    }
    tintype_image::probe(&object.bytes, &Limits::default())?;
    Err(Failure::new("unsupported_format", "the bytes are of no known image format").into())
}

/// The manifest of the same original under the same preset, if it and all its variants are there.
pub async fn finished(
    processor: &Processor,
    original: &Original,
    preset: &Preset,
) -> Result<Option<Manifest>, ProcessError> {
    let Some(manifest) = stored_manifest(processor, &original.manifest_key).await? else {
        return Ok(None);
    };
    let meta = &original.object.meta;
    let same = manifest.original.sha256 == original.sha256
        && manifest.original.key == meta.key
        && manifest.original.etag == meta.etag
        && public::is_of(&manifest, &meta.metadata, preset.metadata)
        && manifest.preset == preset.reference();
    let is_finished = same && is_whole(processor, &manifest).await?;
    Ok(is_finished.then(|| public::restored(manifest, original, preset.metadata)))
}

/// The manifest at a key, if there is one.
pub async fn stored_manifest(processor: &Processor, key: &Key) -> Result<Option<Manifest>, StoreError> {
    match processor.target.get(key, MAX_MANIFEST).await {
        Ok(stored) => Ok(serde_json::from_slice(&stored.bytes).ok()),
        Err(StoreError::NotFound(_) | StoreError::TooLarge { .. } | StoreError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether every variant of a manifest is in the store.
pub async fn is_whole(processor: &Processor, manifest: &Manifest) -> Result<bool, ProcessError> {
    let looks = manifest.variants.iter().map(|variant| async {
        match processor.target.head(&variant.key).await {
            Ok(found) => Ok(found.size == variant.bytes),
            Err(StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    });
    Ok(try_join_all(looks).await?.into_iter().all(|there| there))
}
