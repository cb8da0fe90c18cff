//! Step 6 for a backfill that was asked for it: the backend is told, or the object is not done yet.

use super::select::Original;
use super::{Backfill, Outcome, retry};
use crate::error::Failure;
use crate::event::StorageEvent;
use crate::stateless::notify::{Metadata, Notifier, Subject};
use crate::store::StoreError;
use crate::upload;

/// Where callbacks come from: who sends them, and the bucket they are about.
pub struct Callbacks {
    /// Sends them.
    pub notifier: Notifier,
    /// Name of the bucket.
    pub bucket: String,
}

/// Tells the backend what came of an original. What it does not take is passing: the next run tells it again, under the
/// same `webhook-id`, and touches no pixel for that.
pub async fn tell(backfill: &Backfill, original: &Original, outcome: Outcome) -> Outcome {
    let Some(callbacks) = &backfill.callbacks else { return outcome };
    let told = match &outcome {
        Outcome::Done(manifest) | Outcome::Already(manifest) => upload::Outcome::Completed(manifest.clone()),
        Outcome::Failed(failure) => upload::Outcome::Failed(failure.clone()),
        _ => return outcome,
    };
    match until_taken(backfill, callbacks, original, &told).await {
        Ok(()) => outcome,
        Err(why) => Outcome::Passing(Failure::new("callback_failed", why)),
    }
}

async fn until_taken(
    backfill: &Backfill,
    callbacks: &Callbacks,
    original: &Original,
    told: &upload::Outcome,
) -> Result<(), String> {
    let sighting = &original.sighting;
    let event = StorageEvent {
        bucket: Some(callbacks.bucket.clone()),
        key: sighting.key.clone(),
        size: Some(sighting.size),
        etag: sighting.etag.clone(),
        version: None,
        sequencer: None,
    };
    let mut seen = None;
    let metadata = match told {
        upload::Outcome::Completed(manifest) => Metadata::Known(manifest.metadata.clone()),
        // Of the bytes that failed, or of none.
        _ => match backfill.processor.source.head_pinned(&sighting.key, &event.pin()).await {
            Ok(found) => Metadata::Known(seen.insert(found).metadata.clone()),
            Err(StoreError::NotFound(_) | StoreError::Changed(_)) => Metadata::Unknown,
            Err(error) => return Err(format!("what the client gave along could not be asked: {error}")),
        },
    };
    // One run after another meets other bytes at other times.
    let seal = seen.as_ref().map(|seen| seen.modified.unix_timestamp().to_string());
    let subject = Subject {
        bucket: &callbacks.bucket,
        event: &event,
        preset: &original.preset,
        seen: seen.as_ref(),
        seal: seal.as_deref(),
    };
    let mut tries = 1;
    loop {
        match callbacks.notifier.tell(&subject, metadata.clone(), told).await {
            Err(_) if tries < retry::TRIES => tokio::time::sleep(retry::pause(tries)).await,
            told => return told.map_err(|why| format!("the callback was not taken after {tries} tries: {why}")),
        }
        tries += 1;
    }
}
