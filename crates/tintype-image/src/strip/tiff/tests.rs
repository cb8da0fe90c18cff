use super::*;

/// Where the directory after one lies.
fn link(tiff: &Tiff<'_>, page: &Directory) -> Option<u32> {
    tiff.u32(page.at + 2 + 12 * page.entries.len())
}

#[test]
fn serial_numbers_owner_and_notes_are_on_no_list() {
    let page = tags::Page { bits: 8, samples: 3, ..tags::Page::default() };
    for tag in [270, 305, 315, 316, 330, 513, 700, 33723, 34377, 34853, 37500, 37510, 40091, 40092, 40093, 40094, 40095]
    {
        let kept = tags::in_page(tag, Kind::File, MetadataPolicy::PrivateStripped, page);
        assert!(kept.is_none() && tags::in_exif(tag).is_none(), "{tag}");
    }
    for tag in [37500, 37510, 40964, 40965, 42016, 42032, 42033, 42037] {
        assert!(tags::in_exif(tag).is_none(), "{tag}");
    }
}

#[test]
fn a_directory_that_lies_is_refused() {
    let empty = b"II*\0\x08\0\0\0\0\0\x08\0\0\0";
    assert!(scrub(empty, Kind::Exif, MetadataPolicy::PrivateStripped).is_some());
    assert!(scrub(empty, Kind::File, MetadataPolicy::PrivateStripped).is_none(), "a page without a size");
    assert!(scrub(b"II*\0\x08\0\0\0\xFF\xFF", Kind::Exif, MetadataPolicy::PrivateStripped).is_none());
    assert!(scrub(b"II*\0\xFF\xFF\xFF\xFF", Kind::Exif, MetadataPolicy::PrivateStripped).is_none());
}

#[test]
fn strips_over_each_other_are_refused_before_they_cost_more_than_the_file() {
    const STRIPS: u32 = 2000;
    let mut file = Builder::new();
    let pixels = file.put(&[9; 100_000]);
    let offsets = file.longs((0..STRIPS).map(|i| pixels + i));
    let lengths = file.longs((0..STRIPS).map(|_| 50_000));
    let rest = [(273, 4, STRIPS, offsets), (279, 4, STRIPS, lengths), (259, 3, 1, 5), (278, 4, 1, 1)];
    let page = file.page((60_000, STRIPS), &rest);
    assert!(scrub(&file.finish(page), Kind::File, MetadataPolicy::PrivateStripped).is_none());
}

#[test]
fn bytes_that_many_entries_share_are_not_gone_through_for_each() {
    let mut file = Builder::new();
    let text = file.put(&[b'x'; 1 << 20]);
    let page = file.directory(&vec![(272, 2, 1 << 20, text); 65_535], 0);
    let bytes = file.finish(page);
    let start = std::time::Instant::now();
    assert!(scrub(&bytes, Kind::Exif, MetadataPolicy::PrivateStripped).is_some());
    assert!(start.elapsed().as_secs() < 5, "took {:?}", start.elapsed());
}

/// Writes a TIFF piece by piece, little-endian.
struct Builder(Vec<u8>);

impl Builder {
    fn new() -> Self {
        Self(b"II*\0\0\0\0\0".to_vec())
    }

