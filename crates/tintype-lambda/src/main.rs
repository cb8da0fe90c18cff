//! Tintype's processor as an AWS Lambda function, for the runtime `provided.al2023`.
//!
//! `settings` reads what the function was given, `invocation` does the work of one call, `measure` tells CloudWatch.

mod invocation;
mod measure;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tintype::stateless::Stateless;
use tracing::Instrument;

/// One thread is enough: pixels have threads of their own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        eprintln!(
            "tintype: this is the program of a function for AWS Lambda, which starts it: docs/aws.md says how it gets there."
        );
        eprintln!("On a machine of your own run `tintype serve`.");
        return ExitCode::from(2);
    }
    let (config, memory) = match settings::read() {
        Ok(read) => read,
        Err(mistakes) => {
            eprintln!("tintype: {mistakes}");
            return ExitCode::from(2);
        }
    };
    settings::start_log(&config.log_level);
    let metrics = match measure::start() {
        Ok(metrics) => metrics,
        Err(error) => {
            eprintln!("tintype: metrics cannot be set up: {error}");
            return ExitCode::FAILURE;
        }
    };
    let processor = Arc::new(Stateless::new(config, memory));
    let invoke = service_fn(|event: LambdaEvent<Value>| {
        let processor = processor.clone();
        let span = tracing::info_span!("invocation", request = event.context.request_id);
        async move {
            let answer = invocation::run(&processor, &event).await;
            measure::flush(metrics);
            answer
        }
        .instrument(span)
    });
    match lambda_runtime::run(invoke).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tintype: the runtime API failed: {error}");
            ExitCode::FAILURE
        }
    }
}
