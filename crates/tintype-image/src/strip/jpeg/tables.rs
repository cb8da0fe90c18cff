//! Quantisers and Huffman codes: those that no scan reads are seen by nobody, and could hold anything.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Placed, written};
use crate::container::jpeg::{SOS, Segment, is_frame};

pub(super) const DHT: u8 = 0xC4;
pub(super) const DQT: u8 = 0xDB;
const PROGRESSIVE: u8 = 0xC2;

/// A table, by its segment's place in the file and its own in the segment.
type Place = (usize, usize);

/// The tables that some scan reads.
pub(super) struct Tables {
    read: HashSet<Place>,
}

/// A component of the frame.
struct Component {
    id: u8,
    quantiser: u8,
    /// Decoders keep the quantiser that is there with its first scan.
    is_seen: bool,
}

impl Tables {
    pub(super) fn of(segments: &[Placed<'_>]) -> Self {
        let mut read = HashSet::new();
        let mut components = Vec::new();
        let mut is_progressive = false;
        // What is in each place at the time; Huffman codes by class and place, as their heads have them.
        let (mut quantisers, mut codes) = ([None; 256], [None; 256]);
        for (i, Placed { segment, .. }) in segments.iter().enumerate() {
            let places = if segment.marker == DQT { &mut quantisers } else { &mut codes };
            match segment.marker {
                DHT | DQT => {
                    for (n, table) in tables(segment).enumerate() {
                        let head = if segment.marker == DQT { table[0] & 15 } else { table[0] };
                        places[usize::from(head)] = Some((i, n));
                    }
                }
                SOS => {
                    let Some(scan) = Scan::of(segment) else { continue };
                    for &[id, choice] in scan.components {
                        if let Some(component) =
                            components.iter_mut().find(|c: &&mut Component| c.id == id && !c.is_seen)
                        {
                            component.is_seen = true;
                            read.extend(quantisers[usize::from(component.quantiser)]);
                        }
                        if !is_progressive || scan.reads_means() {
                            read.extend(codes[usize::from(choice >> 4)]);
                        }
                        if !is_progressive || scan.first > 0 {
                            read.extend(codes[usize::from(AC | (choice & 15))]);
                        }
                    }
                }
                marker if is_frame(marker) => {
                    is_progressive = marker == PROGRESSIVE;
                    let fields = segment.payload.get(6..).unwrap_or_default().as_chunks::<3>().0;
                    let component = |&[id, _, quantiser]: &[u8; 3]| Component { id, quantiser, is_seen: false };
                    components = fields.iter().map(component).collect();
                }
                _ => {}
            }
        }
        Self { read }
    }

    /// A segment of tables, less those that no scan reads; nothing if that is all.
    pub(super) fn kept<'a>(&self, place: usize, segment: &Segment<'a>) -> Cow<'a, [u8]> {
        kept(segment, |n| self.read.contains(&(place, n)))
    }
}

/// A segment of tables, less what is none.
pub(super) fn whole<'a>(segment: &Segment<'a>) -> Cow<'a, [u8]> {
    kept(segment, |_| true)
}

fn kept<'a>(segment: &Segment<'a>, stays: impl Fn(usize) -> bool) -> Cow<'a, [u8]> {
    let kept: Vec<&[u8]> = tables(segment).enumerate().filter(|(n, _)| stays(*n)).map(|(_, table)| table).collect();
    match kept.concat() {
        kept if kept.is_empty() => Cow::Borrowed(&[]),
        kept if kept.len() == segment.payload.len() => Cow::Borrowed(segment.raw),
        kept => Cow::Owned(written(segment.marker, &kept)),
    }
}

/// The class of a table of codes for what is no mean.
const AC: u8 = 0x10;

/// What a scan's header says of the tables it needs.
struct Scan<'a> {
    /// Their ids, and the places of their codes.
    components: &'a [[u8; 2]],
    /// The first coefficient, and the bit that was the last to be read before.
    first: u8,
    before: u8,
}

impl<'a> Scan<'a> {
    fn of(segment: &Segment<'a>) -> Option<Self> {
        let (&count, rest) = segment.payload.split_first()?;
        let (components, rest) = rest.split_at_checked(usize::from(count) * 2)?;
        let &[first, _, bits] = rest.first_chunk()?;
        Some(Self { components: components.as_chunks().0, first, before: bits >> 4 })
    }

    /// Whether there are codes for means: what refines them is bits.
    fn reads_means(&self) -> bool {
        self.first == 0 && self.before == 0
    }
}

/// The tables of a segment, each with its head; what is none ends them.
fn tables<'a>(segment: &Segment<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    const COUNTS: usize = 16;
    const STEPS: usize = 64;
    let (marker, mut rest) = (segment.marker, segment.payload);
    std::iter::from_fn(move || {
        let &head = rest.first()?;
        let length = if marker == DQT {
            if head >> 4 == 0 { STEPS } else { 2 * STEPS }
        } else {
            COUNTS + rest.get(1..=COUNTS)?.iter().map(|&count| usize::from(count)).sum::<usize>()
        };
        let (table, behind) = rest.split_at_checked(1 + length)?;
        rest = behind;
        Some(table)
    })
}
