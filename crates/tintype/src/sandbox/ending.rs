//! How a decoder failed, and what is told of it.

use std::time::Duration;

use tintype_image::ErrorCode;

use crate::error::Failure;
use crate::process::too_long;

/// How a decoder failed at a job. It is good for nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It took longer than this.
    Slow(Duration),
    /// It wanted more memory than so many bytes.
    Exhausted(u64),
    /// It ended.
    Crashed {
        /// By what.
        how: String,
        /// What it said before.
        said: String,
    },
    /// It answered something else than what was asked.
    Garbled(String),
}

impl Ending {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Slow(_) => "slow",
            Self::Exhausted(_) => "exhausted",
            Self::Crashed { .. } => "crashed",
            Self::Garbled(_) => "garbled",
        }
    }

    /// What the client is told: the same image would do the same again.
    pub fn failure(&self) -> Failure {
        let (code, message) = match self {
            Self::Slow(time) => (ErrorCode::Timeout, too_long(*time)),
            Self::Exhausted(bytes) => (
                ErrorCode::TooManyPixels,
                format!(
                    "its pixels took more than the {} MiB of memory that its header lets expect: send a smaller image",
                    bytes >> 20
                ),
            ),
            Self::Crashed { how, .. } => (ErrorCode::Internal, format!("the decoder crashed on this image ({how})")),
            Self::Garbled(what) => {
                (ErrorCode::Internal, format!("the decoder's answer to this image was not believed: {what}"))
            }
        };
        Failure::new(code.as_str(), message)
    }
}
