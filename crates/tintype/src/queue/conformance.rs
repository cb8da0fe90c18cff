//! What every queue must do, run against each provider.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::config::UploadDefaults;
use crate::event::order::Rule;
use crate::key::Key;
use crate::ledger::{Arrival, Ledger, LedgerUrl, SqlLedger, testing};
use crate::upload::{Method, Upload};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn in_sqlite() {
    let (dir, ledger) = testing::sqlite().await;
    conforms(&ledger).await;
    push(&ledger, &job()).await;
    ledger.close().await;
    let again = SqlLedger::open(&LedgerUrl::Sqlite(dir.path().join("t.db"))).await.unwrap();
    assert!(again.claim(LONG).await.unwrap().is_some(), "a job outlives the process");
}

#[tokio::test]
async fn in_postgres() {
    let Some(server) = testing::Postgres::start() else { return };
    let ledger = server.ledger().await;
    conforms(&ledger).await;
    many_jobs_of_few_uploads_never_overlap(&ledger, &server.ledger().await).await;
}

/// Jobs come with what happens to their uploads.
async fn push(ledger: &SqlLedger, job: &Job) {
    let row = Upload { key: job.event.key.clone(), ..adopted(&job.upload_id) };
    let arrival = Arrival { event: &job.event, rule: Rule::Newest, is_current: true };
    ledger.arrive(&row, arrival).await.unwrap();
}

fn adopted(id: &UploadId) -> Upload {
    let defaults = UploadDefaults {
        expires: LONG,
        max_bytes: 1,
        content_type: "image/*".into(),
        method: Method::Post,
        acl: String::new(),
    };
    Upload::unannounced(id.clone(), Key::new("temp/x").unwrap(), "default", &defaults)
}

async fn many_jobs_of_few_uploads_never_overlap(one: &SqlLedger, other: &SqlLedger) {
    let ids: Vec<_> = (0..4).map(|_| job()).collect();
    for job in &ids {
        push(one, job).await;
    }
    let (in_hand, done) = (Mutex::new(HashSet::new()), AtomicUsize::new(0));
    let worker = async |ledger: &SqlLedger| {
        while done.load(Relaxed) < 40 {
            let Some(leased) = ledger.claim(LONG).await.unwrap() else { continue };
            assert!(in_hand.lock().unwrap().insert(leased.job.upload_id.clone()), "two work on one upload");
            tokio::task::yield_now().await;
            in_hand.lock().unwrap().remove(&leased.job.upload_id);
            // Only one waits of each upload: the next comes while this one is in hand.
            let event = StorageEvent { version: Some(uuid::Uuid::new_v4().to_string()), ..leased.job.event.clone() };
            push(ledger, &Job { event, ..leased.job.clone() }).await;
            ledger.drop_job(&leased).await.unwrap();
            done.fetch_add(1, Relaxed);
        }
    };
    futures::future::join_all((0..8).map(|n| worker(if n % 2 == 0 { one } else { other }))).await;
}

async fn waiting(queue: &SqlLedger) -> u64 {
    let depth = queue.depth().await.unwrap();
    depth.waiting + depth.leased
}

fn job() -> Job {
    let upload_id = UploadId::random();
    let event = StorageEvent {
        bucket: Some("b".into()),
        key: Key::new(format!("temp/{upload_id} b.jpg")).unwrap(),
        size: Some(3),
        etag: Some("e".into()),
        version: Some("v".into()),
        sequencer: Some("005E".into()),
    };
    Job { upload_id, event, force: false }
}

async fn conforms(queue: &SqlLedger) {
    a_job_is_claimed_once_and_gone_when_acked(queue).await;
    a_lease_that_runs_out_lets_go(queue).await;
    a_crash_is_told_from_a_reason(queue).await;
    a_retry_waits(queue).await;
    an_old_lease_settles_nothing(queue).await;
    a_restart_frees_what_was_in_hand(queue).await;
    jobs_of_one_upload_are_done_one_after_another(queue).await;
    many_workers_share_without_overlap(queue).await;
}

