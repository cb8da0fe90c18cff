//! From the ledger to the store: what a row says is there.

use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tintype_image::{Format, MetadataPolicy};

use super::{Finding, Kind, Summary, Tell, Verifier, VerifyError, repair, report};
use crate::key::{Key, extension_for, is_of_doctor};
use crate::ledger::{Page, Search};
use crate::manifest::{Manifest, Original, Variant};
use crate::preset::hex;
use crate::process::{MAX_MANIFEST, public};
use crate::store::StoreError;
use crate::upload::{Status, Upload};

/// Rows of one page.
const PAGE: u32 = 500;
/// Uploads looked at at once.
const CONCURRENCY: usize = 8;

/// Looks at one upload that is worked on all the time.
const LOOKS: u32 = 20;

/// Every row, newest first.
pub(super) async fn all(verifier: &Verifier, summary: &mut Summary, tell: &mut dyn Tell) -> Result<(), VerifyError> {
    let mut page = Page { limit: PAGE, ..Page::default() };
    loop {
        let rows = verifier.ledger.list(&page, &Search::default()).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        page.before = Some((last.created_at, last.id.to_string()));
        let mut looks = stream::iter(rows.into_iter().map(|row| one(verifier, row))).buffered(CONCURRENCY);
        while let Some(looked) = looks.next().await {
            let Looked { variants, findings } = looked?;
            summary.uploads += 1;
            summary.variants += variants;
            for finding in &findings {
                report(finding, summary, tell);
            }
            tell.looked(summary);
        }
    }
}

/// What a look at one upload saw.
struct Looked {
    variants: u64,
    findings: Vec<Finding>,
}

impl Looked {
    fn fitting(row: &Upload) -> Self {
        let variants = row.manifest.as_ref().map_or(0, |manifest| manifest.variants.len() as u64);
        Self { variants, findings: Vec::new() }
    }
}

/// One upload. What does not fit is reported only if nobody worked on the upload while it was looked at again: a retry takes
/// its set's seal away for a moment, and leaves an equal row.
async fn one(verifier: &Verifier, mut row: Upload) -> Result<Looked, VerifyError> {
    let mut findings = look(verifier, &row).await?;
    let mut looks = 1;
    while !findings.is_empty() {
        let last = last_attempt(verifier, &row).await?;
        let Some(before) = verifier.ledger.get(&row.id).await? else { return Ok(Looked::fitting(&row)) };
        findings = look(verifier, &before).await?;
        // Its job makes it whole, or tells that it cannot.
        let is_in_hand = before.status == Status::Completed && verifier.queue.has(&row.id).await?;
        let Some(after) = verifier.ledger.get(&row.id).await? else { return Ok(Looked::fitting(&row)) };
        if is_in_hand {
            return Ok(Looked::fitting(&after));
        }
        looks += 1;
        row = after;
        if looks < LOOKS && (before != row || last_attempt(verifier, &row).await? != last) {
            continue;
        }
        repair::upload(verifier, &row, &mut findings).await?;
        break;
    }
    Ok(Looked { findings, ..Looked::fitting(&row) })
}

/// When the last job of an upload ended.
async fn last_attempt(verifier: &Verifier, row: &Upload) -> Result<Option<OffsetDateTime>, VerifyError> {
    Ok(verifier.ledger.history(&row.id, 1).await?.first().map(|attempt| attempt.ended_at))
}

async fn look(verifier: &Verifier, row: &Upload) -> Result<Vec<Finding>, VerifyError> {
    match row.status {
        Status::Completed if is_of_doctor(&row.key) => Ok(Vec::new()),
        Status::Processing => no_job(verifier, row).await,
        Status::Completed => Ok(completed(verifier, row).await),
        Status::Failed | Status::Expired => left(verifier, row).await,
        Status::Pending => Ok(Vec::new()),
    }
}

async fn no_job(verifier: &Verifier, row: &Upload) -> Result<Vec<Finding>, VerifyError> {
    if verifier.queue.has(&row.id).await? {
        return Ok(Vec::new());
    }
    let detail = "it is processing, and there is no job for it";
    Ok(vec![Finding::new(Kind::JobMissing, Some(&row.id), &row.key, detail)])
}

