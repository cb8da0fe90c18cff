//! Which colours of a table pixels have: the others are seen by nobody, and could hold anything.

/// The indices that pixels have.
#[derive(Debug, Clone)]
pub(super) struct Used {
    indices: [bool; 256],
}

impl Default for Used {
    fn default() -> Self {
        Self { indices: [false; 256] }
    }
}

impl Used {
    /// All of them, where it is not known.
    pub(super) fn all() -> Self {
        Self { indices: [true; 256] }
    }

    pub(super) fn note(&mut self, index: u8) {
        self.indices[usize::from(index)] = true;
    }

    /// Notes the indices of so many pixels, of so many bits each, the first in the highest bits of a byte.
    pub(super) fn note_packed(&mut self, bytes: &[u8], bits: usize, pixels: usize) {
        if bits == 8 {
            bytes.iter().take(pixels).for_each(|&index| self.note(index));
            return;
        }
        let each = 8 / bits;
        for (i, byte) in bytes.iter().enumerate() {
            for place in 1..=each.min(pixels.saturating_sub(i * each)) {
                self.note((byte >> (8 - place * bits)) & ((1 << bits) - 1));
            }
        }
    }

    pub(super) fn holds(&self, index: usize) -> bool {
        self.indices.get(index).is_some_and(|used| *used)
    }

    /// A table with zeros for the entries of so many bytes that no pixel has.
    pub(super) fn emptied(&self, table: &[u8], entry: usize) -> Vec<u8> {
        let mut out = table.to_vec();
        let count = table.len() / entry;
        let entries = out.chunks_mut(entry).enumerate();
        let unused = entries.filter(|(index, color)| !self.holds(*index) && !is_of_a_ramp(color, *index, count));
        unused.for_each(|(_, entry)| entry.fill(0));
        out
    }
}

/// Whether a colour of so many is the grey that stands in its place where all are greys in their order. That tells nothing,
/// and by it readers know pictures in grey.
pub(super) fn is_of_a_ramp(color: &[u8], index: usize, count: usize) -> bool {
    color.len() == 3 && color.iter().all(|&value| usize::from(value) * (count.max(2) - 1) == index * 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unused_becomes_zeros_but_for_a_ramp_of_greys() {
        let mut used = Used::default();
        used.note(1);
        let ramp: Vec<u8> = (0..=255).flat_map(|v| [v; 3]).collect();
        assert_eq!(used.emptied(&ramp, 3), ramp);
        assert_eq!(used.emptied(&ramp[..48], 3)[3..9], [1, 1, 1, 0, 0, 0], "of sixteen, others are the greys");
        assert_eq!(used.emptied(b"abcdefghi", 3), b"\0\0\0def\0\0\0");
        assert_eq!(used.emptied(b"abc", 1), b"\0b\0");
    }

    #[test]
    fn indices_are_read_from_the_highest_bit_on() {
        let noted = |bytes: &[u8], bits, pixels| {
            let mut used = Used::default();
            used.note_packed(bytes, bits, pixels);
            (0..256).filter(|&index| used.holds(index)).collect::<Vec<_>>()
        };
        assert_eq!(noted(&[7, 9, 200], 8, 2), [7, 9]);
        assert_eq!(noted(&[0x12, 0x34], 4, 3), [1, 2, 3]);
        assert_eq!(noted(&[0b0110_1100], 2, 3), [1, 2, 3]);
        assert_eq!(noted(&[0b1111_0111], 1, 4), [1]);
        assert_eq!(noted(&[0b1111_0111], 1, 8), [0, 1]);
    }
}
