//! Which format the bytes are of. Bytes decide; names and headers are hints.

/// An image format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Format {
    /// ITU T.81, JFIF or Exif.
    Jpeg,
    /// PNG, third edition, animation (APNG) included.
    Png,
    /// GIF87a and GIF89a.
    Gif,
    /// RFC 9649.
    WebP,
    /// TIFF 6.0.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// AV1 still picture (AVIF 1.1): written; read only with the feature `heif`.
    Avif,
    /// HEVC still picture, as phones take them: read only with the feature `heif`, never written.
    Heic,
}

impl Format {
    /// All formats that are both read and written, in the order help texts name them.
    pub const ALL: [Self; 6] = [Self::Jpeg, Self::Png, Self::Gif, Self::WebP, Self::Tiff, Self::Bmp];

    /// The format the first bytes are a signature of.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            [b'B', b'M', ..] => Some(Self::Bmp),
            _ if cfg!(feature = "heif") => Self::sniff_iso(bytes),
            _ => None,
        }
    }

    /// The still picture format that an ISO base media file is of, be it read or not.
    pub(crate) fn sniff_iso(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, d, b'f', b't', b'y', b'p', rest @ ..] = bytes else {
            return None;
        };
        let length = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_sub(8).min(rest.len());
        let brands = rest[..length.max(4).min(rest.len())].as_chunks::<4>().0;
        match brands.first()? {
            b"avif" | b"avis" => Some(Self::Avif),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(Self::Heic),
            // Names the container alone; what is in it stands further on.
            b"mif1" | b"msf1" if brands.contains(b"avif") => Some(Self::Avif),
            b"mif1" | b"msf1" => Some(Self::Heic),
            _ => None,
        }
    }

    /// The format that variants of an original are written in, unless another is asked for: its own, where
    /// that can be written.
    pub const fn written(self) -> Self {
        match self {
            Self::Heic => Self::Jpeg,
            other => other,
        }
    }

    /// Lower-case name, as the manifest's `image.format` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Avif => "avif",
            Self::Heic => "heic",
        }
    }

    /// The extension given to a key that came without one, less the dot: that of what is written.
    pub const fn extension(self) -> &'static str {
        self.written().name()
    }

    /// The media type (IANA registry).
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
        }
    }

    /// The format of an exact media type, common aliases included.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.to_ascii_lowercase().as_str() {
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Some(Self::Jpeg),
            "image/png" | "image/apng" => Some(Self::Png),
            "image/gif" => Some(Self::Gif),
            "image/webp" => Some(Self::WebP),
            "image/tiff" => Some(Self::Tiff),
            "image/bmp" | "image/x-ms-bmp" => Some(Self::Bmp),
            "image/avif" => Some(Self::Avif),
            "image/heic" | "image/heif" => Some(Self::Heic),
            _ => None,
        }
    }
}
