//! An EXIF payload, less what is private.

use super::tiff::{Kind, scrub};
use crate::exif;
use crate::spec::MetadataPolicy;

/// What stays of a payload; `None` for nothing. EXIF that breaks its rules goes, but for which way is up.
pub(super) fn strip(payload: &[u8], policy: MetadataPolicy) -> Option<Vec<u8>> {
    let payload = exif::without_prefix(payload);
    if policy == MetadataPolicy::PrivateStripped
        && let Some(kept) = scrub(payload, Kind::Exif, policy)
    {
        return Some(kept.into_owned());
    }
    let orientation = exif::upright_unless_known(exif::read(payload).orientation);
    (orientation != 1).then(|| exif::orientation_only(orientation))
}
