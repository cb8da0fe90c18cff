//! LZW, as GIF and TIFF have it: only the lengths of the codes' texts are followed, not the texts.

/// The two ways that codes are laid into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::strip) enum Order {
    /// TIFF's: from the highest bit on, and a code grows one entry early.
    HighFirst,
    /// GIF's: from the lowest bit on.
    LowFirst,
}

/// Where a stream has given all that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::strip) struct End {
    /// Bits up to the end of the last code that is needed.
    pub(in crate::strip) bits: usize,
    /// Whether that one is the code for the end.
    pub(in crate::strip) is_marked: bool,
    /// Bits of the code that would have followed.
    pub(in crate::strip) width: u32,
}

impl End {
    /// Bytes up to the end.
    pub(in crate::strip) const fn bytes(self) -> usize {
        self.bits.div_ceil(8)
    }
}

const MOST_CODES: usize = 4096;
const WIDEST: u32 = 12;

/// The end of a stream that is to give `needed` bytes, of samples of so many bits. `None` where all of it is read: it gives
/// fewer, or is broken before. Shows every code that stands for a sample alone: all texts are made of those.
pub(in crate::strip) fn end(
    stream: &[u8],
    order: Order,
    sample_bits: u32,
    needed: usize,
    mut show: impl FnMut(usize),
) -> Option<End> {
    if !(1..WIDEST).contains(&sample_bits) {
        return None;
    }
    let (clear, stop) = (1usize << sample_bits, (1usize << sample_bits) + 1);
    let early = usize::from(order == Order::HighFirst);
    let mut lengths = vec![0usize; MOST_CODES];
    let mut codes = Codes { stream, order, at: 0 };
    let (mut next, mut width) = (stop + 1, sample_bits + 1);
    let mut last: Option<usize> = None;
    let mut given = 0usize;
    loop {
        let before = codes.at;
        let Some(code) = codes.read(width) else {
            return (given >= needed).then_some(End { bits: before, is_marked: false, width });
        };
        if code == stop {
            return Some(End { bits: codes.at, is_marked: true, width });
        }
        if code == clear {
            (next, width, last) = (stop + 1, sample_bits + 1, None);
            continue;
        }
        if given >= needed {
            return Some(End { bits: before, is_marked: false, width });
        }
        if code < clear {
            show(code);
        }
        let length = match last {
            _ if code < clear => 1,
            _ if code < next => lengths[code],
            Some(last) if code == next => last + 1,
            _ => return None,
        };
        if let Some(last) = last
            && next < MOST_CODES
        {
            lengths[next] = last + 1;
            next += 1;
        }
        last = Some(length);
        given = given.saturating_add(length);
        if next + early >= 1 << width && width < WIDEST {
            width += 1;
        }
    }
}

struct Codes<'a> {
    stream: &'a [u8],
    order: Order,
    /// In bits.
    at: usize,
}

impl Codes<'_> {
    fn read(&mut self, width: u32) -> Option<usize> {
        let end = self.at + width as usize;
        let bytes = self.stream.get(self.at / 8..end.div_ceil(8))?;
        let mask = (1usize << width) - 1;
        let code = match self.order {
            Order::HighFirst => {
                let window = bytes.iter().fold(0, |window, &byte| window << 8 | usize::from(byte));
                window >> (bytes.len() * 8 - self.at % 8 - width as usize)
            }
            Order::LowFirst => {
                let window = bytes.iter().rev().fold(0, |window, &byte| window << 8 | usize::from(byte));
                window >> (self.at % 8)
            }
        };
        self.at = end;
        Some(code & mask)
    }
}

/// GIF's stream up to its end, which is marked where it was not.
pub(in crate::strip) fn ended(stream: &[u8], sample_bits: u32, end: End) -> Vec<u8> {
    let mut out = stream[..end.bytes()].to_vec();
    let used = end.bits % 8;
    if let Some(last) = out.last_mut().filter(|_| used > 0) {
        *last &= (1 << used) - 1;
    }
    if !end.is_marked {
        let stop = (1usize << sample_bits) + 1;
        out.resize((end.bits + end.width as usize).div_ceil(8), 0);
        for bit in 0..end.width as usize {
            out[(end.bits + bit) / 8] |= (((stop >> bit) & 1) as u8) << ((end.bits + bit) % 8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GIF's codes, of samples of two bits: clear, 1, 1, 1 (as the code made by the two before), end.
    fn stream(codes: &[(usize, u32)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        for &(code, width) in codes {
            for bit in 0..width as usize {
                out.resize(at / 8 + 1, 0);
                out[at / 8] |= (((code >> bit) & 1) as u8) << (at % 8);
                at += 1;
            }
        }
        out
    }

    #[test]
    fn the_end_is_found_marked_or_not() {
        let whole = stream(&[(4, 3), (1, 3), (6, 3), (5, 3)]);
        let found = end(&[&whole[..], b"SECRET"].concat(), Order::LowFirst, 2, 3, |_| {});
        assert_eq!(found.map(|end| (end.bits, end.is_marked)), Some((12, true)));
        let more = stream(&[(4, 3), (1, 3), (6, 3), (1, 3), (1, 4), (2, 4)]);
        let found = end(&more, Order::LowFirst, 2, 3, |_| {}).expect("three bytes are there");
        assert_eq!((found.bits, found.is_marked), (9, false));
        let cut = ended(&more, 2, found);
        let again = end(&cut, Order::LowFirst, 2, 3, |_| {}).expect("three bytes are there still");
        assert!(again.is_marked && again.bytes() == cut.len());
    }

    #[test]
    fn samples_are_shown_up_to_the_last_that_is_needed() {
        let codes = stream(&[(4, 3), (1, 3), (6, 3), (3, 3), (2, 4), (5, 4)]);
        let mut shown = Vec::new();
        assert!(end(&codes, Order::LowFirst, 2, 4, |sample| shown.push(sample)).is_some());
        assert_eq!(shown, [1, 3]);
    }

    #[test]
    fn what_gives_too_little_ends_with_its_mark_or_not_at_all() {
        let whole = stream(&[(4, 3), (1, 3), (6, 3), (5, 3)]);
        assert_eq!(end(&whole, Order::LowFirst, 2, 4, |_| {}).map(|end| end.bits), Some(12));
        assert_eq!(end(&whole[..1], Order::LowFirst, 2, 3, |_| {}), None);
        assert_eq!(end(&[], Order::LowFirst, 0, 1, |_| {}), None);
    }
}
