//! What every ledger must do, run against each provider.
#![allow(clippy::unwrap_used)]

mod arrivals;
mod deliveries;
mod listings;
mod rechecks;

use std::collections::HashMap;

use super::testing::{Arriving, upload};
use super::*;
use crate::error::Failure;
use crate::queue::{JobState, Queue};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn in_sqlite() {
    let (_dir, ledger) = testing::sqlite().await;
    conforms(&ledger).await;
}

#[tokio::test]
async fn in_postgres() {
    let Some(server) = testing::Postgres::start() else { return };
    let ledger = server.ledger().await;
    conforms(&ledger).await;
    // Many who start at once make the tables once.
    let starts = (0..6).map(|_| async { SqlLedger::open(&server.url()).await.unwrap().close().await });
    futures::future::join_all(starts).await;
    a_newer_one_is_refused(&server.url()).await;
}

#[tokio::test]
async fn a_sqlite_ledger_of_a_newer_version_is_refused() {
    let (dir, ledger) = testing::sqlite().await;
    ledger.close().await;
    a_newer_one_is_refused(&LedgerUrl::Sqlite(dir.path().join("t.db"))).await;
}

async fn a_newer_one_is_refused(url: &LedgerUrl) {
    let ledger = SqlLedger::look(url).await.unwrap();
    assert_eq!(ledger.schema_version().await.unwrap(), sql::schema::LATEST);
    ledger.pretend_version_99().await;
    ledger.close().await;
    for error in [SqlLedger::open(url).await.unwrap_err(), SqlLedger::attach(url).await.unwrap_err()] {
        assert!(error.0.contains("newer") && error.0.contains("99"), "{error}");
    }
}

#[tokio::test]
async fn both_have_the_same_tables() {
    let Some(server) = testing::Postgres::start() else { return };
    let (_dir, sqlite) = testing::sqlite().await;
    let (here, there) = (sqlite.columns().await, server.ledger().await.columns().await);
    assert!(here.len() > 40, "{here:?}");
    assert_eq!(here, there);
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
    let (dir, ledger) = testing::sqlite().await;
    ledger.close().await;
    let file = dir.path().join("old.db");
    let url = LedgerUrl::Sqlite(file);
    SqlLedger::of_first_version(&url).await;
    assert!(SqlLedger::attach(&url).await.unwrap_err().0.contains("tintype migrate"));
    let (ledger, before) = SqlLedger::migrate(&url).await.unwrap();
    assert_eq!(before, 1);
    let told = ledger.claim_deliveries(&all(10)).await.unwrap();
    assert_eq!(told.len(), 1, "the first outcome is told before the second");
    assert!(told[0].id.ends_with("_9"), "{}", told[0].id);
    ledger.settle_delivery(&told[0], &attempt(Some(200)), Next::Delivered).await.unwrap();
    let told = ledger.claim_deliveries(&all(10)).await.unwrap();
    ledger.settle_delivery(&told[0], &attempt(Some(200)), Next::Delivered).await.unwrap();
    conforms(&ledger).await;
}

fn event(upload: &Upload) -> StorageEvent {
    StorageEvent {
        bucket: None,
        key: upload.key.clone(),
        size: Some(3),
        etag: Some("e".into()),
        version: None,
        sequencer: None,
    }
}

fn all(most: u32) -> Claim<'static> {
    Claim { most, most_each: most, lease: LONG, except: &[] }
}

fn notice() -> Notice {
    Notice { url: "http://localhost/".into(), method: "PUT".into(), body: "{}".into() }
}

fn failed() -> Outcome {
    Outcome::Failed(Failure::new("corrupt", "it is broken"))
}

fn attempt(status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "refused".to_owned());
    Attempt {
        at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(),
        status,
        error,
        millis: 5,
        response: Some("no\0thing".into()),
    }
}

