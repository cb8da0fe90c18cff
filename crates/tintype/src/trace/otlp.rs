//! Spans to a collector, by OTLP over HTTP. Where it is and how it is called say the variables of OpenTelemetry
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME` and the rest).

use std::collections::HashMap;
use std::env;
use std::sync::OnceLock;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, Filtered};
use tracing_subscriber::registry::LookupSpan;

/// Either of them switches it on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
const TRACEPARENT: &str = "traceparent";

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What tells spans.
pub type Told<S> = Filtered<OpenTelemetryLayer<S, SdkTracer>, FilterFn, S>;

/// What tells spans to a collector, if one is named.
///
/// # Errors
/// When its address is none.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> Result<Option<Told<S>>, String> {
    if !ENDPOINTS.into_iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_http().build().map_err(|error| error.to_string())?;
    let name = env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "tintype".to_owned());
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(name).build())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tintype"));
    let _ = PROVIDER.set(provider);
    Ok(Some(layer.with_filter(FilterFn::new(is_told as fn(&Metadata<'_>) -> bool))))
}

/// Our own spans, and of the log what everybody sees.
fn is_told(what: &Metadata<'_>) -> bool {
    what.target().starts_with("tintype") && (what.is_span() || *what.level() <= Level::INFO)
}

/// Tells what is not told yet: before the end of the process.
pub fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // The collector may be gone, and that is no fault of the work that was done.
        let _ = provider.shutdown();
    }
}

pub(super) fn follow(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        // Fails where nothing is told.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
}

pub(super) fn here() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}
