//! Has the processor told of uploads.

use super::super::Exam;
use super::super::notification::{EVENTBRIDGE, Entry, KINDS, entries};
use super::super::settings::{Document, Setting};
use super::super::xml::{self, escape};
use super::{Step, current, step, steps};

/// Who is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// Amazon EventBridge.
    EventBridge,
    /// The ARN of a Lambda function, an SQS queue or an SNS topic.
    Arn {
        /// The ARN.
        arn: String,
        /// What it is an ARN of: which row of the kinds there are.
        kind: usize,
    },
}

impl std::str::FromStr for Notify {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("eventbridge") {
            return Ok(Self::EventBridge);
        }
        let parts: Vec<_> = text.split(':').collect();
        let kind = match parts.get(2).copied().filter(|_| parts[0] == "arn" && parts.len() >= 6) {
            Some("sns") => 0,
            Some("sqs") => 1,
            Some("lambda") => 2,
            _ => return Err("give the ARN of a Lambda function, an SQS queue or an SNS topic, or eventbridge".into()),
        };
        Ok(Self::Arn { arn: text.to_owned(), kind })
    }
}

/// An entry for the folder of uploads, unless it is there, or S3 would refuse it because of another.
pub fn notification(exam: &Exam, document: &Document, notify: Option<&Notify>) -> Vec<Step> {
    steps(current(Setting::Notification, document).map(|text| {
        let prefix = exam.layout.prefix();
        let entries = entries(&text);
        match notify {
            None if entries.iter().any(|entry| entry.covers(prefix)) => Vec::new(),
            None => vec![Step::Leave(format!(
                "notification: nobody is told of all that arrives in {prefix}; say who is to be, with --notify ARN"
            ))],
            Some(notify) => add(&text, &entries, prefix, notify).into_iter().collect(),
        }
    }))
}

fn add(text: &str, entries: &[Entry], prefix: &str, notify: &Notify) -> Option<Step> {
    let (arn, kind) = match notify {
        Notify::EventBridge if entries.iter().any(Entry::is_eventbridge) => return None,
        Notify::EventBridge => {
            let changed = xml::insert(text, &format!("<{EVENTBRIDGE}/>"), &[]);
            return Some(step(Setting::Notification, "tells Amazon EventBridge of everything".into(), changed));
        }
        Notify::Arn { arn, kind } => (arn, *kind),
    };
    if entries.iter().any(|entry| entry.arn == *arn && entry.covers(prefix)) {
        return None;
    }
    if let Some(other) = entries.iter().find(|entry| entry.touches(prefix) && !entry.is_eventbridge()) {
        return Some(Step::Leave(format!(
            "notification: {} is told already (entry {:?}), and S3 tells of one object but once; take that entry out, \
             or have {arn} told by it",
            other.name_and_part(),
            other.id
        )));
    }
    let what = format!("tells {arn} of what arrives in {prefix}");
    let (element, ..) = KINDS[kind];
    // The order of S3's schema, which is that of the table.
    let later: Vec<_> = KINDS[kind + 1..].iter().map(|(name, ..)| *name).chain([EVENTBRIDGE]).collect();
    let later: Vec<_> = later.into_iter().filter(|name| *name != element).collect();
    Some(step(Setting::Notification, what, xml::insert(text, &entry(kind, arn, prefix), &later)))
}

fn entry(kind: usize, arn: &str, prefix: &str) -> String {
    let (element, leaf, _) = KINDS[kind];
    let (arn, prefix) = (escape(arn), escape(prefix));
    format!(
        "<{element}><Id>tintype-uploads</Id><{leaf}>{arn}</{leaf}><Event>s3:ObjectCreated:*</Event><Filter><S3Key>\
         <FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule></S3Key></Filter></{element}>"
    )
}

/// What S3 wants before it takes a notification: that its target lets it in.
pub fn permission(exam: &Exam, document: &str) -> String {
    let bucket = exam.bucket_name();
    let entry = entries(document).into_iter().find(|entry| entry.id == "tintype-uploads");
    match entry {
        Some(entry) if entry.kind == "Lambda function" => format!(
            "let S3 call it: aws lambda add-permission --function-name {} --statement-id tintype-{bucket} \
             --action lambda:InvokeFunction --principal s3.amazonaws.com --source-arn arn:aws:s3:::{bucket}",
            entry.arn
        ),
        Some(entry) => format!(
            "the policy of the {} has to let s3.amazonaws.com send to it, where aws:SourceArn is arn:aws:s3:::{bucket}",
            entry.kind
        ),
        None => "S3 refuses all entries if the target of one is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Change;
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:1:uploads";
    const THEIRS: &str = "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <CloudFunctionConfiguration><Id>theirs</Id><CloudFunction>arn:aws:lambda:us-east-1:1:function:f</CloudFunction>\
        <Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>reports/</Value>\
        </FilterRule></S3Key></Filter></CloudFunctionConfiguration></NotificationConfiguration>";

    fn plan(text: &str, notify: &str) -> Option<Step> {
        add(text, &entries(text), "temp/", &notify.parse().unwrap())
    }

    fn changed(step: Option<Step>) -> String {
        match step {
            Some(Step::Change(Change { document, .. })) => document,
            other => panic!("no change: {other:?}"),
        }
    }

    #[test]
    fn theirs_stays_and_twice_is_once() {
        for notify in [QUEUE, "arn:aws:sns:us-east-1:1:t", "arn:aws:lambda:us-east-1:1:function:thumbs", "eventbridge"]
        {
            let after = changed(plan(THEIRS, notify));
            let theirs = &THEIRS[THEIRS.find("<Cloud").unwrap()..THEIRS.rfind("</").unwrap()];
            assert_eq!(after.matches(theirs).count(), 1, "{after}");
            assert!(entries(&after).iter().any(|entry| entry.covers("temp/")), "{after}");
            assert_eq!(plan(&after, notify), None);
        }
    }

    #[test]
    fn one_that_overlaps_is_told_and_not_replaced() {
        let wide = THEIRS.replace("reports/", "");
        assert!(matches!(plan(&wide, QUEUE), Some(Step::Leave(why)) if why.contains("theirs")));
        let deep = THEIRS.replace("reports/", "temp/a/");
        assert!(matches!(plan(&deep, QUEUE), Some(Step::Leave(_))));
    }

    #[test]
    fn targets_are_known_by_their_arn() {
        assert_eq!("EventBridge".parse(), Ok(Notify::EventBridge));
        assert!(matches!(QUEUE.parse(), Ok(Notify::Arn { kind: 1, .. })));
        for bad in ["", "arn", "arn:aws:s3:::photos", "https://example.com", "arn:aws:sqs"] {
            assert!(bad.parse::<Notify>().is_err(), "{bad}");
        }
    }
}
