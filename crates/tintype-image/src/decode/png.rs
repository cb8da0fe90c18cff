//! PNG in: every colour type to 8 bits; APNG frames composed on the canvas.

use std::borrow::Cow;
use std::io::Cursor;

use png::{BitDepth, BlendOp, ColorType, DisposeOp, FrameControl, InterlaceInfo, Transformations};

use super::rows::{fill, past_the_end};
use super::{Delay, Frame, FrameSource, RowSource, Rows, Source, still};
use crate::container::png::{Chunk, Png, write_chunk};
use crate::damage::Damage;
use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;
use crate::{color, container};

type Reader<'a> = png::Reader<Cursor<Cow<'a, [u8]>>>;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>, limits: &Limits) -> Result<Source<'a>, Error> {
    let file = container::png::chunks(bytes);
    let damage = damaged_chunk(&file.chunks).or((!file.ends).then_some(NO_END.into()));
    let broken = end_of_broken_pixels(&file);
    // What the decoder has unpacked and not handed out, it hands out at an end, and not at a wrong checksum.
    let bytes = &bytes[..broken.unwrap_or(bytes.len())];
    let mut reader = reader(with_end(bytes, &file), limits)?;
    let icc = color::png::icc(reader.info(), container::png::profile(&file.chunks));
    let animation = reader.info().animation_control;
    // Of an animation that is cut before its first frame, the picture for other programs is all there is.
    let begins = file.ends || file.chunks.iter().any(|chunk| chunk.kind == *b"fcTL");
    let Some(animation) = animation.filter(|_| begins) else {
        let no_frame = animation.map(|animation| Damage::new(0, animation.num_frames.into(), FRAMES));
        // All may have been unpacked, but not all of it can be right.
        let suspect = broken.map(|_| Damage::new(u64::from(header.height) - 1, header.height.into(), BROKEN));
        let beside = suspect.or(no_frame).or(damage.map(Damage::beside_the_rows));
        let why = broken.map(|_| BROKEN);
        if reader.info().interlaced {
            let read_again = || self::reader(bytes.into(), limits);
            return Ok(still(read_interlaced(reader, beside, why, read_again)?, icc));
        }
        return Ok(still(read_still(reader, beside, why)?, icc));
    };
    let (width, height) = reader.info().size();
    // A picture before the first frame control is for programs that know no animation.
    if reader.info().frame_control.is_none() {
        read_frame(&mut reader)?;
        reader.next_frame_info().map_err(|e| error(&e))?;
    }
    let canvas = Pixels::zeroed(width, height, Layout::Rgba);
    let (count, promised) = (header.frames, animation.num_frames.max(header.frames));
    let frames = Frames { canvas, after: None, count, promised, read: 0, there: 0, damage, reader };
    Ok(Source { icc, plays: animation.num_plays, lossless: true, frames: super::Frames::Animation(Box::new(frames)) })
}

fn reader<'a>(file: Cow<'a, [u8]>, limits: &Limits) -> Result<Reader<'a>, Error> {
    let mut decoder = png::Decoder::new(Cursor::new(file));
    // Pixels are bounded by the header already, and a chunk by the file.
    decoder.set_limits(png::Limits { bytes: memory(limits) });
    decoder.set_ignore_text_chunk(true);
    // It would unpack a profile to as much as that bound.
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(|e| error(&e))
}

const NO_END: &str = "the PNG's end chunk is missing";
const BROKEN: &str = "the PNG's image data is damaged";
const FRAMES: &str = "frames of the PNG are missing";

/// What is wrong, in half a sentence.
type Why = Cow<'static, str>;

