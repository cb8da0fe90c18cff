//! What to make of an image.

use crate::format::Format;

/// A box in pixels, each side at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BoxSize {
    /// Widest.
    pub width: u32,
    /// Tallest.
    pub height: u32,
}

impl BoxSize {
    /// So wide, however tall.
    pub const fn of_width(width: u32) -> Self {
        Self { width, height: u32::MAX }
    }

    /// So tall, however wide.
    pub const fn of_height(height: u32) -> Self {
        Self { width: u32::MAX, height }
    }
}

/// How an image and a box come together; the words are those of CSS's `object-fit`.
///
/// Where `enlarge` is false and the image is too small for the box, it is the box that shrinks, keeping its
/// own aspect ratio, until no pixel of the image has to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Fit {
    /// All of it, as large as the box allows, never enlarged. The variant is as large as the picture.
    Inside(BoxSize),
    /// The box is filled; what juts out is cut off.
    Cover {
        /// The size of the variant.
        size: BoxSize,
        /// Which part stays.
        gravity: Gravity,
        /// Whether a small image grows.
        enlarge: bool,
    },
    /// All of it, in the middle of the box; what is left empty shows the background.
    Contain {
        /// The size of the variant.
        size: BoxSize,
        /// Whether a small image grows.
        enlarge: bool,
    },
    /// Stretched to the box, whatever becomes of its aspect ratio.
    Fill {
        /// The size of the variant.
        size: BoxSize,
        /// Whether a small image grows.
        enlarge: bool,
    },
}

/// Which part of an upright image stays when it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Gravity {
    /// The middle.
    #[default]
    Center,
    /// The top.
    North,
    /// The top right corner.
    NorthEast,
    /// The right.
    East,
    /// The bottom right corner.
    SouthEast,
    /// The bottom.
    South,
    /// The bottom left corner.
    SouthWest,
    /// The left.
    West,
    /// The top left corner.
    NorthWest,
    /// Where the eye goes: edges, strong colours, skin. Found on the first frame.
    Smart,
}

/// The format of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OutputFormat {
    /// That of the original; JPEG for a HEIC, which cannot be written.
    #[default]
    Same,
    /// What every browser shows, by the image: JPEG for an opaque photo; WebP for the rest, that is for
    /// animations, for what is transparent, and, without loss, for drawings. A drawing is an image stored
    /// without loss in which most pixels equal their neighbours.
    Auto,
    /// JPEG: no alpha, the first frame.
    Jpeg,
    /// PNG, or APNG for an animation.
    Png,
    /// WebP, animated for an animation.
    WebP,
    /// AVIF: the first frame.
    Avif,
}

impl OutputFormat {
    /// The format, where the image has no say in it.
    pub const fn fixed(self) -> Option<Format> {
        match self {
            Self::Same | Self::Auto => None,
            Self::Jpeg => Some(Format::Jpeg),
            Self::Png => Some(Format::Png),
            Self::WebP => Some(Format::WebP),
            Self::Avif => Some(Format::Avif),
        }
    }
}

/// Quality of the lossy formats, 1 to 100 each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Quality {
    /// libjpeg's scale.
    pub jpeg: u8,
    /// libwebp's scale. Of a lossless WebP, the effort.
    pub webp: u8,
    /// Ravif's scale.
    pub avif: u8,
}

impl Quality {
    /// One number for all.
    pub const fn all(quality: u8) -> Self {
        Self { jpeg: quality, webp: quality, avif: quality }
    }

    /// That of a format; formats without loss have none, and get any.
    pub const fn of(self, format: Format) -> u8 {
        match format {
            Format::WebP => self.webp,
            Format::Avif => self.avif,
            _ => self.jpeg,
        }
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self::all(75)
    }
}

/// One named variant.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VariantSpec {
    /// The variant's name, unique in its preset.
    pub name: String,
    /// `None` keeps the size of the original.
    pub fit: Option<Fit>,
    /// Gaussian blur of this standard deviation in pixels of the variant, above 0; `None` for no blur.
    pub blur: Option<f32>,
    /// Unsharp mask of this standard deviation in pixels of the variant, above 0; `None` for none.
    pub sharpen: Option<f32>,
    /// What to write.
    pub format: OutputFormat,
    /// How well.
    pub quality: Quality,
    /// Whether a JPEG is progressive.
    pub progressive: bool,
    /// Whether a WebP is without loss. `false`: as the original, when that is a WebP too.
    pub lossless: bool,
    /// What lies behind the picture, as red, green, blue. `None`: nothing, or white in a format without alpha.
    pub background: Option<[u8; 3]>,
    /// Whether an animation stays one; otherwise its first frame is all.
    pub animated: bool,
}

impl Default for VariantSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            fit: None,
            blur: None,
            sharpen: None,
            format: OutputFormat::Same,
            quality: Quality::default(),
            progressive: false,
            lossless: false,
            background: None,
            animated: true,
        }
    }
}

impl VariantSpec {
    /// Nothing about its pixels is to change: they are the upload's own, which are never encoded again.
    pub fn is_verbatim(&self) -> bool {
        let same_pixels = self.fit.is_none() && self.blur.is_none() && self.sharpen.is_none();
        same_pixels && self.format == OutputFormat::Same && self.animated
    }
}

/// What of EXIF, XMP, IPTC and comments the verbatim variant keeps. Orientation and the colour profile
/// always stay, since the pixels need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MetadataPolicy {
    /// Camera, exposure, dates and copyright stay; place, serial numbers, owner, maker notes,
    /// thumbnails, XMP, IPTC and comments go.
    #[default]
    PrivateStripped,
    /// Everything stays: the bytes are not touched.
    Keep,
    /// Everything goes.
    None,
}
