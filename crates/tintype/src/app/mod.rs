//! One running service: its parts, and what is done with more than one of them.

mod admission;
mod beside;
mod bodies;
mod followed;
mod open;
pub(crate) mod secrets;
mod streams;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use admission::{Admission, NotAdmitted};
pub use beside::Beside;
pub use bodies::{Bodies, NoBody, ReadBody};
pub use followed::{Followed, Following, run as look_at_followed};
pub use open::{EmbeddedParts, Locks, lock, open_ledger};
pub use streams::{Follower, NoStream, Stream, Streams};

use crate::auth::Keyring;
use crate::callback::{self, SigningSecret};
use crate::config::{Config, StoreUrl};
use crate::event::StorageEvent;
use crate::event::accept::{accept, note_stale};
use crate::event::auth::Gate;
use crate::event::order::{Rule, Stale};
use crate::health::Health;
use crate::key::{self, Key, Layout};
use crate::ledger::{Finished, Ledger, LedgerError, Marked};
use crate::listen::Turns;
use crate::manifest::Manifest;
use crate::metrics;
use crate::presign::Presigner;
use crate::process::{PROOFS, Processor, SlowPlaces};
use crate::queue::{JobEnd, Leased, Queue, QueueError};
use crate::room::Room;
use crate::store::embedded::Arrivals;
use crate::store::s3;
use crate::store::{ObjectMeta, Store, StoreError};
use crate::token::Tokens;
use crate::upload::{Outcome, Upload, UploadId};

/// Deletions that are ended in one go.
const DELETIONS: u32 = 100;

/// Why an upload was not deleted whole. What was begun is ended later.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The objects.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One running service.
pub struct App {
    /// What the operator decided.
    pub config: Config,
    /// The bucket's name.
    pub bucket: String,
    /// How keys are made.
    pub layout: Layout,
    /// The rows.
    pub ledger: Arc<dyn Ledger>,
    /// The jobs.
    pub queue: Arc<dyn Queue>,
    /// The objects.
    pub store: Arc<dyn Store>,
    /// What signs credentials.
    pub presigner: Arc<dyn Presigner>,
    /// What develops originals.
    pub processor: Processor,
    /// How many slow originals may be in work at once.
    pub slow_places: SlowPlaces,
    /// What signs the tokens of uploads.
    pub tokens: Tokens,
    /// What signs callbacks.
    pub signing: Arc<SigningSecret>,
    /// What is left of the disk.
    pub room: Room,
    /// Who may ask for uploads just now.
    pub admission: Admission,
    /// The memory of request bodies.
    pub bodies: Arc<Bodies>,
    /// Who follows uploads just now.
    pub streams: Arc<Streams>,
    /// At which strangers' requests are worked on.
    pub turns: Turns,
    /// Which API keys are good.
    pub keys: Keyring,
    /// What providers' pushed events are held against.
    pub gate: Gate,
    /// Who wakes whom.
    pub signals: Signals,
    /// What is known of this process's own state.
    pub health: Arc<Health>,
}

/// Who wakes whom, inside one process.
pub struct Signals {
    /// There may be a job.
    pub jobs: Arc<Notify>,
    /// A callback may be due.
    pub callbacks: Arc<Notify>,
    /// The server stops: whoever waits for a change is answered as things stand.
    pub stopping: CancellationToken,
    /// Who follows which upload.
    pub followed: Arc<Followed>,
}

impl Signals {
    fn new() -> Self {
        Self {
            jobs: Arc::default(),
            callbacks: Arc::default(),
            stopping: CancellationToken::new(),
            followed: Arc::default(),
        }
    }

    /// Says that an upload's status may have changed.
    pub fn changed(&self, id: &UploadId) {
        self.followed.changed(id);
    }

    /// Says that an upload has a new job.
    pub fn job(&self, id: &UploadId) {
        self.jobs.notify_one();
        self.changed(id);
    }
}

