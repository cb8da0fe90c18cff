//! Tokens that let a browser see one upload alone. Nothing is stored: a token is a MAC of the upload's id.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::upload::UploadId;

/// Makes and checks tokens.
pub struct Tokens(String);

impl Tokens {
    /// With this installation's secret.
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The token of an upload.
    pub fn of(&self, id: &UploadId) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(b"upload-token:");
        mac.update(id.as_str().as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Whether a token is that of an upload.
    pub fn verify(&self, id: &UploadId, token: &str) -> bool {
        self.of(id).as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// Whether a text looks like a token: 32 bytes in base64 without padding.
pub fn has_shape(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_one_upload_of_one_installation() {
        let (tokens, id) = (Tokens::new("a".into()), UploadId::random());
        let token = tokens.of(&id);
        assert!(tokens.verify(&id, &token));
        assert!(!tokens.verify(&UploadId::random(), &token));
        assert!(!Tokens::new("b".into()).verify(&id, &token));
        assert!(!tokens.verify(&id, ""));
        assert!(has_shape(&token) && !has_shape(id.as_str()));
    }
}
