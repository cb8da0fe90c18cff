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
    assert!(again.claim(LONG, true).await.unwrap().is_some(), "a job outlives the process");
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
            let Some(leased) = ledger.claim(LONG, true).await.unwrap() else { continue };
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
    jobs_whose_outputs_may_meet_are_done_one_after_another(queue).await;
    many_workers_share_without_overlap(queue).await;
    owners_take_turns(queue).await;
    a_flood_takes_no_worker_that_another_waits_for(queue).await;
    slow_ones_wait_where_they_are_not_wanted(queue).await;
    a_job_that_cannot_be_read_holds_nothing_up(queue).await;
}

async fn push_of(queue: &SqlLedger, owner: &str) -> UploadId {
    let job = job();
    let row = Upload { key: job.event.key.clone(), owner: Some(owner.to_owned()), ..adopted(&job.upload_id) };
    queue.create(std::slice::from_ref(&row), None).await.unwrap();
    let arrival = Arrival { event: &job.event, rule: Rule::FirstBytes, is_current: false };
    queue.arrive(&row, arrival).await.unwrap();
    row.id
}

async fn claimed(queue: &SqlLedger) -> Leased {
    queue.claim(LONG, true).await.unwrap().unwrap()
}

async fn owners_take_turns(queue: &SqlLedger) {
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(push_of(queue, "flood").await);
    }
    let single = push_of(queue, "single").await;
    let few = [push_of(queue, "few").await, push_of(queue, "few").await];
    let mut order = Vec::new();
    for _ in 0..303 {
        let leased = claimed(queue).await;
        queue.drop_job(&leased).await.unwrap();
        order.push(leased.job.upload_id);
    }
    let place = |id: &UploadId| order.iter().position(|done| done == id).unwrap();
    assert!(
        place(&single) < 3 && place(&few[0]) < 3 && place(&few[1]) < 6,
        "{} {} {}",
        place(&single),
        place(&few[0]),
        place(&few[1])
    );
    let of_flood: Vec<_> = order.iter().filter(|id| flood.contains(id)).cloned().collect();
    assert_eq!(of_flood, flood, "those of one owner in the order they came");
    assert_eq!(queue.claim(LONG, true).await.unwrap(), None);
    // More owners than are looked at in one claim: all of them have their turn all the same.
    let mut many = HashSet::new();
    for n in 0..200 {
        many.insert(push_of(queue, &format!("owner{n:03}")).await);
    }
    for _ in 0..200 {
        let leased = claimed(queue).await;
        assert!(many.remove(&leased.job.upload_id));
        queue.drop_job(&leased).await.unwrap();
    }
}

async fn a_flood_takes_no_worker_that_another_waits_for(queue: &SqlLedger) {
    for _ in 0..4 {
        push_of(queue, "slow").await;
    }
    let slow = [claimed(queue).await, claimed(queue).await];
    let quick = [push_of(queue, "quick").await, push_of(queue, "quick").await];
    // The owner with the fewest jobs in hand is next, however many turns it has had.
    for id in &quick {
        let leased = claimed(queue).await;
        assert_eq!(leased.job.upload_id, *id);
        queue.drop_job(&leased).await.unwrap();
    }
    for leased in slow.into_iter().chain([claimed(queue).await, claimed(queue).await]) {
        queue.drop_job(&leased).await.unwrap();
    }
    // A try that is made again lines up behind what was there before.
    let (tried, fresh) = (push_of(queue, "again").await, push_of(queue, "again").await);
    let leased = claimed(queue).await;
    assert_eq!(leased.job.upload_id, tried);
    queue.retry(&leased, Duration::from_millis(5), "why").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    for id in [fresh, tried] {
        let leased = claimed(queue).await;
        assert_eq!(leased.job.upload_id, id);
        queue.drop_job(&leased).await.unwrap();
    }
}

