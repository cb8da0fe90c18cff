//! Reads what the header says, and refuses what passes the limits, before any pixel is decoded.

use crate::container::{be16, be32, gif, jpeg, le16, le32, png, tiff, webp};
use crate::error::{Error, ErrorCode};
use crate::exif;
use crate::format::Format;
use crate::limits::Limits;

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// By the bytes.
    pub format: Format,
    /// Of the upright image.
    pub width: u32,
    /// Of the upright image.
    pub height: u32,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// 1 for a still image.
    pub frames: u32,
    /// Whether pixels can be transparent.
    pub has_alpha: bool,
}

/// Reads the header alone.
///
/// # Errors
/// `UnsupportedFormat` or `Corrupt`: the client should send another file. `TooManyPixels` or
/// `TooManyFrames`: a smaller one, or the operator raises the limit.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe, Error> {
    let header = read(bytes, limits)?;
    let (width, height) = header.upright_size();
    Ok(Probe {
        format: header.format,
        width,
        height,
        orientation: header.orientation(),
        frames: header.frames,
        has_alpha: header.has_alpha,
    })
}

/// What a header tells, and where its EXIF lies.
pub(crate) struct Header<'a> {
    pub(crate) format: Format,
    /// As stored.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames: u32,
    pub(crate) has_alpha: bool,
    pub(crate) exif: Option<&'a [u8]>,
}

impl Header<'_> {
    pub(crate) fn orientation(&self) -> u8 {
        exif::upright_unless_known(self.exif.map_or(0, |payload| exif::read(payload).orientation))
    }

    pub(crate) fn upright_size(&self) -> (u32, u32) {
        crate::orient::upright_size(self.width, self.height, self.orientation())
    }
}

/// Sniffs, parses the header, checks the limits.
pub(crate) fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let format = Format::sniff(bytes).ok_or_else(|| unsupported(bytes))?;
    let header = match format {
        Format::Jpeg => read_jpeg(bytes),
        Format::Png => read_png(bytes),
        Format::Gif => read_gif(bytes, limits),
        Format::WebP => read_webp(bytes, limits),
        Format::Tiff => read_tiff(bytes),
        Format::Bmp => read_bmp(bytes),
        Format::Avif | Format::Heic => read_heif(bytes, format, limits),
    }?;
    limits.check(header.width, header.height, header.frames)?;
    Ok(header)
}

/// Looks at what lies before the first scan: EXIF may follow the frame header, and decoders heed it there.
fn read_jpeg(bytes: &[u8]) -> Result<Header<'_>, Error> {
    let mut exif = None;
    let mut size = None;
    for segment in jpeg::segments(bytes) {
        let segment = match segment {
            Ok(segment) => segment,
            Err(error) if size.is_none() => return Err(error),
            // That the rest is broken, decoding tells.
            Err(_) => break,
        };
        if segment.marker == jpeg::SOS {
            break;
        }
        if segment.marker == 0xE1 && exif.is_none() {
            exif = segment.payload.strip_prefix(jpeg::EXIF);
        }
        if jpeg::is_frame(segment.marker) && size.is_none() {
            let side = |at| be16(segment.payload, at).map(u32::from);
            size = Some(side(3).zip(side(1)).ok_or_else(no_frame_header)?);
        }
    }
    let (width, height) = size.ok_or_else(no_frame_header)?;
    Ok(Header { format: Format::Jpeg, width, height, frames: 1, has_alpha: false, exif })
}

fn no_frame_header() -> Error {
    Error::corrupt("the JPEG has no frame header")
}

fn read_png(bytes: &[u8]) -> Result<Header<'_>, Error> {
    let head = bytes.get(8..33).filter(|head| head[4..8] == *b"IHDR");
    let head = head.ok_or_else(|| Error::corrupt("the PNG has no header chunk"))?;
    let side = |at| be32(head, at).unwrap_or(0);
    let mut header = Header {
        format: Format::Png,
        width: side(8),
        height: side(12),
        frames: 1,
        has_alpha: head[17] & 4 != 0,
        exif: None,
    };
    let mut seen_data = false;
    let mut animation = None;
    let mut controls = 0;
    let file = png::chunks(bytes);
    for chunk in file.chunks {
        match &chunk.kind {
            // What is broken of these counts for nothing to a decoder.
            b"acTL" | b"tRNS" | b"eXIf" if !chunk.is_sound() => {}
            b"fcTL" => controls += 1,
            b"IDAT" => seen_data = true,
            // After the image data it would be too late: such a file is a still PNG.
            b"acTL" if !seen_data => animation = be32(chunk.data, 0),
            b"tRNS" => header.has_alpha = true,
            // The first one counts, here and to what is copied.
            b"eXIf" => header.exif = header.exif.or(Some(chunk.data)),
            _ => {}
        }
    }
    // Of an animation that is cut, the frames that have begun.
    header.frames = animation.unwrap_or(1).min(if file.ends { u32::MAX } else { controls }).max(1);
    Ok(header)
}

