//! Third step: pixels. On a thread of their own, which is left behind when it does not keep the deadline.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tintype_image::{ErrorCode, Facts, Format, Limits};

use super::load::Original;
use super::{ProcessError, Processor, Task};
use crate::error::Failure;

/// How long past its deadline a renderer may take to notice it.
const GRACE: Duration = Duration::from_secs(5);

/// All that came of one original.
pub struct Rendered {
    /// What is said of it.
    pub facts: Facts,
    /// One for each spec of the preset, in that order.
    pub files: Vec<File>,
}

/// One variant's file.
pub struct File {
    /// The name of its variant.
    pub name: String,
    /// The upload's own, where there was nothing to strip from it.
    pub bytes: Bytes,
    /// What they are of.
    pub format: Format,
    /// Pixels across, upright.
    pub width: u32,
    /// Pixels down, upright.
    pub height: u32,
}

/// Makes every variant of the preset.
pub async fn variants(processor: &Processor, original: &Original, task: &Task) -> Result<Rendered, ProcessError> {
    let bytes = original.object.bytes.clone();
    let preset = task.preset.clone();
    let needed = tintype_image::estimate(&bytes, &preset.variants, preset.metadata, &processor.limits)?;
    let share = processor.memory.take(needed).await?;
    let time = time_left(processor, task);
    let limits = Limits { deadline: Some(Instant::now() + time), ..processor.limits };
    let work = tokio::task::spawn_blocking(move || {
        // Held by the work and not by who waits for it: past its deadline it still takes its memory.
        let _share = share;
        tintype_image::render(&bytes, &preset.variants, preset.metadata, &limits).map(|made| rendered(&bytes, made))
    });
    match tokio::time::timeout(time + grace(task), work).await {
        Ok(Ok(rendered)) => Ok(rendered?),
        Ok(Err(crash)) => {
            tracing::error!(key = %original.object.meta.key, %crash, "the renderer crashed");
            Err(Failure::new(ErrorCode::Internal.as_str(), "the renderer crashed on this image").into())
        }
        Err(_) => Err(Failure::new(
            ErrorCode::Timeout.as_str(),
            format!("the image took longer than {:.1} s", time.as_secs_f32()),
        )
        .into()),
    }
}

/// The deadline, or what is left until the task's own end.
fn time_left(processor: &Processor, task: &Task) -> Duration {
    let left = task.until.map(|until| until.saturating_duration_since(Instant::now()));
    left.map_or(processor.deadline, |left| left.min(processor.deadline))
}

/// Who has an end of its own has kept no time beyond it.
fn grace(task: &Task) -> Duration {
    if task.until.is_some() { Duration::ZERO } else { GRACE }
}

/// Made of what borrows from the upload; which is shared, not copied.
fn rendered(upload: &Bytes, made: tintype_image::Rendered<'_>) -> Rendered {
    let file = |variant: tintype_image::Variant<'_>| File {
        name: variant.name,
        bytes: match variant.bytes {
            Cow::Borrowed(same) => upload.slice_ref(same),
            Cow::Owned(bytes) => bytes.into(),
        },
        format: variant.format,
        width: variant.width,
        height: variant.height,
    };
    Rendered { facts: made.facts, files: made.variants.into_iter().map(file).collect() }
}
