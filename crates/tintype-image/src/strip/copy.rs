//! A copy that is not made before it differs from what it is of: most files come without anything to strip, and a
//! large one twice in memory is all that some pictures take.

use std::borrow::Cow;

pub(super) struct Copy<'a> {
    source: &'a [u8],
    /// So far it is the beginning of the source, of this length; unless there is a copy.
    same: usize,
    copy: Option<Vec<u8>>,
}

impl<'a> Copy<'a> {
    pub(super) fn of(source: &'a [u8]) -> Self {
        Self { source, same: 0, copy: None }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        let next = &self.source[self.same..];
        match &mut self.copy {
            Some(copy) => copy.extend_from_slice(piece),
            // What is the source's own need not be compared.
            None if (std::ptr::eq(piece.as_ptr(), next.as_ptr()) && piece.len() <= next.len())
                || next.starts_with(piece) =>
            {
                self.same += piece.len();
            }
            None => {
                let mut copy = Vec::with_capacity(self.source.len().max(self.same + piece.len()));
                copy.extend_from_slice(&self.source[..self.same]);
                copy.extend_from_slice(piece);
                self.copy = Some(copy);
            }
        }
    }

    /// Zeros, so many.
    pub(super) fn push_zeros(&mut self, count: usize) {
        const ZEROS: [u8; 4096] = [0; 4096];
        for at in (0..count).step_by(ZEROS.len()) {
            self.push(&ZEROS[..ZEROS.len().min(count - at)]);
        }
    }

    pub(super) fn finish(self) -> Cow<'a, [u8]> {
        self.copy.map_or(Cow::Borrowed(&self.source[..self.same]), Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let source = *b"abcdef";
        let mut copy = Copy::of(&source);
        pieces.iter().for_each(|piece| copy.push(piece));
        let copy = copy.finish();
        (copy.to_vec(), matches!(copy, Cow::Borrowed(_)))
    }

    #[test]
    fn only_what_differs_is_copied() {
        assert_eq!(copied(&[b"ab", b"", b"cdef"]), (b"abcdef".to_vec(), true));
        assert_eq!(copied(&[b"ab", b"cd"]), (b"abcd".to_vec(), true));
        assert_eq!(copied(&[b"ab", b"ef"]), (b"abef".to_vec(), false));
        assert_eq!(copied(&[b"abcdef", b"g"]), (b"abcdefg".to_vec(), false));
        assert_eq!(copied(&[b"b", b"cd"]), (b"bcd".to_vec(), false));
    }
}