async fn conforms(ledger: &SqlLedger) {
    arrivals::the_first_bytes_win(ledger).await;
    arrivals::many_replays_are_one_job(ledger).await;
    arrivals::the_newest_version_wins(ledger).await;
    arrivals::what_was_developed_is_developed_again(ledger).await;
    arrivals::an_unclaimed_upload_lapses(ledger).await;
    rechecks::names_of_a_removed_upload_are_looked_at_again(ledger).await;
    rechecks::whoever_takes_a_job_over_is_followed_by_a_look(ledger).await;
    rechecks::the_first_bytes_that_are_read_are_known(ledger).await;
    what_waits_is_hastened(ledger).await;
    what_jobs_came_to_is_kept(ledger).await;
    a_job_comes_and_goes_with_its_upload(ledger).await;
    a_lost_lease_records_nothing(ledger).await;
    a_dead_job_is_kept_with_its_reason(ledger).await;
    a_deletion_has_two_halves(ledger).await;
    deliveries::outcomes_are_told_in_their_order(ledger).await;
    deliveries::a_busy_endpoint_holds_no_other_back(ledger).await;
    keys_and_secrets_are_kept(ledger).await;
    arrivals::many_adopt_a_key_at_once(ledger).await;
    many_ask_under_one_idempotency_key(ledger).await;
    rows_come_back_as_they_were(ledger).await;
    equal_idempotency_keys_are_equal_requests(ledger).await;
    a_batch_is_all_or_none(ledger).await;
    arrivals::an_unannounced_key_is_adopted_once(ledger).await;
    an_outcome_and_its_callback_are_one(ledger).await;
    deliveries::a_delivery_is_claimed_once_and_settled(ledger).await;
    deliveries::a_late_attempt_changes_no_delivery(ledger).await;
    deliveries::the_same_delivery_again_is_sent_again_under_its_id(ledger).await;
    an_idempotency_key_is_its_owners(ledger).await;
    a_rehearsal_leaves_nothing(ledger).await;
    what_does_not_move_is_found(ledger).await;
    a_key_is_never_used_earlier_than_it_was(ledger).await;
    only_pending_uploads_expire(ledger).await;
    many_are_asked_for_at_once(ledger).await;
    what_is_removed_is_gone(ledger).await;
    arrivals::a_late_event_of_a_deleted_upload_is_refused(ledger).await;
    listings::listings_go_on_where_they_stopped(ledger).await;
    listings::uploads_are_found_by_how_they_begin(ledger).await;
    listings::uploads_are_found_by_their_file_names_and_metadata(ledger).await;
}

