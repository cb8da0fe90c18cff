//! WebP: chunks are dropped, and the flags that announce them. Of each kind that decoders read, they read the first.

use super::{exif, profile};
use crate::container::webp::{self, Chunk, write_chunk};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Vec<u8>, Error> {
    let file = webp::chunks(bytes)?;
    let chunks: Vec<Chunk<'_>> = file.chunks.iter().copied().chain(file.cut).collect();
    let mut kept = Kept {
        body: Vec::with_capacity(bytes.len()),
        is_extended: chunks.first().is_some_and(|first| first.kind == *b"VP8X"),
        is_animated: webp::true_flags(&chunks) & webp::ANIMATION != 0,
        picture: pictures(&chunks).next().copied(),
        exif: file.chunks.iter().find(|chunk| chunk.kind == *b"EXIF").copied(),
        kinds: Vec::new(),
    };
    for chunk in &file.chunks {
        kept.take(chunk, policy)?;
    }
    // A picture that is cut stays so; and of a frame that is, that it was begun.
    let missing = match file.cut {
        Some(cut) if kept.is_picture(&cut) => webp::write_cut_chunk(&mut kept.body, &cut, file.told),
        Some(Chunk { kind, data }) if kept.is_animated && kind == *b"ANMF" => {
            let cut = Chunk { kind, data: &data[..data.len().min(FRAME_HEADER)] };
            webp::write_cut_chunk(&mut kept.body, &cut, file.told)
        }
        _ => 0,
    };
    let Kept { mut body, kinds, is_extended, .. } = kept;
    // Flags are the first byte of VP8X, which comes first.
    if is_extended && body.len() > 8 {
        let flag = |kind: &[u8; 4], flag: u8| if kinds.contains(kind) { flag } else { 0 };
        body[8] &= !(webp::EXIF | webp::XMP | webp::PROFILE);
        body[8] |= flag(b"EXIF", webp::EXIF) | flag(b"ICCP", webp::PROFILE);
    }
    Ok(webp::wrap_cut(&body, missing))
}

fn pictures<'a, 'b>(chunks: &'b [Chunk<'a>]) -> impl Iterator<Item = &'b Chunk<'a>> {
    chunks.iter().filter(|chunk| matches!(&chunk.kind, b"VP8 " | b"VP8L"))
}

/// What is kept so far, and how the file is to be read.
struct Kept<'a> {
    body: Vec<u8>,
    /// It has a header; without one it is one picture, and decoders look at nothing else.
    is_extended: bool,
    is_animated: bool,
    /// The one that decoders show of a still file.
    picture: Option<Chunk<'a>>,
    /// The first one, whatever is in it.
    exif: Option<Chunk<'a>>,
    kinds: Vec<[u8; 4]>,
}

impl Kept<'_> {
    fn take(&mut self, chunk: &Chunk<'_>, policy: MetadataPolicy) -> Result<(), Error> {
        let is_first = !self.kinds.contains(&chunk.kind);
        let data = match &chunk.kind {
            b"ANMF" if self.is_animated => Some(kept_frame(chunk)?),
            _ if !is_first => None,
            b"VP8X" if self.is_extended => header(chunk.data),
            b"ANIM" if self.is_animated => chunk.data.get(..6).map(<[u8]>::to_vec),
            b"VP8 " | b"VP8L" if self.is_picture(chunk) => Some(chunk.data.to_vec()),
            b"ALPH" if !self.is_animated && self.is_extended => {
                self.picture.filter(is_lossy).map(|picture| alpha_of(chunk, &picture).to_vec())
            }
            b"ICCP" if self.is_extended => profile::of(chunk.data).map(<[u8]>::to_vec),
            b"EXIF" if self.is_extended => self.exif.take().and_then(|first| exif::strip(first.data, policy)),
            _ => None,
        };
        if let Some(data) = data {
            write_chunk(&mut self.body, chunk.kind, &data);
            self.kinds.push(chunk.kind);
        }
        Ok(())
    }

    /// Whether a chunk is the picture that decoders show of a still file.
    fn is_picture(&self, chunk: &Chunk<'_>) -> bool {
        let is_first =
            self.picture.is_some_and(|picture| picture.kind == chunk.kind) && !self.kinds.contains(&chunk.kind);
        !self.is_animated && is_first
    }
}

fn is_lossy(picture: &Chunk<'_>) -> bool {
    picture.kind == *b"VP8 "
}

/// The alpha of a picture: where it is not packed, a byte for each pixel.
fn alpha_of<'a>(alpha: &Chunk<'a>, picture: &Chunk<'_>) -> &'a [u8] {
    const PACKING: u8 = 3;
    let is_packed = alpha.data.first().is_some_and(|head| head & PACKING != 0);
    let (width, height) = webp::bitstream_size(picture).unwrap_or_default();
    let plain = 1 + width as usize * height as usize;
    if is_packed { alpha.data } else { &alpha.data[..plain.min(alpha.data.len())] }
}

/// Flags and size; what is reserved is nothing.
fn header(data: &[u8]) -> Option<Vec<u8>> {
    let &[flags, _, _, _, ref size @ ..] = data.first_chunk::<10>()?;
    Some([&[flags, 0, 0, 0][..], size].concat())
}

/// Place, size and delay of a frame.
const FRAME_HEADER: usize = 16;

/// Frames may carry unknown chunks too.
fn kept_frame(frame: &Chunk<'_>) -> Result<Vec<u8>, Error> {
    let (head, body) =
        frame.data.split_at_checked(FRAME_HEADER).ok_or_else(|| Error::corrupt("a WebP frame has no header"))?;
    let mut out = head.to_vec();
    let chunks = webp::sub_chunks(body)?;
    let Some(picture) = pictures(&chunks).next() else { return Ok(out) };
    if let Some(alpha) = chunks.iter().find(|chunk| chunk.kind == *b"ALPH").filter(|_| is_lossy(picture)) {
        write_chunk(&mut out, alpha.kind, alpha_of(alpha, picture));
    }
    write_chunk(&mut out, picture.kind, picture.data);
    Ok(out)
}
