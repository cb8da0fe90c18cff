//! Whether a page may upload: what a browser would ask, and what it would be told.

use http::Method;

use super::Exam;
use super::bucket::Answer;
use super::finding::{Finding, Trouble};
use super::xml::Named;
use crate::presign::header::Call;

/// The check's name.
pub const NAME: &str = "CORS";

/// Asks for leave to POST and to PUT; `upload` is the answer to an upload that came from the page.
pub async fn check(exam: &Exam, upload: Option<&Answer>) -> Result<Vec<Finding>, Trouble> {
    let Some(origin) = &exam.origin else {
        let how = "give the page's origin, to have it looked at: --origin https://app.example.com";
        return Ok(vec![Finding::skipped(NAME, "no page is named").fix(how)]);
    };
    let mut missing = closed(exam, origin).await?;
    if upload.is_some_and(|answer| !names_origin(answer, origin)) {
        missing.push("may not read the answer to an upload".to_owned());
    }
    if missing.is_empty() {
        return Ok(vec![Finding::ok(NAME, format!("pages of {origin} may POST and PUT"))]);
    }
    let finding = Finding::problem(NAME, format!("pages of {origin} {}", missing.join(", ")));
    Ok(vec![finding.mended("add a rule for that origin", exam.mend())])
}

/// What a browser would be told that pages of an origin may not. A store lets them in by a rule, or by itself.
pub async fn closed(exam: &Exam, origin: &str) -> Result<Vec<String>, Trouble> {
    let mut missing = Vec::new();
    // What a presigned PUT has a page send besides.
    let of_put = if exam.bucket.signer.once { "content-type,if-none-match" } else { "content-type" };
    for (method, header) in [(Method::POST, None), (Method::PUT, Some(of_put))] {
        let answer = preflight(exam, origin, &method, header).await?;
        if !(answer.taken() && names_origin(&answer, origin) && names_method(&answer, &method)) {
            missing.push(format!("may not {method} ({})", answer.said()));
        }
    }
    Ok(missing)
}

async fn preflight(exam: &Exam, origin: &str, method: &Method, header: Option<&str>) -> Result<Answer, Trouble> {
    // A form goes to the bucket, a PUT to the object.
    let mut target = Call::new(Method::OPTIONS);
    if *method == Method::PUT {
        target = target.key(&exam.objects.original("")?);
    }
    target = target.header("origin", origin).header("access-control-request-method", method.as_str());
    if let Some(header) = header {
        target = target.header("access-control-request-headers", header);
    }
    exam.bucket.anonymous(&target).await
}

fn names_origin(answer: &Answer, origin: &str) -> bool {
    answer.header("access-control-allow-origin").is_some_and(|allowed| allowed == "*" || allowed == origin)
}

fn names_method(answer: &Answer, method: &Method) -> bool {
    let allowed = answer.header("access-control-allow-methods").unwrap_or_default();
    // A browser asks no leave for a plain POST.
    *method == Method::POST || allowed.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == method.as_str())
}

/// Whether some rule lets pages of an origin POST and PUT with any header.
pub fn allows(document: &str, origin: &str) -> bool {
    roxmltree::Document::parse(document).is_ok_and(|parsed| {
        parsed.root_element().all("CORSRule").iter().any(|rule| {
            let methods = rule.values("AllowedMethod");
            rule.values("AllowedOrigin").iter().any(|pattern| matches(pattern, origin))
                && ["POST", "PUT"].iter().all(|method| methods.iter().any(|allowed| allowed == method))
                && rule.values("AllowedHeader").iter().any(|header| header == "*")
        })
    })
}

/// One `*` stands for anything, as S3 has it.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, methods: &[&str], header: &str) -> String {
        let methods: String = methods.iter().map(|m| format!("<AllowedMethod>{m}</AllowedMethod>")).collect();
        format!(
            "<CORSConfiguration><CORSRule><AllowedOrigin>{origin}</AllowedOrigin>{methods}\
             <AllowedHeader>{header}</AllowedHeader></CORSRule></CORSConfiguration>"
        )
    }

    #[test]
    fn a_rule_allows_an_origin_by_name_or_pattern() {
        let page = "https://app.example.com";
        for origin in ["*", page, "https://*.example.com", "https://app.*"] {
            assert!(allows(&rule(origin, &["PUT", "POST"], "*"), page), "{origin}");
        }
        for origin in ["http://*", "https://example.com", "https://*.example.org"] {
            assert!(!allows(&rule(origin, &["PUT", "POST"], "*"), page), "{origin}");
        }
        assert!(!allows(&rule("*", &["POST"], "*"), page));
        assert!(!allows(&rule("*", &["PUT", "POST"], "x-none"), page));
        assert!(!allows("", page));
    }
}
