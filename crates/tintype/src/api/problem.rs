//! Errors over HTTP: problem documents (RFC 9457) with a stable `code`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::app::DeleteError;
use crate::event::accept::AcceptError;
use crate::ledger::LedgerError;
use crate::metrics;
use crate::presign::PresignError;
use crate::queue::QueueError;
use crate::store::StoreError;
use crate::upload::create::CreateError;

/// One problem document.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem of a status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        Self { status, code, detail: detail.into(), retry_after }
    }

    /// The same, to be tried again after so many seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The request is wrong in itself.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// The caller may not.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// The caller is known, and may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// The same, with the place named first.
    pub fn at(mut self, place: &str) -> Self {
        self.detail = format!("{place}: {}", self.detail);
        self
    }

    /// Something behind the API fails just now. Logs say what; clients hear when to come back.
    pub fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the service cannot do that just now; try again")
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        let (status, code) = match &error {
            CreateError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            CreateError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            CreateError::UnsupportedFormat(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unsupported_format"),
            CreateError::Conflict => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_conflict"),
            CreateError::Deleted => (StatusCode::CONFLICT, "upload_deleted"),
            CreateError::Ledger(_) | CreateError::Presign(_) => return Self::unavailable(&error),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<PresignError> for Problem {
    fn from(error: PresignError) -> Self {
        Self::unavailable(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        metrics::problem(self.code);
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.retry_after.map(|seconds| (header::RETRY_AFTER, seconds.into())));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
