//! What to make of an image.

/// A box that a thumbnail fits inside, in pixels, each side at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BoxSize {
    /// Widest.
    pub width: u32,
    /// Tallest.
    pub height: u32,
}

/// One named variant.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantSpec {
    /// The variant's name, unique in its preset.
    pub name: String,
    /// Fit inside this box, never enlarged; `None` keeps the size of the original.
    pub fit: Option<BoxSize>,
    /// Gaussian blur of this standard deviation in pixels of the variant, above 0; `None` for no blur.
    pub blur: Option<f32>,
    /// Quality of lossy formats, 1 to 100.
    pub quality: u8,
}

impl VariantSpec {
    /// Neither resized nor blurred: the upload's own pixels, which are never encoded again.
    pub fn is_verbatim(&self) -> bool {
        self.fit.is_none() && self.blur.is_none()
    }
}

/// What of EXIF, XMP, IPTC and comments the verbatim variant keeps. Orientation and the colour profile
/// always stay, since the pixels need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
