//! What expires: originals and what is left of broken uploads, and nothing else.

use std::time::Duration;

use roxmltree::Node;

use super::Exam;
use super::finding::{Finding, quoted};
use super::settings::{Document, Setting};
use super::xml::Named;

/// Name of the check that originals expire.
pub const ORIGINALS: &str = "originals expire";
/// Name of the check that incomplete uploads do not stay for ever.
pub const INCOMPLETE: &str = "incomplete uploads";
/// Name of the check that variants do not expire.
pub const VARIANTS: &str = "variants stay";

/// One rule that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// How the keys begin that it is for.
    pub prefix: String,
    /// Whether it is for some of them alone, by tag or size.
    pub partial: bool,
    /// When they expire, in words.
    pub expires: Option<String>,
    /// Whether incomplete multipart uploads are aborted.
    pub aborts: bool,
}

impl Rule {
    /// Whether it is for everything in a folder.
    pub fn covers(&self, folder: &str) -> bool {
        folder.starts_with(&self.prefix) && !self.partial
    }

    /// Whether it is for something in a folder.
    pub fn touches(&self, folder: &str) -> bool {
        folder.starts_with(&self.prefix) || self.prefix.starts_with(folder)
    }
}

/// The rules of a document that are in force.
pub fn rules(document: &str) -> Vec<Rule> {
    let Ok(parsed) = roxmltree::Document::parse(document) else {
        return Vec::new();
    };
    let rules = parsed.root_element().all("Rule");
    rules.into_iter().filter(|rule| rule.value("Status").as_deref() == Some("Enabled")).map(rule).collect()
}

/// All rules of a document, in force or not.
fn count(document: &str) -> usize {
    roxmltree::Document::parse(document).map_or(0, |parsed| parsed.root_element().all("Rule").len())
}

fn rule(node: Node<'_, '_>) -> Rule {
    let filter = node.child("Filter");
    let and = filter.and_then(|filter| filter.child("And"));
    let prefix = and.or(filter).unwrap_or(node).value("Prefix").or_else(|| node.value("Prefix"));
    let narrows = |part: Node<'_, '_>| part.all("Tag").len() + sizes(part) > 0;
    let expiration = node.child("Expiration");
    let days = expiration
        .and_then(|e| e.value("Days"))
        .map(|days| format!("after {days} day{}", if days == "1" { "" } else { "s" }));
    let date = expiration.and_then(|e| e.value("Date")).map(|date| format!("on {date}"));
    Rule {
        id: node.value("ID").unwrap_or_default(),
        prefix: prefix.unwrap_or_default(),
        partial: filter.is_some_and(narrows) || and.is_some_and(narrows),
        expires: days.or(date),
        aborts: node.child("AbortIncompleteMultipartUpload").is_some(),
    }
}

/// Bounds of size that leave something out; stores write a lower bound of 0 where there is none.
fn sizes(part: Node<'_, '_>) -> usize {
    let bounds = ["ObjectSizeGreaterThan", "ObjectSizeLessThan"].into_iter().filter_map(|name| part.value(name));
    bounds.filter(|bound| bound != "0").count()
}

/// The three rows.
pub fn check(exam: &Exam, document: &Document) -> Vec<Finding> {
    let text = match document.text(Setting::Lifecycle, ORIGINALS) {
        Ok(text) => text,
        Err(finding) => {
            return [ORIGINALS, INCOMPLETE, VARIANTS].map(|check| Finding { check, ..finding.clone() }).to_vec();
        }
    };
    let rules = rules(text);
    vec![originals(exam, &rules), incomplete(exam, &rules), variants(exam, &rules, count(text))]
}

fn originals(exam: &Exam, rules: &[Rule]) -> Finding {
    let prefix = exam.layout.prefix();
    let found = rules.iter().find(|rule| rule.expires.is_some() && rule.covers(prefix));
    match (found, exam.keep_originals) {
        (Some(rule), _) => Finding::ok(ORIGINALS, format!("{prefix} {}", rule.expires.as_deref().unwrap_or_default())),
        (None, None) => Finding::ok(ORIGINALS, "never, as upload.keep_originals says"),
        (None, Some(kept)) => {
            let seen = format!("no rule has {prefix} expire; upload.keep_originals says after {}", in_days(days(kept)));
            Finding::warning(ORIGINALS, seen).mended("add a rule", exam.mend())
        }
    }
}

fn incomplete(exam: &Exam, rules: &[Rule]) -> Finding {
    let prefix = exam.layout.prefix();
    if rules.iter().any(|rule| rule.aborts && rule.covers(prefix)) {
        return Finding::ok(INCOMPLETE, format!("those in {prefix} are aborted"));
    }
    let seen = format!("parts of broken multipart uploads to {prefix} stay, and cost, for ever");
    Finding::warning(INCOMPLETE, seen).mended("add a rule", exam.mend())
}

fn variants(exam: &Exam, rules: &[Rule], all: usize) -> Finding {
    let folder = exam.layout.folder();
    let Some(rule) = rules.iter().find(|rule| rule.expires.is_some() && rule.touches(folder)) else {
        return Finding::ok(VARIANTS, format!("no rule has {folder} expire"));
    };
    let some = if rule.covers(folder) { "all of" } else { "some of" };
    let when = rule.expires.as_deref().unwrap_or_default();
    let seen = format!("the rule {:?} has {some} {folder} expire {when}", rule.id);
    // S3 takes no lifecycle without a rule.
    let command = match all {
        1 => exam.aws("delete-bucket-lifecycle"),
        _ => format!(
            "{} | jq '{{Rules: [.Rules[] | select(.ID != {})]}}' > lifecycle.json && {} --lifecycle-configuration \
             file://lifecycle.json",
            exam.aws("get-bucket-lifecycle-configuration"),
            quoted(&rule.id),
            exam.aws("put-bucket-lifecycle-configuration")
        ),
    };
    Finding::problem(VARIANTS, seen).fix_by("narrow that rule to its own folder, or take it out", command)
}

/// `1 day`, `2 days`.
pub fn in_days(days: u64) -> String {
    format!("{days} day{}", if days == 1 { "" } else { "s" })
}

/// Whole days, of which lifecycle rules are made.
pub fn days(kept: Duration) -> u64 {
    kept.as_secs().div_ceil(24 * 3600).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(body: &str) -> Rule {
        let document = format!(
            "<LifecycleConfiguration xmlns=\"urn:s3\"><Rule><Status>Enabled</Status>{body}</Rule></LifecycleConfiguration>"
        );
        rules(&document).remove(0)
    }

    #[test]
    fn the_prefix_is_found_in_each_of_its_places() {
        for body in [
            "<Filter><Prefix>temp/</Prefix></Filter>",
            "<Prefix>temp/</Prefix>",
            "<Filter><And><Prefix>temp/</Prefix><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></And></Filter>",
        ] {
            let rule = one(body);
            assert!(rule.covers("temp/") && !rule.touches("image/"), "{body}");
        }
        assert!(one("<Filter/>").covers("temp/"));
        let tagged = one("<Filter><And><Prefix>temp/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>");
        assert!(!tagged.covers("temp/") && tagged.touches("temp/"));
    }

    #[test]
    fn what_expires_when() {
        assert_eq!(one("<Expiration><Days>3</Days></Expiration>").expires.as_deref(), Some("after 3 days"));
        let marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
        assert_eq!(one(marker).expires, None);
        assert!(rules("<L><Rule><Status>Disabled</Status></Rule></L>").is_empty());
        assert_eq!([days(Duration::from_secs(60)), days(Duration::from_secs(86_401))], [1, 2]);
    }
}