fn read_gif<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let file = gif::parse(bytes)?;
    let (width, height) = (file.width, file.height);
    let mut frames = 0;
    let mut has_alpha = false;
    for block in &file.blocks {
        match block {
            gif::Block::Image(image) => {
                // A later frame may be larger than the canvas; it is decoded before it is clipped.
                limits.check(image.width.max(1).into(), image.height.max(1).into(), 1)?;
                let covers = (image.left, image.top) == (0, 0)
                    && u32::from(image.width) >= width
                    && u32::from(image.height) >= height;
                has_alpha |= frames == 0 && !covers;
                frames += 1;
            }
            // Later frames are transparent where they change nothing: only the first one tells.
            gif::Block::Extension { label: 0xF9, data, .. } if frames == 0 => {
                has_alpha |= data.get(1).is_some_and(|flags| flags & 1 == 1);
            }
            gif::Block::Extension { .. } => {}
        }
    }
    if frames == 0 {
        return Err(Error::corrupt("the GIF has no frame"));
    }
    Ok(Header { format: Format::Gif, width, height, frames, has_alpha, exif: None })
}

fn read_webp<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Header<'a>, Error> {
    let file = webp::chunks(bytes)?;
    let mut chunks = file.chunks;
    chunks.extend(file.cut.filter(is_bitstream));
    let nothing = || Error::corrupt("the WebP holds no image");
    let first = chunks.first().ok_or_else(nothing)?;
    let (width, height) = match &first.kind {
        b"VP8X" => webp::size_at(first.data, 4),
        b"VP8 " | b"VP8L" => webp::bitstream_size(first),
        _ => None,
    }
    .ok_or_else(nothing)?;
    if width > WEBP_SIDE || height > WEBP_SIDE {
        return Err(Error::new(
            ErrorCode::UnsupportedFormat,
            format!("the WebP is {width}x{height}; a side of more than {WEBP_SIDE} cannot be written again"),
        ));
    }
    // The bitstream's own size is what a decoder allocates by, so the canvas must not belie it.
    for chunk in chunks.iter().filter(|chunk| is_bitstream(chunk)) {
        if webp::bitstream_size(chunk) != Some((width, height)) {
            return Err(Error::corrupt("the WebP's canvas and image differ in size"));
        }
    }
    let mut frames = 0;
    for frame in chunks.iter().filter(|chunk| chunk.kind == *b"ANMF") {
        let body = frame.data.get(16..).ok_or_else(nothing)?;
        for chunk in webp::sub_chunks(body)?.iter().filter(|chunk| is_bitstream(chunk)) {
            let (w, h) = webp::bitstream_size(chunk).ok_or_else(nothing)?;
            limits.check(w, h, 1)?;
        }
        frames += 1;
    }
    let flags = webp::true_flags(&chunks);
    // Without its header a file is one picture, and decoders look at nothing else.
    let exif = chunks.iter().find(|chunk| first.kind == *b"VP8X" && chunk.kind == *b"EXIF");
    Ok(Header {
        format: Format::WebP,
        width,
        height,
        frames: if flags & webp::ANIMATION != 0 { frames } else { 1 }.max(1),
        has_alpha: flags & webp::ALPHA != 0 || webp::lossless_has_alpha(first),
        exif: exif.map(|chunk| chunk.data),
    })
}

/// The longest side that libwebp writes.
const WEBP_SIDE: u32 = 16_383;

fn is_bitstream(chunk: &webp::Chunk<'_>) -> bool {
    matches!(&chunk.kind, b"VP8 " | b"VP8L")
}

