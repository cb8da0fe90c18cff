//! The colours of a picture and how much of it each takes.
//!
//! Pixels fall into 4096 cells of like colour; the cells are gathered around at most six centres (k-means in
//! Oklab, where distances are what the eye makes of them). The centres start from the fullest cell and then
//! from what is worst served so far: no chance is involved.

use quantette::deps::palette::{FromColor, LinSrgb, Oklab, Srgb};

use super::sample::Sample;

/// One colour of a palette.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Swatch {
    /// `#rrggbb`.
    pub color: String,
    /// How much of what is seen it stands for, 1 to 100.
    pub percent: u8,
}

/// Most colours of a palette.
const COLORS: usize = 6;
/// Rounds after which centres hardly move.
const ROUNDS: usize = 8;
/// Colours nearer than this, squared, are one: twice what can just be told apart side by side.
const SAME: f32 = 0.04 * 0.04;

type Lab = [f32; 3];

/// Colour and weight: pixels, each counted by its alpha.
#[derive(Clone, Copy)]
struct Spot {
    lab: Lab,
    weight: f32,
}

/// The most frequent first.
pub(super) fn of(sample: &Sample) -> Vec<Swatch> {
    let cells = cells(&sample.rgba);
    let total: f32 = cells.iter().map(|cell| cell.weight).sum();
    let mut spots = first_centers(&cells);
    for _ in 0..ROUNDS {
        spots = gather_around(&cells, &spots);
    }
    let mut swatches: Vec<Swatch> = unite(spots)
        .iter()
        .map(|spot| Swatch { color: hex(spot.lab), percent: (spot.weight / total * 100.0).round() as u8 })
        .filter(|swatch| swatch.percent > 0)
        .collect();
    swatches.sort_by(|a, b| b.percent.cmp(&a.percent).then_with(|| a.color.cmp(&b.color)));
    swatches
}

/// The mean of each cell that holds any pixel.
fn cells(rgba: &[u8]) -> Vec<Spot> {
    let mut sums = vec![[0u32; 4]; 4096];
    for pixel in rgba.chunks_exact(4) {
        let cell = pixel[..3].iter().fold(0, |cell, &value| cell << 4 | usize::from(value >> 4));
        let weight = u32::from(pixel[3]);
        for (sum, &value) in sums[cell].iter_mut().zip(&pixel[..3]) {
            *sum += u32::from(value) * weight;
        }
        sums[cell][3] += weight;
    }
    let spot = |&[red, green, blue, weight]: &[u32; 4]| {
        let weight = weight as f32;
        let mean = |sum: u32| sum as f32 / weight / 255.0;
        let light: LinSrgb<f32> = Srgb::new(mean(red), mean(green), mean(blue)).into_linear();
        let Oklab { l, a, b, .. } = Oklab::from_color(light);
        Spot { lab: [l, a, b], weight }
    };
    sums.iter().filter(|sum| sum[3] > 0).map(spot).collect()
}

fn distance(a: Lab, b: Lab) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The fullest cell, then always the one whose pixels are farthest from any centre, all together.
fn first_centers(cells: &[Spot]) -> Vec<Spot> {
    let mut centers: Vec<Spot> = Vec::new();
    let mut misses: Vec<f32> = vec![1.0; cells.len()];
    while centers.len() < COLORS {
        let cost = |at: usize| cells[at].weight * misses[at];
        // The first of equals, so that the order of the search decides nothing.
        let Some(worst) = (0..cells.len()).rev().max_by(|&a, &b| cost(a).total_cmp(&cost(b))) else { break };
        if misses[worst] < SAME {
            break;
        }
        centers.push(cells[worst]);
        for (miss, cell) in misses.iter_mut().zip(cells) {
            *miss = miss.min(distance(cell.lab, cells[worst].lab));
        }
    }
    centers
}

/// One round of k-means: the mean of the cells that are nearest to each centre.
fn gather_around(cells: &[Spot], centers: &[Spot]) -> Vec<Spot> {
    let mut sums = vec![[0f32; 4]; centers.len()];
    for cell in cells {
        let away = |at: usize| distance(cell.lab, centers[at].lab);
        let nearest = (1..centers.len()).fold(0, |best, at| if away(at) < away(best) { at } else { best });
        for (sum, value) in sums[nearest].iter_mut().zip(cell.lab) {
            *sum += value * cell.weight;
        }
        sums[nearest][3] += cell.weight;
    }
    let spot = |[l, a, b, weight]: [f32; 4]| Spot { lab: [l / weight, a / weight, b / weight], weight };
    sums.into_iter().filter(|sum| sum[3] > 0.0).map(spot).collect()
}

/// Fullest first; a colour that cannot be told from a fuller one joins it.
fn unite(mut spots: Vec<Spot>) -> Vec<Spot> {
    spots.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut out: Vec<Spot> = Vec::new();
    for spot in spots {
        match out.iter_mut().find(|kept| distance(kept.lab, spot.lab) < SAME) {
            Some(kept) => kept.weight += spot.weight,
            None => out.push(spot),
        }
    }
    out
}

fn hex([l, a, b]: Lab) -> String {
    let color: Srgb<u8> = Srgb::from_linear(LinSrgb::from_color(Oklab::new(l, a, b)));
    format!("#{:02x}{:02x}{:02x}", color.red, color.green, color.blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette(parts: &[([u8; 4], usize)]) -> Vec<(String, u8)> {
        let rgba: Vec<u8> = parts.iter().flat_map(|(color, times)| color.repeat(*times)).collect();
        let swatches = of(&Sample { width: rgba.len() / 4, height: 1, rgba });
        swatches.into_iter().map(|swatch| (swatch.color, swatch.percent)).collect()
    }

    #[test]
    fn few_colours_are_found_as_they_are() {
        let parts = [([0, 0, 255, 255], 20), ([200, 10, 20, 255], 50), ([0, 255, 0, 255], 30)];
        let want = [("#c80a14", 50), ("#00ff00", 30), ("#0000ff", 20)];
        assert_eq!(palette(&parts), want.map(|(color, percent)| (color.to_owned(), percent)));
    }

    #[test]
    fn what_is_hidden_does_not_count() {
        assert_eq!(palette(&[([200, 10, 20, 255], 5), ([0, 0, 255, 0], 50)]), [("#c80a14".to_owned(), 100)]);
        assert_eq!(palette(&[([1, 2, 3, 0], 9)]), []);
    }

    #[test]
    fn many_colours_become_six_and_shades_of_one_become_one() {
        let rainbow: Vec<_> = (0..=255u8).map(|i| ([i, 255 - i, i.wrapping_mul(7), 255], 1)).collect();
        assert_eq!(palette(&rainbow).len(), COLORS);
        let shades: Vec<_> = (100..105u8).map(|i| ([i, i, i, 255], 3)).collect();
        assert_eq!(palette(&shades), [("#666666".to_owned(), 100)]);
    }
}
