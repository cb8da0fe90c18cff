//! `tintype doctor`: what holds of a real bucket, found out by trying it, and how to mend what does not.
//!
//! [`examine`] is the list of checks; each is a file. Settings that the store keeps are read by `settings`; what is
//! written to try things is named and removed by `objects`; `fix` changes settings, and never loses one that is there.

mod access;
mod bucket;
mod conditions;
mod cors;
mod decoders;
mod events;
mod finding;
pub mod fix;
mod form;
mod lifecycle;
mod notification;
mod objects;
mod policy;
mod protection;
mod public;
mod settings;
mod target;
mod upload;
mod xml;

use std::time::Duration;

pub use decoders::check as decoders;
pub use finding::{Finding, Fix, State, Trouble};
pub use target::Options;

use bucket::Bucket;
use objects::Objects;
use settings::Settings;

use crate::config::SandboxMode;
use crate::key::Layout;
use crate::upload::Method;

/// One bucket to be examined, and everything that is known beforehand.
pub struct Exam {
    bucket: Bucket,
    layout: Layout,
    /// How clients are to upload.
    method: Method,
    /// How long originals are to be kept; none for ever.
    keep_originals: Option<Duration>,
    origin: Option<String>,
    wait: Duration,
    /// Address of a store other than AWS.
    endpoint: Option<String>,
    /// The command that examines this bucket again.
    again: String,
    objects: Objects,
    sandbox: SandboxMode,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// Makes every check. `tell` of the exam hears of each as it begins.
pub async fn examine(exam: &Exam) -> Vec<Finding> {
    let mut rows = Rows::default();
    exam.step("decoders");
    rows.0.extend(decoders(exam.sandbox).await);
    exam.step("credentials");
    let access = access::check(exam).await;
    let reached = access.as_ref().is_ok_and(|access| access.reached);
    rows.add(access::NAME, access.map(|access| vec![access.finding]));
    if !reached {
        return rows.0;
    }
    exam.step("settings");
    let settings = match Settings::read(&exam.bucket).await {
        Ok(settings) => settings,
        Err(trouble) => return rows.and(Finding::problem("settings", trouble.to_string())),
    };
    exam.step("uploads");
    let upload = upload::check(exam).await;
    let answer = upload.as_ref().ok().and_then(|(_, answer)| answer.clone());
    rows.add(upload::name(exam.method), upload.map(|(findings, _)| findings));
    exam.step("conditional writes");
    rows.add(conditions::NAME, conditions::check(exam).await);
    exam.step("CORS");
    rows.add(cors::NAME, cors::check(exam, answer.as_ref()).await);
    exam.step("events");
    rows.add(notification::NAME, Ok(vec![notification::told(exam, &settings.notification)]));
    rows.add(events::NAME, events::check(exam, &settings.notification, answer.is_some()).await);
    rows.add(notification::APART, Ok(vec![notification::apart(exam, &settings.notification)]));
    exam.step("public access");
    rows.add(public::VARIANTS, public::check(exam, &settings).await);
    exam.step("rules");
    rows.add(lifecycle::ORIGINALS, Ok(lifecycle::check(exam, &settings.lifecycle)));
    rows.add(protection::OWNERSHIP, Ok(protection::check(exam, &settings)));
    rows.0
}

/// Removes everything that an examination wrote, and what was made of it. Gives what is left.
pub async fn clean_up(exam: &Exam) -> Vec<String> {
    exam.step("removing what was written");
    objects::remove(exam).await
}

/// The rows of the table, in order.
#[derive(Default)]
struct Rows(Vec<Finding>);

impl Rows {
    /// What a check found; a check that could not be made is a problem of its own.
    fn add(&mut self, check: &'static str, found: Result<Vec<Finding>, Trouble>) {
        match found {
            Ok(findings) => self.0.extend(findings),
            Err(trouble) => self.0.push(Finding::problem(check, trouble.to_string())),
        }
    }

    fn and(mut self, finding: Finding) -> Vec<Finding> {
        self.0.push(finding);
        self.0
    }
}

impl Exam {
    /// The bucket's name.
    pub fn bucket_name(&self) -> &str {
        &self.bucket.signer.bucket
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        self.bucket.signer.bucket_url.as_str().trim_end_matches('/')
    }

    /// Where originals arrive, and where variants go.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether anything may have been written.
    pub fn wrote(&self) -> bool {
        self.objects.used()
    }

    /// Keys of the originals that the store took: the processor hears of each.
    pub fn originals(&self) -> Vec<String> {
        self.objects.originals().iter().map(ToString::to_string).collect()
    }

    /// Whether calls go by HTTPS.
    fn reached_by_tls(&self) -> bool {
        self.bucket.signer.bucket_url.scheme() == "https"
    }

    fn step(&self, what: &str) {
        (self.tell)(what);
    }

    /// A command of the AWS command line on this bucket.
    fn aws(&self, command: &str) -> String {
        let endpoint = self.endpoint.as_ref().map_or(String::new(), |at| format!(" --endpoint-url {at}"));
        format!("aws s3api {command} --bucket {}{endpoint}", self.bucket_name())
    }

    /// The command that makes the bucket.
    fn make_bucket(&self) -> String {
        let endpoint = self.endpoint.as_ref().map_or(String::new(), |at| format!(" --endpoint-url {at}"));
        format!("aws s3 mb s3://{} --region {}{endpoint}", self.bucket_name(), self.bucket.signer.region)
    }

    /// This command with `--fix`.
    fn mend(&self) -> String {
        format!("{} --fix", self.again)
    }
}