async fn rows_come_back_as_they_were(ledger: &dyn Ledger) {
    let row = upload();
    assert_eq!(ledger.create(std::slice::from_ref(&row), None).await.unwrap(), Created::New);
    assert_eq!(ledger.get(&row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(ledger.find(&row.key).await.unwrap(), Some(row));
    assert_eq!(ledger.get(&UploadId::random()).await.unwrap(), None);
}

async fn equal_idempotency_keys_are_equal_requests(ledger: &dyn Ledger) {
    let (first, second) = (upload(), upload());
    let promise = |request: &str| Idempotency { owner: None, key: "k".into(), request: request.into() };
    ledger.create(std::slice::from_ref(&first), Some(&promise("r"))).await.unwrap();
    let replayed = ledger.create(std::slice::from_ref(&second), Some(&promise("r"))).await.unwrap();
    assert_eq!(replayed, Created::Replayed(vec![first]));
    let other = ledger.create(std::slice::from_ref(&second), Some(&promise("other"))).await.unwrap();
    assert_eq!(other, Created::Conflict);
    assert_eq!(ledger.get(&second.id).await.unwrap(), None);
    ledger.forget(OffsetDateTime::now_utc() - LONG).await.unwrap();
    assert_ne!(ledger.create(std::slice::from_ref(&second), Some(&promise("r"))).await.unwrap(), Created::New);
    ledger.forget(OffsetDateTime::now_utc() + LONG).await.unwrap();
    assert_eq!(ledger.create(std::slice::from_ref(&second), Some(&promise("r"))).await.unwrap(), Created::New);
}

async fn a_batch_is_all_or_none(ledger: &dyn Ledger) {
    let row = upload();
    assert!(ledger.create(&[row.clone(), row.clone()], None).await.is_err());
    assert_eq!(ledger.get(&row.id).await.unwrap(), None);
}

async fn an_outcome_and_its_callback_are_one(ledger: &dyn Ledger) {
    let row = upload();
    assert_eq!(ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap(), Finished::Gone);
    assert!(ledger.deliveries(&page(), Some(&row.id)).await.unwrap().is_empty());
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap().unwrap().status, Status::Processing);
    assert_eq!(ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap(), Finished::Recorded);
    let found = ledger.get(&row.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.error.unwrap().code.as_ref()), (Status::Failed, "corrupt"));
    let told = ledger.deliveries(&page(), Some(&row.id)).await.unwrap();
    assert_eq!((told.len(), told[0].status, told[0].body.as_str()), (1, DeliveryStatus::Pending, "{}"));
    let key = Key::new("image/x.jpg").unwrap();
    let processed = Outcome::Processed(key.clone());
    assert_eq!(ledger.finish(&row.id, &processed, None, None).await.unwrap(), Finished::Recorded);
    let found = ledger.get(&row.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.processed_key, found.error), (Status::Completed, Some(key), None));
    let second_event = ledger.arrived(&row, &event(&row)).await.unwrap().unwrap();
    assert_eq!(second_event.status, Status::Completed, "a second event changes nothing");
    assert!(ledger.reopen(&row.id, &event(&row)).await.unwrap());
    assert_eq!(ledger.get(&row.id).await.unwrap().unwrap().status, Status::Processing);
    ledger.remove(&row).await.unwrap();
}

async fn an_idempotency_key_is_its_owners(ledger: &dyn Ledger) {
    let rows: Vec<_> = (0..4).map(|_| upload()).collect();
    let promise =
        |owner: Option<&str>| Idempotency { owner: owner.map(str::to_owned), key: "own".into(), request: "r".into() };
    for (row, owner) in rows.iter().zip([Some("a"), Some("b"), None]) {
        assert_eq!(
            ledger.create(std::slice::from_ref(row), Some(&promise(owner))).await.unwrap(),
            Created::New,
            "{owner:?}"
        );
    }
    for (row, owner) in rows.iter().zip([Some("a"), Some("b"), None]) {
        let again = ledger.create(&rows[3..], Some(&promise(owner))).await.unwrap();
        assert_eq!(again, Created::Replayed(vec![row.clone()]), "{owner:?}");
    }
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

async fn a_rehearsal_leaves_nothing(ledger: &SqlLedger) {
    let row = upload();
    ledger.rehearse(&row, &event(&row)).await.unwrap();
    assert_eq!(ledger.get(&row.id).await.unwrap(), None);
    assert!(!ledger.has(&row.id).await.unwrap());
    assert!(ledger.check().await.unwrap());
}

async fn what_does_not_move_is_found(ledger: &SqlLedger) {
    let now = OffsetDateTime::now_utc();
    let before = ledger.stuck(now - LONG, 1000).await.unwrap().len();
    let (moving, idle) = (upload(), Upload { status: Status::Processing, ..upload() });
    ledger.create(std::slice::from_ref(&idle), None).await.unwrap();
    ledger.arrived(&moving, &event(&moving)).await.unwrap();
    let stuck = ledger.stuck(now - LONG, 1000).await.unwrap();
    assert!(stuck.contains(&idle.id) && !stuck.contains(&moving.id) && stuck.len() == before + 1);
    let stuck = ledger.stuck(now + LONG, 1000).await.unwrap();
    assert!(stuck.contains(&idle.id) && stuck.contains(&moving.id), "its job is older than that");
    assert_eq!(ledger.stuck(now + LONG, 1).await.unwrap().len(), 1);
    for row in [&moving, &idle] {
        ledger.remove(row).await.unwrap();
    }
}

async fn a_key_is_never_used_earlier_than_it_was(ledger: &dyn Ledger) {
    let at = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    for used in [at, at - LONG] {
        ledger.key_used("k1", used).await.unwrap();
    }
    assert_eq!(ledger.keys().await.unwrap().iter().find(|key| key.id == "k1").unwrap().last_used_at, Some(at));
}

async fn a_job_comes_and_goes_with_its_upload(ledger: &SqlLedger) {
    let row = upload();
    for _ in 0..3 {
        ledger.arrived(&row, &event(&row)).await.unwrap();
    }
    assert_eq!(ledger.depth().await.unwrap().waiting, 1, "the same event again, while its job waits, adds none");
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!((&leased.job.upload_id, &leased.job.event, leased.job.force), (&row.id, &event(&row), false));
    ledger.arrived(&row, &event(&row)).await.unwrap();
    assert_eq!(ledger.depth().await.unwrap().waiting, 0, "what is in hand reads the same bytes");
    let done = ledger.finish(&row.id, &failed(), Some(&notice()), Some(JobEnd::Done(&leased))).await.unwrap();
    assert_eq!(done, Finished::Recorded);
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let depth = ledger.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased), (1, 0), "once it is done, it is told again");
    assert!(depth.oldest.is_some() && ledger.has(&row.id).await.unwrap());
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.depth().await.unwrap(), Default::default());
    assert!(!ledger.reopen(&row.id, &event(&row)).await.unwrap(), "there is nothing to develop again");
    assert!(!ledger.has(&row.id).await.unwrap());
}