/// The first chunk beside the pixels that is broken. Decoders go on without it, and say nothing. A name that is unknown is not
/// told: it could be anything.
fn damaged_chunk(chunks: &[Chunk<'_>]) -> Option<Why> {
    const KNOWN: [&[u8; 4]; 21] = [
        b"acTL", b"bKGD", b"cHRM", b"cICP", b"cLLI", b"eXIf", b"fcTL", b"fdAT", b"gAMA", b"hIST", b"iCCP", b"iTXt",
        b"mDCV", b"pHYs", b"sBIT", b"sPLT", b"sRGB", b"tEXt", b"tIME", b"tRNS", b"zTXt",
    ];
    let is_broken = |chunk: &&Chunk<'_>| chunk.is_ancillary() && !chunk.is_cut() && !chunk.is_sound();
    let kind = chunks.iter().find(is_broken)?.kind;
    let name = str::from_utf8(&kind).ok().filter(|_| KNOWN.contains(&&kind));
    Some(name.map_or(DAMAGED_CHUNK.into(), |name| format!("the PNG's {name} chunk is damaged").into()))
}

const DAMAGED_CHUNK: &str = "a chunk of the PNG is damaged";

/// The file, with an end where all else is there: of an animation, the decoder wants it.
fn with_end<'a>(bytes: &'a [u8], file: &Png<'_>) -> Cow<'a, [u8]> {
    if file.ends || !is_animation(file) || file.chunks.last().is_none_or(Chunk::is_cut) {
        return Cow::Borrowed(bytes);
    }
    let length: usize = file.chunks.iter().map(|chunk| chunk.raw.len()).sum();
    let mut whole = bytes[..8 + length].to_vec();
    write_chunk(&mut whole, *b"IEND", &[]);
    Cow::Owned(whole)
}

/// Where the data of the first chunk of pixels ends whose checksum is wrong, of a still picture: behind it nothing is read.
fn end_of_broken_pixels(file: &Png<'_>) -> Option<usize> {
    const SIGNATURE: usize = 8;
    const CHECKSUM: usize = 4;
    if is_animation(file) {
        return None;
    }
    let is_broken = |chunk: &Chunk<'_>| chunk.kind == *b"IDAT" && !chunk.is_cut() && !chunk.is_sound();
    let at = file.chunks.iter().position(is_broken)?;
    let length: usize = file.chunks[..=at].iter().map(|chunk| chunk.raw.len()).sum();
    Some(SIGNATURE + length - CHECKSUM)
}

fn is_animation(file: &Png<'_>) -> bool {
    file.chunks.iter().any(|chunk| matches!(&chunk.kind, b"acTL" | b"fcTL"))
}

fn memory(limits: &Limits) -> usize {
    usize::try_from(limits.max_pixels.saturating_mul(8)).unwrap_or(usize::MAX).max(64 << 20)
}

fn error(error: &png::DecodingError) -> Error {
    match error {
        png::DecodingError::LimitsExceeded => {
            Error::new(ErrorCode::Corrupt, "the PNG unpacks to more than its size allows")
        }
        other => Error::corrupt(format!("the PNG cannot be decoded: {other}")),
    }
}

/// What is wrong with a file whose data cannot be read on from here; no file at all where it asks for too much.
fn why(error: png::DecodingError) -> Result<&'static str, Error> {
    match error {
        png::DecodingError::LimitsExceeded => Err(self::error(&error)),
        png::DecodingError::IoError(_) => Ok("the PNG ends early"),
        _ => Ok(BROKEN),
    }
}

/// Reads what comes after the image.
fn read_end(reader: &mut Reader<'_>) -> Option<Damage> {
    let why = match reader.finish() {
        Ok(()) => return None,
        Err(png::DecodingError::IoError(_)) => NO_END,
        Err(_) => DAMAGED_CHUNK,
    };
    Some(Damage::beside_the_rows(why))
}

/// A still picture, row by row.
fn read_still<'a>(reader: Reader<'a>, beside: Option<Damage>, why: Option<&'static str>) -> Result<Rows<'a>, Error> {
    let (width, height) = reader.info().size();
    let (color, depth) = reader.output_color_type();
    let layout = layout(color)?;
    let wide = if depth == BitDepth::Sixteen { vec![0; width as usize * layout.channels() * 2] } else { Vec::new() };
    let still = Still { reader, wide, layout, height, read: 0, damage: None, beside, why };
    Ok(Rows { width, height, layout, source: Box::new(still) })
}

/// A picture whose rows are spread over the file. One that is not whole is read once more, as far as it goes.
fn read_interlaced<'a>(
    mut reader: Reader<'a>,
    beside: Option<Damage>,
    why: Option<&'static str>,
    read_again: impl FnOnce() -> Result<Reader<'a>, Error>,
) -> Result<Rows<'static>, Error> {
    let (pixels, missing) = match read_frame(&mut reader) {
        Ok(pixels) => (pixels, None),
        Err(_) => {
            reader = read_again()?;
            read_passes(&mut reader, why)?
        }
    };
    let damage = missing.or(beside).or_else(|| read_end(&mut reader));
    Ok(Rows::damaged(pixels, damage))
}

