//! One invocation: every event of the envelope is settled, and each failure told to whom it concerns.

use std::time::{Duration, Instant, SystemTime};

use futures::{StreamExt, stream};
use lambda_runtime::{Context, Error, LambdaEvent};
use serde_json::{Value, json};
use tintype::event::sqs::{self, Message};
use tintype::event::{self, Read, StorageEvent, Unusable};
use tintype::stateless::{Settled, Stateless, Time, Unsettled};

use crate::measure;

/// Originals in work at once: while one is read or written, another has the processor.
const CONCURRENCY: usize = 2;
/// Time that is kept for the answer to Lambda.
const FOR_ANSWER: Duration = Duration::from_millis(300);
/// Time there is where Lambda does not say, as some emulators do not.
const UNTOLD: Duration = Duration::from_secs(30);

/// Does the work of one call.
///
/// # Errors
/// When something is to be tried again and there is no finer way to say so: Lambda then sends the whole event again,
/// and what was done of it is not done twice.
pub async fn run(processor: &Stateless, event: &LambdaEvent<Value>) -> Result<Value, Error> {
    let time = time(&event.context);
    let answer = match sqs::batch(&event.payload) {
        Some(messages) => Ok(batch(processor, messages, time).await),
        None => whole(processor, &event.payload, time).await,
    };
    measure::call(&time);
    answer
}

/// Messages of SQS fail one by one: those that are not named in the answer are done, and deleted.
async fn batch(processor: &Stateless, messages: Vec<Message>, time: Time) -> Value {
    let settle = |message: Message| async move {
        let done = match message.events {
            Ok(events) => all(processor, events, time).await,
            Err(error) => Err(error.to_string()),
        };
        done.map_err(|why| {
            tracing::error!(id = message.id, why, "a message is given back to its queue");
            json!({"itemIdentifier": message.id})
        })
    };
    let done: Vec<_> = stream::iter(messages.into_iter().map(settle)).buffered(CONCURRENCY).collect().await;
    json!({"batchItemFailures": done.into_iter().filter_map(Result::err).collect::<Vec<_>>()})
}

/// Any other event is done, or fails, as a whole.
async fn whole(processor: &Stateless, payload: &Value, time: Time) -> Result<Value, Error> {
    let done = match event::parse(payload.to_string().as_bytes()) {
        Ok(events) => all(processor, events, time).await,
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(results) => Ok(json!({"results": results})),
        Err(why) => {
            tracing::error!(why, "the event is to be tried again");
            Err(why.into())
        }
    }
}

/// Settles events, all of them even if one cannot be; gives what came of each, or why some are to be tried again. What can
/// be no original is passed over.
async fn all(processor: &Stateless, records: Vec<Read>, time: Time) -> Result<Vec<Value>, String> {
    let (events, unusable) = event::split(records);
    let passed_over = unusable.into_iter().map(pass_over).collect::<Vec<_>>();
    let settle = |event: StorageEvent| async move {
        let began = Instant::now();
        let settled = processor.settle(&event, time).await;
        measure::count(&settled, began.elapsed());
        tell(&event, settled)
    };
    let done: Vec<_> = stream::iter(events.into_iter().map(settle)).buffered(CONCURRENCY).collect().await;
    let (done, failed): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    let failed: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
    if !failed.is_empty() {
        return Err(failed.join("; "));
    }
    Ok(done.into_iter().flatten().chain(passed_over).collect())
}

fn pass_over(Unusable { key, reason }: Unusable) -> Value {
    tracing::warn!(key, why = reason, "passed over a record of an event");
    json!({"key": key, "status": "ignored", "reason": reason})
}

fn tell(event: &StorageEvent, settled: Result<Settled, Unsettled>) -> Result<Value, String> {
    let key = event.key.as_str();
    match settled {
        Ok(Settled::Completed(manifest)) => {
            tracing::info!(key, variants = manifest.variants.len(), "completed");
            Ok(json!({"key": key, "status": "completed", "processed_key": manifest.processed_key()}))
        }
        Ok(Settled::Repeated(manifest)) => {
            tracing::info!(key, "completed before");
            Ok(json!({"key": key, "status": "completed", "processed_key": manifest.processed_key(), "repeated": true}))
        }
        Ok(Settled::Rejected(failure)) => {
            tracing::warn!(key, code = %failure.code, why = failure.message, "rejected");
            Ok(json!({"key": key, "status": "failed", "error": failure}))
        }
        Ok(Settled::Ignored(why)) => {
            tracing::info!(key, why, "ignored");
            Ok(json!({"key": key, "status": "ignored", "reason": why}))
        }
        Err(why) => Err(format!("{key}: {why}")),
    }
}

/// From now until Lambda kills the process, less what the answer takes.
fn time(context: &Context) -> Time {
    let start = Instant::now();
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    let left = deadline.duration_since(SystemTime::now()).unwrap_or(UNTOLD);
    Time { start, end: start + left.saturating_sub(FOR_ANSWER.min(left / 4)) }
}
