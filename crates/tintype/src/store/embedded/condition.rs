//! Conditional requests: RFC 9110, section 13, as far as S3 knows them.

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use time::OffsetDateTime;

use super::Condition;
use crate::store::ObjectMeta;

/// What a reader asks of the object.
pub struct Asked {
    is: Option<Tags>,
    is_not: Option<Tags>,
    changed_since: Option<OffsetDateTime>,
    unchanged_since: Option<OffsetDateTime>,
}

impl Asked {
    /// By the four headers of GET and HEAD.
    pub fn of_head(
        is: &Option<ETagCondition>,
        is_not: &Option<ETagCondition>,
        changed_since: &Option<Timestamp>,
        unchanged_since: &Option<Timestamp>,
    ) -> Self {
        let time = |at: &Option<Timestamp>| at.clone().map(OffsetDateTime::from);
        Self {
            is: is.as_ref().map(Tags::of),
            is_not: is_not.as_ref().map(Tags::of),
            changed_since: time(changed_since),
            unchanged_since: time(unchanged_since),
        }
    }

    /// Whether the object is what is asked for: 412 if it is another, 304 if the reader has it. An entity tag counts
    /// before a time.
    pub fn check(&self, found: &ObjectMeta) -> S3Result<()> {
        let tag = ETag::Strong(found.etag.clone().unwrap_or_default());
        // HTTP's dates have no fractions.
        let modified = found.modified.unix_timestamp();
        let wrong = match (&self.is, self.unchanged_since) {
            (Some(wanted), _) => !wanted.any(|wanted| wanted.strong_cmp(&tag)),
            (None, Some(since)) => modified > since.unix_timestamp(),
            (None, None) => false,
        };
        if wrong {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        let known = match (&self.is_not, self.changed_since) {
            (Some(unwanted), _) => unwanted.any(|unwanted| unwanted.weak_cmp(&tag)),
            (None, Some(since)) => modified <= since.unix_timestamp(),
            (None, None) => false,
        };
        if known { Err(S3Error::new(S3ErrorCode::NotModified)) } else { Ok(()) }
    }
}

/// Entity tags that one header names.
enum Tags {
    /// `*`: whatever there is.
    Any,
    These(Vec<ETag>),
}

impl Tags {
    /// The protocol layer takes a whole list for one tag.
    fn of(condition: &ETagCondition) -> Self {
        let text = match condition {
            ETagCondition::Any => return Self::Any,
            ETagCondition::ETag(ETag::Strong(text)) => format!("\"{text}\""),
            ETagCondition::ETag(ETag::Weak(text)) => format!("W/\"{text}\""),
        };
        let tag =
            |(weak, tag): (bool, &str)| if weak { ETag::Weak(tag.to_owned()) } else { ETag::Strong(tag.to_owned()) };
        Self::These(entity_tags(&text).map(tag).collect())
    }

    fn any(&self, fits: impl Fn(&ETag) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(fits),
        }
    }
}

/// The entity tags of a list, each with whether it is weak. Some clients leave the quotes out.
pub fn entity_tags(list: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let weak = rest.strip_prefix("W/").filter(|tag| tag.starts_with('"'));
        let tag = weak.unwrap_or(rest);
        let (tag, after) = match tag.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None if tag.is_empty() => return None,
            None => tag.split_once(',').unwrap_or((tag, "")),
        };
        rest = after;
        Some((weak.is_some(), tag.trim()))
    })
}

/// What a writer asks of the object that is there.
pub fn of_write(is: &Option<ETagCondition>, is_not: &Option<ETagCondition>) -> S3Result<Condition> {
    match (is, is_not) {
        (None, None) => Ok(Condition::None),
        (Some(wanted), None) => Ok(Condition::Present(wanted.as_etag().map(|tag| tag.value().to_owned()))),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        _ => Err(s3_error!(NotImplemented, "A PUT takes If-Match, or If-None-Match: *, and not both.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_a_list() {
        let of = |list: &'static str| entity_tags(list).collect::<Vec<_>>();
        assert_eq!(of("\"a\""), [(false, "a")]);
        assert_eq!(of("\"a\",W/\"b, c\" , d,e"), [(false, "a"), (true, "b, c"), (false, "d"), (false, "e")]);
        assert_eq!(of("\"\""), [(false, "")]);
        assert_eq!(of(" , ,"), []);
        assert_eq!(of("\"cut"), [(false, "cut")]);
    }
}
