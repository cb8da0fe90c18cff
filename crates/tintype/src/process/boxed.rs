//! Third step, as it mostly is: pixels are made by a decoder of `sandbox`.

use std::sync::Arc;
use std::time::Duration;

use tintype_image::Probe;
use tokio::sync::OwnedSemaphorePermit;

use super::load::Original;
use super::render::{Rendered, time_left};
use super::{ProcessError, Processor, Task};
use crate::sandbox::{Ending, Job, NotRendered, Pool};

/// How long past its deadline a decoder may take to notice it, before it is killed.
const GRACE: Duration = Duration::from_millis(500);

/// Has a decoder make every variant of the preset, within a share of the memory.
pub async fn render(
    pool: &Arc<Pool>,
    processor: &Processor,
    original: &Original,
    task: &Task,
    (header, needed, share): (Probe, u64, Option<OwnedSemaphorePermit>),
) -> Result<Rendered, ProcessError> {
    let (upload, preset, limits) = (original.object.bytes.clone(), task.preset.clone(), processor.limits);
    let time = time_left(processor, task);
    let job = Job { upload, preset, header, limits, needed, time, grace: GRACE, share };
    let not_rendered = match pool.render(job).await {
        Ok(rendered) => return Ok(rendered),
        Err(not_rendered) => not_rendered,
    };
    Err(match not_rendered {
        NotRendered::Refused(error) => error.into(),
        NotRendered::Ended(ending) => {
            log(original, &ending);
            ending.failure().into()
        }
        NotRendered::NoDecoder(error) => {
            tracing::error!(%error, "no decoder can be started");
            ProcessError::NoDecoder(format!("no decoder can be started: {error}"))
        }
    })
}

/// The key has the upload's id in it, where it is one of ours.
fn log(original: &Original, ending: &Ending) {
    let key = &original.object.meta.key;
    match ending {
        Ending::Crashed { how, said } => tracing::error!(%key, how, said, "the decoder crashed on this image"),
        Ending::Slow(time) => tracing::warn!(%key, ?time, "the decoder was killed past its deadline"),
        Ending::Exhausted(bytes) => tracing::warn!(%key, bytes, "the decoder ran out of its memory"),
        Ending::Garbled(what) => tracing::error!(%key, what, "the decoder gave an answer that was not asked for"),
    }
}
