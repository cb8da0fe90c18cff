//! One original: is it done already? If not, its turn, its pixels, and again if the store fails.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::claims::Claims;
use super::select::{Original, Wanted};
use super::tell::tell;
use super::{Backfill, Outcome, retry};
use crate::error::Failure;
use crate::process::{Found, ProcessError, Task, taken};

/// Brings it to an end. Once begun, a stop does not cut it off.
pub async fn finish(
    backfill: &Arc<Backfill>,
    original: Original,
    claims: &Claims,
    halt: &CancellationToken,
) -> Outcome {
    let key = &original.sighting.key;
    let _claim = claims.take(backfill.processor.manifest_keys(key)).await;
    // A task of its own: hashing takes time too, and a crash is this object's alone.
    let (backfill, halt) = (backfill.clone(), halt.clone());
    let work = tokio::spawn(async move {
        let original = match as_asked(&backfill, original).await {
            Ok(original) => original,
            Err(error) => return Outcome::Passing(error.given_up(retry::TRIES)),
        };
        let outcome = try_again(&backfill, &original, &halt).await;
        // It is final here and not yet in the checkpoint: a kill in between has the next run tell it again.
        tell(&backfill, &original, outcome).await
    });
    work.await.unwrap_or_else(|_| Outcome::Failed(Failure::new("internal", "the work on this object crashed")))
}

/// Under the preset that it was asked for with: of a key that the API gave out, the manifest that is there names it. Its folder
/// says nothing of that, and another preset may make public what this one hides.
pub(super) async fn as_asked(backfill: &Backfill, original: Original) -> Result<Original, ProcessError> {
    let (Wanted::ByFolder(presets), true) = (&backfill.selection.presets, backfill.is_given(&original)) else {
        return Ok(original);
    };
    let mut tries = 1;
    let sets = loop {
        match backfill.processor.sets_of(&original.sighting.key).await {
            Err(_) if tries < retry::TRIES => tokio::time::sleep(retry::pause(tries)).await,
            sets => break sets?,
        }
        tries += 1;
    };
    let asked = sets.iter().find_map(|(_, manifest)| presets.get(&manifest.preset.name));
    Ok(Original { preset: asked.cloned().unwrap_or(original.preset), ..original })
}

async fn try_again(backfill: &Backfill, original: &Original, halt: &CancellationToken) -> Outcome {
    let mut tries = 1;
    loop {
        let error = match once(backfill, original, halt).await {
            Ok(outcome) => return outcome,
            Err(ProcessError::Final(failure)) => return Outcome::Failed(failure),
            Err(error) => error,
        };
        if tries == retry::TRIES {
            return Outcome::Passing(error.given_up(tries));
        }
        tracing::debug!(key = %original.sighting.key, %error, "will be tried again");
        tokio::select! {
            () = tokio::time::sleep(retry::pause(tries)) => tries += 1,
            () = halt.cancelled() => return Outcome::NotBegun,
        }
    }
}

async fn once(backfill: &Backfill, original: &Original, halt: &CancellationToken) -> Result<Outcome, ProcessError> {
    let Original { sighting, preset } = original;
    match backfill.processor.look(sighting, preset).await? {
        Found::Finished(manifest) => return Ok(Outcome::Already(manifest)),
        Found::OfAnother(other) => return Ok(Outcome::Failed(taken(&sighting.key, &other))),
        Found::Nothing => {}
    }
    tokio::select! {
        biased;
        () = halt.cancelled() => return Ok(Outcome::NotBegun),
        () = backfill.pace.turn() => {}
    }
    // The look was at an entity tag; where there is none the bytes are still to be compared.
    let task = Task { force: sighting.etag.is_some(), ..Task::new(sighting.key.clone(), preset.clone()) };
    let developed = backfill.processor.develop(&task).await?;
    let manifest = Box::new(developed.manifest);
    Ok(if developed.repeated { Outcome::Already(manifest) } else { Outcome::Done(manifest) })
}
