//! Mends what can be mended without guessing: the original is developed again.

use super::{Action, Finding, Kind, Verifier, VerifyError, rows};
use crate::event::StorageEvent;
use crate::key::Key;
use crate::store::{Pin, StoreError};
use crate::upload::{Status, Upload};

/// Gives an upload of which something is missing a new job, if that was asked for.
pub(super) async fn upload(verifier: &Verifier, row: &Upload, findings: &mut [Finding]) -> Result<(), VerifyError> {
    if !verifier.options.repair {
        return Ok(());
    }
    if matches!(row.status, Status::Failed | Status::Expired) {
        remove(verifier, findings).await;
        return Ok(());
    }
    let action = match event(verifier, row).await? {
        Ok(event) if verifier.ledger.reopen(&row.id, &event).await? => Action::Enqueued,
        Ok(_) => Action::Impossible("it was deleted meanwhile".to_owned()),
        Err(why) => Action::Impossible(why),
    };
    let mendable = |finding: &Finding| !matches!(finding.kind, Kind::OriginalDamaged | Kind::Unreadable);
    for finding in findings.iter_mut().filter(|finding| mendable(finding)) {
        finding.action = action.clone();
    }
    Ok(())
}

/// Takes from the public what no status vouches for.
async fn remove(verifier: &Verifier, findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.kind == Kind::VariantLeft) {
        let Some(Ok(key)) = finding.key.as_deref().map(Key::new) else { continue };
        finding.action = match verifier.store.delete(&key).await {
            Ok(()) => Action::Deleted,
            Err(error) => Action::Impossible(error.to_string()),
        };
    }
}

/// The event that a new job is to work on, or why there can be none.
async fn event(verifier: &Verifier, row: &Upload) -> Result<Result<StorageEvent, String>, VerifyError> {
    let event = |size, pin: Pin| {
        let Pin { etag, version, sequencer, .. } = pin;
        StorageEvent { bucket: None, key: row.key.clone(), size, etag, version, sequencer }
    };
    let found = match verifier.store.head(&row.key).await {
        Ok(found) => found,
        // Without a job it would never end; with one it ends `not_found`, and its backend hears of it.
        Err(StoreError::NotFound(_)) if row.manifest.is_none() => return Ok(Ok(event(None, row.state()))),
        Err(StoreError::NotFound(_)) => return Ok(Err("the original is not kept any more".to_owned())),
        Err(error) => return Ok(Err(error.to_string())),
    };
    if let Some(manifest) = &row.manifest {
        let original = &manifest.original;
        match rows::damage(verifier, &row.key, original.bytes, &original.sha256, true).await {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Err("the original is damaged too".to_owned())),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    // The bytes that count are developed again, or none.
    Ok(match row.state().again(found.etag, verifier.config.rule(&row.key)) {
        Some(pin) => Ok(event(Some(found.size), pin)),
        None => Err("the original was replaced by other bytes".to_owned()),
    })
}