impl App {
    /// Where clients reach the API, without a last slash.
    pub fn api_url(&self) -> String {
        match &self.config.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.config.scheme(), self.config.listen),
        }
    }

    /// Where a browser sends originals to and fetches variants from: scheme, host and port.
    pub fn origins_of_stores(&self) -> Vec<String> {
        let bucket = match &self.config.store {
            StoreUrl::Embedded => open::embedded_url(&self.config).ok(),
            StoreUrl::S3 { bucket } => Some(self.config.s3(bucket).bucket_url()),
        };
        let urls = bucket.iter().chain(&self.config.variants_url);
        let mut origins: Vec<_> = urls.map(|url| url.origin().ascii_serialization()).collect();
        origins.dedup();
        origins
    }

    /// Records how an upload ended together with the callback that tells it and the end of the job that found it out,
    /// and wakes who waits.
    pub async fn settle(
        &self,
        upload: &Upload,
        outcome: &Outcome,
        job: Option<JobEnd<'_>>,
    ) -> Result<Finished, LedgerError> {
        let preset = self.config.presets.get(&upload.preset).map(AsRef::as_ref);
        let callback = self.config.callback.as_ref();
        let notice = callback.and_then(|callback| callback.notice(&self.layout, preset, upload, outcome));
        let finished = self.ledger.finish(&upload.id, outcome, notice.as_ref(), job).await?;
        if finished == Finished::Recorded {
            metrics::ended(outcome);
        }
        if finished == Finished::Gone {
            // Deleted while it was developed: nothing of it may stay. Its original went with it.
            if let Err(error) = self.erase_variants(upload).await {
                tracing::warn!(%error, upload = %upload.id, "objects of a deleted upload are left");
            }
        }
        self.signals.callbacks.notify_one();
        self.signals.changed(&upload.id);
        Ok(finished)
    }

    /// Ends a completed upload that nobody claimed: it is expired and its backend is told, then its objects go. Cut off
    /// in between, [`App::clear_lapsed`] goes on with it.
    ///
    /// # Errors
    /// When ledger or store fail: what was begun is ended later.
    pub async fn lapse(&self, upload: &Upload) -> Result<(), DeleteError> {
        let preset = self.config.presets.get(&upload.preset).map(AsRef::as_ref);
        let callback = self.config.callback.as_ref();
        let body = callback::expired(upload);
        let notice = callback.and_then(|callback| callback.notice_of(&self.layout, preset, upload, &body));
        if !self.ledger.lapse(&upload.id, notice.as_ref()).await? {
            return Ok(());
        }
        metrics::expired(1);
        tracing::info!(upload = %upload.id, "nobody claimed it in time");
        self.signals.callbacks.notify_one();
        self.signals.changed(&upload.id);
        self.clear(upload).await
    }

    /// Removes what is left of uploads that lapsed.
    ///
    /// # Errors
    /// When ledger or store fail: try again.
    pub async fn clear_lapsed(&self) -> Result<(), DeleteError> {
        for upload in self.ledger.lapsed(DELETIONS).await? {
            self.clear(&upload).await?;
        }
        Ok(())
    }

    async fn clear(&self, upload: &Upload) -> Result<(), DeleteError> {
        self.erase(upload).await?;
        Ok(self.ledger.cleared(&upload.id).await?)
    }

    /// Takes everything of an upload: it is invisible at once, its objects go, then its row. Cut off in between,
    /// [`App::finish_deletions`] goes on with it; and that looks again, once no write of it can be under way any more,
    /// before the row of an upload goes whose key nobody else has.
    ///
    /// # Errors
    /// When ledger or store fail: what was begun is ended later.
    pub async fn delete(&self, upload: &Upload) -> Result<(), DeleteError> {
        let marked = self.ledger.mark_deleted(&upload.id).await?;
        self.signals.changed(&upload.id);
        self.erase(upload).await?;
        if marked == Marked::Free && !upload.was_asked_for() {
            self.ledger.remove(upload).await?;
        }
        Ok(())
    }

    /// Ends deletions that were cut off.
    ///
    /// # Errors
    /// When ledger or store fail: try again.
    pub async fn finish_deletions(&self) -> Result<(), DeleteError> {
        let before = OffsetDateTime::now_utc() - self.settled_after();
        loop {
            let going = self.ledger.deleting(before, DELETIONS).await?;
            for upload in &going {
                self.erase_variants(upload).await?;
                for key in self.named(&upload.key).await? {
                    tracing::warn!(upload = %upload.id, %key, "an object of a deleted upload had come back");
                    self.store.delete(&key).await?;
                }
                if upload.was_asked_for() || self.is_older(upload, before).await? {
                    self.store.delete(&upload.key).await?;
                }
                self.ledger.remove(upload).await?;
                tracing::debug!(upload = %upload.id, "deleted at last");
            }
            if going.len() < DELETIONS as usize {
                return Ok(());
            }
        }
    }

    /// Whether the original of an upload was written before a time: what its owner put there since is another's.
    async fn is_older(&self, upload: &Upload, than: OffsetDateTime) -> Result<bool, StoreError> {
        match self.store.head(&upload.key).await {
            Ok(found) => Ok(found.modified < than),
            Err(StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// By then a worker that had a job in hand which was taken from it knows, and has stopped, and so has what it was
    /// writing: unless the worker itself was stopped.
    pub fn settled_after(&self) -> Duration {
        2 * self.config.lease + self.longest_write()
    }

    /// How long after its writer has gone a write can come into effect.
    fn longest_write(&self) -> Duration {
        match self.config.store {
            StoreUrl::Embedded => Duration::ZERO,
            StoreUrl::S3 { .. } => s3::LONGEST_REQUEST,
        }
    }

    /// Whether nothing that is made of another original can have the names of what is made of an upload: it was put where its
    /// id says. An object that somebody else named by that id has an upload with another one.
    pub fn has_own_names(&self, upload: &Upload) -> bool {
        self.layout.is_upload_key_of(&upload.key, &upload.id)
    }

    /// Whatever lies where the variants of an upload lie that is known by its key, whichever preset made it. Names of their
    /// owner's own may begin with an upload's id: what is made of those is no part of it.
    pub async fn named(&self, key: &Key) -> Result<Vec<Key>, StoreError> {
        let Some((id, prefix)) = self.layout.output_prefix(key) else { return Ok(Vec::new()) };
        let row = self.ledger.get(&id).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        if row.is_some_and(|row| row.key != *key) {
            return Ok(Vec::new());
        }
        let listed = self.store.list(&prefix).await?.into_iter().map(|object| object.key);
        let mut found: Vec<Key> = listed.filter(|key| key.as_str()[prefix.len()..].starts_with(['.', '_'])).collect();
        let mut others = HashSet::new();
        for place in found.iter().filter(|key| key::is_manifest(key)) {
            let manifest = self.processor.stored_manifest(place).await?;
            if let Some(manifest) = manifest.filter(|manifest| manifest.original.key != *key) {
                others.extend(manifest.own_keys(&self.layout, &manifest.original.key));
                others.insert(place.clone());
            }
        }
        found.retain(|key| !others.contains(key));
        Ok(found)
    }

    /// Removes an upload's original, its variants and its manifest from the store; never what is another's, whatever a
    /// manifest says.
    pub async fn erase(&self, upload: &Upload) -> Result<(), StoreError> {
        self.erase_variants(upload).await?;
        self.store.delete(&upload.key).await
    }

    /// Removes an upload's variants and manifest: what the public can read of an upload that failed is nothing. Never what
    /// is another's, whatever a manifest says. Where others may be called so that their outputs meet, none of them is at work
    /// meanwhile, in whichever process.
    pub async fn erase_variants(&self, upload: &Upload) -> Result<(), StoreError> {
        if self.has_own_names(upload) {
            return self.erase_in_hand(upload, None).await;
        }
        let queue = |error: QueueError| StoreError::Unavailable(error.to_string());
        let Some(hold) = self.queue.hold(&upload.id, &upload.key, self.config.lease).await.map_err(queue)? else {
            let why = format!("an original of such names as {} is at work: try again", upload.key);
            return Err(StoreError::Unavailable(why));
        };
        let done = self.erase_in_hand(upload, Some(&hold)).await;
        self.queue.drop_job(&hold).await.map_err(queue)?;
        done
    }

    /// The same within a job of the upload, or under a hold on its names.
    pub async fn erase_in_hand(&self, upload: &Upload, hold: Option<&Leased>) -> Result<(), StoreError> {
        let outputs = self.outputs(upload);
        let sets = self.sets(upload, &outputs).await?;
        let (manifests, variants): (Vec<_>, Vec<_>) = outputs.into_iter().partition(key::is_manifest);
        // A set of an earlier preset is known by its manifest alone, which therefore goes after it.
        let stored = sets.own.iter().flat_map(|(_, manifest)| manifest.own_keys(&self.layout, &upload.key));
        for key in stored.chain(variants).chain(manifests).filter(|key| !sets.others.contains(key)) {
            if let Some(hold) = hold {
                self.still_holds(hold).await?;
            }
            match self.store.delete(&key).await {
                // No object can be called so: nothing was written there.
                Ok(()) | Err(StoreError::Invalid(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does what may take longer than a lease, and keeps a hold meanwhile. It comes to nothing where the hold is lost.
    pub async fn while_held<T, E: From<StoreError>>(
        &self,
        hold: &Leased,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = pin!(work);
        let mut proofs = tokio::time::interval(self.config.lease / PROOFS);
        let done = loop {
            tokio::select! {
                done = &mut work => break done?,
                _ = proofs.tick() => self.still_holds(hold).await?,
            }
        };
        self.still_holds(hold).await?;
        Ok(done)
    }

    /// Extends a hold, which proves that it is still there.
    async fn still_holds(&self, hold: &Leased) -> Result<(), StoreError> {
        if self.queue.extend(hold, self.config.lease).await.is_ok_and(|held| held) {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!("the names of {} are another's by now: try again", hold.job.event.key)))
    }

    /// Whether the store holds a manifest of an upload.
    pub async fn has_manifest(&self, upload: &Upload) -> Result<bool, StoreError> {
        Ok(!self.sealed(upload).await?.is_empty())
    }

    /// The manifests that the store holds of an upload.
    pub async fn sealed(&self, upload: &Upload) -> Result<Vec<Manifest>, StoreError> {
        let sets = self.sets(upload, &self.outputs(upload)).await?;
        Ok(sets.own.into_iter().map(|(_, manifest)| manifest).collect())
    }

    /// What is sealed of the keys that an upload's outputs can have.
    async fn sets(&self, upload: &Upload, keys: &[Key]) -> Result<Sets, StoreError> {
        let mut places: Vec<Key> = keys.iter().filter(|key| key::is_manifest(key)).cloned().collect();
        if !self.has_own_names(upload) {
            // Others may be called the same but for their extensions, or as a variant is.
            places.extend(self.layout.manifests_beside(&upload.key));
            places.extend(keys.iter().filter(|key| !key::is_manifest(key)).filter_map(key::manifest_of));
            places.sort();
            places.dedup();
        }
        let mut sets = Sets::default();
        for place in places {
            match self.processor.stored_manifest(&place).await? {
                Some(manifest) if manifest.original.key == upload.key => sets.own.push((place, manifest)),
                Some(manifest) => {
                    sets.others.extend(manifest.own_keys(&self.layout, &manifest.original.key));
                    sets.others.insert(place);
                }
                None => {}
            }
        }
        Ok(sets)
    }

    /// Every key that developing an upload can have written. None of one whose name is refused: those would be another's.
    fn outputs(&self, upload: &Upload) -> Vec<Key> {
        if self.processor.refuses_name(&upload.key) {
            return Vec::new();
        }
        let extensions = extensions(upload);
        let preset = self.config.presets.get(&upload.preset);
        let mut keys: Vec<Key> =
            upload.manifest.iter().flat_map(|manifest| manifest.own_keys(&self.layout, &upload.key)).collect();
        for extension in &extensions {
            keys.extend(preset.iter().flat_map(|preset| self.layout.possible_keys(&upload.key, preset, extension)));
            keys.extend(self.layout.manifest_key(&upload.key, extension).ok());
        }
        keys
    }
}

/// What is sealed of some keys.
#[derive(Default)]
struct Sets {
    /// An upload's own manifests, each with its place.
    own: Vec<(Key, Manifest)>,
    /// Manifests and variants of others.
    others: HashSet<Key>,
}

/// The extensions that an upload's variants can have.
fn extensions(upload: &Upload) -> Vec<String> {
    match upload.key.extension().or_else(|| upload.extension.clone()) {
        Some(extension) => vec![extension],
        None => tintype_image::Format::ALL.iter().map(|format| format.extension().to_owned()).collect(),
    }
}

/// Step 5 without a wire: what the embedded store tells its own service.
pub struct InProcess(pub Arc<App>);

#[async_trait]
impl Arrivals for InProcess {
    async fn may_come(&self, key: &Key) -> Result<bool, String> {
        let app = &self.0;
        if app.config.rule(key) == Rule::Newest {
            return Ok(true);
        }
        let Some(upload) = app.ledger.find(key).await.map_err(|e| e.to_string())? else { return Ok(true) };
        let may = !upload.state().is_known() && !upload.has_lapsed();
        if !may {
            note_stale(&upload, Stale::Refused);
            app.ledger.note_stale(&upload.id, Stale::Refused).await.map_err(|e| e.to_string())?;
        }
        Ok(may)
    }

    async fn arrived(&self, object: &ObjectMeta) -> Result<(), String> {
        let event = StorageEvent {
            bucket: None,
            key: object.key.clone(),
            size: Some(object.size),
            etag: object.etag.clone(),
            version: None,
            sequencer: None,
        };
        accept(&self.0, event).await.map(drop).map_err(|e| e.to_string())
    }
}
