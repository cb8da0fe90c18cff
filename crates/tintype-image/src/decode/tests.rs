use super::*;
use crate::encode::{self, Output};
use crate::pixels::Layout;
use crate::probe;

fn picture(width: u32, height: u32, layout: Layout) -> Pixels {
    let mut pixels = Pixels::zeroed(width, height, layout);
    let stride = pixels.stride();
    for (i, value) in pixels.data.iter_mut().enumerate() {
        *value = (i % stride * 3 + i / stride * 7) as u8;
    }
    pixels
}

fn write(pixels: &Pixels, format: Format) -> Vec<u8> {
    let Pixels { width, height, layout, .. } = *pixels;
    let output = Output {
        format,
        width,
        height,
        frames: 1,
        plays: 1,
        lossless: true,
        smooth: false,
        quality: 100,
        progressive: false,
    };
    let mut sink = encode::rows(output, layout).expect("a sink");
    pixels.data.chunks_exact(pixels.stride()).for_each(|row| sink.write_row(row).expect("a row"));
    sink.finish().expect("a file")
}

fn read(file: &[u8]) -> Result<Pixels, Error> {
    let limits = Limits::default();
    let header = probe::read(file, &limits)?;
    match open(file, &header, &limits)?.frames {
        Frames::Still(Some(rows), _) => {
            let (pixels, damage) = rows.gather()?;
            crate::damage::Tolerance::Refuse.judge(damage)?;
            Ok(pixels)
        }
        _ => panic!("a still picture was written"),
    }
}

/// What a format without loss is written from, an independent decoder and our own rows both give back.
#[test]
fn rows_come_back_as_they_were_written() {
    for format in [Format::Png, Format::Tiff, Format::Bmp, Format::WebP] {
        for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba] {
            // Widths of every remainder by four, and enough rows for several strips.
            for (width, height) in [(1, 1), (2, 3), (3, 700), (357, 411)] {
                let what = format!("{format:?} {layout:?} {width}x{height}");
                let pixels = picture(width, height, layout);
                let file = write(&pixels, format);
                let image = image::load_from_memory(&file).expect(&what).into_rgba8();
                assert!(image.as_raw() == &pixels.to_rgba(), "{what} by another decoder");
                assert!(read(&file).expect(&what).to_rgba() == pixels.to_rgba(), "{what} by rows");
            }
        }
    }
}

#[test]
fn a_jpeg_is_written_by_rows() {
    for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba] {
        let pixels = picture(64, 48, layout);
        let file = write(&pixels, Format::Jpeg);
        let gray = matches!(layout, Layout::Gray | Layout::GrayAlpha);
        let image = image::load_from_memory(&file).expect("a JPEG");
        assert_eq!(image.color() == image::ColorType::L8, gray, "{layout:?}");
        assert_eq!((image.width(), image.height()), (64, 48), "{layout:?}");
    }
}

/// A bitmap as old programs write it: `top_down` says its rows run from the top.
fn bitmap(bits: u16, top_down: bool, rows: &[&[u8]], width: u32, palette: &[u8]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    let height = rows.len() as i32 * if top_down { -1 } else { 1 };
    let numbers = [0, 0, 54 + palette.len() as u32, 40, width, height.cast_unsigned(), 1 | u32::from(bits) << 16];
    file.extend(numbers.iter().chain(&[0; 6]).flat_map(|number| number.to_le_bytes()));
    file.extend_from_slice(palette);
    rows.iter().for_each(|row| file.extend_from_slice(row));
    file
}

#[test]
fn bitmaps_are_read_from_the_top_and_from_the_bottom() {
    let (first, second) = ([1, 2, 3, 9, 9, 9, 0, 0], [4, 5, 6, 7, 7, 7, 0, 0]);
    let want = [[3, 2, 1, 9, 9, 9], [6, 5, 4, 7, 7, 7]].concat();
    assert_eq!(read(&bitmap(24, true, &[&first, &second], 2, &[])).expect("a bitmap").data, want);
    // The last row may lack its padding.
    assert_eq!(read(&bitmap(24, false, &[&second, &first[..6]], 2, &[])).expect("a bitmap").data, want);
    let cut = read(&bitmap(24, false, &[&second, &first[..5]], 2, &[])).expect_err("five bytes of six");
    assert_eq!(cut.code, crate::ErrorCode::Corrupt);
    // Of four bytes the last says nothing.
    let four = read(&bitmap(32, true, &[&[1, 2, 3, 0, 4, 5, 6, 0]], 2, &[])).expect("a bitmap");
    assert_eq!((four.layout, four.data), (Layout::Rgb, vec![3, 2, 1, 6, 5, 4]));
    // An index past the table is black.
    let indexed = read(&bitmap(8, true, &[&[1, 0, 2, 0]], 3, &[9, 9, 9, 0, 1, 2, 3, 0])).expect("a bitmap");
    assert_eq!(indexed.data, [3, 2, 1, 9, 9, 9, 0, 0, 0]);
}
