//! What is there of a damaged file is developed as browsers show it, and what is missing is told.
#![allow(clippy::unwrap_used)]

mod common;

use common::{decode, fixture, fixtures, spec, specs, variant};
use tintype_image::{
    Damage, Error, ErrorCode, Limits, MetadataPolicy, OutputFormat, Rendered, Tolerance, VariantSpec, probe, render,
};

/// Smaller than no picture here: every pixel is looked at.
fn develop(bytes: &[u8], damaged: Tolerance) -> Result<Rendered<'static>, Error> {
    let limits = Limits { damaged, ..Limits::default() };
    render(bytes, &specs(), MetadataPolicy::default(), &limits).map(Rendered::into_owned)
}

#[track_caller]
fn accepted(bytes: &[u8]) -> (Rendered<'static>, Damage) {
    let rendered = develop(bytes, Tolerance::Half).unwrap();
    assert_eq!(rendered.facts.frames, probe(bytes, &Limits::default()).unwrap().frames);
    let refused = develop(bytes, Tolerance::Refuse).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Corrupt);
    let damage = rendered.damaged.clone().unwrap();
    (rendered, damage)
}

/// Mean difference of the rows from one to another, as parts of the height.
fn difference(a: &[u8], b: &[u8], from: f64, to: f64) -> f64 {
    let (a, b) = (decode(a), decode(b));
    assert_eq!(a.dimensions(), b.dimensions());
    let rows = |part: f64| (part * f64::from(a.height())) as u32;
    let pixels = (rows(from)..rows(to)).flat_map(|y| (0..a.width()).map(move |x| (x, y)));
    let differences = pixels.flat_map(|(x, y)| {
        let (a, b) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
        (0..3).map(move |c| f64::from(a[c].abs_diff(b[c])))
    });
    let all: Vec<f64> = differences.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// A photo, nearly, as a JPEG with a restart after each row of MCUs, or with none; of 160 x 128.
fn photo(restarts: bool) -> Vec<u8> {
    let name = if restarts { "damage/restarts.jpg" } else { "damage/plain.jpg" };
    std::fs::read(common::folder().join("..").join(name)).unwrap()
}

/// The same as a WebP without loss.
fn photo_as_webp() -> Vec<u8> {
    let webp = VariantSpec { format: OutputFormat::WebP, lossless: true, ..spec("webp", Some(400), None) };
    let made = render(&photo(false), &[webp], MetadataPolicy::default(), &Limits::default()).unwrap().into_owned();
    made.variants[0].bytes.to_vec()
}

/// Where the markers between restart intervals lie.
fn restarts(jpeg: &[u8]) -> Vec<usize> {
    let scan = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    (scan..jpeg.len() - 1).filter(|&at| jpeg[at] == 0xFF && matches!(jpeg[at + 1], 0xD0..=0xD7)).collect()
}

#[test]
fn an_end_marker_alone_is_missed_by_no_pixel() {
    for (name, end) in [
        ("jpeg_baseline.jpg", 2),
        ("jpeg_progressive.jpg", 2),
        ("jpeg_restart.jpg", 2),
        ("png_rgb.png", 12),
        ("png_rgb_interlaced.png", 12),
        ("png_rgb.png", 1),
        ("png_animated.png", 12),
        ("gif_still.gif", 1),
        ("gif_animated.gif", 1),
    ] {
        let whole = fixture(name);
        let cut = &whole[..whole.len() - end];
        let (rendered, damage) = accepted(cut);
        assert_eq!(damage.rows, 1.0, "{name}: {damage:?}");
        for (ours, expected) in
            rendered.variants.iter().zip(develop(&whole, Tolerance::Refuse).unwrap().variants).skip(1)
        {
            assert!(ours.bytes == expected.bytes, "{name}: {} is another picture", ours.name);
        }
        // The original goes out with the pixels it came with.
        let again = develop(variant(&rendered, "original"), Tolerance::Half).unwrap();
        assert!(again.variants[4].bytes == rendered.variants[4].bytes, "{name}");
    }
}

#[test]
fn a_jpeg_that_is_cut_is_grey_from_there_on() {
    let whole = photo(false);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    for percent in [75, 82, 95] {
        let (rendered, damage) = accepted(&whole[..whole.len() * percent / 100]);
        assert_eq!(damage.why, "the JPEG ends early");
        assert!((damage.rows - percent as f64 / 100.0).abs() < 0.16, "{percent}: {damage:?}");
        let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
        // The last rows before the gap are smoothed into it.
        assert!(difference(ours, theirs, 0.0, damage.rows - 0.03) < 0.5, "{percent}");
        let last = decode(ours).get_pixel(152, 127).0;
        assert!(last[..3].iter().all(|v| v.abs_diff(128) < 4), "{percent}: {last:?}");
    }
    let refused = develop(&whole[..whole.len() * 30 / 100], Tolerance::Half).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Corrupt);
    assert!(refused.message.contains("more than half must be"), "{}", refused.message);
    let least = |part| develop(&whole[..whole.len() * 80 / 100], Tolerance::Rows(part)).map(|_| ());
    assert_eq!((least(0.5), least(0.0)), (Ok(()), Ok(())));
    assert_eq!(least(0.95).unwrap_err().code, ErrorCode::Corrupt);
}