async fn jobs_of_one_upload_are_done_one_after_another(queue: &SqlLedger) {
    let (first, other) = (job(), job());
    let newer = |version: &str| StorageEvent { version: Some(version.into()), ..first.event.clone() };
    let [between, later] = ["w", "x"].map(|version| Job { event: newer(version), ..first.clone() });
    push(queue, &first).await;
    let one = queue.claim(LONG).await.unwrap().unwrap();
    for job in [&between, &later, &other] {
        push(queue, job).await;
    }
    assert!(queue.has(&first.upload_id).await.unwrap() && !queue.has(&UploadId::random()).await.unwrap());
    let two = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!((&one.job, &two.job), (&first, &other));
    assert_eq!(queue.claim(LONG).await.unwrap(), None);
    queue.drop_job(&one).await.unwrap();
    let again = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!(again.job, later, "the newest alone");
    queue.drop_job(&two).await.unwrap();
    queue.drop_job(&again).await.unwrap();
}

async fn a_job_is_claimed_once_and_gone_when_acked(queue: &SqlLedger) {
    let pushed = job();
    push(queue, &pushed).await;
    let leased = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!((&leased.job, leased.attempt), (&pushed, 1));
    assert_eq!(queue.claim(LONG).await.unwrap(), None);
    queue.drop_job(&leased).await.unwrap();
    assert_eq!(waiting(queue).await, 0);
}

async fn a_lease_that_runs_out_lets_go(queue: &SqlLedger) {
    push(queue, &job()).await;
    queue.claim(Duration::ZERO).await.unwrap().unwrap();
    let second = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!(second.attempt, 2);
    queue.drop_job(&second).await.unwrap();
}

async fn a_crash_is_told_from_a_reason(queue: &SqlLedger) {
    push(queue, &job()).await;
    let first = queue.claim(LONG).await.unwrap().unwrap();
    queue.retry(&first, Duration::ZERO, "no store").await.unwrap();
    let second = queue.claim(Duration::ZERO).await.unwrap().unwrap();
    let third = queue.claim(LONG).await.unwrap().unwrap();
    queue.release(&third).await.unwrap();
    let fourth = queue.claim(LONG).await.unwrap().unwrap();
    let seen = [first, second, third, fourth.clone()].map(|leased| (leased.attempt, leased.crashes));
    assert_eq!(seen, [(1, 0), (2, 0), (3, 1), (3, 1)], "what is handed on was not tried");
    let row = queue.jobs(Some(&fourth.job.upload_id), None, 10).await.unwrap().remove(0);
    assert_eq!((row.state, row.last_error.as_deref()), (JobState::Leased, Some("no store")));
    queue.drop_job(&fourth).await.unwrap();
}

async fn a_retry_waits(queue: &SqlLedger) {
    push(queue, &job()).await;
    let leased = queue.claim(LONG).await.unwrap().unwrap();
    queue.retry(&leased, LONG, "why").await.unwrap();
    assert_eq!(queue.claim(LONG).await.unwrap(), None);
    assert_eq!(waiting(queue).await, 1);
    queue.retry(&leased, Duration::ZERO, "why").await.unwrap();
    assert_eq!(queue.claim(LONG).await.unwrap(), None, "the lease was given back with the first retry");
    // Nothing here makes it due sooner, so it is left behind; the next test cannot claim it either.
}

async fn an_old_lease_settles_nothing(queue: &SqlLedger) {
    push(queue, &job()).await;
    let first = queue.claim(Duration::ZERO).await.unwrap().unwrap();
    let second = queue.claim(LONG).await.unwrap().unwrap();
    let before = waiting(queue).await;
    queue.drop_job(&first).await.unwrap();
    assert_eq!(waiting(queue).await, before);
    queue.drop_job(&second).await.unwrap();
    assert_eq!(waiting(queue).await, before - 1);
}

async fn a_restart_frees_what_was_in_hand(queue: &SqlLedger) {
    push(queue, &job()).await;
    queue.claim(LONG).await.unwrap().unwrap();
    Queue::recover(queue).await.unwrap();
    let leased = queue.claim(LONG).await.unwrap().unwrap();
    queue.drop_job(&leased).await.unwrap();
}

async fn many_workers_share_without_overlap(queue: &SqlLedger) {
    let pushed: Vec<_> = (0..40).map(|_| job()).collect();
    for job in &pushed {
        push(queue, job).await;
    }
    let worker = async || {
        let mut taken = Vec::new();
        while let Some(leased) = queue.claim(LONG).await.unwrap() {
            queue.drop_job(&leased).await.unwrap();
            taken.push(leased.job.upload_id);
        }
        taken
    };
    let all = futures::future::join_all((0..8).map(|_| worker())).await.concat();
    assert_eq!(all.len(), 40);
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), pushed.into_iter().map(|job| job.upload_id).collect());
}
