//! The upload's own bytes, less private metadata. Pixels are copied as they are coded.

mod bmp;
mod coded;
mod copy;
mod exif;
mod gif;
mod jpeg;
mod png;
mod profile;
mod tiff;
mod webp;

use std::borrow::Cow;

use crate::error::Error;
use crate::format::Format;
use crate::spec::MetadataPolicy;

/// Whether a file of this format can go out as it came, under this policy. What cannot is encoded anew,
/// which leaves every metadata behind.
pub(crate) fn is_possible(format: Format, policy: MetadataPolicy) -> bool {
    policy == MetadataPolicy::Keep || !matches!(format, Format::Avif | Format::Heic)
}

/// Strips a file of the given format; borrowed where nothing was to be stripped, or nothing but its end.
pub(crate) fn strip(bytes: &[u8], format: Format, policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    if policy == MetadataPolicy::Keep {
        return Ok(Cow::Borrowed(bytes));
    }
    match format {
        Format::Jpeg => jpeg::strip(bytes, policy),
        Format::Png => png::strip(bytes, policy),
        Format::Gif => gif::strip(bytes),
        Format::WebP => webp::strip(bytes, policy).map(Cow::Owned),
        Format::Tiff => tiff::strip(bytes, policy),
        Format::Bmp => bmp::strip(bytes),
        Format::Avif | Format::Heic => Err(Error::internal("boxes of AVIF and HEIC are not stripped")),
    }
}
