//! A still picture as a JPEG holds it: a plane for each component, each of its own resolution, reduced.

use std::sync::OnceLock;

use crate::gamut;
use crate::orient::{mirrored, turn};

/// What the planes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Gray,
    YCbCr,
    Rgb,
    /// As stored: 255 for no ink.
    Cmyk,
    /// CMYK whose first three inks are stored as YCbCr.
    Ycck,
}

/// One component, each sample the mean of what it covers.
pub(crate) struct Plane {
    /// Samples of a row in `data`.
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    /// How much of the stride and the rows the picture covers: its last sample may be a part of one.
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) data: Vec<u8>,
    half: OnceLock<Box<Plane>>,
}

impl Plane {
    /// `width` and `height` are of what the picture covers.
    pub(crate) fn new((stride, rows): (usize, usize), (width, height): (f64, f64), data: Vec<u8>) -> Self {
        Self { stride, rows, width, height, data, half: OnceLock::new() }
    }

    pub(crate) fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.stride..][..self.stride]
    }

    /// The plane less what lies beyond the picture: a filter ends where the picture does.
    pub(crate) fn trimmed(mut self) -> Self {
        let (stride, rows) = (self.width.ceil() as usize, self.height.ceil() as usize);
        for y in 0..rows {
            self.data.copy_within(y * self.stride..y * self.stride + stride, y * stride);
        }
        self.data.truncate(rows * stride);
        (self.stride, self.rows) = (stride, rows);
        self
    }

    /// The plane with its outermost samples repeated so many times on the left and right, and above and below.
    pub(crate) fn extended(&self, across: [usize; 2], down: [usize; 2]) -> Self {
        let (stride, rows) = (self.stride + across[0] + across[1], self.rows + down[0] + down[1]);
        let mut data = Vec::with_capacity(stride * rows);
        for y in 0..rows {
            let row = self.row(y.saturating_sub(down[0]).min(self.rows - 1));
            data.extend(std::iter::repeat_n(row[0], across[0]));
            data.extend_from_slice(row);
            data.extend(std::iter::repeat_n(row[self.stride - 1], across[1]));
        }
        Self::new((stride, rows), (stride as f64, rows as f64), data)
    }

    /// The plane at half its resolution: means of two by two samples, or of what is left of them at the edge. Made
    /// once, for all that is to be much smaller.
    pub(crate) fn half(&self) -> &Self {
        self.half.get_or_init(|| Box::new(self.halved()))
    }

    fn halved(&self) -> Self {
        let (stride, rows) = (self.stride.div_ceil(2), self.rows.div_ceil(2));
        let mut data = Vec::with_capacity(stride * rows);
        for y in 0..rows {
            let (above, below) = (self.row(2 * y), self.row((2 * y + 1).min(self.rows - 1)));
            // What is halfway goes down in one row and up in the next: always up, each halving would be an eighth of a
            // level too bright.
            let half = 1 + (y % 2) as u16;
            let mean = |a: [u8; 2], b: [u8; 2]| {
                ((u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]) + half) / 4) as u8
            };
            let ((above, last_above), (below, last_below)) = (above.as_chunks::<2>(), below.as_chunks::<2>());
            data.extend(above.iter().zip(below).map(|(a, b)| mean(*a, *b)));
            data.extend(last_above.iter().zip(last_below).map(|(&a, &b)| mean([a; 2], [b; 2])));
        }
        Self::new((stride, rows), (self.width / 2.0, self.height / 2.0), data)
    }
}

/// Means of one component over blocks of 8 by 8 samples of its own.
///
/// One cell of edge lies around the picture, and what a block lacks of the picture is edge too: beyond the
/// edge there is exactly the edge's own value, and not the mean of the block along it.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Where the first cell after the edge begins, in pixels of the picture: before it, if the picture was turned
    /// and its last cell was not whole.
    pub(crate) origin: (f64, f64),
    /// Sides of a cell in pixels of the picture.
    pub(crate) cell: (f64, f64),
    pub(crate) data: Vec<f32>,
}

/// A picture in planes.
pub(crate) struct Planes {
    /// Of the picture, as stored.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) color: Color,
    pub(crate) planes: Vec<Plane>,
    /// Of each plane.
    pub(crate) means: Vec<Means>,
    /// How far, as a deviation, the first plane's pixels lie from their samples, for each block; in parts of a level.
    pub(crate) roughness: Vec<u8>,
}

impl Planes {
    /// As a screen shows them, and no more than there is of the picture.
    pub(crate) fn shown(mut self) -> Self {
        gamut::clip(&mut self);
        self.planes = self.planes.into_iter().map(Plane::trimmed).collect();
        self
    }
}

impl Means {
    /// The means of the upright picture, which is of `(width, height)`.
    pub(crate) fn upright(self, orientation: u8, (width, height): (u32, u32)) -> Self {
        let data = turn(self.data, (self.columns, self.rows), 1, orientation);
        let swap = orientation >= 5;
        let (columns, rows) = if swap { (self.rows, self.columns) } else { (self.columns, self.rows) };
        let cell = if swap { (self.cell.1, self.cell.0) } else { self.cell };
        let mirrored = mirrored(orientation);
        // A cell that was not whole was the last one; mirrored, it is the first.
        let start = |mirrored: bool, length: u32, cells: usize, cell: f64| {
            if mirrored { f64::from(length) - (cells - 2) as f64 * cell } else { 0.0 }
        };
        let origin = (start(mirrored.0, width, columns, cell.0), start(mirrored.1, height, rows, cell.1));
        Self { columns, rows, origin, cell, data }
    }

    /// The value at a place in pixels, between the means around it.
    fn at(&self, x: f64, y: f64) -> f32 {
        let place = |at: f64, origin: f64, cell: f64, count: usize| {
            let at = ((at - origin) / cell + 0.5).clamp(0.0, (count - 1) as f64);
            let first = (at as usize).min(count - 2);
            (first, (at - first as f64) as f32)
        };
        let (x, right) = place(x, self.origin.0, self.cell.0, self.columns);
        let (y, below) = place(y, self.origin.1, self.cell.1, self.rows);
        let row = |y: usize| {
            let row = &self.data[y * self.columns + x..][..2];
            row[0] + (row[1] - row[0]) * right
        };
        row(y) + (row(y + 1) - row(y)) * below
    }

    /// The same picture over the cells of another.
    pub(crate) fn over(&self, other: &Self) -> Self {
        let centre = |i: usize, origin: f64, cell: f64| origin + (i as f64 - 0.5) * cell;
        let value = |i: usize| {
            let (column, row) = (i % other.columns, i / other.columns);
            self.at(centre(column, other.origin.0, other.cell.0), centre(row, other.origin.1, other.cell.1))
        };
        let data = (0..other.data.len()).map(value).collect();
        Self { columns: other.columns, rows: other.rows, origin: other.origin, cell: other.cell, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_plane_is_as_bright_as_the_whole() {
        let mut seed = 7u32;
        let mut grain = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let (stride, rows) = (256, 256);
        let data: Vec<u8> = (0..stride * rows).map(|_| grain()).collect();
        let plane = Plane::new((stride, rows), (stride as f64, rows as f64), data);
        let mean = |plane: &Plane| plane.data.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.data.len() as f64;
        let eighth = plane.half().half().half();
        assert_eq!((eighth.stride, eighth.rows), (32, 32));
        assert!((mean(&plane) - mean(eighth)).abs() < 0.06, "{} and {}", mean(&plane), mean(eighth));
    }
}
