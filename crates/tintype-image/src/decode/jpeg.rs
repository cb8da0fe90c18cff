//! JPEG in: the whole image, its profile, and Adobe's upside-down inks.

use super::{Source, still};
use crate::container::jpeg;
use crate::error::Error;
use crate::jpeg_codec;
use crate::limits::Limits;
use crate::pixels::Layout;

pub(super) fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Source<'a>, Error> {
    let marks = read_marks(bytes)?;
    let mut pixels = jpeg_codec::decode(bytes, limits)?;
    // Adobe's programs store 255 for no ink.
    if pixels.layout == Layout::Cmyk && marks.adobe {
        pixels.data.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    Ok(still(pixels, marks.icc))
}

struct Marks {
    adobe: bool,
    icc: Option<Vec<u8>>,
}

fn read_marks(bytes: &[u8]) -> Result<Marks, Error> {
    let mut adobe = false;
    let mut parts: Vec<(u8, &[u8])> = Vec::new();
    for segment in jpeg::segments(bytes) {
        let segment = segment?;
        match segment.marker {
            0xEE => adobe |= segment.payload.starts_with(b"Adobe"),
            // A profile past 64 KiB comes in numbered parts.
            0xE2 => {
                if let Some([number, _count, part @ ..]) = segment.payload.strip_prefix(jpeg::ICC) {
                    parts.push((*number, part));
                }
            }
            jpeg::SOS => break,
            _ => {}
        }
    }
    parts.sort_by_key(|(number, _)| *number);
    let icc = parts.iter().flat_map(|(_, part)| part.iter().copied()).collect::<Vec<u8>>();
    Ok(Marks { adobe, icc: (!icc.is_empty()).then_some(icc) })
}
