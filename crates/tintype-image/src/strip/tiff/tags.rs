//! Which tags stay, and how much of each: what is on no list goes, and so does what is not as its tag has it.

use super::Kind;
use crate::exif::ORIENTATION;
use crate::spec::MetadataPolicy;

/// A colour profile.
pub(super) const PROFILE: u16 = 34675;
/// What all JPEGs of a page have in common.
pub(super) const JPEG_TABLES: u16 = 347;
/// A picture that is one JPEG, from before strips could be.
pub(super) const WHOLE_JPEG: u16 = 513;
pub(super) const WHOLE_JPEG_LENGTH: u16 = 514;

/// What of a tag's value stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    /// At most so many whole numbers, of any type: readers take each for any other.
    Whole(u32),
    /// A whole number from 1 to 8, as it is read here.
    Orientation,
    /// Numbers of one of these types, no more than so many; nothing of what is more.
    Numbers(&'static [u16], u32),
    /// Bytes without a meaning of their own, exactly so many.
    Bytes(u32),
    /// A text, up to its end.
    Text(u32),
    /// A text, and another behind it.
    Texts,
    /// A text of one of these shapes.
    Shaped(&'static [&'static str]),
    /// A colour profile.
    Profile,
    /// At most so many numbers, those of colours that pixels have.
    Colors(u32),
    /// JPEG tables.
    JpegTables,
}

/// What the values of a page's tags are measured by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Page {
    pub(super) bits: u32,
    pub(super) samples: u32,
    pub(super) compression: u32,
    pub(super) photometric: u32,
}

/// Of the first directory.
pub(super) fn in_page(tag: u16, kind: Kind, policy: MetadataPolicy, page: Page) -> Option<Stays> {
    if tag == ORIENTATION {
        return Some(Stays::Orientation);
    }
    if kind == Kind::File
        && let Some(stays) = of_pixels(tag, page)
    {
        return Some(stays);
    }
    if policy == MetadataPolicy::PrivateStripped { public(tag) } else { None }
}

/// Tags without which the pixels cannot be read, or their colours not be right. Curves that no reader applies (gray response,
/// transfer function) are none of them.
pub(super) fn of_pixels(tag: u16, page: Page) -> Option<Stays> {
    let values = 1u32.checked_shl(page.bits).unwrap_or(u32::MAX).min(1 << 16);
    let many = match tag {
        // Places and lengths of strips and tiles.
        273 | 279 | 324 | 325 => u32::MAX,
        254..=257 | 259 | 262..=266 | 277 | 278 | 284 | 292 | 293 | 296 | 317 | 322 | 323 | 332 | 334 | 531 => 1,
        258 | 280 | 281 | 338 | 339 => page.samples,
        297 | 321 | 530 => 2,
        336 => 2 * page.samples.max(3),
        282 | 283 => return Some(Stays::Numbers(&[RATIONAL], 1)),
        318 => return Some(Stays::Numbers(&[RATIONAL], 2)),
        319 => return Some(Stays::Numbers(&[RATIONAL], 6)),
        320 if page.photometric == PALETTE => return Some(Stays::Colors(3 * values)),
        529 if page.photometric == YCBCR => return Some(Stays::Numbers(&[RATIONAL], 3)),
        532 if page.photometric == YCBCR => return Some(Stays::Numbers(&[RATIONAL], 6)),
        512..=521 if page.compression == OLD_JPEG => page.samples,
        JPEG_TABLES if page.compression == JPEG => return Some(Stays::JpegTables),
        PROFILE => return Some(Stays::Profile),
        _ => return None,
    };
    Some(Stays::Whole(many))
}

/// Tags of the first directory that say nothing of a person or a place: camera, dates, resolution, copyright.
pub(super) fn public(tag: u16) -> Option<Stays> {
    match tag {
        271 | 272 => Some(Stays::Text(u32::MAX)),
        306 => Some(DATE),
        33432 => Some(Stays::Texts),
        282 | 283 => Some(Stays::Numbers(&[RATIONAL], 1)),
        296 | 531 => Some(Stays::Whole(1)),
        _ => None,
    }
}

/// Of the Exif directory: exposure, lens model, dates, colour space, dimensions; each as EXIF 2.32 has it.
pub(super) fn in_exif(tag: u16) -> Option<Stays> {
    Some(match tag {
        36864 => Stays::Bytes(4),
        36867 | 36868 => DATE,
        36880..=36882 => Stays::Shaped(&["+dd:dd", "Z"]),
        37520..=37522 => Stays::Shaped(&PARTS_OF_A_SECOND),
        42035 | 42036 => Stays::Text(u32::MAX),
        33434 | 33437 | 37378 | 37381 | 37382 | 37386 | 41988 => Stays::Numbers(&[RATIONAL], 1),
        37377 | 37379 | 37380 => Stays::Numbers(&[SIGNED_RATIONAL], 1),
        42034 => Stays::Numbers(&[RATIONAL], 4),
        34850 | 34864 | 37383..=37385 | 40961 | 41985..=41987 | 41989 | 41990 => Stays::Numbers(&[SHORT], 1),
        // Any number of them, of which cameras write two.
        34855 => Stays::Numbers(&[SHORT], 2),
        34865..=34867 => Stays::Numbers(&[LONG], 1),
        40962 | 40963 => Stays::Numbers(&[SHORT, LONG], 1),
        _ => return None,
    })
}

const PARTS_OF_A_SECOND: [&str; 9] = ["d", "dd", "ddd", "dddd", "ddddd", "dddddd", "ddddddd", "dddddddd", "ddddddddd"];
const DATE: Stays = Stays::Shaped(&["dddd:dd:dd dd:dd:dd"]);

/// Types of TIFF's.
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const SIGNED_RATIONAL: u16 = 10;

/// Ways to pack pixels.
pub(super) const OLD_JPEG: u32 = 6;
pub(super) const JPEG: u32 = 7;

/// What pixels are of.
const PALETTE: u32 = 3;
pub(super) const YCBCR: u32 = 6;

/// Whether values of a type are whole numbers.
pub(super) fn is_whole(kind: u16) -> bool {
    matches!(kind, 1 | 3 | 4 | 6 | 8 | 9 | 13)
}

/// Whether values of a type are fractions, of two whole numbers each.
pub(super) fn is_rational(kind: u16) -> bool {
    matches!(kind, RATIONAL | SIGNED_RATIONAL)
}
