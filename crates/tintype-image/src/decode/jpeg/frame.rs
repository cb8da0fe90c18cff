//! What the segments before the image data say (T.81, annex B): sizes, tables, colour.

use std::ops::Range;

use super::huffman::{Kind, Table};
use crate::container::jpeg::{self, EOI, SOS, Segment, Segments};
use crate::container::{be16, jpeg::ICC};
use crate::error::{Error, ErrorCode};
use crate::planes::Color;

/// A JPEG whose headers were read up to its first scan.
pub(super) struct Frame<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
    pub(super) color: Color,
    pub(super) icc: Option<Vec<u8>>,
    /// The image data, when it is one Huffman-coded scan of every component, which is read here.
    pub(super) scan: Option<Scan<'a>>,
    /// The headers of all scans.
    pub(super) scans: Vec<&'a [u8]>,
    /// Where the image data of each lies, broken stretches included.
    pub(super) entropy: Vec<Range<usize>>,
    /// Whether a segment before the image data is one that libjpeg gives up at, though nothing is missing.
    pub(super) is_odd: bool,
    /// Whether the file goes on to its end marker.
    pub(super) ends: bool,
    /// How much of the file can be read: up to its end marker, or to the last segment that is whole.
    pub(super) length: usize,
}

impl<'a> Frame<'a> {
    /// Notes a scan, behind which the segments are.
    fn note(&mut self, scan: &Segment<'a>, segments: &Segments<'a>) {
        self.length = segments.position();
        self.scans.push(scan.payload);
        self.entropy.push(self.length - scan.entropy.len()..self.length);
    }

    /// Which of the components a scan's header names.
    pub(super) fn components_of(&self, scan: &[u8]) -> impl Iterator<Item = usize> {
        let ids = scan.get(1..).unwrap_or_default().chunks_exact(2).take(scan.first().copied().unwrap_or(0).into());
        ids.filter_map(|choice| self.components.iter().position(|component| component.id == choice[0]))
    }

    /// The largest sampling factors, across and down.
    pub(super) fn most(&self) -> (u32, u32) {
        let most = |side: fn(&Component) -> u32| self.components.iter().map(side).max().unwrap_or(1);
        (most(|c| c.across), most(|c| c.down))
    }
}

/// One component's sampling and quantiser.
pub(super) struct Component {
    id: u8,
    pub(super) across: u32,
    pub(super) down: u32,
    quantiser: u8,
    /// In zigzag order; empty until it is known.
    pub(super) steps: Vec<u16>,
}

/// One scan of all components.
pub(super) struct Scan<'a> {
    pub(super) entropy: &'a [u8],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart: u32,
    /// Of each component: DC and AC.
    pub(super) tables: Vec<(Table, Table)>,
}

/// Codes of one table: counts of each length, then symbols.
type Codes<'a> = (&'a [u8; 16], &'a [u8]);

