//! The bits of one restart interval: no marker lies inside, and a stuffed zero follows each 0xFF (T.81, F.1.2.3).

/// Reads from the most significant bit on. Past the end come zeros, which [`Bits::overran`] tells.
///
/// Handed on by value where it is not often: its fields then stay in registers where it is.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the top. Below the first `count` lie bits that will be read again, or zeros.
    window: u64,
    count: u32,
    /// How many of the bits came from past the end.
    padding: u32,
}

/// After a refill there are at least as many bits.
pub(super) const REFILLED: u32 = 56;

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, window: 0, count: 0, padding: 0 }
    }

    /// Sees to it that at least 56 bits are there.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if let Some(bytes) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*bytes);
            if !has_ff(word) {
                self.window |= word >> self.count;
                self.at += ((63 - self.count) >> 3) as usize;
                self.count |= REFILLED;
                return;
            }
        }
        *self = self.refilled_by_byte();
    }

    #[cold]
    #[inline(never)]
    fn refilled_by_byte(mut self) -> Self {
        while self.count < REFILLED {
            let byte = self.next_byte();
            self.window |= u64::from(byte) << (REFILLED - self.count);
            self.count += 8;
        }
        self
    }

    fn next_byte(&mut self) -> u8 {
        loop {
            let Some(&byte) = self.data.get(self.at) else {
                self.padding += 8;
                return 0;
            };
            self.at += 1;
            if byte != 0xFF {
                return byte;
            }
            // What is not followed by a zero is a fill byte.
            if self.data.get(self.at) == Some(&0) {
                self.at += 1;
                return byte;
            }
        }
    }

    /// The next bits, 1 to 32 of them, left where they are.
    #[inline(always)]
    pub(super) fn peek(&self, bits: u32) -> u32 {
        (self.window >> (64 - bits)) as u32
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.window <<= bits;
        self.count -= bits;
    }

    /// A number of the given size in bits, 0 to 15, as T.81 F.2.2.1 extends it.
    #[inline(always)]
    pub(super) fn number(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        let value = self.peek(size).cast_signed();
        self.skip(size);
        extend(value, size)
    }

    /// Bytes that were not taken, less fill bytes at the end.
    pub(super) fn left(&self) -> usize {
        let fill = self.data.iter().rev().take_while(|byte| **byte == 0xFF).count();
        let at_hand = (self.count.saturating_sub(self.padding) / 8) as usize;
        (self.data.len() - self.at).saturating_sub(fill) + at_hand
    }

    /// Bytes up to the last one that a bit was taken of.
    pub(super) fn used(&self) -> usize {
        let mut at = self.at;
        let mut not_taken = self.count.saturating_sub(self.padding) / 8;
        while not_taken > 0 && at > 0 {
            at -= 1;
            match (self.data[at], at.checked_sub(1).map(|before| self.data[before])) {
                // It fills up, and is no byte of the data.
                (0xFF, _) => continue,
                (0, Some(0xFF)) => at -= 1,
                _ => {}
            }
            not_taken -= 1;
        }
        at
    }

    /// Whether bits were taken that are not there.
    pub(super) fn overran(&self) -> bool {
        self.count < self.padding
    }
}

/// The lower half of the values of a size stands for the negative ones.
pub(super) fn extend(value: i32, size: u32) -> i32 {
    if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
}

/// Whether a byte of the word is 0xFF.
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_where_ff = !word;
    zero_where_ff.wrapping_sub(ONES) & word & (ONES << 7) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8], bits: u32) -> (Vec<u32>, bool) {
        let mut from = Bits::new(data);
        let count = data.len() as u32 * 8 / bits;
        let read = |_| {
            from.refill();
            let value = from.peek(bits);
            from.skip(bits);
            value
        };
        ((0..count).map(read).collect(), from.overran())
    }

    #[test]
    fn bits_come_in_order_and_stuffed_zeros_do_not() {
        let plain: Vec<u8> = (0..100).map(|i| (i * 37 % 255) as u8).collect();
        let expected: Vec<u32> = plain.iter().map(|&b| b.into()).collect();
        assert_eq!(read(&plain, 8), (expected, false));
        let (values, overran) = read(&[1, 0xFF, 0, 2, 3, 4, 5, 6, 7, 8, 0xFF, 0, 0xFF, 0], 8);
        assert_eq!(values[..11], [1, 0xFF, 2, 3, 4, 5, 6, 7, 8, 0xFF, 0xFF]);
        assert!(overran, "three of the fourteen bytes are stuffing");
    }

    #[test]
    fn what_was_not_taken_is_known_whatever_was_looked_at() {
        // Seven bytes that are to be taken, of one bit each more than the last is not.
        let taken = [1, 0xFF, 0, 2, 3, 0xFF, 0, 4, 0x80];
        for more in
            [&b""[..], b"N33DLE-and-more", &[0xFF, 0, 0xFF, 0, 9], &[9, 0xFF, 0], &[0xFF, 0xFF], &[7, 0xFF, 0xFF]]
        {
            let data = [&taken[..], more].concat();
            let mut bits = Bits::new(&data);
            for _ in 0..7 * 8 - 7 {
                bits.refill();
                bits.skip(1);
            }
            let fill = more.iter().rev().take_while(|byte| **byte == 0xFF).count();
            assert_eq!(bits.left() > 0, more.len() > fill, "{more:x?}");
            if more.len() > fill {
                assert_eq!(bits.used(), taken.len(), "{more:x?}");
            }
            assert!(!bits.overran());
        }
    }

    #[test]
    fn numbers_are_extended_as_the_standards_table_says() {
        assert_eq!([0, 1].map(|v| extend(v, 1)), [-1, 1]);
        assert_eq!([0, 3, 4, 7].map(|v| extend(v, 3)), [-7, -4, 4, 7]);
    }

    #[test]
    fn a_byte_of_ff_is_found_anywhere() {
        for at in 0..8 {
            assert!(has_ff(0xFF << (at * 8)), "{at}");
            assert!(has_ff(0x0100_01FE_0080_7F01 | 0xFF << (at * 8)), "{at}");
        }
        assert!(!has_ff(0x0100_01FE_0080_7F01) && !has_ff(0) && !has_ff(0xFEFE_FEFE_FEFE_FEFE));
    }
}
