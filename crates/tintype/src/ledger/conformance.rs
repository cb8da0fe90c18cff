//! What every ledger must do, run against each provider.
#![allow(clippy::unwrap_used)]

use super::testing::Arriving;
use super::*;
use crate::error::Failure;
use crate::queue::{JobState, Queue};
use crate::upload::{Method, Policy};

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

fn upload() -> Upload {
    let id = UploadId::random();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    Upload {
        key: Key::new(format!("temp/{id}.jpg")).unwrap(),
        id,
        status: Status::Pending,
        policy: Policy {
            method: Method::Post,
            content_type: "image/*".into(),
            max_bytes: 10,
            size: Some(3),
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            claim_within: None,
        },
        extension: Some("jpeg".into()),
        preset: "default".into(),
        created_at: now,
        expires_at: now + Duration::from_secs(1000),
        processed_key: None,
        manifest: None,
        error: None,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        pin: None,
        owner: Some("k_1".into()),
        filename: Some("Café.jpg".into()),
        claimed_at: None,
    }
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
    the_first_bytes_win(ledger).await;
    many_replays_are_one_job(ledger).await;
    the_newest_version_wins(ledger).await;
    what_was_developed_is_developed_again(ledger).await;
    an_unclaimed_upload_lapses(ledger).await;
    what_waits_is_hastened(ledger).await;
    what_jobs_came_to_is_kept(ledger).await;
    a_job_comes_and_goes_with_its_upload(ledger).await;
    a_lost_lease_records_nothing(ledger).await;
    a_dead_job_is_kept_with_its_reason(ledger).await;
    a_deletion_has_two_halves(ledger).await;
    outcomes_are_told_in_their_order(ledger).await;
    a_busy_endpoint_holds_no_other_back(ledger).await;
    keys_and_secrets_are_kept(ledger).await;
    many_adopt_a_key_at_once(ledger).await;
    many_ask_under_one_idempotency_key(ledger).await;
    rows_come_back_as_they_were(ledger).await;
    equal_idempotency_keys_are_equal_requests(ledger).await;
    a_batch_is_all_or_none(ledger).await;
    an_unannounced_key_is_adopted_once(ledger).await;
    an_outcome_and_its_callback_are_one(ledger).await;
    a_delivery_is_claimed_once_and_settled(ledger).await;
    a_late_attempt_changes_no_delivery(ledger).await;
    the_same_delivery_again_is_sent_again_under_its_id(ledger).await;
    an_idempotency_key_is_its_owners(ledger).await;
    a_rehearsal_leaves_nothing(ledger).await;
    what_does_not_move_is_found(ledger).await;
    a_key_is_never_used_earlier_than_it_was(ledger).await;
    only_pending_uploads_expire(ledger).await;
    what_is_removed_is_gone(ledger).await;
    a_late_event_of_a_deleted_upload_is_refused(ledger).await;
    listings_go_on_where_they_stopped(ledger).await;
    uploads_are_found_by_how_they_begin(ledger).await;
    uploads_are_found_by_their_file_names_and_metadata(ledger).await;
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

async fn an_unannounced_key_is_adopted_once(ledger: &dyn Ledger) {
    let row = upload();
    let adopted = Upload { status: Status::Processing, pin: Some(event(&row).pin()), ..row.clone() };
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap(), Some(adopted.clone()));
    let again = Upload { id: UploadId::random(), ..row.clone() };
    assert_eq!(ledger.arrived(&again, &event(&again)).await.unwrap(), Some(adopted));
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

async fn a_delivery_is_claimed_once_and_settled(ledger: &dyn Ledger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    let claimed = ledger.claim_deliveries(&all(10)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(ledger.claim_deliveries(&all(10)).await.unwrap().is_empty());
    Ledger::recover(ledger).await.unwrap();
    let claimed = ledger.claim_deliveries(&all(10)).await.unwrap();
    assert_eq!(claimed.len(), 1, "a restart frees what was in hand");
    assert!(ledger.settle_delivery(&claimed[0], &attempt(None), Next::RetryIn(Duration::ZERO)).await.unwrap());
    let again = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    assert_eq!(again.attempts, 1);
    assert!(ledger.settle_delivery(&again, &attempt(Some(200)), Next::Delivered).await.unwrap());
    let id = &again.id;
    assert!(ledger.claim_deliveries(&all(10)).await.unwrap().is_empty());
    let told = &ledger.deliveries(&page(), Some(&row.id)).await.unwrap()[0];
    assert_eq!((told.status, told.attempts, told.last_status), (DeliveryStatus::Delivered, 2, Some(200)));
    assert_eq!(ledger.attempts(id).await.unwrap().len(), 2);
    assert!(ledger.resend(id).await.unwrap());
    let last = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    ledger.settle_delivery(&last, &attempt(Some(410)), Next::Dead).await.unwrap();
    assert!(!ledger.resend("msg_none").await.unwrap());
    ledger.remove(&row).await.unwrap();
    assert!(ledger.attempts(id).await.unwrap().is_empty());
}

/// As a process does that was stopped during its attempt and goes on after another has done the work.
async fn a_late_attempt_changes_no_delivery(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    let soon = Claim { lease: Duration::ZERO, ..all(10) };
    let late = ledger.claim_deliveries(&soon).await.unwrap().remove(0);
    let held = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    assert_eq!(late.id, held.id);
    for next in [Next::Dead, Next::Delivered, Next::RetryIn(LONG)] {
        assert!(!ledger.settle_delivery(&late, &attempt(Some(500)), next).await.unwrap(), "in another's hand");
    }
    assert!(ledger.settle_delivery(&held, &attempt(Some(200)), Next::Delivered).await.unwrap());
    for next in [Next::Dead, Next::RetryIn(LONG)] {
        assert!(!ledger.settle_delivery(&late, &attempt(Some(500)), next).await.unwrap(), "delivered by another");
        assert!(!ledger.settle_delivery(&held, &attempt(Some(500)), next).await.unwrap(), "settled once");
    }
    let told = ledger.delivery(&held.id).await.unwrap().unwrap();
    assert_eq!((told.status, told.attempts, told.last_status), (DeliveryStatus::Delivered, 1, Some(200)));
    assert_eq!(ledger.attempts(&held.id).await.unwrap().len(), 1);
    // Told again, resent or freed since, it is another claim's.
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    assert!(!ledger.settle_delivery(&late, &attempt(Some(500)), Next::Dead).await.unwrap());
    let stale = ledger.claim_deliveries(&soon).await.unwrap().remove(0);
    assert!(ledger.resend(&stale.id).await.unwrap());
    assert!(!ledger.settle_delivery(&stale, &attempt(Some(500)), Next::Dead).await.unwrap(), "resent");
    let stale = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    assert!(ledger.resend(&stale.id).await.unwrap());
    assert_eq!(
        ledger.delivery(&stale.id).await.unwrap().unwrap().lease,
        stale.lease,
        "what is being sent stays in hand"
    );
    Ledger::recover(ledger).await.unwrap();
    assert!(!ledger.settle_delivery(&stale, &attempt(Some(500)), Next::Dead).await.unwrap(), "freed");
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

async fn the_same_delivery_again_is_sent_again_under_its_id(ledger: &dyn Ledger) {
    let row = upload();
    let other = Outcome::Failed(Failure::new("corrupt", "in another way"));
    let mut ids = Vec::new();
    for outcome in [failed(), failed(), other, failed()] {
        ledger.arrived(&row, &event(&row)).await.unwrap();
        ledger.finish(&row.id, &outcome, Some(&notice()), None).await.unwrap();
        let claimed = ledger.claim_deliveries(&all(10)).await.unwrap();
        assert_eq!(claimed.len(), 1);
        ledger.settle_delivery(&claimed[0], &attempt(Some(200)), Next::Delivered).await.unwrap();
        ids.push(claimed[0].id.clone());
    }
    assert_eq!(ids[0], ids[1], "found out twice, it is the same message");
    assert!(ids[1] != ids[2] && ids[3] != ids[2] && ids[3] != ids[0], "a receiver that drops known ids ends right");
    ledger.remove(&row).await.unwrap();
}

async fn a_job_comes_and_goes_with_its_upload(ledger: &SqlLedger) {
    let row = upload();
    for _ in 0..3 {
        ledger.arrived(&row, &event(&row)).await.unwrap();
    }
    assert_eq!(ledger.depth().await.unwrap().waiting, 1, "the same event again, while its job waits, adds none");
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
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
    let late = ledger.claim(Duration::ZERO).await.unwrap().unwrap();
    let held = ledger.claim(LONG).await.unwrap().unwrap();
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
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    ledger.finish(&row.id, &failed(), None, Some(JobEnd::Dead(&leased, "no store"))).await.unwrap();
    let dead = ledger.jobs(None, Some(JobState::Dead), 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].last_error.as_deref(), dead[0].attempts), (1, Some("no store"), 1));
    assert_eq!(ledger.claim(LONG).await.unwrap(), None);
    assert!(!ledger.has(&row.id).await.unwrap());
    assert!(ledger.reopen(&row.id, &event(&row)).await.unwrap());
    let jobs = ledger.jobs(Some(&row.id), None, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Waiting]);
    assert!(ledger.claim(LONG).await.unwrap().unwrap().job.force);
    ledger.remove(&row).await.unwrap();
}

