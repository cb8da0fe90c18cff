//! Presets: named lists of variants, with a version that is the hash of their content.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tintype_image::{BoxSize, Fit, Gravity, MetadataPolicy, OutputFormat, Quality, VariantSpec};

use crate::key::{Key, suffix};
use crate::manifest::PresetRef;

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
    /// Folders whose originals get this preset when nobody named one; each ends in a slash.
    pub paths: Vec<String>,
    /// Where outcomes under it are told instead of at `callback.url`; empty: nowhere.
    pub callback_url: Option<String>,
    /// Whether uploads under it may be called as no image is: bytes alone decide.
    pub any_filename: bool,
}

impl Preset {
    /// A preset, with the version that its content gives.
    pub fn new(name: &str, variants: Vec<VariantSpec>, metadata: MetadataPolicy, paths: Vec<String>) -> Self {
        let version = version(&variants, metadata);
        Self { name: name.to_owned(), version, variants, metadata, paths, callback_url: None, any_filename: false }
    }

    /// Its name and version, as a manifest says them.
    pub fn reference(&self) -> PresetRef {
        PresetRef { name: self.name.clone(), version: self.version.clone() }
    }

    /// Whether every variant is of its original's format.
    pub fn keeps_formats(&self) -> bool {
        self.variants.iter().all(|spec| spec.format == OutputFormat::Same)
    }

    /// The preset called `default`: original and thumbnails, and their blurs.
    pub fn from_default(parts: &DefaultPreset) -> Self {
        let mut variants = Vec::new();
        let mut add = |name: &str, fit: Option<Fit>, sigma: f32| {
            let quality = Quality::all(parts.quality);
            let spec = VariantSpec { name: name.to_owned(), fit, quality, ..VariantSpec::default() };
            if parts.blur && sigma > 0.0 {
                let name = format!("{name}_blurred");
                variants.extend([spec.clone(), VariantSpec { name, blur: Some(sigma), ..spec }]);
            } else {
                variants.push(spec);
            }
        };
        add("original", None, parts.blur_radius);
        for side in parts.boxes {
            let fit = Fit::Inside(BoxSize { width: side, height: side });
            add(&format!("{side}x{side}"), Some(fit), side as f32 / 100.0);
        }
        Self::new(DEFAULT, variants, parts.metadata, Vec::new())
    }
}

/// The preset of whatever names no other.
pub const DEFAULT: &str = "default";

/// Every preset there is; one of them is [`DEFAULT`].
#[derive(Debug, Clone, PartialEq)]
pub struct Presets(Vec<Arc<Preset>>);

impl Presets {
    /// The default preset and others.
    pub fn new(default: Preset, others: Vec<Preset>) -> Self {
        Self(std::iter::once(default).chain(others).map(Arc::new).collect())
    }

    /// The preset of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Preset>> {
        self.0.iter().find(|preset| preset.name == name)
    }

    /// The preset for an original that nobody named one for: that of the longest of the paths it lies in.
    pub fn of_key(&self, key: &Key) -> &Arc<Preset> {
        let paths = self.0.iter().flat_map(|preset| preset.paths.iter().map(move |path| (path, preset)));
        let holding = paths.filter(|(path, _)| key.as_str().starts_with(path.as_str()));
        holding.max_by_key(|(path, _)| path.len()).map_or(&self.0[0], |(_, preset)| preset)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Preset>> {
        self.0.iter()
    }

    /// What the names of all variants of all presets add to the stems of their originals.
    pub fn suffixes(&self) -> Vec<String> {
        let mut suffixes: Vec<String> =
            self.0.iter().flat_map(|preset| &preset.variants).map(|spec| suffix(&spec.name)).collect();
        // The longest first: it says most.
        suffixes.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        suffixes.dedup();
        suffixes
    }

    /// All names, for messages: `"default", "avatar"`.
    pub fn names(&self) -> String {
        self.0.iter().map(|preset| format!("{:?}", preset.name)).collect::<Vec<_>>().join(", ")
    }
}

/// Hashes what a preset says, spelled out so that neither a name in the code nor a new field changes it by
/// accident.
fn version(variants: &[VariantSpec], metadata: MetadataPolicy) -> String {
    let metadata = match metadata {
        MetadataPolicy::PrivateStripped => "private-stripped",
        MetadataPolicy::Keep => "keep",
        MetadataPolicy::None => "none",
    };
    let content = json!({"metadata": metadata, "variants": variants.iter().map(content).collect::<Vec<_>>()});
    hex(&Sha256::digest(content.to_string())[..8])
}

fn content(spec: &VariantSpec) -> Value {
    let VariantSpec {
        name,
        fit,
        blur,
        sharpen,
        format,
        quality: Quality { jpeg, webp, avif },
        progressive,
        lossless,
        background,
        animated,
    } = spec;
    // As texts: the shortest that give the same number back.
    let number = |sigma: &Option<f32>| sigma.map(|sigma| sigma.to_string());
    json!({
        "name": name, "fit": fit.map(fit_content), "blur": number(blur), "sharpen": number(sharpen),
        "format": word_of(&FORMATS, *format), "quality": {"jpeg": jpeg, "webp": webp, "avif": avif},
        "progressive": progressive, "lossless": lossless, "background": background, "animated": animated,
    })
}

