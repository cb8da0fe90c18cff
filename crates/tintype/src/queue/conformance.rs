//! What every queue must do, run against each provider.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use super::*;
use crate::key::Key;
use crate::ledger::SqliteLedger;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn in_the_sqlite_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&dir.path().join("t.db")).await.unwrap();
    conforms(&ledger).await;
    ledger.push(&job()).await.unwrap();
    ledger.close().await;
    let again = SqliteLedger::open(&dir.path().join("t.db")).await.unwrap();
    assert!(again.claim(LONG).await.unwrap().is_some(), "a job outlives the process");
}

fn job() -> Job {
    let event = StorageEvent {
        bucket: Some("b".into()),
        key: Key::new("temp/a b.jpg").unwrap(),
        size: Some(3),
        etag: Some("e".into()),
        version: Some("v".into()),
    };
    Job { upload_id: UploadId::random(), event, force: true }
}

async fn conforms(queue: &dyn Queue) {
    a_job_is_claimed_once_and_gone_when_acked(queue).await;
    a_lease_that_runs_out_lets_go(queue).await;
    a_retry_waits(queue).await;
    an_old_lease_settles_nothing(queue).await;
    a_restart_frees_what_was_in_hand(queue).await;
    jobs_of_one_upload_are_done_one_after_another(queue).await;
    many_workers_share_without_overlap(queue).await;
}

async fn jobs_of_one_upload_are_done_one_after_another(queue: &dyn Queue) {
    let (first, other) = (job(), job());
    for job in [&first, &first, &other] {
        queue.push(job).await.unwrap();
    }
    assert!(queue.has(&first.upload_id).await.unwrap() && !queue.has(&UploadId::random()).await.unwrap());
    let one = queue.claim(LONG).await.unwrap().unwrap();
    let two = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!((&one.job, &two.job), (&first, &other));
    assert_eq!(queue.claim(LONG).await.unwrap(), None);
    queue.ack(&one).await.unwrap();
    let again = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!(again.job, first);
    queue.ack(&two).await.unwrap();
    queue.ack(&again).await.unwrap();
}

async fn a_job_is_claimed_once_and_gone_when_acked(queue: &dyn Queue) {
    let pushed = job();
    queue.push(&pushed).await.unwrap();
    let leased = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!((&leased.job, leased.attempt), (&pushed, 1));
    assert_eq!(queue.claim(LONG).await.unwrap(), None);
    queue.ack(&leased).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), 0);
}

async fn a_lease_that_runs_out_lets_go(queue: &dyn Queue) {
    queue.push(&job()).await.unwrap();
    queue.claim(Duration::ZERO).await.unwrap().unwrap();
    let second = queue.claim(LONG).await.unwrap().unwrap();
    assert_eq!(second.attempt, 2);
    queue.ack(&second).await.unwrap();
}

async fn a_retry_waits(queue: &dyn Queue) {
    queue.push(&job()).await.unwrap();
    let leased = queue.claim(LONG).await.unwrap().unwrap();
    queue.retry(&leased, LONG).await.unwrap();
    assert_eq!(queue.claim(LONG).await.unwrap(), None);
    assert_eq!(queue.depth().await.unwrap(), 1);
    queue.retry(&leased, Duration::ZERO).await.unwrap();
    assert_eq!(queue.claim(LONG).await.unwrap(), None, "the lease was given back with the first retry");
    // Nothing here makes it due sooner, so it is left behind; the next test cannot claim it either.
}

async fn an_old_lease_settles_nothing(queue: &dyn Queue) {
    queue.push(&job()).await.unwrap();
    let first = queue.claim(Duration::ZERO).await.unwrap().unwrap();
    let second = queue.claim(LONG).await.unwrap().unwrap();
    let before = queue.depth().await.unwrap();
    queue.ack(&first).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), before);
    queue.ack(&second).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), before - 1);
}

async fn a_restart_frees_what_was_in_hand(queue: &dyn Queue) {
    queue.push(&job()).await.unwrap();
    queue.claim(LONG).await.unwrap().unwrap();
    queue.recover().await.unwrap();
    let leased = queue.claim(LONG).await.unwrap().unwrap();
    queue.ack(&leased).await.unwrap();
}

async fn many_workers_share_without_overlap(queue: &dyn Queue) {
    let pushed: Vec<_> = (0..40).map(|_| job()).collect();
    for job in &pushed {
        queue.push(job).await.unwrap();
    }
    let worker = async || {
        let mut taken = Vec::new();
        while let Some(leased) = queue.claim(LONG).await.unwrap() {
            queue.ack(&leased).await.unwrap();
            taken.push(leased.job.upload_id);
        }
        taken
    };
    let all = futures::future::join_all((0..8).map(|_| worker())).await.concat();
    assert_eq!(all.len(), 40);
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), pushed.into_iter().map(|job| job.upload_id).collect());
}
