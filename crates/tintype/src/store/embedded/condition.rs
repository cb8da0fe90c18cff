//! Conditional requests: RFC 9110, section 13, as far as S3 knows them.

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use time::OffsetDateTime;

use super::Condition;
use crate::store::ObjectMeta;

/// What a reader asks of the object.
pub struct Asked<'a> {
    is: Option<&'a ETagCondition>,
    is_not: Option<&'a ETagCondition>,
    changed_since: Option<OffsetDateTime>,
    unchanged_since: Option<OffsetDateTime>,
}

impl<'a> Asked<'a> {
    /// By the four headers of GET and HEAD.
    pub fn of_head(
        is: &'a Option<ETagCondition>,
        is_not: &'a Option<ETagCondition>,
        changed_since: &Option<Timestamp>,
        unchanged_since: &Option<Timestamp>,
    ) -> Self {
        let time = |at: &Option<Timestamp>| at.clone().map(OffsetDateTime::from);
        Self {
            is: is.as_ref(),
            is_not: is_not.as_ref(),
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
        let wrong = match (self.is, self.unchanged_since) {
            (Some(wanted), _) => wanted.as_etag().is_some_and(|wanted| !wanted.strong_cmp(&tag)),
            (None, Some(since)) => modified > since.unix_timestamp(),
            (None, None) => false,
        };
        if wrong {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        let known = match (self.is_not, self.changed_since) {
            (Some(unwanted), _) => unwanted.as_etag().is_none_or(|unwanted| unwanted.weak_cmp(&tag)),
            (None, Some(since)) => modified <= since.unix_timestamp(),
            (None, None) => false,
        };
        if known { Err(S3Error::new(S3ErrorCode::NotModified)) } else { Ok(()) }
    }
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
