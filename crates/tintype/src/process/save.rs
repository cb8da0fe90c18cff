//! Fourth step: unseal the set that was there, write the variants, see that they are there, and seal them with the manifest.
//!
//! A set is believed by its manifest, so there is none while variants are written; and it is written only where there is
//! none, so that of two who finish at once the second looks at what the first has sealed.

use std::time::Instant;

use bytes::Bytes;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tintype_image::OutputFormat;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::load::{self, Original};
use super::render::{File, Rendered};
use super::standing::{self, Standing};
use super::turns::Turn;
use super::{ProcessError, Processor, Task, conflict, public};
use crate::error::Failure;
use crate::key::{Key, extension_in};
use crate::manifest::{self, Camera, Damaged, ENGINE, Image, Manifest, Swatch, Variant};
use crate::preset::hex;
use crate::store::{Precondition, PutOptions, StoreError, Written};

/// Writes under way at once, for one original.
const CONCURRENCY: usize = 8;
/// How often a set is written when others write it too.
const ROUNDS: u32 = 3;
/// What is said of a write that was not begun.
const GIVEN_UP: &str = "writing was given up";

/// One set on its way into the store.
struct Set {
    processor: Processor,
    task: Task,
    original: Original,
    image: Image,
    damaged: Option<Damaged>,
    size: (u32, u32),
    files: Vec<(Key, File)>,
    /// Whoever waited has gone: nothing more is begun.
    halt: CancellationToken,
    /// Nobody in this process writes these keys before the last write has ended.
    _turn: Turn,
}

/// A set whose manifest was taken away.
struct Unsealed {
    /// What it was called, if what replaces it is told alike.
    seal: Option<String>,
}

/// What became of a manifest.
enum Seal {
    /// It is there.
    Ours,
    /// Another one is there, which says the same.
    Theirs(Box<Manifest>),
    /// Another one is there, which says something else.
    Another,
}

/// Writes everything and gives the manifest. Should the caller go away meanwhile, nothing more is begun, and the turn is
/// held until what was begun has ended.
pub async fn all(
    processor: &Processor,
    original: Original,
    rendered: Rendered,
    task: &Task,
    turn: Turn,
) -> Result<Manifest, ProcessError> {
    let halt = CancellationToken::new();
    let gone = halt.clone().drop_guard();
    let set = Set::new(processor, original, rendered, task, halt, turn)?;
    let saved_by = task.saved_by;
    let save = async move {
        let Some(end) = saved_by else { return set.save().await };
        let late = |_| Err(ProcessError::Passing("the store was too slow: no time is left to write in".to_owned()));
        tokio::time::timeout_at(end.into(), set.save()).await.unwrap_or_else(late)
    };
    let done = tokio::spawn(save.in_current_span()).await;
    gone.disarm();
    done.unwrap_or_else(|crash| Err(ProcessError::Passing(format!("saving the variants crashed: {crash}"))))
}

impl Set {
    fn new(
        processor: &Processor,
        original: Original,
        rendered: Rendered,
        task: &Task,
        halt: CancellationToken,
        turn: Turn,
    ) -> Result<Self, ProcessError> {
        let image = facts(&rendered);
        let damaged = rendered.damaged.as_ref().map(|damage| Damaged { rows: damage.rows, why: damage.why.clone() });
        let size = (rendered.facts.width, rendered.facts.height);
        // Variants come in the order of their specs.
        let made = task.preset.variants.iter().map(|spec| spec.format).zip(rendered.files);
        let keyed = made.map(|(format, file)| Ok((variant_key(processor, &original, format, &file)?, file)));
        let files = keyed.collect::<Result<Vec<_>, Failure>>()?;
        let (processor, task) = (processor.clone(), task.clone());
        Ok(Self { processor, task, original, image, damaged, size, files, halt, _turn: turn })
    }