async fn slow_ones_wait_where_they_are_not_wanted(queue: &SqlLedger) {
    let slow = [push_of(queue, "one").await, push_of(queue, "one").await];
    let quick = [push_of(queue, "one").await, push_of(queue, "other").await];
    // Nobody knows them yet. What was found out is not tried.
    for _ in 0..3 {
        let leased = queue.claim(LONG, false).await.unwrap().unwrap();
        if slow.contains(&leased.job.upload_id) {
            assert!(queue.set_back(&leased).await.unwrap());
            assert!(!queue.set_back(&leased).await.unwrap(), "the lease was given back");
        } else {
            assert_eq!(leased.job.upload_id, quick[1], "the owner that has waited for its turn");
            queue.drop_job(&leased).await.unwrap();
        }
    }
    // The last of their owner, and of all.
    let leased = queue.claim(LONG, false).await.unwrap().unwrap();
    assert_eq!(leased.job.upload_id, quick[0]);
    assert_eq!(queue.claim(LONG, false).await.unwrap(), None);
    queue.drop_job(&leased).await.unwrap();
    // A process with a free slow place claims them in order. They stay marked as slow however they come back.
    let leased = claimed(queue).await;
    assert_eq!((&leased.job.upload_id, leased.attempt, leased.crashes), (&slow[0], 1, 0));
    tokio::time::sleep(Duration::from_millis(5)).await;
    queue.release(&leased).await.unwrap();
    let leased = claimed(queue).await;
    assert_eq!(leased.job.upload_id, slow[1]);
    queue.retry(&leased, Duration::ZERO, "no store").await.unwrap();
    assert_eq!(queue.claim(LONG, false).await.unwrap(), None);
    for _ in &slow {
        let leased = claimed(queue).await;
        queue.drop_job(&leased).await.unwrap();
    }
    // Among more owners than are looked at in one claim, all of the others with slow ones.
    for n in 0..100 {
        push_of(queue, &format!("slow{n:03}")).await;
        queue.set_back(&claimed(queue).await).await.unwrap();
    }
    let quick = push_of(queue, "slow050").await;
    let leased = queue.claim(LONG, false).await.unwrap().unwrap();
    assert_eq!(leased.job.upload_id, quick);
    queue.drop_job(&leased).await.unwrap();
    for _ in 0..100 {
        let leased = claimed(queue).await;
        queue.drop_job(&leased).await.unwrap();
    }
}

async fn a_job_that_cannot_be_read_holds_nothing_up(queue: &SqlLedger) {
    let broken = push_of(queue, "rotten").await;
    queue.break_jobs_of(&broken).await;
    let next = push_of(queue, "rotten").await;
    let leased = claimed(queue).await;
    assert_eq!(leased.job.upload_id, next);
    queue.drop_job(&leased).await.unwrap();
    let row = queue.jobs(Some(&broken), None, 10).await.unwrap().remove(0);
    assert!(row.state == JobState::Dead && row.last_error.unwrap().contains("not as this version writes it"));
    assert!(!queue.has(&broken).await.unwrap(), "so that its original is taken up anew");
}

async fn jobs_of_one_upload_are_done_one_after_another(queue: &SqlLedger) {
    let (first, other) = (job(), job());
    let newer = |version: &str| StorageEvent { version: Some(version.into()), ..first.event.clone() };
    let [between, later] = ["w", "x"].map(|version| Job { event: newer(version), ..first.clone() });
    push(queue, &first).await;
    let one = queue.claim(LONG, true).await.unwrap().unwrap();
    for job in [&between, &later, &other] {
        push(queue, job).await;
    }
    assert!(queue.has(&first.upload_id).await.unwrap() && !queue.has(&UploadId::random()).await.unwrap());
    let two = queue.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!((&one.job, &two.job), (&first, &other));
    assert_eq!(queue.claim(LONG, true).await.unwrap(), None);
    queue.drop_job(&one).await.unwrap();
    let again = queue.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!(again.job, later, "the newest alone");
    queue.drop_job(&two).await.unwrap();
    queue.drop_job(&again).await.unwrap();
}

async fn jobs_whose_outputs_may_meet_are_done_one_after_another(queue: &SqlLedger) {
    let named = |key: &str| {
        let any = job();
        Job { event: StorageEvent { key: Key::new(key).unwrap(), ..any.event.clone() }, ..any }
    };
    let (first, second, third) = (named("temp/meet/a.jpg"), named("temp/meet/a.JPG"), named("meet/a"));
    for job in [&first, &second, &third] {
        push(queue, job).await;
    }
    for job in [&first, &second, &third] {
        let hold = async || queue.hold(&UploadId::random(), &Key::new("temp/meet/a.png").unwrap(), LONG).await.unwrap();
        let held = hold().await.unwrap();
        assert!(hold().await.is_none() && queue.claim(LONG, true).await.unwrap().is_none());
        queue.drop_job(&held).await.unwrap();
        let leased = queue.claim(LONG, true).await.unwrap().unwrap();
        assert_eq!(leased.job, *job);
        assert_eq!(queue.claim(LONG, true).await.unwrap(), None);
        assert!(hold().await.is_none());
        queue.drop_job(&leased).await.unwrap();
    }
}

