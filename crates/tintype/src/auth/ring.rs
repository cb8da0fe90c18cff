//! The keys that are good just now: those of the configuration, and those of the ledger as it was at most two seconds ago.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::key::{KeyHash, id_of};
use super::{ConfiguredKey, Scopes};
use crate::ledger::{ApiKey, Ledger, LedgerError};

/// How old what is known of the ledger's keys may be: a revoked key is good for so long at most, in every process.
const FRESH: Duration = Duration::from_secs(2);
/// How often at most it is written down that a key was used.
const USED: Duration = Duration::from_secs(60);

/// Whose key was shown.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The key's public id.
    pub id: String,
    /// What it may do.
    pub scopes: Scopes,
}

/// What a text turned out to be.
#[derive(Debug)]
pub enum Known {
    /// A key that is good.
    Key(Identity),
    /// A key that was good once, and why it is no more.
    Over(&'static str),
    /// No key.
    Nothing,
}

/// The server would be open to others, or nobody could call it.
#[derive(Debug, thiserror::Error)]
#[error(
    "it would listen on {0}, beyond loopback, where others can reach it, and there is no API key that is good. Make one with \
     `tintype keys create --name backend --scope uploads:create --scope uploads:read --scope uploads:write` \
     (and the same --data or --config), or set auth.keys; or listen on 127.0.0.1"
)]
pub struct NoKey(pub SocketAddr);

/// All keys.
pub struct Keyring {
    configured: Vec<ConfiguredKey>,
    ledger: Arc<dyn Ledger>,
    beyond_loopback: bool,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// One look at the ledger at a time.
    looking: tokio::sync::Mutex<()>,
    /// When each key's use was last written down.
    used: Mutex<HashMap<String, Instant>>,
}

/// The ledger's keys at one time.
struct Snapshot {
    at: Instant,
    keys: HashMap<String, ApiKey>,
}

impl Keyring {
    /// The keys of a configuration and a ledger; whether anything listens beyond loopback.
    pub fn new(configured: Vec<ConfiguredKey>, ledger: Arc<dyn Ledger>, beyond_loopback: bool) -> Self {
        Self {
            configured,
            ledger,
            beyond_loopback,
            snapshot: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// Whether callers must show a key. Once there has been one they must for good: a key that runs out or is revoked
    /// closes the door, and never opens it.
    ///
    /// # Errors
    /// When the ledger fails and nothing else decides.
    pub async fn asks(&self) -> Result<bool, LedgerError> {
        if self.beyond_loopback || !self.configured.is_empty() {
            return Ok(true);
        }
        Ok(!self.snapshot().await?.keys.is_empty())
    }

    /// Whether any key is good now.
    ///
    /// # Errors
    /// When the ledger fails and nothing else decides.
    pub async fn any_good(&self) -> Result<bool, LedgerError> {
        let now = OffsetDateTime::now_utc();
        Ok(!self.configured.is_empty() || self.snapshot().await?.keys.values().any(|key| why_over(key, now).is_none()))
    }

    /// Whose key a text is.
    ///
    /// # Errors
    /// When it may be one of the ledger's, which fails.
    pub async fn identify(&self, text: &str) -> Result<Known, LedgerError> {
        let hash = KeyHash::of(text);
        if let Some(key) =
            self.configured.iter().fold(None, |found, key| if key.hash.is(&hash) { Some(key) } else { found })
        {
            return Ok(Known::Key(Identity { id: key.id(), scopes: key.scopes.clone() }));
        }
        let Some(id) = id_of(text) else {
            return Ok(Known::Nothing);
        };
        let snapshot = self.snapshot().await?;
        let Some(key) = snapshot.keys.get(id) else {
            return Ok(Known::Nothing);
        };
        if !KeyHash::parse(&key.hash).is_some_and(|known| known.is(&hash)) {
            return Ok(Known::Nothing);
        }
        let now = OffsetDateTime::now_utc();
        if let Some(why) = why_over(key, now) {
            return Ok(Known::Over(why));
        }
        self.note_use(key, now);
        Ok(Known::Key(Identity { id: key.id.clone(), scopes: Scopes::known(&key.scopes) }))
    }

    /// Whether the key of this public id, which was good once, still is.
    ///
    /// # Errors
    /// When it is one of the ledger's, which fails.
    pub async fn is_good(&self, id: &str) -> Result<bool, LedgerError> {
        if self.configured.iter().any(|key| key.id() == id) {
            return Ok(true);
        }
        let now = OffsetDateTime::now_utc();
        Ok(self.snapshot().await?.keys.get(id).is_some_and(|key| why_over(key, now).is_none()))
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, LedgerError> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let _one = self.looking.lock().await;
        // Somebody else may have looked meanwhile.
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let at = Instant::now();
        let keys = self.ledger.keys().await?.into_iter().map(|key| (key.id.clone(), key)).collect();
        let snapshot = Arc::new(Snapshot { at, keys });
        if let Ok(mut known) = self.snapshot.write() {
            *known = Some(snapshot.clone());
        }
        Ok(snapshot)
    }

    fn fresh(&self) -> Option<Arc<Snapshot>> {
        let known = self.snapshot.read().ok()?;
        known.as_ref().filter(|snapshot| snapshot.at.elapsed() < FRESH).cloned()
    }

    /// Writes down that a key is used, now and then, and without keeping its caller waiting.
    fn note_use(&self, key: &ApiKey, now: OffsetDateTime) {
        let Ok(mut used) = self.used.lock() else {
            return;
        };
        let here = used.get(&key.id).is_some_and(|at| at.elapsed() < USED);
        // Another process may have done it.
        if here || key.last_used_at.is_some_and(|at| now - at < USED) {
            return;
        }
        used.insert(key.id.clone(), Instant::now());
        let (ledger, id) = (self.ledger.clone(), key.id.clone());
        tokio::spawn(async move {
            if let Err(error) = ledger.key_used(&id, now).await {
                tracing::warn!(%error, key = id, "that a key was used could not be written down");
            }
        });
    }
}

/// Why a key is not good (any more).
fn why_over(key: &ApiKey, now: OffsetDateTime) -> Option<&'static str> {
    if key.revoked_at.is_some() {
        return Some("was revoked");
    }
    key.expires_at.is_some_and(|at| at <= now).then_some("has expired")
}

#[cfg(test)]
mod tests;
