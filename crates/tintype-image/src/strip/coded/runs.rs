//! Run lengths: TIFF's PackBits, and those of BMP.

/// Bytes of PackBits that give so many; all there are, where they give fewer.
pub(in crate::strip) fn pack_bits(data: &[u8], needed: usize) -> usize {
    let (mut at, mut given) = (0, 0);
    while given < needed && at < data.len() {
        let head = data[at].cast_signed();
        let (read, written) = match head {
            0.. => (2 + usize::from(head.unsigned_abs()), 1 + usize::from(head.unsigned_abs())),
            -128 => (1, 0),
            _ => (2, 1 + usize::from(head.unsigned_abs())),
        };
        at += read;
        given += written;
    }
    at.min(data.len())
}

/// Bytes of a BMP's runs up to the mark that ends them; all there are, where it is missing. `bits` of a pixel are 4 or 8.
pub(in crate::strip) fn bmp(data: &[u8], bits: usize) -> usize {
    let mut at = 0;
    while let Some(&[count, value]) = data.get(at..).and_then(<[u8]>::first_chunk) {
        at += 2;
        match (count, value) {
            (0, 1) => break,
            (0, 2) => at += 2,
            // Pixels as they are, up to an even number of bytes.
            (0, 3..) => at += (usize::from(value) * bits).div_ceil(16) * 2,
            _ => {}
        }
    }
    at.min(data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_the_pixels_do() {
        assert_eq!(pack_bits(b"\x02abc\xFEd\x80SECRET", 6), 6);
        assert_eq!(pack_bits(b"\x02ab", 3), 3);
        assert_eq!(bmp(b"\x03a\0\x03abc\0\0\0\0\x02\x01\x01\0\x01SECRET", 8), 16);
        assert_eq!(bmp(b"\0\x05\x12\x34\x50\0\0\x01SECRET", 4), 8);
        assert_eq!(bmp(b"\x03a", 8), 2);
    }
}