    /// Appends bytes, gives where they lie.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend_from_slice(bytes);
        at
    }

    /// Appends a directory of `(tag, type, count, value or offset)`.
    fn directory(&mut self, entries: &[(u16, u16, u32, u32)], next: u32) -> u32 {
        let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
        for &(tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(next.to_le_bytes());
        self.put(&bytes)
    }

    fn longs(&mut self, numbers: impl Iterator<Item = u32>) -> u32 {
        let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        self.put(&bytes)
    }

    /// A page of greys of that size, and what else is said of it; tags in any order.
    fn page(&mut self, (width, height): (u32, u32), rest: &[(u16, u16, u32, u32)]) -> u32 {
        let size = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1)];
        self.directory(&[&size, rest].concat(), 0)
    }

    fn finish(mut self, first: u32) -> Vec<u8> {
        self.0[4..8].copy_from_slice(&first.to_le_bytes());
        self.0
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A photo's EXIF: place, serial number and thumbnail among what may stay.
fn photo() -> Vec<u8> {
    let mut file = Builder::new();
    let (model, serial) = (file.put(b"Model\0\0\0"), file.put(b"SECRET serial\0"));
    let (place, pixels) = (file.put(b"SECRET place\0"), file.put(b"PIXELS"));
    let date = file.put(b"2012:09:22 16:18:51\0");
    let gps = file.directory(&[(29, 2, 13, place)], 0);
    let exif = file.directory(&[(36867, 2, 20, date), (42033, 2, 14, serial), (40965, 4, 1, gps)], 0);
    let second = file.directory(&[(513, 4, 1, pixels), (514, 4, 1, 6)], 0);
    let first = [(272, 2, 8, model), (274, 3, 1, 6), (330, 4, 1, second), (EXIF_IFD, 4, 1, exif), (34853, 4, 1, gps)];
    let first = file.directory(&first, second);
    file.finish(first)
}

#[test]
fn place_serial_number_and_thumbnail_go_and_the_rest_stays_where_it_was() {
    let original = photo();
    let scrubbed = scrub(&original, Kind::Exif, MetadataPolicy::PrivateStripped).expect("well formed");
    assert!(!holds(&scrubbed, b"SECRET") && !holds(&scrubbed, b"PIXELS"));
    let read = crate::exif::read(&scrubbed);
    assert_eq!((read.orientation, read.taken_at.as_deref()), (6, Some("2012-09-22T16:18:51")));
    assert!(holds(&scrubbed, b"Model\0\0\0"), "zeros at the end of a value are part of it");
    let tiff = Tiff::new(&scrubbed).expect("a header");
    let first = tiff.first().expect("a directory");
    let tags: Vec<u16> = first.entries.iter().map(|entry| entry.tag).collect();
    assert_eq!((tags, link(&tiff, &first)), (vec![272, 274, EXIF_IFD], Some(0)));
}

/// One strip of greys, 4x2, coded so.
fn strip_of(compression: u32, data: &[u8], rest: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut file = Builder::new();
    let strip = file.put(data);
    let told = [(259, 3, 1, compression), (273, 4, 1, strip), (279, 4, 1, data.len() as u32), (278, 4, 1, 2)];
    let page = file.page((4, 2), &[&told, rest].concat());
    file.finish(page)
}

fn scrubbed(file: &[u8]) -> Vec<u8> {
    scrub(file, Kind::File, MetadataPolicy::PrivateStripped).expect("well formed").into_owned()
}

fn deflated(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
    out.write_all(data).expect("memory takes it");
    out.finish().expect("memory takes it")
}

#[test]
fn a_strip_ends_with_its_pixels() {
    // Clear, eight greys, end; each of nine bits.
    let codes = [256, 10, 20, 30, 40, 50, 60, 70, 80, 257];
    let bits: Vec<u8> = codes.iter().flat_map(|code| (0..9).rev().map(move |bit| (code >> bit & 1) as u8)).collect();
    let lzw: Vec<u8> =
        bits.chunks(8).map(|bits| (0..8).fold(0, |byte, i| byte << 1 | bits.get(i).unwrap_or(&0))).collect();
    let cases: [(u32, Vec<u8>); 4] =
        [(1, b"PIXELS12".to_vec()), (5, lzw.clone()), (8, deflated(b"PIXELS12")), (32773, b"\x07PIXELS12".to_vec())];
    for (compression, data) in cases {
        let clean = strip_of(compression, &data, &[]);
        assert!(
            matches!(scrub(&clean, Kind::File, MetadataPolicy::PrivateStripped), Some(Cow::Borrowed(_))),
            "{compression}"
        );
        let out = scrubbed(&strip_of(compression, &[&data[..], b"SECRET"].concat(), &[]));
        assert!(!holds(&out, b"SECRET") && holds(&out, &data), "{compression}");
    }
    let longer = scrubbed(&strip_of(8, &deflated(b"PIXELS12SECRET"), &[]));
    assert!(!holds(&longer, b"SECRET"), "what is packed with the pixels and is none of them");
    // The lowest bit first: the same, each byte turned.
    let turned: Vec<u8> = [&lzw[..], b"SECRET"].concat().iter().map(|byte| byte.reverse_bits()).collect();
    let out = scrubbed(&strip_of(5, &turned, &[(266, 3, 1, 2)]));
    assert!(holds(&out, &turned[..lzw.len()]) && !holds(&out, &turned[lzw.len()..]));
}

#[test]
fn padding_of_a_tile_is_nothing() {
    let mut file = Builder::new();
    let tile = file.put(b"PIXESECRETLS12SECRETSECRET");
    let told = [(322, 3, 1, 10), (323, 3, 1, 3), (324, 4, 1, tile), (325, 4, 1, 26)];
    let page = file.page((4, 2), &told);
    let out = scrubbed(&file.finish(page));
    assert!(!holds(&out, b"SECRET") && holds(&out, b"PIXE\0\0\0\0\0\0LS12\0"));
}

#[test]
fn tags_stay_with_no_more_than_they_take() {
    let mut file = Builder::new();
    let (pixels, bits) = (file.put(b"PIXELS12"), file.put(b"\x08\0SECRET"));
    let (model, ascii) = (file.put(b"Model\0SECRET"), file.put(b"SECRET SECRET"));
    let told = [
        (273, 4, 1, pixels),
        (279, 4, 1, 8),
        (280, 3, 4, bits),
        (272, 2, 12, model),
        (297, 2, 13, ascii),
        (305, 2, 13, ascii),
    ];
    let page = file.page((4, 2), &told);
    let out = scrubbed(&file.finish(page));
    assert!(!holds(&out, b"SECRET") && holds(&out, b"Model\0") && holds(&out, b"PIXELS12"));
    let tiff = Tiff::new(&out).expect("a header");
    let first = tiff.first().expect("a page");
    assert_eq!(tiff.numbers(first.find(280).expect("it stays")).map(Iterator::collect), Some(vec![8]));
    assert!(first.find(297).is_none() && first.find(305).is_none());
}

#[test]
fn a_page_that_says_two_things_is_refused() {
    let file = strip_of(1, b"PIXELS12", &[(256, 4, 1, 5)]);
    assert!(scrub(&file, Kind::File, MetadataPolicy::PrivateStripped).is_none());
    let twice = strip_of(1, b"PIXELS12", &[(256, 4, 1, 4)]);
    assert!(scrub(&twice, Kind::File, MetadataPolicy::PrivateStripped).is_some());
}

#[test]
fn the_first_page_stays_and_no_other() {
    let mut file = Builder::new();
    let (pixels, hidden, model) = (file.put(b"PIXELS12"), file.put(b"SECRET12"), file.put(b"Model\0\0\0"));
    let page = |pixels, model: &[(u16, u16, u32, u32)]| {
        let size =
            [(256, 4, 1, 4), (257, 4, 1, 2), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, pixels), (279, 4, 1, 8)];
        [&size, model].concat()
    };
    let second = file.directory(&page(hidden, &[]), 0);
    let first = file.directory(&page(pixels, &[(272, 2, 8, model), (330, 4, 1, second)]), second);
    let original = file.finish(first);
    for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
        let scrubbed = scrub(&original, Kind::File, policy).expect("well formed");
        assert!(!holds(&scrubbed, b"SECRET") && holds(&scrubbed, b"PIXELS"), "{policy:?}");
        assert_eq!(holds(&scrubbed, b"Model"), policy == MetadataPolicy::PrivateStripped);
        assert_eq!(Tiff::new(&scrubbed).and_then(|tiff| link(&tiff, &tiff.first()?)), Some(0));
    }
}

