//! The scrubber of TIFF directories, for TIFF files and EXIF alike.
//!
//! Nothing moves: offsets stay true. Directories are rewritten where they lie, shorter; what a kept tag
//! points to is copied; every other byte becomes zero, whatever it was and whoever pointed to it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use crate::container::tiff::{Directory, Entry, Tiff};
use crate::error::Error;
use crate::exif::{EXIF_IFD, ORIENTATION};
use crate::spec::MetadataPolicy;

/// What the directories belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An EXIF payload: one directory, no pixels; a second one would be a thumbnail.
    Exif,
    /// A file: a chain of pages with their pixels.
    File,
}

/// A TIFF file, less what is private.
pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    scrub(bytes, Kind::File, policy).ok_or_else(|| Error::corrupt("the TIFF's directories are broken"))
}

/// Scrubs; `None` when the directories break the format's rules.
pub(super) fn scrub(bytes: &[u8], kind: Kind, policy: MetadataPolicy) -> Option<Cow<'_, [u8]>> {
    let mut scrubber = Scrubber {
        tiff: Tiff::new(bytes)?,
        kind,
        policy,
        budget: bytes.len().saturating_mul(SHARED),
        kept: Vec::from([Range { start: 0, end: 8 }]),
        edits: BTreeMap::new(),
    };
    scrubber.walk_pages()?;
    Some(scrubber.write(bytes))
}

/// How often a file may refer to each of its bytes, taken together. Pages may share what they point to; more of
/// it is a trap, for directories that lie over each other are read as often as there are bytes.
const SHARED: usize = 4;

struct Scrubber<'a> {
    tiff: Tiff<'a>,
    kind: Kind,
    policy: MetadataPolicy,
    /// How many bytes of directories and tables may still be read.
    budget: usize,
    /// Bytes that are copied.
    kept: Vec<Range<usize>>,
    /// Bytes that are written over them.
    edits: BTreeMap<usize, Vec<u8>>,
}

