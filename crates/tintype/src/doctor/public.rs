//! What anyone can do without a signature.

use http::Method;

use super::Exam;
use super::finding::{Finding, Trouble, quoted};
use super::objects::{PNG, PNG_TYPE};
use super::policy::{self, openings};
use super::settings::{Document, Setting, Settings};
use super::xml::Named;
use crate::key::Key;
use crate::presign::header::Call;

/// Name of the row that says whether anyone may read variants.
pub const VARIANTS: &str = "variants";
/// The four switches of a public access block.
pub const SWITCHES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// Tries each as anybody.
pub async fn check(exam: &Exam, settings: &Settings) -> Result<Vec<Finding>, Trouble> {
    Ok(vec![
        originals(exam, settings).await?,
        writing(exam, settings).await?,
        listing(exam, settings).await?,
        variants(exam).await?,
        block(exam, settings),
    ])
}

async fn originals(exam: &Exam, settings: &Settings) -> Result<Finding, Trouble> {
    const NAME: &str = "originals private";
    let original = exam.objects.original("")?;
    if !exam.objects.has(&original) {
        return Ok(Finding::skipped(NAME, "there is no upload to look at"));
    }
    let answer = exam.bucket.anonymous(&Call::new(Method::GET).key(&original)).await?;
    let prefix = exam.layout.prefix();
    if !answer.taken() {
        return Ok(Finding::ok(NAME, format!("nobody reads {prefix} without a signature ({})", answer.said())));
    }
    let finding = Finding::problem(NAME, format!("anyone may read {prefix}, with everything its photos tell"));
    Ok(close(exam, settings, finding, "s3:GetObject", &format!("/{prefix}x")))
}

async fn writing(exam: &Exam, settings: &Settings) -> Result<Finding, Trouble> {
    const NAME: &str = "writing closed";
    let mut open = Vec::new();
    for (key, folder) in [
        (exam.objects.original("-anyone")?, exam.layout.prefix()),
        (exam.objects.variant("-anyone")?, exam.layout.folder()),
    ] {
        if put(exam, &key).await? {
            open.push(folder);
        }
    }
    if open.is_empty() {
        return Ok(Finding::ok(NAME, "nobody writes without a signature"));
    }
    let finding = Finding::problem(NAME, format!("anyone may write to {}", open.join(" and ")));
    Ok(close(exam, settings, finding, "s3:PutObject", &format!("/{}x", open[0])))
}

async fn put(exam: &Exam, key: &Key) -> Result<bool, Trouble> {
    let call = Call::new(Method::PUT).key(key).header("content-type", PNG_TYPE).body(PNG);
    let taken = exam.bucket.anonymous(&call).await?.taken();
    if taken {
        exam.objects.wrote(key);
    }
    Ok(taken)
}

async fn listing(exam: &Exam, settings: &Settings) -> Result<Finding, Trouble> {
    const NAME: &str = "listing closed";
    let call = Call::new(Method::GET).query("list-type", "2").query("max-keys", "1");
    let answer = exam.bucket.anonymous(&call).await?;
    if !answer.taken() {
        return Ok(Finding::ok(NAME, format!("nobody lists the bucket without a signature ({})", answer.said())));
    }
    let finding = Finding::problem(NAME, "anyone may list the bucket, and so find every key");
    Ok(close(exam, settings, finding, "s3:ListBucket", ""))
}

async fn variants(exam: &Exam) -> Result<Finding, Trouble> {
    let open = exam.objects.variant("-open")?;
    if !exam.objects.has(&open) {
        return Ok(Finding::skipped(VARIANTS, "nothing could be written there to look at"));
    }
    let answer = exam.bucket.anonymous(&Call::new(Method::GET).key(&open)).await?;
    let folder = exam.layout.folder();
    Ok(Finding::ok(
        VARIANTS,
        match answer.taken() {
            true => format!("{folder} is public: anyone may read what is in it"),
            false => format!("{folder} is private: serve it by a CDN, or by signed URLs"),
        },
    ))
}

/// How to close what anyone may do to the bucket, or to what lies below it.
fn close(exam: &Exam, settings: &Settings, finding: Finding, action: &str, below: &str) -> Finding {
    let policy = match &settings.policy {
        Document::Found(text) => text.as_str(),
        _ => "",
    };
    let bucket = exam.bucket_name();
    // The block would close what is meant to be open too.
    if !policy::opens_reading(policy, bucket, exam.layout.folder()) {
        return finding.mended("block public access", exam.mend());
    }
    let what = format!("{bucket}{below}");
    let Some(opening) = openings(policy).into_iter().find(|one| one.allows(action, &what)) else {
        return finding.mended("ignore public ACLs", exam.mend());
    };
    let how = "variants are public by this policy, so not all public access can be blocked: take the statement \
               that opens this out of it";
    let command = format!(
        "{} --query Policy --output text | jq 'del(.Statement[] | select(.Sid == {}))' > policy.json && {} \
         --policy file://policy.json",
        exam.aws("get-bucket-policy"),
        quoted(&opening.sid),
        exam.aws("put-bucket-policy")
    );
    finding.fix_by(how, command)
}

/// Whether nothing can open the bucket by mistake.
fn block(exam: &Exam, settings: &Settings) -> Finding {
    const NAME: &str = "public access block";
    let text = match settings.public_access_block.text(Setting::PublicAccessBlock, NAME) {
        Ok(text) => text,
        Err(finding) => return finding,
    };
    let wanted = switches(&settings.policy, exam);
    let off: Vec<_> = wanted.iter().filter(|switch| !is_on(text, switch)).copied().collect();
    let public = match &settings.policy_status {
        Document::Found(status) if super::xml::text_of(status, "IsPublic").as_deref() == Some("true") => {
            "; S3 calls its policy public"
        }
        _ => "",
    };
    if !off.is_empty() {
        let seen = format!("off: {}{public}", off.join(", "));
        return Finding::warning(NAME, seen).mended("turn it on", exam.mend());
    }
    let seen = if wanted.len() == SWITCHES.len() {
        "all of it is on"
    } else {
        "on for ACLs; off for the policy, which opens variants"
    };
    Finding::ok(NAME, format!("{seen}{public}"))
}

/// The switches that had better be on: all, unless the policy is there to open variants.
pub fn switches(policy: &Document, exam: &Exam) -> &'static [&'static str] {
    match policy {
        Document::Found(text) if policy::opens_reading(text, exam.bucket_name(), exam.layout.folder()) => {
            &SWITCHES[..2]
        }
        _ => &SWITCHES,
    }
}

/// Whether a switch is on in a document.
pub fn is_on(document: &str, switch: &str) -> bool {
    let parsed = roxmltree::Document::parse(document);
    parsed.is_ok_and(|parsed| parsed.root_element().value(switch).is_some_and(|v| v.eq_ignore_ascii_case("true")))
}
