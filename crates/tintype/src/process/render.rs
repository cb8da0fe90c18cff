//! Third step: pixels. In a decoder that is boxed and, should it not keep the deadline, killed; or, where there is none,
//! on a thread of their own, which is left behind then.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tintype_image::{Damage, ErrorCode, Facts, Format, Limits, Probe};
use tokio::sync::OwnedSemaphorePermit;

#[cfg(all(feature = "server", target_os = "linux"))]
use super::boxed;
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
    /// What is missing of the original.
    pub damaged: Option<Damage>,
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

/// Where pixels are made.
#[derive(Debug, Clone)]
pub enum Renderer {
    /// In this process.
    Thread,
    /// In processes that can do nothing else.
    #[cfg(all(feature = "server", target_os = "linux"))]
    Boxed(std::sync::Arc<crate::sandbox::Pool>),
}

impl Renderer {
    /// Ends what was started for it.
    pub fn close(&self) {
        #[cfg(all(feature = "server", target_os = "linux"))]
        if let Self::Boxed(pool) = self {
            pool.close();
        }
    }
}

/// Makes every variant of the preset.
pub async fn variants(
    processor: &Processor,
    original: &Original,
    #[cfg_attr(
        not(all(feature = "server", target_os = "linux")),
        expect(unused_variables, reason = "the box looks at it")
    )]
    header: Probe,
    task: &Task,
) -> Result<Rendered, ProcessError> {
    let (bytes, preset) = (&original.object.bytes, &task.preset);
    let needed = tintype_image::estimate(bytes, &preset.variants, preset.metadata, &processor.limits)?;
    let share = processor.memory.take(needed).await?;
    match &processor.renderer {
        Renderer::Thread => on_a_thread(processor, original, task, share).await,
        #[cfg(all(feature = "server", target_os = "linux"))]
        Renderer::Boxed(pool) => boxed::render(pool, processor, original, task, (header, needed, share)).await,
    }
}

async fn on_a_thread(
    processor: &Processor,
    original: &Original,
    task: &Task,
    share: Option<OwnedSemaphorePermit>,
) -> Result<Rendered, ProcessError> {
    let (bytes, preset) = (original.object.bytes.clone(), task.preset.clone());
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
        Err(_) => Err(Failure::new(ErrorCode::Timeout.as_str(), too_long(time)).into()),
    }
}

/// What is said of pixels that were not done in time.
pub fn too_long(time: Duration) -> String {
    format!("the image took longer than {:.1} s", time.as_secs_f32())
}

/// The deadline, or what is left until the task's own end.
pub fn time_left(processor: &Processor, task: &Task) -> Duration {
    let left = task.until.map(|until| until.saturating_duration_since(Instant::now()));
    left.map_or(processor.deadline, |left| left.min(processor.deadline))
}

/// Who has an end of its own has kept no time beyond it.
pub fn grace(task: &Task) -> Duration {
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
    let damaged = made.damaged;
    Rendered { facts: made.facts, files: made.variants.into_iter().map(file).collect(), damaged }
}
