//! Colour brought to a picture's own resolution as decoders do it, to the bit: libjpeg's "fancy" upsampling, which
//! weighs the nearer sample three times as much as the further one, in each direction.

/// Enlarges twice across, and down by as much or not at all, to `width` by `height`. The plane may be larger than
/// what is asked of it. Its rows are `stride` long.
pub(crate) fn twice(
    plane: &[u8],
    stride: usize,
    (across, down): (usize, usize),
    double: bool,
    (width, height): (usize, usize),
) -> Vec<u8> {
    let mut out = vec![0; width * height];
    let mut sums = vec![0u16; across];
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let row = |at: usize| &plane[at.min(down - 1) * stride..][..across];
        if double {
            let near = y / 2;
            let far = if y % 2 == 0 { near.saturating_sub(1) } else { near + 1 };
            for ((sum, &near), &far) in sums.iter_mut().zip(row(near)).zip(row(far)) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
            spread::<4>(&sums, out, [8, 7]);
        } else {
            sums.iter_mut().zip(row(y)).for_each(|(sum, &sample)| *sum = sample.into());
            spread::<2>(&sums, out, [1, 2]);
        }
    }
    out
}

/// Each sum, three parts of four, and a part of its neighbour on the side: left for even pixels, right for odd ones.
/// What is halfway is rounded up and down in turn.
fn spread<const BITS: u32>(sums: &[u16], out: &mut [u8], rounding: [u16; 2]) {
    let [left, right] = rounding;
    let last = sums.len() - 1;
    let pair = |i: usize, before: u16, after: u16| {
        let three = 3 * sums[i];
        [((three + before + left) >> BITS) as u8, ((three + after + right) >> BITS) as u8]
    };
    let put = |out: &mut [u8], i: usize, pair: [u8; 2]| {
        out.iter_mut().skip(2 * i).zip(pair).for_each(|(to, from)| *to = from);
    };
    put(out, 0, pair(0, sums[0], sums[last.min(1)]));
    put(out, last, pair(last, sums[last.saturating_sub(1)], sums[last]));
    let inner = out.get_mut(2..).unwrap_or_default().as_chunks_mut::<2>().0;
    for (to, around) in inner.iter_mut().zip(sums.windows(3)) {
        let three = 3 * around[1];
        *to = [((three + around[0] + left) >> BITS) as u8, ((three + around[2] + right) >> BITS) as u8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_nine_three_three_and_one() {
        let plane = [10, 50, 90, 20, 60, 100];
        let out = twice(&plane, 3, (3, 2), true, (5, 4));
        assert_eq!(out[..5], [10, 20, 40, 60, 80]);
        let sixteenths = [200 + 8, 150 + 210 + 7, 630 + 50 + 8, 630 + 370 + 7, 1110 + 210 + 8];
        assert_eq!(out[5..10], sixteenths.map(|sum: u16| (sum / 16) as u8));
        assert_eq!(out[15..18], [20, 30, 50]);
    }

    #[test]
    fn rows_alone_are_enlarged_across() {
        assert_eq!(twice(&[0, 8, 9], 3, (3, 1), false, (6, 1)), [0, 2, 6, 8, 9, 9]);
        assert_eq!(twice(&[7], 1, (1, 1), true, (2, 2)), [7; 4]);
        assert_eq!(twice(&[7], 1, (1, 1), true, (1, 1)), [7]);
    }
}
