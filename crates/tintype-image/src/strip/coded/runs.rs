//! Run lengths: TIFF's PackBits.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_the_bytes_do() {
        assert_eq!(pack_bits(b"\x02abc\xFEd\x80SECRET", 6), 6);
        assert_eq!(pack_bits(b"\x02ab", 3), 3);
    }
}
