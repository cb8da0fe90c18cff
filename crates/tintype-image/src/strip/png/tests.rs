use std::io::Write;

use super::*;

fn packed(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
    out.write_all(data).expect("memory takes all");
    out.finish().expect("memory takes all")
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_chunk(&mut out, *kind, data);
    out
}

/// Of one pixel, with chunks before it.
fn png(color: u8, before: &[Vec<u8>]) -> Vec<u8> {
    let header = chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, color, 0, 0, 0]);
    let pixel: &[u8] = if color == 2 { &[0; 4] } else { &[0; 2] };
    [b"\x89PNG\r\n\x1a\n", &header[..], &before.concat(), &chunk(b"IDAT", &packed(pixel)), &chunk(b"IEND", &[])]
        .concat()
}

/// Asserts what stays of chunks before a pixel.
fn assert_kept(color: u8, before: &[Vec<u8>], kept: &[Vec<u8>]) {
    for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
        let out = strip(&png(color, before), policy).expect("a PNG").into_owned();
        assert!(out == png(color, kept), "{before:02x?} under {policy:?}");
    }
}

#[test]
fn numbers_that_cannot_be_go() {
    let text = b"SERIAL-4711/52.5200N013.4050E/me";
    let numbers = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let density = |across, down, unit: u8| [numbers(&[across, down]), vec![unit]].concat();
    let points = |most| numbers(&[31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, most]);
    let real = [
        chunk(b"pHYs", &density(2_835, 1_000_000, 1)),
        chunk(b"gAMA", &numbers(&[45_455])),
        chunk(b"cHRM", &points(200_000)),
        chunk(b"sBIT", &[8, 8, 8]),
    ];
    assert_kept(2, &real, &real);
    for unreal in [
        chunk(b"bKGD", &[0; 6]),
        chunk(b"pHYs", &text[..9]),
        chunk(b"pHYs", &density(1_000_001, 1, 1)),
        chunk(b"pHYs", &density(1, 1, b'A')),
        chunk(b"gAMA", &text[..4]),
        chunk(b"gAMA", &numbers(&[0])),
        chunk(b"gAMA", &numbers(&[1_000_001])),
        chunk(b"cHRM", text),
        chunk(b"cHRM", &points(200_001)),
        chunk(b"sBIT", &text[..3]),
        chunk(b"sRGB", &text[..1]),
        chunk(b"cICP", &text[..4]),
    ] {
        assert_kept(2, &[unreal], &[]);
    }
}

#[test]
fn how_bright_a_screen_was_stays_beside_cicp_alone() {
    let codes = chunk(b"cICP", &[9, 16, 0, 1]);
    let light =
        [chunk(b"mDCV", &[&[0x11; 16][..], &[0, 0x98, 0x96, 0x80, 0, 0, 0, 1]].concat()), chunk(b"cLLI", &[0; 8])];
    let both = [std::slice::from_ref(&codes), &light[..]].concat();
    assert_kept(2, &both, &both);
    assert_kept(2, &light, &[]);
    let said = [codes.clone(), chunk(b"mDCV", b"SERIAL-4711/52.5200N013."), chunk(b"cLLI", b"SERIAL-4")];
    assert_kept(2, &said, &[codes]);
}

#[test]
fn a_background_is_no_colour_of_a_table() {
    let table = |second: &[u8]| chunk(b"PLTE", &[&[1, 2, 3], second].concat());
    assert_kept(PALETTE, &[table(b"SEC"), chunk(b"bKGD", &[1])], &[table(&[0; 3])]);
}

#[test]
fn what_is_broken_beside_the_pixels_goes() {
    let mut broken = chunk(b"tRNS", &[0; 6]);
    broken.last_mut().into_iter().for_each(|last| *last ^= 1);
    assert_kept(2, &[broken], &[]);
}

#[test]
fn a_profile_that_unpacks_to_too_much_goes() {
    let profile = |length: usize| {
        let mut profile = vec![0; length];
        profile[..4].copy_from_slice(&(length as u32).to_be_bytes());
        profile[36..40].copy_from_slice(b"acsp");
        let numbers = [1, 7, 144, 6].map(u32::to_be_bytes);
        profile[128..144].copy_from_slice(numbers.as_flattened());
        chunk(b"iCCP", &[b"icc\0\0", &packed(&profile)[..]].concat())
    };
    assert_kept(2, &[profile(4 << 20)], &[profile(4 << 20)]);
    assert_kept(2, &[profile((4 << 20) + 1)], &[]);
}