fn fit_content(fit: Fit) -> Value {
    let boxed = |fit: &str, size: BoxSize, enlarge: bool, gravity: Option<&str>| json!({"fit": fit, "width": size.width, "height": size.height, "enlarge": enlarge, "gravity": gravity});
    match fit {
        Fit::Inside(size) => boxed("inside", size, false, None),
        Fit::Cover { size, gravity, enlarge } => boxed("cover", size, enlarge, Some(word_of(&GRAVITIES, gravity))),
        Fit::Contain { size, enlarge } => boxed("contain", size, enlarge, None),
        Fit::Fill { size, enlarge } => boxed("fill", size, enlarge, None),
    }
}

/// Formats of variants by the words of the configuration.
pub const FORMATS: [(&str, OutputFormat); 6] = [
    ("same", OutputFormat::Same),
    ("auto", OutputFormat::Auto),
    ("jpeg", OutputFormat::Jpeg),
    ("png", OutputFormat::Png),
    ("webp", OutputFormat::WebP),
    ("avif", OutputFormat::Avif),
];

/// Gravities by the words of the configuration.
pub const GRAVITIES: [(&str, Gravity); 10] = [
    ("center", Gravity::Center),
    ("north", Gravity::North),
    ("northeast", Gravity::NorthEast),
    ("east", Gravity::East),
    ("southeast", Gravity::SouthEast),
    ("south", Gravity::South),
    ("southwest", Gravity::SouthWest),
    ("west", Gravity::West),
    ("northwest", Gravity::NorthWest),
    ("smart", Gravity::Smart),
];

fn word_of<T: PartialEq>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    words.iter().find(|(_, known)| *known == meaning).map_or("", |(word, _)| word)
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

    /// Manifests that are stored hold it: it may only change with what is made.
    #[test]
    fn the_version_is_the_same_on_every_machine_and_in_every_build() {
        assert_eq!(Preset::from_default(&parts()).version, "6b754398fcf6f84d");
    }

    #[test]
    fn every_field_counts_but_names_and_paths_do_not() {
        let size = BoxSize { width: 4, height: 3 };
        let cover = |gravity, enlarge| Some(Fit::Cover { size, gravity, enlarge });
        let base = VariantSpec { name: "a".into(), ..VariantSpec::default() };
        let specs = [
            base.clone(),
            VariantSpec { name: "b".into(), ..base.clone() },
            VariantSpec { fit: Some(Fit::Inside(size)), ..base.clone() },
            VariantSpec { fit: cover(Gravity::Center, false), ..base.clone() },
            VariantSpec { fit: cover(Gravity::Center, true), ..base.clone() },
            VariantSpec { fit: cover(Gravity::Smart, false), ..base.clone() },
            VariantSpec { fit: Some(Fit::Contain { size, enlarge: false }), ..base.clone() },
            VariantSpec { fit: Some(Fit::Fill { size, enlarge: false }), ..base.clone() },
            VariantSpec { blur: Some(1.5), ..base.clone() },
            VariantSpec { sharpen: Some(1.5), ..base.clone() },
            VariantSpec { format: OutputFormat::Auto, ..base.clone() },
            VariantSpec { quality: Quality { webp: 1, ..Quality::default() }, ..base.clone() },
            VariantSpec { quality: Quality { avif: 1, ..Quality::default() }, ..base.clone() },
            VariantSpec { format: OutputFormat::Avif, ..base.clone() },
            VariantSpec { progressive: true, ..base.clone() },
            VariantSpec { lossless: true, ..base.clone() },
            VariantSpec { background: Some([0; 3]), ..base.clone() },
            VariantSpec { animated: false, ..base.clone() },
        ];
        let of = |name: &str, spec: &VariantSpec, paths: &[&str]| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            Preset::new(name, vec![spec.clone()], MetadataPolicy::Keep, paths).version
        };
        let versions: std::collections::HashSet<_> = specs.iter().map(|spec| of("x", spec, &[])).collect();
        assert_eq!(versions.len(), specs.len());
        assert_eq!(of("x", &base, &[]), of("y", &base, &["temp/y/"]));
    }

    #[test]
    fn the_longest_path_decides() {
        let preset =
            |name: &str, path: &str| Preset::new(name, Vec::new(), MetadataPolicy::None, vec![path.to_owned()]);
        let presets = Presets::new(
            Preset::from_default(&parts()),
            vec![preset("a", "temp/a/"), preset("deep", "temp/a/b/"), preset("c", "c/")],
        );
        for (key, name) in [
            ("temp/a/x.jpg", "a"),
            ("temp/a/b/x.jpg", "deep"),
            ("temp/ab/x.jpg", "default"),
            ("temp/a", "default"),
            ("c/x", "c"),
        ] {
            assert_eq!(presets.of_key(&Key::new(key).expect("a key")).name, name, "{key}");
        }
        assert_eq!(presets.get("deep").map(|preset| preset.name.as_str()), Some("deep"));
        assert_eq!(presets.get("A"), None);
    }
}
