//! Why an image was refused.

use std::fmt;

/// A stable name for a reason; part of the external contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ErrorCode {
    /// The bytes are of no format this build reads. Send another format.
    UnsupportedFormat,
    /// The bytes claim a format but break its rules, or end early. Send the file again, whole.
    Corrupt,
    /// Width x height passes [`crate::Limits::max_pixels`]. Send a smaller image or raise the limit.
    TooManyPixels,
    /// An animation passes [`crate::Limits::max_frames`]. Send fewer frames or raise the limit.
    TooManyFrames,
    /// The work passed [`crate::Limits::deadline`].
    Timeout,
    /// A fault of this program, not of the image.
    Internal,
}

impl ErrorCode {
    /// The code as callbacks, manifests and problem documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedFormat => "unsupported_format",
            Self::Corrupt => "corrupt",
            Self::TooManyPixels => "too_many_pixels",
            Self::TooManyFrames => "too_many_frames",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A coded refusal with one plain sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Error {
    /// What a program decides by.
    pub code: ErrorCode,
    /// What a person reads.
    pub message: String,
}

impl Error {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Corrupt, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}
