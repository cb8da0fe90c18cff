//! Fourth step: write the variants, then the manifest that says they are there.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tintype_image::OutputFormat;

use super::load::{self, Original};
use super::render::{File, Rendered};
use super::{ProcessError, Processor, public};
use crate::error::Failure;
use crate::key::{Key, extension_in};
use crate::manifest::{self, Camera, Damaged, ENGINE, Image, Manifest, Swatch, Variant};
use crate::preset::{Preset, hex};
use crate::store::PutOptions;

/// Writes under way at once, for one original.
const CONCURRENCY: usize = 8;

/// Writes everything and gives the manifest.
pub async fn all(
    processor: &Processor,
    original: Original,
    rendered: Rendered,
    preset: &Preset,
) -> Result<Manifest, ProcessError> {
    let image = facts(&rendered);
    let damaged = rendered.damaged.as_ref().map(|damage| Damaged { rows: damage.rows, why: damage.why.clone() });
    let (width, height) = (rendered.facts.width, rendered.facts.height);
    // Variants come in the order of their specs.
    let asked: Vec<OutputFormat> = preset.variants.iter().map(|spec| spec.format).collect();
    let made = asked.into_iter().zip(rendered.files);
    let writes = made.map(|(format, variant)| save_variant(processor, &original, preset, format, variant));
    let variants: Vec<Variant> = stream::iter(writes).buffered(CONCURRENCY).try_collect().await?;
    let meta = &original.object.meta;
    let manifest = Manifest {
        original: manifest::Original {
            key: meta.key.clone(),
            bytes: meta.size,
            content_type: original.format.content_type().to_owned(),
            width,
            height,
            etag: meta.etag.clone(),
            sha256: original.sha256.clone(),
        },
        variants,
        image,
        damaged,
        metadata: meta.metadata.clone(),
        preset: preset.reference(),
        engine: ENGINE.to_owned(),
    };
    if processor.replaces {
        // Before the manifest that knows them is overwritten: cut off in between, it is done again.
        remove_superseded(processor, &original.manifest_key, &manifest).await?;
    }
    save_manifest(processor, &original.manifest_key, &public::manifest(&manifest, preset.metadata)).await?;
    Ok(manifest)
}

async fn remove_superseded(processor: &Processor, manifest_key: &Key, now: &Manifest) -> Result<(), ProcessError> {
    let Some(before) = load::stored_manifest(processor, manifest_key).await? else { return Ok(()) };
    let is_made = |key: &Key| now.variants.iter().any(|variant| variant.key == *key);
    for key in before.own_keys(&processor.layout, &now.original.key).into_iter().filter(|key| !is_made(key)) {
        tracing::info!(%key, "removed: the new set has no such variant");
        processor.target.delete(&key).await?;
    }
    Ok(())
}

async fn save_variant(
    processor: &Processor,
    original: &Original,
    preset: &Preset,
    format: OutputFormat,
    made: File,
) -> Result<Variant, ProcessError> {
    let key = variant_key(processor, original, format, &made)?;
    let variant = Variant {
        url: processor.public_url.as_ref().map(|base| base.of(&key)),
        content_type: made.format.content_type().to_owned(),
        width: made.width,
        height: made.height,
        bytes: made.bytes.len() as u64,
        sha256: hash(&made.bytes, original),
        name: made.name,
        key,
    };
    let options = PutOptions {
        content_type: variant.content_type.clone(),
        cache_control: processor.cache_control.clone(),
        metadata: public::metadata(&original.object.meta.metadata, preset.metadata),
    };
    processor.target.put(&variant.key, made.bytes, &options).await?;
    Ok(variant)
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

async fn save_manifest(processor: &Processor, key: &Key, manifest: &Manifest) -> Result<(), ProcessError> {
    let json = serde_json::to_vec_pretty(manifest).map_err(|e| Failure::new("internal", e.to_string()))?;
    let options = PutOptions { content_type: "application/json".into(), ..Default::default() };
    processor.target.put(key, Bytes::from(json), &options).await?;
    Ok(())
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