async fn a_deletion_has_two_halves(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    ledger.claim(LONG).await.unwrap().unwrap();
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

async fn outcomes_are_told_in_their_order(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    for n in 0..11 {
        let outcome = Outcome::Failed(Failure::new("corrupt", format!("in the {n}th way")));
        ledger.finish(&row.id, &outcome, Some(&notice()), None).await.unwrap();
    }
    for n in 1..=11 {
        let due = ledger.claim_deliveries(&all(100)).await.unwrap();
        assert_eq!(due.iter().map(|d| d.id.clone()).collect::<Vec<_>>(), [format!("msg_{}_{n}", row.id)]);
        let next = if n == 5 { Next::Dead } else { Next::Delivered };
        ledger.settle_delivery(&due[0], &attempt(Some(200)), next).await.unwrap();
    }
    assert_eq!(ledger.outstanding().await.unwrap(), Outstanding { pending: 0, dead: 1 });
    ledger.remove(&row).await.unwrap();
}

async fn a_busy_endpoint_holds_no_other_back(ledger: &SqlLedger) {
    let rows: Vec<_> = (0..20).map(|_| upload()).collect();
    ledger.create(&rows, None).await.unwrap();
    for (n, row) in rows.iter().enumerate() {
        let host = if n < 19 { "slow.example:8443" } else { "quick.example" };
        let notice = Notice { url: format!("https://{host}/{n}?a=b"), ..notice() };
        ledger.finish(&row.id, &failed(), Some(&notice), None).await.unwrap();
    }
    let claim = Claim { most: 10, most_each: 3, lease: LONG, except: &[] };
    let due = ledger.claim_deliveries(&claim).await.unwrap();
    let slow = "https://slow.example:8443".to_owned();
    assert_eq!(due.len(), 4);
    assert_eq!(due.iter().filter(|d| d.endpoint == slow).count(), 3);
    let except = [slow, "https://other.example".to_owned()];
    assert!(ledger.claim_deliveries(&Claim { except: &except, ..claim }).await.unwrap().is_empty());
    let told = ledger.delivery(&due[0].id).await.unwrap().unwrap();
    assert_eq!((told.id, told.body.as_str()), (due[0].id.clone(), "{}"));
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
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

async fn many_adopt_a_key_at_once(ledger: &SqlLedger) {
    let row = upload();
    let adopters: Vec<_> = (0..8).map(|_| Upload { id: UploadId::random(), ..row.clone() }).collect();
    let adopted = adopters.iter().map(|row| async { ledger.arrived(row, &event(row)).await.unwrap().unwrap().id });
    let ids = futures::future::join_all(adopted).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    ledger.remove(&Upload { id: ids[0].clone(), ..row }).await.unwrap();
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

async fn a_late_event_of_a_deleted_upload_is_refused(ledger: &dyn Ledger) {
    let mut row = upload();
    row.created_at -= 2 * LONG;
    row.expires_at = row.created_at + LONG;
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.arrived(&row, &event(&row)).await.unwrap(), None, "though its credential has run out");
    let found = Upload { created_at: row.created_at, expires_at: row.created_at, ..upload() };
    ledger.arrived(&found, &event(&found)).await.unwrap();
    ledger.remove(&found).await.unwrap();
    assert!(ledger.arrived(&found, &event(&found)).await.unwrap().is_some(), "its owner may put it there again");
    ledger.remove(&found).await.unwrap();
}

fn state(row: &Upload, etag: &str, sequencer: Option<&str>) -> StorageEvent {
    StorageEvent { etag: Some(etag.into()), sequencer: sequencer.map(str::to_owned), ..event(row) }
}

async fn arrive(ledger: &SqlLedger, row: &Upload, event: &StorageEvent, rule: Rule) -> Arrived {
    ledger.arrive(row, Arrival { event, rule, is_current: false }).await.unwrap()
}

async fn the_first_bytes_win(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    let first = state(&row, "first", Some("1"));
    let Arrived::Queued(pinned) = arrive(ledger, &row, &first, Rule::FirstBytes).await else { panic!("refused") };
    assert_eq!((pinned.status, pinned.pin.clone()), (Status::Processing, Some(first.pin())));
    let replay = state(&row, "other", Some("2"));
    for _ in 0..3 {
        let stale = arrive(ledger, &row, &replay, Rule::FirstBytes).await;
        assert_eq!(stale, Arrived::Stale(pinned.clone(), Stale::Replaced));
    }
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    assert_eq!(leased.job.event, first);
    ledger.finish(&row.id, &failed(), None, Some(JobEnd::Done(&leased))).await.unwrap();
    let ended = ledger.get(&row.id).await.unwrap().unwrap();
    assert!(matches!(arrive(ledger, &row, &replay, Rule::FirstBytes).await, Arrived::Stale(..)));
    assert_eq!(ledger.get(&row.id).await.unwrap(), Some(ended), "no status changed");
    assert_eq!(ledger.depth().await.unwrap(), Default::default(), "and there is no job");
    let noted = ledger.history(&row.id, 10).await.unwrap();
    let told: Vec<_> =
        noted.iter().map(|n| (n.job.is_some(), n.attempt, n.outcome.as_str(), n.error.as_deref())).collect();
    assert!(told.contains(&(false, Some(4), "ignored", Some("replaced"))) && told.len() == 2, "{told:?}");
    // What names no bytes is read under the pin.
    let nameless = StorageEvent { etag: None, ..event(&row) };
    assert!(matches!(arrive(ledger, &row, &nameless, Rule::FirstBytes).await, Arrived::Queued(_)));
    assert_eq!(ledger.claim(LONG).await.unwrap().unwrap().job.event.pin(), first.pin());
    ledger.remove(&row).await.unwrap();
}

async fn many_replays_are_one_job(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    let events: Vec<_> = (0..30).map(|n| state(&row, &format!("e{n}"), None)).collect();
    let arrivals = events.iter().map(|event| arrive(ledger, &row, event, Rule::FirstBytes));
    let came = futures::future::join_all(arrivals).await;
    assert_eq!(came.iter().filter(|arrived| matches!(arrived, Arrived::Queued(_))).count(), 1);
    assert_eq!(ledger.jobs(Some(&row.id), None, 100).await.unwrap().len(), 1);
    ledger.remove(&row).await.unwrap();
}

async fn the_newest_version_wins(ledger: &SqlLedger) {
    let row = upload();
    let versions = [state(&row, "v1", Some("0A1")), state(&row, "v2", Some("0A2")), state(&row, "v3", Some("0B0"))];
    let [first, second, third] = &versions;
    assert!(matches!(arrive(ledger, &row, first, Rule::Newest).await, Arrived::Queued(_)));
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    for event in [second, third] {
        assert!(matches!(arrive(ledger, &row, event, Rule::Newest).await, Arrived::Queued(_)));
    }
    assert_eq!(
        ledger.jobs(Some(&row.id), Some(JobState::Waiting), 10).await.unwrap().len(),
        1,
        "one waits, of the newest"
    );
    for late in [first, second] {
        assert!(matches!(arrive(ledger, &row, late, Rule::Newest).await, Arrived::Stale(_, Stale::Older)));
    }
    let done = Outcome::Processed(Key::new("image/x.jpg").unwrap());
    ledger.finish(&row.id, &done, None, Some(JobEnd::Done(&leased))).await.unwrap();
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    assert_eq!(leased.job.event, *third);
    ledger.finish(&row.id, &done, None, Some(JobEnd::Done(&leased))).await.unwrap();
    for late in [first, second] {
        arrive(ledger, &row, late, Rule::Newest).await;
    }
    assert_eq!(
        (ledger.depth().await.unwrap(), ledger.get(&row.id).await.unwrap().unwrap().status),
        (Default::default(), Status::Completed)
    );
    let newer = state(&row, "v4", Some("0B1"));
    let Arrived::Queued(now) = arrive(ledger, &row, &newer, Rule::Newest).await else { panic!("it is newer") };
    assert_eq!(now.status, Status::Processing, "what is told is not what will be read");
    ledger.remove(&row).await.unwrap();
}

async fn what_was_developed_is_developed_again(ledger: &SqlLedger) {
    let row = upload();
    let first = state(&row, "first", Some("7"));
    arrive(ledger, &row, &first, Rule::FirstBytes).await;
    for _ in 0..3 {
        assert!(ledger.reopen(&row.id, &first).await.unwrap());
    }
    let jobs = ledger.jobs(Some(&row.id), None, 10).await.unwrap();
    assert_eq!(jobs.len(), 1, "however often it is asked for");
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    assert!(leased.job.force && leased.job.event == first);
    assert_eq!(ledger.get(&row.id).await.unwrap().unwrap().pin, Some(first.pin()));
    ledger.remove(&row).await.unwrap();
}

async fn an_unclaimed_upload_lapses(ledger: &SqlLedger) {
    let mut rows = [upload(), upload(), upload()];
    for row in &mut rows[..2] {
        row.policy.claim_within = Some(60);
    }
    let [kept, left, never] = &rows;
    ledger.create(&rows, None).await.unwrap();
    for row in &rows {
        arrive(ledger, row, &event(row), Rule::FirstBytes).await;
        let leased = ledger.claim(LONG).await.unwrap().unwrap();
        let done = Outcome::Processed(Key::new("image/x.jpg").unwrap());
        ledger.finish(&row.id, &done, None, Some(JobEnd::Done(&leased))).await.unwrap();
    }
    let at = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    assert_eq!(ledger.claim_upload(&kept.id, at).await.unwrap().unwrap().claimed_at, Some(at));
    assert_eq!(
        ledger.claim_upload(&kept.id, at + LONG).await.unwrap().unwrap().claimed_at,
        Some(at),
        "the first counts"
    );
    let found = ledger.unclaimed(left.created_at - LONG, 10).await.unwrap();
    assert_eq!(
        found.iter().map(|(row, _)| &row.id).collect::<Vec<_>>(),
        [&left.id],
        "not one that no claim was asked of"
    );
    assert!((found[0].1 - OffsetDateTime::now_utc()).abs() < LONG);
    assert!(ledger.unclaimed(left.created_at + LONG, 10).await.unwrap().is_empty());
    assert!(!ledger.lapse(&kept.id, Some(&notice())).await.unwrap(), "claimed in time");
    assert!(ledger.lapse(&left.id, Some(&notice())).await.unwrap() && !ledger.lapse(&left.id, None).await.unwrap());
    let lapsed = ledger.get(&left.id).await.unwrap().unwrap();
    assert!(lapsed.status == Status::Expired && lapsed.has_lapsed());
    assert_eq!(ledger.deliveries(&page(), Some(&left.id)).await.unwrap().len(), 1);
    assert_eq!(ledger.claim_upload(&left.id, at).await.unwrap(), None, "too late");
    assert_eq!(arrive(ledger, left, &event(left), Rule::FirstBytes).await, Arrived::Refused);
    assert!(!ledger.reopen(&left.id, &event(left)).await.unwrap());
    assert_eq!(ledger.finish(&left.id, &failed(), None, None).await.unwrap(), Finished::Gone);
    assert_eq!(ledger.lapsed(10).await.unwrap().iter().map(|row| &row.id).collect::<Vec<_>>(), [&left.id]);
    ledger.cleared(&left.id).await.unwrap();
    assert!(ledger.lapsed(10).await.unwrap().is_empty());
    assert_eq!(ledger.get(&never.id).await.unwrap().unwrap().status, Status::Completed);
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

async fn what_waits_is_hastened(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice()), None).await.unwrap();
    let told = ledger.claim_deliveries(&all(10)).await.unwrap().remove(0);
    ledger.settle_delivery(&told, &attempt(Some(500)), Next::RetryIn(LONG)).await.unwrap();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    ledger.retry(&leased, LONG, "the store is away").await.unwrap();
    assert!(ledger.claim(LONG).await.unwrap().is_none() && ledger.claim_deliveries(&all(10)).await.unwrap().is_empty());
    ledger.hasten().await.unwrap();
    assert!(ledger.claim(LONG).await.unwrap().is_some());
    assert_eq!(ledger.claim_deliveries(&all(10)).await.unwrap().len(), 1);
    ledger.hasten().await.unwrap();
    assert!(ledger.claim(LONG).await.unwrap().is_none(), "what is in hand stays there");
    ledger.remove(&row).await.unwrap();
}

async fn listings_go_on_where_they_stopped(ledger: &dyn Ledger) {
    let mut rows: Vec<_> = (0..5).map(|_| upload()).collect();
    // Two of the same instant must both be listed, once.
    for (row, age) in rows.iter_mut().zip([0, 1, 1, 2, 3]) {
        row.status = Status::Failed;
        row.created_at += Duration::from_secs(1000 - age);
    }
    ledger.create(&rows, None).await.unwrap();
    let mut seen = Vec::new();
    let mut page = Page { status: Some("failed".into()), before: None, limit: 2 };
    while seen.len() < 5 {
        let found = ledger.list(&page, &Search::default()).await.unwrap();
        page.before = found.last().map(|row| (row.created_at, row.id.to_string()));
        seen.extend(found.into_iter().map(|row| row.id));
    }
    rows.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
    assert_eq!(seen[..5], rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
    let counts = ledger.count().await.unwrap();
    assert!(counts.iter().any(|(status, n)| *status == Status::Failed && *n >= 5), "{counts:?}");
}

async fn uploads_are_found_by_how_they_begin(ledger: &dyn Ledger) {
    let rows = [upload(), upload()];
    ledger.create(&rows, None).await.unwrap();
    let found = async |beginnings: &[&str]| {
        let beginnings = beginnings.iter().map(|text| (*text).to_owned()).collect();
        let search = Search { beginnings, text: None };
        let failed = Page { status: Some("failed".into()), ..page() };
        assert!(ledger.list(&failed, &search).await.unwrap().is_empty(), "they are pending");
        ledger.list(&page(), &search).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let (id, key) = (rows[0].id.as_str(), rows[1].key.as_str());
    assert_eq!(found(&[&id[..20]]).await, [rows[0].id.clone()]);
    assert_eq!(found(&["nothing", key]).await, [rows[1].id.clone()]);
    assert!(found(&["%"]).await.is_empty() && found(&["_"]).await.is_empty(), "a text stands for itself");
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

async fn uploads_are_found_by_their_file_names_and_metadata(ledger: &dyn Ledger) {
    let mut rows = [upload(), upload(), upload()];
    let metadata =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    rows[0].filename = Some("Corgi 100%_é.JPG".into());
    rows[0].policy.metadata = metadata(&[("id", "12345"), ("who", "O\"Hara")]);
    rows[1].filename = Some("cat.jpg".into());
    rows[1].policy.metadata = metadata(&[("album", "Summer_2026"), ("corgi", "no")]);
    ledger.create(&rows, None).await.unwrap();
    let found = async |text: &str| {
        let search = Search { beginnings: Vec::new(), text: Some(text.to_owned()) };
        ledger.list(&page(), &search).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let only = |n: usize| vec![rows[n].id.clone()];
    for (text, n) in [
        ("corgi", 0),
        ("ORGI 1", 0),
        ("100%_", 0),
        ("%_é", 0),
        ("12345", 0),
        ("123", 0),
        ("o\"har", 0),
        ("CAT", 1),
        ("summer_2", 1),
        ("no", 1),
    ] {
        assert_eq!(found(text).await, only(n), "{text}");
    }
    // A name of metadata is no value, a value is found by its beginning, and no character is a pattern.
    for nothing in ["album", "345", "o_hara", "c%t", "image/", "POST", "!"] {
        assert!(found(nothing).await.is_empty(), "{nothing}");
    }
    let search = Search { beginnings: vec![rows[2].id.to_string()], text: Some("cat".into()) };
    assert_eq!(ledger.list(&page(), &search).await.unwrap().len(), 2, "either is enough");
    for row in &rows {
        ledger.remove(row).await.unwrap();
    }
}

async fn what_jobs_came_to_is_kept(ledger: &SqlLedger) {
    let row = upload();
    let begun = OffsetDateTime::now_utc();
    let before = ledger.activity(begun - LONG).await.unwrap();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
    ledger.retry(&leased, Duration::ZERO, "the store is a\0way").await.unwrap();
    ledger.retry(&leased, Duration::ZERO, "too late").await.unwrap();
    let leased = ledger.claim(LONG).await.unwrap().unwrap();
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
