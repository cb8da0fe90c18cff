//! `--dry-run`: what there is to do, and what it would cost. Writes nothing.

use std::collections::BTreeMap;
use std::ops::Add;

use futures::StreamExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Known, Was};
use super::cost::Requests;
use super::listing::{Listing, Seen};
use super::select::{Choice, Original, Skip};
use super::{Backfill, work};
use crate::process::{Found, ProcessError};
use crate::store::{Listed, StoreError};

/// What a run would come upon.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Survey {
    /// What was listed, without the folder of variants.
    pub listed: Amount,
    /// Would be read and developed.
    pub to_do: Amount,
    /// Variants and manifests that would be written.
    pub to_write: u64,
    /// Done already by the checkpoint.
    pub done_by_checkpoint: Amount,
    /// Done already by the manifest in the bucket.
    pub done_by_manifest: Amount,
    /// Of no use: the checkpoint says that it failed before, for good.
    pub failed_before: Amount,
    /// Cannot be originals: no usable key, a name as variants have, or another original has their keys.
    pub refused: Amount,
    /// Names that no image has, by extension.
    pub skipped_by_name: BTreeMap<String, Amount>,
    /// Folders' marks, manifests.
    pub not_originals: Amount,
    /// Of those to do, larger than `upload.max_bytes`: they would fail.
    pub too_large: Amount,
    /// The manifest could not be looked for: counted as to do.
    pub unknown: Amount,
    /// What the run would ask of the store.
    pub requests: Requests,
    /// What this look asked of it.
    pub own_requests: Requests,
}

/// So many objects of so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn take(&mut self, object: &Listed) {
        self.objects += 1;
        self.bytes += object.size;
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { objects: self.objects + other.objects, bytes: self.bytes + other.bytes }
    }
}

/// How a survey ended.
#[derive(Debug)]
pub enum Surveyed {
    /// With all of it.
    Whole(Box<Survey>),
    /// It was stopped.
    Stopped,
    /// The bucket could not be listed to its end.
    Broken(StoreError),
}

/// What one object would be to a run.
enum Part {
    Skipped(Skip),
    Was(Was),
    Refused,
    /// What the store has for it, after so many reads.
    Looked(Original, Result<Found, ProcessError>, Reads),
}

/// Manifests that are read of one original.
struct Reads {
    /// To see whether it is done, now and in the run.
    look: u64,
    /// Once more in the run, before it is developed.
    again: u64,
}

/// Looks at everything. `progress` is called for each object.
pub async fn survey(
    backfill: &Backfill,
    known: &Known,
    mut progress: impl FnMut(u64, &Seen),
    stop: &CancellationToken,
) -> Surveyed {
    let mut listing = Listing::start(backfill);
    let seen = listing.seen();
    let mut survey = Survey::default();
    let parts = listing.names().take_until(Box::pin(stop.cancelled()));
    let mut parts = parts.map(|object| part(backfill, known, object)).buffer_unordered(backfill.workers);
    while let Some((object, part)) = parts.next().await {
        survey.count(&object, part, backfill.processor.max_bytes);
        progress(survey.listed.objects, &seen);
    }
    drop(parts);
    if stop.is_cancelled() {
        return Surveyed::Stopped;
    }
    if let Err(error) = listing.end().await {
        return Surveyed::Broken(error);
    }
    let listing = Requests::listing(survey.listed.objects);
    survey.requests += listing;
    survey.own_requests += listing;
    Surveyed::Whole(Box::new(survey))
}

async fn part(backfill: &Backfill, known: &Known, object: Listed) -> (Listed, Part) {
    let part = match (backfill.selection.choose(&object), backfill.settled(known, &object)) {
        (Choice::Skip(why), _) => Part::Skipped(why),
        (_, Some(was)) => Part::Was(was),
        (Choice::Refuse(_), None) => Part::Refused,
        (Choice::Take(original), None) => {
            let looks = if backfill.is_given(&original) { 2 } else { 1 };
            let reads = looks * backfill.processor.manifest_keys(&original.sighting.key).len() as u64;
            let (original, found) = match work::as_asked(backfill, original.clone()).await {
                Ok(original) => {
                    let found = backfill.processor.look(&original.sighting, &original.preset).await;
                    (original, found)
                }
                Err(error) => (original, Err(error)),
            };
            let again = backfill.processor.conflict_reads(&original.sighting.key, &original.preset) as u64;
            Part::Looked(original, found, Reads { look: reads, again })
        }
    };
    (object, part)
}

impl Survey {
    fn count(&mut self, object: &Listed, part: Part, max_bytes: u64) {
        self.listed.take(object);
        match part {
            Part::Skipped(Skip::Name) => {
                let extension = object.name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
                self.skipped_by_name.entry(extension).or_default().take(object);
            }
            Part::Skipped(_) => self.not_originals.take(object),
            Part::Was(Was::Done) => self.done_by_checkpoint.take(object),
            Part::Was(Was::Failed) => self.failed_before.take(object),
            Part::Refused => self.refused.take(object),
            Part::Looked(original, found, reads) => {
                self.both(Requests { get: reads.look, ..Requests::default() });
                self.looked(object, &original, found, reads.again, max_bytes);
            }
        }
    }

    fn looked(
        &mut self,
        object: &Listed,
        original: &Original,
        found: Result<Found, ProcessError>,
        again: u64,
        max_bytes: u64,
    ) {
        match found {
            Ok(Found::Finished(manifest)) => {
                self.done_by_manifest.take(object);
                self.both(Requests { head: manifest.variants.len() as u64, ..Requests::default() });
                return;
            }
            Ok(Found::OfAnother(_)) | Err(ProcessError::Final(_)) => return self.refused.take(object),
            Ok(Found::Nothing) => {}
            Err(_) => self.unknown.take(object),
        }
        self.to_do.take(object);
        let mut put = original.preset.variants.len() as u64 + 1;
        if object.size > max_bytes {
            self.too_large.take(object);
            put = 0;
        }
        self.to_write += put;
        self.requests += Requests { get: 1 + again, put, ..Requests::default() };
    }

    /// What this look asks is what the run will ask again.
    fn both(&mut self, requests: Requests) {
        self.requests += requests;
        self.own_requests += requests;
    }
}
