//! What every store must do, run against each provider.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::AmazonS3Builder;
use tempfile::TempDir;

use super::embedded::{Arrivals, DiskStore, Endpoint, router};
use super::file::FileStore;
use super::s3::{S3Config, S3Store};
use super::*;
use crate::config::Origins;
use crate::presign::Credential;
use crate::room::Room;

/// What a provider can keep beside bytes.
#[derive(Clone, Copy, PartialEq)]
enum Keeps {
    BytesOnly,
    Everything,
}

#[tokio::test]
async fn plain_files() {
    let dir = TempDir::new().unwrap();
    conforms(&FileStore::new(dir.path()), Keeps::BytesOnly).await;
}

#[tokio::test]
async fn embedded_disk() {
    let dir = TempDir::new().unwrap();
    conforms(&DiskStore::open(dir.path()).unwrap(), Keeps::Everything).await;
}

/// More than a page of names, over the wire.
#[tokio::test]
async fn a_scan_goes_on_over_pages() {
    let dir = TempDir::new().unwrap();
    let disk = DiskStore::open(dir.path()).unwrap();
    let all: Vec<String> = (0..1005).map(|n| format!("temp/{n:04}")).collect();
    for name in &all {
        disk.put(&key(name), Bytes::from_static(b"x"), &options()).await.unwrap();
    }
    let store = s3_store(&dir).await;
    let found: Vec<Listed> = store.scan("temp/", "").try_collect().await.unwrap();
    assert_eq!(found.iter().map(|object| &object.name).collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
}

/// The S3 provider over a real wire: its server is the embedded endpoint.
#[tokio::test]
async fn s3_over_the_embedded_endpoint() {
    let dir = TempDir::new().unwrap();
    let store = s3_store(&dir).await;
    conforms(&store, Keeps::Everything).await;
}

struct Nobody;

#[async_trait]
impl Arrivals for Nobody {
    async fn arrived(&self, _: &ObjectMeta) -> Result<(), String> {
        Ok(())
    }
}

async fn s3_store(dir: &TempDir) -> S3Store {
    let account = Credential { key_id: "TT".into(), secret: "a/secret+key".into(), token: None };
    let endpoint = Endpoint {
        disk: DiskStore::open(dir.path()).unwrap(),
        account: account.clone(),
        public_folder: "image/".into(),
        longest_lifetime: Duration::from_secs(900),
        max_bytes: 1 << 20,
        https: false,
        room: Room::new([dir.path().to_owned()], 0),
        origins: Origins::Any,
        forms: Default::default(),
        sending: Default::default(),
        arrivals: Arc::new(Nobody),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(endpoint)).await });
    let client = AmazonS3Builder::new().with_access_key_id(account.key_id).with_secret_access_key(account.secret);
    let endpoint = format!("http://{address}").parse().unwrap();
    let config = S3Config { bucket: "tintype".into(), endpoint: Some(endpoint), region: "us-east-1".into() };
    S3Store::build(&config, client).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn options() -> PutOptions {
    PutOptions {
        content_type: "image/png".into(),
        cache_control: "max-age=60".into(),
        metadata: [("id".to_owned(), "12345".to_owned())].into(),
    }
}

async fn conforms(store: &dyn Store, keeps: Keeps) {
    store.check().await.unwrap();
    what_is_not_there(store).await;
    what_was_put_comes_back(store, keeps).await;
    odd_keys_are_keys(store).await;
    a_replaced_object_is_the_new_one(store).await;
    a_limit_is_kept_to(store).await;
    listings_are_in_order_and_by_prefix(store).await;
}

async fn what_is_not_there(store: &dyn Store) {
    let missing = key("temp/missing");
    assert!(matches!(store.get(&missing, 10).await, Err(StoreError::NotFound(k)) if k == missing));
    assert!(matches!(store.head(&missing).await, Err(StoreError::NotFound(_))));
    assert!(matches!(store.get(&key("temp/missing/below"), 10).await, Err(StoreError::NotFound(_))));
    store.delete(&missing).await.unwrap();
    assert!(store.list("temp/").await.unwrap().is_empty());
}

