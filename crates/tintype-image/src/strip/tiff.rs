//! The scrubber of TIFF directories, for TIFF files and EXIF alike.
//!
//! Nothing moves: offsets stay true. Directories are rewritten where they lie, shorter; what a kept tag
//! points to is copied, as far as it is read; every other byte becomes zero, whatever it was and whoever pointed to it.
//! Of a file its first page stays, which is what all else is made of: other pages nobody has looked at.

mod parts;
mod tags;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use self::parts::{Layout, Part};
use self::tags::Stays;
use super::palette::Used;
use super::{jpeg, profile};
use crate::container::tiff::{Directory, Entry, Tiff};
use crate::decode;
use crate::error::Error;
use crate::exif::{self, EXIF_IFD, ORIENTATION};
use crate::probe::Header;
use crate::spec::MetadataPolicy;

/// What the directories belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An EXIF payload: no pixels; a second directory would be a thumbnail.
    Exif,
    /// A file: a page with its pixels.
    File,
}

/// A TIFF file, less what is private.
pub(super) fn strip<'a>(bytes: &'a [u8], header: &Header<'_>, policy: MetadataPolicy) -> Result<Cow<'a, [u8]>, Error> {
    let broken = || Error::corrupt("the TIFF's directories are broken");
    scrub_but(&used_colors(bytes, header)?, bytes, Kind::File, policy).ok_or_else(broken)
}

/// The colours that pixels have, where there is a table of them: only a decoder finds that.
fn used_colors(bytes: &[u8], header: &Header<'_>) -> Result<Used, Error> {
    let mut used = Used::default();
    let all_were_read = decode::tiff::each_index(bytes, header, |index| used.note(index))?;
    Ok(if all_were_read { used } else { Used::all() })
}

/// Scrubs; `None` when the directories break the format's rules.
pub(super) fn scrub(bytes: &[u8], kind: Kind, policy: MetadataPolicy) -> Option<Cow<'_, [u8]>> {
    scrub_but(&Used::all(), bytes, kind, policy)
}

/// The same, where not all colours of the table are some pixel's.
fn scrub_but<'a>(used: &Used, bytes: &'a [u8], kind: Kind, policy: MetadataPolicy) -> Option<Cow<'a, [u8]>> {
    let mut scrubber = Scrubber {
        tiff: Tiff::new(bytes)?,
        bytes,
        kind,
        policy,
        used,
        budget: bytes.len().saturating_mul(SHARED),
        kept: Vec::from([Range { start: 0, end: 8 }]),
        end: 0,
        edits: BTreeMap::new(),
    };
    scrubber.keep_page()?;
    Some(scrubber.write(bytes))
}

/// How often a file may refer to each of its bytes, taken together. Parts may share what they point to; more of
/// it is a trap, for what lies over each other is read as often as there are bytes.
const SHARED: usize = 16;

struct Scrubber<'a> {
    tiff: Tiff<'a>,
    bytes: &'a [u8],
    kind: Kind,
    policy: MetadataPolicy,
    used: &'a Used,
    /// How many bytes of directories, tables and pixels may still be read.
    budget: usize,
    /// Bytes that are copied.
    kept: Vec<Range<usize>>,
    /// Where the last value ends: zeros that are not copied are part of it.
    end: usize,
    /// Bytes that are written over them.
    edits: BTreeMap<usize, Vec<u8>>,
}

/// An entry as it is written.
struct Kept {
    tag: u16,
    kind: u16,
    count: u32,
    /// The value, or where it lies.
    field: [u8; 4],
}

