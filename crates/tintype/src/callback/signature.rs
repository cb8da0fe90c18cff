//! Standard Webhooks signatures: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

/// Oldest and newest timestamp that is taken, in seconds from now.
const TOLERANCE: i64 = 300;

/// What signs and verifies callbacks: `whsec_` and base64 of 24 to 64 bytes.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads a secret as it is written in configurations.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.strip_prefix("whsec_").ok_or("it must start with `whsec_`")?;
        let bytes = STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` must be base64")?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err("it must hold 24 to 64 bytes") }
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
        if (now.unix_timestamp() - timestamp).abs() > TOLERANCE {
            return false;
        }
        let expected = self.sign(id, timestamp, body);
        signatures.split(' ').any(|given| expected.as_bytes().ct_eq(given.as_bytes()).into())
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
        assert!(!secret.verify("msg_1", "1700000000", &good, "{}", now + time::Duration::seconds(301)));
    }

    #[test]
    fn a_secret_is_checked_and_never_shown() {
        assert!(Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        assert!(Secret::parse("whsec_short").is_err());
        assert!(Secret::parse("whsec_c2hvcnQ=").is_err());
        assert_eq!(format!("{:?}", Secret::parse(SECRET).unwrap()), "Secret(…)");
    }
}
