//! The same where every pixel is there: each is clipped for itself.

use super::{BLUE, CHUNK, Moved, RED, least, most, offsets};
use crate::planes::{Means, Plane};

/// Goes by rows of colour, each sample of which lies under `ACROSS` by `down` pixels.
#[inline(always)]
pub(super) fn clip<const ACROSS: usize>(
    [y, cb, cr]: [&mut Plane; 3],
    [mean_y, mean_cb, mean_cr]: [&mut Means; 3],
    down: usize,
) {
    let mut moves = Moves::new::<ACROSS>(y, cb, down);
    let mut moved = [Moved::new(y, mean_y), Moved::new(cb, mean_cb), Moved::new(cr, mean_cr)];
    for row in 0..cb.rows {
        let rows = (row * down).min(y.rows)..((row + 1) * down).min(y.rows);
        moves.set_colors::<ACROSS>(cb.row(row), cr.row(row));
        let mut any = false;
        for (at, by_y) in rows.clone().zip(&mut moves.by_y) {
            any |= find(y.row(at), &moves.colors, by_y, &mut moves.sums);
        }
        if !any {
            continue;
        }
        let [by_cb, by_cr] = moves.by_color::<ACROSS>(rows.len());
        moved[1].apply(by_cb, cb, row);
        moved[2].apply(by_cr, cr, row);
        for (at, by_y) in rows.zip(&moves.by_y) {
            moved[0].apply(by_y, y, at);
        }
    }
    moved.iter_mut().for_each(|moved| moved.end_blocks());
}

/// Of a row of colours, and the rows of pixels under it.
struct Moves {
    /// What of red, green and blue is added to each pixel's brightness.
    colors: [Vec<f32>; 3],
    /// By how much each pixel is to be moved.
    by_y: Vec<Vec<f32>>,
    /// By how much more red and blue are to be moved, summed up over rows.
    sums: [Vec<f32>; 2],
    by_color: [Vec<f32>; 2],
}

impl Moves {
    fn new<const ACROSS: usize>(y: &Plane, cb: &Plane, down: usize) -> Self {
        let zeros = |count: usize| vec![0.0; count];
        let pixels = (cb.stride * ACROSS).min(y.stride);
        Self {
            colors: std::array::from_fn(|_| zeros(pixels)),
            by_y: vec![zeros(pixels); down],
            sums: [zeros(pixels), zeros(pixels)],
            by_color: [zeros(cb.stride), zeros(cb.stride)],
        }
    }

    #[inline(always)]
    fn set_colors<const ACROSS: usize>(&mut self, cb: &[u8], cr: &[u8]) {
        let [red, green, blue] = self.colors.each_mut().map(|color| color.as_chunks_mut::<ACROSS>().0);
        for (((red, green), blue), (&cb, &cr)) in red.iter_mut().zip(green).zip(blue).zip(cb.iter().zip(cr)) {
            let [r, g, b] = offsets(cb, cr);
            (*red, *green, *blue) = ([r; ACROSS], [g; ACROSS], [b; ACROSS]);
        }
        self.sums.iter_mut().for_each(|sums| sums.fill(0.0));
    }

    /// By how much the colours are to be moved. What lies beyond all pixels goes with the last that does not.
    #[inline(always)]
    fn by_color<const ACROSS: usize>(&mut self, rows: usize) -> [&[f32]; 2] {
        let share = 1.0 / (rows * ACROSS) as f32;
        for ((by, sums), scale) in self.by_color.iter_mut().zip(&self.sums).zip([1.0 / BLUE, 1.0 / RED]) {
            let cells = sums.as_chunks::<ACROSS>().0;
            for (by, sums) in by.iter_mut().zip(cells) {
                *by = sums.iter().sum::<f32>() * (share * scale);
            }
            let last = cells.len() - 1;
            let beyond = by[last];
            by[last..].fill(beyond);
        }
        self.by_color.each_ref().map(Vec::as_slice)
    }
}

/// Finds by how much clipping moves a row of pixels, and adds up what it does to their colours; whether it moves any.
#[inline(always)]
fn find(y: &[u8], [red, green, blue]: &[Vec<f32>; 3], by_y: &mut [f32], [blues, reds]: &mut [Vec<f32>; 2]) -> bool {
    let mut any = false;
    let colors = red.chunks(CHUNK).zip(green.chunks(CHUNK)).zip(blue.chunks(CHUNK));
    let sums = by_y.chunks_mut(CHUNK).zip(blues.chunks_mut(CHUNK)).zip(reds.chunks_mut(CHUNK));
    for ((y, ((red, green), blue)), ((by_y, blues), reds)) in y.chunks(CHUNK).zip(colors).zip(sums) {
        if !is_clipped(y, [red, green, blue]) {
            by_y.fill(0.0);
            continue;
        }
        any = true;
        let pixels = y.iter().zip(red).zip(green.iter().zip(blue));
        for ((((&y, red), (green, blue)), by_y), (blues, reds)) in pixels.zip(by_y).zip(blues.iter_mut().zip(reds)) {
            let y = f32::from(y);
            let moved = |offset: &f32| (y + offset).clamp(0.0, 255.0) - (y + offset);
            let [r, g, b] = [moved(red), moved(green), moved(blue)];
            *by_y = 0.299 * r + 0.587 * g + 0.114 * b;
            *blues += b - *by_y;
            *reds += r - *by_y;
        }
    }
    any
}

/// Whether any of some pixels is clipped.
#[inline(always)]
fn is_clipped(y: &[u8], [red, green, blue]: [&[f32]; 3]) -> bool {
    let pixels = y.iter().zip(red).zip(green.iter().zip(blue));
    pixels.fold(false, |any, ((&y, red), (green, blue))| {
        let y = f32::from(y);
        any | (y + least(*red, *green, *blue) < 0.0) | (y + most(*red, *green, *blue) > 255.0)
    })
}