async fn what_was_put_comes_back(store: &dyn Store, keeps: Keeps) {
    let name = key("image/abc.png");
    store.put(&name, Bytes::from_static(b"hello"), &options()).await.unwrap();
    let object = store.get(&name, 5).await.unwrap();
    assert_eq!(object.bytes, "hello");
    assert_eq!(object.meta.size, 5);
    let md5 = "5d41402abc4b2a76b9719d911017c592";
    assert!(object.meta.etag.as_deref().is_none_or(|etag| etag == md5), "the MD5, as S3 has it, or none");
    assert!((OffsetDateTime::now_utc() - object.meta.modified).abs() < time::Duration::minutes(1));
    if keeps == Keeps::Everything {
        assert_eq!(object.meta.content_type.as_deref(), Some("image/png"));
        assert_eq!(object.meta.metadata, options().metadata);
    }
    assert_eq!(store.head(&name).await.unwrap().size, 5);
    store.delete(&name).await.unwrap();
    assert!(matches!(store.get(&name, 5).await, Err(StoreError::NotFound(_))));
}

/// The bucket is that of the listings.
async fn scans_begin_after_a_name(store: &dyn Store) {
    for (prefix, after, expected) in [
        ("temp/", "", vec!["temp/1", "temp/10", "temp/2/x", "temp/2/y"]),
        ("temp/", "temp/10", vec!["temp/2/x", "temp/2/y"]),
        ("temp/1", "temp/1", vec!["temp/10"]),
        ("temp/", "temp/1/none", vec!["temp/10", "temp/2/x", "temp/2/y"]),
        ("", "image/\u{10ffff}", vec!["temp/1", "temp/10", "temp/2/x", "temp/2/y", "temporary/1"]),
        ("temp/", "temp/2/y", vec![]),
    ] {
        let found: Vec<Listed> = store.scan(prefix, after).try_collect().await.unwrap();
        let names: Vec<_> = found.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names, expected, "{prefix} after {after}");
        for object in found {
            let meta = store.head(&key(&object.name)).await.unwrap();
            assert_eq!((object.size, object.etag), (meta.size, meta.etag), "a listing says what the object says");
        }
    }
}

async fn odd_keys_are_keys(store: &dyn Store) {
    for name in ["temp/a b+c%20.jpg", "temp/ü(1)&=?#.jpg", "temp/~x'!*", "temp/a%2Fb"] {
        let name = key(name);
        store.put(&name, Bytes::copy_from_slice(name.as_str().as_bytes()), &options()).await.unwrap();
        assert_eq!(store.get(&name, 100).await.unwrap().bytes, name.as_str());
        assert!(store.list("temp/").await.unwrap().iter().any(|o| o.key == name), "{name} is not listed");
        store.delete(&name).await.unwrap();
    }
}

async fn a_replaced_object_is_the_new_one(store: &dyn Store) {
    let name = key("image/twice");
    store.put(&name, Bytes::from_static(b"a longer first"), &options()).await.unwrap();
    store.put(&name, Bytes::from_static(b"second"), &options()).await.unwrap();
    assert_eq!(store.get(&name, 100).await.unwrap().bytes, "second");
    store.delete(&name).await.unwrap();
}

async fn a_limit_is_kept_to(store: &dyn Store) {
    let name = key("temp/large");
    store.put(&name, Bytes::from(vec![7; 1000]), &options()).await.unwrap();
    assert!(matches!(store.get(&name, 999).await, Err(StoreError::TooLarge { size: 1000, limit: 999, .. })));
    assert!(store.get(&name, 1000).await.is_ok());
    store.delete(&name).await.unwrap();
}

async fn listings_are_in_order_and_by_prefix(store: &dyn Store) {
    let all = ["image/a", "temp/1", "temp/10", "temp/2/x", "temp/2/y", "temporary/1"];
    for name in all.iter().rev() {
        store.put(&key(name), Bytes::from_static(b"x"), &options()).await.unwrap();
    }
    for (prefix, expected) in [
        ("temp/", vec!["temp/1", "temp/10", "temp/2/x", "temp/2/y"]),
        ("temp/1", vec!["temp/1", "temp/10"]),
        ("temp/2/", vec!["temp/2/x", "temp/2/y"]),
        ("nothing/", vec![]),
        ("", all.to_vec()),
    ] {
        let found = store.list(prefix).await.unwrap();
        let names: Vec<_> = found.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(names, expected, "{prefix}");
    }
    scans_begin_after_a_name(store).await;
    for name in all {
        store.delete(&key(name)).await.unwrap();
    }
}
