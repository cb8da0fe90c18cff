//! What of a finished original the public can read, who reads the bucket of variants: by the preset's rule of metadata, not
//! its pictures alone. The rest is for the backend: row, answers and callbacks have all of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tintype_image::{MetadataPolicy, taken};

use super::load::Original;
use crate::manifest::{Camera, Manifest};

/// The manifest as it is stored beside the variants.
pub fn manifest(manifest: &Manifest, policy: MetadataPolicy) -> Cow<'_, Manifest> {
    if is_public(manifest, policy) {
        return Cow::Borrowed(manifest);
    }
    let mut public = manifest.clone();
    public.metadata.clear();
    (public.image.taken_at, public.image.camera) = (None, None);
    Cow::Owned(public)
}

/// The client's own metadata, as variants carry it.
pub fn metadata(metadata: &BTreeMap<String, String>, policy: MetadataPolicy) -> BTreeMap<String, String> {
    if policy == MetadataPolicy::None { BTreeMap::new() } else { metadata.clone() }
}

/// Whether a stored manifest says no more than the rule allows. Those of versions before said all.
pub fn is_public(manifest: &Manifest, policy: MetadataPolicy) -> bool {
    let image = &manifest.image;
    policy != MetadataPolicy::None
        || (manifest.metadata.is_empty() && image.taken_at.is_none() && image.camera.is_none())
}

/// Whether a stored manifest can be of an original with this metadata. Where nothing public holds any of it, none is a reason
/// to write anything again.
pub fn is_of(stored: &Manifest, metadata: &BTreeMap<String, String>, policy: MetadataPolicy) -> bool {
    is_public(stored, policy) && (policy == MetadataPolicy::None || stored.metadata == *metadata)
}

/// All that a stored manifest said before it was stored: the original that it is of says the rest.
pub fn restored(mut stored: Manifest, original: &Original, policy: MetadataPolicy) -> Manifest {
    if policy == MetadataPolicy::None {
        stored.metadata = original.object.meta.metadata.clone();
        let (at, camera) = taken(&original.object.bytes);
        stored.image.taken_at = at;
        stored.image.camera = camera.map(|tintype_image::Camera { make, model, lens }| Camera { make, model, lens });
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Manifest {
        serde_json::from_value(serde_json::json!({
            "original": {"key": "temp/a.jpg", "bytes": 1, "content_type": "image/jpeg", "width": 1, "height": 1, "etag": "e",
                         "sha256": "s"},
            "variants": [],
            "image": {"format": "jpeg", "orientation": 1, "frames": 1, "has_alpha": false, "thumbhash": "", "dominant_color": "",
                      "taken_at": "2024-05-06T07:08:09", "camera": {"make": "Maker", "model": null, "lens": null}},
            "metadata": {"id": "SECRET"}, "preset": {"name": "default", "version": "v"}, "engine": "tintype"
        }))
        .expect("a manifest")
    }

    #[test]
    fn without_metadata_the_public_manifest_says_nothing_of_when_by_what_and_whose() {
        let told = told();
        for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::Keep] {
            assert_eq!(*manifest(&told, policy), told);
            assert_eq!(metadata(&told.metadata, policy), told.metadata);
            assert!(is_of(&told, &told.metadata, policy) && !is_of(&told, &BTreeMap::new(), policy));
        }
        let public = manifest(&told, MetadataPolicy::None);
        let text = serde_json::to_string(&*public).expect("it is JSON");
        assert!(!text.contains("SECRET") && !text.contains("2024") && !text.contains("Maker"), "{text}");
        assert!(metadata(&told.metadata, MetadataPolicy::None).is_empty());
        assert!(
            is_of(&public, &told.metadata, MetadataPolicy::None),
            "metadata is not compared with what is not there"
        );
        assert!(!is_of(&told, &told.metadata, MetadataPolicy::None), "what says too much is written again");
    }
}
