//! Whose an object is that lies where variants are: a manifest's, or an upload's that is being developed.

use std::collections::{HashSet, VecDeque};

use super::{Verifier, VerifyError};
use crate::key::{self, Key};
use crate::manifest::Manifest;
use crate::process::MAX_MANIFEST;
use crate::store::StoreError;
use crate::upload::{Status, UploadId};

/// Manifests whose variants are remembered. Objects come in the order of names, so theirs are soon through.
const REMEMBERED: usize = 1000;

/// What is known of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A manifest names it, or a row does, or it is a manifest.
    Known,
    /// Its upload is under way.
    UnderWay,
    /// Nobody, for all that this says.
    Nobody(String),
}

/// The variants of manifests that were seen lately.
#[derive(Default)]
pub(super) struct Owners {
    owned: HashSet<Key>,
    order: VecDeque<Vec<Key>>,
}

impl Owners {
    /// Who owns an object. Asks the ledger by the id in its name, and the store for manifests beside it.
    pub(super) async fn of(&mut self, verifier: &Verifier, object: &Key) -> Result<Owner, VerifyError> {
        if self.owned.contains(object) {
            return Ok(Owner::Known);
        }
        if key::is_manifest(object) {
            return Ok(match self.read(verifier, object).await? {
                true => Owner::Known,
                false => Owner::Nobody("no manifest can be read from it".to_owned()),
            });
        }
        let mut nobody = "no upload and no manifest names it".to_owned();
        let stems = verifier.layout.possible_stems(object);
        for stem in &stems {
            let Some(id) = UploadId::parse(stem) else { continue };
            let Some(row) = verifier.ledger.get(&id).await? else { continue };
            if matches!(row.status, Status::Pending | Status::Processing) {
                return Ok(Owner::UnderWay);
            }
            if row.processed_key.as_ref() == Some(object) || row.manifest.as_ref().is_some_and(|m| names(m, object)) {
                self.remember(row.manifest.as_ref());
                return Ok(Owner::Known);
            }
            nobody = format!("upload {id} is {}, and does not name it", row.status.as_str());
        }
        for stem in &stems {
            for beside in verifier.layout.possible_manifests(stem, object) {
                if self.read(verifier, &beside).await? && self.owned.contains(object) {
                    return Ok(Owner::Known);
                }
            }
        }
        Ok(Owner::Nobody(nobody))
    }

    /// Reads a manifest and remembers what it names; false when there is none that can be read.
    async fn read(&mut self, verifier: &Verifier, at: &Key) -> Result<bool, VerifyError> {
        let stored = match verifier.store.get(at, MAX_MANIFEST).await {
            Ok(stored) => stored,
            Err(StoreError::NotFound(_) | StoreError::TooLarge { .. } | StoreError::Damaged { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let manifest: Option<Manifest> = serde_json::from_slice(&stored.bytes).ok();
        self.remember(manifest.as_ref());
        Ok(manifest.is_some())
    }

    fn remember(&mut self, manifest: Option<&Manifest>) {
        let Some(manifest) = manifest else { return };
        let keys: Vec<Key> = manifest.variants.iter().map(|variant| variant.key.clone()).collect();
        self.owned.extend(keys.iter().cloned());
        self.order.push_back(keys);
        if self.order.len() > REMEMBERED {
            for key in self.order.pop_front().unwrap_or_default() {
                self.owned.remove(&key);
            }
        }
    }
}

fn names(manifest: &Manifest, object: &Key) -> bool {
    manifest.variants.iter().any(|variant| variant.key == *object)
}
