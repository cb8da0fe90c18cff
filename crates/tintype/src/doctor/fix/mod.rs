//! Mending: what is missing is put into the settings that are there. Nothing of theirs is taken out, and nothing is
//! opened.
//!
//! Each file plans from a document and gives the whole new one, or nothing when there is nothing to do; so planning
//! twice changes nothing twice.

mod access;
mod notification;
mod rules;

use bytes::Bytes;
use http::Method;

pub use notification::Notify;

use super::Exam;
use super::finding::Trouble;
use super::settings::{Document, Setting, Settings};

/// The namespace of S3's documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What is to be done about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This.
    Change(Change),
    /// Nothing, for this reason.
    Leave(String),
}

/// A setting's new document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What comes in, in words.
    pub what: String,
    setting: Setting,
    document: String,
}

/// What can be mended without guessing. Writes nothing.
///
/// # Errors
/// When the store does not answer.
pub async fn plan(exam: &Exam, notify: Option<&Notify>) -> Result<Vec<Step>, Trouble> {
    let settings = Settings::read(&exam.bucket).await?;
    let mut steps = Vec::new();
    steps.extend(access::block(exam, &settings));
    steps.extend(access::ownership(exam, &settings.ownership));
    steps.extend(access::tls(exam, &settings.policy));
    steps.extend(rules::lifecycle(exam, &settings.lifecycle));
    steps.extend(rules::cors(exam, &settings.cors).await?);
    steps.extend(notification::notification(exam, &settings.notification, notify));
    Ok(steps)
}

/// Writes one new document.
///
/// # Errors
/// Why the store did not take it, and what helps.
pub async fn apply(exam: &Exam, change: &Change) -> Result<(), Trouble> {
    let setting = change.setting;
    let mut call = setting.call(Method::PUT).body(Bytes::from(change.document.clone()));
    if setting == Setting::Lifecycle {
        call = with_least_size(exam, call).await?;
    }
    let answer = exam.bucket.signed(&call).await?;
    if answer.taken() {
        return Ok(());
    }
    let why = answer.said_why();
    Err(Trouble(match (answer.status.as_u16(), setting) {
        (401 | 403, _) => format!("{why}; it takes {}", setting.write_permission()),
        (_, Setting::Notification) => format!("{why}; {}", notification::permission(exam, &change.document)),
        _ => why,
    }))
}

/// A lifecycle's least size for transitions is no part of its document, and is lost unless it is sent again.
async fn with_least_size(
    exam: &Exam,
    call: crate::presign::header::Call,
) -> Result<crate::presign::header::Call, Trouble> {
    const HEADER: &str = "x-amz-transition-default-minimum-object-size";
    let current = exam.bucket.signed(&Setting::Lifecycle.call(Method::GET)).await?;
    Ok(match current.header(HEADER).filter(|_| current.taken()) {
        Some(size) => call.header(HEADER, size),
        None => call,
    })
}

/// The document to put something in: the one that is there, or an empty one.
fn current(setting: Setting, document: &Document) -> Result<String, Step> {
    let what = setting.label();
    match document {
        Document::Found(text) => Ok(text.clone()),
        Document::Absent if setting.root().is_empty() => Ok(String::new()),
        Document::Absent => Ok(format!("<{0} xmlns=\"{NAMESPACE}\"></{0}>", setting.root())),
        Document::Unknown => Err(Step::Leave(format!("{what}: this store has no such setting"))),
        Document::Denied => Err(Step::Leave(format!("{what}: these credentials lack {}", setting.permission()))),
        Document::Failed(why) => Err(Step::Leave(format!("{what}: the store failed: {why}"))),
    }
}

/// The step to a document that something was put in; `None` there means that it was none of S3's.
fn step(setting: Setting, what: String, document: Option<String>) -> Step {
    match document {
        Some(document) => Step::Change(Change { what: format!("{}: {what}", setting.label()), setting, document }),
        None => Step::Leave(format!("{}: what is set there cannot be understood", setting.label())),
    }
}

/// Parts of a plan that end early because there is nothing to put something in.
fn steps(planned: Result<Vec<Step>, Step>) -> Vec<Step> {
    planned.unwrap_or_else(|step| vec![step])
}
