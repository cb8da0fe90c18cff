//! An API key: `tt_ID_SECRET`. Its id is public, and is what logs and quotas name it by; its secret is 32 random bytes.
//!
//! One SHA-256 is kept of it. That is the function for keys that a machine made: with 256 random bits there is no dictionary
//! to try, so what makes hashing passwords slow would only slow every request. The hash is of the whole key, id included.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngExt;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a key begins with, so that scanners for leaked secrets can find it.
const PREFIX: &str = "tt_";
/// Letters of an id: none that is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Length of an id.
const ID: usize = 10;
/// Length of 32 bytes in base64 without padding.
#[cfg(feature = "server")]
const SECRET: usize = 43;

/// A key in the clear. Its `Debug` shows the id alone.
pub struct NewKey {
    /// The public part.
    pub id: String,
    text: String,
}

impl NewKey {
    /// Letters of an id.
    pub const ID_LENGTH: usize = ID;

    /// A random one.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        let id: String = (0..ID).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect();
        let secret = URL_SAFE_NO_PAD.encode(rng.random::<[u8; 32]>());
        Self { text: format!("{PREFIX}{id}_{secret}"), id }
    }

    /// The key itself: to be shown to its owner, once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.text)
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({})", self.id)
    }
}

/// The public part of a text that has the shape of a key.
#[cfg(feature = "server")]
pub fn id_of(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (id.len() == ID && secret.len() == SECRET).then_some(id)
}

/// SHA-256 of a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// That of a key in the clear.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Reads 64 hex digits.
    pub fn parse(digits: &str) -> Option<Self> {
        let digits = digits.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Whether two are equal, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::preset::hex(&self.0))
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_tells_its_id_and_hides_the_rest() {
        for _ in 0..200 {
            let key = NewKey::random();
            assert_eq!(id_of(key.reveal()), Some(&*key.id));
            assert_eq!(format!("{key:?}"), format!("NewKey({})", key.id));
            assert!(KeyHash::parse(&key.hash().to_string()).unwrap().is(&KeyHash::of(key.reveal())));
            assert!(!NewKey::random().hash().is(&key.hash()));
        }
    }

    #[test]
    fn other_texts_have_no_id() {
        for text in ["", "tt_", "tt_abc_def", "tt_0123456789abcdef0123456789abcdef", "whsec_abcdefghij_0"] {
            assert_eq!(id_of(text), None, "{text}");
        }
        assert!(KeyHash::parse("00").is_none() && KeyHash::parse(&"é".repeat(32)).is_none());
    }
}