#[test]
fn a_jpeg_goes_on_where_its_restart_markers_say() {
    let whole = photo(true);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    let marks = restarts(&whole);
    assert_eq!(marks.len(), 7);
    // One interval of eight, and its marker, are gone.
    let lost = [&whole[..marks[1]], &whole[marks[2]..]].concat();
    let (rendered, damage) = accepted(&lost);
    assert_eq!(damage, Damage { rows: 0.875, why: "a restart marker of the JPEG is missing".into() });
    let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
    assert!(difference(ours, theirs, 0.0, 0.23) < 0.5 && difference(ours, theirs, 0.4, 1.0) < 0.5);
    // Another number: libjpeg takes it for the one that it looked for.
    let mut wrong = whole.clone();
    wrong[marks[2] + 1] = 0xD5;
    let (rendered, damage) = accepted(&wrong);
    assert!(damage.rows >= 0.875, "{damage:?}");
    assert!(difference(variant(&rendered, "400x400"), theirs, 0.0, 0.2) < 0.5);
    // A stretch of an interval is no code at all.
    let mut broken = whole.clone();
    broken[marks[3] + 20..marks[3] + 60].fill(0xFE);
    let (rendered, damage) = accepted(&broken);
    assert!(damage.rows >= 0.75, "{damage:?}");
    assert!(difference(variant(&rendered, "400x400"), theirs, 0.7, 1.0) < 0.5);
}

#[test]
fn an_end_marker_amid_the_data_ends_a_jpeg() {
    let whole = photo(false);
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap() + 14;
    let mut at = scan + (whole.len() - scan) * 3 / 4;
    while whole[at] == 0xFF || whole[at - 1] == 0xFF {
        at += 1;
    }
    let (_, damage) = accepted(&[&whole[..at], &[0xFF, 0xD9], &whole[at..]].concat());
    assert!((0.6..0.9).contains(&damage.rows), "{damage:?}");
}

#[test]
fn more_image_data_than_the_size_takes_is_told() {
    let whole = photo(false);
    let more = [&whole[..whole.len() - 2], &[0x5A; 64], &[0xFF, 0xD9]].concat();
    let (rendered, damage) = accepted(&more);
    assert_eq!(damage.rows, 1.0);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    assert!(variant(&rendered, "400x400") == variant(&expected, "400x400"));
}

/// A stretch that looks like a marker of no kind, and one whose length leads past the end: libjpeg goes on at the next
/// restart, and so must what is handed to it.
#[test]
fn a_jpeg_goes_on_behind_what_looks_like_a_marker() {
    let whole = photo(true);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    let marks = restarts(&whole);
    let mut broken = whole.clone();
    broken[marks[4] + 20..marks[4] + 60]
        .chunks_exact_mut(4)
        .for_each(|part| part.copy_from_slice(&[0xFF, 0x3C, 0xFE, 0]));
    let (rendered, damage) = accepted(&broken);
    assert!(damage.rows >= 0.75, "{damage:?}");
    let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
    assert!(difference(ours, theirs, 0.8, 1.0) < 0.5);
}

