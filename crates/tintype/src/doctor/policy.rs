//! The bucket's policy, a JSON document: what it opens to anyone, and whether it asks for TLS.

use serde_json::{Value, json};

/// What anyone may do by one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The statement's name, if it has one.
    pub sid: String,
    actions: Vec<String>,
    resources: Vec<String>,
}

impl Opening {
    /// Whether anyone may do something to the bucket `photos`, or to an object of it, `photos/image/x`.
    pub fn allows(&self, action: &str, what: &str) -> bool {
        let object = format!(":::{what}");
        self.actions.iter().any(|pattern| wild(&pattern.to_lowercase(), &action.to_lowercase()))
            && self.resources.iter().any(|pattern| {
                let pattern = pattern.find(":::").map_or(pattern.as_str(), |at| &pattern[at..]);
                wild(pattern, &object) || pattern == "*"
            })
    }
}

/// The statements that open something to anyone.
pub fn openings(policy: &str) -> Vec<Opening> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let open = |statement: &&Value| statement["Effect"] == "Allow" && is_anyone(&statement["Principal"]);
    let found = statements(&document).into_iter().filter(open).map(|statement| Opening {
        sid: statement["Sid"].as_str().unwrap_or_default().to_owned(),
        actions: texts(&statement["Action"]),
        resources: texts(&statement["Resource"]),
    });
    found.collect()
}

/// Whether anyone may read variants by this policy.
pub fn opens_reading(policy: &str, bucket: &str, folder: &str) -> bool {
    openings(policy).iter().any(|opening| opening.allows("s3:GetObject", &format!("{bucket}/{folder}x")))
}

/// Whether the policy refuses calls without TLS, to the bucket and to all in it.
pub fn asks_for_tls(policy: &str, bucket: &str) -> bool {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    statements(&document).iter().any(|statement| {
        let resources = texts(&statement["Resource"]);
        let covers = |object: &str| resources.iter().any(|one| one == "*" || one.ends_with(object));
        statement["Effect"] == "Deny"
            && is_anyone(&statement["Principal"])
            && texts(&statement["Action"]).iter().any(|action| action == "s3:*" || action == "*")
            && texts(&statement["Condition"]["Bool"]["aws:SecureTransport"]).iter().any(|value| value == "false")
            && covers(&format!(":::{bucket}/*"))
            && covers(&format!(":::{bucket}"))
    })
}

/// The policy with a statement that asks for TLS; none if it is no policy.
pub fn with_tls(policy: &str, arn: &str) -> Option<String> {
    let empty = json!({"Version": "2012-10-17", "Statement": []});
    let mut document = if policy.is_empty() { empty } else { serde_json::from_str(policy).ok()? };
    let statement = json!({
        "Sid": "TintypeTlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")], "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    });
    let statements = document.as_object_mut()?.entry("Statement").or_insert_with(|| json!([]));
    if !statements.is_array() {
        // One statement may stand without a list.
        *statements = json!([statements.take()]);
    }
    statements.as_array_mut()?.push(statement);
    Some(document.to_string())
}

fn statements(document: &Value) -> Vec<&Value> {
    match &document["Statement"] {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn is_anyone(principal: &Value) -> bool {
    principal == "*" || texts(&principal["AWS"]).iter().any(|one| one == "*")
}

/// One text, or a list of them; a truth value counts as its word.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(truth) => vec![truth.to_string()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Whether a text is one of those that a pattern with `*` and `?` stands for.
fn wild(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // `star` is where the last `*` was, and how much of the text it has taken so far.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const READ: &str = r#"{"Version":"2012-10-17","Id":"theirs","Statement":{"Sid":"Read","Effect":"Allow","Principal":{"AWS":["*"]},
        "Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/image/*"}}"#;

    #[test]
    fn an_opening_is_found_by_what_it_allows() {
        assert!(opens_reading(READ, "photos", "image/"));
        assert!(!opens_reading(READ, "photos", "temp/"));
        assert!(!openings(READ)[0].allows("s3:PutObject", "photos/image/x"));
        let open = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:Put*"],"Resource":["*"]}]}"#;
        assert!(openings(open)[0].allows("s3:PutObject", "photos/temp/x"));
        let theirs = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}]}"#;
        assert!(openings(theirs).is_empty() && openings("").is_empty());
    }

    #[test]
    fn tls_is_asked_for_once() {
        for before in ["", READ, r#"{"Statement":[]}"#, "{}"] {
            assert!(!asks_for_tls(before, "photos"), "{before}");
            let after = with_tls(before, "arn:aws:s3:::photos").unwrap();
            assert!(asks_for_tls(&after, "photos"), "{after}");
        }
        assert_eq!(with_tls("no JSON", "arn:aws:s3:::photos"), None);
    }

    #[test]
    fn what_was_there_stays() {
        let after: Value = serde_json::from_str(&with_tls(READ, "arn:aws:s3:::photos").unwrap()).unwrap();
        let before: Value = serde_json::from_str(READ).unwrap();
        assert_eq!(after["Id"], before["Id"]);
        assert_eq!(after["Statement"][0], before["Statement"]);
        assert_eq!(after["Statement"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn tls_for_the_objects_alone_is_not_enough() {
        let half = r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::photos/*",
            "Condition":{"Bool":{"aws:SecureTransport":false}}}]}"#;
        assert!(!asks_for_tls(half, "photos"));
        assert!(asks_for_tls(&half.replace("\"arn:aws:s3:::photos/*\"", "\"*\""), "photos"));
    }

    #[test]
    fn patterns() {
        for (pattern, text) in [("*", "a"), ("s3:*", "s3:x"), ("a*c?", "abbcd"), ("a**", "a"), ("*b*b", "abbb")] {
            assert!(wild(pattern, text), "{pattern} {text}");
        }
        assert!(!wild("s3:Get*", "s3:Put") && !wild("a", "ab") && !wild("a?", "a"));
    }
}
