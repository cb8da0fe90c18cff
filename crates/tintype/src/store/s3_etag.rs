//! Whether the bytes that came are those that the store says it sent.
//!
//! The entity tag of an object that was written in one piece is the MD5 of its bytes, unless it is encrypted under a key
//! that is not the store's own: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>.

use std::sync::atomic::{AtomicBool, Ordering};

use md5::{Digest, Md5};

use super::{Object, StoreError};
use crate::preset::hex;

/// What is known of a store's entity tags.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// Some are of the MD5's form and are none.
    opaque: AtomicBool,
}

impl Tags {
    /// Whether bytes are those of their tag, as far as the tag tells.
    pub(super) fn fit(&self, object: &Object) -> bool {
        let Some(tag) = object.meta.etag.as_deref().filter(|tag| is_md5(tag)) else { return true };
        self.opaque.load(Ordering::Relaxed) || tag.eq_ignore_ascii_case(&hex(&Md5::digest(&object.bytes)))
    }

    /// Tags tell nothing here.
    pub(super) fn are_opaque(&self) {
        if !self.opaque.swap(true, Ordering::Relaxed) {
            tracing::info!(
                "entity tags of this bucket are no MD5, since its objects are encrypted: reads are not held against them"
            );
        }
    }
}

/// Whether a tag has the form of an MD5. One of an object in several parts has a `-`.
fn is_md5(tag: &str) -> bool {
    tag.len() == 32 && tag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What is said of bytes that do not fit.
pub(super) fn misread(object: &Object) -> StoreError {
    let tag = object.meta.etag.as_deref().unwrap_or_default();
    StoreError::Unavailable(format!(
        "{}: the bytes that came ({}) are not those of its entity tag {tag}, twice",
        object.meta.key,
        object.bytes.len()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use time::OffsetDateTime;

    use super::*;
    use crate::key::Key;
    use crate::store::ObjectMeta;

    fn object(etag: &str, bytes: &'static [u8]) -> Object {
        let meta = ObjectMeta {
            key: Key::new("temp/a").unwrap(),
            size: bytes.len() as u64,
            etag: Some(etag.to_owned()),
            version: None,
            content_type: None,
            metadata: Default::default(),
            modified: OffsetDateTime::UNIX_EPOCH,
        };
        Object { meta, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn other_bytes_than_the_tags_are_seen_where_it_tells() {
        let tags = Tags::default();
        let md5 = "5d41402abc4b2a76b9719d911017c592";
        assert!(tags.fit(&object(md5, b"hello")));
        assert!(tags.fit(&object(&md5.to_uppercase(), b"hello")));
        assert!(!tags.fit(&object(md5, b"hell")));
        assert!(tags.fit(&object("5d41402abc4b2a76b9719d911017c592-2", b"hell")), "of several parts");
        assert!(tags.fit(&object("0x8D", b"hell")));
        tags.are_opaque();
        assert!(tags.fit(&object(md5, b"hell")));
    }
}
