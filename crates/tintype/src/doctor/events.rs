//! Whether an upload is processed: the manifest is the last thing that is written.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::Exam;
use super::finding::{Finding, Trouble};
use super::notification::{Entry, entries};
use super::settings::Document;
use crate::key::extension_for;
use crate::manifest::Manifest;
use crate::presign::header::Call;

/// The check's name.
pub const NAME: &str = "processing";
/// Time between looks.
const PAUSE: Duration = Duration::from_millis(400);

/// Waits for the manifest of the image that was uploaded.
pub async fn check(exam: &Exam, notification: &Document, uploaded: bool) -> Result<Vec<Finding>, Trouble> {
    if !uploaded {
        return Ok(vec![Finding::skipped(NAME, "no upload was taken")]);
    }
    let original = exam.objects.original("")?;
    let key = exam.layout.manifest_key(&original, &extension_for(&original, None, tintype_image::Format::Png))?;
    let begun = Instant::now();
    loop {
        let answer = exam.bucket.signed(&Call::new(Method::GET).key(&key)).await?;
        let waited = begun.elapsed();
        if answer.taken() {
            return Ok(vec![arrived(exam, &answer.text, waited)]);
        }
        if !matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
            return Err(Trouble(format!("the manifest cannot be read: {}", answer.said_why())));
        }
        if waited >= exam.wait {
            // Who may not list is told so of what is not there as well.
            let hidden = answer.status == StatusCode::FORBIDDEN;
            return Ok(vec![if hidden { unseen() } else { missing(exam, notification) }]);
        }
        exam.step(&format!("waiting for the manifest, {} of {} s", waited.as_secs(), exam.wait.as_secs()));
        tokio::time::sleep(PAUSE.min(exam.wait - waited)).await;
    }
}

fn arrived(exam: &Exam, text: &str, waited: Duration) -> Finding {
    let Ok(manifest) = serde_json::from_str::<Manifest>(text) else {
        let seen = "something else writes where the manifest belongs";
        return Finding::problem(NAME, seen).fix("see which program is told of uploads");
    };
    manifest.variants.iter().for_each(|variant| exam.objects.wrote(&variant.key));
    let (count, seconds) = (manifest.variants.len(), waited.as_secs_f32());
    Finding::ok(NAME, format!("{count} variants and the manifest within {seconds:.1} s ({})", manifest.engine))
}

fn unseen() -> Finding {
    let seen = "these credentials could not see a manifest, if there is one (403)";
    Finding::problem(NAME, seen).fix("mend what credentials, above, says is denied")
}

fn missing(exam: &Exam, notification: &Document) -> Finding {
    let seen = format!("no manifest within {} s of the upload", exam.wait.as_secs());
    let finding = Finding::problem(NAME, seen);
    let text = match notification {
        Document::Found(text) => text.as_str(),
        _ => "",
    };
    let entries = entries(text);
    match entries.iter().find(|entry| entry.covers(exam.layout.prefix())) {
        Some(entry) if is_plain(&entry.arn) => {
            finding.fix_by(format!("{} is told; see what became of it", entry.name()), trace(entry))
        }
        Some(entry) => finding.fix(format!("{} is told; see what became of it", entry.name())),
        None if exam.endpoint.is_none() => finding.fix("have somebody told of uploads: see notification, above"),
        None => finding.fix(
            "have Tintype told of uploads: by the store, if it can, or by who uploads, with a POST to /v1/events \
             (docs/s3.md); without either, `tintype serve` finds them once an hour",
        ),
    }
}

/// Whether a text means nothing to a shell.
fn is_plain(arn: &str) -> bool {
    arn.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_./".contains(&b))
}

/// A command that shows what a target did with its events.
fn trace(entry: &Entry) -> String {
    let name = entry.arn.rsplit(':').next().unwrap_or_default();
    let region = entry.arn.split(':').nth(3).unwrap_or_default();
    match entry.kind {
        "Lambda function" => format!("aws logs tail /aws/lambda/{name} --since 10m --region {region}"),
        "SQS queue" => format!(
            "aws sqs get-queue-attributes --attribute-names All --region {region} --queue-url \
             $(aws sqs get-queue-url --queue-name {name} --region {region} --query QueueUrl --output text)"
        ),
        "SNS topic" => format!("aws sns list-subscriptions-by-topic --topic-arn {} --region {region}", entry.arn),
        _ => "aws events list-rules --query \"Rules[?contains(EventPattern || '', 'aws.s3')]\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_traced_by_its_own_command() {
        let entry = Entry {
            id: String::new(),
            kind: "Lambda function",
            arn: "arn:aws:lambda:eu-west-1:1:function:Thumbs".into(),
            events: vec![],
            prefix: String::new(),
            suffix: String::new(),
        };
        assert_eq!(trace(&entry), "aws logs tail /aws/lambda/Thumbs --since 10m --region eu-west-1");
    }
}
