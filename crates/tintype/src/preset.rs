//! Presets: named lists of variants, with a version that is the hash of their content.

use sha2::{Digest, Sha256};
use tintype_image::{BoxSize, MetadataPolicy, VariantSpec};

/// What the default preset is made of; the seed's own knobs.
#[derive(Debug, Clone, PartialEq)]
pub struct DefaultPreset {
    /// Sides of the thumbnails' boxes in pixels: small, medium, large.
    pub boxes: [u32; 3],
    /// Whether every size has a blurred twin.
    pub blur: bool,
    /// Standard deviation of the original's blur, in pixels.
    pub blur_radius: f32,
    /// Quality of lossy formats, 1 to 100.
    pub quality: u8,
    /// What metadata the original keeps.
    pub metadata: MetadataPolicy,
}

/// A named list of variant specs.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// First 16 hex digits of the SHA-256 of its content: equal versions give equal variants.
    pub version: String,
    /// What to make, in the order the manifest lists it.
    pub variants: Vec<VariantSpec>,
    /// What metadata the original keeps.
    pub metadata: MetadataPolicy,
}

impl Preset {
    /// The preset called `default`: original and thumbnails, and their blurs.
    pub fn from_default(parts: &DefaultPreset) -> Self {
        let mut variants = Vec::new();
        let mut add = |name: &str, fit: Option<BoxSize>, sigma: f32| {
            let spec = VariantSpec { name: name.to_owned(), fit, blur: None, quality: parts.quality };
            if parts.blur && sigma > 0.0 {
                let name = format!("{name}_blurred");
                variants.extend([spec.clone(), VariantSpec { name, blur: Some(sigma), ..spec }]);
            } else {
                variants.push(spec);
            }
        };
        add("original", None, parts.blur_radius);
        for side in parts.boxes {
            let fit = BoxSize { width: side, height: side };
            add(&format!("{side}x{side}"), Some(fit), side as f32 / 100.0);
        }
        Self::new("default", variants, parts.metadata)
    }

    fn new(name: &str, variants: Vec<VariantSpec>, metadata: MetadataPolicy) -> Self {
        let content = format!("{metadata:?} {variants:?}");
        let version = hex(&Sha256::digest(content)[..8]);
        Self { name: name.to_owned(), version, variants, metadata }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> DefaultPreset {
        DefaultPreset {
            boxes: [50, 100, 400],
            blur: true,
            blur_radius: 20.0,
            quality: 75,
            metadata: MetadataPolicy::PrivateStripped,
        }
    }

    #[test]
    fn the_seed_has_eight_variants_and_four_without_blur() {
        let names: Vec<_> = Preset::from_default(&parts()).variants.into_iter().map(|v| v.name).collect();
        let expected = [
            "original",
            "original_blurred",
            "50x50",
            "50x50_blurred",
            "100x100",
            "100x100_blurred",
            "400x400",
            "400x400_blurred",
        ];
        assert_eq!(names, expected);
        let still = Preset::from_default(&DefaultPreset { blur: false, ..parts() });
        assert_eq!(still.variants.len(), 4);
    }

    #[test]
    fn sigma_of_a_thumbnail_is_a_hundredth_of_its_box() {
        let preset = Preset::from_default(&parts());
        let sigmas: Vec<_> = preset.variants.iter().filter_map(|v| v.blur).collect();
        assert_eq!(sigmas, [20.0, 0.5, 1.0, 4.0]);
    }

    #[test]
    fn the_version_follows_the_content() {
        let base = Preset::from_default(&parts());
        assert_eq!(base.version, Preset::from_default(&parts()).version);
        for other in [
            DefaultPreset { quality: 76, ..parts() },
            DefaultPreset { blur_radius: 10.0, ..parts() },
            DefaultPreset { metadata: MetadataPolicy::None, ..parts() },
        ] {
            assert_ne!(base.version, Preset::from_default(&other).version);
        }
    }
}
