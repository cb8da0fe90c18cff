//! Who calls: a server with an API key, a browser with one upload's token, or nobody known.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::problem::Problem;
use crate::app::App;
use crate::auth::{Identity, Known, Scope};
use crate::upload::UploadId;

/// Who calls.
pub enum Caller {
    /// A program of this machine, where no key is asked for.
    Local,
    /// A server: it has this API key.
    Key(Identity),
    /// One with an API key that was good once, and why it is no more.
    Former(&'static str),
    /// Perhaps a browser, or a provider: this is what it showed, in a header.
    Shown(String),
    /// The same, in the query, where tokens of uploads may stand and nothing else.
    Query(String),
    /// It showed nothing.
    Nobody,
}

impl Caller {
    /// Whether it is one whose scopes decide.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Local | Self::Key(_))
    }

    /// What it showed in a header that is no API key.
    pub fn shown(&self) -> Option<&str> {
        if let Self::Shown(text) = self { Some(text) } else { None }
    }

    /// Only servers with this scope may.
    pub fn must(&self, scope: Scope) -> Result<(), Problem> {
        match self {
            Self::Local => Ok(()),
            Self::Key(key) if key.scopes.allow(scope) => Ok(()),
            Self::Key(key) => {
                tracing::info!(scope = scope.as_str(), "refused a key without the scope");
                Err(Problem::forbidden(format!("this needs the scope `{scope}`, which key {} does not have", key.id)))
            }
            Self::Former(why) => Err(Problem::unauthorized(format!("that API key {why}: make another"))),
            Self::Shown(_) | Self::Query(_) => Err(Problem::unauthorized("that is no API key of this server")),
            Self::Nobody => Err(Problem::unauthorized("send an API key: `Authorization: Bearer KEY`")),
        }
    }

    /// Servers with this scope may, and who holds the upload's own token.
    pub fn must_hold(&self, app: &App, id: &UploadId, scope: Scope) -> Result<(), Problem> {
        match self {
            Self::Shown(token) | Self::Query(token) if app.tokens.verify(id, token) => Ok(()),
            caller => caller.must(scope),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        if !app.keys.asks().await? {
            return Ok(Self::Local);
        }
        let Some(text) = in_header(parts) else {
            // Addresses end up in logs: an upload's token may stand there, a key may not.
            return Ok(in_query(&parts.uri).map_or(Self::Nobody, Self::Query));
        };
        Ok(match app.keys.identify(&text).await? {
            Known::Key(key) => {
                tracing::Span::current().record("key", &key.id);
                Self::Key(key)
            }
            Known::Over(why) => Self::Former(why),
            Known::Nothing => Self::Shown(text),
        })
    }
}

/// `Authorization: Bearer X`, or the password of `Basic` (stores put it in a push address), or `x-api-key: X`.
fn in_header(parts: &Parts) -> Option<String> {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(header) = text(AUTHORIZATION.as_str()) else {
        return text("x-api-key").map(|key| key.trim().to_owned());
    };
    let (scheme, value) = header.split_once(' ')?;
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
pub(super) fn in_query(uri: &Uri) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, value)| value.into_owned())
}
