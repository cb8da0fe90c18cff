//! Step 5, second half: from one original to its variants and manifest. The order is this list:
//! `load` → `analyze` → `render` → `save`.

mod analyze;
#[cfg(all(feature = "server", target_os = "linux"))]
mod boxed;
mod conflict;
#[cfg(feature = "server")]
mod lease;
mod load;
mod look;
mod memory;
pub mod public;
mod render;
mod save;
mod slow;
mod standing;
mod turns;
mod watch;
#[cfg(feature = "server")]
pub mod worker;

pub use conflict::taken;
#[cfg(feature = "server")]
pub use lease::PROOFS;
pub use load::{MAX_MANIFEST, Original};
pub use look::{Found, Sighting};
pub use memory::MemoryBudget;
#[cfg(all(feature = "server", target_os = "linux"))]
pub(crate) use render::too_long;
pub use render::{File, Rendered, Renderer};
pub use slow::SlowPlaces;
pub use standing::{FIRST, OLDER, Order};
pub use turns::{Turn, Turns};
pub use watch::{Step, Unwatched, Watch};

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tintype_image::Limits;
use tracing::{Instrument, debug_span};
use url::Url;

use crate::config::Config;
use crate::error::{Failure, NOT_FOUND};
use crate::key::{Key, Layout};
use crate::manifest::{Manifest, Variant};
use crate::preset::Preset;
use crate::store::{ObjectMeta, Pin, PublicUrl, Store, StoreError};
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
    /// What the names of variants add to their originals', which no original's name may end in; none where all originals
    /// are known beforehand, and compared.
    pub suffixes: Option<Arc<[String]>>,
    /// `Cache-Control` of variants; empty for none.
    pub cache_control: String,
    /// Where the public fetches variants.
    pub public_url: Option<PublicUrl>,
    /// Longest time for one write, where one that is cut off may come late: shorter than others wait for the work.
    pub longest_write: Option<Duration>,
    /// Who works on which original just now.
    pub turns: Turns,
}

/// Proof that a piece of work is this process's still, where another could take it over.
#[async_trait]
pub trait Fence: Debug + Send + Sync {
    /// Whether it is.
    async fn holds(&self) -> Result<bool, StoreError>;

    /// The same before every single write: as much of the proof as costs little.
    async fn may_write(&self) -> Result<bool, StoreError>;
}

/// Who knows which bytes an original has in the state that was asked for, should it be known: there are two files of one MD5,
/// which many stores' entity tags are.
#[async_trait]
pub trait FirstBytes: Debug + Send + Sync {
    /// Whether bytes of this SHA-256 are those. The first that are asked about are, from then on.
    async fn are(&self, sha256: &str) -> Result<bool, StoreError>;
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
    /// When its last write must have ended, if there is such a time.
    pub saved_by: Option<Instant>,
    /// It may have been begun before, by somebody whose writes came late.
    pub again: bool,
    /// Nothing that is made of another original can have the names of what is made of this one.
    pub has_own_names: bool,
    /// Who decides whether this state of the original counts.
    pub order: Order,
    /// The key's turn in this process, if the caller has taken it.
    pub turn: Option<Turn>,
    /// What is asked before each write that others would see.
    pub fence: Option<Arc<dyn Fence>>,
    /// What is asked about the bytes that were read, before anything is made of them.
    pub first_bytes: Option<Arc<dyn FirstBytes>>,
    /// The places there are for slow originals, where others wait to be worked on.
    pub slow_places: Option<SlowPlaces>,
    /// What the set is to be called where its original's state has no name of its own.
    pub seal: Option<String>,
    /// How the manifest names that state which was made of it before.
    pub named_before: Option<State>,
}

/// What tells one state of an original from another of the same bytes, as a manifest records it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    version: Option<String>,
    sequencer: Option<String>,
    seal: Option<String>,
}

impl Task {
    /// A task for an object as it is now.
    pub fn new(key: Key, preset: Arc<Preset>) -> Self {
        Self {
            key,
            pin: Pin::default(),
            extension: None,
            preset,
            force: false,
            until: None,
            saved_by: None,
            again: false,
            has_own_names: false,
            order: Order::Asked,
            turn: None,
            fence: None,
            first_bytes: None,
            slow_places: None,
            seal: None,
            named_before: None,
        }
    }

    /// What the manifest records of the state that was read.
    fn state(&self, read: &ObjectMeta) -> State {
        let (version, sequencer) = (self.pin.version.clone(), self.pin.sequencer.clone());
        if self.order == Order::Asked {
            return self.named_before.clone().unwrap_or(State { version, sequencer, seal: None });
        }
        let version = version.or_else(|| read.version.clone());
        let unordered = version.is_none() && sequencer.is_none();
        State { version, sequencer, seal: unordered.then(|| self.seal.clone()).flatten() }
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
    /// It is slow, and there is no place for such just now: try again when there is.
    #[error("it is slow, and as many slow ones as may be are in work")]
    Slow,
    /// There is no room for the variants: try again when there is.
    #[error("{0}")]
    Full(String),
    /// Another process wrote first. Try again: there is something to look at now.
    #[error("{0}")]
    Conflict(String),
    /// What is sealed stays, and this state of the original changes nothing.
    #[error("{why}")]
    Superseded {
        /// Why.
        why: &'static str,
        /// What is sealed.
        sealed: Box<Manifest>,
    },
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
            Self::Superseded { why, .. } => Failure::new("original_changed", why),
            Self::Passing(why) | Self::Full(why) | Self::Conflict(why) => Failure::new("store_unavailable", after(why)),
            Self::NoDecoder(why) => Failure::new("internal", after(why)),
            slow @ Self::Slow => Failure::new("internal", after(slow.to_string())),
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
            StoreError::NotFound(_) => Self::Final(Failure::new(NOT_FOUND, error.to_string())),
            StoreError::Changed(_) => Self::Final(Failure::new("original_changed", error.to_string())),
            StoreError::TooLarge { .. } => Self::Final(Failure::new("too_large", error.to_string())),
            StoreError::Invalid(why) => Self::Final(Failure::new("invalid_request", why)),
            StoreError::Full(_) => Self::Full(error.to_string()),
            StoreError::Damaged { .. } => Self::Damaged(error.to_string()),
            StoreError::Precondition(_) => Self::Conflict(error.to_string()),
            StoreError::Denied(_)
            | StoreError::NoCredentials(_)
            | StoreError::Unsupported(_)
            | StoreError::Unavailable(_) => Self::Passing(error.to_string()),
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
            suffixes: Some(config.presets.suffixes().into()),
            cache_control: config.cache_control.clone(),
            public_url: Some(PublicUrl::new(config.variants_url.as_ref().unwrap_or(bucket))),
            longest_write: None,
            turns: Turns::default(),
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
        Ok(load::sealed(self, key).await?.map(|sealed| sealed.manifest))
    }

