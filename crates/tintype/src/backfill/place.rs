//! Which objects: `s3://bucket/prefix`.

use std::fmt;
use std::str::FromStr;

/// A bucket, and what the names in it are to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the bucket.
    pub bucket: String,
    /// As S3 takes it: `photos/2024` is of `photos/2024/a.jpg` and of `photos/2024-a.jpg`. Empty: the whole bucket.
    pub prefix: String,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("s3://").ok_or("write s3://BUCKET or s3://BUCKET/PREFIX")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fit = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(fit) {
            return Err(format!("{bucket:?} is no name of a bucket: 3 to 63 letters, digits, `-`, `.`"));
        }
        if prefix.starts_with('/') {
            return Err(format!("names in a bucket begin without a slash: s3://{bucket}/{}", prefix.trim_matches('/')));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_and_a_prefix() {
        let of = |text: &str| text.parse::<Place>().map(|place| (place.bucket, place.prefix));
        let place = |bucket: &str, prefix: &str| Ok((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(of("s3://photos"), place("photos", ""));
        assert_eq!(of("s3://photos/"), place("photos", ""));
        assert_eq!(of("s3://photos/a b/2024"), place("photos", "a b/2024"));
        for wrong in ["photos/a", "gs://photos", "s3://", "s3://ab/x", "s3:///x", "s3://photos//x", "s3://ph otos"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
