//! What an image may cost. Checked against the header, before any pixel is decoded.

use std::time::Instant;

use crate::damage::Tolerance;
use crate::error::{Error, ErrorCode};

/// Bounds on one image.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most pixels of one frame, width x height; and, four times over, of all frames together.
    pub max_pixels: u64,
    /// Most frames of an animation.
    pub max_frames: u32,
    /// How much of a damaged file has to be there.
    pub damaged: Tolerance,
    /// When to give up. Looked at between frames and between variants.
    pub deadline: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 100_000_000, max_frames: 1000, damaged: Tolerance::default(), deadline: None }
    }
}

impl Limits {
    /// Refuses dimensions past the bounds.
    pub(crate) fn check(&self, width: u32, height: u32, frames: u32) -> Result<(), Error> {
        if width == 0 || height == 0 {
            return Err(Error::corrupt("the image has no width or no height"));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.max_pixels {
            return Err(Error::new(
                ErrorCode::TooManyPixels,
                format!("{width}x{height} is {pixels} pixels, the limit is {}", self.max_pixels),
            ));
        }
        if frames > self.max_frames {
            return Err(Error::new(
                ErrorCode::TooManyFrames,
                format!("{frames} frames, the limit is {}", self.max_frames),
            ));
        }
        let total = pixels * u64::from(frames);
        if frames > 1 && total > self.max_pixels.saturating_mul(4) {
            return Err(Error::new(
                ErrorCode::TooManyPixels,
                format!(
                    "{frames} frames of {width}x{height} are {total} pixels, the limit for an animation is {}",
                    self.max_pixels.saturating_mul(4)
                ),
            ));
        }
        Ok(())
    }

    /// Fails once the deadline has passed.
    pub(crate) fn check_time(&self) -> Result<(), Error> {
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(Error::new(ErrorCode::Timeout, "the image took longer than the deadline of a job"))
            }
            _ => Ok(()),
        }
    }
}
