//! Second step: hold what the header says against the limits and the client's word, before any pixel.

use tintype_image::{Format, Probe, probe};

use super::load::Original;
use super::{ProcessError, Processor};
use crate::aside::aside;
use crate::error::Failure;

/// Refuses an original that is too costly, or not what it was declared to be where that matters; gives its header.
pub async fn check(processor: &Processor, original: &Original) -> Result<Probe, ProcessError> {
    let (bytes, limits) = (original.object.bytes.clone(), processor.limits);
    // Should a parser crash, it takes no worker with it.
    let probed = aside(move || probe(&bytes, &limits)).await;
    let header = probed.map_err(|_| Failure::new("internal", "the header's parser crashed on this image"))??;
    if processor.strict_type {
        let declared = original.object.meta.content_type.as_deref().and_then(Format::from_content_type);
        if let Some(declared) = declared.filter(|declared| *declared != original.format) {
            return Err(Failure::new(
                "type_mismatch",
                format!(
                    "declared as {}, but the bytes are {}",
                    declared.content_type(),
                    original.format.content_type()
                ),
            )
            .into());
        }
    }
    Ok(header)
}
