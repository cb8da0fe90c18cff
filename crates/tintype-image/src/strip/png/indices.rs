//! Which indices a picture's rows hold, once they are unpacked: each is filtered by those before it (9.2).

use std::mem;

use crate::container::png::Shape;
use crate::strip::palette::Used;

pub(super) struct Indices<'a> {
    shape: &'a Shape,
    used: &'a mut Used,
    pass: usize,
    /// Rows of the pass that were read.
    rows: usize,
    /// What has come of a row, and the whole of the one before; the filter's byte comes first.
    row: Vec<u8>,
    before: Vec<u8>,
}

impl<'a> Indices<'a> {
    pub(super) fn new(shape: &'a Shape, used: &'a mut Used) -> Self {
        Self { shape, used, pass: 0, rows: 0, row: Vec::new(), before: Vec::new() }
    }

    /// Notes what some more bytes hold.
    pub(super) fn note(&mut self, mut data: &[u8]) {
        while let Some(&(width, rows)) = self.shape.passes.get(self.pass)
            && let Some(length) = self.shape.row(width)
            && !data.is_empty()
        {
            let (piece, rest) = data.split_at((length - self.row.len()).min(data.len()));
            data = rest;
            self.row.extend_from_slice(piece);
            if self.row.len() < length {
                return;
            }
            if self.rows == 0 {
                self.before = vec![0; length];
            }
            if unfilter(&mut self.row, &self.before).is_some() {
                self.used.note_packed(&self.row[1..], self.shape.bits, width);
            } else {
                *self.used = Used::all();
            }
            mem::swap(&mut self.row, &mut self.before);
            self.row.clear();
            self.rows += 1;
            if self.rows == rows {
                (self.pass, self.rows) = (self.pass + 1, 0);
            }
        }
    }
}

/// Undoes the filter of a row of pixels of one byte or less; `None` where there is no such filter.
fn unfilter(row: &mut [u8], before: &[u8]) -> Option<()> {
    match row.first()? {
        0 => {}
        1 => (2..row.len()).for_each(|i| row[i] = row[i].wrapping_add(row[i - 1])),
        2 => row.iter_mut().zip(before).skip(1).for_each(|(to, above)| *to = to.wrapping_add(*above)),
        3 => {
            let mut left = 0;
            for (to, &above) in row.iter_mut().zip(before).skip(1) {
                *to = to.wrapping_add(u8::midpoint(left, above));
                left = *to;
            }
        }
        4 => {
            let (mut left, mut corner) = (0, 0);
            for (to, &above) in row.iter_mut().zip(before).skip(1) {
                *to = to.wrapping_add(paeth(left, above, corner));
                (left, corner) = (*to, above);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Of the three neighbours the one that is nearest to left + above - corner.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let (to_left, to_above, to_corner) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(passes: Vec<(usize, usize)>, bits: usize, data: &[u8]) -> Vec<usize> {
        let mut used = Used::default();
        let shape = Shape { bits, passes };
        let mut indices = Indices::new(&shape, &mut used);
        // However it is cut up.
        data.chunks(3).for_each(|piece| indices.note(piece));
        (0..256).filter(|&index| used.holds(index)).collect()
    }

    #[test]
    fn filters_are_undone() {
        let rows = [
            [0, 10, 20, 30],
            [1, 1, 1, 1],    // 1 2 3
            [2, 10, 10, 10], // 11 12 13
            [3, 5, 6, 7],    // 5 + 5, 6 + 11, 7 + 15: 10 17 22
            [4, 1, 1, 1],    // 1 + 10, 1 + 17, 1 + 22: 11 18 23
        ];
        assert_eq!(held(vec![(3, 5)], 8, &rows.concat()), [1, 2, 3, 10, 11, 12, 13, 17, 18, 20, 22, 23, 30]);
        assert_eq!(held(vec![(3, 1)], 8, &[9, 1, 2, 3]).len(), 256);
    }

    #[test]
    fn passes_begin_anew_and_what_follows_the_last_row_is_nothing() {
        assert_eq!(held(vec![(1, 1), (2, 1)], 8, &[0, 7, 2, 5, 6, 0, 99]), [5, 6, 7]);
        assert_eq!(held(vec![(3, 2)], 4, &[0, 0x12, 0x3F, 0, 0x45, 0x6F]), [1, 2, 3, 4, 5, 6]);
    }
}