/// Four quarters as old programs write them: each pixel an index or a colour of so many bits, in rows from the bottom.
fn bitmap(bits: u16, packing: u32, table: &[u8], row: impl Fn(bool) -> Vec<u8>) -> Vec<u8> {
    const START: u32 = 54;
    let pixels: Vec<u8> = (0..24).rev().flat_map(|y| row(y < 12)).collect();
    let colors = if bits <= 8 { table.len() as u32 / 4 } else { 0 };
    let start = START + table.len() as u32;
    let numbers = [0, 0, start, 40, 32, 24, 1 | u32::from(bits) << 16, packing, 0, 0, 0, colors, 0];
    let numbers = numbers.into_iter().flat_map(u32::to_le_bytes);
    b"BM".iter().copied().chain(numbers).chain(table.iter().copied()).chain(pixels).collect()
}

/// A bitmap of each kind that is seldom seen.
fn bitmaps() -> Vec<(&'static str, Vec<u8>)> {
    let table: Vec<u8> = common::QUARTERS.iter().flat_map(|&[r, g, b, _]| [b, g, r, 0]).collect();
    let two = |top: bool| if top { [0, 1] } else { [2, 3] };
    let marked = |mut file: Vec<u8>| {
        file.extend([0, 1]);
        file
    };
    let [red, green, blue] = [0xF800u32, 0x07E0, 0x001F].map(u32::to_le_bytes);
    let to_565 = |index: usize| {
        let [r, g, b, _] = common::QUARTERS[index].map(u16::from);
        (r >> 3 << 11 | g >> 2 << 5 | b >> 3).to_le_bytes()
    };
    let to_555 = |index: usize| {
        let [r, g, b, _] = common::QUARTERS[index].map(u16::from);
        (r >> 3 << 10 | g >> 3 << 5 | b >> 3).to_le_bytes()
    };
    let wide = |top, to: &dyn Fn(usize) -> [u8; 2]| two(top).into_iter().flat_map(|i| to(i).repeat(16)).collect();
    vec![
        ("1 bit", bitmap(1, 0, &table[..8], |top| if top { vec![0, 0, 255, 255] } else { vec![255, 255, 0, 0] })),
        ("4 bits", bitmap(4, 0, &table, |top| two(top).into_iter().flat_map(|i| vec![i as u8 * 0x11; 8]).collect())),
        ("16 bits", bitmap(16, 0, &[], |top| wide(top, &to_555))),
        ("16 bits by masks", bitmap(16, 3, &[red, green, blue].concat(), |top| wide(top, &to_565))),
        (
            "runs of 8 bits",
            marked(bitmap(8, 1, &table, |top| {
                let [left, right] = two(top).map(|i| i as u8);
                [&[13, left, 0, 3, left, left, left, 0, 16, right][..], &[0, 0]].concat()
            })),
        ),
        (
            "runs of 4 bits",
            marked(bitmap(4, 2, &table, |top| {
                let [left, right] = two(top).map(|i| i as u8 * 0x11);
                [&[11, left, 0, 5, left, left, left & 0xF0, 0, 16, right][..], &[0, 0]].concat()
            })),
        ),
    ]
}

