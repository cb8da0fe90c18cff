//! One function for each thing that happens.

use std::time::{Duration, Instant};

use prometheus::{HistogramVec, IntCounterVec};
use tintype_image::{ErrorCode, Format};

use super::METRICS;
use crate::event::order::Stale;
use crate::ledger::Next;
use crate::process::Step;
use crate::store::StoreError;
use crate::upload::{Outcome, Upload};

/// Without labels.
const PLAIN: &[&str] = &[];
/// Codes of failures that are told by name; a remote processor may have others.
pub(crate) const CODES: [&str; 16] = [
    ErrorCode::UnsupportedFormat.as_str(),
    ErrorCode::Corrupt.as_str(),
    ErrorCode::TooManyPixels.as_str(),
    ErrorCode::TooManyFrames.as_str(),
    ErrorCode::Timeout.as_str(),
    ErrorCode::Internal.as_str(),
    "too_large",
    "type_mismatch",
    "not_found",
    "original_changed",
    "invalid_request",
    "key_conflict",
    "store_unavailable",
    "corrupt_storage",
    "processing_failed",
    OTHER,
];
/// Whatever has no name here.
const OTHER: &str = "other";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// Puts at zero what an alert looks at: what is not there before its first time has no increase then.
pub fn begin<'a>(presets: impl Iterator<Item = &'a str>) {
    let zero = |counter: &IntCounterVec, values: &[&str]| {
        for value in values {
            counter.with_label_values(&[*value]);
        }
    };
    let m = &*METRICS;
    m.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), std::env::consts::ARCH]).set(1.0);
    for preset in presets {
        m.uploads_created.with_label_values(&[preset]);
    }
    zero(&m.uploads_ended, &["completed", "failed", "expired"]);
    zero(&m.event_records, &["accepted", "ignored", "unusable"]);
    zero(&m.failures, &CODES);
    zero(&m.retries, &["store", "decoder", "full"]);
    zero(&m.decoder_endings, &["crashed", "slow", "exhausted", "garbled", "idle", "worn"]);
    zero(
        &m.problems,
        &["overloaded", "queue_full", "storage_full", "too_many_connections", "too_many_requests", "too_many_streams"],
    );
    zero(&m.stale, &["replaced", "refused", "older"]);
    zero(&m.callback_attempts, &["delivered", "retry", "dead"]);
    for operation in ["head", "get", "put", "delete", "list", "check"] {
        for outcome in ["ok", "not_found", "denied", "full", "damaged", "unavailable"] {
            m.store_calls.with_label_values(&[operation, outcome]);
        }
    }
    m.original_bytes.with_label_values(PLAIN);
    for format in Format::ALL {
        m.variants.with_label_values(&[format.name()]);
        m.variant_bytes.with_label_values(&[format.name()]);
    }
    for step in ["load", "analyze", "render", "save"] {
        m.step_seconds.with_label_values(&[step]);
    }
    for plain in [&m.upload_seconds, &m.callback_seconds] {
        plain.with_label_values(PLAIN);
    }
}

/// Records of a pushed event came to this.
pub fn records(outcome: &'static str, count: usize) {
    METRICS.event_records.with_label_values(&[outcome]).inc_by(count as u64);
}

/// Uploads were asked for.
pub fn created(uploads: &[Upload]) {
    for upload in uploads {
        METRICS.uploads_created.with_label_values(&[upload.preset.as_str()]).inc();
    }
}

/// The outcome of an upload was recorded.
pub fn ended(outcome: &Outcome) {
    let status = match outcome {
        Outcome::Completed(_) | Outcome::Processed(_) => "completed",
        Outcome::Failed(failure) => {
            let code = CODES.into_iter().find(|code| *code == failure.code).unwrap_or(OTHER);
            METRICS.failures.with_label_values(&[code]).inc();
            "failed"
        }
    };
    METRICS.uploads_ended.with_label_values(&[status]).inc();
}

/// Credentials ran out unused.
pub fn expired(uploads: usize) {
    METRICS.uploads_ended.with_label_values(&["expired"]).inc_by(uploads as u64);
}

/// A job was done, so long after it was added.
pub fn job_done(after: time::Duration) {
    METRICS.upload_seconds.with_label_values(PLAIN).observe(after.as_seconds_f64().max(0.0));
}