impl Scrubber<'_> {
    fn walk_pages(&mut self) -> Option<()> {
        let mut seen = HashSet::new();
        let mut page = self.tiff.first()?;
        loop {
            if !seen.insert(page.at) {
                return None;
            }
            // A thumbnail's directory, or a link to nowhere, is left out of the chain.
            let next = match self.kind {
                Kind::File if page.next != 0 => self.tiff.directory(page.next),
                _ => None,
            };
            self.keep_page(&page, next.as_ref().map_or(0, |next| next.at))?;
            match next {
                Some(next) => page = next,
                None => return Some(()),
            }
        }
    }

    /// Accounts for bytes that are about to be gone through; `None` when there were too many.
    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(bytes)?;
        Some(())
    }

    fn keep_page(&mut self, page: &Directory, next: usize) -> Option<()> {
        self.spend(page.length())?;
        let mut entries = Vec::new();
        for entry in &page.entries {
            if entry.tag == EXIF_IFD && self.policy == MetadataPolicy::PrivateStripped {
                if self.keep_exif(entry)? {
                    entries.push(*entry);
                }
            } else if self.keeps_in_page(entry.tag) && self.keep_value(entry) {
                entries.push(*entry);
            }
        }
        if self.kind == Kind::File {
            self.keep_pixels(page, 273, 279)?;
            self.keep_pixels(page, 324, 325)?;
            self.keep_pixels(page, 513, 514)?;
        }
        self.rewrite(page, &entries, next)
    }

    /// Whether the directory pointed to could be kept.
    fn keep_exif(&mut self, pointer: &Entry) -> Option<bool> {
        let at = self.tiff.numbers(pointer).and_then(|mut numbers| numbers.next());
        let Some(exif) = at.and_then(|at| self.tiff.directory(at as usize)) else {
            return Some(false);
        };
        self.spend(exif.length())?;
        let entries: Vec<_> =
            exif.entries.iter().filter(|entry| keeps_in_exif(entry.tag) && self.keep_value(entry)).copied().collect();
        Some(self.rewrite(&exif, &entries, 0).is_some())
    }

    fn keeps_in_page(&self, tag: u16) -> bool {
        let pixels = self.kind == Kind::File && describes_pixels(tag);
        let public = self.policy == MetadataPolicy::PrivateStripped && is_public(tag);
        tag == ORIENTATION || pixels || public
    }

    fn keep_value(&mut self, entry: &Entry) -> bool {
        let range = self.tiff.value_range(entry);
        // A value within its entry is written with the directory, which may have moved up.
        self.kept.extend(range.clone().filter(|range| range.start != entry.at + 8));
        range.is_some()
    }

    /// The strips or tiles that two tags give the places and lengths of.
    fn keep_pixels(&mut self, page: &Directory, offsets: u16, lengths: u16) -> Option<()> {
        let (Some(offsets), Some(lengths)) = (page.find(offsets), page.find(lengths)) else {
            return Some(());
        };
        let tiff = self.tiff;
        let (Some(offsets), Some(lengths)) = (tiff.numbers(offsets), tiff.numbers(lengths)) else {
            return Some(());
        };
        for (at, length) in offsets.zip(lengths) {
            self.spend(2)?; // The least that a number takes.
            self.kept.push(at as usize..(at as usize).saturating_add(length as usize));
        }
        Some(())
    }

    fn rewrite(&mut self, directory: &Directory, entries: &[Entry], next: usize) -> Option<()> {
        let mut bytes = self.tiff.put16(entries.len() as u16).to_vec();
        for entry in entries {
            bytes.extend(self.tiff.put16(entry.tag));
            bytes.extend(self.tiff.put16(entry.kind));
            bytes.extend(self.tiff.put32(entry.count));
            bytes.extend(self.value_field(entry)?);
        }
        bytes.extend(self.tiff.put32(u32::try_from(next).ok()?));
        self.edit(directory.at, bytes)
    }

    /// `None` for a directory that lies over another: the second would break the first.
    fn edit(&mut self, at: usize, bytes: Vec<u8>) -> Option<()> {
        let before = self.edits.range(..=at).next_back().map_or(0, |(at, bytes)| at + bytes.len());
        let after = self.edits.range(at..).next().map_or(usize::MAX, |(at, _)| *at);
        if before > at || after < at + bytes.len() {
            return None;
        }
        self.edits.insert(at, bytes);
        Some(())
    }

    /// The value, or the pointer to it; unused bytes of a short value as zeros.
    fn value_field(&self, entry: &Entry) -> Option<[u8; 4]> {
        let value = self.tiff.value(entry)?;
        let mut field = self.tiff.put32(self.tiff.u32(entry.at + 8)?);
        if value.len() <= 4 {
            field = [0; 4];
            field[..value.len()].copy_from_slice(value);
        }
        Some(field)
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
            out.truncate(end);
        }
        Cow::Owned(out)
    }
}

/// Tags without which the pixels cannot be read, or their colours not be right.
fn describes_pixels(tag: u16) -> bool {
    matches!(
        tag,
        254..=259 | 262..=266 | 273 | 277..=284 | 290..=293 | 296 | 297 | 301 | 317..=325 | 332 | 334 | 336
            | 338..=342 | 347 | 512..=521 | 529..=532 | 34675
    )
}

/// Tags of the first directory that say nothing of a person or a place: camera, dates, resolution,
/// copyright.
fn is_public(tag: u16) -> bool {
    matches!(tag, 271 | 272 | 282 | 283 | 296 | 306 | 531 | 33432)
}

/// The same of the Exif directory: exposure, lens model, dates, colour space, dimensions.
fn keeps_in_exif(tag: u16) -> bool {
    matches!(
        tag,
        33434 | 33437 | 34850 | 34855 | 34864..=34867 | 36864 | 36867 | 36868 | 36880..=36882 | 37377..=37386
            | 37520..=37522 | 40961..=40963 | 41985..=41990 | 42034..=42036
    )
}

#[cfg(test)]
mod tests;
