//! Uploads, and what changes with them in one transaction.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use time::OffsetDateTime;

use super::{
    SqlLedger, arrivals, claims, cursor, deliveries, history, jobs, keys, millis, now, read_count, read_id, read_time,
    read_time_if, rechecks, sql, whole,
};
use crate::error::NOT_FOUND;
use crate::event::StorageEvent;
use crate::event::order::Stale;
use crate::key::Key;
use crate::ledger::{
    Activity, ApiKey, Arrival, Arrived, Attempt, Claim, Created, Delivery, Finished, Idempotency, JobAttempt, Ledger,
    LedgerError, Marked, Next, Notice, Outstanding, Page, Recheck, Search,
};
use crate::queue::JobEnd;
use crate::store::Pin;
use crate::upload::{Outcome, Status, Upload, UploadId};

pub(super) const COLUMNS: &str = "id, key, status, policy, extension, preset, processed_key, manifest, error, created_at, \
                       expires_at, traceparent, pin, owner, filename, claimed_at";
/// How much longer the tries of jobs are kept than Idempotency-Keys.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

#[async_trait]
impl Ledger for SqlLedger {
    async fn create(&self, uploads: &[Upload], idempotency: Option<&Idempotency>) -> Result<Created, LedgerError> {
        let mut tx = self.begin().await?;
        if let Some(idempotency) = idempotency
            && !promise(&mut tx, idempotency, uploads).await?
        {
            return replay(&mut tx, idempotency).await;
        }
        for upload in uploads {
            insert(&mut tx, upload, "").await?;
        }
        tx.commit().await?;
        Ok(Created::New)
    }

    async fn arrive(&self, upload: &Upload, arrival: Arrival<'_>) -> Result<Arrived, LedgerError> {
        arrivals::arrive(self, upload, arrival).await
    }

    async fn note_stale(&self, id: &UploadId, why: Stale) -> Result<(), LedgerError> {
        arrivals::note_stale(self, id, why).await
    }

    async fn claim_upload(&self, id: &UploadId, at: OffsetDateTime) -> Result<Option<Upload>, LedgerError> {
        claims::claim(self, id, at).await
    }

    async fn unclaimed(&self, since: OffsetDateTime, most: u32) -> Result<Vec<(Upload, OffsetDateTime)>, LedgerError> {
        claims::unclaimed(self, since, most).await
    }

    async fn lapse(&self, id: &UploadId, notice: Option<&Notice>) -> Result<bool, LedgerError> {
        claims::lapse(self, id, notice).await
    }

    async fn lapsed(&self, most: u32) -> Result<Vec<Upload>, LedgerError> {
        claims::lapsed(self, most).await
    }

    async fn cleared(&self, id: &UploadId) -> Result<(), LedgerError> {
        claims::cleared(self, id).await
    }

