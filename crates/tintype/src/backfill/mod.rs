//! `tintype backfill`: objects that are in a bucket already, through the same pipeline as uploads.
//!
//! The order is this list: `listing` → `select` → `checkpoint` (is it known?) → `work`: look, `rate`, develop, `retry`,
//! `tell` → record. `survey` and `cost` say beforehand what it will come to.

pub mod checkpoint;
mod claims;
pub mod cost;
mod listing;
pub mod place;
pub mod rate;
mod retry;
pub mod select;
pub mod survey;
pub mod tell;
mod work;

use std::io;
use std::sync::Arc;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::error::Failure;
use crate::manifest::Manifest;
use crate::process::Processor;
use crate::store::{Listed, StoreError};

use checkpoint::{Checkpoint, Known, Was};
use claims::Claims;
use listing::Listing;
pub use listing::Seen;
use rate::Pace;
use select::{Choice, Original, Selection, Skip, Wanted};
use tell::Callbacks;

/// So many failures of store or backend one after the other, each tried more than once: it is down, and the rest can wait.
const GIVE_UP: u32 = 50;

/// Everything a backfill needs to know.
pub struct Backfill {
    /// Reads, develops, writes.
    pub processor: Processor,
    /// What the names to work on begin with.
    pub prefix: String,
    /// Which of them are originals, and what is to be made of each.
    pub selection: Selection,
    /// When the next original may begin.
    pub pace: Pace,
    /// Originals in work at once.
    pub workers: usize,
    /// Do what failed before again.
    pub retry_failed: bool,
    /// Whom to tell of each; nobody, if it was not asked for.
    pub callbacks: Option<Callbacks>,
}

/// One object that nothing more will be done with.
#[derive(Debug)]
pub struct Finished {
    /// As the listing has it.
    pub object: Listed,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of one object.
#[derive(Debug)]
pub enum Outcome {
    /// Every variant was made.
    Done(Box<Manifest>),
    /// The bucket has them all.
    Already(Box<Manifest>),
    /// It came to nothing, and would again.
    Failed(Failure),
    /// It came to nothing, and may not the next time.
    Passing(Failure),
    /// The checkpoint knows what came of it.
    Known(Was),
    /// It is no original.
    Skipped(Skip),
    /// The stop came first.
    NotBegun,
}

/// How many came to what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Developed now.
    pub done: u64,
    /// Finished before, by the manifest in the bucket.
    pub already: u64,
    /// Finished before, by the checkpoint.
    pub known: u64,
    /// Came to nothing now.
    pub failed: u64,
    /// Those of `failed` that may come to something the next time.
    pub passing: u64,
    /// Came to nothing before, by the checkpoint.
    pub failed_before: u64,
    /// Names that no image has.
    pub skipped_by_name: u64,
    /// Folders' marks, variants and manifests.
    pub not_originals: u64,
    /// Listed and not begun.
    pub left: u64,
    /// Bytes of the originals that were read.
    pub bytes_read: u64,
    /// Variants that were written.
    pub files_written: u64,
    /// Their bytes.
    pub bytes_written: u64,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// How many came to what.
    pub summary: Summary,
    /// Everything was listed.
    pub complete: bool,
    /// The store, or the backend that is called, failed too often in a row.
    pub gave_up: bool,
    /// Why the listing broke off.
    pub broken: Option<StoreError>,
}

/// Sees what happens. Each object is told before the checkpoint has it: after a crash some are told again, none is missed.
pub trait Watch {
    /// One object came to its end.
    fn finished(&mut self, finished: &Finished, so_far: &Summary, seen: &Seen);
}

impl Backfill {
    /// Whether the preset of an original is not for its folder to say: the API gave its key to somebody who may have named one.
    fn is_given(&self, original: &Original) -> bool {
        matches!(self.selection.presets, Wanted::ByFolder(_))
            && self.processor.layout.upload_id(&original.sighting.key).is_some()
    }

    /// Runs to the end, or until told to stop; then what is in work is finished first.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub async fn run(
        self: &Arc<Self>,
        checkpoint: &mut Checkpoint,
        watch: &mut impl Watch,
        stop: &CancellationToken,
    ) -> io::Result<Ended> {
        let halt = stop.child_token();
        let mut listing = Listing::start(self);
        let (seen, known, claims) = (listing.seen(), checkpoint.known(), Claims::default());
        let mut summary = Summary::default();
        let mut failures_in_a_row = 0;
        let names = listing.names().take_until(Box::pin(halt.cancelled()));
        let mut finished = names.map(|object| self.one(object, &known, &claims, &halt)).buffer_unordered(self.workers);
        let mut written = Ok(());
        while let Some(one) = finished.next().await {
            summary.count(&one.outcome);
            watch.finished(&one, &summary, &seen);
            failures_in_a_row = match one.outcome {
                Outcome::Passing(_) => failures_in_a_row + 1,
                Outcome::Done(_) | Outcome::Already(_) => 0,
                _ => failures_in_a_row,
            };
            if written.is_ok() {
                written = checkpoint.record(&one).await;
            }
            if written.is_err() || failures_in_a_row >= GIVE_UP {
                halt.cancel();
            }
        }
        drop(finished);
        let stopped = halt.is_cancelled();
        let listed = if stopped { Ok(()) } else { listing.end().await };
        written.and(checkpoint.sync().await)?;
        summary.left = seen.objects().saturating_sub(summary.handled());
        let gave_up = failures_in_a_row >= GIVE_UP;
        Ok(Ended { complete: !stopped && listed.is_ok(), gave_up, broken: listed.err(), summary })
    }

    /// From a line of the listing to what came of it.
    async fn one(
        self: &Arc<Self>,
        object: Listed,
        known: &Known,
        claims: &Claims,
        halt: &CancellationToken,
    ) -> Finished {
        let outcome = match (self.selection.choose(&object), self.settled(known, &object)) {
            (Choice::Skip(why), _) => Outcome::Skipped(why),
            (_, Some(was)) => Outcome::Known(was),
            (Choice::Refuse(failure), None) => Outcome::Failed(failure),
            (Choice::Take(original), None) => work::finish(self, original, claims, halt).await,
        };
        Finished { object, outcome }
    }

    /// What the checkpoint says came of an object, if that is to stay so.
    fn settled(&self, known: &Known, object: &Listed) -> Option<Was> {
        known.was(object).filter(|was| *was == Was::Done || !self.retry_failed)
    }
}

impl Summary {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(manifest) => {
                self.done += 1;
                self.bytes_read += manifest.original.bytes;
                self.files_written += manifest.variants.len() as u64;
                self.bytes_written += manifest.variants.iter().map(|variant| variant.bytes).sum::<u64>();
            }
            Outcome::Already(_) => self.already += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Passing(_) => {
                self.failed += 1;
                self.passing += 1;
            }
            Outcome::Known(Was::Done) => self.known += 1,
            Outcome::Known(Was::Failed) => self.failed_before += 1,
            Outcome::Skipped(Skip::Name) => self.skipped_by_name += 1,
            Outcome::Skipped(_) => self.not_originals += 1,
            Outcome::NotBegun => {}
        }
    }

    /// Objects that were dealt with in one way or another.
    pub fn handled(&self) -> u64 {
        let originals = self.done + self.already + self.known + self.failed + self.failed_before;
        originals + self.skipped_by_name + self.not_originals
    }
}
