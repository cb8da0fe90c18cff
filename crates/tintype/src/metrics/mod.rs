//! What can be counted, for Prometheus. Every name is here, with its labels and what it means; docs/monitoring.md holds the
//! same table. A label has few values: never an id, a key, an address or a host.
//!
//! `note` counts as things happen, one line at each place; `scrape` asks the ledger, the disk and `process` when somebody
//! looks.

mod note;
mod process;
mod scrape;

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

pub use note::*;
pub use scrape::scrape;

/// Seconds that a step, a call or a request may take.
const SHORT: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds that an upload may take, with what waits in a queue.
const LONG: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];

/// All there are, of this process.
struct Metrics {
    registry: Registry,
    build_info: GaugeVec,
    uploads_created: IntCounterVec,
    uploads_ended: IntCounterVec,
    event_records: IntCounterVec,
    failures: IntCounterVec,
    upload_seconds: HistogramVec,
    step_seconds: HistogramVec,
    retries: IntCounterVec,
    original_bytes: IntCounterVec,
    variants: IntCounterVec,
    variant_bytes: IntCounterVec,
    decoder_endings: IntCounterVec,
    callback_attempts: IntCounterVec,
    callback_seconds: HistogramVec,
    stale: IntCounterVec,
    store_calls: IntCounterVec,
    store_seconds: HistogramVec,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    problems: IntCounterVec,
    ledger_up: GaugeVec,
    ledger_damaged: GaugeVec,
    ledger_checked: GaugeVec,
    uploads_stuck: GaugeVec,
    jobs: GaugeVec,
    oldest_job: GaugeVec,
    deliveries: GaugeVec,
    workers: GaugeVec,
    workers_alive: GaugeVec,
    memory_budget: GaugeVec,
    memory_used: GaugeVec,
    memory_waiting: GaugeVec,
    disk_free: GaugeVec,
    disk_inodes: GaugeVec,
    disk_reserve: GaugeVec,
    process: process::Gauges,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

impl Metrics {
    fn new() -> Self {
        let made = Maker(Registry::new());
        Self {
            build_info: made.gauge("tintype_build_info", "Always 1; which program this is.", &["version", "arch"]),
            uploads_created: made.counter("tintype_uploads_created_total", "Uploads asked for.", &["preset"]),
            uploads_ended: made.counter(
                "tintype_uploads_ended_total",
                "Uploads that came to an end: completed, failed or expired; again where they were developed again.",
                &["status"],
            ),
            event_records: made.counter(
                "tintype_event_records_total",
                "Records of pushed events: accepted, ignored (no upload's, or a deleted one's), unusable (no possible key, or no known shape).",
                &["outcome"],
            ),
            failures: made.counter("tintype_failures_total", "Uploads that failed, by the code of their error.", &["code"]),
            upload_seconds: made.histogram(
                "tintype_upload_seconds",
                "From the storage event to the outcome, waiting included.",
                &[],
                LONG,
            ),
            step_seconds: made.histogram("tintype_job_step_seconds", "One step of one original.", &["step"], SHORT),
            retries: made.counter(
                "tintype_job_retries_total",
                "Attempts at a job that came to nothing and are made again: store, decoder, full (no room).",
                &["why"],
            ),
            original_bytes: made.counter("tintype_original_bytes_total", "Bytes of originals that were read.", &[]),
            variants: made.counter("tintype_variants_total", "Variants that were written.", &["format"]),
            variant_bytes: made.counter("tintype_variant_bytes_total", "Bytes of variants that were written.", &["format"]),
            decoder_endings: made.counter(
                "tintype_decoder_endings_total",
                "Decoders that ended: crashed, slow, exhausted, garbled (by an image), idle (by somebody), worn (replaced in time).",
                &["why"],
            ),
            callback_attempts: made.counter(
                "tintype_callback_attempts_total",
                "Attempts to deliver a callback: delivered, retry (not taken, and tried again later), dead (given up).",
                &["outcome"],
            ),
            callback_seconds: made.histogram("tintype_callback_seconds", "One attempt to deliver a callback.", &[], SHORT),
            stale: made.counter(
                "tintype_stale_bytes_total",
                "Bytes that changed nothing: replaced (an event of others than an upload's first), refused (the embedded store took no second ones), older (an event of an earlier version).",
                &["how"],
            ),
            store_calls: made.counter(
                "tintype_store_calls_total",
                "Calls of the store by Tintype itself. Its faults are denied, full, damaged and unavailable.",
                &["operation", "outcome"],
            ),
            store_seconds: made.histogram(
                "tintype_store_seconds",
                "One call of the store, or one listing with what was done meanwhile.",
                &["operation"],
                SHORT,
            ),
            http_requests: made.counter(
                "tintype_http_requests_total",
                "Requests that the API answered, by the template of their path.",
                &["route", "method", "status"],
            ),
            http_seconds: made.histogram(
                "tintype_http_request_seconds",
                "From a request's head to the answer's; with ?wait= that is a wait.",
                &["route", "method"],
                SHORT,
            ),
            problems: made.counter("tintype_problems_total", "Problems that the API answered with, by code.", &["code"]),
            ledger_up: made.gauge("tintype_ledger_up", "1 while the ledger answers; else what it would tell is left out.", &[]),
            ledger_damaged: made.gauge("tintype_ledger_damaged", "1 once the ledger is known to be damaged, until it is restored and Tintype started again.", &[]),
            ledger_checked: made.gauge(
                "tintype_ledger_checked_timestamp_seconds",
                "When the ledger was last read from end to end and found whole, since 1970; 0 for not yet.",
                &[],
            ),
            uploads_stuck: made.gauge(
                "tintype_uploads_stuck",
                "Uploads that are processing without a job, or with none that is younger than an hour; 1000 at most.",
                &[],
            ),
            jobs: made.gauge("tintype_jobs", "Jobs in the ledger: waiting, leased, dead. The same from every process.", &["state"]),
            oldest_job: made.gauge(
                "tintype_queue_oldest_seconds",
                "How long ago the oldest job that waits was added; 0 if none waits. The same from every process.",
                &[],
            ),
            deliveries: made.gauge(
                "tintype_deliveries",
                "Callbacks in the ledger that are pending or dead. The same from every process.",
                &["status"],
            ),
            workers: made.gauge("tintype_workers", "Originals that this process develops at once.", &[]),
            workers_alive: made.gauge("tintype_workers_alive", "Of these, those that are alive.", &[]),
            memory_budget: made.gauge("tintype_memory_budget_bytes", "limits.memory: what pixels may take.", &[]),
            memory_used: made.gauge("tintype_memory_used_bytes", "What originals in work have taken of it.", &[]),
            memory_waiting: made.gauge("tintype_memory_waiting", "Originals that wait for a share of it.", &[]),
            disk_free: made.gauge(
                "tintype_disk_free_bytes",
                "Free on the disk of ledger and embedded store; +Inf where neither is on a disk here.",
                &[],
            ),
            disk_inodes: made.gauge(
                "tintype_disk_free_inodes",
                "Inodes left there; +Inf where the file system makes them as they are needed.",
                &[],
            ),
            disk_reserve: made.gauge(
                "tintype_disk_reserve_bytes",
                "limits.min_free_disk: with less free, uploads are refused.",
                &[],
            ),
            process: process::Gauges::new(&made),
            registry: made.0,
        }
    }
}

/// Makes what is counted, and puts it into a registry.
struct Maker(Registry);

impl Maker {
    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn seconds(&self, name: &str, help: &str) -> CounterVec {
        self.register(CounterVec::new(Opts::new(name, help), &[]))
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.register(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
    }

    fn register<T: Collector + Clone + 'static>(&self, made: prometheus::Result<T>) -> T {
        let made = made.expect("names and labels above are good");
        self.0.register(Box::new(made.clone())).expect("and no name is there twice");
        made
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::MetricType;

    use super::*;

    /// The rows that docs/monitoring.md must hold, of everything that is registered.
    fn rows() -> Vec<String> {
        let metrics = &*METRICS;
        note::begin(["default"].into_iter());
        note::touch();
        metrics.process.look();
        let mut rows = Vec::new();
        for family in metrics.registry.gather() {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => "counter",
                MetricType::HISTOGRAM => "histogram",
                _ => "gauge",
            };
            let first = family.get_metric().first();
            let labels = first.map(|one| one.get_label().iter().map(|label| format!("`{}`", label.name())).collect());
            let labels: Vec<String> = labels.unwrap_or_default();
            rows.push(format!("| `{}` | {kind} | {} | {} |", family.name(), labels.join(" "), family.help()));
        }
        rows
    }

    #[test]
    fn the_table_in_the_documents_is_this_one() {
        // Not compiled in: the crate's package has no docs.
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/monitoring.md"));
        let document = document.unwrap_or_default();
        let told: Vec<&str> = document
            .lines()
            .filter(|line| line.starts_with("| `tintype_") || line.starts_with("| `process_"))
            .collect();
        let rows = rows();
        assert_eq!(told, rows, "docs/monitoring.md must hold:\n{}", rows.join("\n"));
    }
}
