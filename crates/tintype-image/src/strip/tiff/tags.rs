//! Which tags stay, and how much of each: what is on no list goes, and so does what is not as its tag has it.

use super::Kind;
use crate::exif::ORIENTATION;
use crate::spec::MetadataPolicy;

/// A colour profile.
pub(super) const PROFILE: u16 = 34675;
/// What all JPEGs of a page have in common.
pub(super) const JPEG_TABLES: u16 = 347;
/// A picture that is one JPEG, from before strips could be.
pub(super) const OLD_JPEG: u16 = 513;
pub(super) const OLD_JPEG_LENGTH: u16 = 514;

/// What of a tag's value stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    /// At most so many numbers.
    Numbers(u32),
    /// Bytes without a meaning of their own, exactly so many.
    Bytes(u32),
    /// A text, up to its end.
    Text(u32),
    /// A text, and another behind it.
    Texts,
    /// A colour profile.
    Profile,
    /// At most so many numbers, those of colours that pixels have.
    Colors(u32),
    /// JPEG tables.
    JpegTables,
}

/// What the values of a page's tags are measured by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) bits: u32,
    pub(super) samples: u32,
    pub(super) is_old_jpeg: bool,
}

/// Of the first directory.
pub(super) fn in_page(tag: u16, kind: Kind, policy: MetadataPolicy, page: Page) -> Option<Stays> {
    if tag == ORIENTATION {
        return Some(Stays::Numbers(1));
    }
    if kind == Kind::File
        && let Some(stays) = of_pixels(tag, page)
    {
        return Some(stays);
    }
    if policy == MetadataPolicy::PrivateStripped { public(tag) } else { None }
}

/// Tags without which the pixels cannot be read, or their colours not be right.
pub(super) fn of_pixels(tag: u16, page: Page) -> Option<Stays> {
    let values = 1u32.checked_shl(page.bits).unwrap_or(u32::MAX).min(1 << 16);
    let many = match tag {
        // Places and lengths of strips and tiles.
        273 | 279 | 324 | 325 => u32::MAX,
        254..=257 | 259 | 262..=266 | 277..=279 | 282..=284 | 290 | 292 | 293 | 296 | 317 | 322 | 323 | 332 | 334 => 1,
        258 | 280 | 281 | 338..=341 => page.samples,
        291 => values,
        301 => 3 * values,
        320 => return Some(Stays::Colors(3 * values)),
        297 | 318 | 321 | 530 => 2,
        319 | 342 | 529 => 6,
        336 | 532 => 2 * page.samples.max(3),
        531 => 1,
        512..=521 if page.is_old_jpeg => page.samples,
        JPEG_TABLES => return Some(Stays::JpegTables),
        PROFILE => return Some(Stays::Profile),
        _ => return None,
    };
    Some(Stays::Numbers(many))
}

/// Tags of the first directory that say nothing of a person or a place: camera, dates, resolution, copyright.
pub(super) fn public(tag: u16) -> Option<Stays> {
    match tag {
        271 | 272 => Some(Stays::Text(u32::MAX)),
        306 => Some(Stays::Text(DATE)),
        33432 => Some(Stays::Texts),
        282 | 283 | 296 | 531 => Some(Stays::Numbers(1)),
        _ => None,
    }
}

/// `2012:09:22 16:18:51`, and some room for those who write it otherwise.
const DATE: u32 = 32;

/// Of the Exif directory: exposure, lens model, dates, colour space, dimensions.
pub(super) fn in_exif(tag: u16) -> Option<Stays> {
    match tag {
        36864 => Some(Stays::Bytes(4)),
        36867 | 36868 | 36880..=36882 | 37520..=37522 => Some(Stays::Text(DATE)),
        42035 | 42036 => Some(Stays::Text(u32::MAX)),
        33434 | 33437 | 34850 | 34855 | 34864..=34867 | 37377..=37386 | 40961..=40963 | 41985..=41990 | 42034 => {
            Some(Stays::Numbers(4))
        }
        _ => None,
    }
}

/// The type of 16-bit numbers.
pub(super) const SHORT: u16 = 3;

/// Whether values of a type are numbers: of TIFF's, all but texts and bytes without a meaning.
pub(super) fn is_number(kind: u16) -> bool {
    matches!(kind, 1 | 3..=6 | 8..=13)
}