async fn a_lost_lease_records_nothing(ledger: &SqlLedger) {
    let row = upload();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let late = ledger.claim(Duration::ZERO, true).await.unwrap().unwrap();
    let held = ledger.claim(LONG, true).await.unwrap().unwrap();
    assert!(!ledger.extend(&late, LONG).await.unwrap() && ledger.extend(&held, LONG).await.unwrap());
    let lost = ledger.finish(&row.id, &failed(), Some(&notice()), Some(JobEnd::Done(&late))).await.unwrap();
    assert_eq!(lost, Finished::LeaseLost);
    assert_eq!(ledger.get(&row.id).await.unwrap().unwrap().status, Status::Processing);
    assert!(ledger.deliveries(&page(), Some(&row.id)).await.unwrap().is_empty());
    ledger.remove(&row).await.unwrap();
    let gone = ledger.finish(&row.id, &failed(), Some(&notice()), Some(JobEnd::Done(&held))).await.unwrap();
    assert_eq!(gone, Finished::Gone);
}

async fn a_dead_job_is_kept_with_its_reason(ledger: &SqlLedger) {
    let row = upload();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    ledger.finish(&row.id, &failed(), None, Some(JobEnd::Dead(&leased, "no store"))).await.unwrap();
    let dead = ledger.jobs(None, Some(JobState::Dead), 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].last_error.as_deref(), dead[0].attempts), (1, Some("no store"), 1));
    assert_eq!(ledger.claim(LONG, true).await.unwrap(), None);
    assert!(!ledger.has(&row.id).await.unwrap());
    assert!(ledger.reopen(&row.id, &event(&row)).await.unwrap());
    let jobs = ledger.jobs(Some(&row.id), None, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Waiting]);
    assert!(ledger.claim(LONG, true).await.unwrap().unwrap().job.force);
    ledger.remove(&row).await.unwrap();
}

