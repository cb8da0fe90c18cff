//! An original arrives: which bytes count is decided here, in the transaction that makes the job.

use sqlx::AnyConnection;

use super::uploads::{COLUMNS, insert, is_revoked, read};
use super::{SqlLedger, history, jobs, sql};
use crate::event::StorageEvent;
use crate::event::order::{News, Stale, judge, later};
use crate::key::{Key, Layout};
use crate::ledger::{Arrival, Arrived, LedgerError};
use crate::store::Pin;
use crate::upload::{Status, Upload, UploadId};

/// How often a key is looked at again that another process takes in at the same time.
const RACES: usize = 5;

pub(super) async fn arrive(ledger: &SqlLedger, upload: &Upload, arrival: Arrival<'_>) -> Result<Arrived, LedgerError> {
    // Another process may adopt the key between this one's look and its row: then that row is the one.
    for _ in 0..RACES {
        if let Some(taken) = take_in(ledger, upload, arrival).await? {
            return Ok(taken);
        }
    }
    Err(LedgerError(format!("the row of {} is made and removed by others all the time", upload.key)))
}

pub(super) async fn note_stale(ledger: &SqlLedger, id: &UploadId, why: Stale) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    history::ignored(&mut tx, id, why.as_str()).await?;
    tx.commit().await?;
    Ok(())
}

/// None when another took the key in just now.
async fn take_in(ledger: &SqlLedger, upload: &Upload, arrival: Arrival<'_>) -> Result<Option<Arrived>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let taken = match locked(&mut tx, ledger, &upload.key).await? {
        Some(row) => follow(&mut tx, &ledger.layout, row, arrival).await?,
        None if is_revoked(&mut tx, &upload.key).await? => Arrived::Refused,
        None => {
            let row = Upload { status: Status::Processing, pin: Some(arrival.event.pin()), ..upload.clone() };
            if !insert(&mut tx, &row, "ON CONFLICT DO NOTHING").await? {
                return Ok(None);
            }
            jobs::add(&mut tx, &ledger.layout, &row.id, arrival.event).await?;
            Arrived::Queued(row)
        }
    };
    tx.commit().await?;
    Ok(Some(taken))
}

/// What an event changes of an upload that is known.
async fn follow(
    tx: &mut AnyConnection,
    layout: &Layout,
    mut row: Upload,
    arrival: Arrival<'_>,
) -> Result<Arrived, LedgerError> {
    if row.has_lapsed() {
        return Ok(Arrived::Refused);
    }
    let (known, told) = (row.state(), arrival.event.pin());
    let news = judge(arrival.rule, &known, &told, arrival.is_current);
    if let News::Stale(why) = news {
        history::ignored(tx, &row.id, why.as_str()).await?;
        return Ok(Arrived::Stale(row, why));
    }
    let sequencer = later(known.sequencer.as_deref(), told.sequencer.as_deref());
    // The job reads the state that is pinned, whatever the event left out; what the pin left out it may add.
    let pin = match news {
        News::Same if known.is_same(&told) == Some(true) => Pin {
            etag: known.etag.or(told.etag),
            version: known.version.or(told.version),
            sequencer,
            sha256: known.sha256,
        },
        News::Same => Pin { sequencer, ..known },
        _ => Pin { sequencer, ..told },
    };
    let event = StorageEvent {
        etag: pin.etag.clone(),
        version: pin.version.clone(),
        sequencer: pin.sequencer.clone(),
        ..arrival.event.clone()
    };
    if row.status != Status::Completed || news == News::Newer {
        row.status = Status::Processing;
    }
    row.pin = Some(pin);
    mark(tx, &row).await?;
    match news {
        News::Newer => jobs::replace_waiting(tx, layout, &row.id, &event, false).await?,
        _ => jobs::add(tx, layout, &row.id, &event).await?,
    }
    Ok(Arrived::Queued(row))
}

/// The row of a key, which nobody else changes until the transaction ends.
async fn locked(tx: &mut AnyConnection, ledger: &SqlLedger, key: &Key) -> Result<Option<Upload>, LedgerError> {
    let lock = ledger.dialect.locked();
    let query = format!("SELECT {COLUMNS} FROM uploads WHERE key = $1 AND deleted_at IS NULL {lock}");
    let row = sqlx::query(sql(query)).bind(key.as_str()).fetch_optional(tx).await?;
    row.as_ref().map(read).transpose()
}

async fn mark(tx: &mut AnyConnection, row: &Upload) -> Result<(), LedgerError> {
    sqlx::query("UPDATE uploads SET status = $2, pin = $3 WHERE id = $1")
        .bind(row.id.as_str())
        .bind(row.status.as_str())
        .bind(row.pin.as_ref().map(serde_json::to_string).transpose()?)
        .execute(tx)
        .await?;
    Ok(())
}
