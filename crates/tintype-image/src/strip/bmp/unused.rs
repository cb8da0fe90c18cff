//! Bytes that lie among the pixels and their colours and say nothing of them: they become zeros.

use std::borrow::Cow;
use std::ops::Range;

use crate::container::bmp::{Shape, Step, extent, steps};
use crate::strip::palette::{Used, is_of_a_ramp};

/// The file with zeros in the padding of rows, and for colours that no pixel has.
pub(super) fn emptied<'a>(bytes: &'a [u8], pixels: usize, shape: &Shape) -> Cow<'a, [u8]> {
    let mut out = Edited { bytes: Cow::Borrowed(bytes) };
    let data = bytes.get(pixels..).unwrap_or_default();
    let mut used = Used::default();
    let is_whole = if shape.is_runs() {
        empty_runs(&mut out, data, pixels, shape, &mut used)
    } else if shape.is_plain() {
        empty_rows(&mut out, data, pixels, shape, &mut used)
    } else {
        false
    };
    if let Some(table) = shape.table().filter(|_| is_whole) {
        empty_colors(&mut out, table..pixels, shape, &used);
    }
    out.bytes
}

/// Bytes that are copied once one of them changes.
struct Edited<'a> {
    bytes: Cow<'a, [u8]>,
}

impl Edited<'_> {
    fn set(&mut self, at: usize, value: u8) {
        if self.bytes.get(at).is_some_and(|&byte| byte != value) {
            self.bytes.to_mut()[at] = value;
        }
    }

    fn empty(&mut self, range: Range<usize>) {
        range.for_each(|at| self.set(at, 0));
    }
}

/// Empties what lies behind the pixels of each row. Says whether all rows are there.
fn empty_rows(out: &mut Edited<'_>, data: &[u8], pixels: usize, shape: &Shape, used: &mut Used) -> bool {
    let Some((bits, stride)) = shape.row().filter(|(bits, _)| *bits > 0) else { return false };
    let (full, rest) = (bits / 8, bits % 8);
    let mut rows = 0;
    for (y, row) in data.chunks(stride).take(shape.height).enumerate() {
        let start = pixels + y * stride;
        let Some(pixels) = row.get(..bits.div_ceil(8)) else { break };
        rows += 1;
        if shape.bits <= 8 {
            used.note_packed(pixels, shape.bits, bits / shape.bits);
        }
        if rest > 0 {
            out.set(start + full, pixels[full] & !(0xFF >> rest));
        }
        out.empty(start + pixels.len()..start + row.len());
    }
    rows == shape.height
}

/// Empties what lies between packed pixels. Says whether all are there.
fn empty_runs(out: &mut Edited<'_>, data: &[u8], pixels: usize, shape: &Shape, used: &mut Used) -> bool {
    let extent = extent(data, shape);
    // Pixels that are passed over have the first colour, if any.
    used.note(0);
    let (mut x, mut from) = (0, 0);
    for (step, end) in steps(&data[..extent.length], shape.bits) {
        match step {
            // Behind the row's end none is seen: one of the first colour says as much.
            Step::Run(count, _) if x >= shape.width => {
                out.set(pixels + from, 1);
                out.set(pixels + from + 1, 0);
                x += count;
            }
            Step::Run(count, indices) => {
                used.note_packed(&data[indices], shape.bits, 8 / shape.bits);
                x += count;
            }
            Step::Pixels(count, indices) => {
                used.note_packed(&data[indices.clone()], shape.bits, count);
                if !(count * shape.bits).is_multiple_of(8) {
                    out.set(pixels + indices.end - 1, data[indices.end - 1] & 0xF0);
                }
                out.empty(pixels + indices.end..pixels + end);
                x += count;
            }
            Step::EndOfRow => x = 0,
            Step::Skip(right, _) => x += right,
            Step::End => {}
        }
        from = end;
    }
    extent.rows >= shape.height
}

/// Empties colours that no pixel has, and of the others what is no part of the colour.
fn empty_colors(out: &mut Edited<'_>, table: Range<usize>, shape: &Shape, used: &Used) {
    const COLOR: usize = 3;
    let end = table.end;
    let entries = table.step_by(shape.color).take_while(|at| at + shape.color <= end);
    for (index, at) in entries.take(shape.colors).enumerate() {
        let is_kept = used.holds(index) || is_of_a_ramp(&out.bytes[at..at + COLOR], index, shape.colors);
        let kept = if is_kept { COLOR } else { 0 };
        out.empty(at + kept..at + shape.color);
    }
}