    async fn save(self) -> Result<Manifest, ProcessError> {
        for round in 0..ROUNDS {
            let before = self.unseal().await?;
            let mut variants = self.write_all().await?;
            if before.is_some() || self.task.again || round > 0 || self.processor.target.is_remote() {
                self.write_again_what_is_not_ours(&mut variants).await?;
            }
            let manifest = self.manifest(variants, before.and_then(|before| before.seal));
            match self.seal(&manifest).await? {
                Seal::Ours => return Ok(manifest),
                Seal::Theirs(manifest) => return Ok(*manifest),
                Seal::Another => tracing::warn!(
                    key = %self.original.manifest_key,
                    "another process has sealed this set meanwhile: it is written once more"
                ),
            }
        }
        Err(ProcessError::Passing(format!("others write {} too", self.original.manifest_key)))
    }

    /// Takes away the manifest that may be there, so that no set is believed while it changes.
    async fn unseal(&self) -> Result<Option<Unsealed>, ProcessError> {
        self.is_still_ours().await?;
        let (store, key) = (&self.processor.target, &self.original.manifest_key);
        let before = match store.get(key, load::MAX_MANIFEST).await {
            Err(StoreError::NotFound(_)) => return Ok(None),
            Ok(stored) => serde_json::from_slice::<Manifest>(&stored.bytes).ok(),
            Err(StoreError::TooLarge { .. } | StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(before) = &before {
            conflict::by_set(&self.processor, &self.original, before)?;
        }
        if let Some(before) = before.as_ref().filter(|_| self.processor.replaces) {
            // While the manifest that knows them is there: cut off in between, it is done again.
            self.remove_superseded(before).await?;
        }
        self.delete(key).await?;
        let seal = before.filter(|before| self.is_told_alike(before)).and_then(|before| before.original.seal);
        Ok(Some(Unsealed { seal }))
    }

    /// Whether a set is only made again.
    fn is_told_alike(&self, before: &Manifest) -> bool {
        let metadata = &self.original.object.meta.metadata;
        before.original.sha256 == self.original.sha256 && public::is_of(before, metadata, self.task.preset.metadata)
    }

    async fn remove_superseded(&self, before: &Manifest) -> Result<(), ProcessError> {
        let is_made = |key: &Key| self.files.iter().any(|(made, _)| made == key);
        let known = before.own_keys(&self.processor.layout, &self.original.object.meta.key);
        for key in known.into_iter().filter(|key| !is_made(key)) {
            tracing::info!(%key, "removed: the new set has no such variant");
            self.delete(&key).await?;
        }
        Ok(())
    }

    /// All of them, or an error once each that was begun has ended.
    async fn write_all(&self) -> Result<Vec<Variant>, ProcessError> {
        let stop = self.halt.child_token();
        let writes = (0..self.files.len()).map(|at| self.write_unless(&stop, at));
        let done: Vec<_> = stream::iter(writes).buffered(CONCURRENCY).collect().await;
        // The first error is the cause; those after it may only say that there was one.
        let (mut variants, mut failed) = (Vec::with_capacity(done.len()), Vec::new());
        for one in done {
            match one {
                Ok(variant) => variants.push(variant),
                Err(error) => failed.push(error),
            }
        }
        let is_cause =
            |error: &ProcessError| !matches!(error, ProcessError::Passing(why) if why == "writing was given up");
        match failed.iter().position(is_cause).or((!failed.is_empty()).then_some(0)) {
            Some(at) => Err(failed.swap_remove(at)),
            None => Ok(variants),
        }
    }

    async fn write_unless(&self, stop: &CancellationToken, at: usize) -> Result<Variant, ProcessError> {
        if stop.is_cancelled() {
            return Err(ProcessError::Passing(GIVEN_UP.to_owned()));
        }
        self.write(at).await.inspect_err(|_| stop.cancel())
    }

    async fn write(&self, at: usize) -> Result<Variant, ProcessError> {
        let (key, file) = &self.files[at];
        let mut variant = Variant {
            url: self.processor.public_url.as_ref().map(|base| base.of(key)),
            content_type: file.format.content_type().to_owned(),
            width: file.width,
            height: file.height,
            bytes: file.bytes.len() as u64,
            sha256: hash(&file.bytes, &self.original),
            name: file.name.clone(),
            key: key.clone(),
            etag: None,
        };
        variant.etag = self.put_variant(&variant, file.bytes.clone()).await?.etag;
        Ok(variant)
    }

    async fn put_variant(&self, variant: &Variant, bytes: Bytes) -> Result<Written, ProcessError> {
        let options = PutOptions {
            content_type: variant.content_type.clone(),
            cache_control: self.processor.cache_control.clone(),
            metadata: public::metadata(&self.original.object.meta.metadata, self.task.preset.metadata),
            condition: Precondition::None,
        };
        self.put(&variant.key, bytes, &options).await
    }

    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, ProcessError> {
        self.in_time(key, self.processor.target.put(key, bytes, options)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ProcessError> {
        self.in_time(key, self.processor.target.delete(key)).await
    }

    /// A change that is this process's to make, and ends in its time: what is cut off may come late, but no later than a lease
    /// lasts. The time is looked at before anything goes on, as it is when the process was stopped for longer.
    async fn in_time<T>(
        &self,
        key: &Key,
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ProcessError> {
        let longest = self.processor.longest_write.map(|longest| Instant::now() + longest);
        if let Some(fence) = &self.task.fence
            && !fence.may_write().await?
        {
            return Err(taken_over());
        }
        let Some(end) = longest.into_iter().chain(self.task.saved_by).min() else { return Ok(change.await?) };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(end.into()) => {
                Err(ProcessError::Passing(format!("{key} could not be written in the time there is for a write")))
            }
            done = change => Ok(done?),
        }
    }

    /// Who wrote this set before may have had writes on their way that came after ours; and a store may say that it has
    /// written what it has not.
    async fn write_again_what_is_not_ours(&self, variants: &mut [Variant]) -> Result<(), ProcessError> {
        for _ in 0..ROUNDS {
            let looks = variants.iter().map(|variant| load::is_there(&self.processor, variant));
            let foreign: Vec<usize> =
                try_join_all(looks).await?.iter().enumerate().filter(|(_, ours)| !**ours).map(|(at, _)| at).collect();
            if foreign.is_empty() {
                return Ok(());
            }
            for at in foreign {
                tracing::warn!(key = %variants[at].key, "this variant is not there, or has other bytes: it is written again");
                self.is_still_ours().await?;
                variants[at].etag = self.put_variant(&variants[at], self.files[at].1.bytes.clone()).await?.etag;
            }
        }
        Err(ProcessError::Passing(format!(
            "the store does not keep the variants of {} as they are written, or others write them too",
            self.original.manifest_key
        )))
    }

    async fn seal(&self, manifest: &Manifest) -> Result<Seal, ProcessError> {
        self.is_still_ours().await?;
        let public = public::manifest(manifest, self.task.preset.metadata);
        let json = serde_json::to_vec_pretty(&*public).map_err(|e| Failure::new("internal", e.to_string()))?;
        let (key, json) = (&self.original.manifest_key, Bytes::from(json));
        let options = manifest_options(Precondition::Absent);
        let mut tries = 1;
        let there = loop {
            let failed = match self.put(key, json.clone(), &options).await {
                Ok(_) if !self.processor.target.is_remote() => return Ok(Seal::Ours),
                Ok(_) => ProcessError::Passing(load::not_kept(key)),
                Err(error @ (ProcessError::Conflict(_) | ProcessError::Passing(_))) => error,
                Err(error) => return Err(error),
            };
            match self.processor.target.get(key, load::MAX_MANIFEST).await {
                // It was done, even if the answer was lost.
                Ok(stored) if stored.bytes == json => return Ok(Seal::Ours),
                Ok(stored) => break serde_json::from_slice::<Manifest>(&stored.bytes).ok(),
                Err(StoreError::TooLarge { .. } | StoreError::Damaged { .. }) => break None,
                Err(StoreError::NotFound(_)) if tries < ROUNDS => tries += 1,
                Err(StoreError::NotFound(_)) => return Err(failed),
                Err(error) => return Err(error.into()),
            }
            self.is_still_ours().await?;
        };
        let Some(there) = there else { return Ok(Seal::Another) };
        conflict::by_set(&self.processor, &self.original, &there)?;
        match standing::of(&self.processor, &there, &self.original, &self.task).await? {
            Standing::Same | Standing::SameAgain if load::is_whole(&self.processor, &there).await? => {
                Ok(Seal::Theirs(Box::new(public::restored(there, &self.original, self.task.preset.metadata))))
            }
            Standing::Superseded(why) => Err(ProcessError::Superseded { why, sealed: Box::new(there) }),
            _ => Ok(Seal::Another),
        }
    }

    /// Nothing is begun once the caller has gone, or another has the work.
    async fn is_still_ours(&self) -> Result<(), ProcessError> {
        if self.halt.is_cancelled() {
            return Err(ProcessError::Passing(GIVEN_UP.to_owned()));
        }
        match &self.task.fence {
            Some(fence) if !fence.holds().await? => Err(taken_over()),
            _ => Ok(()),
        }
    }

    fn manifest(&self, variants: Vec<Variant>, seal: Option<String>) -> Manifest {
        let meta = &self.original.object.meta;
        let state = self.task.state(meta);
        let seal = state.seal.map(|new| seal.unwrap_or(new));
        Manifest {
            original: manifest::Original {
                key: meta.key.clone(),
                bytes: meta.size,
                content_type: self.original.format.content_type().to_owned(),
                width: self.size.0,
                height: self.size.1,
                etag: meta.etag.clone(),
                sha256: self.original.sha256.clone(),
                version: state.version,
                sequencer: state.sequencer,
                seal,
            },
            variants,
            image: self.image.clone(),
            damaged: self.damaged.clone(),
            metadata: meta.metadata.clone(),
            preset: self.task.preset.reference(),
            engine: ENGINE.to_owned(),
        }
    }
}

fn taken_over() -> ProcessError {
    ProcessError::Passing("another process has taken this work over".to_owned())
}

/// What goes with a manifest.
pub(super) fn manifest_options(condition: Precondition) -> PutOptions {
    PutOptions { content_type: "application/json".into(), condition, ..Default::default() }
}

/// SHA-256 in hex. The original's own is known.
fn hash(bytes: &[u8], original: &Original) -> String {
    // The same bytes in the same place: nothing was stripped.
    if std::ptr::eq(bytes, &*original.object.bytes) { original.sha256.clone() } else { hex(&Sha256::digest(bytes)) }
}

/// A promised key is kept, though its bytes be of another format than was declared.
fn variant_key(processor: &Processor, original: &Original, format: OutputFormat, made: &File) -> Result<Key, Failure> {
    let extension = match format {
        OutputFormat::Same => original.extension.clone(),
        _ => extension_in(&original.extension, made.format),
    };
    processor
        .layout
        .variant_key(&original.object.meta.key, &made.name, &extension)
        .map_err(|e| Failure::new("invalid_request", e.to_string()))
}

fn facts(rendered: &Rendered) -> Image {
    let facts = &rendered.facts;
    Image {
        format: facts.format.name().to_owned(),
        orientation: facts.orientation,
        frames: facts.frames,
        has_alpha: facts.has_alpha,
        thumbhash: facts.thumbhash.clone(),
        blurhash: Some(facts.blurhash.clone()),
        dominant_color: facts.dominant_color.clone(),
        palette: facts.palette.iter().map(swatch).collect(),
        perceptual_hash: Some(format!("{:016x}", facts.perceptual_hash)),
        taken_at: facts.taken_at.clone(),
        camera: facts.camera.as_ref().map(camera),
    }
}

fn swatch(swatch: &tintype_image::Swatch) -> Swatch {
    Swatch { color: swatch.color.clone(), share: f64::from(swatch.percent) / 100.0 }
}

fn camera(camera: &tintype_image::Camera) -> Camera {
    let tintype_image::Camera { make, model, lens } = camera.clone();
    Camera { make, model, lens }
}
