//! Step 5, second half: from one original to its variants and manifest. The order is this list:
//! `load` → `analyze` → `render` → `save`.

mod analyze;
#[cfg(all(feature = "server", target_os = "linux"))]
mod boxed;
mod load;
mod look;
mod memory;
pub mod public;
mod render;
mod save;
mod watch;
#[cfg(feature = "server")]
pub mod worker;

pub use load::{MAX_MANIFEST, Original};
pub use look::{Found, Sighting};
pub use memory::MemoryBudget;
#[cfg(all(feature = "server", target_os = "linux"))]
pub(crate) use render::too_long;
pub use render::{File, Rendered, Renderer};
pub use watch::{Step, Unwatched, Watch};

use std::sync::Arc;
use std::time::{Duration, Instant};

use tintype_image::Limits;
use tracing::{Instrument, debug_span};
use url::Url;

use crate::config::Config;
use crate::error::Failure;
use crate::key::{Key, Layout};
use crate::manifest::Manifest;
use crate::preset::Preset;
use crate::store::{Pin, PublicUrl, Store, StoreError};
use watch::Lap;

/// Everything the steps need to know; the same for every original.
#[derive(Clone)]
pub struct Processor {
    /// Where originals are.
    pub source: Arc<dyn Store>,
    /// Where variants go; mostly the same.
    pub target: Arc<dyn Store>,
    /// How keys are made.
    pub layout: Layout,
    /// What one image may cost.
    pub limits: Limits,
    /// What all originals in work may take together.
    pub memory: MemoryBudget,
    /// Where pixels are made.
    pub renderer: Renderer,
    /// Longest time for one original's pixels.
    pub deadline: Duration,
    /// Most bytes of an original.
    pub max_bytes: u64,
    /// Refuse an original whose bytes are of another format than was declared.
    pub strict_type: bool,
    /// Remove what an earlier set of an original has and the new one has not. A service's: it answers for all that came of an upload.
    pub replaces: bool,
    /// `Cache-Control` of variants; empty for none.
    pub cache_control: String,
    /// Where the public fetches variants.
    pub public_url: Option<PublicUrl>,
}

/// One original to work on.
#[derive(Debug, Clone)]
pub struct Task {
    /// Where it is.
    pub key: Key,
    /// Which state of it.
    pub pin: Pin,
    /// The extension its variants were promised, when the key has none.
    pub extension: Option<String>,
    /// What to make.
    pub preset: Arc<Preset>,
    /// Do the pixel work again, even when a manifest says it is done.
    pub force: bool,
    /// When its pixels must be done, should that be before the deadline.
    pub until: Option<Instant>,
}

impl Task {
    /// A task for an object as it is now.
    pub fn new(key: Key, preset: Arc<Preset>) -> Self {
        Self { key, pin: Pin::default(), extension: None, preset, force: false, until: None }
    }
}

/// What developing came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Developed {
    /// What there is.
    pub manifest: Manifest,
    /// It was all there before: no pixel was touched.
    pub repeated: bool,
}

/// Why an original came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It would come to nothing again.
    #[error(transparent)]
    Final(#[from] Failure),
    /// The fault lies elsewhere and may pass: try again.
    #[error("{0}")]
    Passing(String),
    /// This machine can start no decoder just now: try again.
    #[error("{0}")]
    NoDecoder(String),
    /// There is no room for the variants: try again when there is.
    #[error("{0}")]
    Full(String),
    /// The store holds other bytes than it was given. Try again, for it may have been a fault of reading.
    #[error("{0}")]
    Damaged(String),
}

impl ProcessError {
    /// What is reported once it was tried often enough.
    pub fn given_up(self, attempts: u32) -> Failure {
        let after = |why: String| format!("given up after {attempts} attempts: {why}");
        match self {
            Self::Final(failure) => failure,
            Self::Passing(why) | Self::Full(why) => Failure::new("store_unavailable", after(why)),
            Self::NoDecoder(why) => Failure::new("internal", after(why)),
            Self::Damaged(why) => Failure::new("corrupt_storage", after(why)),
        }
    }
}