async fn a_deletion_has_two_halves(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    ledger.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!(ledger.mark_deleted(&row.id).await.unwrap(), Marked::InHand);
    assert_eq!(ledger.mark_deleted(&row.id).await.unwrap(), Marked::Gone);
    assert_eq!((ledger.get(&row.id).await.unwrap(), ledger.find(&row.key).await.unwrap()), (None, None));
    assert!(ledger.list(&page(), &Search::default()).await.unwrap().iter().all(|listed| listed.id != row.id));
    assert!(!ledger.has(&row.id).await.unwrap());
    assert!(ledger.deliveries(&page(), Some(&row.id)).await.unwrap().is_empty());
    ledger.forget(row.expires_at + LONG).await.unwrap();
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap(), None, "while it goes, nothing comes");
    let now = OffsetDateTime::now_utc();
    assert!(ledger.deleting(now - LONG, 10).await.unwrap().is_empty());
    let going = ledger.deleting(now + LONG, 10).await.unwrap();
    assert_eq!(going.iter().map(|row| &row.id).collect::<Vec<_>>(), [&row.id]);
    ledger.remove(&row).await.unwrap();
    assert!(ledger.deleting(now + LONG, 10).await.unwrap().is_empty());
}

async fn keys_and_secrets_are_kept(ledger: &SqlLedger) {
    let at = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let key = ApiKey {
        id: "k1".into(),
        name: "web".into(),
        hash: "00".into(),
        scopes: "uploads:create uploads:read".into(),
        created_at: at,
        expires_at: Some(at + LONG),
        last_used_at: None,
        revoked_at: None,
    };
    ledger.add_key(&key).await.unwrap();
    assert!(ledger.add_key(&key).await.is_err());
    assert_eq!(ledger.keys().await.unwrap(), std::slice::from_ref(&key));
    ledger.key_used("k1", at).await.unwrap();
    assert!(ledger.revoke_key("k1", at).await.unwrap() && !ledger.revoke_key("k2", at).await.unwrap());
    assert!(ledger.revoke_key("k1", at + LONG).await.unwrap());
    let kept = ledger.keys().await.unwrap().remove(0);
    assert_eq!((kept.last_used_at, kept.revoked_at), (Some(at), Some(at)), "the first revocation counts");
    assert_eq!(ledger.secret("s", "one").await.unwrap(), "one");
    assert_eq!(ledger.secret("s", "two").await.unwrap(), "one");
}

async fn many_ask_under_one_idempotency_key(ledger: &SqlLedger) {
    let promise = Idempotency { owner: None, key: "race".into(), request: "r".into() };
    let rows: Vec<_> = (0..8).map(|_| upload()).collect();
    let asked = rows.iter().map(|row| ledger.create(std::slice::from_ref(row), Some(&promise)));
    let answers = futures::future::join_all(asked).await;
    let made = answers.iter().filter(|answer| matches!(answer, Ok(Created::New))).count();
    let replayed = answers.iter().filter(|answer| matches!(answer, Ok(Created::Replayed(rows)) if rows.len() == 1));
    assert_eq!((made, replayed.count()), (1, 7), "{answers:?}");
}

async fn only_pending_uploads_expire(ledger: &dyn Ledger) {
    let (pending, arrived) = (upload(), upload());
    ledger.create(&[pending.clone(), arrived.clone()], None).await.unwrap();
    ledger.arrived(&arrived, &event(&arrived)).await.unwrap();
    assert!(ledger.expire(pending.created_at).await.unwrap().is_empty());
    let expired = ledger.expire(pending.expires_at).await.unwrap();
    assert!(expired.contains(&pending.id) && !expired.contains(&arrived.id));
    assert_eq!(ledger.get(&pending.id).await.unwrap().unwrap().status, Status::Expired);
    let late = ledger.arrived(&pending, &event(&pending)).await.unwrap().unwrap();
    assert_eq!(late.status, Status::Processing, "late is better than never");
}

