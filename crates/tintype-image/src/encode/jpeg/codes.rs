//! Huffman codes made for what is to be written (T.81, annex K.2 and C).

/// A code for each symbol: bits and their count.
pub(super) struct Codes {
    /// How many codes there are of each length, 1 to 16.
    pub(super) counts: [u8; 16],
    /// Symbols in the order of their codes.
    pub(super) symbols: Vec<u8>,
    codes: [(u32, u32); 256],
}

/// Longest code that a JPEG may have.
const LONGEST: usize = 16;

impl Codes {
    /// For symbols by how often they come; those that never do have no code.
    pub(super) fn new(tally: &[u32; 256]) -> Self {
        let lengths = limited(lengths(tally));
        let mut symbols: Vec<u8> = (0..=255).filter(|&s| lengths[usize::from(s)] > 0).collect();
        symbols.sort_by_key(|&s| (lengths[usize::from(s)], s));
        let mut counts = [0; LONGEST];
        let mut codes = [(0, 0); 256];
        let (mut code, mut before) = (0u32, 0);
        for &symbol in &symbols {
            let length = lengths[usize::from(symbol)];
            code <<= length - before;
            codes[usize::from(symbol)] = (code, length);
            counts[length as usize - 1] += 1;
            (code, before) = (code + 1, length);
        }
        Self { counts, symbols, codes }
    }

    #[inline(always)]
    pub(super) fn get(&self, symbol: u8) -> (u32, u32) {
        self.codes[usize::from(symbol)]
    }
}

/// Lengths of an optimal code (Huffman 1952). One more symbol of no weight takes the code of all ones, which
/// a JPEG may not have.
fn lengths(tally: &[u32; 256]) -> [u32; 257] {
    let mut nodes: Vec<(u64, usize)> =
        (0..256).filter(|&s| tally[s] > 0).map(|s| (u64::from(tally[s]) << 1, s)).chain([(1, 256)]).collect();
    // Parents are numbered from 257 on.
    let mut parents = vec![0usize; 257];
    let mut open: std::collections::BinaryHeap<_> = nodes.drain(..).map(std::cmp::Reverse).collect();
    while let (Some(std::cmp::Reverse(a)), Some(std::cmp::Reverse(b))) = (open.pop(), open.pop()) {
        let parent = parents.len();
        parents[a.1] = parent;
        parents[b.1] = parent;
        parents.push(0);
        open.push(std::cmp::Reverse((a.0 + b.0, parent)));
        if open.len() == 1 {
            break;
        }
    }
    let depth = |mut node: usize| {
        let mut depth = 0;
        while parents[node] != 0 {
            (node, depth) = (parents[node], depth + 1);
        }
        depth
    };
    std::array::from_fn(depth)
}

/// No code longer than 16 bits, and none for the symbol that is not one (K.2, figure K.3).
fn limited(lengths: [u32; 257]) -> [u32; 256] {
    let mut order: Vec<usize> = (0..256).filter(|&s| lengths[s] > 0).collect();
    order.sort_by_key(|&s| (lengths[s], s));
    let longest = lengths.iter().copied().max().unwrap_or(0).max(16) as usize;
    let mut counts = vec![0usize; longest + 1];
    lengths.iter().filter(|&&length| length > 0).for_each(|&length| counts[length as usize] += 1);
    for length in (LONGEST + 1..=longest).rev() {
        while counts[length] > 0 {
            let shorter = (1..length - 1).rev().find(|&shorter| counts[shorter] > 0).unwrap_or(1);
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    if let Some(last) = (1..=LONGEST).rev().find(|&length| counts[length] > 0) {
        counts[last] -= 1;
    }
    let mut limited = [0; 256];
    let mut symbols = order.into_iter();
    for (length, &count) in counts.iter().enumerate().take(LONGEST + 1) {
        for symbol in symbols.by_ref().take(count) {
            limited[symbol] = length as u32;
        }
    }
    limited
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_prefix_free(codes: &Codes) -> bool {
        let all: Vec<_> = codes.symbols.iter().map(|&s| codes.get(s)).collect();
        let clash = |a: &(u32, u32), b: &(u32, u32)| a != b && a.1 <= b.1 && b.0 >> (b.1 - a.1) == a.0;
        !all.iter().any(|a| all.iter().any(|b| clash(a, b))) && all.iter().all(|&(code, length)| code + 1 < 1 << length)
    }

    #[test]
    fn common_symbols_have_short_codes_and_none_is_all_ones() {
        let mut tally = [0; 256];
        for (symbol, count) in [(0, 1000), (1, 300), (2, 200), (3, 1)] {
            tally[symbol] = count;
        }
        let codes = Codes::new(&tally);
        assert_eq!([0, 1, 2, 3].map(|s| codes.get(s).1), [1, 2, 3, 4]);
        assert!(is_prefix_free(&codes));
    }

    #[test]
    fn codes_are_cut_to_sixteen_bits() {
        let mut tally = [0; 256];
        let (mut a, mut b) = (1, 1);
        for count in &mut tally[..40] {
            *count = a;
            (a, b) = (b, a + b);
        }
        let codes = Codes::new(&tally);
        assert_eq!(codes.symbols.len(), 40);
        assert!(codes.symbols.iter().all(|&s| (1..=16).contains(&codes.get(s).1)));
        assert!(is_prefix_free(&codes));
        let one = Codes::new(&std::array::from_fn(|i| u32::from(i == 7)));
        assert_eq!((one.get(7), one.symbols.len()), ((0, 1), 1));
    }
}
