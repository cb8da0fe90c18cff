//! A damaged JPEG takes no more memory than a whole one, C's share (libjpeg) included. Of a process of its own, for the kernel
//! counts all of it.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::spec;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use tintype_image::{ErrorCode, Limits, MetadataPolicy, Tolerance, estimate, render};

const WIDTH: u16 = 8000;
const HEIGHT: u16 = 6000;

/// Grey all over, of three components alike: an MCU takes 14 bits, so four of them 7 bytes.
fn large() -> (Vec<u8>, usize) {
    const FOUR: [u8; 7] = [0b0010_1000, 0b0000_0000, 0b1010_0000, 0b0000_0010, 0b1000_0000, 0b0000_1010, 0];
    let mut file = Vec::new();
    JpegEncoder::new(&mut file).encode_image(&RgbImage::new(8, 8)).unwrap();
    let place = |marker: u8| file.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
    let (frame, scan) = (place(0xC0), place(0xDA));
    file[frame + 5..frame + 7].copy_from_slice(&HEIGHT.to_be_bytes());
    file[frame + 7..frame + 9].copy_from_slice(&WIDTH.to_be_bytes());
    let start = scan + 2 + usize::from(file[scan + 3]);
    file.truncate(start);
    let mcus = usize::from(WIDTH) / 8 * usize::from(HEIGHT) / 8;
    file.extend(FOUR.repeat(mcus / 4));
    file.extend([0xFF, 0xD9]);
    (file, start)
}

/// A number of bytes that the kernel tells of this process.
fn told(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn damage_takes_no_more_than_was_told() {
    let (whole, start) = large();
    let specs = [spec("original", None, None), spec("small", Some(200), None), spec("blurred", None, Some(20.0))];
    let render = |file: &[u8], damaged| {
        let limits = Limits { damaged, ..Limits::default() };
        render(file, &specs, MetadataPolicy::default(), &limits).map(|made| made.damaged.map(|damage| damage.rows))
    };
    let told_of = |file: &[u8]| estimate(file, &specs, MetadataPolicy::default(), &Limits::default()).unwrap();
    let at = start + (whole.len() - start) * 7 / 10;
    let mut zeros = whole.clone();
    zeros[at..whole.len() - 2].fill(0);
    let mut stray = whole.clone();
    stray[at..at + 200].copy_from_slice(&[0xFF, 0xC9].repeat(100));
    let ended = [&whole[..at], &[0xFF, 0xD9]].concat();
    assert_eq!(render(&whole, Tolerance::Refuse), Ok(None));
    for (what, file) in [("zeros", &zeros), ("an early end", &ended), ("a cut", &whole[..at].to_vec())] {
        let (before, said) = (told("VmRSS"), told_of(file));
        let rows = render(file, Tolerance::Half).unwrap().unwrap();
        let held = (told("VmHWM") - before) >> 20;
        println!("{what}: {} MiB said, {held} held, {rows} of the rows", said >> 20);
        assert!((0.68..=0.73).contains(&rows), "{what}: {rows}");
        assert!(held <= said >> 20, "{what}: {held} MiB held, {} said", said >> 20);
    }
    let error = render(&stray, Tolerance::Half).map(|_| ()).map_err(|error| error.code);
    assert_eq!(error, Err(ErrorCode::Corrupt));
    a_file_of_a_few_bytes_is_no_large_picture(&whole[..start]);
}

/// What a header claims is held against the length of the file before anything of that size is made.
fn a_file_of_a_few_bytes_is_no_large_picture(head: &[u8]) {
    let file = [head, &[0; 300], &[0xFF, 0xD9]].concat();
    let whole = [spec("whole", None, Some(0.6))];
    let limits = Limits::default();
    let before = told("VmHWM");
    let said = estimate(&file, &whole, MetadataPolicy::default(), &limits).unwrap_err();
    let made = render(&file, &whole, MetadataPolicy::default(), &limits).unwrap_err();
    assert_eq!((said.code, made.code), (ErrorCode::Corrupt, ErrorCode::Corrupt));
    assert!(made.message.starts_with("the JPEG ends early: 0."), "{}", made.message);
    assert!(told("VmHWM") - before < 8 << 20, "{} MiB", (told("VmHWM") - before) >> 20);
    // With a bound of 0 all that is there is made, and the estimate says what that takes.
    let limits = Limits { damaged: Tolerance::Rows(0.0), ..limits };
    assert!(estimate(&file, &whole, MetadataPolicy::default(), &limits).unwrap() > 100 << 20);
}
