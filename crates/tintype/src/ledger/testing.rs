//! Real databases for tests.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{Arrival, Arrived, Ledger, LedgerError, LedgerUrl, SqlLedger};
use crate::event::StorageEvent;
use crate::event::order::Rule;
use crate::key::Key;
use crate::upload::{Method, Policy, Status, Upload, UploadId};

/// Arrivals as most tests want them.
#[async_trait]
pub trait Arriving {
    /// The row after an event of an upload that was asked for; none when it was refused.
    async fn arrived(&self, row: &Upload, event: &StorageEvent) -> Result<Option<Upload>, LedgerError>;
}

#[async_trait]
impl<L: Ledger + ?Sized> Arriving for L {
    async fn arrived(&self, row: &Upload, event: &StorageEvent) -> Result<Option<Upload>, LedgerError> {
        let arrival = Arrival { event, rule: Rule::FirstBytes, is_current: false };
        Ok(match self.arrive(row, arrival).await? {
            Arrived::Queued(row) | Arrived::Stale(row, _) => Some(row),
            Arrived::Refused => None,
        })
    }
}

/// A row of an upload that was just asked for.
pub fn upload() -> Upload {
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

/// An empty ledger in a file.
pub async fn sqlite() -> (tempfile::TempDir, SqlLedger) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqlLedger::open(&LedgerUrl::Sqlite(dir.path().join("t.db"))).await.unwrap();
    (dir, ledger)
}

/// A Postgres of its own, on a socket in a folder of its own; gone when dropped.
pub struct Postgres {
    server: Child,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// None where no Postgres is installed, unless `TINTYPE_TEST_POSTGRES=required`.
    pub fn start() -> Option<Self> {
        let Some(bin) = installed() else {
            assert_ne!(std::env::var("TINTYPE_TEST_POSTGRES").as_deref(), Ok("required"), "no Postgres is installed");
            eprintln!("skipped: no Postgres is installed");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        let as_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        if as_root {
            // Postgres refuses to be root.
            assert!(Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap().success());
        }
        let run = |program: &str| {
            let mut command = Command::new(if as_root { "setpriv".into() } else { bin.join(program) });
            if as_root {
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(bin.join(program));
            }
            command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder.path());
            command
        };
        let data = folder.path().join("data");
        let made = run("initdb").args(["-A", "trust", "-U", "tintype", "-D"]).arg(&data).status().unwrap();
        assert!(made.success());
        let server = run("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .spawn()
            .unwrap();
        let socket = folder.path().join(".s.PGSQL.5432");
        let begun = Instant::now();
        while !socket.exists() {
            assert!(begun.elapsed() < Duration::from_secs(30), "Postgres did not start");
            thread::sleep(Duration::from_millis(50));
        }
        Some(Self { server, folder })
    }

    /// Its own database.
    pub fn url(&self) -> LedgerUrl {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        LedgerUrl::Postgres(format!("postgres://tintype@{socket}/postgres").parse().unwrap())
    }

    /// Its ledger, once it takes connections.
    pub async fn ledger(&self) -> SqlLedger {
        let begun = Instant::now();
        loop {
            match SqlLedger::open(&self.url()).await {
                Ok(ledger) => return ledger,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An orderly end: its children and its shared memory go too.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// Debian keeps its programs out of the path.
fn installed() -> Option<PathBuf> {
    let mut versions: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|v| v.path().join("bin")).collect();
    versions.sort();
    let on_path = std::env::var("PATH").unwrap_or_default();
    let on_path = on_path.split(':').map(PathBuf::from);
    versions.into_iter().rev().chain(on_path).find(|folder: &PathBuf| is_there(folder))
}

fn is_there(folder: &Path) -> bool {
    folder.join("initdb").exists() && folder.join("postgres").exists()
}
