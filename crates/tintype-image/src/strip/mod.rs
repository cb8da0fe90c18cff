//! The upload's own bytes, less private metadata. Pixels are copied as they are coded.

mod bmp;
mod coded;
mod copy;
mod exif;
mod gif;
mod jpeg;
mod palette;
mod png;
mod profile;
mod tiff;
mod webp;

use std::borrow::Cow;
use std::ops::Range;

use crate::error::Error;
use crate::format::Format;
use crate::probe::Header;
use crate::spec::MetadataPolicy;

/// Whether a file of this format can go out as it came, under this policy. What cannot is encoded anew,
/// which leaves every metadata behind.
pub(crate) fn is_possible(format: Format, policy: MetadataPolicy) -> bool {
    policy == MetadataPolicy::Keep || !matches!(format, Format::Avif | Format::Heic)
}

/// Strips a file; borrowed where nothing was to be stripped, or nothing but its end. Of a JPEG, whoever decoded it says what
/// no pixel needs.
pub(crate) fn strip<'a>(
    bytes: &'a [u8],
    header: &Header<'_>,
    policy: MetadataPolicy,
    spare: &[Range<usize>],
) -> Result<Cow<'a, [u8]>, Error> {
    if policy == MetadataPolicy::Keep {
        return Ok(Cow::Borrowed(bytes));
    }
    match header.format {
        Format::Jpeg => jpeg::strip(bytes, policy, spare),
        Format::Png => png::strip(bytes, policy),
        Format::Gif => gif::strip(bytes),
        Format::WebP => webp::strip(bytes, policy).map(Cow::Owned),
        Format::Tiff => tiff::strip(bytes, header, policy),
        Format::Bmp => bmp::strip(bytes),
        Format::Avif | Format::Heic => Err(Error::internal("boxes of AVIF and HEIC are not stripped")),
    }
}
