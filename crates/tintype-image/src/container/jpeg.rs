//! JPEG: marker segments, and entropy-coded data between them (ITU T.81, annex B).

use super::be16;
use crate::error::Error;

pub(crate) const SOS: u8 = 0xDA;
pub(crate) const EOI: u8 = 0xD9;
pub(crate) const EXIF: &[u8] = b"Exif\0\0";
pub(crate) const ICC: &[u8] = b"ICC_PROFILE\0";

/// One marker segment.
pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    /// After the length field; empty for EOI.
    pub(crate) payload: &'a [u8],
    /// The whole of it, marker and length included.
    pub(crate) raw: &'a [u8],
    /// What follows a start of scan, up to the next marker; empty for any other.
    pub(crate) entropy: &'a [u8],
}

/// Walks the segments after SOI. Ends after EOI; an error ends it too.
pub(crate) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
    done: bool,
    /// Whether scans go on over broken stretches.
    over_breaks: bool,
}

pub(crate) fn segments(bytes: &[u8]) -> Segments<'_> {
    Segments { bytes, at: 2, done: false, over_breaks: false }
}

/// The same, as decoders go on: where a broken stretch of a scan looks like a marker that there is none of, they look for the
/// next restart.
pub(crate) fn segments_over_breaks(bytes: &[u8]) -> Segments<'_> {
    Segments { over_breaks: true, ..segments(bytes) }
}

impl Segments<'_> {
    /// Where what was read so far ends.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.read();
        self.done = match &item {
            Ok(segment) => segment.marker == EOI,
            Err(_) => true,
        };
        Some(item)
    }
}

impl<'a> Segments<'a> {
    fn read(&mut self) -> Result<Segment<'a>, Error> {
        let cut = || Error::corrupt("the JPEG ends early");
        let bytes = self.bytes;
        // Encoders leave stray bytes and fill bytes before a marker; decoders skip them, so do we.
        let mut at = self.at;
        while *bytes.get(at).ok_or_else(cut)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at + 1).ok_or_else(cut)? == 0xFF {
            at += 1;
        }
        let marker = bytes[at + 1];
        if is_standalone(marker) {
            self.at = at + 2;
            return Ok(Segment { marker, payload: &[], raw: &bytes[at..at + 2], entropy: &[] });
        }
        let length = usize::from(be16(bytes, at + 2).ok_or_else(cut)?);
        if length < 2 {
            return Err(Error::corrupt("a JPEG segment has an impossible length"));
        }
        let end = at + 2 + length;
        let raw = bytes.get(at..end).ok_or_else(cut)?;
        let entropy_end = if marker == SOS { end + self.entropy_length(&bytes[end..]) } else { end };
        self.at = entropy_end;
        Ok(Segment { marker, payload: &raw[4..], raw, entropy: &bytes[end..entropy_end] })
    }

    fn entropy_length(&self, bytes: &[u8]) -> usize {
        let mut length = entropy_length(bytes);
        let next = |at: usize| restart_behind_break(&bytes[at..]).filter(|_| self.over_breaks);
        while let Some(restart) = next(length) {
            length += restart + entropy_length(&bytes[length + restart..]);
        }
        length
    }
}

/// What lies before the first break, of what follows a start of scan.
pub(crate) fn unbroken(entropy: &[u8]) -> &[u8] {
    &entropy[..entropy_length(entropy)]
}

/// The next restart marker, if nothing but reserved markers lies before it.
fn restart_behind_break(bytes: &[u8]) -> Option<usize> {
    let mut markers = memchr::memchr_iter(0xFF, bytes).filter_map(|at| Some((at, *bytes.get(at + 1)?)));
    let real = markers.find(|(_, marker)| !matches!(marker, 0x00..=0xBF | 0xFF));
    real.filter(|(_, marker)| matches!(marker, 0xD0..=0xD7)).map(|(at, _)| at)
}

fn is_standalone(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xD0..=0xD9 | 0x00)
}

/// Up to the first marker that is neither a stuffed zero nor a restart.
fn entropy_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        match memchr::memchr(0xFF, &bytes[at..]) {
            None => return bytes.len(),
            Some(skip) => at += skip,
        }
        match bytes.get(at + 1) {
            None => return bytes.len(),
            Some(0x00 | 0xD0..=0xD7) => at += 2,
            Some(0xFF) => at += 1,
            Some(_) => return at,
        }
    }
    bytes.len()
}

/// True for the start-of-frame markers, which hold the dimensions.
pub(crate) fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}
