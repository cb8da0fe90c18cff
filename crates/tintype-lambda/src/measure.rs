//! Metrics for CloudWatch, as lines of the embedded metric format on stdout.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};
use tintype::manifest::Manifest;
use tintype::stateless::{Settled, Time, Unsettled};

/// The namespace of all metrics; their dimension is `FunctionName`.
const NAMESPACE: &str = "Tintype";

/// Collects from now on.
pub fn start() -> Result<&'static Collector, String> {
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "tintype".to_owned());
    let builder = Builder::new().cloudwatch_namespace(NAMESPACE).with_dimension("FunctionName", function);
    let collector = builder.init().map_err(|e| e.to_string())?;
    describe_counter!("Completed", Unit::Count, "Originals whose variants are all there");
    describe_counter!("Repeated", Unit::Count, "Originals that were done before");
    describe_counter!("Rejected", Unit::Count, "Originals that nothing can come of");
    describe_counter!("Retried", Unit::Count, "Originals that are to be tried again");
    describe_counter!("CallbacksFailed", Unit::Count, "Callbacks that were not taken");
    describe_histogram!("Duration", Unit::Milliseconds, "Time for one original, callback included");
    describe_histogram!(
        "TimeUsed",
        Unit::Percent,
        "Time of a call, of what there was until Lambda would have killed it"
    );
    describe_histogram!("OriginalBytes", Unit::Bytes, "Size of an original");
    describe_histogram!("VariantBytes", Unit::Bytes, "Size of all variants of an original");
    Ok(collector)
}

/// Counts what came of one event.
pub fn count(settled: &Result<Settled, Unsettled>, took: Duration) {
    match settled {
        Ok(Settled::Completed(manifest)) => {
            counter!("Completed").increment(1);
            sizes(manifest);
        }
        Ok(Settled::Repeated(_)) => counter!("Repeated").increment(1),
        Ok(Settled::Rejected(_)) => counter!("Rejected").increment(1),
        Ok(Settled::Ignored(_)) => return,
        Err(Unsettled::Work(_)) => counter!("Retried").increment(1),
        Err(Unsettled::Callback(_)) => {
            counter!("Retried").increment(1);
            counter!("CallbacksFailed").increment(1);
        }
    }
    histogram!("Duration").record(took.as_secs_f64() * 1000.0);
}

fn sizes(manifest: &Manifest) {
    histogram!("OriginalBytes").record(manifest.original.bytes as f64);
    histogram!("VariantBytes").record(manifest.variants.iter().map(|variant| variant.bytes).sum::<u64>() as f64);
}

/// Notes how much of its time a call took.
pub fn call(time: &Time) {
    let (used, whole) = (time.start.elapsed().as_secs_f64(), (time.end - time.start).as_secs_f64());
    histogram!("TimeUsed").record(100.0 * used / whole.max(f64::EPSILON));
}

/// Writes what was counted since the last time.
pub fn flush(collector: &Collector) {
    if let Err(error) = collector.flush(std::io::stdout().lock()) {
        tracing::warn!(%error, "metrics could not be written");
    }
}
