//! How each format's file is cut into parts. Read by `probe`, to look, and by `strip`, to leave parts out.

pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod tiff;
pub(crate) mod webp;

/// Big-endian 16 bits at an offset.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let slice = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([slice[0], slice[1]]))
}

/// Big-endian 32 bits at an offset.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([slice[0], slice[1], slice[2], slice[3]]))
}

/// Little-endian 16 bits at an offset.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    be16(bytes, at).map(u16::swap_bytes)
}

/// Little-endian 24 bits at an offset.
pub(crate) fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(3)?)?;
    Some(u32::from_le_bytes([slice[0], slice[1], slice[2], 0]))
}

/// Little-endian 32 bits at an offset.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}
