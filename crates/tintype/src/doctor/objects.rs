//! What the doctor writes: its names, what the store took of it, and how all of it is removed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::Method;
use rand::RngExt;

use super::Exam;
use super::bucket::Bucket;
use super::settings::{Document, Setting};
use super::xml::Named;
use crate::key::{DOCTORS_NAME, Key, KeyError, Layout};
use crate::preset::hex;
use crate::presign::header::Call;

/// A small image that every processor can read.
pub const PNG: &[u8] = include_bytes!("probe.png");
/// Its type.
pub const PNG_TYPE: &str = "image/png";

/// The objects of one examination.
pub struct Objects {
    /// What all their names begin with.
    pub name: String,
    layout: Layout,
    written: Mutex<BTreeSet<Key>>,
    /// Whether a name was given out, and so something may have been written.
    used: AtomicBool,
}

impl Objects {
    /// Names that no other examination has.
    pub fn new(layout: Layout) -> Self {
        let name = format!("{DOCTORS_NAME}{}", hex(&rand::rng().random::<[u8; 6]>()));
        Self { name, layout, written: Mutex::default(), used: AtomicBool::default() }
    }

    /// An original: `temp/tintype-doctor-<random><what>.png`.
    ///
    /// # Errors
    /// When `upload.prefix` leaves no room for a name.
    pub fn original(&self, what: &str) -> Result<Key, KeyError> {
        self.used.store(true, Ordering::Relaxed);
        self.layout.original_named(&format!("{}{what}.png", self.name))
    }

    /// An object among the variants: `image/tintype-doctor-<random><what>.png`.
    ///
    /// # Errors
    /// When `variants.folder` leaves no room for a name.
    pub fn variant(&self, what: &str) -> Result<Key, KeyError> {
        self.used.store(true, Ordering::Relaxed);
        self.layout.output_named(&format!("{}{what}.png", self.name))
    }

    /// Whether anything may have been written.
    pub fn used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Keeps in mind that an object was written.
    pub fn wrote(&self, key: &Key) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
    }

    /// Whether the store took an object.
    pub fn has(&self, key: &Key) -> bool {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Every original that the store took: the processor is told of each.
    pub fn originals(&self) -> Vec<Key> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.iter().filter(|key| !self.layout.is_output(key)).cloned().collect()
    }

    fn written(&self) -> Vec<Key> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// One object, or one version of it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    key: Key,
    version: Option<String>,
}

/// Removes everything that was written and everything that was made of it. Gives what is left, and why.
pub async fn remove(exam: &Exam) -> Vec<String> {
    if !exam.objects.used() {
        return Vec::new();
    }
    let versions =
        matches!(Setting::Versioning.read(&exam.bucket).await, Ok(Document::Found(text)) if is_versioned(&text));
    let mut all = BTreeSet::new();
    for folder in [exam.layout.prefix(), exam.layout.folder()] {
        let prefix = format!("{folder}{}", exam.objects.name);
        let listed = match list(&exam.bucket, &prefix, versions).await {
            // The right to list versions is one of its own.
            None if versions => list(&exam.bucket, &prefix, false).await,
            listed => listed,
        };
        // Without the right to list, what is known is removed all the same.
        let known = exam.objects.written().into_iter().filter(|key| key.as_str().starts_with(&prefix));
        all.extend(listed.unwrap_or_else(|| known.map(|key| Found { key, version: None }).collect()));
    }
    let mut left = Vec::new();
    for found in all {
        if let Err(why) = delete(&exam.bucket, &found).await {
            left.push(format!("{} ({why})", found.key));
        }
    }
    left
}

fn is_versioned(document: &str) -> bool {
    roxmltree::Document::parse(document).is_ok_and(|parsed| parsed.root_element().value("Status").is_some())
}

async fn list(bucket: &Bucket, prefix: &str, versions: bool) -> Option<Vec<Found>> {
    let call = Call::new(Method::GET).query("prefix", prefix);
    let call = if versions { call.query("versions", "") } else { call.query("list-type", "2") };
    let answer = bucket.signed(&call).await.ok()?;
    answer.taken().then(|| listed(&answer.text))
}

/// The objects of a listing of either kind.
fn listed(document: &str) -> Vec<Found> {
    let Ok(parsed) = roxmltree::Document::parse(document) else {
        return Vec::new();
    };
    let root = parsed.root_element();
    let entries = ["Contents", "Version", "DeleteMarker"].into_iter().flat_map(|name| root.all(name));
    let found = entries.filter_map(|entry| {
        Some(Found { key: Key::new(entry.value("Key")?).ok()?, version: entry.value("VersionId") })
    });
    found.collect()
}

async fn delete(bucket: &Bucket, found: &Found) -> Result<(), String> {
    let mut call = Call::new(Method::DELETE).key(&found.key);
    if let Some(version) = &found.version {
        call = call.query("versionId", version);
    }
    match bucket.signed(&call).await {
        Ok(answer) if answer.taken() || answer.status == http::StatusCode::NOT_FOUND => Ok(()),
        Ok(answer) => Err(answer.said()),
        Err(trouble) => Err(trouble.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::is_of_doctor;

    #[test]
    fn both_kinds_of_listing_are_read() {
        let plain = "<ListBucketResult xmlns=\"urn:s3\"><Prefix>t</Prefix><Contents><Key>t/a.png</Key></Contents></ListBucketResult>";
        assert_eq!(listed(plain), [Found { key: Key::new("t/a.png").unwrap(), version: None }]);
        let versions = "<ListVersionsResult><Version><Key>t/a.png</Key><VersionId>1</VersionId></Version>\
                        <DeleteMarker><Key>t/a.png</Key><VersionId>2</VersionId></DeleteMarker></ListVersionsResult>";
        let ids: Vec<_> = listed(versions).into_iter().filter_map(|found| found.version).collect();
        assert_eq!(ids, ["1", "2"]);
        assert!(listed("<html>").is_empty());
    }

    #[test]
    fn names_lie_in_the_two_folders() {
        let objects = Objects::new(Layout::new("temp/", "image/").unwrap());
        let (original, variant) = (objects.original("").unwrap(), objects.variant("-open").unwrap());
        assert!(is_of_doctor(&original) && is_of_doctor(&objects.original("-anyone").unwrap()));
        assert_eq!(original.as_str(), format!("temp/{}.png", objects.name));
        objects.wrote(&original);
        objects.wrote(&variant);
        assert_eq!(objects.originals(), [original]);
        assert_eq!(objects.written().len(), 2);
    }
}