/// A cut still picture shows its rows, and nothing below.
#[test]
fn rows_of_a_cut_file_stay_in_their_place() {
    let named = [
        ("bmp_rgb.bmp", "the BMP ends early"),
        ("bmp_palette.bmp", "the BMP ends early"),
        ("bmp_rgba_alpha.bmp", "the BMP ends early"),
        ("png_rgb_16_bit.png", "the PNG ends early"),
        ("png_rgba_alpha.png", "the PNG ends early"),
    ];
    let named = named.into_iter().map(|(name, why)| (name.to_owned(), why, fixture(name)));
    let made = bitmaps().into_iter().map(|(name, file)| (format!("bmp of {name}"), "the BMP ends early", file));
    let photo = ("photo.webp".to_owned(), "the WebP ends early", photo_as_webp());
    for (name, why, whole) in named.chain(made).chain([photo]) {
        let expected = develop(&whole, Tolerance::Refuse).unwrap();
        let mut seen = Vec::new();
        let step = if name == "photo.webp" { whole.len() / 50 } else { 1 };
        for length in (whole.len() / 4..whole.len()).step_by(step) {
            let Ok(rendered) = develop(&whole[..length], Tolerance::Half) else { continue };
            let Some(damage) = &rendered.damaged else { continue };
            if damage.rows == 1.0 {
                continue;
            }
            assert_eq!(damage.why, why, "{name} at {length}");
            let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
            let (from, to) = if name.starts_with("bmp") { (1.0 - damage.rows, 1.0) } else { (0.0, damage.rows) };
            assert!(difference(ours, theirs, from, to) < 2.0, "{name} at {length}: {damage:?}");
            seen.push(damage.rows);
        }
        assert!(!seen.is_empty(), "{name}: no length leaves some of its rows");
        let missing = |rows: f64| (rows * 24.0).round() as u32;
        if name.starts_with("bmp") {
            let all: std::collections::BTreeSet<u32> = seen.into_iter().map(missing).collect();
            assert!(all.into_iter().eq(13..24), "{name}: each row counts");
        }
    }
}

#[test]
fn runs_without_their_mark_miss_no_pixel() {
    for (name, whole) in bitmaps().into_iter().filter(|(name, _)| name.starts_with("runs")) {
        let expected = develop(&whole, Tolerance::Refuse).unwrap();
        // Without the mark, and without the end of the last row.
        for less in [2, 4] {
            let (rendered, damage) = accepted(&whole[..whole.len() - less]);
            assert_eq!(damage.rows, 1.0, "{name}");
            assert!(variant(&rendered, "400x400") == variant(&expected, "400x400"), "{name}");
        }
    }
}

/// The photo as an interlaced PNG.
fn interlaced() -> Vec<u8> {
    use std::io::Write;
    let picture = image::load_from_memory(&photo(false)).unwrap().into_rgb8();
    let (width, height) = picture.dimensions();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let passes: [(u32, u32, usize, usize); 7] =
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    for (left, top, across, down) in passes {
        for y in (top..height).step_by(down) {
            packed.write_all(&[0]).unwrap();
            (left..width).step_by(across).for_each(|x| packed.write_all(&picture.get_pixel(x, y).0).unwrap());
        }
    }
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 1]].concat();
    let chunks = [(b"IHDR", header), (b"IDAT", packed.finish().unwrap()), (b"IEND", Vec::new())];
    let chunks: Vec<u8> = chunks.iter().flat_map(|(kind, data)| png_chunk(kind, data)).collect();
    [b"\x89PNG\r\n\x1a\n", &chunks[..]].concat()
}

#[test]
fn an_interlaced_png_that_is_cut_shows_its_passes() {
    let whole = interlaced();
    let picture = decode(&whole);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    assert!(decode(variant(&expected, "400x400")) == picture, "the whole");
    for percent in [60, 75, 90] {
        let (rendered, damage) = accepted(&whole[..whole.len() * percent / 100]);
        assert_eq!(damage.why, "the PNG ends early");
        assert!((damage.rows - percent as f64 / 100.0).abs() < 0.05, "{percent}: {damage:?}");
        let shown = decode(variant(&rendered, "400x400"));
        // The last pass brings every second row, from the top; a row that it does not is as the one above.
        let brought = ((damage.rows - 0.5) * 128.0) as u32;
        for (x, y, pixel) in shown.enumerate_pixels() {
            let is_there = y % 2 == 0 || y / 2 < brought;
            let from = if is_there { y } else { y - 1 };
            assert!(y / 2 == brought || pixel == picture.get_pixel(x, from), "{percent}: {x}, {y}");
        }
    }
    // Of the first passes, a coarse picture, and no hole.
    let one = &[spec("t", Some(400), None)];
    let all = Limits { damaged: Tolerance::Rows(0.0), ..Limits::default() };
    for percent in [4, 12, 30] {
        let cut = &whole[..whole.len() * percent / 100];
        let rendered = render(cut, one, MetadataPolicy::default(), &all).unwrap();
        let damage = rendered.damaged.clone().unwrap();
        assert!((damage.rows - percent as f64 / 100.0).abs() < 0.05, "{percent}: {damage:?}");
        let away = difference(&rendered.variants[0].bytes, &whole, 0.0, 1.0);
        assert!(away < 30.0, "{percent}: {away}");
        assert_eq!(develop(cut, Tolerance::Half).unwrap_err().code, ErrorCode::Corrupt);
    }
    // Whole, but for a checksum.
    let mut wrong = whole.clone();
    let end = wrong.len() - 12;
    wrong[end - 5] ^= 1;
    let (rendered, damage) = accepted(&wrong);
    assert!(damage.rows > 0.98, "{damage:?}");
    assert!(difference(variant(&rendered, "400x400"), &whole, 0.0, 0.98) < 0.5);
}

