//! The bytes of a baseline JPEG: segments (T.81, annex B) and entropy-coded data (F.1.2).

use super::codes::Codes;
use crate::decode::jpeg::pattern::ZIGZAG;
use crate::error::Error;

/// Annex K.1: steps that are just visible, for brightness and for colour, row by row.
const STEPS: [[u8; 64]; 2] = [
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
        51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
        120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    [
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
    ],
];

/// The quantiser of a quality, row by row, as libjpeg scales annex K's.
pub(super) fn steps(color: bool, quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - quality * 2 };
    STEPS[usize::from(color)].map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as u8)
}

/// A file of one component, or of three in 4:2:0, under the quantisers of brightness and of colour. `scan` puts the
/// symbols that were counted.
pub(super) fn write(
    (width, height): (u32, u32),
    components: usize,
    steps: &[[u8; 64]; 2],
    tally: &Tally,
    scan: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let codes = tally.0.each_ref().map(|pair| pair.each_ref().map(Codes::new));
    let codes = codes.each_ref().map(|pair| pair.each_ref());
    let codes = &codes[..components.min(2)];
    let component =
        |i: usize| Component { sampling: if i == 0 && components > 1 { 0x22 } else { 0x11 }, steps: &steps[i.min(1)] };
    let components: Vec<_> = (0..components).map(component).collect();
    let mut writer = Writer::new(head(width, height, &components, codes), codes);
    scan(&mut writer)?;
    Ok(writer.finish())
}

/// What a frame header says of a component.
struct Component<'a> {
    sampling: u8,
    /// The quantiser, row by row; a table of its own for the first component, one for the others.
    steps: &'a [u8; 64],
}

/// Everything up to the entropy-coded data. `codes` are DC and AC of the first component, then of the others.
fn head(width: u32, height: u32, components: &[Component<'_>], codes: &[[&Codes; 2]]) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8];
    segment(&mut out, 0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    for (id, component) in components.iter().take(codes.len()).enumerate() {
        let steps = ZIGZAG.map(|at| component.steps[usize::from(at)]);
        segment(&mut out, 0xDB, &[&[id as u8], &steps[..]].concat());
    }
    let [h, w] = [height, width].map(|side| (side as u16).to_be_bytes());
    let mut frame = vec![8, h[0], h[1], w[0], w[1], components.len() as u8];
    let mut scan = vec![components.len() as u8];
    for (i, component) in components.iter().enumerate() {
        let table = i.min(1) as u8;
        frame.extend([i as u8 + 1, component.sampling, table]);
        scan.extend([i as u8 + 1, table << 4 | table]);
    }
    segment(&mut out, 0xC0, &frame);
    for (id, pair) in codes.iter().enumerate() {
        for (class, codes) in pair.iter().enumerate() {
            let table = [&[(class as u8) << 4 | id as u8], &codes.counts[..], &codes.symbols].concat();
            segment(&mut out, 0xC4, &table);
        }
    }
    scan.extend([0, 63, 0]);
    segment(&mut out, 0xDA, &scan);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    out.extend([0xFF, marker]);
    out.extend((payload.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(payload);
}

/// Takes the symbols of a scan: to count them, or to write them.
pub(super) trait Symbols {
    /// A symbol of a table (0 DC, 1 AC) of a component, and the bits after it.
    fn put(&mut self, component: usize, table: usize, symbol: u8, extra: u32, size: u32);
}

/// Counts symbols, by component and table.
pub(super) struct Tally(pub(super) [[[u32; 256]; 2]; 2]);

impl Symbols for Tally {
    #[inline(always)]
    fn put(&mut self, component: usize, table: usize, symbol: u8, _extra: u32, _size: u32) {
        self.0[component.min(1)][table][usize::from(symbol)] += 1;
    }
}

/// Writes symbols after a head.
pub(super) struct Writer<'a> {
    out: Vec<u8>,
    codes: &'a [[&'a Codes; 2]],
    bits: u64,
    count: u32,
}

impl Symbols for Writer<'_> {
    #[inline(always)]
    fn put(&mut self, component: usize, table: usize, symbol: u8, extra: u32, size: u32) {
        let (code, length) = self.codes[component.min(1)][table].get(symbol);
        self.bits = self.bits << (length + size) | u64::from(code << size | extra);
        self.count += length + size;
        if self.count >= 32 {
            self.drain();
        }
    }
}

