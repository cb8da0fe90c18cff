//! How samples are weighed. A kernel of one of two shapes, made sharper or softer by a little.
//!
//! A box over `n` pixels, or a decoder's interpolation of colour, takes from each frequency `w` a share of about
//! `w² / 2` times its variance (both are even, and sum to 1). Where a picture came through one, the kernel gives that
//! back: `K - s K"` passes `1 + s w²` times what `K` does.

use std::cell::Cell;
use std::sync::LazyLock;

use fast_image_resize::{CreateFilterError, Filter};

/// A kernel's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Three lobes, widened when there is less to make than there is.
    Lanczos,
    /// Catmull and Rom's cubic, for colour at half the resolution: there the rings of Lanczos would be twice as wide.
    Cubic,
}

/// A shape, and how much of its second derivative is taken off, in samples of the target; where there are more of those than
/// of the source, in samples of the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Kernel {
    pub(crate) shape: Shape,
    pub(crate) sharpness: f64,
}

impl Kernel {
    pub(crate) const LANCZOS: Self = Self { shape: Shape::Lanczos, sharpness: 0.0 };

    /// For the next resize on this thread: the crate that resizes takes functions that have no state of their own.
    pub(super) fn prepared(self) -> Result<Filter, CreateFilterError> {
        SHARPNESS.set(self.sharpness);
        match self.shape {
            Shape::Lanczos => Filter::new("Lanczos", lanczos, 3.0),
            Shape::Cubic => Filter::new("Catmull-Rom", cubic, 2.0),
        }
    }
}

thread_local! {
    static SHARPNESS: Cell<f64> = const { Cell::new(0.0) };
}

fn lanczos(x: f64) -> f64 {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        Table::new(3, |x| sinc(x) * sinc(x / 3.0))
    });
    TABLE.at(x)
}

fn cubic(x: f64) -> f64 {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        Table::new(2, |x| if x < 1.0 { (1.5 * x - 2.5) * x * x + 1.0 } else { ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 })
    });
    TABLE.at(x)
}

/// Parts of one in a table: between two entries a kernel is as good as straight.
const PARTS: usize = 1024;

/// One side of a kernel, and of its second derivative upside down. From a table, since sines are a good part of a
/// small image's cost.
struct Table {
    reach: f64,
    entries: Vec<[f64; 2]>,
}

impl Table {
    fn new(reach: usize, kernel: impl Fn(f64) -> f64) -> Self {
        let side = |i: usize| if i < reach * PARTS { kernel(i as f64 / PARTS as f64) } else { 0.0 };
        let value = |i: usize| {
            // Its end is asked for all that lies beyond.
            if i >= reach * PARTS {
                return [0.0; 2];
            }
            let (before, here, after) = (side(i.abs_diff(1)), side(i), side(i + 1));
            [here, (2.0 * here - before - after) * (PARTS * PARTS) as f64]
        };
        Self { reach: reach as f64, entries: (0..reach * PARTS + 2).map(value).collect() }
    }

    fn at(&self, x: f64) -> f64 {
        let place = x.abs().min(self.reach) * PARTS as f64;
        let at = place as usize;
        let sharpness = SHARPNESS.get();
        let [before, after] = [at, at + 1].map(|at| self.entries[at][0] + sharpness * self.entries[at][1]);
        before + (after - before) * (place - at as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of a cosine of `w` in radians a sample that a kernel passes, by a fine sum.
    fn passed(kernel: fn(f64) -> f64, w: f64) -> f64 {
        let at = |i: i32| f64::from(i) / 200.0 + 0.0025;
        (-640..640).map(|i| kernel(at(i)) * (w * at(i)).cos() / 200.0).sum()
    }

    #[test]
    fn what_a_box_takes_is_given_back() {
        for (kernel, shape) in [(lanczos as fn(f64) -> f64, Shape::Lanczos), (cubic, Shape::Cubic)] {
            let w = 0.8;
            let pass = |sharpness| {
                Kernel { shape, sharpness }.prepared().expect("a kernel");
                passed(kernel, w)
            };
            let (plain, sharp, soft) = (pass(0.0), pass(0.1), pass(-0.05));
            assert!((sharp / plain - (1.0 + 0.1 * w * w)).abs() < 0.01, "{shape:?}: {sharp} to {plain}");
            assert!((soft / plain - (1.0 - 0.05 * w * w)).abs() < 0.01, "{shape:?}: {soft} to {plain}");
        }
    }
}
