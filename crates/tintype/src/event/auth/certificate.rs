//! The certificates that SNS signs with: fetched once, and their keys kept.
//!
//! SNS sends no chain with a certificate, so what vouches for it is where it is fetched from: a name of Amazon's,
//! by TLS.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;
use url::Url;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::der::oid::ObjectIdentifier;

use super::Refusal;
use super::fetch::{FetchError, Fetcher};

/// Most certificates that are kept: SNS has one a region, and changes it once a year.
const MOST: usize = 32;
/// <https://oidref.com/1.2.840.113549.1.1.1>
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Most addresses that are remembered to hold no certificate, and for how long.
const MOST_MISSING: usize = 256;
const MISSING: Duration = Duration::from_secs(60);
/// How long it is remembered that one could not be had: SNS gives a message up after about a minute.
const FAILED: Duration = Duration::from_secs(5);

/// The keys of certificates, by address; and where there was none.
#[derive(Default)]
pub struct Certificates {
    known: Mutex<HashMap<Url, Signer>>,
    /// Until when they are believed to be.
    missing: Mutex<HashMap<Url, (Instant, Refusal)>>,
    /// What is being fetched: once for all who want it.
    turns: Mutex<HashMap<Url, Turn>>,
}

/// Held by who fetches a certificate; others who want it wait.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// An RSA key (PKCS #1, DER) and when it is good.
#[derive(Clone)]
struct Signer {
    key: Vec<u8>,
    from: SystemTime,
    until: SystemTime,
}

impl Certificates {
    /// The key of the certificate at a trusted address.
    ///
    /// # Errors
    /// When it cannot be had just now, or is no certificate that is good at that time.
    pub async fn key(
        &self,
        fetcher: &Fetcher,
        url: &Url,
        sender: Option<IpAddr>,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, Refusal> {
        let signer = match self.known(url) {
            Some(signer) => signer,
            None => self.fetch(fetcher, url, sender).await?,
        };
        let now = SystemTime::from(now);
        if now < signer.from || now > signer.until {
            return Err(Refusal::unauthorized("its certificate is not good (any more)"));
        }
        Ok(signer.key)
    }

    async fn fetch(&self, fetcher: &Fetcher, url: &Url, sender: Option<IpAddr>) -> Result<Signer, Refusal> {
        let turn = self.turn(url);
        let _one = turn.lock().await;
        // Who was before has found it, or that it is not there.
        if let Some(signer) = self.known(url) {
            return Ok(signer);
        }
        if let Some(refusal) = self.missing(url) {
            return Err(refusal);
        }
        let fetched = fetcher.get(url, sender).await;
        let believed = match &fetched {
            // What nobody asked for may well be there.
            Err(FetchError::TooMany(..)) => Duration::ZERO,
            Err(FetchError::Failed(_)) => FAILED,
            _ => MISSING,
        };
        let signer = fetched
            .map_err(|why| Refusal::Unavailable(format!("SNS's certificate cannot be had: {why}")))
            .and_then(|pem| read(&pem).map_err(Refusal::unauthorized));
        match &signer {
            Ok(signer) => self.keep(url, signer),
            Err(refusal) => self.miss(url, refusal, believed),
        }
        signer
    }

    fn turn(&self, url: &Url) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(url.clone()).or_default().clone()
    }

    fn missing(&self, url: &Url) -> Option<Refusal> {
        let mut missing = self.missing.lock().ok()?;
        missing.retain(|_, (until, _)| *until > Instant::now());
        missing.get(url).map(|(_, refusal)| refusal.clone())
    }

    fn miss(&self, url: &Url, refusal: &Refusal, believed: Duration) {
        if let Ok(mut missing) = self.missing.lock()
            && missing.len() < MOST_MISSING
        {
            missing.insert(url.clone(), (Instant::now() + believed, refusal.clone()));
        }
    }

    fn known(&self, url: &Url) -> Option<Signer> {
        self.known.lock().ok()?.get(url).cloned()
    }

    fn keep(&self, url: &Url, signer: &Signer) {
        if let Ok(mut known) = self.known.lock() {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(url.clone(), signer.clone());
        }
    }
}

fn read(pem: &[u8]) -> Result<Signer, &'static str> {
    let certificate = Certificate::from_pem(pem).map_err(|_| "what is at its SigningCertURL is no certificate")?;
    let certificate = certificate.tbs_certificate();
    let key = certificate.subject_public_key_info();
    if key.algorithm.oid != RSA {
        return Err("its certificate is not for an RSA key");
    }
    Ok(Signer {
        key: key.subject_public_key.raw_bytes().to_vec(),
        from: certificate.validity().not_before.to_system_time(),
        until: certificate.validity().not_after.to_system_time(),
    })
}
