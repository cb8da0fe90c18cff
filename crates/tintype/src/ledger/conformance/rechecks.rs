//! Names that are looked at again, and bytes that are known.

use super::*;
use crate::ledger::Recheck;

async fn of(ledger: &SqlLedger, row: &Upload) -> Option<Recheck> {
    let due = ledger.rechecks(OffsetDateTime::now_utc() + 2 * LONG, 1000).await.unwrap();
    due.into_iter().find(|recheck| recheck.key == row.key)
}

pub(super) async fn names_of_a_removed_upload_are_looked_at_again(ledger: &SqlLedger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.mark_deleted(&row.id).await.unwrap();
    assert_eq!(of(ledger, &row).await, None, "its deletion looks again itself");
    ledger.remove(&row).await.unwrap();
    let recheck = of(ledger, &row).await.unwrap();
    assert!(ledger.rechecks(OffsetDateTime::now_utc(), 1000).await.unwrap().iter().all(|due| due.key != row.key));
    ledger.rechecked(&recheck, Some(OffsetDateTime::now_utc() + 10 * LONG)).await.unwrap();
    assert_eq!(of(ledger, &row).await, None, "not before its time");
    let later = ledger.rechecks(OffsetDateTime::now_utc() + 11 * LONG, 1000).await.unwrap();
    assert!(later.contains(&recheck), "since the same time");
    let other = Recheck { since: recheck.since - LONG, ..recheck.clone() };
    ledger.rechecked(&other, None).await.unwrap();
    assert!(
        ledger.rechecks(OffsetDateTime::now_utc() + 11 * LONG, 1000).await.unwrap().contains(&recheck),
        "begun anew"
    );
    ledger.rechecked(&recheck, None).await.unwrap();
    assert!(!ledger.rechecks(OffsetDateTime::now_utc() + 11 * LONG, 1000).await.unwrap().contains(&recheck));
}

pub(super) async fn whoever_takes_a_job_over_is_followed_by_a_look(ledger: &SqlLedger) {
    let row = upload();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    ledger.claim(Duration::ZERO, true).await.unwrap().unwrap();
    assert_eq!(of(ledger, &row).await, None);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let taken = ledger.claim(LONG, true).await.unwrap().unwrap();
    assert!(taken.crashes == 1 && of(ledger, &row).await.is_some());
    ledger.finish(&row.id, &failed(), None, Some(JobEnd::Done(&taken))).await.unwrap();
    assert!(of(ledger, &row).await.is_some());
    ledger.remove(&row).await.unwrap();
}

pub(super) async fn the_first_bytes_that_are_read_are_known(ledger: &SqlLedger) {
    let row = upload();
    ledger.arrived(&row, &event(&row)).await.unwrap();
    assert_eq!(ledger.first_read(&row.id, "one").await.unwrap(), "one");
    assert_eq!(ledger.first_read(&row.id, "two").await.unwrap(), "one", "whoever comes later");
    let known = async || ledger.get(&row.id).await.unwrap().unwrap().state();
    let pin = known().await;
    assert_eq!((pin.sha256.as_deref(), pin.etag.as_deref()), (Some("one"), Some("e")));
    ledger.arrived(&row, &event(&row)).await.unwrap();
    ledger.reopen(&row.id, &event(&row)).await.unwrap();
    assert_eq!(known().await.sha256.as_deref(), Some("one"), "neither an event nor a retry forgets it");
    ledger.reopen(&row.id, &StorageEvent { etag: Some("f".into()), ..event(&row) }).await.unwrap();
    assert_eq!(known().await.sha256, None, "another state has other bytes");
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.first_read(&row.id, "two").await.unwrap(), "two", "of no upload nothing is known");
}
