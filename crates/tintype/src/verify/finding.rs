//! What does not fit, and what was done about it.

use serde::Serialize;

use crate::upload::UploadId;

/// In which way something does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A completed upload's variant is not in the store.
    VariantMissing,
    /// A variant has another size or, looked at deeply, another SHA-256 than its manifest says.
    VariantDamaged,
    /// A completed upload's manifest is not in the store.
    ManifestMissing,
    /// The manifest in the store is not that of the ledger.
    ManifestDiffers,
    /// An upload failed or expired, and a set of variants of it can be read.
    VariantLeft,
    /// An original that is kept is not the one that was developed.
    OriginalDamaged,
    /// An upload is `processing`, and no job is there to end that.
    JobMissing,
    /// An original that no upload knows, or whose upload still waits for it: its event was lost.
    OriginalUnclaimed,
    /// An object where variants are that no upload and no manifest knows.
    Orphan,
    /// It could not be looked at.
    Unreadable,
}

impl Kind {
    /// The word, as JSON has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VariantMissing => "variant_missing",
            Self::VariantDamaged => "variant_damaged",
            Self::ManifestMissing => "manifest_missing",
            Self::ManifestDiffers => "manifest_differs",
            Self::VariantLeft => "variant_left",
            Self::OriginalDamaged => "original_damaged",
            Self::JobMissing => "job_missing",
            Self::OriginalUnclaimed => "original_unclaimed",
            Self::Orphan => "orphan",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In which way.
    pub kind: Kind,
    /// Whose it is, if that is known.
    pub upload: Option<UploadId>,
    /// The object it is about.
    pub key: Option<String>,
    /// What was seen, in a sentence.
    pub detail: String,
    /// What was done about it.
    pub action: Action,
}

impl Finding {
    /// One about which nothing was done.
    pub fn new(kind: Kind, upload: Option<&UploadId>, key: impl ToString, detail: impl Into<String>) -> Self {
        Self { kind, upload: upload.cloned(), key: Some(key.to_string()), detail: detail.into(), action: Action::None }
    }
}

/// What was done about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: it was not asked for, or there is nothing to do.
    None,
    /// The upload is developed again: it has a new job.
    Enqueued,
    /// The object is gone.
    Deleted,
    /// It could not be done, for this reason.
    Impossible(String),
}

/// How much was looked at, and what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows.
    pub uploads: u64,
    /// Objects that manifests name.
    pub variants: u64,
    /// Objects where variants are.
    pub objects: u64,
    /// Objects where originals arrive.
    pub originals: u64,
    /// Objects so young that a job may be at them: not judged.
    pub in_flight: u64,
    /// What does not fit.
    pub findings: u64,
    /// Of these, objects that are gone now.
    pub deleted: u64,
    /// Of these, uploads that have a new job now.
    pub enqueued: u64,
}

impl Summary {
    /// Whether all fits by now.
    pub const fn holds(&self) -> bool {
        self.findings == self.deleted
    }
}
