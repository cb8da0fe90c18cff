//! Who calls: a server with an API key, a browser with one upload's token, or nobody known.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::app::App;
use crate::upload::UploadId;

/// Who calls.
pub enum Caller {
    /// A server: it has an API key, or none is asked for, since only this machine can call.
    Server,
    /// Perhaps a browser: this is what it showed.
    Bearer(String),
    /// It showed nothing.
    Nobody,
}

impl Caller {
    /// Only servers may.
    pub fn must_be_server(&self) -> Result<(), Problem> {
        match self {
            Self::Server => Ok(()),
            Self::Bearer(_) => Err(Problem::unauthorized("that is no API key of this server")),
            Self::Nobody => Err(Problem::unauthorized("send an API key: `Authorization: Bearer KEY`")),
        }
    }

    /// Servers may, and who holds the upload's own token.
    pub fn must_hold(&self, app: &App, id: &UploadId) -> Result<(), Problem> {
        match self {
            Self::Bearer(token) if app.tokens.verify(id, token) => Ok(()),
            caller => caller.must_be_server(),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        if app.config.keys.is_empty() {
            return Ok(Self::Server);
        }
        Ok(match in_header(parts) {
            Some(text) if is_key(&app.config.keys, &text) => Self::Server,
            Some(text) => Self::Bearer(text),
            // Addresses end up in logs: an upload's token may stand there, a key may not.
            None => in_query(parts).map_or(Self::Nobody, Self::Bearer),
        })
    }
}

/// `Authorization: Bearer X`, or the password of `Basic` (stores put it in a push address).
fn in_header(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, value) = header.and_then(|header| header.split_once(' '))?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

/// `?token=X`: a browser's EventSource sets no headers.
fn in_query(parts: &Parts) -> Option<String> {
    let query = parts.uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
}

/// Keys are random, so one SHA-256 hides them; every one is compared, in constant time.
fn is_key(hashes: &[[u8; 32]], key: &str) -> bool {
    let hash: [u8; 32] = Sha256::digest(key).into();
    hashes.iter().fold(false, |found, known| found | bool::from(known.ct_eq(&hash)))
}