#[test]
fn numbers_of_exif_have_their_type_and_count_and_dates_are_dates() {
    let mut file = Builder::new();
    let text = file.put(b"SECRET, and more of a SECRET: of four fractions");
    let (second, date) = (file.put(b"2012:09:22 SECRET\0\0\0"), file.put(b"2012:09:22 16:18:51 \0SECRET"));
    let speed = file.put(&[[1, 0, 0, 0], [250, 0, 0, 0]].concat());
    let told = [
        (33434, 5, 1, speed),
        (33437, 5, 1, text),
        (34855, 5, 4, text),
        (36867, 2, 27, date),
        (36868, 2, 20, second),
        (37383, 4, 1, 5),
        (37521, 2, 3, u32::from_le_bytes(*b"12\0\0")),
        (37522, 2, 8, text),
        (40961, 3, 1, 1),
        (42034, 5, 4, text),
    ];
    let exif = file.directory(&told, 0);
    let page = file.directory(&[(282, 5, 1, text), (306, 2, 20, second), (EXIF_IFD, 4, 1, exif)], 0);
    let bytes = file.finish(page);
    let out = scrub(&bytes, Kind::Exif, MetadataPolicy::PrivateStripped).expect("well formed");
    assert!(!holds(&out, b"SECRET"));
    let tiff = Tiff::new(&out).expect("a header");
    let first = tiff.first().expect("a directory");
    assert!(first.find(282).is_none() && first.find(306).is_none());
    let exif = tiff.number(&first, EXIF_IFD).and_then(|at| tiff.directory(at as usize)).expect("EXIF");
    let tags: Vec<u16> = exif.entries.iter().map(|entry| entry.tag).collect();
    assert_eq!(tags, [33434, 36867, 37521, 40961]);
    assert_eq!(exif.find(36867).and_then(|entry| tiff.value(entry)), Some(&b"2012:09:22 16:18:51\0"[..]));
    assert_eq!(exif.find(37521).and_then(|entry| tiff.value(entry)), Some(&b"12\0"[..]));
}

#[test]
fn what_is_told_in_fractions_stays() {
    for parts in [(1u32, 250u32), (u32::MAX, 1), (1_284_195_221, u32::MAX), (7_965_784, 1_000_000), (0, 0)] {
        for order in [u32::to_le_bytes, u32::to_be_bytes] {
            let mut file = if order(1)[0] == 1 { b"II*\0\x08\0\0\0" } else { b"MM\0*\0\0\0\x08" }.to_vec();
            let short = |n: u16| if order(1)[0] == 1 { n.to_le_bytes() } else { n.to_be_bytes() };
            file.extend([short(1), short(282), short(5)].concat());
            file.extend([order(1), order(26), order(0), order(parts.0), order(parts.1)].concat());
            let out = scrub(&file, Kind::Exif, MetadataPolicy::PrivateStripped).expect("well formed");
            assert_eq!(out, file, "{parts:?}");
        }
    }
}