/// What is there of an interlaced picture. As browsers show it: a pixel stands for those right of it and below it that
/// later passes would have brought. What counts is the part of the pixels that came, for each pass has some of every row.
fn read_passes(reader: &mut Reader<'_>, known: Option<&'static str>) -> Result<(Pixels, Option<Damage>), Error> {
    let (width, height) = reader.info().size();
    let (color, depth) = reader.output_color_type();
    let layout = layout(color)?;
    let bits = layout.channels() * depth as usize;
    let stride = width as usize * bits / 8;
    let mut data = vec![0; stride * height as usize];
    fill(&mut data, layout);
    let mut there = 0;
    let why = loop {
        match reader.next_interlaced_row() {
            Ok(None) => break None,
            Ok(Some(row)) => {
                let InterlaceInfo::Adam7(pass) = row.interlace() else {
                    return Err(Error::internal("a row of a PNG is of no pass"));
                };
                png::splat_interlaced_row(&mut data, stride, row.data(), pass, bits as u8);
                there += (row.data().len() * 8 / bits) as u64;
            }
            Err(error) => break Some(why(error).map(|why| known.unwrap_or(why))?),
        }
    };
    if depth == BitDepth::Sixteen {
        narrow(&mut data);
    }
    let damage = why.map(|why| Damage::new(there, u64::from(width) * u64::from(height), why));
    Ok((Pixels { width, height, layout, data }, damage))
}

struct Still<'a> {
    reader: Reader<'a>,
    /// A row of 16-bit samples; empty when there are none.
    wide: Vec<u8>,
    layout: Layout,
    height: u32,
    /// Rows that were there.
    read: u32,
    /// Why no more are.
    damage: Option<&'static str>,
    /// What is wrong beside them.
    beside: Option<Damage>,
    /// What is known to be wrong with them.
    why: Option<&'static str>,
}

impl RowSource for Still<'_> {
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error> {
        if self.damage.is_none() {
            let read = if self.wide.is_empty() { &mut *row } else { &mut self.wide[..] };
            match self.reader.read_row(read) {
                Ok(Some(_)) => {
                    self.read += 1;
                    row.iter_mut().zip(self.wide.as_chunks::<2>().0).for_each(|(to, wide)| *to = to_8_bits(*wide));
                    return Ok(());
                }
                Ok(None) => return Err(past_the_end()),
                Err(error) => self.damage = Some(why(error).map(|why| self.why.unwrap_or(why))?),
            }
        }
        fill(row, self.layout);
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Damage>, Error> {
        Ok(match self.damage {
            Some(why) => Some(Damage::new(self.read.into(), self.height.into(), why)),
            None => self.beside.take().or_else(|| read_end(&mut self.reader)),
        })
    }
}

/// The next picture, of its own size.
fn read_frame(reader: &mut Reader<'_>) -> Result<Pixels, Error> {
    let size = reader.output_buffer_size().ok_or_else(|| Error::corrupt("the PNG's size overflows"))?;
    let mut data = vec![0; size];
    let info = reader.next_frame(&mut data).map_err(|e| error(&e))?;
    data.truncate(info.buffer_size());
    if info.bit_depth == BitDepth::Sixteen {
        narrow(&mut data);
    }
    Ok(Pixels { width: info.width, height: info.height, layout: layout(info.color_type)?, data })
}

fn layout(color: ColorType) -> Result<Layout, Error> {
    match color {
        ColorType::Grayscale => Ok(Layout::Gray),
        ColorType::GrayscaleAlpha => Ok(Layout::GrayAlpha),
        ColorType::Rgb => Ok(Layout::Rgb),
        ColorType::Rgba => Ok(Layout::Rgba),
        ColorType::Indexed => Err(Error::internal("a palette was not expanded")),
    }
}

fn narrow(data: &mut Vec<u8>) {
    for at in 0..data.len() / 2 {
        data[at] = to_8_bits([data[at * 2], data[at * 2 + 1]]);
    }
    data.truncate(data.len() / 2);
}

