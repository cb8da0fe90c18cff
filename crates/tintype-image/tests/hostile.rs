//! Bad input gives a coded error or a picture, quickly, and nothing else.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{fixture, fixtures, spec, specs};
use tintype_image::{ErrorCode, Format, Limits, MetadataPolicy, Tolerance, probe, render};

fn run(bytes: &[u8]) -> Result<tintype_image::Rendered<'_>, tintype_image::Error> {
    render(bytes, &specs(), MetadataPolicy::default(), &Limits::default())
}

fn code(bytes: &[u8]) -> Option<ErrorCode> {
    run(bytes).err().map(|error| error.code)
}

#[test]
fn a_file_cut_short_is_corrupt() {
    // Without the verbatim variant: that one's walk over the file would find the cut, and hide decoders that do not.
    let run = |bytes: &[u8], damaged| {
        let limits = Limits { damaged, ..Limits::default() };
        render(bytes, &specs()[1..], MetadataPolicy::default(), &limits).map(tintype_image::Rendered::into_owned)
    };
    for (name, bytes) in fixtures() {
        let whole = run(&bytes, Tolerance::Refuse).unwrap();
        assert_eq!(whole.damaged, None, "{name} is whole");
        for length in (1..bytes.len()).step_by((bytes.len() / 97).max(1)) {
            // Where damage is not refused, it is told.
            match run(&bytes[..length], Tolerance::Half) {
                Err(error) => assert_ne!(error.code, ErrorCode::Internal, "{name} at {length}: {error:?}"),
                Ok(rendered) => match rendered.damaged {
                    Some(damage) => assert!(damage.rows > 0.5 && !damage.why.is_empty(), "{name} at {length}"),
                    None => assert_eq!(rendered.variants[2].bytes, whole.variants[2].bytes, "{name} at {length}"),
                },
            }
            match run(&bytes[..length], Tolerance::Refuse) {
                Err(error) => assert!(
                    matches!(error.code, ErrorCode::Corrupt | ErrorCode::UnsupportedFormat),
                    "{name} at {length}: {error:?}"
                ),
                // What was cut off was no pixel: directories, padding.
                Ok(rendered) => assert_eq!(
                    rendered.variants[2].bytes,
                    whole.variants[2].bytes,
                    "{name} at {length} of {} gives another picture",
                    bytes.len()
                ),
            }
        }
    }
}

#[test]
fn a_long_file_cut_short_is_corrupt() {
    let name = "jpeg_progressive.jpg";
    let bytes = fixture(name);
    let limits = Limits { damaged: Tolerance::Refuse, ..Limits::default() };
    for length in 200..bytes.len() - 2 {
        let refused = render(&bytes[..length], &specs(), MetadataPolicy::default(), &limits).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Corrupt, "{name} at {length}");
    }
}

/// Writes a size where the format keeps it.
fn with_size(name: &str, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = fixture(name);
    let (w16, h16) = ((width as u16).to_be_bytes(), (height as u16).to_be_bytes());
    match Format::sniff(&bytes).unwrap() {
        Format::Jpeg => {
            let at = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
            bytes[at + 5..at + 7].copy_from_slice(&h16);
            bytes[at + 7..at + 9].copy_from_slice(&w16);
        }
        Format::Png => {
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
        }
        Format::Gif => {
            bytes[6..8].copy_from_slice(&(width as u16).to_le_bytes());
            bytes[8..10].copy_from_slice(&(height as u16).to_le_bytes());
        }
        Format::Bmp => {
            bytes[18..22].copy_from_slice(&width.to_le_bytes());
            bytes[22..26].copy_from_slice(&height.to_le_bytes());
        }
        Format::Tiff => {
            let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            let first = number(4) + 2;
            for (tag, value) in [(256u16, width), (257, height)] {
                let entry = (first..).step_by(12).find(|&at| bytes[at..at + 2] == tag.to_le_bytes()).unwrap();
                bytes[entry + 2..entry + 4].copy_from_slice(&4u16.to_le_bytes());
                bytes[entry + 8..entry + 12].copy_from_slice(&value.to_le_bytes());
            }
        }
        Format::Avif | Format::Heic => panic!("no fixture is one"),
        Format::WebP => {
            let at = bytes.windows(4).position(|w| w == b"VP8L").unwrap() + 9;
            let bits = (width - 1) | (height - 1) << 14;
            bytes[at..at + 4].copy_from_slice(&bits.to_le_bytes());
        }
    }
    bytes
}

