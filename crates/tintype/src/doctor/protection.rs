//! How what is stored is guarded: who owns it, what it is encrypted with, what stays of it, and how it travels.

use super::Exam;
use super::finding::Finding;
use super::policy;
use super::settings::{Setting, Settings};
use super::xml::text_of;

/// Name of the check that ACLs are off.
pub const OWNERSHIP: &str = "ownership";

/// The four rows.
pub fn check(exam: &Exam, settings: &Settings) -> Vec<Finding> {
    let rows = [ownership(exam, settings), encryption(settings), versioning(settings), tls(exam, settings)];
    rows.into_iter().map(|row| row.unwrap_or_else(|finding| finding)).collect()
}

fn ownership(exam: &Exam, settings: &Settings) -> Result<Finding, Finding> {
    let text = settings.ownership.text(Setting::Ownership, OWNERSHIP)?;
    Ok(match text_of(text, "ObjectOwnership").as_deref() {
        Some("BucketOwnerEnforced") => Finding::ok(OWNERSHIP, "the bucket's owner owns all in it; ACLs are off"),
        other => {
            let seen = format!("ACLs count ({}): an object can be opened one by one", other.unwrap_or("ObjectWriter"));
            Finding::warning(OWNERSHIP, seen).mended("turn them off", exam.mend())
        }
    })
}

fn encryption(settings: &Settings) -> Result<Finding, Finding> {
    const NAME: &str = "encryption";
    let text = settings.encryption.text(Setting::Encryption, NAME)?;
    let with = match text_of(text, "KMSMasterKeyID") {
        Some(key) => format!("with the KMS key {key}: the processor's role needs kms:Decrypt and kms:GenerateDataKey"),
        None => {
            text_of(text, "SSEAlgorithm").map_or("as the store does by itself".to_owned(), |how| format!("with {how}"))
        }
    };
    Ok(Finding::ok(NAME, with))
}

fn versioning(settings: &Settings) -> Result<Finding, Finding> {
    const NAME: &str = "versioning";
    let text = settings.versioning.text(Setting::Versioning, NAME)?;
    Ok(match text_of(text, "Status").as_deref() {
        Some("Enabled") => Finding::ok(NAME, "on: what is deleted stays as an older version, originals too"),
        _ => Finding::ok(NAME, "off"),
    })
}

fn tls(exam: &Exam, settings: &Settings) -> Result<Finding, Finding> {
    const NAME: &str = "TLS only";
    let text = settings.policy.text(Setting::Policy, NAME)?;
    if policy::asks_for_tls(text, exam.bucket_name()) {
        return Ok(Finding::ok(NAME, "the policy refuses calls without TLS"));
    }
    if !exam.reached_by_tls() {
        return Ok(Finding::skipped(NAME, "the store is reached by http://, which such a policy would shut out"));
    }
    Ok(Finding::warning(NAME, "the policy does not refuse calls without TLS").mended("have it do so", exam.mend()))
}
