//! Rules of the lifecycle, and of CORS.

use std::time::Duration;

use super::super::Exam;
use super::super::cors::{allows, closed};
use super::super::finding::Trouble;
use super::super::lifecycle::{Rule, days, in_days, rules};
use super::super::settings::{Document, Setting};
use super::super::xml::{self, Named, escape};
use super::{Step, current, step, steps};
use crate::key::Layout;

/// Rules by which originals and broken uploads expire, where there are none.
pub fn lifecycle(exam: &Exam, document: &Document) -> Vec<Step> {
    steps(current(Setting::Lifecycle, document).map(|text| {
        let missing = missing(&text, &exam.layout, exam.keep_originals);
        if missing.is_empty() {
            return Vec::new();
        }
        let what: Vec<_> = missing.iter().map(|(what, _)| what.as_str()).collect();
        let changed = missing.iter().try_fold(text.clone(), |text, (_, rule)| xml::insert(&text, rule, &[]));
        vec![step(Setting::Lifecycle, what.join("; "), changed)]
    }))
}

/// What each missing rule is for, and the rule.
fn missing(text: &str, layout: &Layout, kept: Option<Duration>) -> Vec<(String, String)> {
    let (there, prefix) = (rules(text), layout.prefix());
    let mut missing = Vec::new();
    // A rule that has variants expire as well is to go, and is not to be relied on.
    let own = |rule: &Rule| rule.expires.is_some() && rule.covers(prefix) && !rule.touches(layout.folder());
    let expires = there.iter().any(own);
    if let Some(days) = kept.map(days).filter(|_| !expires) {
        let action = format!("<Expiration><Days>{days}</Days></Expiration>");
        let what = format!("{prefix} expires after {}", in_days(days));
        missing.push((what, rule(text, "tintype-originals", prefix, &action)));
    }
    if !there.iter().any(|rule| rule.aborts && rule.covers(prefix)) {
        let days = "<DaysAfterInitiation>1</DaysAfterInitiation>";
        let action = format!("<AbortIncompleteMultipartUpload>{days}</AbortIncompleteMultipartUpload>");
        let what = format!("incomplete multipart uploads to {prefix} are aborted after 1 day");
        missing.push((what, rule(text, "tintype-incomplete-uploads", prefix, &action)));
    }
    missing
}

fn rule(text: &str, id: &str, prefix: &str, action: &str) -> String {
    let prefix = format!("<Prefix>{}</Prefix>", escape(prefix));
    // S3 takes the older form and the newer one, but not both in one document.
    let filter = if is_of_older_form(text) { prefix } else { format!("<Filter>{prefix}</Filter>") };
    format!("<Rule><ID>{id}</ID>{filter}<Status>Enabled</Status>{action}</Rule>")
}

fn is_of_older_form(text: &str) -> bool {
    let parsed = roxmltree::Document::parse(text);
    parsed.is_ok_and(|parsed| parsed.root_element().all("Rule").iter().any(|rule| rule.child("Prefix").is_some()))
}

/// A rule that lets the page upload, where there is none.
///
/// # Errors
/// When the store does not answer.
pub async fn cors(exam: &Exam, document: &Document) -> Result<Vec<Step>, Trouble> {
    let Some(origin) = &exam.origin else {
        return Ok(Vec::new());
    };
    if closed(exam, origin).await?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(steps(current(Setting::Cors, document).map(|text| {
        if allows(&text, origin) {
            return Vec::new();
        }
        let changed = xml::insert(&text, &cors_rule(origin), &[]);
        vec![step(Setting::Cors, format!("pages of {origin} may POST, PUT and read"), changed)]
    })))
}

fn cors_rule(origin: &str) -> String {
    let methods: String =
        ["POST", "PUT", "GET", "HEAD"].iter().map(|m| format!("<AllowedMethod>{m}</AllowedMethod>")).collect();
    format!(
        "<CORSRule><AllowedHeader>*</AllowedHeader>{methods}<AllowedOrigin>{}</AllowedOrigin>\
         <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>",
        escape(origin)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DAY: Option<Duration> = Some(Duration::from_secs(24 * 3600));
    const THEIRS: &str = "<LifecycleConfiguration xmlns=\"urn:s3\"><Rule><ID>logs</ID><Filter><Prefix>logs/</Prefix></Filter>\
        <Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";

    fn layout() -> Layout {
        Layout::new("temp/", "image/").unwrap()
    }

    fn mend(text: &str) -> String {
        missing(text, &layout(), DAY)
            .iter()
            .fold(text.to_owned(), |text, (_, rule)| xml::insert(&text, rule, &[]).unwrap())
    }

    #[test]
    fn rules_come_to_those_that_are_there_and_once() {
        let after = mend(THEIRS);
        assert!(after.starts_with(THEIRS.strip_suffix("</LifecycleConfiguration>").unwrap()), "{after}");
        assert_eq!(rules(&after).len(), 3);
        assert!(missing(&after, &layout(), DAY).is_empty());
        assert_eq!(mend(&after), after);
    }

    #[test]
    fn originals_that_are_kept_get_no_rule() {
        let what: Vec<_> = missing(THEIRS, &layout(), None).into_iter().map(|(what, _)| what).collect();
        assert_eq!(what, ["incomplete multipart uploads to temp/ are aborted after 1 day"]);
    }

    #[test]
    fn a_rule_that_has_variants_expire_is_not_relied_on() {
        let everything = THEIRS.replace("logs/", "");
        assert!(missing(&everything, &layout(), DAY)[0].0.starts_with("temp/ expires"));
        let after = mend(&everything);
        assert_eq!(mend(&after), after);
    }

    #[test]
    fn the_older_form_is_kept_to() {
        let older = THEIRS.replace("<Filter>", "").replace("</Filter>", "");
        let after = mend(&older);
        assert!(!after.contains("<Filter>"), "{after}");
        assert!(missing(&after, &layout(), DAY).is_empty());
    }

    #[test]
    fn a_cors_rule_allows_what_it_was_made_for() {
        let page = "https://app.example.com";
        let theirs =
            "<CORSConfiguration><CORSRule><AllowedOrigin>https://theirs</AllowedOrigin></CORSRule></CORSConfiguration>";
        let after = xml::insert(theirs, &cors_rule(page), &[]).unwrap();
        assert!(allows(&after, page) && after.contains("https://theirs"));
    }
}
