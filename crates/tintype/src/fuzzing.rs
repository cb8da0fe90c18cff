//! Doors for fuzz targets alone: what hostile bytes reach inside, and nothing outside the crate calls.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt;
use http::HeaderMap;
use multer::Multipart;
use time::OffsetDateTime;

use crate::callback::answer;
use crate::key::Key;
use crate::presign::Credential;
use crate::presign::policy::{Form, Refusal, sign};
use crate::store::PutOptions;
use crate::store::embedded::form;

/// A form that was read up to its file.
pub struct Read {
    /// Its text fields.
    pub form: Form,
    /// Where the file would go.
    pub key: Result<Key, Refusal>,
    /// What would be kept beside it.
    pub options: Result<PutOptions, Refusal>,
}

/// What the embedded store reads of a form before it looks at the signature. Chunks are what the wire gives at once.
pub async fn read_form(chunks: Vec<Vec<u8>>, boundary: &str) -> Result<Read, Refusal> {
    let chunks = chunks.into_iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from(chunk)));
    let mut multipart = Multipart::new(futures::stream::iter(chunks).boxed(), boundary);
    let (form, file) = form::read_fields(&mut multipart).await?;
    let key = form::object_key(&form, file.file_name());
    let options = form::options(&form);
    Ok(Read { form, key, options })
}

/// Signs a form's policy as its presigner would, so that policies of a fuzzer's own get past the signature.
pub fn sign_form(form: &mut Form, policy: &[u8], signer: &Credential, now: OffsetDateTime) {
    sign(form, policy, signer, now);
}

/// How long an endpoint asks to be left alone.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    answer::retry_after(headers, now)
}
