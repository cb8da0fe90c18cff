//! Headers that are kept with an object and given back with it, besides its type, `Cache-Control` and metadata.

use std::collections::BTreeMap;

/// Their names.
const KEPT: [&str; 4] = ["content-disposition", "content-encoding", "content-language", "expires"];
/// How the bytes travel, and not what they are.
const IN_CHUNKS: &str = "aws-chunked";

/// Values by name in lower case.
pub type Headers = BTreeMap<String, String>;

/// Those that a request or a form has.
pub fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Headers {
    let kept = |name: &str| {
        let value = get(name)?.trim();
        let value = if name == "content-encoding" { less_chunks(value) } else { value.to_owned() };
        Some((name.to_owned(), value)).filter(|(_, value)| !value.is_empty())
    };
    KEPT.iter().filter_map(|name| kept(name)).collect()
}

fn less_chunks(encodings: &str) -> String {
    let of_object = encodings.split(',').map(str::trim).filter(|one| !one.eq_ignore_ascii_case(IN_CHUNKS));
    of_object.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_the_objects_own() {
        let encoding =
            |text: &'static str| of(|name| (name == "content-encoding").then_some(text)).remove("content-encoding");
        assert_eq!(encoding("gzip").as_deref(), Some("gzip"));
        assert_eq!(encoding("aws-chunked, gzip").as_deref(), Some("gzip"));
        assert_eq!(encoding("AWS-chunked"), None);
        assert_eq!(of(|name| (name == "etag").then_some("x")), Headers::new());
    }
}
