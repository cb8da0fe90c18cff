//! Separable convolution, row by row: memory is as many rows as the kernel is tall.

use crate::simd::{Work, vectorized};

/// Centre and one side of a Gaussian; the whole sums to 1. What lies past four sigma is below rounding.
pub(super) fn half_kernel(sigma: f64) -> Vec<f32> {
    let radius = (4.0 * sigma).ceil() as usize;
    let weight = |i: usize| (-((i * i) as f64) / (2.0 * sigma * sigma)).exp();
    let side: f64 = (1..=radius).map(weight).sum();
    let sum = 1.0 + 2.0 * side;
    (0..=radius).map(|i| (weight(i) / sum) as f32).collect()
}

/// Convolves a `(width, height, channels)` raster in both directions, edges extended.
///
/// `read` fills a row; it is called once for each, from the top. `write` takes each row that is done.
pub(super) fn convolve(
    size: (usize, usize, usize),
    kernel: &[f32],
    read: impl FnMut(usize, &mut [f32]),
    write: impl FnMut(usize, &[f32]),
) {
    vectorized(Convolve { size, kernel, read, write });
}

struct Convolve<'a, R, W> {
    size: (usize, usize, usize),
    kernel: &'a [f32],
    read: R,
    write: W,
}

impl<R: FnMut(usize, &mut [f32]), W: FnMut(usize, &[f32])> Work for Convolve<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        run(self.size, self.kernel, self.read, self.write);
    }
}

#[inline(always)]
fn run(
    (width, height, channels): (usize, usize, usize),
    kernel: &[f32],
    mut read: impl FnMut(usize, &mut [f32]),
    mut write: impl FnMut(usize, &[f32]),
) {
    let stride = width * channels;
    let radius = kernel.len() - 1;
    let kept = (2 * radius + 1).min(height);
    let mut ring = vec![0f32; kept * stride];
    let mut padded = vec![0f32; (width + 2 * radius) * channels];
    let mut out = vec![0f32; stride];
    let mut ready = 0;
    for y in 0..height {
        while ready < height && ready <= y + radius {
            read(ready, &mut padded[radius * channels..][..stride]);
            extend_edges(&mut padded, radius, channels);
            along_row(&padded, kernel, channels, &mut ring[(ready % kept) * stride..][..stride]);
            ready += 1;
        }
        let row = |at: usize| &ring[(at % kept) * stride..][..stride];
        scale(&mut out, row(y), kernel[0]);
        for (i, &weight) in kernel.iter().enumerate().skip(1) {
            add_pair(&mut out, row(y.saturating_sub(i)), row((y + i).min(height - 1)), weight);
        }
        write(y, &out);
    }
}

#[inline(always)]
fn extend_edges(padded: &mut [f32], radius: usize, channels: usize) {
    let pad = radius * channels;
    let end = padded.len() - pad;
    for i in 0..radius {
        padded.copy_within(pad..pad + channels, i * channels);
        padded.copy_within(end - channels..end, end + i * channels);
    }
}

#[inline(always)]
fn along_row(padded: &[f32], kernel: &[f32], channels: usize, out: &mut [f32]) {
    let centre = (kernel.len() - 1) * channels;
    for (block, out) in out.chunks_mut(LANES).enumerate() {
        let at = centre + block * LANES;
        let Ok(out) = <&mut [f32; LANES]>::try_from(&mut *out) else {
            rest_of_row(&padded[at..], &padded[at - centre..], kernel, channels, out);
            continue;
        };
        let mut sum = [0.0; LANES];
        let lanes = |from: usize| padded[from..].first_chunk::<LANES>();
        if let Some(middle) = lanes(at) {
            sum = middle.map(|value| value * kernel[0]);
        }
        for (i, &weight) in kernel.iter().enumerate().skip(1) {
            if let (Some(before), Some(after)) = (lanes(at - i * channels), lanes(at + i * channels)) {
                for ((sum, a), b) in sum.iter_mut().zip(before).zip(after) {
                    *sum += (a + b) * weight;
                }
            }
        }
        *out = sum;
    }
}

/// Samples summed at once: as many as fit into registers.
const LANES: usize = 32;

/// The samples that are left over; `from` begins a kernel's reach before `middle`.
fn rest_of_row(middle: &[f32], from: &[f32], kernel: &[f32], channels: usize, out: &mut [f32]) {
    let centre = (kernel.len() - 1) * channels;
    for (x, to) in out.iter_mut().enumerate() {
        let pair = |i: usize| from[centre + x - i * channels] + from[centre + x + i * channels];
        *to = kernel.iter().enumerate().skip(1).fold(middle[x] * kernel[0], |sum, (i, w)| sum + pair(i) * w);
    }
}

#[inline(always)]
fn scale(out: &mut [f32], row: &[f32], weight: f32) {
    for (to, from) in out.iter_mut().zip(row) {
        *to = from * weight;
    }
}

#[inline(always)]
fn add_pair(out: &mut [f32], before: &[f32], after: &[f32], weight: f32) {
    for ((to, a), b) in out.iter_mut().zip(before).zip(after) {
        *to += (a + b) * weight;
    }
}
