//! From the store to the ledger: originals that nobody works on.

use futures::TryStreamExt;

use super::{Finding, Kind, Summary, Tell, Verifier, VerifyError, report};
use crate::key::Key;
use crate::store::Listed;
use crate::upload::Status;

/// Every object below the prefix of uploads.
pub(super) async fn all(verifier: &Verifier, summary: &mut Summary, tell: &mut dyn Tell) -> Result<(), VerifyError> {
    let mut objects = verifier.store.scan(verifier.layout.prefix(), "");
    while let Some(object) = objects.try_next().await? {
        summary.originals += 1;
        match unclaimed(verifier, &object).await? {
            Some(_) if verifier.is_young(object.modified) => summary.in_flight += 1,
            Some(detail) => {
                report(&Finding::new(Kind::OriginalUnclaimed, None, &object.name, detail), summary, tell);
            }
            None => {}
        }
        tell.looked(summary);
    }
    Ok(())
}

/// Why an original is nobody's, if it is. A server that runs takes it up by itself, at its next listing.
async fn unclaimed(verifier: &Verifier, object: &Listed) -> Result<Option<String>, VerifyError> {
    let Ok(key) = Key::new(&object.name) else {
        return Ok(Some("no key of Tintype's can have this name, so it is never developed".to_owned()));
    };
    Ok(match verifier.ledger.find(&key).await? {
        None => Some("no upload knows it".to_owned()),
        Some(row) if matches!(row.status, Status::Pending | Status::Expired) => {
            Some(format!("upload {} is {} still: its event was lost", row.id, row.status.as_str()))
        }
        Some(_) => None,
    })
}