impl Scrubber<'_> {
    /// Accounts for bytes that are about to be gone through; `None` when there were too many.
    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(bytes)?;
        Some(())
    }

    fn keep_page(&mut self) -> Option<()> {
        let page = self.tiff.first()?;
        self.spend(page.length())?;
        let layout = match self.kind {
            Kind::File => Some(Layout::of(&self.tiff, &page)?),
            Kind::Exif => None,
        };
        let measure = layout.map(|layout| layout.page(&self.tiff, &page)).unwrap_or_default();
        let mut entries = Vec::new();
        for entry in &page.entries {
            if layout.is_some() && tags::of_pixels(entry.tag, measure).is_some() && self.is_contradicted(&page, entry) {
                return None;
            }
            if entry.tag == EXIF_IFD && self.policy == MetadataPolicy::PrivateStripped {
                entries.extend(self.keep_exif(entry)?);
            } else if Self::is_second_orientation(&page, entry) {
                // The first one counts.
            } else if let Some(stays) = tags::in_page(entry.tag, self.kind, self.policy, measure) {
                entries.extend(self.keep_value(entry, stays));
            }
        }
        if let Some(layout) = layout {
            self.keep_pixels(&page, layout, 273, 279)?;
            self.keep_pixels(&page, layout, 324, 325)?;
            if measure.compression == tags::OLD_JPEG {
                self.keep_pixels(&page, layout, tags::WHOLE_JPEG, tags::WHOLE_JPEG_LENGTH)?;
            }
        }
        self.rewrite(&page, &entries)
    }

    fn is_second_orientation(page: &Directory, entry: &Entry) -> bool {
        entry.tag == ORIENTATION && page.find(ORIENTATION).is_some_and(|first| first.at != entry.at)
    }

    /// Whether the page says something else under the same tag: readers differ in which of them they believe.
    fn is_contradicted(&self, page: &Directory, entry: &Entry) -> bool {
        let entry_bytes = |entry: &Entry| self.bytes.get(entry.at..entry.at + 12);
        page.find(entry.tag).is_some_and(|first| first.at != entry.at && entry_bytes(first) != entry_bytes(entry))
    }

    /// The entry of the directory pointed to, if that could be kept.
    fn keep_exif(&mut self, pointer: &Entry) -> Option<Option<Kept>> {
        let at = self.tiff.numbers(pointer).and_then(|mut numbers| numbers.next());
        let Some(exif) = at.and_then(|at| self.tiff.directory(at as usize)) else {
            return Some(None);
        };
        self.spend(exif.length())?;
        let mut entries = Vec::new();
        for entry in &exif.entries {
            if let Some(stays) = tags::in_exif(entry.tag) {
                entries.extend(self.keep_value(entry, stays));
            }
        }
        if self.rewrite(&exif, &entries).is_none() {
            return Some(None);
        }
        Some(self.keep_value(pointer, Stays::Whole(1)))
    }

    /// The entry with what stays of its value; nothing for one that is not as its tag has it.
    fn keep_value(&mut self, entry: &Entry, stays: Stays) -> Option<Kept> {
        let range = self.tiff.value_range(entry)?;
        let value = &self.bytes[range.clone()];
        let size = if entry.count == 0 { 1 } else { value.len() / entry.count as usize };
        let is_bytes = matches!(entry.kind, 1 | 7);
        let (count, end) = match stays {
            Stays::Whole(most) if tags::is_whole(entry.kind) => {
                let count = entry.count.min(most);
                (count, count as usize * size)
            }
            Stays::Orientation => {
                let told = self.tiff.numbers(entry)?.next();
                told.filter(|told| (1..=8).contains(told))?;
                (1, size)
            }
            Stays::Numbers(kinds, most) if kinds.contains(&entry.kind) && entry.count <= most => {
                if tags::is_rational(entry.kind) && self.are_text(range.clone()) {
                    return None;
                }
                (entry.count, value.len())
            }
            Stays::Bytes(exactly) if entry.kind == 7 && entry.count == exactly => (exactly, value.len()),
            Stays::Text(most) if entry.kind == 2 => {
                let count = entry.count.min(most);
                // Behind its end another could be hidden.
                let text = &value[..count as usize];
                self.spend(text.len())?;
                (count, text.iter().position(|&byte| byte == 0).unwrap_or(text.len()))
            }
            Stays::Texts if entry.kind == 2 => {
                self.spend(value.len())?;
                let second_end = value.iter().enumerate().filter(|(_, byte)| **byte == 0).nth(1);
                (entry.count, second_end.map_or(value.len(), |(at, _)| at))
            }
            Stays::Shaped(shapes) if entry.kind == 2 => {
                let told = &value[..value.len().min(LONGEST_SHAPED)];
                let end = shapes.iter().copied().find(|shape| is_shaped(told, shape))?.len();
                (entry.count.min(end as u32 + 1), end)
            }
            Stays::Profile if is_bytes => {
                let length = profile::of(value)?.len();
                (length as u32, length)
            }
            Stays::JpegTables if is_bytes => return self.keep_tables(entry, range),
            Stays::Colors(most) if tags::is_whole(entry.kind) && entry.count <= most => {
                self.keep_colors(entry, range.start, size)?;
                (entry.count, 0)
            }
            Stays::Colors(most) if tags::is_whole(entry.kind) => (most, most as usize * size),
            _ => return None,
        };
        let length = count as usize * size;
        let mut field = self.tiff.put32(u32::try_from(range.start).ok()?);
        if length <= field.len() {
            field = [0; 4];
            field[..end].copy_from_slice(&value[..end]);
        } else {
            self.kept.push(range.start..range.start + end);
            self.end = self.end.max(range.start + length);
        }
        Some(Kept { tag: entry.tag, kind: entry.kind, count, field })
    }

    /// Whether fractions are a text: of all that is told in fractions, nothing has two parts as large as letters are.
    fn are_text(&self, fractions: Range<usize>) -> bool {
        const SPACES: u32 = 0x2020_2020;
        let is_large = |at| self.tiff.u32(at).is_some_and(|part| part.cast_signed().unsigned_abs() >= SPACES);
        fractions.step_by(8).any(|at| is_large(at) && is_large(at + 4))
    }

    /// Of a table of colours those that pixels have: all reds, then all greens and blues; so many bytes each.
    fn keep_colors(&mut self, entry: &Entry, start: usize, size: usize) -> Option<()> {
        let colors = (entry.count / 3).max(1) as usize;
        let values: Vec<u32> = self.tiff.numbers(entry)?.collect();
        let is_used = |at: usize| self.used.holds(at % colors);
        let is_wide = |at: usize| values[at] > 0xFF;
        let mut kept: Vec<usize> = (0..values.len()).filter(|&at| is_used(at)).collect();
        // A table without any is taken for one of 8 bits.
        if !kept.iter().any(|&at| is_wide(at)) {
            kept.extend((0..values.len()).find(|&at| is_wide(at)));
        }
        self.kept.extend(kept.into_iter().map(|at| start + at * size..start + (at + 1) * size));
        Some(())
    }

    fn keep_tables(&mut self, entry: &Entry, range: Range<usize>) -> Option<Kept> {
        let tables = jpeg::of_all_strips(&self.bytes[range.clone()]);
        let (count, field) = (tables.len() as u32, self.tiff.put32(u32::try_from(range.start).ok()?));
        // Tables so short are none.
        if tables.len() <= field.len() {
            return None;
        }
        self.keep_part(range.start, Part::Anew(tables))?;
        Some(Kept { tag: entry.tag, kind: entry.kind, count, field })
    }

    /// The strips or tiles that two tags give the places and lengths of.
    fn keep_pixels(&mut self, page: &Directory, layout: Layout, offsets: u16, lengths: u16) -> Option<()> {
        let (Some(offsets), Some(lengths)) = (page.find(offsets), page.find(lengths)) else {
            return Some(());
        };
        let tiff = self.tiff;
        let tables = page.find(tags::JPEG_TABLES).and_then(|entry| tiff.value(entry)).unwrap_or_default();
        let (Some(offsets), Some(lengths)) = (tiff.numbers(offsets), tiff.numbers(lengths)) else {
            return Some(());
        };
        // Blank tiles are often one and the same.
        let mut seen = HashSet::new();
        for (index, (at, length)) in offsets.zip(lengths).enumerate() {
            self.spend(2)?; // The least that a number takes.
            let at = at as usize;
            let end = at.saturating_add(length as usize).min(self.bytes.len());
            if at >= end || !seen.insert((at, end, layout.seen(index))) {
                continue;
            }
            self.spend(end - at)?;
            self.keep_part(at, layout.keep(index, &self.bytes[at..end], tables)?)?;
        }
        Some(())
    }

    fn keep_part(&mut self, at: usize, part: Part) -> Option<()> {
        match part {
            Part::Kept(ranges) => self.kept.extend(ranges.into_iter().map(|range| at + range.start..at + range.end)),
            // As it was: no copy is kept of it.
            Part::Anew(bytes) if self.bytes[at..].starts_with(&bytes) => self.kept.push(at..at + bytes.len()),
            Part::Anew(bytes) => self.edit(at, bytes)?,
        }
        Some(())
    }

    fn rewrite(&mut self, directory: &Directory, entries: &[Kept]) -> Option<()> {
        let mut bytes = self.tiff.put16(entries.len() as u16).to_vec();
        for entry in entries {
            bytes.extend(self.tiff.put16(entry.tag));
            bytes.extend(self.tiff.put16(entry.kind));
            bytes.extend(self.tiff.put32(entry.count));
            bytes.extend(entry.field);
        }
        // No other follows.
        bytes.extend([0; 4]);
        self.edit(directory.at, bytes)
    }

    /// `None` for what lies over another edit: the second would break the first.
    fn edit(&mut self, at: usize, bytes: Vec<u8>) -> Option<()> {
        if self.edits.get(&at) == Some(&bytes) {
            return Some(());
        }
        let before = self.edits.range(..=at).next_back().map_or(0, |(at, bytes)| at + bytes.len());
        let after = self.edits.range(at..).next().map_or(usize::MAX, |(at, _)| *at);
        if before > at || after < at + bytes.len() {
            return None;
        }
        self.edits.insert(at, bytes);
        Some(())
    }

    /// Whether a file would be written just as it is.
    fn is_clean(&self, bytes: &[u8]) -> bool {
        let edited = self.edits.iter().map(|(at, edit)| *at..at + edit.len());
        let mut covered: Vec<Range<usize>> = self.kept.iter().cloned().chain(edited).collect();
        covered.sort_unstable_by_key(|range| range.start);
        let mut end = 0;
        let mut gaps = covered.into_iter().map(|range| {
            let gap = end..range.start.max(end);
            end = end.max(range.end);
            gap
        });
        let is_empty = |gap: &[u8]| gap.iter().all(|&byte| byte == 0);
        let gaps_are_empty = gaps.all(|gap| bytes.get(gap).is_some_and(is_empty));
        gaps_are_empty
            && bytes.get(end..).is_some_and(is_empty)
            && self.edits.iter().all(|(at, edit)| bytes[*at..].starts_with(edit))
    }

    fn write(mut self, bytes: &[u8]) -> Cow<'_, [u8]> {
        // In order and each byte once, however many entries share it.
        self.kept.sort_unstable_by_key(|range| range.start);
        if self.kind == Kind::File && self.is_clean(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut out = vec![0; bytes.len()];
        let mut end = 0;
        for range in self.kept {
            let range = range.start.max(end)..range.end.min(bytes.len());
            if !range.is_empty() {
                end = range.end;
                out[range.clone()].copy_from_slice(&bytes[range]);
            }
        }
        for (at, edit) in self.edits {
            // A directory at the very end may have had no room for its link.
            end = end.max(at + edit.len());
            out.resize(out.len().max(end), 0);
            out[at..at + edit.len()].copy_from_slice(&edit);
        }
        if self.kind == Kind::Exif {
            out.truncate(end.max(self.end));
        }
        Cow::Owned(out)
    }
}

/// Some writers fill up with blanks.
const LONGEST_SHAPED: usize = 32;

/// Whether a text has a shape, and nothing but blanks behind it.
fn is_shaped(text: &[u8], shape: &str) -> bool {
    let told = text.split(|&byte| byte == 0).next().unwrap_or_default();
    told.split_at_checked(shape.len()).is_some_and(|(told, behind)| {
        str::from_utf8(told).is_ok_and(|told| exif::matches_shape(told, shape)) && behind.trim_ascii().is_empty()
    })
}

#[cfg(test)]
mod tests;
