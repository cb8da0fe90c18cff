//! From the store to the ledger: objects where variants are that nobody knows.

use std::time::Duration;

use futures::TryStreamExt;
use time::OffsetDateTime;

use super::owners::{Owner, Owners};
use super::{Action, Finding, Kind, Summary, Tell, Verifier, VerifyError, report};
use crate::key::Key;
use crate::store::{Listed, StoreError};

/// No orphan is removed before this age.
const OLD_ENOUGH: Duration = Duration::from_secs(24 * 3600);

/// Every object in the folder of variants.
pub(super) async fn all(verifier: &Verifier, summary: &mut Summary, tell: &mut dyn Tell) -> Result<(), VerifyError> {
    let mut owners = Owners::default();
    let mut objects = verifier.store.scan(verifier.layout.folder(), "");
    while let Some(object) = objects.try_next().await? {
        summary.objects += 1;
        match judge(verifier, &mut owners, &object).await? {
            Owner::Known => {}
            Owner::UnderWay => summary.in_flight += 1,
            Owner::Nobody(_) if verifier.is_young(object.modified) => summary.in_flight += 1,
            Owner::Nobody(why) => {
                let mut finding = Finding::new(Kind::Orphan, None, &object.name, why);
                if verifier.options.delete_orphans {
                    finding.action = remove(verifier, &object).await?;
                }
                report(&finding, summary, tell);
            }
        }
        tell.looked(summary);
    }
    Ok(())
}

/// Whose it is. Nobody's only if it is still so, and still there, when it is looked at a second time.
async fn judge(verifier: &Verifier, owners: &mut Owners, object: &Listed) -> Result<Owner, VerifyError> {
    let Ok(key) = Key::new(&object.name) else {
        return Ok(Owner::Nobody("no key of Tintype's can have this name".to_owned()));
    };
    match owners.of(verifier, &key).await? {
        Owner::Nobody(_) => match verifier.store.head(&key).await {
            Err(StoreError::NotFound(_)) => Ok(Owner::Known),
            Ok(now) if now.etag != object.etag => Ok(Owner::UnderWay),
            Ok(_) => owners.of(verifier, &key).await,
            Err(error) => Err(error.into()),
        },
        owner => Ok(owner),
    }
}

async fn remove(verifier: &Verifier, object: &Listed) -> Result<Action, VerifyError> {
    if object.modified > OffsetDateTime::now_utc() - OLD_ENOUGH {
        return Ok(Action::Impossible("it is not a day old".to_owned()));
    }
    let Ok(key) = Key::new(&object.name) else {
        return Ok(Action::Impossible("remove it by the store's own means".to_owned()));
    };
    Ok(match verifier.store.delete(&key).await {
        Ok(()) => Action::Deleted,
        Err(error) => Action::Impossible(error.to_string()),
    })
}