impl From<tintype_image::Error> for ProcessError {
    fn from(error: tintype_image::Error) -> Self {
        Self::Final(error.into())
    }
}

impl From<StoreError> for ProcessError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::Final(Failure::new("not_found", error.to_string())),
            StoreError::Changed(_) => Self::Final(Failure::new("original_changed", error.to_string())),
            StoreError::TooLarge { .. } => Self::Final(Failure::new("too_large", error.to_string())),
            StoreError::Invalid(why) => Self::Final(Failure::new("invalid_request", why)),
            StoreError::Full(_) => Self::Full(error.to_string()),
            StoreError::Damaged { .. } => Self::Damaged(error.to_string()),
            StoreError::Denied(_) | StoreError::Unavailable(_) => Self::Passing(error.to_string()),
        }
    }
}

impl Processor {
    /// A processor of one store, as the configuration wants it, that makes pixels in this process. `bucket` is where the
    /// public finds it, if it is not told otherwise.
    pub fn new(config: &Config, store: Arc<dyn Store>, bucket: &Url, memory: MemoryBudget) -> Self {
        Self {
            source: store.clone(),
            target: store,
            layout: config.layout.clone(),
            limits: Limits {
                max_pixels: config.max_pixels,
                max_frames: config.max_frames,
                damaged: config.damaged,
                deadline: None,
            },
            memory,
            renderer: Renderer::Thread,
            deadline: config.deadline,
            max_bytes: config.upload.max_bytes,
            strict_type: config.strict_type,
            replaces: false,
            cache_control: config.cache_control.clone(),
            public_url: Some(PublicUrl::new(config.variants_url.as_ref().unwrap_or(bucket))),
        }
    }

    /// What the store holds already for an original that a listing tells of: a small read, or one for each format where
    /// the key has no extension, and a question for each variant. Metadata that was changed without the bytes is not seen.
    ///
    /// # Errors
    /// Mostly [`ProcessError::Passing`].
    pub async fn look(&self, original: &Sighting, preset: &Preset) -> Result<Found, ProcessError> {
        look::look(self, original, preset).await
    }

    /// The manifest at a key, if there is one that can be read.
    ///
    /// # Errors
    /// When the store fails: try again.
    pub async fn stored_manifest(&self, key: &Key) -> Result<Option<Manifest>, StoreError> {
        load::stored_manifest(self, key).await
    }

    /// Every key that the manifest of an original can have.
    pub fn manifest_keys(&self, original: &Key) -> Vec<Key> {
        look::manifest_keys(self, original)
    }

    /// Develops one original: every variant is in the store before the manifest is, and the manifest
    /// before this returns.
    ///
    /// # Errors
    /// [`ProcessError::Final`] to report, [`ProcessError::Passing`] to try again.
    pub async fn develop(&self, task: &Task) -> Result<Developed, ProcessError> {
        self.develop_watched(task, &Unwatched).await
    }

    /// The same while somebody looks on.
    ///
    /// # Errors
    /// As [`Self::develop`].
    pub async fn develop_watched(&self, task: &Task, watch: &dyn Watch) -> Result<Developed, ProcessError> {
        let mut lap = Lap::new(watch);
        let original = load::original(self, task).instrument(debug_span!("load")).await?;
        lap.done(Step::Loaded(&original));
        if !task.force
            && let Some(manifest) = load::finished(self, &original, &task.preset).await?
        {
            lap.done(Step::Repeated(&manifest));
            return Ok(Developed { manifest, repeated: true });
        }
        let header = analyze::check(self, &original).instrument(debug_span!("analyze")).await?;
        lap.done(Step::Analyzed(&header));
        let rendered = render::variants(self, &original, header, task).instrument(debug_span!("render")).await?;
        lap.done(Step::Rendered(&rendered));
        let manifest = save::all(self, original, rendered, &task.preset).instrument(debug_span!("save")).await?;
        lap.done(Step::Saved(&manifest));
        Ok(Developed { manifest, repeated: false })
    }
}