/// What can be read of an upload that has nothing to show: a set that is sealed. The rest is told as orphans.
async fn left(verifier: &Verifier, row: &Upload) -> Result<Vec<Finding>, VerifyError> {
    let mut findings = Vec::new();
    let status = row.status.as_str();
    for sealed in verifier.processor.manifest_keys(&row.key) {
        let Some(manifest) = verifier.processor.stored_manifest(&sealed).await? else { continue };
        if manifest.original.key != row.key {
            continue;
        }
        for key in manifest.own_keys(&verifier.layout, &row.key).into_iter().chain([sealed]) {
            match verifier.store.head(&key).await {
                Ok(_) => {
                    let detail = format!("the upload is {status}, and this can be read");
                    findings.push(Finding::new(Kind::VariantLeft, Some(&row.id), &key, detail));
                }
                Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(findings)
}

async fn completed(verifier: &Verifier, row: &Upload) -> Vec<Finding> {
    let Some(manifest) = &row.manifest else {
        // The seed's Lambda tells one key, and nothing of it.
        let Some(key) = &row.processed_key else { return Vec::new() };
        let there = verifier.store.head(key).await.map(drop);
        let missing = |error| unlooked(row, key, Kind::VariantMissing, "the variant is not in the store", &error);
        return there.err().map(missing).into_iter().collect();
    };
    let variants = manifest.variants.iter().map(|variant| variant_of(verifier, row, variant));
    let mut findings: Vec<Finding> =
        stream::iter(variants).buffered(CONCURRENCY).filter_map(|found| async { found }).collect().await;
    findings.extend(manifest_of(verifier, row, manifest).await);
    findings.extend(original_of(verifier, row, &manifest.original).await);
    findings
}

async fn variant_of(verifier: &Verifier, row: &Upload, variant: &Variant) -> Option<Finding> {
    let missing = format!("the variant {} is not in the store", variant.name);
    match damage(verifier, &variant.key, variant.bytes, &variant.sha256, verifier.options.deep).await {
        Ok(None) => None,
        Ok(Some(how)) => Some(Finding::new(Kind::VariantDamaged, Some(&row.id), &variant.key, how)),
        Err(error) => Some(unlooked(row, &variant.key, Kind::VariantMissing, &missing, &error)),
    }
}

async fn manifest_of(verifier: &Verifier, row: &Upload, manifest: &Manifest) -> Option<Finding> {
    let key = manifest_key(verifier, row, manifest)?;
    let differs = |how| Some(Finding::new(Kind::ManifestDiffers, Some(&row.id), &key, how));
    match verifier.store.get(&key, MAX_MANIFEST).await {
        Ok(stored) => match serde_json::from_slice::<Manifest>(&stored.bytes) {
            Ok(stored) if is_as_public(verifier, &stored, manifest) => None,
            Ok(stored) if stored == *manifest => {
                differs("the manifest in the store tells more than metadata = \"none\" allows".to_owned())
            }
            Ok(_) => differs("the manifest in the store says other than the ledger".to_owned()),
            Err(error) => differs(format!("it is no manifest: {error}")),
        },
        Err(StoreError::Damaged { how, .. }) => differs(how),
        Err(error) => Some(unlooked(row, &key, Kind::ManifestMissing, "the manifest is not in the store", &error)),
    }
}

/// Whether a stored manifest says what the row does, as far as its preset lets the public read that. Where the preset is
/// not what it was, nothing is known of its rule.
fn is_as_public(verifier: &Verifier, stored: &Manifest, manifest: &Manifest) -> bool {
    let preset =
        verifier.config.presets.get(&manifest.preset.name).filter(|preset| preset.reference() == manifest.preset);
    let says = |policy| *stored == *public::manifest(manifest, policy);
    match preset {
        Some(preset) => says(preset.metadata),
        None => says(MetadataPolicy::Keep) || says(MetadataPolicy::None),
    }
}

/// Where the manifest was written: the extension is that of the original's own variant.
fn manifest_key(verifier: &Verifier, row: &Upload, manifest: &Manifest) -> Option<Key> {
    let format = Format::ALL.into_iter().find(|format| format.name() == manifest.image.format);
    let extension = extension_for(&row.key, row.extension.as_deref(), format.unwrap_or(Format::Jpeg));
    verifier.layout.manifest_key(&row.key, &extension).ok()
}

/// An original that is gone has had its time.
async fn original_of(verifier: &Verifier, row: &Upload, original: &Original) -> Option<Finding> {
    match damage(verifier, &row.key, original.bytes, &original.sha256, verifier.options.deep).await {
        Ok(None) | Err(StoreError::NotFound(_)) => None,
        Ok(Some(how)) => Some(Finding::new(Kind::OriginalDamaged, Some(&row.id), &row.key, how)),
        Err(error) => Some(unlooked(row, &row.key, Kind::Unreadable, "", &error)),
    }
}

/// How an object differs from what was written, if it does: in its size or, looked at deeply, its SHA-256.
pub(super) async fn damage(
    verifier: &Verifier,
    key: &Key,
    bytes: u64,
    sha256: &str,
    deep: bool,
) -> Result<Option<String>, StoreError> {
    let found = verifier.store.head(key).await?.size;
    if found != bytes {
        return Ok(Some(format!("{found} bytes, the manifest says {bytes}")));
    }
    if !deep {
        return Ok(None);
    }
    let object = match verifier.store.get(key, verifier.max_bytes).await {
        Err(StoreError::Damaged { how, .. }) => return Ok(Some(how)),
        object => object?,
    };
    let found = hex(&Sha256::digest(&object.bytes));
    Ok((found != sha256).then(|| format!("SHA-256 is {found}, the manifest says {sha256}")))
}

/// What is not there, or cannot be looked at.
fn unlooked(row: &Upload, key: &Key, kind: Kind, missing: &str, error: &StoreError) -> Finding {
    match error {
        StoreError::NotFound(_) => Finding::new(kind, Some(&row.id), key, missing),
        error => Finding::new(Kind::Unreadable, Some(&row.id), key, error.to_string()),
    }
}