/// 16 bits to the nearest of 8: the crate's own way cuts them off, which is up to a level too dark.
fn to_8_bits(wide: [u8; 2]) -> u8 {
    ((u32::from(u16::from_be_bytes(wide)) * 255 + 32_767) / 65_535) as u8
}

struct Frames<'a> {
    canvas: Pixels,
    /// How the frame before is disposed of, and what was under it.
    after: Option<(FrameControl, Vec<u8>)>,
    count: u32,
    /// Frames that the animation says it has: of one that is cut, more than have begun.
    promised: u32,
    read: u32,
    /// Frames that were whole.
    there: u32,
    damage: Option<Why>,
    reader: Reader<'a>,
}

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        if self.read == self.count {
            return Ok(None);
        }
        self.read += 1;
        // Decoding the data of a frame is what reads the control that comes before it.
        let picture = match read_frame(&mut self.reader) {
            Ok(picture) => picture,
            // What came before stays, in place of a frame that is missing.
            Err(error) if error.code == ErrorCode::Corrupt && self.there > 0 => {
                self.damage = Some("a frame of the PNG is missing".into());
                return Ok(Some(Frame { pixels: self.canvas.clone(), delay: Delay { num: 1, den: 10 } }));
            }
            Err(error) => return Err(error),
        };
        self.there += 1;
        let control =
            *self.reader.info().frame_control().ok_or_else(|| Error::corrupt("an APNG frame has no control"))?;
        self.dispose();
        let before = if control.dispose_op == DisposeOp::Previous { self.canvas.data.clone() } else { Vec::new() };
        draw(&mut self.canvas, &picture, &control)?;
        self.after = Some((control, before));
        let den = if control.delay_den == 0 { 100 } else { control.delay_den };
        let delay = Delay { num: control.delay_num.into(), den: den.into() };
        Ok(Some(Frame { pixels: self.canvas.clone(), delay }))
    }

    fn damage(&self) -> Option<Damage> {
        let missing = (self.there < self.promised).then_some(FRAMES.into());
        let why = self.damage.clone().or(missing)?;
        Some(Damage::new(self.there.into(), self.promised.into(), why))
    }
}

impl Frames<'_> {
    fn dispose(&mut self) {
        let Some((control, before)) = self.after.take() else {
            return;
        };
        match control.dispose_op {
            DisposeOp::None => {}
            DisposeOp::Background => rows(&mut self.canvas, &control).for_each(|row| row.fill(0)),
            DisposeOp::Previous => self.canvas.data = before,
        }
    }
}

/// The canvas' rows under a frame.
fn rows<'a>(canvas: &'a mut Pixels, control: &FrameControl) -> impl Iterator<Item = &'a mut [u8]> + use<'a> {
    let stride = canvas.stride();
    let (left, width) = (control.x_offset as usize * 4, control.width as usize * 4);
    let (top, height) = (control.y_offset as usize, control.height as usize);
    canvas.data.chunks_exact_mut(stride).skip(top).take(height).map(move |row| &mut row[left..left + width])
}

fn draw(canvas: &mut Pixels, picture: &Pixels, control: &FrameControl) -> Result<(), Error> {
    let fits = |offset: u32, length: u32, side: u32| offset.checked_add(length).is_some_and(|end| end <= side);
    let inside =
        fits(control.x_offset, control.width, canvas.width) && fits(control.y_offset, control.height, canvas.height);
    if !inside || (picture.width, picture.height) != (control.width, control.height) {
        return Err(Error::corrupt("an APNG frame lies outside the image"));
    }
    let rgba = picture.to_rgba();
    for (under, over) in rows(canvas, control).zip(rgba.chunks_exact(picture.width as usize * 4)) {
        match control.blend_op {
            BlendOp::Source => under.copy_from_slice(over),
            BlendOp::Over => {
                for (under, over) in under.chunks_exact_mut(4).zip(over.chunks_exact(4)) {
                    blend(under, over);
                }
            }
        }
    }
    Ok(())
}