/// The photo as a PNG whose pixels are in ten chunks.
fn in_ten_chunks() -> Vec<Vec<u8>> {
    use std::io::Write;
    let picture = image::load_from_memory(&photo(false)).unwrap().into_rgb8();
    let (width, height) = picture.dimensions();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for row in picture.as_raw().chunks_exact(width as usize * 3) {
        packed.write_all(&[0]).unwrap();
        packed.write_all(row).unwrap();
    }
    let packed = packed.finish().unwrap();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let pixels = packed.chunks(packed.len().div_ceil(10)).map(|part| png_chunk(b"IDAT", part));
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &header)].into_iter().chain(pixels).collect()
}

#[test]
fn a_wrong_checksum_of_pixels_costs_no_rows_before_it() {
    let parts = in_ten_chunks();
    assert_eq!(parts.len(), 12);
    let whole = [&parts.concat()[..], &png_chunk(b"IEND", &[])].concat();
    assert_eq!(develop(&whole, Tolerance::Refuse).unwrap().damaged, None);
    for broken in 6..=10 {
        let mut parts = parts.clone();
        *parts[1 + broken].last_mut().unwrap() ^= 1;
        let file = [&parts.concat()[..], &png_chunk(b"IEND", &[])].concat();
        let (rendered, damage) = accepted(&file);
        let before = broken as f64 / 10.0;
        assert_eq!(damage.why, "the PNG's image data is damaged");
        assert!((before - 0.1..1.0).contains(&damage.rows), "{broken}: {damage:?}");
        assert!(damage.rows < before + 0.1, "{broken}: {damage:?}");
        assert_eq!(difference(variant(&rendered, "400x400"), &whole, 0.0, damage.rows), 0.0, "{broken}");
        // What was cut there shows as much.
        let cut = develop(&parts[..=broken].concat(), Tolerance::Rows(0.0)).unwrap().damaged.unwrap();
        assert!(damage.rows >= cut.rows, "{broken}: {damage:?}, and {cut:?} where it is cut");
        // Even if all of it unpacks, not all of it can be right.
        assert!(develop(&file, Tolerance::Rows(1.0)).is_err());
    }
}

#[test]
fn an_animation_keeps_the_frames_that_are_there() {
    for name in ["gif_animated.gif", "gif_animated_alpha.gif", "png_animated.png", "webp_animated.webp"] {
        let whole = fixture(name);
        let frames = probe(&whole, &Limits::default()).unwrap().frames;
        let mut seen = 0;
        for length in whole.len() / 3..whole.len() - 12 {
            let Ok(rendered) = develop(&whole[..length], Tolerance::Half) else { continue };
            let damage = rendered.damaged.unwrap();
            assert!(rendered.facts.frames <= frames && damage.rows > 0.5, "{name} at {length}: {damage:?}");
            seen += 1;
        }
        assert!(seen > 0, "{name}: no length leaves some of its frames");
    }
}

#[test]
fn bits_that_fall_over_are_told_or_make_no_difference_to_libjpeg() {
    // Whatever is developed of a broken stretch, a word goes with it wherever libjpeg has one.
    let whole = photo(true);
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap() + 14;
    let mut told = 0;
    for at in (scan..whole.len() - 80).step_by(37) {
        let mut broken = whole.clone();
        broken[at..at + 64].fill(0);
        match develop(&broken, Tolerance::Half) {
            Ok(rendered) => told += u32::from(rendered.damaged.is_some()),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::Corrupt);
                told += 1;
            }
        }
    }
    assert!(told > 20, "{told}");
}

