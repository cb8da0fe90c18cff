//! Before any pixel: what is made of an original never takes the place of what came of another.

use futures::future::try_join_all;

use super::load::{Original, Sealed, sealed};
use super::{ProcessError, Processor, Task};
use crate::error::Failure;
use crate::key::{self, Key};
use crate::manifest::Manifest;
use crate::preset::Preset;

/// Refuses an original by its name alone, whatever else is in the bucket: its outputs would be those of another.
///
/// # Errors
/// `key_conflict`.
pub fn by_name(processor: &Processor, original: &Key) -> Result<(), Failure> {
    let Some(suffixes) = &processor.suffixes else { return Ok(()) };
    match processor.layout.clash(original, suffixes) {
        Some(why) => Err(Failure::new("key_conflict", format!("{original} cannot be an original: {why}"))),
        None => Ok(()),
    }
}

/// Refuses an original whose outputs are those of another by now: `a.JPG` after `a.jpg`, or `a.png` where both give
/// `a_64.webp`. Not asked where the names of what is made are known to be the original's own.
///
/// # Errors
/// `key_conflict`, or [`ProcessError::Passing`].
pub async fn by_manifest(processor: &Processor, original: &Original, task: &Task) -> Result<(), ProcessError> {
    if task.has_own_names {
        return Ok(());
    }
    let preset = &task.preset;
    let key = &original.object.meta.key;
    let places = places(processor, key, &original.manifest_key, preset);
    let outputs = processor.layout.possible_keys(key, preset, &original.extension);
    let stored = try_join_all(places.iter().map(|place| sealed(processor, place))).await?;
    for (place, Sealed { manifest, .. }) in places.iter().zip(stored).filter_map(|(place, set)| Some((place, set?))) {
        let meets = || *place == original.manifest_key || has_one_of(processor, &manifest, place, preset, &outputs);
        if manifest.original.key != *key && meets() {
            return Err(taken(key, &manifest.original.key).into());
        }
    }
    Ok(())
}

/// Refuses an original in whose manifest's place another's is: outside of this program's locks, by a program in the same
/// bucket that knows none.
///
/// # Errors
/// `key_conflict`.
pub fn by_set(processor: &Processor, original: &Original, there: &Manifest) -> Result<(), Failure> {
    let key = &original.object.meta.key;
    if processor.suffixes.is_some() && there.original.key != *key {
        Err(taken(key, &there.original.key))
    } else {
        Ok(())
    }
}

/// Whether a set has one of some keys, or will, once it is made again: its preset may have grown since.
fn has_one_of(processor: &Processor, set: &Manifest, place: &Key, preset: &Preset, keys: &[Key]) -> bool {
    if set.variants.iter().any(|variant| keys.contains(&variant.key)) {
        return true;
    }
    let extension = key::of_manifest(place).and_then(|original| original.extension());
    let Some(extension) = extension.filter(|_| set.preset.name == preset.name) else { return false };
    processor.layout.possible_keys(&set.original.key, preset, &extension).iter().any(|made| keys.contains(made))
}

/// Where the manifests of others are looked for; nowhere where none can be met.
pub fn places(processor: &Processor, original: &Key, manifest_key: &Key, preset: &Preset) -> Vec<Key> {
    if processor.suffixes.is_none() {
        return Vec::new();
    }
    let mut places = vec![manifest_key.clone()];
    if !preset.keeps_formats() {
        let beside = processor.layout.manifests_beside(original);
        places.extend(beside.into_iter().filter(|place| place != manifest_key));
    }
    places
}

/// What is told of an original whose outputs are those of another.
pub fn taken(original: &Key, by: &Key) -> Failure {
    Failure::new(
        "key_conflict",
        format!(
            "the variants of {original} would take the place of those of {by}: rename one, or delete {by} and its variants"
        ),
    )
}