/// What segments have said so far.
#[derive(Default)]
struct Reader<'a> {
    sof: Option<(u8, &'a [u8])>,
    quantisers: [Option<Vec<u16>>; 4],
    dc: [Option<Codes<'a>>; 4],
    ac: [Option<Codes<'a>>; 4],
    restart: u32,
    jfif: bool,
    adobe: Option<u8>,
    profile: Vec<(u8, &'a [u8])>,
    is_odd: bool,
}

/// Reads the headers.
pub(super) fn read(bytes: &[u8]) -> Result<Frame<'_>, Error> {
    let mut reader = Reader::default();
    let mut segments = jpeg::segments_over_breaks(bytes);
    while let Some(segment) = segments.next() {
        let segment = segment?;
        match segment.marker {
            SOS => {
                let mut frame = reader.finish(&segment)?;
                frame.note(&segment, &segments);
                read_end(&mut frame, segments);
                return Ok(frame);
            }
            EOI => break,
            marker => reader.note(marker, segment.payload)?,
        }
    }
    Err(Error::corrupt("the JPEG holds no image data"))
}

/// Looks where the file ends, and at the scans until there.
fn read_end<'a>(frame: &mut Frame<'a>, mut segments: Segments<'a>) {
    while let Some(Ok(segment)) = segments.next() {
        frame.length = segments.position();
        match segment.marker {
            SOS => frame.note(&segment, &segments),
            EOI => frame.ends = true,
            _ => {}
        }
    }
}

fn broken(what: &str) -> Error {
    Error::corrupt(format!("the JPEG's {what} is broken"))
}

impl<'a> Reader<'a> {
    fn note(&mut self, marker: u8, payload: &'a [u8]) -> Result<(), Error> {
        match marker {
            0xDB => self.note_quantisers(payload)?,
            0xC4 => self.note_codes(payload)?,
            0xDD => {
                self.restart = be16(payload, 0).ok_or_else(|| broken("restart interval"))?.into();
                self.is_odd |= payload.len() != 2;
            }
            // How arithmetic codes are to be read, which are not read here.
            0xCC => self.is_odd = true,
            0xE0 => self.jfif |= payload.starts_with(b"JFIF\0"),
            0xEE if payload.starts_with(b"Adobe") => self.adobe = payload.get(11).copied(),
            // A profile past 64 KiB comes in numbered parts.
            0xE2 => {
                if let Some([number, _count, part @ ..]) = payload.strip_prefix(ICC) {
                    self.profile.push((*number, part));
                }
            }
            // The limits were held against the first; a second would be a size that nobody checked.
            marker if jpeg::is_frame(marker) && self.sof.is_some() => {
                return Err(Error::corrupt("the JPEG has two frame headers"));
            }
            marker if jpeg::is_frame(marker) => self.sof = Some((marker, payload)),
            _ => {}
        }
        Ok(())
    }

    fn note_quantisers(&mut self, mut rest: &[u8]) -> Result<(), Error> {
        let broken = || broken("quantiser");
        while let Some((&head, values)) = rest.split_first() {
            let size = if head >> 4 == 0 { 1 } else { 2 };
            let values = values.get(..64 * size).ok_or_else(broken)?;
            let steps = values.chunks(size).map(|v| v.iter().fold(0, |sum, &b| sum << 8 | u16::from(b)));
            *self.quantisers.get_mut(usize::from(head & 15)).ok_or_else(broken)? = Some(steps.collect());
            rest = &rest[1 + 64 * size..];
        }
        Ok(())
    }

    fn note_codes(&mut self, mut rest: &'a [u8]) -> Result<(), Error> {
        let broken = || broken("Huffman table");
        while let Some((&head, table)) = rest.split_first() {
            let (counts, symbols) = table.split_first_chunk::<16>().ok_or_else(broken)?;
            let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
            let symbols = symbols.get(..total).ok_or_else(broken)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(head & 15)).ok_or_else(broken)? = Some((counts, symbols));
            rest = &rest[17 + total..];
        }
        Ok(())
    }

    fn finish(mut self, sos: &Segment<'a>) -> Result<Frame<'a>, Error> {
        let (marker, sof) = self.sof.ok_or_else(|| broken("frame header"))?;
        let (height, width) = be16(sof, 1).zip(be16(sof, 3)).ok_or_else(|| broken("frame header"))?;
        let mut components = read_components(sof)?;
        for component in &mut components {
            let steps = self.quantisers.get(usize::from(component.quantiser)).and_then(Option::as_ref);
            component.steps = steps.cloned().unwrap_or_default();
        }
        let color = self.color(&components)?;
        // Baseline and extended sequential differ in nothing that matters to 8 bits.
        let sequential = matches!(marker, 0xC0 | 0xC1) && sof[0] == 8;
        let known = components.iter().all(|c| c.steps.len() == 64);
        let scan = if sequential && known { self.scan(&components, sos)? } else { None };
        let (count, scanned) = (components.len(), sos.payload.first().map_or(0, |&count| usize::from(count)));
        self.profile.sort_by_key(|(number, _)| *number);
        let icc: Vec<u8> = self.profile.iter().flat_map(|(_, part)| part.iter().copied()).collect();
        Ok(Frame {
            width: width.into(),
            height: height.into(),
            components,
            color,
            icc: (!icc.is_empty()).then_some(icc),
            scan,
            scans: Vec::new(),
            entropy: Vec::new(),
            is_odd: self.is_odd || sof.len() != 6 + 3 * count || sos.payload.len() != 4 + 2 * scanned,
            ends: false,
            length: 0,
        })
    }

    /// As libjpeg decides it: JFIF, then Adobe's marker, then the components' names.
    fn color(&self, components: &[Component]) -> Result<Color, Error> {
        let ids: Vec<u8> = components.iter().map(|c| c.id).collect();
        match (components.len(), self.adobe) {
            (1, _) => Ok(Color::Gray),
            (3, _) if self.jfif => Ok(Color::YCbCr),
            (3, Some(0)) => Ok(Color::Rgb),
            (3, None) if ids == *b"RGB" => Ok(Color::Rgb),
            (3, _) => Ok(Color::YCbCr),
            (4, None | Some(0)) => Ok(Color::Cmyk),
            (4, _) => Ok(Color::Ycck),
            _ => Err(Error::new(ErrorCode::UnsupportedFormat, "the JPEG is of an unknown colour space")),
        }
    }

    /// The scan, if it holds every component, in the frame's order.
    fn scan(&self, components: &[Component], sos: &Segment<'a>) -> Result<Option<Scan<'a>>, Error> {
        let broken = || broken("scan header");
        let (&count, rest) = sos.payload.split_first().ok_or_else(broken)?;
        if usize::from(count) != components.len() {
            return Ok(None);
        }
        let mut tables = Vec::new();
        for (component, choice) in components.iter().zip(rest.chunks_exact(2)) {
            if choice[0] != component.id {
                return Ok(None);
            }
            let table = |tables: &[Option<Codes<'_>>; 4], index: u8, kind| {
                let codes = tables.get(usize::from(index)).copied().flatten();
                codes.map(|(counts, symbols)| Table::new(counts, symbols, kind)).transpose()
            };
            let (dc, ac) = (table(&self.dc, choice[1] >> 4, Kind::Dc)?, table(&self.ac, choice[1] & 15, Kind::Ac)?);
            // Motion JPEG leaves its tables out: libjpeg knows what it means by that.
            let (Some(dc), Some(ac)) = (dc, ac) else {
                return Ok(None);
            };
            tables.push((dc, ac));
        }
        if tables.len() != components.len() {
            return Err(broken());
        }
        // What lies behind a break is libjpeg's.
        Ok(Some(Scan { entropy: jpeg::unbroken(sos.entropy), restart: self.restart, tables }))
    }
}

fn read_components(sof: &[u8]) -> Result<Vec<Component>, Error> {
    let broken = || broken("frame header");
    let count = usize::from(*sof.get(5).ok_or_else(broken)?);
    let fields = sof.get(6..6 + count * 3).ok_or_else(broken)?;
    let component = |field: &[u8]| {
        let (across, down) = (u32::from(field[1] >> 4), u32::from(field[1] & 15));
        let fits = (1..=4).contains(&across) && (1..=4).contains(&down);
        let component = Component { id: field[0], across, down, quantiser: field[2], steps: Vec::new() };
        fits.then_some(component).ok_or_else(broken)
    };
    fields.chunks_exact(3).map(component).collect()
}
