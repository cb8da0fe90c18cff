//! Deflate in zlib's wrapping, as PNG and TIFF have it.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

/// zlib's header, and its checksum behind the data.
const HEADER: usize = 2;
const CHECKSUM: usize = 4;

/// Bytes inflated at a time.
const PIECE: usize = 1 << 16;

/// What a stream holds, where so many bytes are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::strip) enum Extent {
    /// Those or fewer, in so many bytes of the stream: the rest of it is no part of it.
    Ends(usize),
    /// More.
    Longer,
    /// It ends without an end, or is broken.
    Broken,
}

/// Looks through a stream that lies in pieces; shows what it holds, up to what is needed and somewhat beyond.
pub(in crate::strip) fn extent(pieces: &[&[u8]], needed: usize, mut show: impl FnMut(&[u8])) -> Extent {
    let mut inflated = 0;
    let mut longer = false;
    let end = inflate(pieces, |data| {
        show(data);
        inflated += data.len();
        longer = inflated > needed;
        !longer
    });
    match end {
        _ if longer => Extent::Longer,
        Some(end) => Extent::Ends(end),
        None => Extent::Broken,
    }
}

/// A stream of the first bytes alone that another holds.
pub(in crate::strip) fn shortened(pieces: &[&[u8]], needed: usize) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut left = needed;
    inflate(pieces, |data| {
        let data = &data[..data.len().min(left)];
        left -= data.len();
        // Into memory: it cannot fail.
        out.write_all(data).is_ok() && left > 0
    });
    out.finish().unwrap_or_default()
}

/// Bytes of a stream that are read until it has given so many.
pub(in crate::strip) fn read_for(data: &[u8], needed: usize) -> usize {
    let mut stream = Decompress::new(false);
    let mut scratch = vec![0; PIECE];
    let mut input = data.get(HEADER..).unwrap_or_default();
    while (stream.total_out() as usize) < needed {
        let room = PIECE.min(needed - stream.total_out() as usize);
        let (read, written) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(input, &mut scratch[..room], FlushDecompress::None);
        input = &input[(stream.total_in() - read) as usize..];
        if status.is_err() || (stream.total_in(), stream.total_out()) == (read, written) {
            break;
        }
    }
    data.len().min(HEADER + stream.total_in() as usize)
}

/// Hands on what is inflated, for as long as it is wanted; gives the length of a stream that came to its end.
fn inflate(pieces: &[&[u8]], mut take: impl FnMut(&[u8]) -> bool) -> Option<usize> {
    let mut stream = Decompress::new(false);
    let mut scratch = vec![0; PIECE];
    let mut skip = HEADER;
    for piece in pieces {
        let mut input = &piece[skip.min(piece.len())..];
        skip -= skip.min(piece.len());
        loop {
            let (read, written) = (stream.total_in(), stream.total_out());
            let status = stream.decompress(input, &mut scratch, FlushDecompress::None).ok()?;
            let read = (stream.total_in() - read) as usize;
            let written = (stream.total_out() - written) as usize;
            input = &input[read..];
            if written > 0 && !take(&scratch[..written]) {
                return None;
            }
            if status == Status::StreamEnd {
                return Some(HEADER + stream.total_in() as usize + CHECKSUM);
            }
            if read == 0 && written == 0 {
                break;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
        out.write_all(data).expect("memory takes it");
        out.finish().expect("memory takes it")
    }

    #[test]
    fn the_end_is_found_whatever_follows_and_however_it_is_cut_up() {
        let data: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let stream = packed(&data);
        let longer = [&stream[..], b"SECRET"].concat();
        for size in [1, 7, 8192, longer.len()] {
            let pieces: Vec<&[u8]> = longer.chunks(size).collect();
            assert_eq!(extent(&pieces, data.len(), |_| {}), Extent::Ends(stream.len()), "{size}");
        }
        assert_eq!(extent(&[&stream[..stream.len() / 2]], data.len(), |_| {}), Extent::Broken);
        assert_eq!(extent(&[b"SECRET, and no stream"], 10, |_| {}), Extent::Broken);
    }

    #[test]
    fn what_is_too_long_is_shortened() {
        let stream = packed(b"pixelsSECRET");
        assert_eq!(extent(&[&stream], 6, |_| {}), Extent::Longer);
        let short = shortened(&[&stream], 6);
        assert_eq!(extent(&[&short], 6, |_| {}), Extent::Ends(short.len()));
        let mut inflated = Vec::new();
        inflate(&[&short], |data| {
            inflated.extend_from_slice(data);
            true
        });
        assert_eq!(inflated, b"pixels");
    }
}
