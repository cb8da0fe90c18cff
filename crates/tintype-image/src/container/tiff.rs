//! TIFF 6.0 directories: of TIFF files, and of EXIF, which is one.

/// A TIFF's bytes with their byte order.
#[derive(Clone, Copy)]
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

/// One entry of a directory.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    pub(crate) kind: u16,
    pub(crate) count: u32,
    /// Where the twelve bytes of the entry lie.
    pub(crate) at: usize,
}

/// One directory.
pub(crate) struct Directory {
    /// Where it lies.
    pub(crate) at: usize,
    pub(crate) entries: Vec<Entry>,
}

impl<'a> Tiff<'a> {
    /// Reads the header; `None` when it is not a TIFF's.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.get(..4)? {
            [b'I', b'I', 42, 0] => Some(Self { bytes, little: true }),
            [b'M', b'M', 0, 42] => Some(Self { bytes, little: false }),
            _ => None,
        }
    }

    pub(crate) fn u16(&self, at: usize) -> Option<u16> {
        if self.little { super::le16(self.bytes, at) } else { super::be16(self.bytes, at) }
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        if self.little { super::le32(self.bytes, at) } else { super::be32(self.bytes, at) }
    }

    /// The bytes of a 16-bit number in this file's order.
    pub(crate) fn put16(&self, value: u16) -> [u8; 2] {
        if self.little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    /// The bytes of a 32-bit number in this file's order.
    pub(crate) fn put32(&self, value: u32) -> [u8; 4] {
        if self.little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    /// The first directory.
    pub(crate) fn first(&self) -> Option<Directory> {
        self.directory(self.u32(4)? as usize)
    }

    /// The directory at an offset; `None` when it does not fit in the file.
    pub(crate) fn directory(&self, at: usize) -> Option<Directory> {
        let count = usize::from(self.u16(at)?);
        let end = at.checked_add(2 + count * 12)?;
        self.bytes.get(at..end)?;
        let entries = (0..count).filter_map(|i| self.entry(at + 2 + i * 12)).collect();
        Some(Directory { at, entries })
    }

    fn entry(&self, at: usize) -> Option<Entry> {
        Some(Entry { tag: self.u16(at)?, kind: self.u16(at + 2)?, count: self.u32(at + 4)?, at })
    }

    /// Where an entry's value lies; `None` when its type is unknown or it passes the end.
    pub(crate) fn value_range(&self, entry: &Entry) -> Option<std::ops::Range<usize>> {
        let size = match entry.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        let length = (entry.count as usize).checked_mul(size)?;
        let start = if length <= 4 { entry.at + 8 } else { self.u32(entry.at + 8)? as usize };
        let range = start..start.checked_add(length)?;
        self.bytes.get(range.clone()).map(|_| range)
    }

    /// An entry's value as it is stored.
    pub(crate) fn value(&self, entry: &Entry) -> Option<&'a [u8]> {
        self.bytes.get(self.value_range(entry)?)
    }

    /// An entry's values as whole numbers (BYTE, SHORT, LONG).
    pub(crate) fn numbers(&self, entry: &Entry) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let tiff = *self;
        let size = match entry.kind {
            1 => 1,
            3 => 2,
            4 | 13 => 4,
            _ => return None,
        };
        let read = move |at: usize| match size {
            1 => tiff.bytes.get(at).map(|&b| u32::from(b)),
            2 => tiff.u16(at).map(u32::from),
            _ => tiff.u32(at),
        };
        Some(self.value_range(entry)?.step_by(size).map_while(read))
    }

    /// The first number of a tag.
    pub(crate) fn number(&self, directory: &Directory, tag: u16) -> Option<u32> {
        self.numbers(directory.find(tag)?)?.next()
    }
}

impl Directory {
    /// Bytes it takes, less the link, which may be missing.
    pub(crate) fn length(&self) -> usize {
        2 + self.entries.len() * 12
    }

    pub(crate) fn find(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }
}
