use super::*;

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(payload.len() as u16 + 2).to_be_bytes()[..], payload].concat()
}

fn profile_part(number: u8, count: u8, part: &[u8]) -> Vec<u8> {
    segment(0xE2, &[ICC, &[number, count], part].concat())
}

/// A profile of so many bytes that says it has them.
fn a_profile(length: usize) -> Vec<u8> {
    let mut profile = vec![7; length];
    profile[..4].copy_from_slice(&(length as u32).to_be_bytes());
    profile[36..40].copy_from_slice(b"acsp");
    profile
}

fn kept(segments: &[Vec<u8>]) -> Vec<u8> {
    let scan = [&[0xFF, 0xDA, 0, 2, 0x12, 0x34][..], &[0xFF, EOI]].concat();
    let file = [&[0xFF, 0xD8], &segments.concat()[..], &scan].concat();
    let out = strip(&file, MetadataPolicy::PrivateStripped, &[]).expect("a JPEG").into_owned();
    assert!(out.ends_with(&scan));
    out[2..out.len() - scan.len()].to_vec()
}

#[test]
fn a_profile_stays_as_it_came_and_what_only_calls_itself_one_goes() {
    let profile = a_profile(300);
    let parts = [profile_part(1, 2, &profile[..200]), profile_part(2, 2, &profile[200..])];
    assert_eq!(kept(&parts), parts.concat());
    assert_eq!(kept(&[profile_part(1, 1, b"SECRET")]), b"");
    assert_eq!(kept(&[segment(0xE2, ICC)]), b"");
    let whole = profile_part(1, 1, &profile);
    for carrier in [profile_part(2, 2, b"SECRET"), profile_part(9, 1, b"SECRET")] {
        assert_eq!(kept(&[whole.clone(), carrier]), whole);
    }
    assert_eq!(kept(&[profile_part(1, 1, &[&profile[..], b"SECRET"].concat())]), whole);
}

#[test]
fn a_strip_keeps_what_its_pixels_need_and_is_never_longer() {
    let jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01");
    let frame = segment(0xC0, &[8, 0, 1, 0, 1, 1, 1, 0x11, 0]);
    let scan = [&segment(0xDA, &[1, 1, 0, 0, 63, 0])[..], &[0x12, 0xFF, 0, 0x34]].concat();
    let clean = [&[0xFF, 0xD8][..], &jfif, &adobe, &frame, &scan, &[0xFF, EOI]].concat();
    assert_eq!(of_a_strip(&clean, &[]), clean);
    let carriers = [
        segment(0xE1, b"Exif\0\0SECRET"),
        segment(0xE0, b"JFXX\0SECRET"),
        segment(0xE0, b"JFIF\0SECRET"),
        segment(0xED, b"SECRET"),
        segment(0xFE, b"SECRET"),
        profile_part(1, 1, &a_profile(300)),
        b"SECRET".to_vec(),
    ];
    for carrier in carriers {
        let told =
            [&[0xFF, 0xD8][..], &carrier, &jfif, &adobe, &carrier, &frame, &carrier, &scan, &[0xFF, EOI]].concat();
        assert_eq!(of_a_strip(&[&told[..], b"SECRET"].concat(), &[]), clean, "{carrier:?}");
    }
    let cut = &clean[..clean.len() - 2];
    assert_eq!(of_a_strip(cut, &[]), cut);
    for length in 0..clean.len() {
        assert!(of_a_strip(&clean[..length], &[]).len() <= length);
    }
}