    /// Every set that is sealed for an original, and where its manifest is.
    ///
    /// # Errors
    /// When the store fails: try again.
    pub async fn sets_of(&self, original: &Key) -> Result<Vec<(Key, Manifest)>, StoreError> {
        look::sets_of(self, original).await
    }

    /// Whether every variant of a manifest is in the store, with the bytes that it says.
    ///
    /// # Errors
    /// Mostly [`ProcessError::Passing`].
    pub async fn is_whole(&self, manifest: &Manifest) -> Result<bool, ProcessError> {
        load::is_whole(self, manifest).await
    }

    /// Whether a variant is in the store, with the bytes that somebody else's manifest says: they are read.
    ///
    /// # Errors
    /// [`ProcessError::Passing`]: try again.
    pub async fn has_bytes(&self, variant: &Variant) -> Result<bool, ProcessError> {
        load::has_bytes(self, variant).await
    }

    /// Whether an event's state is newer than one that is known; none where they are the same, or the store cannot tell.
    ///
    /// # Errors
    /// When the store fails: try again.
    pub async fn is_newer(&self, sealed: &Pin, key: &Key, event: &Pin) -> Result<Option<bool>, StoreError> {
        standing::is_newer(self, sealed, key, event).await
    }

    /// Removes a set whose place another has taken, but for keys that both have. Its manifest goes last: cut off in
    /// between, it is known still.
    ///
    /// # Errors
    /// When the store fails: try again.
    pub async fn remove_set(&self, at: &Key, set: &Manifest, kept: Option<&Manifest>) -> Result<(), StoreError> {
        let is_kept = |key: &Key| kept.is_some_and(|kept| kept.variants.iter().any(|variant| variant.key == *key));
        for key in set.own_keys(&self.layout, &set.original.key).iter().filter(|key| !is_kept(key)) {
            self.remove(key).await?;
        }
        self.remove(at).await
    }

    /// Deletes a key. A store elsewhere is asked whether it did what it says.
    async fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.target.delete(key).await?;
        if !self.target.is_remote() {
            return Ok(());
        }
        match self.target.head(key).await {
            Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(StoreError::Unavailable(format!("{key} was deleted, and is still there"))),
        }
    }

    /// Waits until nobody in this process works on an original whose outputs may be those of this one.
    pub async fn turn(&self, original: &Key) -> Turn {
        self.turns.take(self.layout.names(original)).await
    }

    /// Whether an original is refused for its name, so that none of its outputs can be its own.
    pub fn refuses_name(&self, original: &Key) -> bool {
        conflict::by_name(self, original).is_err()
    }

    /// How many manifests of others are looked for before an original is developed.
    pub fn conflict_reads(&self, original: &Key, preset: &Preset) -> usize {
        let place = look::manifest_keys(self, original).into_iter().next();
        place.map_or(0, |place| conflict::places(self, original, &place, preset).len())
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
        let turn = match &task.turn {
            Some(turn) => turn.clone(),
            None => self.turn(&task.key).await,
        };
        let mut lap = Lap::new(watch);
        conflict::by_name(self, &task.key)?;
        let load = async {
            let object = load::read(self, task).await?;
            watch.read(&object.meta);
            load::hold_to_first(task, &object).await?;
            load::original(self, task, object)
        };
        let original = load.instrument(debug_span!("load")).await?;
        lap.done(Step::Loaded(&original));
        conflict::by_manifest(self, &original, task).await?;
        let others = standing::of_other_formats(self, &original, task).await?;
        if let Some(manifest) = load::finished(self, &original, task).await? {
            lap.done(Step::Repeated(&manifest));
            return Ok(Developed { manifest, repeated: true });
        }
        let header = analyze::check(self, &original).instrument(debug_span!("analyze")).await?;
        lap.done(Step::Analyzed(&header));
        let place = |places: &SlowPlaces| places.take(&header, &original.object.bytes);
        let _place = task.slow_places.as_ref().map(place).transpose()?;
        let rendered = render::variants(self, &original, header, task).instrument(debug_span!("render")).await?;
        lap.done(Step::Rendered(&rendered));
        let manifest = save::all(self, original, rendered, task, turn).instrument(debug_span!("save")).await?;
        for (at, set) in &others {
            self.remove_set(at, set, Some(&manifest)).await?;
        }
        lap.done(Step::Saved(&manifest));
        Ok(Developed { manifest, repeated: false })
    }
}
