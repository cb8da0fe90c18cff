//! What came of one original: one shape for the command line, callbacks, status and the stored object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{Key, Layout};
use crate::store::Pin;

/// Name and version of the program, as manifests record it.
pub const ENGINE: &str = concat!("tintype ", env!("CARGO_PKG_VERSION"));

/// The record of one finished original. Written last, so its presence means that all variants are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Manifest {
    /// The object that was read.
    pub original: Original,
    /// What was written, in the preset's order.
    pub variants: Vec<Variant>,
    /// Facts of the image.
    pub image: Image,
    /// What is missing of a damaged original; absent where it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Damaged>,
    /// The client's own metadata (`x-amz-meta-*`).
    #[cfg_attr(feature = "server", schema(example = json!({"id": "12345"})))]
    pub metadata: BTreeMap<String, String>,
    /// Which preset made it.
    pub preset: PresetRef,
    /// Which program made it.
    #[cfg_attr(feature = "server", schema(example = "tintype 0.1.0"))]
    pub engine: String,
}

/// The object the client sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Original {
    /// Its key.
    pub key: Key,
    /// Its size in bytes.
    #[cfg_attr(feature = "server", schema(example = 2412345))]
    pub bytes: u64,
    /// What its bytes are, whatever was declared.
    #[cfg_attr(feature = "server", schema(example = "image/jpeg"))]
    pub content_type: String,
    /// Pixels across, upright.
    #[cfg_attr(feature = "server", schema(example = 3024))]
    pub width: u32,
    /// Pixels down, upright.
    #[cfg_attr(feature = "server", schema(example = 4032))]
    pub height: u32,
    /// The store's entity tag, unquoted.
    #[cfg_attr(feature = "server", schema(example = "d41d8cd98f00b204e9800998ecf8427e"))]
    pub etag: Option<String>,
    /// SHA-256 in hex.
    #[cfg_attr(
        feature = "server",
        schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
    )]
    pub sha256: String,
    /// Its version or generation, in a bucket that keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"))]
    pub version: Option<String>,
    /// Its place in the store's order of what happened to its key, if the store's event told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "0055AED6DCD90281E5"))]
    pub sequencer: Option<String>,
    /// A random name of the set, where neither of these tells one state of the original from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "b8a1f6f3c5dd4f0e9f3a4a0c2d7e6b19"))]
    pub seal: Option<String>,
}

/// One image made from the original.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Variant {
    /// Its name in the preset.
    #[cfg_attr(feature = "server", schema(example = "400x400"))]
    pub name: String,
    /// Its key.
    pub key: Key,
    /// Where it can be fetched, if the store is public.
    #[cfg_attr(
        feature = "server",
        schema(example = "https://images.example.com/image/0123456789abcdef0123456789abcdef_400x400.jpg")
    )]
    pub url: Option<String>,
    /// What its bytes are.
    #[cfg_attr(feature = "server", schema(example = "image/jpeg"))]
    pub content_type: String,
    /// Pixels across, upright.
    #[cfg_attr(feature = "server", schema(example = 300))]
    pub width: u32,
    /// Pixels down, upright.
    #[cfg_attr(feature = "server", schema(example = 400))]
    pub height: u32,
    /// Its size in bytes.
    #[cfg_attr(feature = "server", schema(example = 23456))]
    pub bytes: u64,
    /// SHA-256 in hex.
    #[cfg_attr(
        feature = "server",
        schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
    )]
    pub sha256: String,
    /// The store's entity tag of it, unquoted, if the store has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "d41d8cd98f00b204e9800998ecf8427e"))]
    pub etag: Option<String>,
}

