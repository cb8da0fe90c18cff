//! First step: read the original, and see whether its work is done already.

use futures::future::try_join_all;
use sha2::{Digest, Sha256};
use tintype_image::{Format, Limits};

use super::save::manifest_options;
use super::standing::{self, Standing};
use super::{ProcessError, Processor, Task, public};
use crate::error::Failure;
use crate::key::{Key, extension_for};
use crate::manifest::{Manifest, Variant};
use crate::preset::hex;
use crate::store::{Object, Precondition, StoreError};

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

/// A manifest in the store.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// What it says.
    pub manifest: Manifest,
    /// The entity tag of its own object, if the store has one.
    pub etag: Option<String>,
}

/// Reads an original's bytes within the limit.
pub async fn read(processor: &Processor, task: &Task) -> Result<Object, ProcessError> {
    Ok(processor.source.get_pinned(&task.key, &task.pin, processor.max_bytes).await?)
}

/// Refuses bytes other than those that the state which was asked for is known to have, though its entity tag be the same.
///
/// # Errors
/// `original_changed`, or [`ProcessError::Passing`].
pub async fn hold_to_first(task: &Task, object: &Object) -> Result<(), ProcessError> {
    let Some(first) = &task.first_bytes else { return Ok(()) };
    if first.are(&hex(&Sha256::digest(&object.bytes))).await? {
        return Ok(());
    }
    let why = format!("the object `{}` was replaced by other bytes of the same entity tag", task.key);
    Err(Failure::new("original_changed", why).into())
}

/// What the bytes are, and where what comes of them goes.
pub fn original(processor: &Processor, task: &Task, object: Object) -> Result<Original, ProcessError> {
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
///
/// # Errors
/// [`ProcessError::Superseded`] if what is sealed stays.
pub async fn finished(
    processor: &Processor,
    original: &Original,
    task: &Task,
) -> Result<Option<Manifest>, ProcessError> {
    let key = &original.manifest_key;
    let Some(Sealed { manifest, etag }) = sealed(processor, key).await? else { return Ok(None) };
    let policy = task.preset.metadata;
    match standing::of(processor, &manifest, original, task).await? {
        Standing::Superseded(why) => Err(ProcessError::Superseded { why, sealed: Box::new(manifest) }),
        Standing::Other => Ok(None),
        Standing::Same if !task.force && is_whole(processor, &manifest).await? => {
            Ok(Some(public::restored(manifest, original, policy)))
        }
        Standing::SameAgain if !task.force && is_whole(processor, &manifest).await? => {
            let mut manifest = manifest;
            let state = task.state(&original.object.meta);
            let now = &mut manifest.original;
            (now.version, now.sequencer, now.seal) = (state.version, state.sequencer, state.seal);
            let json = serde_json::to_vec_pretty(&manifest).map_err(|e| Failure::new("internal", e.to_string()))?;
            let options = manifest_options(etag.map_or(Precondition::None, Precondition::Etag));
            processor.target.put(key, json.clone().into(), &options).await?;
            if processor.target.is_remote() && processor.target.get(key, MAX_MANIFEST).await?.bytes != json {
                return Err(ProcessError::Passing(not_kept(key)));
            }
            Ok(Some(public::restored(manifest, original, policy)))
        }
        Standing::Same | Standing::SameAgain => Ok(None),
    }
}

/// What is said of a store that answers as if it had written.
pub(super) fn not_kept(key: &Key) -> String {
    format!("the store does not keep {key} as it is written")
}

/// The manifest at a key, if there is one.
pub async fn sealed(processor: &Processor, key: &Key) -> Result<Option<Sealed>, StoreError> {
    match processor.target.get(key, MAX_MANIFEST).await {
        Ok(stored) => {
            let manifest = serde_json::from_slice(&stored.bytes).ok();
            Ok(manifest.map(|manifest| Sealed { manifest, etag: stored.meta.etag }))
        }
        // Of a name that no object can have there is none.
        Err(
            StoreError::NotFound(_) | StoreError::TooLarge { .. } | StoreError::Damaged { .. } | StoreError::Invalid(_),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether every variant of a manifest is in the store, with the bytes that it says.
pub async fn is_whole(processor: &Processor, manifest: &Manifest) -> Result<bool, ProcessError> {
    let looks = manifest.variants.iter().map(|variant| is_there(processor, variant));
    Ok(try_join_all(looks).await?.into_iter().all(|there| there))
}

/// Whether a variant is in the store, and nothing else under its key. The entity tag it was written under says so; where
/// it is another, or unknown, the bytes do. That a tag may be an MD5 does no harm here: nobody but Tintype writes variants, and
/// whoever could make two of one MD5 would have uploaded both.
pub async fn is_there(processor: &Processor, variant: &Variant) -> Result<bool, ProcessError> {
    let found = match processor.target.head(&variant.key).await {
        Ok(found) => found,
        Err(StoreError::NotFound(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if found.size != variant.bytes {
        return Ok(false);
    }
    if variant.etag.is_some() && variant.etag == found.etag {
        return Ok(true);
    }
    has_bytes(processor, variant).await
}

/// The same, whatever its entity tag.
pub async fn has_bytes(processor: &Processor, variant: &Variant) -> Result<bool, ProcessError> {
    match processor.target.get(&variant.key, variant.bytes).await {
        Ok(object) => Ok(object.meta.size == variant.bytes && hex(&Sha256::digest(&object.bytes)) == variant.sha256),
        Err(StoreError::NotFound(_) | StoreError::TooLarge { .. } | StoreError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
