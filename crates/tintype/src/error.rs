//! Failures with a stable code: what callbacks, manifests and problem documents say.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Why an original came to nothing. Final: the same original would fail the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Failure {
    /// Stable; what a program decides by.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "corrupt"))]
    pub code: Cow<'static, str>,
    /// One sentence for a person.
    #[cfg_attr(feature = "server", schema(example = "the file is cut off"))]
    pub message: String,
}

/// The code of a failure for want of an original.
pub const NOT_FOUND: &str = "not_found";

impl Failure {
    /// A failure of a given code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), message: message.into() }
    }
}

impl From<tintype_image::Error> for Failure {
    fn from(error: tintype_image::Error) -> Self {
        Self::new(error.code.as_str(), error.message)
    }
}
