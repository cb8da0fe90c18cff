//! How what is sealed stands to the state of an original that was read: the same, another, or one that has superseded it.

use std::cmp::Ordering;

use super::load::Original;
use super::{ProcessError, Processor, Task, look, public};
use crate::event::order;
use crate::key::Key;
use crate::manifest::Manifest;
use crate::store::{Pin, StoreError};

/// Who decides which of two states of an original counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Whoever asks: a ledger, or a person.
    #[default]
    Asked,
    /// The newer one, by the store's order.
    Newest,
    /// The one that was sealed first: a credential delivers one original.
    First,
}

/// What a sealed set is to an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was made of this state by this preset.
    Same,
    /// The same, but the state came back since: what was between is older news from now on.
    SameAgain,
    /// It is to be made anew.
    Other,
    /// What is sealed stays, for this reason.
    Superseded(&'static str),
}

/// Why the first bytes stay.
pub const FIRST: &str = "the first bytes under its credential are kept";
/// Why an older state is not made.
pub const OLDER: &str = "a newer state of it is known";

/// Holds a sealed set against an original that was read.
pub(super) async fn of(
    processor: &Processor,
    sealed: &Manifest,
    original: &Original,
    task: &Task,
) -> Result<Standing, ProcessError> {
    let meta = &original.object.meta;
    let same_bytes = sealed.original.sha256 == original.sha256;
    let same_work = same_bytes
        && sealed.original.key == meta.key
        && sealed.original.etag == meta.etag
        && sealed.preset == task.preset.reference();
    let same_metadata = public::is_of(sealed, &meta.metadata, task.preset.metadata);
    let same = if same_work && same_metadata { Standing::Same } else { Standing::Other };
    if sealed.original.key != meta.key || task.order == Order::Asked {
        return Ok(same);
    }
    if task.order == Order::First {
        return Ok(match same_bytes {
            false => Standing::Superseded(FIRST),
            true if same_work => Standing::Same,
            true => Standing::Other,
        });
    }
    if same_work && sealed.original.sequencer.is_some() && sealed.original.sequencer == task.pin.sequencer {
        // It is the very event. What was put since with the same bytes has an event of its own.
        return Ok(Standing::Same);
    }
    match is_newer(processor, &sealed.original.pin(), &task.key, &task.pin).await? {
        Some(false) => Ok(Standing::Superseded(OLDER)),
        Some(true) if same == Standing::Same => Ok(Standing::SameAgain),
        _ => Ok(same),
    }
}

/// Sets of an original without an extension whose bytes were of another format, which its own would take the place of.
///
/// # Errors
/// [`ProcessError::Superseded`] if one of them stays.
pub(super) async fn of_other_formats(
    processor: &Processor,
    original: &Original,
    task: &Task,
) -> Result<Vec<(Key, Manifest)>, ProcessError> {
    if task.order == Order::Asked || task.key.extension().is_some() {
        return Ok(Vec::new());
    }
    let mut others = look::sets_of(processor, &task.key).await?;
    others.retain(|(at, _)| *at != original.manifest_key);
    for (_, sealed) in &others {
        if let Standing::Superseded(why) = of(processor, sealed, original, task).await? {
            return Err(ProcessError::Superseded { why, sealed: Box::new(sealed.clone()) });
        }
    }
    Ok(others)
}

/// Whether an event's state is newer than a sealed one; none where they are the same, or the store cannot tell.
pub async fn is_newer(processor: &Processor, sealed: &Pin, key: &Key, pin: &Pin) -> Result<Option<bool>, StoreError> {
    if let (Some(sealed), Some(told)) = (&sealed.sequencer, &pin.sequencer) {
        match order::sequencers(told, sealed) {
            Ordering::Less => return Ok(Some(false)),
            Ordering::Greater => return Ok(Some(true)),
            Ordering::Equal => {}
        }
    }
    match (&sealed.version, &pin.version) {
        // Versions have no order of their own; but the newest is what the key stands for.
        (Some(sealed), Some(told)) if sealed != told => match processor.source.head(key).await {
            Ok(now) => Ok(now.version.map(|now| now == *told)),
            // Removed since: what is sealed stays.
            Err(StoreError::NotFound(_)) => Ok(Some(false)),
            Err(error) => Err(error),
        },
        _ => Ok(None),
    }
}
