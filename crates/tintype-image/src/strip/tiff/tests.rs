use super::*;

#[test]
fn serial_numbers_owner_and_notes_are_on_no_list() {
    for tag in [270, 305, 315, 316, 700, 33723, 34377, 34853, 37500, 37510, 40091, 40092, 40093, 40094, 40095] {
        assert!(!is_public(tag) && !describes_pixels(tag) && !keeps_in_exif(tag), "{tag}");
    }
    for tag in [37500, 37510, 40964, 40965, 42016, 42032, 42033, 42037] {
        assert!(!keeps_in_exif(tag), "{tag}");
    }
}

#[test]
fn a_directory_that_loops_or_lies_is_refused() {
    let looping = b"II*\0\x08\0\0\0\0\0\x08\0\0\0";
    assert!(scrub(looping, Kind::Exif, MetadataPolicy::PrivateStripped).is_some());
    assert!(scrub(looping, Kind::File, MetadataPolicy::PrivateStripped).is_none());
    assert!(scrub(b"II*\0\x08\0\0\0\xFF\xFF", Kind::Exif, MetadataPolicy::PrivateStripped).is_none());
    assert!(scrub(b"II*\0\xFF\xFF\xFF\xFF", Kind::Exif, MetadataPolicy::PrivateStripped).is_none());
}

#[test]
fn directories_over_each_other_are_refused_before_they_cost_more_than_the_file() {
    // A page every four bytes, each with all the entries that lie behind it and a link to the next.
    const ENTRIES: usize = 8000;
    const PAGES: usize = 3 * ENTRIES;
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.resize(8 + 4 * PAGES + 12 * ENTRIES + 8, 0);
    for page in (8..8 + 4 * PAGES).step_by(4) {
        bytes[page..page + 2].copy_from_slice(&(ENTRIES as u16).to_le_bytes());
        let link = page + 2 + 12 * ENTRIES;
        bytes[link..link + 4].copy_from_slice(&(page as u32 + 4).to_le_bytes());
    }
    assert!(scrub(&bytes, Kind::File, MetadataPolicy::PrivateStripped).is_none());
}

#[test]
fn bytes_that_many_entries_share_are_copied_once() {
    let mut file = Builder::new();
    let text = file.put(&[b'x'; 1 << 20]);
    let page = file.directory(&vec![(272, 2, 1 << 20, text); 65_535], 0);
    let bytes = file.finish(page);
    let start = std::time::Instant::now();
    assert!(scrub(&bytes, Kind::File, MetadataPolicy::PrivateStripped).is_some_and(|out| out == bytes));
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

    fn finish(mut self, first: u32) -> Vec<u8> {
        self.0[4..8].copy_from_slice(&first.to_le_bytes());
        self.0
    }
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A photo's EXIF: place, serial number and thumbnail among what may stay.
fn photo(kind: Kind) -> Vec<u8> {
    let mut file = Builder::new();
    let (model, serial) = (file.put(b"Model\0\0\0"), file.put(b"SECRET serial\0"));
    let (place, pixels) = (file.put(b"SECRET place\0"), file.put(b"PIXELS"));
    let date = file.put(b"2012:09:22 16:18:51\0");
    let gps = file.directory(&[(29, 2, 13, place)], 0);
    let exif = file.directory(&[(36867, 2, 20, date), (42033, 2, 14, serial), (40965, 4, 1, gps)], 0);
    let mut second = vec![(273, 4, 1, pixels), (279, 4, 1, 6)];
    if kind == Kind::Exif {
        second = vec![(513, 4, 1, pixels), (514, 4, 1, 6)];
    }
    let second = file.directory(&second, 0);
    let first = [(272, 2, 8, model), (274, 3, 1, 6), (330, 4, 1, second), (EXIF_IFD, 4, 1, exif), (34853, 4, 1, gps)];
    let first = file.directory(&first, second);
    file.finish(first)
}

#[test]
fn place_serial_number_and_thumbnail_go_and_the_rest_stays_where_it_was() {
    let original = photo(Kind::Exif);
    let scrubbed = scrub(&original, Kind::Exif, MetadataPolicy::PrivateStripped).expect("well formed");
    assert!(!holds(&scrubbed, b"SECRET") && !holds(&scrubbed, b"PIXELS"));
    let read = crate::exif::read(&scrubbed);
    assert_eq!((read.orientation, read.taken_at.as_deref()), (6, Some("2012-09-22T16:18:51")));
    assert!(holds(&scrubbed, b"Model\0\0\0"), "zeros at the end of a value are part of it");
    let tiff = Tiff::new(&scrubbed).expect("a header");
    let first = tiff.first().expect("a directory");
    let tags: Vec<u16> = first.entries.iter().map(|entry| entry.tag).collect();
    assert_eq!((tags, first.next), (vec![272, 274, EXIF_IFD], 0));
}

#[test]
fn every_page_of_a_file_keeps_its_pixels() {
    let original = photo(Kind::File);
    for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
        let scrubbed = scrub(&original, Kind::File, policy).expect("well formed");
        assert!(!holds(&scrubbed, b"SECRET") && holds(&scrubbed, b"PIXELS"), "{policy:?}");
        assert_eq!(holds(&scrubbed, b"Model"), policy == MetadataPolicy::PrivateStripped);
        let tiff = Tiff::new(&scrubbed).expect("a header");
        let second = tiff.directory(tiff.first().expect("a page").next).expect("a second page");
        assert_eq!(second.entries.len(), 2);
    }
}