async fn many_are_asked_for_at_once(ledger: &SqlLedger) {
    let rows: Vec<_> = (0..600).map(|_| upload()).collect();
    ledger.create(&rows, None).await.unwrap();
    ledger.finish(&rows[1].id, &failed(), None, None).await.unwrap();
    ledger.mark_deleted(&rows[2].id).await.unwrap();
    let asked: Vec<_> = rows.iter().map(|row| row.id.clone()).chain([UploadId::random()]).collect();
    let found: HashMap<_, _> = ledger.statuses(&asked).await.unwrap().into_iter().collect();
    let of = |n: usize| found.get(&rows[n].id).copied();
    assert_eq!((found.len(), of(0), of(1), of(2)), (599, Some(Status::Pending), Some(Status::Failed), None));
    assert!(ledger.statuses(&[]).await.unwrap().is_empty());
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

async fn what_is_removed_is_gone(ledger: &dyn Ledger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.get(&row.id).await.unwrap(), None);
    assert!(ledger.deliveries(&page(), Some(&row.id)).await.unwrap().is_empty());
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap(), None, "its credential is still good, and revoked");
    ledger.forget(row.expires_at + LONG).await.unwrap();
    assert!(ledger.arrived(&row, &event(&row)).await.unwrap().is_some());
    ledger.remove(&row).await.unwrap();
}

async fn what_waits_is_hastened(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    let told = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    ledger.settle_delivery(&told, &attempt(Some(500)), Next::RetryIn(LONG)).await.unwrap();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    ledger.retry(&leased, LONG, "the store is away").await.unwrap();
    assert!(
        ledger.claim(LONG, true).await.unwrap().is_none()
            && ledger.claim_deliveries(&all(10)).await.unwrap().is_empty()
    );
    ledger.hasten().await.unwrap();
    assert!(ledger.claim(LONG, true).await.unwrap().is_some());
    assert_eq!(ledger.claim_deliveries(&all(10)).await.unwrap().len(), 1);
    ledger.hasten().await.unwrap();
    assert!(ledger.claim(LONG, true).await.unwrap().is_none(), "what is in hand stays there");
    ledger.remove(&row).await.unwrap();
}

async fn what_jobs_came_to_is_kept(ledger: &SqlLedger) {
    let row = upload();
    let begun = OffsetDateTime::now_utc();
    let before = ledger.activity(begun - LONG).await.unwrap();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    ledger.retry(&leased, Duration::ZERO, "the store is a\0way").await.unwrap();
    ledger.retry(&leased, Duration::ZERO, "too late").await.unwrap();
    let leased = ledger.claim(LONG, true).await.unwrap().unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), Some(JobEnd::Done(&leased))).await.unwrap();
    ledger.finish(&row.id, &Outcome::Processed(row.key.clone()), None, None).await.unwrap();
    let tries = ledger.history(&row.id, 10).await.unwrap();
    let told: Vec<_> = tries.iter().map(|t| (t.attempt, t.outcome.as_str(), t.error.as_deref())).collect();
    let corrupt = (Some(2), "corrupt", Some("it is broken"));
    assert_eq!(told, [(Some(1), "again", Some("the store is a\u{fffd}way")), corrupt, (None, "completed", None)]);
    assert!(tries[1].queued_at <= tries[1].started_at && tries[1].job == Some(leased.id));
    assert_eq!(ledger.history(&row.id, 1).await.unwrap()[0].outcome, "completed", "the last ones");
    let after = ledger.activity(begun - LONG).await.unwrap();
    assert_eq!(after.took.len(), before.took.len() + 1, "of what had a job, once");
    let count = |activity: &Activity| activity.minutes.iter().map(|minute| minute.count).sum::<u64>();
    assert_eq!(count(&after), count(&before) + 2, "a try that is followed by another is no end");
    let outstanding = ledger.outstanding().await.unwrap();
    assert_eq!(outstanding.pending, 1);
    ledger.forget(begun + LONG).await.unwrap();
    assert_eq!(ledger.history(&row.id, 10).await.unwrap().len(), 3, "kept for a month");
    ledger.remove(&row).await.unwrap();
    assert!(ledger.history(&row.id, 10).await.unwrap().is_empty());
}

fn page() -> Page {
    Page { limit: 100, ..Default::default() }
}