/// A step of a job is done.
pub fn step(step: &Step<'_>, took: Duration) {
    let m = &*METRICS;
    let name = match step {
        Step::Loaded(original) => {
            m.original_bytes.with_label_values(PLAIN).inc_by(original.object.bytes.len() as u64);
            "load"
        }
        // No step of its own: a look at what is there.
        Step::Repeated(_) => return,
        Step::Analyzed(_) => "analyze",
        Step::Rendered(_) => "render",
        Step::Saved(manifest) => {
            for variant in &manifest.variants {
                let format = [Format::from_content_type(&variant.content_type).map_or(OTHER, Format::name)];
                m.variants.with_label_values(&format).inc();
                m.variant_bytes.with_label_values(&format).inc_by(variant.bytes);
            }
            "save"
        }
    };
    m.step_seconds.with_label_values(&[name]).observe(took.as_secs_f64());
}

/// A job is to be tried again.
pub fn retry(why: &'static str) {
    METRICS.retries.with_label_values(&[why]).inc();
}

/// A decoder ended.
pub fn decoder_ended(why: &'static str) {
    METRICS.decoder_endings.with_label_values(&[why]).inc();
}

/// Bytes came that do not count.
pub fn stale(why: Stale) {
    METRICS.stale.with_label_values(&[why.as_str()]).inc();
}

/// An attempt at a callback was made.
pub fn callback(next: Next, took: Duration) {
    let outcome = match next {
        Next::Delivered => "delivered",
        Next::RetryIn(_) => "retry",
        Next::Dead => "dead",
    };
    METRICS.callback_attempts.with_label_values(&[outcome]).inc();
    METRICS.callback_seconds.with_label_values(PLAIN).observe(took.as_secs_f64());
}

/// The store was called.
pub fn store_call(operation: &'static str, began: Instant, error: Option<&StoreError>) {
    let outcome = match error {
        None => "ok",
        Some(StoreError::NotFound(_)) => "not_found",
        Some(
            StoreError::Changed(_)
            | StoreError::Precondition(_)
            | StoreError::Unsupported(_)
            | StoreError::TooLarge { .. }
            | StoreError::Invalid(_),
        ) => "refused",
        Some(StoreError::Damaged { .. }) => "damaged",
        Some(StoreError::Denied(_) | StoreError::NoCredentials(_)) => "denied",
        Some(StoreError::Full(_)) => "full",
        Some(StoreError::Unavailable(_)) => "unavailable",
    };
    METRICS.store_calls.with_label_values(&[operation, outcome]).inc();
    observe(&METRICS.store_seconds, &[operation], began);
}

/// A request of the API was answered. Its route is a template.
pub fn request(route: &str, method: &http::Method, status: http::StatusCode, began: Instant) {
    let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER);
    METRICS.http_requests.with_label_values(&[route, method, status.as_str()]).inc();
    observe(&METRICS.http_seconds, &[route, method], began);
}

/// A problem is answered with. Codes are constants.
pub fn problem(code: &'static str) {
    METRICS.problems.with_label_values(&[code]).inc();
}

fn observe(histogram: &HistogramVec, labels: &[&str], began: Instant) {
    histogram.with_label_values(labels).observe(began.elapsed().as_secs_f64());
}

/// Makes one of each that is there only once it happens.
#[cfg(test)]
pub fn touch() {
    let now = Instant::now();
    request("/", &http::Method::GET, http::StatusCode::OK, now);
    store_call("head", now, None);
    problem("not_found");
    let m = &*METRICS;
    for gauge in [
        &m.ledger_up,
        &m.ledger_damaged,
        &m.ledger_checked,
        &m.uploads_stuck,
        &m.oldest_job,
        &m.workers,
        &m.workers_alive,
        &m.memory_budget,
        &m.memory_used,
        &m.memory_waiting,
        &m.disk_free,
        &m.disk_inodes,
        &m.disk_reserve,
    ] {
        gauge.with_label_values(PLAIN).set(1.0);
    }
    m.jobs.with_label_values(&["dead"]).set(0.0);
    m.deliveries.with_label_values(&["dead"]).set(0.0);
}
