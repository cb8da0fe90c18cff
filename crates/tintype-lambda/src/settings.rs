//! What the function was given: `tintype.toml` beside it, and variables.

use tintype::config::{Config, Mistakes, Sources};
use tracing_subscriber::EnvFilter;

/// What the program itself takes, beside pixels.
const OWN_MEMORY: u64 = 96 << 20;

/// The configuration, and the bytes of memory there are for pixels.
pub fn read() -> Result<(Config, u64), Mistakes> {
    let mut sources = Sources::of_process(None, Vec::new());
    // Nobody but its own VPC is near a function; who means to call inside it says so.
    sources.environment.entry("TINTYPE_CALLBACK__ALLOW_PRIVATE".to_owned()).or_insert_with(|| "false".to_owned());
    let size = sources.environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse::<u64>().ok());
    let config = Config::load(&sources)?;
    let memory = size.map_or(config.memory, |mib| (mib << 20).saturating_sub(OWN_MEMORY).max(1 << 20));
    Ok((config, memory))
}

/// JSON lines on stderr, as CloudWatch Logs Insights reads them; it notes the time itself.
pub fn start_log(level: &str) {
    let quiet = "hyper=warn,reqwest=warn,object_store=warn";
    let filter = if level.contains('=') { level.to_owned() } else { format!("{level},{quiet}") };
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .without_time()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
}
