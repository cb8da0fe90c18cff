//! Who is told of new objects, and of which.

use roxmltree::Node;

use super::Exam;
use super::finding::{Finding, quoted};
use super::settings::{Document, Setting};
use super::xml::Named;

/// Name of the check that somebody is told of uploads.
pub const NAME: &str = "notification";
/// Name of the check that nobody is told of variants.
pub const APART: &str = "trigger apart";

/// What S3 calls the element, the leaf that holds the ARN, and people the target.
pub const KINDS: [(&str, &str, &str); 4] = [
    ("TopicConfiguration", "Topic", "SNS topic"),
    ("QueueConfiguration", "Queue", "SQS queue"),
    ("CloudFunctionConfiguration", "CloudFunction", "Lambda function"),
    ("LambdaFunctionConfiguration", "LambdaFunctionArn", "Lambda function"),
];
/// The element that turns Amazon EventBridge on.
pub const EVENTBRIDGE: &str = "EventBridgeConfiguration";

/// One entry of a bucket's notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What kind of thing is told; `Amazon EventBridge` is told of everything.
    pub kind: &'static str,
    /// Which one.
    pub arn: String,
    /// What of.
    pub events: Vec<String>,
    /// How the keys begin that it is told of.
    pub prefix: String,
    /// How they end.
    pub suffix: String,
}

impl Entry {
    /// Whether it is told of objects that are created.
    pub fn creation(&self) -> bool {
        self.is_eventbridge() || self.events.iter().any(|event| event.starts_with("s3:ObjectCreated:"))
    }

    /// Whether it is told of every upload in a folder.
    pub fn covers(&self, folder: &str) -> bool {
        self.creation() && folder.starts_with(&self.prefix) && self.suffix.is_empty()
    }

    /// Whether it is told of anything created in a folder.
    pub fn touches(&self, folder: &str) -> bool {
        self.creation() && (folder.starts_with(&self.prefix) || self.prefix.starts_with(folder))
    }

    /// Whether what it is told is chosen elsewhere.
    pub fn is_eventbridge(&self) -> bool {
        self.arn.is_empty()
    }

    /// As people name it.
    pub fn name(&self) -> String {
        if self.is_eventbridge() {
            return self.kind.to_owned();
        }
        format!("{} {}", self.kind, self.arn.rsplit(':').next().unwrap_or_default())
    }

    /// The same, with what it is told of.
    pub fn name_and_part(&self) -> String {
        match (self.prefix.as_str(), self.suffix.as_str()) {
            _ if self.is_eventbridge() => format!("{}, whose rules choose", self.name()),
            ("", "") => format!("{} (everything)", self.name()),
            (prefix, suffix) => format!("{} ({prefix}*{suffix})", self.name()),
        }
    }
}

/// All entries of a document.
pub fn entries(document: &str) -> Vec<Entry> {
    let Ok(parsed) = roxmltree::Document::parse(document) else {
        return Vec::new();
    };
    let root = parsed.root_element();
    let mut found = Vec::new();
    for (element, leaf, kind) in KINDS {
        found.extend(root.all(element).into_iter().map(|node| entry(node, leaf, kind)));
    }
    if root.child(EVENTBRIDGE).is_some() {
        let none = String::new();
        let (arn, prefix, suffix) = (none.clone(), none.clone(), none);
        let id = "EventBridge".to_owned();
        found.push(Entry { id, kind: "Amazon EventBridge", arn, events: Vec::new(), prefix, suffix });
    }
    found
}

fn entry(node: Node<'_, '_>, leaf: &str, kind: &'static str) -> Entry {
    let rules = node.child("Filter").and_then(|filter| filter.child("S3Key"));
    let rules = rules.map(|key| key.all("FilterRule")).unwrap_or_default();
    let rule = |name: &str| {
        let found = rules.iter().find(|rule| rule.value("Name").is_some_and(|n| n.eq_ignore_ascii_case(name)));
        found.and_then(|rule| rule.value("Value")).unwrap_or_default()
    };
    Entry {
        id: node.value("Id").unwrap_or_default(),
        kind,
        arn: node.value(leaf).unwrap_or_default(),
        events: node.values("Event"),
        prefix: rule("prefix"),
        suffix: rule("suffix"),
    }
}

