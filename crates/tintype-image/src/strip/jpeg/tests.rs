use super::*;

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(payload.len() as u16 + 2).to_be_bytes()[..], payload].concat()
}

fn profile_part(number: u8, count: u8, part: &[u8]) -> Vec<u8> {
    segment(0xE2, &[ICC, &[number, count], part].concat())
}

/// A profile of so many bytes that says it has them, with a tag.
fn a_profile(length: usize) -> Vec<u8> {
    let mut profile = vec![7; length];
    profile[..4].copy_from_slice(&(length as u32).to_be_bytes());
    profile[36..40].copy_from_slice(b"acsp");
    let numbers = [1, 7, 144, 6].map(u32::to_be_bytes);
    profile[128..144].copy_from_slice(numbers.as_flattened());
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

#[test]
fn of_what_strips_have_in_common_tables_stay_and_restarts() {
    let steps = segment(DQT, &[&[0][..], &[9; 64]].concat());
    let codes = segment(DHT, &[&[0, 1], &[0; 15][..], &[5]].concat());
    let restarts = segment(RESTARTS, &[0, 4]);
    let clean = [&[0xFF, 0xD8][..], &steps, &codes, &restarts, &[0xFF, EOI]].concat();
    assert_eq!(of_all_strips(&clean), clean);
    let long = |segment: &[u8]| super::written(segment[1], &[&segment[4..], b"SECRET"].concat());
    let longer = [long(&steps), long(&codes), long(&restarts)].concat();
    assert_eq!(of_all_strips(&[&[0xFF, 0xD8][..], &longer, &[0xFF, EOI]].concat()), clean);
    let carriers = [
        segment(0xCC, b"SECRET"),
        segment(0xDC, b"SECRET"),
        segment(0xE1, b"SECRET"),
        segment(0xEE, b"Adobe\0\x64SECRET"),
        segment(0xFE, b"SECRET"),
        segment(0xC0, b"SECRET"),
        [&segment(SOS, &[0, 0, 63, 0])[..], b"SECRET"].concat(),
    ];
    for carrier in carriers {
        let told = [&[0xFF, 0xD8][..], &steps, &carrier, &codes, &restarts, &carrier, &[0xFF, EOI]].concat();
        assert_eq!(of_all_strips(&told), clean, "{carrier:?}");
    }
}

#[test]
fn a_density_that_cannot_be_becomes_square_pixels() {
    let jfif = |density: &[u8; 5]| segment(0xE0, &[b"JFIF\0\x01\x01", &density[..], &[0, 0]].concat());
    for real in [[1, 0, 72, 0, 72], [0, 0, 1, 0, 1], [2, 0x27, 0x10, 0, 28]] {
        assert_eq!(kept(&[jfif(&real)]), jfif(&real));
    }
    for unreal in [b"\x01SERI", b"A\0\x48\0\x48", &[1, 0x27, 0x11, 0, 1], &[1, 0, 1, 0x27, 0x11]] {
        assert_eq!(kept(&[jfif(unreal)]), jfif(&[0, 0, 1, 0, 1]), "{unreal:02x?}");
    }
}
