//! The certificates that SNS signs with: fetched once, and their keys kept.
//!
//! SNS sends no chain with a certificate, so what vouches for it is where it is fetched from: a name of Amazon's,
//! by TLS.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::SystemTime;

use time::OffsetDateTime;
use url::Url;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::der::oid::ObjectIdentifier;

use super::Refusal;
use super::fetch::Fetcher;

/// Most certificates that are kept: SNS has one a region, and changes it once a year.
const MOST: usize = 32;
/// <https://oidref.com/1.2.840.113549.1.1.1>
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The keys of certificates, by address.
#[derive(Default)]
pub struct Certificates(Mutex<HashMap<Url, Signer>>);

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
    pub async fn key(&self, fetcher: &Fetcher, url: &Url, now: OffsetDateTime) -> Result<Vec<u8>, Refusal> {
        let signer = match self.known(url) {
            Some(signer) => signer,
            None => {
                let pem = fetcher.get(url).await;
                let pem = pem.map_err(|why| Refusal::Unavailable(format!("SNS's certificate cannot be had: {why}")))?;
                let signer = read(&pem).map_err(Refusal::unauthorized)?;
                self.keep(url, &signer);
                signer
            }
        };
        let now = SystemTime::from(now);
        if now < signer.from || now > signer.until {
            return Err(Refusal::unauthorized("its certificate is not good (any more)"));
        }
        Ok(signer.key)
    }

    fn known(&self, url: &Url) -> Option<Signer> {
        self.0.lock().ok()?.get(url).cloned()
    }

    fn keep(&self, url: &Url, signer: &Signer) {
        if let Ok(mut known) = self.0.lock() {
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
