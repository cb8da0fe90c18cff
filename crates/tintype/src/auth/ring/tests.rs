#![allow(clippy::unwrap_used)]
use super::*;
use crate::auth::{NewKey, Scope};
use crate::ledger::SqlLedger;
use crate::ledger::testing::sqlite;

const LOCAL: bool = false;
const OPEN: bool = true;

fn ring(ledger: &SqlLedger, beyond_loopback: bool, configured: Vec<ConfiguredKey>) -> Keyring {
    Keyring::new(configured, Arc::new(ledger.clone()), beyond_loopback)
}

async fn add(ledger: &SqlLedger, expires_in: Option<time::Duration>) -> NewKey {
    let (key, now) = (NewKey::random(), OffsetDateTime::now_utc());
    let row = ApiKey {
        id: key.id.clone(),
        name: "test".to_owned(),
        hash: key.hash().to_string(),
        scopes: "events uploads:read".to_owned(),
        created_at: now,
        expires_at: expires_in.map(|after| now + after),
        last_used_at: None,
        revoked_at: None,
    };
    ledger.add_key(&row).await.unwrap();
    key
}

/// What is known becomes old.
async fn wait() {
    tokio::time::sleep(FRESH + Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_key_is_good_in_every_process_until_it_is_revoked() {
    let (_dir, ledger) = sqlite().await;
    let key = add(&ledger, None).await;
    let rings = [ring(&ledger, LOCAL, Vec::new()), ring(&ledger, OPEN, Vec::new())];
    for ring in &rings {
        let Known::Key(identity) = ring.identify(key.reveal()).await.unwrap() else { panic!("it is good") };
        assert_eq!(identity.id, key.id);
        assert!(identity.scopes.allow(Scope::Events) && !identity.scopes.allow(Scope::Results));
        assert!(ring.asks().await.unwrap() && ring.any_good().await.unwrap());
    }
    assert!(ledger.revoke_key(&key.id, OffsetDateTime::now_utc()).await.unwrap());
    wait().await;
    for ring in &rings {
        assert!(matches!(ring.identify(key.reveal()).await.unwrap(), Known::Over("was revoked")));
        assert!(ring.asks().await.unwrap(), "the last key's end opens nothing");
        assert!(!ring.any_good().await.unwrap());
    }
}

#[tokio::test]
async fn only_loopback_without_any_key_ever_is_open() {
    let (_dir, ledger) = sqlite().await;
    let (local, open) = (ring(&ledger, LOCAL, Vec::new()), ring(&ledger, OPEN, Vec::new()));
    assert!(!local.asks().await.unwrap() && open.asks().await.unwrap() && !open.any_good().await.unwrap());
    let configured = ConfiguredKey { hash: KeyHash::of("k"), scopes: Scopes::known("events") };
    let with = ring(&ledger, LOCAL, vec![configured]);
    assert!(with.asks().await.unwrap() && with.any_good().await.unwrap());
    let Known::Key(identity) = with.identify("k").await.unwrap() else { panic!("it is good") };
    assert!(identity.id.starts_with("config-") && identity.scopes.allow(Scope::Events));
    assert!(matches!(with.identify("l").await.unwrap(), Known::Nothing));
}

#[tokio::test]
async fn a_key_that_has_expired_is_over_and_its_secret_alone_tells_so() {
    let (_dir, ledger) = sqlite().await;
    let key = add(&ledger, Some(-time::Duration::SECOND)).await;
    let ring = ring(&ledger, LOCAL, Vec::new());
    assert!(matches!(ring.identify(key.reveal()).await.unwrap(), Known::Over("has expired")));
    let other = format!("tt_{}_{}", key.id, "A".repeat(43));
    assert!(matches!(ring.identify(&other).await.unwrap(), Known::Nothing));
}

#[tokio::test]
async fn without_the_ledger_nothing_is_open() {
    let (_dir, ledger) = sqlite().await;
    let ring = ring(&ledger, LOCAL, Vec::new());
    assert!(!ring.asks().await.unwrap());
    ledger.close().await;
    wait().await;
    assert!(ring.asks().await.is_err() && ring.identify(NewKey::random().reveal()).await.is_err());
}

#[tokio::test]
async fn use_is_written_down_and_not_with_every_call() {
    let (_dir, ledger) = sqlite().await;
    let key = add(&ledger, None).await;
    let ring = ring(&ledger, LOCAL, Vec::new());
    let used = async || ledger.keys().await.unwrap()[0].last_used_at;
    ring.identify(key.reveal()).await.unwrap();
    while used().await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first = used().await;
    wait().await;
    for _ in 0..10 {
        ring.identify(key.reveal()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(used().await, first);
}
