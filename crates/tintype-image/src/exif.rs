//! What the pipeline needs of EXIF: which way is up, when the photo was taken, and with what.

use crate::container::tiff::{Directory, Tiff};

pub(crate) const ORIENTATION: u16 = 274;
pub(crate) const EXIF_IFD: u16 = 34665;
const MAKE: u16 = 271;
const MODEL: u16 = 272;
const LENS_MODEL: u16 = 42036;
const DATE_TIME_ORIGINAL: u16 = 36867;
const OFFSET_TIME_ORIGINAL: u16 = 36881;

/// What EXIF says, as far as it is heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exif {
    /// As stored; 0 when there is none.
    pub(crate) orientation: u16,
    pub(crate) taken_at: Option<String>,
    pub(crate) camera: Option<Camera>,
}

/// What a photo was taken with: printable ASCII, at most 64 characters each, no serial numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Camera {
    /// Who made the camera.
    pub make: Option<String>,
    /// Which of theirs it is.
    pub model: Option<String>,
    /// The lens, its model.
    pub lens: Option<String>,
}

/// Longest text that is believed to name a camera.
const LONGEST_NAME: usize = 64;

/// Some writers put the JPEG prefix before the TIFF header in PNG and WebP too.
pub(crate) fn without_prefix(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(b"Exif\0\0").unwrap_or(payload)
}

/// Reads an EXIF payload (or a TIFF file). Anything malformed reads as nothing said.
pub(crate) fn read(payload: &[u8]) -> Exif {
    let Some((tiff, first)) = open(payload) else {
        return Exif::default();
    };
    let orientation = tiff.number(&first, ORIENTATION).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let exif = tiff.number(&first, EXIF_IFD).and_then(|at| tiff.directory(at as usize));
    let taken_at = exif.as_ref().and_then(|exif| taken_at(&tiff, exif));
    Exif { orientation, taken_at, camera: camera(&tiff, &first, exif.as_ref()) }
}

fn open(payload: &[u8]) -> Option<(Tiff<'_>, Directory)> {
    let tiff = Tiff::new(without_prefix(payload))?;
    let first = tiff.first()?;
    Some((tiff, first))
}

/// 1 to 8; anything else is upright.
pub(crate) fn upright_unless_known(orientation: u16) -> u8 {
    match orientation {
        1..=8 => orientation as u8,
        _ => 1,
    }
}

/// A text up to its first NUL.
fn text<'a>(tiff: &Tiff<'a>, directory: &Directory, tag: u16) -> Option<&'a [u8]> {
    tiff.value(directory.find(tag)?)?.split(|&b| b == 0).next()
}

fn taken_at(tiff: &Tiff<'_>, exif: &Directory) -> Option<String> {
    let text = |tag| std::str::from_utf8(text(tiff, exif, tag)?).ok().map(str::trim);
    let offset = text(OFFSET_TIME_ORIGINAL).filter(|o| matches_shape(o, "+dd:dd") || *o == "Z");
    iso_8601(text(DATE_TIME_ORIGINAL)?).map(|at| at + offset.unwrap_or(""))
}

fn camera(tiff: &Tiff<'_>, first: &Directory, exif: Option<&Directory>) -> Option<Camera> {
    let name = |directory: &Directory, tag| printable(text(tiff, directory, tag)?);
    let camera = Camera {
        make: name(first, MAKE),
        model: name(first, MODEL),
        lens: exif.and_then(|exif| name(exif, LENS_MODEL)),
    };
    (camera != Camera::default()).then_some(camera)
}

/// ASCII, which is all that EXIF allows here, spaces single; `None` for blanks, which mean unknown.
fn printable(text: &[u8]) -> Option<String> {
    let text: String = text.iter().filter(|b| matches!(b, 0x20..=0x7E)).map(|&b| char::from(b)).collect();
    let mut text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    text.truncate(LONGEST_NAME);
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// EXIF's `2012:09:22 16:18:51` as `2012-09-22T16:18:51`; `None` for blanks and zeros, which mean unknown.
fn iso_8601(text: &str) -> Option<String> {
    if !matches_shape(text, "dddd:dd:dd dd:dd:dd") {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap_or(u32::MAX);
    let known = (1..=12).contains(&part(5..7)) && (1..=31).contains(&part(8..10)) && part(11..13) < 24;
    known.then(|| format!("{}-{}-{}T{}", &text[..4], &text[5..7], &text[8..10], &text[11..]))
}

/// `d` stands for a digit, `+` for a sign, the rest for itself.
pub(crate) fn matches_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            b'+' => byte == b'+' || byte == b'-',
            _ => byte == expected,
        })
}

/// The smallest EXIF that still says which way is up.
pub(crate) fn orientation_only(orientation: u8) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0\x01\0".to_vec();
    out.extend_from_slice(&ORIENTATION.to_le_bytes());
    out.extend_from_slice(&[3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    out.extend_from_slice(&[0; 4]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_iso_8601_or_nothing() {
        assert_eq!(iso_8601("2012:09:22 16:18:51").as_deref(), Some("2012-09-22T16:18:51"));
        for unknown in ["0000:00:00 00:00:00", "    :  :     :  :  ", "", "2012:13:01 00:00:00", "2012-09-22 16:18:51"]
        {
            assert_eq!(iso_8601(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn names_are_printable_and_short() {
        assert_eq!(printable(b"  Canon \x07 EOS\x1b[31m  R5\xC3\xA9 ").as_deref(), Some("Canon EOS[31m R5"));
        assert_eq!(printable(&[b'x'; 5000]).map(|name| name.len()), Some(LONGEST_NAME));
        assert_eq!(printable(b" \0\x01 "), None);
    }

    #[test]
    fn the_smallest_exif_reads_back() {
        for orientation in 1..=8 {
            assert_eq!(read(&orientation_only(orientation)).orientation, u16::from(orientation));
        }
    }

    #[test]
    fn nonsense_says_nothing() {
        assert_eq!(read(b"II*\0\xFF\xFF\xFF\xFF"), Exif::default());
        assert_eq!(read(b""), Exif::default());
    }
}