/// Whether somebody is told of every upload.
pub fn told(exam: &Exam, document: &Document) -> Finding {
    let text = match document.text(Setting::Notification, NAME) {
        Ok(text) => text,
        Err(finding) => return finding,
    };
    let prefix = exam.layout.prefix();
    let entries = entries(text);
    let who: Vec<_> = entries.iter().filter(|entry| entry.covers(prefix)).map(Entry::name_and_part).collect();
    if !who.is_empty() {
        return Finding::ok(NAME, who.join(", "));
    }
    let part: Vec<_> = entries.iter().filter(|entry| entry.touches(prefix)).map(Entry::name_and_part).collect();
    let seen = match part.is_empty() {
        true => format!("nobody is told of what arrives in {prefix}"),
        false => format!("not all that arrives in {prefix} is told of; only {}", part.join(", ")),
    };
    let how = match exam.endpoint {
        None => "have the function, its queue or its topic told: NotificationTarget of its stack",
        Some(_) => "have somebody told who tells Tintype (docs/s3.md)",
    };
    Finding::problem(NAME, seen).mended(how, format!("{} --notify ARN", exam.mend()))
}

/// Whether what is told of uploads is told of variants too: each would start the processor again.
pub fn apart(exam: &Exam, document: &Document) -> Finding {
    let text = match document.text(Setting::Notification, APART) {
        Ok(text) => text,
        Err(finding) => return finding,
    };
    let (prefix, folder) = (exam.layout.prefix(), exam.layout.folder());
    let entries = entries(text);
    let both = |entry: &&Entry| entry.touches(prefix) && entry.touches(folder) && !entry.is_eventbridge();
    let Some(entry) = entries.iter().find(both) else {
        return Finding::ok(APART, "what an upload starts, a variant does not");
    };
    let seen = format!("{} is told of {folder} too: each variant starts the processor, for nothing", entry.name());
    let rule = format!("{{\"Key\": {{\"FilterRules\": [{{\"Name\": \"prefix\", \"Value\": \"{prefix}\"}}]}}}}");
    let command = format!(
        "{} | jq '(.. | objects | select(.Id? == {})).Filter = {rule}' > notification.json && {} \
         --notification-configuration file://notification.json",
        exam.aws("get-bucket-notification-configuration"),
        quoted(&entry.id),
        exam.aws("put-bucket-notification-configuration")
    );
    Finding::problem(APART, seen).fix_by(format!("narrow it to {prefix}"), command)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "<NotificationConfiguration xmlns=\"urn:s3\"><QueueConfiguration><Id>a</Id>\
        <Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule>\
        <Name>Prefix</Name><Value>temp/</Value></FilterRule></S3Key></Filter></QueueConfiguration>\
        <CloudFunctionConfiguration><Id>b</Id><CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction>\
        <Event>s3:ObjectRemoved:*</Event></CloudFunctionConfiguration></NotificationConfiguration>";

    #[test]
    fn entries_say_who_is_told_of_what() {
        let found = entries(TWO);
        assert_eq!(found[0].name_and_part(), "SQS queue q (temp/*)");
        assert!(found[0].covers("temp/") && !found[0].touches("image/"));
        assert_eq!(found[1].name_and_part(), "Lambda function f (everything)");
        assert!(!found[1].touches("temp/"), "it is told of removals alone");
    }

    #[test]
    fn eventbridge_is_told_of_everything() {
        let found = entries("<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>");
        assert!(found[0].covers("temp/") && found[0].is_eventbridge());
        assert!(entries("").is_empty());
    }

    #[test]
    fn a_suffix_covers_a_part() {
        let only_jpg = Entry { suffix: ".jpg".into(), ..entries(TWO)[0].clone() };
        assert!(!only_jpg.covers("temp/") && only_jpg.touches("temp/"));
        let deeper = Entry { prefix: "temp/a/".into(), ..entries(TWO)[0].clone() };
        assert!(!deeper.covers("temp/") && deeper.touches("temp/"));
    }
}