fn read_tiff(bytes: &[u8]) -> Result<Header<'_>, Error> {
    let file = tiff::Tiff::new(bytes).ok_or_else(|| Error::corrupt("the TIFF has no header"))?;
    let page = file.first().ok_or_else(|| Error::corrupt("the TIFF has no page"))?;
    let side = |tag| file.number(&page, tag).ok_or_else(|| Error::corrupt("the TIFF's page has no size"));
    let number = |tag| file.number(&page, tag);
    let has_alpha = match number(tiff_tag::EXTRA_SAMPLES) {
        Some(kind) => kind == 1 || kind == 2,
        // Of grey, or of colours: one sample more than those take is transparency.
        None => {
            let samples = number(tiff_tag::SAMPLES).unwrap_or(1);
            matches!((number(tiff_tag::PHOTOMETRIC), samples), (Some(1), 2) | (Some(2), 4))
        }
    };
    Ok(Header {
        format: Format::Tiff,
        width: side(tiff_tag::WIDTH)?,
        height: side(tiff_tag::HEIGHT)?,
        frames: 1,
        has_alpha,
        exif: Some(bytes),
    })
}

mod tiff_tag {
    pub(super) const WIDTH: u16 = 256;
    pub(super) const HEIGHT: u16 = 257;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const EXTRA_SAMPLES: u16 = 338;
}

fn read_bmp(bytes: &[u8]) -> Result<Header<'_>, Error> {
    let cut = || Error::corrupt("the BMP ends early");
    let size = le32(bytes, 14).ok_or_else(cut)?;
    let (width, height) = if size == 12 {
        (le16(bytes, 18).ok_or_else(cut)?.into(), le16(bytes, 20).ok_or_else(cut)?.into())
    } else {
        // A negative height says the rows run from the top.
        let height = le32(bytes, 22).ok_or_else(cut)?.cast_signed().unsigned_abs();
        (le32(bytes, 18).ok_or_else(cut)?, height)
    };
    if width.cast_signed() < 0 {
        return Err(Error::corrupt("the BMP's width is negative"));
    }
    let has_alpha = size >= 56 && le32(bytes, 66).is_some_and(|mask| mask != 0) && le16(bytes, 28) == Some(32);
    Ok(Header { format: Format::Bmp, width, height, frames: 1, has_alpha, exif: None })
}

#[cfg(feature = "heif")]
fn read_heif<'a>(bytes: &'a [u8], format: Format, limits: &Limits) -> Result<Header<'a>, Error> {
    let file = crate::heif_codec::Heif::open(bytes, limits)?;
    let (width, height) = file.size()?;
    // The file's own boxes say how it is turned, and libheif obeys them: what EXIF says must not count twice.
    Ok(Header { format, width, height, frames: 1, has_alpha: file.has_alpha(), exif: None })
}

#[cfg(not(feature = "heif"))]
fn read_heif<'a>(bytes: &'a [u8], _format: Format, _limits: &Limits) -> Result<Header<'a>, Error> {
    Err(unsupported(bytes))
}

/// What to do instead. Whoever chose the file is shown it: no word of how this was built.
const SEND: &str = "send a JPEG, PNG, GIF or WebP";

/// Says what the bytes are, when they are something known that is not read.
fn unsupported(bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return Error::new(ErrorCode::Corrupt, "the file is empty");
    }
    let known = match bytes {
        _ if Format::sniff_iso(bytes) == Some(Format::Avif) => "an AVIF image",
        _ if Format::sniff_iso(bytes).is_some() => "a HEIC image",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "a video or another ISO media file",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [0, 0, 1 | 2, 0, ..] => "an ICO or CUR icon",
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop document",
        [0xFF, 0x0A, ..] | [0, 0, 0, 0x0C, b'J', b'X', b'L', b' ', ..] => "a JPEG XL image",
        [0, 0, 0, 0x0C, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => "a JPEG 2000 image",
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => "a BigTIFF",
        _ if is_svg(bytes) => "an SVG drawing",
        _ => {
            let text = format!("this is not an image, or of a format that is not known here: {SEND}");
            return Error::new(ErrorCode::UnsupportedFormat, text);
        }
    };
    Error::new(ErrorCode::UnsupportedFormat, format!("this is {known}, which is not read here: {SEND}"))
}

fn is_svg(bytes: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    let text = start.trim_start_matches('\u{FEFF}').trim_start();
    text.starts_with('<') && text.contains("<svg")
}