impl<'a> Writer<'a> {
    fn new(head: Vec<u8>, codes: &'a [[&'a Codes; 2]]) -> Self {
        Self { out: head, codes, bits: 0, count: 0 }
    }

    fn drain(&mut self) {
        self.count -= 32;
        let bytes = ((self.bits >> self.count) as u32).to_be_bytes();
        if bytes.contains(&0xFF) {
            bytes.iter().for_each(|&byte| self.push(byte));
        } else {
            self.out.extend_from_slice(&bytes);
        }
    }

    /// A byte that could begin a marker is followed by zero.
    fn push(&mut self, byte: u8) {
        self.out.push(byte);
        if byte == 0xFF {
            self.out.push(0);
        }
    }

    /// The last bits, filled up with ones, and the end of the image.
    fn finish(mut self) -> Vec<u8> {
        let missing = (8 - self.count % 8) % 8;
        self.bits = self.bits << missing | ((1 << missing) - 1);
        self.count += missing;
        while self.count > 0 {
            self.count -= 8;
            self.push((self.bits >> self.count) as u8);
        }
        self.out.extend([0xFF, 0xD9]);
        self.out
    }
}

/// The symbols of one block: the difference of its DC coefficient, and its first few others in zigzag order.
#[inline(always)]
pub(super) fn put_block<const FEW: usize>(to: &mut impl Symbols, component: usize, dc: i32, ac: [i32; FEW]) {
    let (size, extra) = number(dc);
    to.put(component, 0, size as u8, extra, size);
    let mut run = 0;
    if ac != [0; FEW] {
        for value in ac {
            if value == 0 {
                run += 1;
                continue;
            }
            let (size, extra) = number(value);
            to.put(component, 1, run << 4 | size as u8, extra, size);
            run = 0;
        }
    }
    to.put(component, 1, 0, 0, 0);
}

/// The same for all of them, in zigzag order; the DC coefficient's own place holds zero.
#[inline(always)]
pub(super) fn put_coefficients(to: &mut impl Symbols, component: usize, dc: i32, block: &[i16; 64]) {
    let (size, extra) = number(dc);
    to.put(component, 0, size as u8, extra, size);
    let mut left = not_zero(block);
    let mut before = 0;
    while left != 0 {
        let at = left.trailing_zeros();
        left &= left - 1;
        let mut run = at - before - 1;
        while run > 15 {
            to.put(component, 1, 0xF0, 0, 0);
            run -= 16;
        }
        let (size, extra) = number(block[at as usize].into());
        to.put(component, 1, (run << 4 | size) as u8, extra, size);
        before = at;
    }
    if before < 63 {
        to.put(component, 1, 0, 0, 0);
    }
}

/// A bit for each coefficient that is not zero, from the lowest.
#[inline(always)]
fn not_zero(block: &[i16; 64]) -> u64 {
    let mut ones = [0u8; 64];
    for (one, value) in ones.iter_mut().zip(block) {
        *one = u8::from(*value != 0);
    }
    // A multiplication moves the lowest bits of eight bytes into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let bits = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).wrapping_mul(GATHER) >> 56;
    ones.as_chunks::<8>().0.iter().rev().fold(0, |all, bytes| all << 8 | bits(bytes))
}

/// Size in bits, and the bits (F.1.2.1).
#[inline(always)]
fn number(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let below = if value < 0 { value - 1 } else { value };
    (size, below.cast_unsigned() & ((1 << size) - 1))
}
