//! Huffman codes to symbols (T.81, annex C and F.2.2.3): one look-up gives code, extra bits and value.

use super::bits::{Bits, extend};
use crate::error::Error;

/// Bits looked up at once.
pub(super) const LOOK: u32 = 10;
/// Longest code.
const LONGEST: usize = 16;
/// Set in an entry whose code or number is longer than what is looked up.
const LONG: u32 = 0x80;
/// Added to the place in a block by what ends it.
pub(super) const END: usize = 128;

/// A table of codes.
///
/// An entry holds, from the low end: bits to skip (7), [`LONG`] (1), places to go on (8), the value (16). A `LONG`
/// one has the code's bits alone to skip, and the size of the number for a value; or nothing, for a long code.
pub(super) struct Table {
    entries: Box<[u32; 1 << LOOK]>,
    /// First code longer than each length, in 16 bits.
    limits: [u32; LONGEST + 1],
    /// From a code of each length to its symbol.
    offsets: [i32; LONGEST + 1],
    symbols: Vec<u8>,
    kind: Kind,
}

/// What symbols mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Size of a difference.
    Dc,
    /// Run of zeros, and size of what follows it.
    Ac,
}

/// One decoded symbol.
pub(super) struct Step {
    /// Places to go on in the block, this coefficient's own included; [`END`] for the end of the block.
    pub(super) places: usize,
    pub(super) value: i32,
}

impl Table {
    /// From the count of codes of each length and the symbols in their order.
    pub(super) fn new(counts: &[u8; LONGEST], symbols: &[u8], kind: Kind) -> Result<Self, Error> {
        let broken = || Error::corrupt("a Huffman table of the JPEG is broken");
        let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
        let symbols = symbols.get(..total).ok_or_else(broken)?.to_vec();
        let mut table = Self { entries: Box::new([LONG; 1 << LOOK]), limits: [0; 17], offsets: [0; 17], symbols, kind };
        let (mut code, mut first) = (0u32, 0usize);
        for length in 1..=LONGEST {
            let count = usize::from(counts[length - 1]);
            table.offsets[length] = first as i32 - code.cast_signed();
            for index in first..first + count {
                table.enter(code, length as u32, table.symbols[index]);
                code += 1;
            }
            if code > 1 << length {
                return Err(broken());
            }
            table.limits[length] = code << (LONGEST - length);
            first += count;
            code <<= 1;
        }
        Ok(table)
    }

    /// Enters a code under everything that may follow it.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        if length > LOOK {
            return;
        }
        let (places, size) = self.meaning(symbol);
        let free = LOOK - length;
        let first = code << free;
        for entry in first..(first + (1 << free)).min(1 << LOOK) {
            self.entries[entry as usize] = if size > free {
                LONG | length | (places as u32) << 8 | size << 16
            } else {
                let number = (entry >> (free - size)) & ((1 << size) - 1);
                let value = if size == 0 { 0 } else { extend(number.cast_signed(), size) };
                (length + size) | (places as u32) << 8 | value.cast_unsigned() << 16
            };
        }
    }

    /// Places to go on, and bits of the number that follows.
    fn meaning(&self, symbol: u8) -> (usize, u32) {
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match self.kind {
            Kind::Dc => (1, u32::from(symbol.min(16))),
            Kind::Ac if size > 0 => (run + 1, size),
            Kind::Ac if run == 15 => (16, 0),
            Kind::Ac => (END, 0),
        }
    }

    /// Reads a symbol and its number when code and number are short; there must be [`LOOK`] bits.
    #[inline(always)]
    pub(super) fn next_short(&self, bits: &mut Bits<'_>) -> Option<Step> {
        let entry = self.entries[bits.peek(LOOK) as usize];
        if entry & LONG != 0 {
            return None;
        }
        bits.skip(entry & 0x7F);
        Some(Step { places: (entry >> 8 & 0xFF) as usize, value: entry.cast_signed() >> 16 })
    }

    /// Reads any symbol and its number; there must be 32 bits. A code that the table lacks ends the block and sets
    /// `broken`.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits<'_>, broken: &mut bool) -> Step {
        let entry = self.entries[bits.peek(LOOK) as usize];
        let (length, places, size) = match (entry & 0x7F, entry >> 8 & 0xFF, entry >> 16) {
            (0, _, _) => self.find(bits.peek(16)),
            (length, places, _) if entry & LONG == 0 => {
                bits.skip(length);
                return Step { places: places as usize, value: entry.cast_signed() >> 16 };
            }
            (length, places, size) => (length, places as usize, size),
        };
        if size > 15 {
            *broken = true;
            return Step { places: END, value: 0 };
        }
        bits.skip(length);
        Step { places, value: bits.number(size) }
    }

    /// Length, places and size of the code that some bits begin with.
    #[cold]
    #[inline(never)]
    fn find(&self, bits: u32) -> (u32, usize, u32) {
        let Some(length) = (1..=LONGEST).find(|&length| bits < self.limits[length]) else {
            return (0, END, 16);
        };
        let index = (bits >> (LONGEST - length)).cast_signed() + self.offsets[length];
        let (places, size) = self.meaning(self.symbols.get(index as usize).copied().unwrap_or(0));
        (length as u32, places, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, table K.3: the typical table for luminance DC.
    const COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
    const SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

    #[test]
    fn short_and_long_codes_read_the_same_way() {
        let table = Table::new(&COUNTS, &SYMBOLS, Kind::Dc).expect("a good table");
        // 00: 0. 010 1: 1. 011 00: -3. 111111110 11111111111 (size 11): 2047.
        let data = [0b0001_0101, 0b1001_1111, 0b1110_1111, 0b1111_1110, 0, 0, 0, 0];
        let mut bits = Bits::new(&data);
        let mut broken = false;
        let mut next = |_| {
            bits.refill();
            table.next(&mut bits, &mut broken).value
        };
        let values: Vec<i32> = (0..4).map(&mut next).collect();
        assert_eq!((values, broken), (vec![0, 1, -3, 2047], false));
    }

    #[test]
    fn a_code_that_is_not_there_is_told() {
        let table = Table::new(&COUNTS, &SYMBOLS, Kind::Dc).expect("a good table");
        let mut broken = false;
        let mut bits = Bits::new(&[0xFF, 0, 0xFF, 0, 0xFF, 0]);
        bits.refill();
        table.next(&mut bits, &mut broken);
        assert!(broken);
    }

    #[test]
    fn tables_with_more_codes_than_fit_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3], Kind::Dc).is_err());
        assert!(Table::new(&COUNTS, &SYMBOLS[..5], Kind::Dc).is_err());
    }
}
