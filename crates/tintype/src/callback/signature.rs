//! Standard Webhooks signatures: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

/// Oldest and newest timestamp that is taken, in seconds from now.
const TOLERANCE: u64 = 300;

/// What signs and verifies callbacks: `whsec_` and base64 of 24 to 64 bytes.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a secret looks like, and how one is made.
const SHAPE: &str = "it must be `whsec_` and 24 to 64 bytes in base64; this makes one: \
                     echo \"whsec_$(head -c 32 /dev/urandom | base64)\"";

impl Secret {
    /// Reads a secret as it is written in configurations.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.strip_prefix("whsec_").ok_or(SHAPE)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SHAPE)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SHAPE) }
    }

    /// The header `webhook-signature` of a message.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// Whether a message is signed by this secret, and lately.
    pub fn verify(&self, id: &str, timestamp: &str, signatures: &str, body: &str, now: OffsetDateTime) -> bool {
        let Ok(timestamp) = timestamp.parse::<i64>() else {
            return false;
        };
        if now.unix_timestamp().abs_diff(timestamp) > TOLERANCE {
            return false;
        }
        let expected = self.sign(id, timestamp, body);
        signatures.split(' ').any(|given| expected.as_bytes().ct_eq(given.as_bytes()).into())
    }
}

/// The secrets in force, newest first; with none callbacks are not signed.
///
/// While a secret is changed both sides know two: each message is signed by all, and one signature is enough.
#[derive(Debug, Clone, Default)]
pub struct Secrets(pub Vec<Secret>);

impl Secrets {
    /// The header `webhook-signature`: one signature for each secret, with spaces between. None without secrets.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> Option<String> {
        let signatures: Vec<_> = self.0.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
        Some(signatures.join(" ")).filter(|header| !header.is_empty())
    }

    /// Whether a message is signed by one of them, and lately.
    pub fn verify(&self, id: &str, timestamp: &str, signatures: &str, body: &str, now: OffsetDateTime) -> bool {
        self.0.iter().any(|secret| secret.verify(id, timestamp, signatures, body, now))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// Id, time, body and signature as the specification's own reference libraries test them.
    #[test]
    fn signs_as_the_reference_does() {
        let signature = Secret::parse(SECRET).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn verifies_its_own_only_and_only_lately() {
        let secret = Secret::parse(SECRET).unwrap();
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let good = secret.sign("msg_1", 1_700_000_000, "{}");
        assert!(secret.verify("msg_1", "1700000000", &good, "{}", now));
        assert!(secret.verify("msg_1", "1700000000", &format!("v1,AAAA {good}"), "{}", now));
        assert!(!secret.verify("msg_2", "1700000000", &good, "{}", now));
        assert!(!secret.verify("msg_1", "1700000000", &good, "{ }", now));
        assert!(!secret.verify("msg_1", "1700000000", "", "{}", now));
        let farthest = i64::MIN.to_string();
        assert!(!secret.verify("msg_1", &farthest, &secret.sign("msg_1", i64::MIN, "{}"), "{}", now));
        assert!(!secret.verify("msg_1", "1700000000", &good, "{}", now + time::Duration::seconds(301)));
    }

    #[test]
    fn all_secrets_sign_and_any_of_them_verifies() {
        let (new, old) = (Secret::parse(SECRET).unwrap(), Secret(vec![7; 32]));
        let both = Secrets(vec![new.clone(), old.clone()]);
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let header = both.sign("msg_1", 1_700_000_000, "{}").unwrap();
        assert!(header.starts_with(&new.sign("msg_1", 1_700_000_000, "{}")), "the newest comes first");
        for knows in [&new, &old] {
            assert!(knows.verify("msg_1", "1700000000", &header, "{}", now));
            assert!(both.verify("msg_1", "1700000000", &knows.sign("msg_1", 1_700_000_000, "{}"), "{}", now));
        }
        assert!(!Secret(vec![8; 32]).verify("msg_1", "1700000000", &header, "{}", now));
        assert!(!both.verify(
            "msg_1",
            "1700000000",
            &Secret(vec![8; 32]).sign("msg_1", 1_700_000_000, "{}"),
            "{}",
            now
        ));
        assert!(Secrets::default().sign("msg_1", 1_700_000_000, "{}").is_none());
        assert!(!Secrets::default().verify("msg_1", "1700000000", "", "{}", now));
    }

    #[test]
    fn a_secret_is_checked_and_never_shown() {
        assert!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        assert!(Secret::parse("whsec_short").is_err());
        assert!(Secret::parse("whsec_c2hvcnQ=").is_err());
        assert_eq!(format!("{:?}", Secret::parse(SECRET).unwrap()), "Secret(…)");
    }
}
