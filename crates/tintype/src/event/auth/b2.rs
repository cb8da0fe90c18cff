//! Backblaze B2: an HMAC of the body, by the signing secret of the bucket's rule.
//!
//! <https://www.backblaze.com/docs/cloud-storage-event-notifications-reference-guide>

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Refusal;
use crate::config::SharedKey;
use crate::preset::hex;

/// The header that a push carries its signature in.
pub const HEADER: &str = "x-bz-event-notification-signature";
/// What the signature of the one known kind begins with: HMAC-SHA256, in hex.
const VERSION: &str = "v1=";

/// Whether a body is signed by the secret, in constant time.
///
/// # Errors
/// [`Refusal::Unauthorized`].
pub fn verify(secret: &SharedKey, signature: &str, body: &[u8]) -> Result<(), Refusal> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    let expected = hex(&mac.finalize().into_bytes());
    let given = signature.trim().strip_prefix(VERSION).unwrap_or_default().to_ascii_lowercase();
    if expected.as_bytes().ct_eq(given.as_bytes()).into() {
        return Ok(());
    }
    Err(Refusal::unauthorized(format!("{HEADER} is not the body's signature by events.b2_secret")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second test case of RFC 4231.
    const MAC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn only_the_bodys_own_signature_is_good() {
        let secret = SharedKey::new("Jefe".to_owned());
        let body = b"what do ya want for nothing?";
        let judged = |signature: &str, body: &[u8]| verify(&secret, signature, body).is_ok();
        assert!(judged(&format!("v1={MAC}"), body));
        assert!(judged(&format!("v1={}", MAC.to_uppercase()), body));
        for wrong in ["", "v1=", MAC, &format!("v2={MAC}"), &format!("v1={}", &MAC[2..]), &format!("v1={MAC}00")] {
            assert!(!judged(wrong, body), "{wrong}");
        }
        assert!(!judged(&format!("v1={MAC}"), b"what do ya want for nothing!"));
    }
}