    async fn get(&self, id: &UploadId) -> Result<Option<Upload>, LedgerError> {
        let query = format!("SELECT {COLUMNS} FROM uploads WHERE id = $1 AND deleted_at IS NULL");
        let row = sqlx::query(sql(query)).bind(id.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    async fn statuses(&self, ids: &[UploadId]) -> Result<Vec<(UploadId, Status)>, LedgerError> {
        let any_of_them = self.dialect.any_of("$1");
        let query = format!("SELECT id, status FROM uploads WHERE deleted_at IS NULL AND id IN ({any_of_them})");
        let ids: Vec<_> = ids.iter().map(UploadId::as_str).collect();
        let query = sqlx::query(sql(query)).bind(serde_json::to_string(&ids)?);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((read_id(row, "id")?, read_status(row)?))).collect()
    }

    async fn find(&self, key: &Key) -> Result<Option<Upload>, LedgerError> {
        let query = format!("SELECT {COLUMNS} FROM uploads WHERE key = $1 AND deleted_at IS NULL");
        let row = sqlx::query(sql(query)).bind(key.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    async fn list(&self, page: &Page, search: &Search) -> Result<Vec<Upload>, LedgerError> {
        let (before, id) = cursor(page);
        // A condition that is not asked for is left out, so that the index by status serves the one that is.
        let of_status = if page.status.is_some() { "AND status = $4" } else { "" };
        let (found, values) = found_by(search, if page.status.is_some() { 5 } else { 4 });
        let query = sql(format!(
            "SELECT {COLUMNS} FROM uploads WHERE deleted_at IS NULL {of_status} {found}
               AND (created_at < $1 OR (created_at = $1 AND id > $2))
             ORDER BY created_at DESC, id LIMIT $3"
        ));
        let query = sqlx::query(query).bind(before).bind(id).bind(i64::from(page.limit));
        let query = page.status.iter().chain(&values).fold(query, |query, text| query.bind(text.clone()));
        query.fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    async fn history(&self, id: &UploadId, most: u32) -> Result<Vec<JobAttempt>, LedgerError> {
        history::of(self, id, most).await
    }

    async fn activity(&self, since: OffsetDateTime) -> Result<Activity, LedgerError> {
        history::activity(self, since).await
    }

    async fn reopen(&self, id: &UploadId, event: &StorageEvent) -> Result<bool, LedgerError> {
        let mut tx = self.begin().await?;
        let pin = event.pin();
        let known =
            locked(&mut tx, self, id).await?.map(|row| row.state()).filter(|known| known.is_same(&pin) == Some(true));
        let pin = Pin { sha256: known.and_then(|known| known.sha256), ..pin };
        // What nobody claimed in time has no original any more, whatever the store still shows of it.
        let opened = sqlx::query(
            "UPDATE uploads SET status = 'processing', pin = $2
             WHERE id = $1 AND deleted_at IS NULL AND NOT (status = 'expired' AND pin IS NOT NULL)",
        )
        .bind(id.as_str())
        .bind(serde_json::to_string(&pin)?)
        .execute(&mut *tx)
        .await?;
        if opened.rows_affected() == 0 {
            return Ok(false);
        }
        jobs::forget_dead(&mut tx, id).await?;
        jobs::replace_waiting(&mut tx, &self.layout, id, event, true).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn first_read(&self, id: &UploadId, sha256: &str) -> Result<String, LedgerError> {
        let mut tx = self.begin().await?;
        let Some(row) = locked(&mut tx, self, id).await? else { return Ok(sha256.to_owned()) };
        if let Some(known) = row.state().sha256 {
            return Ok(known);
        }
        let pin = Pin { sha256: Some(sha256.to_owned()), ..row.pin.unwrap_or_default() };
        sqlx::query("UPDATE uploads SET pin = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(serde_json::to_string(&pin)?)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(sha256.to_owned())
    }

    async fn finish(
        &self,
        id: &UploadId,
        outcome: &Outcome,
        notice: Option<&Notice>,
        job: Option<JobEnd<'_>>,
    ) -> Result<Finished, LedgerError> {
        let mut tx = self.begin().await?;
        if let Some(job) = job
            && !jobs::end(&mut tx, job).await?
        {
            // The end of an upload takes its jobs along.
            let there = sqlx::query("SELECT 1 AS one FROM uploads WHERE id = $1 AND deleted_at IS NULL")
                .bind(id.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            return Ok(if there.is_some() { Finished::LeaseLost } else { Finished::Gone });
        }
        let Some(number) = end(&mut tx, id, outcome).await? else { return Ok(Finished::Gone) };
        let (word, why) = match outcome {
            Outcome::Completed(_) | Outcome::Processed(_) => (Status::Completed.as_str(), None),
            Outcome::Failed(failure) => (failure.code.as_ref(), Some(failure.message.as_str())),
        };
        if number == 1 && word == NOT_FOUND {
            unpin(&mut tx, id).await?;
        }
        history::add(&mut tx, id, job.map(JobEnd::leased), word, why).await?;
        if let Some(notice) = notice {
            deliveries::add(&mut tx, id, number, notice).await?;
        }
        tx.commit().await?;
        Ok(Finished::Recorded)
    }

    async fn expire(&self, now: OffsetDateTime) -> Result<Vec<UploadId>, LedgerError> {
        let rows = sqlx::query(
            "UPDATE uploads SET status = 'expired'
             WHERE status = 'pending' AND expires_at <= $1 AND deleted_at IS NULL RETURNING id",
        )
        .bind(millis(now))
        .fetch_all(&self.writer)
        .await?;
        rows.iter().map(|row| read_id(row, "id")).collect()
    }

    async fn forget(&self, before: OffsetDateTime) -> Result<(), LedgerError> {
        for statement in ["DELETE FROM idempotency WHERE created_at < $1", "DELETE FROM revoked WHERE until < $1"] {
            sqlx::query(statement).bind(millis(before)).execute(&self.writer).await?;
        }
        let old = sqlx::query("DELETE FROM job_attempts WHERE ended_at < $1").bind(millis(before - MONTH));
        old.execute(&self.writer).await?;
        Ok(())
    }

    async fn mark_deleted(&self, id: &UploadId) -> Result<Marked, LedgerError> {
        let mut tx = self.begin().await?;
        let marked = sqlx::query("UPDATE uploads SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL")
            .bind(now())
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        if marked.rows_affected() == 0 {
            return Ok(Marked::Gone);
        }
        deliveries::forget(&mut tx, id).await?;
        history::forget(&mut tx, id).await?;
        let in_hand = jobs::forget(&mut tx, id).await?;
        tx.commit().await?;
        Ok(if in_hand { Marked::InHand } else { Marked::Free })
    }

    async fn deleting(&self, before: OffsetDateTime, most: u32) -> Result<Vec<Upload>, LedgerError> {
        let query = format!("SELECT {COLUMNS} FROM uploads WHERE deleted_at <= $1 ORDER BY deleted_at, id LIMIT $2");
        let query = sqlx::query(sql(query)).bind(millis(before)).bind(i64::from(most));
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(read).collect()
    }

    async fn remove(&self, upload: &Upload) -> Result<(), LedgerError> {
        let mut tx = self.begin().await?;
        // First, as everybody does who takes rows of one upload.
        let lock = format!("SELECT 1 AS one FROM uploads WHERE id = $1 {}", self.dialect.locked());
        sqlx::query(sql(lock)).bind(upload.id.as_str()).fetch_optional(&mut *tx).await?;
        // Of an object that nobody was given a credential for nothing can be on its way.
        if upload.expires_at > upload.created_at {
            revoke(&mut tx, upload).await?;
        }
        rechecks::add(&mut tx, &upload.id).await?;
        deliveries::forget(&mut tx, &upload.id).await?;
        jobs::forget(&mut tx, &upload.id).await?;
        history::forget(&mut tx, &upload.id).await?;
        sqlx::query("DELETE FROM uploads WHERE id = $1").bind(upload.id.as_str()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn rechecks(&self, due: OffsetDateTime, most: u32) -> Result<Vec<Recheck>, LedgerError> {
        rechecks::due(self, due, most).await
    }

    async fn rechecked(&self, recheck: &Recheck, next: Option<OffsetDateTime>) -> Result<(), LedgerError> {
        rechecks::done(self, recheck, next).await
    }

    async fn check(&self) -> Result<bool, LedgerError> {
        whole::check(self).await
    }

    async fn rehearse(&self, upload: &Upload, event: &StorageEvent) -> Result<(), LedgerError> {
        whole::rehearse(self, upload, event).await
    }

    async fn stuck(&self, before: OffsetDateTime, most: u32) -> Result<Vec<UploadId>, LedgerError> {
        whole::stuck(self, before, most).await
    }

    async fn count(&self) -> Result<Vec<(Status, u64)>, LedgerError> {
        let query = "SELECT status, count(*) AS n FROM uploads WHERE deleted_at IS NULL GROUP BY status";
        let rows = sqlx::query(query).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((read_status(row)?, read_count(row, "n")?))).collect()
    }

    async fn claim_deliveries(&self, claim: &Claim<'_>) -> Result<Vec<Delivery>, LedgerError> {
        deliveries::claim(self, claim).await
    }

    async fn hasten(&self) -> Result<(), LedgerError> {
        for statement in [
            "UPDATE jobs SET due_at = $1 WHERE due_at > $1 AND lease IS NULL AND dead_at IS NULL",
            "UPDATE deliveries SET due_at = $1 WHERE due_at > $1 AND leased = 0 AND status = 'pending'",
        ] {
            sqlx::query(statement).bind(now()).execute(&self.writer).await?;
        }
        Ok(())
    }

    async fn recover(&self) -> Result<(), LedgerError> {
        deliveries::recover(self).await
    }

    async fn settle_delivery(&self, claimed: &Delivery, attempt: &Attempt, next: Next) -> Result<bool, LedgerError> {
        deliveries::settle(self, claimed, attempt, next).await
    }

    async fn delivery(&self, id: &str) -> Result<Option<Delivery>, LedgerError> {
        deliveries::get(self, id).await
    }

    async fn outstanding(&self) -> Result<Outstanding, LedgerError> {
        deliveries::outstanding(self).await
    }

    async fn deliveries(&self, page: &Page, upload: Option<&UploadId>) -> Result<Vec<Delivery>, LedgerError> {
        deliveries::list(self, page, upload).await
    }

    async fn attempts(&self, id: &str) -> Result<Vec<Attempt>, LedgerError> {
        deliveries::attempts(self, id).await
    }

    async fn resend(&self, id: &str) -> Result<bool, LedgerError> {
        deliveries::resend(self, id).await
    }

    async fn add_key(&self, key: &ApiKey) -> Result<(), LedgerError> {
        keys::add(self, key).await
    }

    async fn keys(&self) -> Result<Vec<ApiKey>, LedgerError> {
        keys::list(self).await
    }

    async fn revoke_key(&self, id: &str, at: OffsetDateTime) -> Result<bool, LedgerError> {
        keys::revoke(self, id, at).await
    }

    async fn key_used(&self, id: &str, at: OffsetDateTime) -> Result<(), LedgerError> {
        keys::used(self, id, at).await
    }

    async fn secret(&self, name: &str, offered: &str) -> Result<String, LedgerError> {
        keys::secret(self, name, offered).await
    }
}

/// A condition for what is looked for, and the values of its parameters, of which `first` is the first.
fn found_by(search: &Search, first: usize) -> (String, Vec<String>) {
    let mut values = search.beginnings.clone();
    let mut either: Vec<String> = (first..)
        .take(values.len())
        .map(|n| format!("substr(id, 1, length(${n})) = ${n} OR substr(key, 1, length(${n})) = ${n}"))
        .collect();
    if let Some(text) = &search.text {
        let n = first + values.len();
        // SQLite knows the cases of ASCII alone: what is beyond it is found as it was written, too.
        either.push(format!("lower(filename) LIKE ${n} ESCAPE '!' OR filename LIKE ${} ESCAPE '!'", n + 1));
        values.extend([format!("%{}%", pattern(&text.to_lowercase())), format!("%{}%", pattern(text))]);
        // Metadata is ASCII, and ends the policy's JSON; a quote in a value has a backslash before it.
        let quoted = json!(text.to_lowercase()).to_string();
        let inside = &quoted[1..quoted.len() - 1];
        either.push(format!("lower(policy) LIKE ${} ESCAPE '!'", n + 2));
        values.push(format!("%\"metadata\":{{%:\"{}%", pattern(inside)));
    }
    let either = either.join(" OR ");
    (if either.is_empty() { either } else { format!("AND ({either})") }, values)
}

/// A text that stands for itself in a pattern.
fn pattern(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// A row that nobody else changes until the transaction ends.
async fn locked(tx: &mut AnyConnection, ledger: &SqlLedger, id: &UploadId) -> Result<Option<Upload>, LedgerError> {
    let lock = ledger.dialect.locked();
    let query = format!("SELECT {COLUMNS} FROM uploads WHERE id = $1 AND deleted_at IS NULL {lock}");
    let row = sqlx::query(sql(query)).bind(id.as_str()).fetch_optional(tx).await?;
    row.as_ref().map(read).transpose()
}

async fn revoke(tx: &mut AnyConnection, upload: &Upload) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO revoked (key, until) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET until = excluded.until",
    )
    .bind(upload.key.as_str())
    .bind(millis(upload.expires_at).max(now()))
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether what comes under a key is refused: its upload was deleted. An event may be later than the credential's end, so
/// the key stays revoked until it is forgotten.
pub(super) async fn is_revoked(tx: &mut AnyConnection, key: &Key) -> Result<bool, LedgerError> {
    let row = sqlx::query(
        "SELECT 1 AS one FROM revoked WHERE key = $1
         UNION ALL SELECT 1 AS one FROM uploads WHERE key = $1 AND deleted_at IS NOT NULL",
    )
    .bind(key.as_str())
    .fetch_optional(tx)
    .await?;
    Ok(row.is_some())
}

/// False when a row like it is there and the conflict is to be passed over.
pub(super) async fn insert(tx: &mut AnyConnection, upload: &Upload, on_conflict: &str) -> Result<bool, LedgerError> {
    let done = sqlx::query(sql(format!(
        "INSERT INTO uploads ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         {on_conflict}"
    )))
    .bind(upload.id.as_str())
    .bind(upload.key.as_str())
    .bind(upload.status.as_str())
    .bind(serde_json::to_string(&upload.policy)?)
    .bind(upload.extension.as_deref())
    .bind(&upload.preset)
    .bind(upload.processed_key.as_ref().map(Key::as_str))
    .bind(upload.manifest.as_ref().map(serde_json::to_string).transpose()?)
    .bind(upload.error.as_ref().map(serde_json::to_string).transpose()?)
    .bind(millis(upload.created_at))
    .bind(millis(upload.expires_at))
    .bind(upload.traceparent.as_deref())
    .bind(upload.pin.as_ref().map(serde_json::to_string).transpose()?)
    .bind(upload.owner.as_deref())
    .bind(upload.filename.as_deref())
    .bind(upload.claimed_at.map(millis))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records an outcome; gives its number, which counts those that differ. None when there is no such upload.
async fn end(tx: &mut AnyConnection, id: &UploadId, outcome: &Outcome) -> Result<Option<i64>, LedgerError> {
    let (status, processed_key, manifest, error) = match outcome {
        Outcome::Completed(manifest) => {
            (Status::Completed, manifest.processed_key(), Some(serde_json::to_string(manifest)?), None)
        }
        Outcome::Processed(key) => (Status::Completed, Some(key), None, None),
        Outcome::Failed(failure) => (Status::Failed, None, None, Some(serde_json::to_string(failure)?)),
    };
    let row = sqlx::query(
        "UPDATE uploads SET
           outcomes = outcomes + CASE WHEN outcomes = 0 OR processed_key IS DISTINCT FROM $2
             OR manifest IS DISTINCT FROM $3 OR error IS DISTINCT FROM $4 THEN 1 ELSE 0 END,
           status = $1, processed_key = $2, manifest = $3, error = $4
         WHERE id = $5 AND deleted_at IS NULL AND NOT (status = 'expired' AND pin IS NOT NULL) RETURNING outcomes",
    )
    .bind(status.as_str())
    .bind(processed_key.map(Key::as_str))
    .bind(manifest)
    .bind(error)
    .bind(id.as_str())
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| row.try_get("outcomes")).transpose()?)
}

/// Lets go of a state that nobody has ever read: an event told of it, and it was not there. An original that comes after that
/// is the first.
async fn unpin(tx: &mut AnyConnection, id: &UploadId) -> Result<(), LedgerError> {
    let row = sqlx::query("SELECT pin FROM uploads WHERE id = $1").bind(id.as_str()).fetch_optional(&mut *tx).await?;
    let pin: Option<String> = row.map(|row| row.try_get("pin")).transpose()?.flatten();
    let pin: Pin = pin.map(|pin| serde_json::from_str(&pin)).transpose()?.unwrap_or_default();
    if pin.sha256.is_some() {
        return Ok(());
    }
    let order_alone = Pin { sequencer: pin.sequencer, ..Pin::default() };
    sqlx::query("UPDATE uploads SET pin = $2 WHERE id = $1")
        .bind(id.as_str())
        .bind(serde_json::to_string(&order_alone)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes what a request is answered with. False when its key is taken: [`replay`] says by what.
async fn promise(tx: &mut AnyConnection, asked: &Idempotency, uploads: &[Upload]) -> Result<bool, LedgerError> {
    let ids: Vec<_> = uploads.iter().map(|upload| &upload.id).collect();
    let done = sqlx::query(
        "INSERT INTO idempotency (key, request, upload_ids, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(asked.name())
    .bind(&asked.request)
    .bind(serde_json::to_string(&ids)?)
    .bind(now())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What an Idempotency-Key was answered with before.
async fn replay(tx: &mut AnyConnection, asked: &Idempotency) -> Result<Created, LedgerError> {
    let row = sqlx::query("SELECT request, upload_ids FROM idempotency WHERE key = $1")
        .bind(asked.name())
        .fetch_one(&mut *tx)
        .await?;
    if row.try_get::<String, _>("request")? != asked.request {
        return Ok(Created::Conflict);
    }
    let ids: Vec<UploadId> = serde_json::from_str(&row.try_get::<String, _>("upload_ids")?)?;
    let mut uploads = Vec::new();
    for id in &ids {
        let query = format!("SELECT {COLUMNS} FROM uploads WHERE id = $1 AND deleted_at IS NULL");
        let row = sqlx::query(sql(query)).bind(id.as_str()).fetch_optional(&mut *tx).await?;
        uploads.extend(row.as_ref().map(read).transpose()?);
    }
    Ok(Created::Replayed(uploads))
}

pub(super) fn read(row: &AnyRow) -> Result<Upload, LedgerError> {
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let key = |key: String| Key::new(key).map_err(|e| LedgerError(e.to_string()));
    Ok(Upload {
        id: read_id(row, "id")?,
        key: key(row.try_get("key")?)?,
        status: read_status(row)?,
        policy: serde_json::from_str(&row.try_get::<String, _>("policy")?)?,
        extension: text("extension")?,
        preset: row.try_get("preset")?,
        processed_key: text("processed_key")?.map(key).transpose()?,
        manifest: text("manifest")?.as_deref().map(serde_json::from_str).transpose()?,
        error: text("error")?.as_deref().map(serde_json::from_str).transpose()?,
        created_at: read_time(row, "created_at")?,
        expires_at: read_time(row, "expires_at")?,
        traceparent: text("traceparent")?,
        pin: text("pin")?.as_deref().map(serde_json::from_str).transpose()?,
        owner: text("owner")?,
        filename: text("filename")?,
        claimed_at: read_time_if(row, "claimed_at")?,
    })
}

fn read_status(row: &AnyRow) -> Result<Status, LedgerError> {
    let word: String = row.try_get("status")?;
    Status::parse(&word).ok_or_else(|| LedgerError(format!("{word:?} is no status")))
}
