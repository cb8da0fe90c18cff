//! What `object_store` does not do of an S3 bucket. Listings, page by page: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>.
//!
//! `object_store` refuses a page as a whole when one name in it is none of its own (`a//b`), and drops the last slash of a
//! folder's mark (`photos/`): buckets that people have filled for years hold both.

use std::sync::OnceLock;
use std::time::Duration;

use futures::stream::{self, Stream, TryStreamExt};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::RngExt;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::s3::S3Config;
use super::{Listed, PublicUrl, StoreError};
use crate::aws::credentials;
use crate::key::Key;

/// Longest time for one page.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a page is asked for while the store fails.
const TRIES: u32 = 4;
/// Wait after the first of them; each next is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// Lists one bucket.
pub(super) struct Pages {
    /// Made for the first page: a function in a cloud lists nothing, and is to start at once.
    client: OnceLock<Result<reqwest::Client, String>>,
    credentials: AwsCredentialProvider,
    bucket: Url,
    region: String,
}

/// Where a page begins.
enum At {
    After(String),
    Token(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Entry>,
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: u64,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

/// What an S3 says of a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refusal {
    code: String,
    message: String,
}

impl Pages {
    /// Of a bucket, by these credentials.
    pub(super) fn new(config: &S3Config, credentials: AwsCredentialProvider) -> Self {
        Self { client: OnceLock::new(), credentials, bucket: config.bucket_url(), region: config.region.clone() }
    }

    /// Every object whose name starts with a prefix and comes after a name.
    pub(super) fn scan<'a>(
        &'a self,
        prefix: &'a str,
        after: &'a str,
    ) -> impl Stream<Item = Result<Listed, StoreError>> + Send + 'a {
        let pages = stream::try_unfold(Some(At::After(after.to_owned())), move |at| async move {
            let Some(at) = at else { return Ok(None) };
            let page = self.page(prefix, &at).await?;
            let next = page.next_continuation_token.filter(|token| !token.is_empty()).map(At::Token);
            Ok(Some((stream::iter(page.contents.into_iter().map(|entry| Ok(listed(entry)))), next)))
        });
        pages.try_flatten()
    }

    /// One page, tried again while the store fails.
    async fn page(&self, prefix: &str, at: &At) -> Result<Page, StoreError> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.ask(prefix, at).await {
                Err(StoreError::Unavailable(why)) => tracing::debug!(why, "a page of the listing is asked for again"),
                answer => return answer,
            }
            let jitter = rand::rng().random_range(0.5..1.0);
            tokio::time::sleep(pause.mul_f64(jitter)).await;
            pause *= 2;
        }
        self.ask(prefix, at).await
    }

    async fn ask(&self, prefix: &str, at: &At) -> Result<Page, StoreError> {
        let url = self.address(prefix, at);
        let answer = self.get(url).await?;
        let status = answer.status();
        let text = answer.text().await.map_err(|e| unavailable(e.without_url()))?;
        if !status.is_success() {
            return Err(refusal(status, &text));
        }
        quick_xml::de::from_str(&text).map_err(|e| StoreError::Unavailable(format!("the listing cannot be read: {e}")))
    }

    fn address(&self, prefix: &str, at: &At) -> Url {
        // Spaces as `%20`: not every store takes `+` for one.
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let mut query = format!("list-type=2&prefix={}", encode(prefix));
        match at {
            At::After(name) if name.is_empty() => {}
            At::After(name) => query.push_str(&format!("&start-after={}", encode(name))),
            At::Token(token) => query.push_str(&format!("&continuation-token={}", encode(token))),
        }
        let mut url = self.bucket.clone();
        url.set_query(Some(&query));
        url
    }

    /// Removes an object if it has this entity tag; false when it has another, or is gone. None when the store does not do
    /// it so: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>.
    pub(super) async fn delete_if(&self, key: &Key, etag: &str) -> Result<Option<bool>, StoreError> {
        let url = self.object(key)?;
        let condition = http::Request::delete(url.as_str()).header(http::header::IF_MATCH, format!("\"{etag}\""));
        let answer = self.send(url, condition).await?;
        Ok(match answer.status().as_u16() {
            200..300 => Some(true),
            404 | 409 | 412 => Some(false),
            _ => None,
        })
    }

    /// Whether an object's entity tag may be anything, since its key of encryption is not the store's own.
    pub(super) async fn has_opaque_tag(&self, key: &Key, version: Option<&str>) -> Result<bool, StoreError> {
        let mut url = self.object(key)?;
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("versionId", version);
        }
        let request = http::Request::head(url.as_str());
        let answer = self.send(url, request).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(header("x-amz-server-side-encryption").starts_with("aws:kms")
            || !header("x-amz-server-side-encryption-customer-algorithm").is_empty())
    }

    fn object(&self, key: &Key) -> Result<Url, StoreError> {
        PublicUrl::new(&self.bucket).of(key).parse().map_err(unavailable)
    }

    async fn get(&self, url: Url) -> Result<reqwest::Response, StoreError> {
        let request = http::Request::get(url.as_str());
        self.send(url, request).await
    }

    async fn send(&self, url: Url, request: http::request::Builder) -> Result<reqwest::Response, StoreError> {
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|e| StoreError::NoCredentials(credentials::missing(&e)))?;
        let mut signed = request.body(Vec::new().into()).map_err(unavailable)?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut signed, None).map_err(unavailable)?;
        let (parts, _) = signed.into_parts();
        let (method, headers) = (parts.method, parts.headers);
        let client =
            self.client.get_or_init(|| reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|e| e.to_string()));
        let client = client.as_ref().map_err(|why| StoreError::Unavailable(why.clone()))?;
        client.request(method, url).headers(headers).send().await.map_err(|e| unavailable(e.without_url()))
    }
}