/// Porter and Duff's "over", alpha not multiplied in.
fn blend(under: &mut [u8], over: &[u8]) {
    let (a, b) = (u32::from(over[3]), u32::from(under[3]));
    let total = a * 255 + b * (255 - a);
    if total == 0 {
        under.fill(0);
        return;
    }
    for (under, &over) in under[..3].iter_mut().zip(&over[..3]) {
        let sum = u32::from(over) * a * 255 + u32::from(*under) * b * (255 - a);
        *under = ((sum + total / 2) / total) as u8;
    }
    under[3] = ((total + 127) / 255) as u8;
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{blend, narrow};
    use crate::color::MOST_PROFILE;
    use crate::container::png::{chunks, write_chunk};
    use crate::damage::Damage;
    use crate::decode;
    use crate::decode::Source;
    use crate::limits::Limits;
    use crate::probe;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(data).expect("memory takes all");
        out.finish().expect("memory takes all")
    }

    /// Of ten grey pixels a side.
    fn png(before: &[u8], behind: &[u8]) -> Vec<u8> {
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        write_chunk(&mut out, *b"IHDR", &[0, 0, 0, 10, 0, 0, 0, 10, 8, 0, 0, 0, 0]);
        out.extend_from_slice(before);
        write_chunk(&mut out, *b"IDAT", &packed(&[0; 110]));
        out.extend_from_slice(behind);
        write_chunk(&mut out, *b"IEND", &[]);
        out
    }

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_chunk(&mut out, *kind, data);
        out
    }

    fn open(file: &[u8]) -> Source<'_> {
        let limits = Limits::default();
        let header = probe::read(file, &limits).expect("a header");
        decode::open(file, &header, &limits).expect("a PNG")
    }

    #[test]
    fn a_profile_unpacks_to_no_more_than_a_profile_has() {
        let profile = |length: usize| chunk(b"iCCP", &[b"icc\0\0", &packed(&vec![0; length])[..]].concat());
        let length = |file: &[u8]| open(file).icc.map(|icc| icc.len());
        assert_eq!(length(&png(&profile(MOST_PROFILE), &[])), Some(MOST_PROFILE));
        assert_eq!(length(&png(&profile(MOST_PROFILE + 1), &[])), None);
        assert_eq!(length(&png(&profile(64 << 20), &[])), None);
        let mut broken = profile(200);
        broken.last_mut().into_iter().for_each(|last| *last ^= 1);
        assert_eq!(length(&png(&broken, &[])), None);
        // The first one counts.
        assert_eq!(length(&png(&[profile(200), profile(300)].concat(), &[])), Some(200));
        assert_eq!(length(&png(&[], &profile(300))), None);
        assert_eq!(container_profile(&png(&profile(64 << 20), &[])), None);
    }

    /// A chunk whose checksum is wrong.
    fn broken(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut out = chunk(kind, data);
        out.last_mut().into_iter().for_each(|last| *last ^= 1);
        out
    }

    fn damage(file: &[u8]) -> Option<Damage> {
        let mut frames = open(file).frames;
        while frames.next_frame().expect("frames").is_some() {}
        frames.damage()
    }

    #[test]
    fn a_broken_chunk_beside_the_pixels_is_told() {
        assert_eq!(damage(&png(&chunk(b"tRNS", &[0, 0]), &chunk(b"tEXt", b"a\0b"))), None);
        let told = |why: &str| Some(Damage::beside_the_rows(why));
        for kind in [b"tRNS", b"gAMA", b"tEXt", b"eXIf", b"iCCP", b"tIME"] {
            let name = str::from_utf8(kind).expect("letters");
            let why = format!("the PNG's {name} chunk is damaged");
            assert_eq!(damage(&png(&broken(kind, &[0, 0]), &[])), told(&why));
            assert_eq!(damage(&png(&[], &broken(kind, &[0, 0]))), told(&why));
        }
        // A name that anybody may have made up is not repeated.
        assert_eq!(damage(&png(&[], &broken(b"seCR", b""))), told(super::DAMAGED_CHUNK));
        let interlaced = |beside: &[u8]| {
            let mut file = png(beside, &[]);
            file[28] = 1;
            let mut crc = flate2::Crc::new();
            crc.update(&file[12..29]);
            file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
            let image = file.windows(4).position(|kind| kind == b"IDAT").expect("pixels") - 4;
            file.truncate(image);
            file.extend(chunk(b"IDAT", &packed(&[0; 120])));
            file.extend(chunk(b"IEND", &[]));
            file
        };
        assert_eq!(damage(&interlaced(&[])), None);
        assert_eq!(damage(&interlaced(&broken(b"tEXt", b""))), told("the PNG's tEXt chunk is damaged"));
        // What decoders leave out says nothing of the header either.
        let limits = Limits::default();
        let file = png(&broken(b"tRNS", &[0, 0]), &[]);
        assert!(!probe::probe(&file, &limits).expect("a header").has_alpha);
    }

    #[test]
    fn broken_pixels_of_a_frame_are_told() {
        let control =
            |number: u8| [&[0, 0, 0, number, 0, 0, 0, 10, 0, 0, 0, 10][..], &[0; 8], &[0, 1, 0, 10, 0, 0]].concat();
        let head = [chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), chunk(b"fcTL", &control(0))].concat();
        let data = [&[0, 0, 0, 2][..], &packed(&[0; 110])].concat();
        let second = |data: Vec<u8>| png(&head, &[chunk(b"fcTL", &control(1)), data].concat());
        assert_eq!(damage(&second(chunk(b"fdAT", &data))), None);
        let why = Some(Damage::beside_the_rows("the PNG's fdAT chunk is damaged"));
        assert_eq!(damage(&second(broken(b"fdAT", &data))), why);
    }

    #[test]
    fn frames_that_were_promised_count_as_missing() {
        let control =
            |number: u8| [&[0, 0, 0, number, 0, 0, 0, 10, 0, 0, 0, 10][..], &[0; 8], &[0, 1, 0, 10, 0, 0]].concat();
        let head = chunk(b"acTL", &[0, 0, 0, 4, 0, 0, 0, 0]);
        let first = [&head[..], &chunk(b"fcTL", &control(0))].concat();
        let more = |number: u8| {
            let data = [&[0, 0, 0, number + 1][..], &packed(&[0; 110])].concat();
            [chunk(b"fcTL", &control(number)), chunk(b"fdAT", &data)].concat()
        };
        let cut = |mut file: Vec<u8>| {
            file.truncate(file.len() - 12);
            file
        };
        let rows = |file: &[u8]| damage(file).map(|damage| damage.rows);
        let (second, third) = (more(1), [more(1), more(3)].concat());
        let all = [&third[..], &more(5)].concat();
        // At a boundary between frames, and within one.
        assert_eq!(rows(&cut(png(&first, &[]))), Some(0.25));
        assert_eq!(rows(&cut(png(&first, &second))), Some(0.5));
        assert_eq!(rows(&cut(png(&first, &third))), Some(0.75));
        assert_eq!(rows(&cut(png(&first, &all[..all.len() - 10]))), Some(0.75));
        assert_eq!(rows(&cut(png(&first, &all))), Some(1.0));
        assert_eq!(rows(&png(&first, &all)), None);
        // The picture for other programs is no frame.
        assert_eq!(rows(&cut(png(&head, &[]))), Some(0.0));
    }

    fn container_profile(file: &[u8]) -> Option<Vec<u8>> {
        crate::container::png::profile(&chunks(file).chunks)
    }

    #[test]
    fn sixteen_bits_are_rounded() {
        for wide in 0..=u16::MAX {
            let mut data = wide.to_be_bytes().to_vec();
            narrow(&mut data);
            assert_eq!(f64::from(data[0]), (f64::from(wide) / 257.0).round(), "{wide}");
        }
    }

    #[test]
    fn over_is_porter_and_duffs() {
        for (under, over, want) in [
            ([10, 20, 30, 255], [200, 100, 50, 255], [200, 100, 50, 255]),
            ([10, 20, 30, 255], [200, 100, 50, 0], [10, 20, 30, 255]),
            ([0, 0, 0, 255], [255, 255, 255, 128], [128, 128, 128, 255]),
            ([0, 0, 0, 0], [9, 8, 7, 100], [9, 8, 7, 100]),
            ([0, 0, 0, 0], [9, 8, 7, 0], [0, 0, 0, 0]),
        ] {
            let mut canvas = under;
            blend(&mut canvas, &over);
            assert_eq!(canvas, want, "{over:?} over {under:?}");
        }
    }
}