#[test]
fn no_part_of_a_file_is_shown_as_the_whole() {
    for (name, bytes) in fixtures() {
        let one = &[spec("t", Some(9), None)];
        let whole = render(&bytes, one, MetadataPolicy::default(), &Limits::default()).unwrap().into_owned();
        for length in (bytes.len() / 2..bytes.len()).step_by(7) {
            let Ok(part) = render(&bytes[..length], one, MetadataPolicy::default(), &Limits::default()) else {
                continue;
            };
            assert!(
                part.damaged.is_some() || part.variants[0].bytes == whole.variants[0].bytes,
                "{name} at {length} is another picture without a word"
            );
        }
    }
}

fn copied(bytes: &[u8], metadata: MetadataPolicy) -> Option<Rendered<'static>> {
    render(bytes, &specs(), metadata, &Limits::default()).map(Rendered::into_owned).ok()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The copy of a damaged file, which shows what the file shows, and lacks as much.
#[track_caller]
fn assert_copied_as_it_is(what: &str, bytes: &[u8]) -> bool {
    let mut damaged = false;
    for metadata in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
        let Some(first) = copied(bytes, metadata) else { continue };
        let copy = variant(&first, "original");
        assert!(!holds(copy, b"SECRET"), "{what} {metadata:?}");
        let again = copied(copy, metadata).unwrap_or_else(|| panic!("{what} {metadata:?}: its copy cannot be read"));
        let twice = variant(&again, "original");
        let differs = twice.iter().zip(copy).position(|(a, b)| a != b);
        assert!(twice == copy, "{what} {metadata:?}: {} bytes, then {}; at {differs:?}", copy.len(), twice.len());
        for (ours, theirs) in again.variants.iter().zip(&first.variants).skip(1) {
            assert!(ours.bytes == theirs.bytes, "{what} {metadata:?}: {} is another picture", ours.name);
        }
        let rows = |rendered: &Rendered<'_>| rendered.damaged.as_ref().map_or(1.0, |damage| damage.rows);
        assert_eq!(rows(&again), rows(&first), "{what} {metadata:?}");
        damaged |= first.damaged.is_some();
    }
    damaged
}

#[test]
fn a_damaged_file_is_copied_with_its_damage() {
    let mut formats = std::collections::BTreeSet::new();
    for (name, bytes) in fixtures() {
        let steps = (bytes.len() / 2..bytes.len()).step_by(bytes.len() / 14 + 1);
        for length in steps.chain([bytes.len() - 12, bytes.len() - 2, bytes.len() - 1]) {
            if assert_copied_as_it_is(&format!("{name} at {length}"), &bytes[..length]) {
                formats.insert(name.split('_').next().unwrap().to_owned());
            }
        }
    }
    let expected = ["bmp", "gif", "jpeg", "png", "webp"].map(String::from);
    assert!(formats.iter().eq(&expected), "{formats:?}");
    // Broken stretches that look like markers: decoders look on for the next restart.
    let whole = photo(true);
    let marks = restarts(&whole);
    for fill in [[0xFF, 0x3C, 0, 9], [0xFF, 1, 0x55, 0xAA], [0xFF, 0xBF, 0, 9], [0xFF, 0xFE, 0, 9], [0, 0, 0, 0]] {
        let mut broken = whole.clone();
        broken[marks[5] + 20..marks[5] + 60].chunks_exact_mut(4).for_each(|part| part.copy_from_slice(&fill));
        assert!(assert_copied_as_it_is(&format!("{fill:x?}"), &broken), "{fill:x?} breaks nothing");
    }
}

/// A chunk of a PNG.
fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), &kind[..], data, &crc.sum().to_be_bytes()].concat()
}

/// A chunk of a WebP, that says it is so long.
fn webp_chunk(kind: &[u8; 4], length: usize, data: &[u8]) -> Vec<u8> {
    [&kind[..], &(length as u32).to_le_bytes(), data].concat()
}

/// A WebP that says it is longer than that.
fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    [b"RIFF", &(body.len() as u32 + 100_000).to_le_bytes(), &b"WEBP"[..], &body].concat()
}