fn listed(entry: Entry) -> Listed {
    Listed {
        name: entry.key,
        size: entry.size,
        etag: entry.etag.map(|tag| tag.trim_matches('"').to_owned()),
        modified: OffsetDateTime::parse(&entry.last_modified, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}

fn unavailable(error: impl std::error::Error) -> StoreError {
    // The cause, such as a refused connection, is at the end of the chain.
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !why.contains(&cause_text) {
            why = format!("{why}: {cause_text}");
        }
        source = cause.source();
    }
    StoreError::Unavailable(why)
}

fn refusal(status: reqwest::StatusCode, text: &str) -> StoreError {
    let Refusal { code, message } = quick_xml::de::from_str(text).unwrap_or_default();
    let said = if code.is_empty() { format!("it answered {status}") } else { format!("{code}: {message}") };
    match status.as_u16() {
        401 | 403 => StoreError::Denied(said),
        429 | 500.. => StoreError::Unavailable(said),
        _ => StoreError::Invalid(format!("the bucket cannot be listed: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_the_store_has_them() {
        let xml = r#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>
            <Contents><Key>photos/</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;d41d&quot;</ETag><Size>0</Size></Contents>
            <Contents><Key>photos//a &amp; b </Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>7</Size></Contents>
            <NextContinuationToken>more</NextContinuationToken></ListBucketResult>"#;
        let page: Page = quick_xml::de::from_str(xml).expect("a page");
        assert_eq!(page.next_continuation_token.as_deref(), Some("more"));
        let found: Vec<Listed> = page.contents.into_iter().map(listed).collect();
        assert_eq!((found[0].name.as_str(), found[0].etag.as_deref()), ("photos/", Some("d41d")));
        assert_eq!((found[1].name.as_str(), found[1].size), ("photos//a & b ", 7));
        assert_eq!(found[1].modified.unix_timestamp(), 1_767_323_045);
    }

    #[test]
    fn a_refusal_says_what_the_store_said() {
        let text = "<Error><Code>NoSuchBucket</Code><Message>The bucket is not there.</Message></Error>";
        let error = refusal(reqwest::StatusCode::NOT_FOUND, text);
        assert!(matches!(&error, StoreError::Invalid(why) if why.contains("NoSuchBucket")), "{error}");
        assert!(matches!(refusal(reqwest::StatusCode::FORBIDDEN, ""), StoreError::Denied(_)));
        assert!(matches!(refusal(reqwest::StatusCode::SERVICE_UNAVAILABLE, "<html>"), StoreError::Unavailable(_)));
    }
}