#[test]
fn header_bombs_are_refused_at_once() {
    let names = ["jpeg_baseline.jpg", "png_rgb.png", "gif_still.gif", "bmp_rgb.bmp", "tiff_rgb_raw.tiff"];
    for (name, side) in names.map(|name| (name, 64_000)).into_iter().chain([("webp_lossless.webp", 16_383)]) {
        let start = Instant::now();
        let bytes = with_size(name, side, side);
        assert_eq!(code(&bytes), Some(ErrorCode::TooManyPixels), "{name}");
        assert_eq!(probe(&bytes, &Limits::default()).unwrap_err().code, ErrorCode::TooManyPixels, "{name}");
        assert!(start.elapsed() < Duration::from_millis(200), "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn no_second_size_passes_the_limits_by() {
    let whole = fixture("jpeg_baseline.jpg");
    let at = whole.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    let length = 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
    let mut small = whole[at..at + length].to_vec();
    small[5..9].copy_from_slice(&[0, 8, 0, 8]);
    assert_eq!(code(&[&whole[..at], &small, &whole[at..]].concat()), Some(ErrorCode::Corrupt), "two frame headers");
    let mut strip = fixture("tiff_rgb_jpeg.tiff");
    let at = strip.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    strip[at + 5..at + 9].copy_from_slice(&[0x3F, 0xFF, 0x3F, 0xFF]);
    assert_eq!(code(&strip), Some(ErrorCode::Corrupt), "a JPEG larger than its page");
}

/// A BMP of 4 by 4 pixels with `BITMAPINFOHEADER`, masks behind it if there are any, and as many bytes as it may need.
fn bmp(bits: u16, packing: u32, height: i32, masks: &[u32]) -> Vec<u8> {
    let start = 54 + 4 * masks.len() as u32;
    let mut bytes = b"BM".to_vec();
    for number in [0, 0, start, 40, 4, height.cast_unsigned(), 1 | u32::from(bits) << 16, packing, 0, 0, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    masks.iter().for_each(|mask| bytes.extend(mask.to_le_bytes()));
    bytes.resize(bytes.len() + 2048, 0);
    bytes
}

/// One with the header of OS/2 1.
fn old_bmp(bits: u16) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [0, 0, 26, 12, 4 | 4 << 16, 1 | u32::from(bits) << 16] {
        bytes.extend(u32::to_le_bytes(number));
    }
    bytes.resize(bytes.len() + 2048, 0);
    bytes
}

#[test]
fn what_is_not_read_is_not_called_damaged() {
    let (split, whole) = ([0x00FF_0000, 0xF000_0F00, 0xFF], [0x00FF_0000, 0xFF00, 0xFF]);
    for (what, bytes) in [
        ("split masks", bmp(32, 3, 4, &split)),
        ("split masks of 16 bits", bmp(16, 3, 4, &[0xF800, 0x0720, 0x1F])),
        ("runs of 8 bits from the top down", bmp(8, 1, -4, &[])),
        ("runs of 4 bits from the top down", bmp(4, 2, -4, &[])),
        ("2 bits with the old header", old_bmp(2)),
        ("16 bits with the old header", old_bmp(16)),
        ("32 bits with the old header", old_bmp(32)),
    ] {
        assert_eq!(code(&bytes), Some(ErrorCode::UnsupportedFormat), "{what}");
    }
    for (what, bytes) in [("masks", bmp(32, 3, 4, &whole)), ("24 bits with the old header", old_bmp(24))] {
        assert_eq!(code(&bytes), None, "{what}");
    }
    // Lossless, and with arithmetic codes: sequential, progressive, lossless.
    for marker in [0xC3, 0xC9, 0xCA, 0xCB] {
        let mut strip = fixture("tiff_rgb_jpeg.tiff");
        let frames: Vec<_> = (1..strip.len()).filter(|at| strip[at - 1..=*at] == [0xFF, 0xC0]).collect();
        assert!(!frames.is_empty());
        frames.into_iter().for_each(|at| strip[at] = marker);
        assert_eq!(code(&strip), Some(ErrorCode::UnsupportedFormat), "a TIFF of JPEGs with marker {marker:x}");
    }
}

#[test]
fn no_width_is_corrupt() {
    for name in ["jpeg_baseline.jpg", "png_rgb.png", "bmp_rgb.bmp", "tiff_rgb_raw.tiff"] {
        assert_eq!(code(&with_size(name, 0, 24)), Some(ErrorCode::Corrupt), "{name}");
    }
    // A GIF's screen grows for its first image, if that has a width.
    let mut gif = with_size("gif_still.gif", 0, 24);
    assert_eq!(code(&gif), None);
    let image = gif.windows(10).position(|w| w[0] == 0x2C && w[5..9] == [32, 0, 24, 0]).unwrap();
    gif[image + 5..image + 7].fill(0);
    assert_eq!(code(&gif), Some(ErrorCode::Corrupt));
}

#[test]
fn five_thousand_frames_are_counted_not_decoded() {
    let one = fixture("gif_still.gif");
    let image = one.windows(10).position(|w| w[0] == 0x2C && w[5..9] == [32, 0, 24, 0]).unwrap();
    let mut bytes = one[..image].to_vec();
    for _ in 0..5000 {
        bytes.extend_from_slice(&one[image..one.len() - 1]);
    }
    bytes.push(0x3B);
    let start = Instant::now();
    assert_eq!(code(&bytes), Some(ErrorCode::TooManyFrames));
    assert!(start.elapsed() < Duration::from_millis(200), "took {:?}", start.elapsed());
}

#[test]
fn frames_together_are_bounded() {
    let limits = Limits { max_pixels: 32 * 24, ..Limits::default() };
    let animated = fixture("png_animated.png");
    let four = render(&animated, &specs(), MetadataPolicy::default(), &limits);
    assert!(four.is_ok(), "four frames are four times one");
    let limits = Limits { max_frames: 3, ..Limits::default() };
    for name in ["png_animated.png", "gif_animated.gif", "webp_animated.webp"] {
        assert_eq!(probe(&fixture(name), &limits).unwrap_err().code, ErrorCode::TooManyFrames, "{name}");
    }
}

#[test]
fn a_deadline_that_has_passed_is_a_timeout() {
    let limits = Limits { deadline: Some(Instant::now() - Duration::from_secs(1)), ..Limits::default() };
    for name in ["jpeg_baseline.jpg", "png_rgb.png", "gif_animated.gif"] {
        let error =
            render(&fixture(name), &[spec("t", Some(9), None)], MetadataPolicy::default(), &limits).unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout, "{name}");
    }
}

#[test]
fn other_files_are_named() {
    for (bytes, word) in [
        (&b"\0\0\0\x20ftypisom\0\0\0\0"[..], "video"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\x01\0\x01\0", "ICO"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"\xFF\x0A\0", "JPEG XL"),
        (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
        (b"hello, world", "not an image"),
        (b"x", "not an image"),
    ] {
        let error = run(bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedFormat, "{word}");
        assert!(error.message.contains(word), "{word}: {}", error.message);
        assert!(error.message.ends_with(": send a JPEG, PNG, GIF or WebP"), "{}", error.message);
    }
    #[cfg(not(feature = "heif"))]
    for (bytes, word) in [
        (&b"\0\0\0\x10ftypavif\0\0\0\0"[..], "an AVIF image"),
        (b"\0\0\0\x10ftypheic\0\0\0\0", "a HEIC image"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "an AVIF image"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC image"),
    ] {
        let error = run(bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedFormat, "{word}");
        assert_eq!(error.message, format!("this is {word}, which is not read here: send a JPEG, PNG, GIF or WebP"));
    }
    let empty = run(b"").unwrap_err();
    assert_eq!((empty.code, empty.message.as_str()), (ErrorCode::Corrupt, "the file is empty"));
}
