//! Gaussian blur: edges extended, alpha multiplied in.
//!
//! A wide blur of a large image is done on a reduced one. A picture blurred by sigma has next to no
//! detail finer than sigma, so a grid four times finer than that still holds all of it.

mod convolve;
pub(crate) mod means;
mod reduce;

use crate::pixels::{Layout, Pixels, to_byte};
use convolve::{convolve, half_kernel};
pub(crate) use reduce::Blocks;

/// Below this a blur is not reduced: there is too little to win.
const REDUCE_FROM_SIGMA: f64 = 8.0;
/// Pixels times sigma below which the exact way is quick enough.
const REDUCE_FROM_WORK: f64 = 4e6;
/// Sigma on the reduced grid, at least. Less would show the grid.
const SIGMA_KEPT: f64 = 4.0;
/// Wider blurs than this leave one colour anyway.
const SIGMA_MAX: f64 = 10_000.0;

/// Blurs by a standard deviation in pixels. Nothing happens for none, negative or no number.
pub(crate) fn blur(pixels: &Pixels, sigma: f32) -> Pixels {
    if sigma.is_nan() || sigma <= 0.0 {
        return pixels.clone();
    }
    match by_rows(pixels.width, pixels.height, pixels.layout, sigma) {
        Some(blocks) => reduced(pixels, blocks),
        None => exact(pixels, f64::from(sigma).min(SIGMA_MAX)),
    }
}

/// The same blur in two halves that go by rows; `None` where it is too small to be worth a grid.
pub(crate) fn by_rows(width: u32, height: u32, layout: Layout, sigma: f32) -> Option<Blocks> {
    let is_worth_it = is_by_rows(width, height, sigma);
    let sigma = f64::from(sigma).min(SIGMA_MAX);
    let block = (sigma / SIGMA_KEPT) as usize;
    is_worth_it.then(|| Blocks::new(width, height, layout, sigma, block))
}

/// Whether a blur is wide enough for that.
pub(crate) fn is_by_rows(width: u32, height: u32, sigma: f32) -> bool {
    let sigma = f64::from(sigma).min(SIGMA_MAX);
    sigma >= REDUCE_FROM_SIGMA && f64::from(width) * f64::from(height) * sigma > REDUCE_FROM_WORK
}

fn reduced(pixels: &Pixels, mut blocks: Blocks) -> Pixels {
    let stride = pixels.stride();
    pixels.data.chunks_exact(stride).for_each(|row| blocks.push_row(row));
    let mut smooth = blocks.finish(1);
    let mut out = Pixels::zeroed(pixels.width, pixels.height, pixels.layout);
    out.data.chunks_exact_mut(stride).enumerate().for_each(|(y, row)| smooth.row(y, row));
    out
}

fn exact(pixels: &Pixels, sigma: f64) -> Pixels {
    let mut out = pixels.clone();
    let stride = pixels.stride();
    let alpha = pixels.layout.has_alpha();
    let channels = pixels.layout.channels();
    let size = (pixels.width as usize, pixels.height as usize, channels);
    let read = |y: usize, row: &mut [f32]| load(&pixels.data[y * stride..][..stride], row, channels, alpha);
    let write = |y: usize, row: &[f32]| store(row, &mut out.data[y * stride..][..stride], channels, alpha);
    convolve(size, &half_kernel(sigma), read, write);
    out
}

/// Samples of a row as numbers, colour multiplied by alpha.
fn load(row: &[u8], out: &mut [f32], channels: usize, alpha: bool) {
    if !alpha {
        for (to, &from) in out.iter_mut().zip(row) {
            *to = f32::from(from);
        }
        return;
    }
    for (to, from) in out.chunks_exact_mut(channels).zip(row.chunks_exact(channels)) {
        let opacity = f32::from(from[channels - 1]);
        for (to, &from) in to.iter_mut().zip(&from[..channels - 1]) {
            *to = f32::from(from) * opacity / 255.0;
        }
        to[channels - 1] = opacity;
    }
}

/// The way back: colour divided by alpha, rounded.
fn store(row: &[f32], out: &mut [u8], channels: usize, alpha: bool) {
    if !alpha {
        for (to, &from) in out.iter_mut().zip(row) {
            *to = to_byte(from);
        }
        return;
    }
    for (to, from) in out.chunks_exact_mut(channels).zip(row.chunks_exact(channels)) {
        let opacity = from[channels - 1];
        let scale = if opacity < 0.5 { 0.0 } else { 255.0 / opacity };
        for (to, &from) in to.iter_mut().zip(&from[..channels - 1]) {
            *to = to_byte(from * scale);
        }
        to[channels - 1] = to_byte(opacity);
    }
}

#[cfg(test)]
mod tests;