#[test]
fn nothing_private_stays_in_what_is_damaged() {
    const NEEDLE: &[u8] = b"SECRET";
    let part = |bytes: &[u8], percent: usize| bytes[..bytes.len() * percent / 100].to_vec();
    let png = fixture("png_rgb.png");
    let pixels = &png[..png.len() - 12];
    let cut_chunk = |length: u32, kind: &[u8]| [&length.to_be_bytes(), kind, NEEDLE].concat();
    let text = [&png[..33], &png_chunk(b"tEXt", b"Comment\0SECRET"), &png[33..]].concat();
    let gif = fixture("gif_animated.gif");
    let blocks = &gif[..gif.len() - 1];
    let run = &gif[..gif.len() - 2];
    assert_eq!(gif[gif.len() - 2..], [0, 0x3B], "the last run of data, and the trailer");
    let jpeg = photo(true);
    let scan = &jpeg[..jpeg.len() - 2];
    let comment = b"\xFF\xFE\0\x08SECRET";
    let said = [&jpeg[..2], comment, &jpeg[2..]].concat();
    let lossless = photo_as_webp();
    let picture = &lossless[20..];
    let told = u32::from_le_bytes(lossless[16..20].try_into().unwrap()) as usize;
    assert_eq!(&lossless[12..16], b"VP8L");
    let bits = u32::from_le_bytes(picture[1..5].try_into().unwrap());
    let side = |bits: u32| (bits & 0x3FFF).to_le_bytes();
    let (width, height) = (side(bits), side(bits >> 14));
    let header = webp_chunk(b"VP8X", 10, &[&[0; 4], &width[..3], &height[..3]].concat());
    let unknown = webp_chunk(b"SECR", 6, NEEDLE);
    let animated = fixture("webp_animated.webp");
    let begun = webp_chunk(b"ANMF", 500, &[&[0; 16], NEEDLE].concat());
    let bmp = fixture("bmp_rgb.bmp");
    let at = u32::from_le_bytes(bmp[10..14].try_into().unwrap()) as usize;
    let moved = [&bmp[..10], &(at as u32 + 8).to_le_bytes(), &bmp[14..at], b"SECRET\0\0", &bmp[at..]].concat();
    for (what, bytes) in [
        ("PNG, data behind the data", [pixels, &png_chunk(b"IDAT", NEEDLE)].concat()),
        ("PNG, data behind the data, cut", [pixels, &cut_chunk(200, b"IDAT")].concat()),
        ("PNG, text, cut", [pixels, &cut_chunk(200, b"tEXt")].concat()),
        ("PNG, text before cut data", part(&text, 80)),
        ("GIF, comment, cut", [blocks, b"\x21\xFE\x40SECRET"].concat()),
        ("GIF, comment, no trailer", [blocks, b"\x21\xFE\x06SECRET\0"].concat()),
        ("GIF, behind a block of no kind", [blocks, b"\x77SECRET"].concat()),
        ("GIF, behind the pixels, cut", [run, b"\xC8SECRET"].concat()),
        ("GIF, behind the pixels, no end", [run, b"\x06SECRET"].concat()),
        ("JPEG, comment, cut", part(&said, 80)),
        ("JPEG, behind the scan", [scan, comment].concat()),
        ("JPEG, behind the scan, cut", [scan, b"\xFF\xE1\x20\0SECRET"].concat()),
        (
            "WebP, before a cut picture",
            webp(&[header.clone(), unknown.clone(), webp_chunk(b"VP8L", told, &part(picture, 80))]),
        ),
        (
            "WebP, cut behind the picture",
            webp(&[header, webp_chunk(b"VP8L", told, picture), webp_chunk(b"XMP ", 500, NEEDLE)]),
        ),
        ("WebP, in a cut frame", webp(&[animated[12..].to_vec(), begun])),
        ("BMP, before cut pixels", part(&moved, 90)),
    ] {
        assert!(holds(&bytes, NEEDLE), "{what} proves nothing");
        assert!(assert_copied_as_it_is(what, &bytes), "{what} is no damage");
    }
}
