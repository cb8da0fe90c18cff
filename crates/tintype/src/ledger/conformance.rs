//! What every ledger must do, run against each provider.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::Failure;
use crate::upload::{Method, Policy};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&SqliteLedger::open(&dir.path().join("t.db")).await.unwrap()).await;
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.db");
    let ledger = SqliteLedger::open(&file).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', 1, x'00', 0)",
    )
    .execute(&ledger.writer)
    .await
    .unwrap();
    ledger.close().await;
    let error = SqliteLedger::open(&file).await.unwrap_err().to_string();
    assert!(error.contains("99"), "{error}");
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
        },
        extension: Some("jpeg".into()),
        preset: "default".into(),
        created_at: now,
        expires_at: now + Duration::from_secs(1000),
        processed_key: None,
        manifest: None,
        error: None,
    }
}

fn notice() -> Notice {
    Notice { url: "http://localhost/".into(), method: "PUT".into(), body: "{}".into() }
}

fn failed() -> Outcome {
    Outcome::Failed(Failure::new("corrupt", "it is broken"))
}

fn attempt(status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "refused".to_owned());
    Attempt { at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(), status, error, millis: 5 }
}

async fn conforms(ledger: &dyn Ledger) {
    rows_come_back_as_they_were(ledger).await;
    equal_idempotency_keys_are_equal_requests(ledger).await;
    a_batch_is_all_or_none(ledger).await;
    an_unannounced_key_is_adopted_once(ledger).await;
    an_outcome_and_its_callback_are_one(ledger).await;
    a_delivery_is_claimed_once_and_settled(ledger).await;
    the_same_delivery_again_is_sent_again_under_its_id(ledger).await;
    only_pending_uploads_expire(ledger).await;
    what_is_removed_is_gone(ledger).await;
    listings_go_on_where_they_stopped(ledger).await;
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
    let promise = |request: &str| Idempotency { key: "k".into(), request: request.into() };
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
    let adopted = Upload { status: Status::Processing, ..row.clone() };
    assert_eq!(ledger.arrived(&row).await.unwrap(), Some(adopted.clone()));
    let again = Upload { id: UploadId::random(), ..row.clone() };
    assert_eq!(ledger.arrived(&again).await.unwrap(), Some(adopted));
}

async fn an_outcome_and_its_callback_are_one(ledger: &dyn Ledger) {
    let row = upload();
    assert!(!ledger.finish(&row.id, &failed(), Some(&notice())).await.unwrap());
    assert!(ledger.deliveries(&page(), Some(&row.id)).await.unwrap().is_empty());
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    assert_eq!(ledger.arrived(&row).await.unwrap().unwrap().status, Status::Processing);
    assert!(ledger.finish(&row.id, &failed(), Some(&notice())).await.unwrap());
    let found = ledger.get(&row.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.error.unwrap().code.as_ref()), (Status::Failed, "corrupt"));
    let told = ledger.deliveries(&page(), Some(&row.id)).await.unwrap();
    assert_eq!((told.len(), told[0].status, told[0].body.as_str()), (1, DeliveryStatus::Pending, "{}"));
    let key = Key::new("image/x.jpg").unwrap();
    assert!(ledger.finish(&row.id, &Outcome::Processed(key.clone()), None).await.unwrap());
    let found = ledger.get(&row.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.processed_key, found.error), (Status::Completed, Some(key), None));
    let second_event = ledger.arrived(&row).await.unwrap().unwrap();
    assert_eq!(second_event.status, Status::Completed, "a second event changes nothing");
    ledger.reopen(&row.id).await.unwrap();
    assert_eq!(ledger.get(&row.id).await.unwrap().unwrap().status, Status::Processing);
    ledger.remove(&row).await.unwrap();
}