/// Facts of the image, for a page to use before it has any variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Image {
    /// `jpeg`, `png`, `gif`, `webp`, `tiff` or `bmp`.
    #[cfg_attr(feature = "server", schema(example = "jpeg"))]
    pub format: String,
    /// EXIF orientation, 1 to 8.
    #[cfg_attr(feature = "server", schema(example = 6))]
    pub orientation: u8,
    /// Frames of an animation; 1 for a still.
    #[cfg_attr(feature = "server", schema(example = 1))]
    pub frames: u32,
    /// Whether the format carries transparency for this image.
    pub has_alpha: bool,
    /// ThumbHash in base64.
    #[cfg_attr(feature = "server", schema(example = "3OcRJYB4d3h/iIeHeEh3eIhw+j2w"))]
    pub thumbhash: String,
    /// BlurHash; absent from manifests of versions before it.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(example = "LEHV6nWB2yk8pyo0adR*.7kCMdnj"))]
    pub blurhash: Option<String>,
    /// The first of `palette`, `#rrggbb`.
    #[cfg_attr(feature = "server", schema(example = "#a07b52"))]
    pub dominant_color: String,
    /// Up to six colours, the most frequent first; empty in manifests of versions before it.
    #[serde(default)]
    pub palette: Vec<Swatch>,
    /// 64 bits in hex, alike for pictures that look alike; absent from manifests of versions before it.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(example = "d4c4a4b4e4c8d0e0"))]
    pub perceptual_hash: Option<String>,
    /// When the photo was taken (EXIF), ISO 8601.
    #[cfg_attr(feature = "server", schema(example = "2026-05-01T14:29:51+02:00"))]
    pub taken_at: Option<String>,
    /// What it was taken with (EXIF).
    #[serde(default)]
    pub camera: Option<Camera>,
}

/// What is missing of a damaged original, which is shown as browsers show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Damaged {
    /// The part of its rows that is there, 0 to 1; of all frames, if it is an animation. 1: only its end marker, or
    /// something else beside the pixels, is missing or wrong.
    #[cfg_attr(feature = "server", schema(example = 0.87))]
    pub rows: f64,
    /// What is wrong.
    #[cfg_attr(feature = "server", schema(example = "the JPEG ends early"))]
    pub why: String,
}

/// One colour of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Swatch {
    /// `#rrggbb`.
    #[cfg_attr(feature = "server", schema(example = "#a07b52"))]
    pub color: String,
    /// How much of the image it stands for, 0.01 to 1.
    #[cfg_attr(feature = "server", schema(example = 0.41))]
    pub share: f64,
}

/// What a photo was taken with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Camera {
    /// Who made the camera.
    #[cfg_attr(feature = "server", schema(example = "FUJIFILM"))]
    pub make: Option<String>,
    /// Which of theirs it is.
    #[cfg_attr(feature = "server", schema(example = "X-T5"))]
    pub model: Option<String>,
    /// The model of the lens.
    #[cfg_attr(feature = "server", schema(example = "XF23mmF2 R WR"))]
    pub lens: Option<String>,
}

/// A preset by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PresetRef {
    /// Its name.
    #[cfg_attr(feature = "server", schema(example = "default"))]
    pub name: String,
    /// The hash of its content.
    #[cfg_attr(feature = "server", schema(example = "5f2c1a9be07d"))]
    pub version: String,
}

impl Original {
    /// The state of it that was read.
    pub fn pin(&self) -> Pin {
        Pin {
            etag: self.etag.clone(),
            version: self.version.clone(),
            sequencer: self.sequencer.clone(),
            sha256: Some(self.sha256.clone()),
        }
    }
}

impl Manifest {
    /// The keys of its variants that are such as those of this original are: anyone who may write to the folder can have
    /// written a manifest that names others'.
    pub fn own_keys(&self, layout: &Layout, original: &Key) -> Vec<Key> {
        let is_own = |variant: &&Variant| {
            let key = variant.key.extension().map(|extension| layout.variant_key(original, &variant.name, &extension));
            key.is_some_and(|key| key.as_ref() == Ok(&variant.key))
        };
        let own = self.variants.iter().filter(|_| self.original.key == *original).filter(is_own);
        own.map(|variant| variant.key.clone()).collect()
    }

    /// Whether both seal the same variants of the same bytes.
    pub fn is_set_of(&self, other: &Self) -> bool {
        let set = |manifest: &Self| {
            manifest.variants.iter().map(|variant| (variant.key.clone(), variant.sha256.clone())).collect::<Vec<_>>()
        };
        self.original.sha256 == other.original.sha256 && set(self) == set(other)
    }

    /// The key of the variant called `original`, which the seed's API calls the processed key.
    pub fn processed_key(&self) -> Option<&Key> {
        self.variants.iter().find(|v| v.name == "original").map(|v| &v.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_an_older_version_are_read() {
        let old = r##"{"format": "jpeg", "orientation": 1, "frames": 1, "has_alpha": false,
                      "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w", "dominant_color": "#a07b52", "taken_at": null}"##;
        let image: Image = serde_json::from_str(old).expect("no field is missed");
        assert_eq!((image.blurhash, image.palette, image.perceptual_hash, image.camera), (None, vec![], None, None));
    }
}