async fn a_job_is_claimed_once_and_gone_when_acked(queue: &SqlLedger) {
    let pushed = job();
    push(queue, &pushed).await;
    let leased = queue.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!((&leased.job, leased.attempt), (&pushed, 1));
    assert_eq!(queue.claim(LONG, true).await.unwrap(), None);
    queue.drop_job(&leased).await.unwrap();
    assert_eq!(waiting(queue).await, 0);
}

async fn a_lease_that_runs_out_lets_go(queue: &SqlLedger) {
    push(queue, &job()).await;
    queue.claim(Duration::ZERO, true).await.unwrap().unwrap();
    let second = queue.claim(LONG, true).await.unwrap().unwrap();
    assert_eq!(second.attempt, 2);
    queue.drop_job(&second).await.unwrap();
}

async fn a_crash_is_told_from_a_reason(queue: &SqlLedger) {
    push(queue, &job()).await;
    let first = queue.claim(LONG, true).await.unwrap().unwrap();
    queue.retry(&first, Duration::ZERO, "no store").await.unwrap();
    let second = queue.claim(Duration::ZERO, true).await.unwrap().unwrap();
    let third = queue.claim(LONG, true).await.unwrap().unwrap();
    queue.release(&third).await.unwrap();
    let fourth = queue.claim(LONG, true).await.unwrap().unwrap();
    let seen = [first, second, third, fourth.clone()].map(|leased| (leased.attempt, leased.crashes));
    assert_eq!(seen, [(1, 0), (2, 0), (3, 1), (3, 1)], "what is handed on was not tried");
    let row = queue.jobs(Some(&fourth.job.upload_id), None, 10).await.unwrap().remove(0);
    assert_eq!((row.state, row.last_error.as_deref()), (JobState::Leased, Some("no store")));
    queue.drop_job(&fourth).await.unwrap();
}

async fn a_retry_waits(queue: &SqlLedger) {
    push(queue, &job()).await;
    let leased = queue.claim(LONG, true).await.unwrap().unwrap();
    assert!(queue.retry(&leased, LONG, "why").await.unwrap());
    assert_eq!(queue.claim(LONG, true).await.unwrap(), None);
    assert_eq!(waiting(queue).await, 1);
    assert!(!queue.retry(&leased, Duration::ZERO, "why").await.unwrap() && !queue.release(&leased).await.unwrap());
    assert_eq!(queue.claim(LONG, true).await.unwrap(), None, "the lease was given back with the first retry");
    // Nothing here makes it due sooner, so it is left behind; the next test cannot claim it either.
}

async fn an_old_lease_settles_nothing(queue: &SqlLedger) {
    push(queue, &job()).await;
    let first = queue.claim(Duration::ZERO, true).await.unwrap().unwrap();
    let second = queue.claim(LONG, true).await.unwrap().unwrap();
    let before = waiting(queue).await;
    queue.drop_job(&first).await.unwrap();
    assert_eq!(waiting(queue).await, before);
    queue.drop_job(&second).await.unwrap();
    assert_eq!(waiting(queue).await, before - 1);
}

async fn a_restart_frees_what_was_in_hand(queue: &SqlLedger) {
    push(queue, &job()).await;
    queue.claim(LONG, true).await.unwrap().unwrap();
    Queue::recover(queue).await.unwrap();
    let leased = queue.claim(LONG, true).await.unwrap().unwrap();
    queue.drop_job(&leased).await.unwrap();
}

async fn many_workers_share_without_overlap(queue: &SqlLedger) {
    let pushed: Vec<_> = (0..40).map(|_| job()).collect();
    for job in &pushed {
        push(queue, job).await;
    }
    let worker = async || {
        let mut taken = Vec::new();
        while let Some(leased) = queue.claim(LONG, true).await.unwrap() {
            queue.drop_job(&leased).await.unwrap();
            taken.push(leased.job.upload_id);
        }
        taken
    };
    let all = futures::future::join_all((0..8).map(|_| worker())).await.concat();
    assert_eq!(all.len(), 40);
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), pushed.into_iter().map(|job| job.upload_id).collect());
}