async fn a_delivery_is_claimed_once_and_settled(ledger: &dyn Ledger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice())).await.unwrap();
    let claimed = ledger.claim_deliveries(10, LONG).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(ledger.claim_deliveries(10, LONG).await.unwrap().is_empty());
    ledger.recover().await.unwrap();
    assert_eq!(ledger.claim_deliveries(10, LONG).await.unwrap().len(), 1, "a restart frees what was in hand");
    let id = &claimed[0].id;
    ledger.settle_delivery(id, &attempt(None), Next::RetryIn(Duration::ZERO)).await.unwrap();
    assert_eq!(ledger.claim_deliveries(10, LONG).await.unwrap()[0].attempts, 1);
    ledger.settle_delivery(id, &attempt(Some(200)), Next::Delivered).await.unwrap();
    assert!(ledger.claim_deliveries(10, LONG).await.unwrap().is_empty());
    let told = &ledger.deliveries(&page(), Some(&row.id)).await.unwrap()[0];
    assert_eq!((told.status, told.attempts, told.last_status), (DeliveryStatus::Delivered, 2, Some(200)));
    assert_eq!(ledger.attempts(id).await.unwrap().len(), 2);
    assert!(ledger.resend(id).await.unwrap());
    assert_eq!(ledger.claim_deliveries(10, LONG).await.unwrap().len(), 1);
    ledger.settle_delivery(id, &attempt(Some(410)), Next::Dead).await.unwrap();
    assert!(!ledger.resend("msg_none").await.unwrap());
    ledger.remove(&row).await.unwrap();
    assert!(ledger.attempts(id).await.unwrap().is_empty());
}

async fn the_same_delivery_again_is_sent_again_under_its_id(ledger: &dyn Ledger) {
    let row = upload();
    let other = Outcome::Failed(Failure::new("corrupt", "in another way"));
    let mut ids = Vec::new();
    for outcome in [failed(), failed(), other, failed()] {
        ledger.arrived(&row).await.unwrap();
        ledger.finish(&row.id, &outcome, Some(&notice())).await.unwrap();
        let claimed = ledger.claim_deliveries(10, LONG).await.unwrap();
        assert_eq!(claimed.len(), 1);
        ledger.settle_delivery(&claimed[0].id, &attempt(Some(200)), Next::Delivered).await.unwrap();
        ids.push(claimed[0].id.clone());
    }
    assert_eq!(ids[0], ids[1], "found out twice, it is the same message");
    assert!(ids[1] != ids[2] && ids[3] != ids[2] && ids[3] != ids[0], "a receiver that drops known ids ends right");
    ledger.remove(&row).await.unwrap();
}

async fn only_pending_uploads_expire(ledger: &dyn Ledger) {
    let (pending, arrived) = (upload(), upload());
    ledger.create(&[pending.clone(), arrived.clone()], None).await.unwrap();
    ledger.arrived(&arrived).await.unwrap();
    assert!(ledger.expire(pending.created_at).await.unwrap().is_empty());
    let expired = ledger.expire(pending.expires_at).await.unwrap();
    assert!(expired.contains(&pending.id) && !expired.contains(&arrived.id));
    assert_eq!(ledger.get(&pending.id).await.unwrap().unwrap().status, Status::Expired);
    let late = ledger.arrived(&pending).await.unwrap().unwrap();
    assert_eq!(late.status, Status::Processing, "late is better than never");
}

async fn what_is_removed_is_gone(ledger: &dyn Ledger) {
    let row = upload();
    ledger.create(std::slice::from_ref(&row), None).await.unwrap();
    ledger.finish(&row.id, &failed(), Some(&notice())).await.unwrap();
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.get(&row.id).await.unwrap(), None);
    assert!(ledger.deliveries(&page(), Some(&row.id)).await.unwrap().is_empty());
    ledger.remove(&row).await.unwrap();
    assert_eq!(ledger.arrived(&row).await.unwrap(), None, "its credential is still good, and revoked");
    ledger.forget(row.expires_at + LONG).await.unwrap();
    assert!(ledger.arrived(&row).await.unwrap().is_some());
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
        let found = ledger.list(&page).await.unwrap();
        page.before = found.last().map(|row| (row.created_at, row.id.to_string()));
        seen.extend(found.into_iter().map(|row| row.id));
    }
    rows.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
    assert_eq!(seen[..5], rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
    let counts = ledger.count().await.unwrap();
    assert!(counts.iter().any(|(status, n)| *status == Status::Failed && *n >= 5), "{counts:?}");
}

fn page() -> Page {
    Page { limit: 100, ..Default::default() }
}
