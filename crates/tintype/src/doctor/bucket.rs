//! The bucket as it is reached over the wire: calls go out, answers come in, and nothing is tried twice.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use time::OffsetDateTime;

use super::finding::Trouble;
use super::xml;
use crate::aws::credentials::NONE_FOUND;
use crate::presign::PresignError;
use crate::presign::header::Call;
use crate::presign::s3::S3Presigner;

/// Longest time for one call.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time to reach the store.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time until credentials are found: a machine that has none is asked for them in vain.
const CREDENTIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// One bucket, with and without its account's signature.
pub struct Bucket {
    /// Signs, and knows where the bucket is.
    pub signer: S3Presigner,
    http: reqwest::Client,
}

impl Bucket {
    /// A bucket by what signs for it.
    ///
    /// # Errors
    /// When this machine can make no HTTPS calls.
    pub fn new(signer: S3Presigner) -> Result<Self, Trouble> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Self { signer, http: http.map_err(|e| Trouble(e.to_string()))? })
    }

    /// A call as the store's account.
    ///
    /// # Errors
    /// When there are no credentials, or the store does not answer.
    pub async fn signed(&self, call: &Call) -> Result<Answer, Trouble> {
        let signing = self.signer.sign(call, OffsetDateTime::now_utc());
        let headers = tokio::time::timeout(CREDENTIAL_TIMEOUT, signing).await;
        match headers {
            Ok(Ok(headers)) => self.send(call, headers).await,
            Ok(Err(PresignError(why))) => Err(Trouble(why)),
            Err(_) => Err(Trouble(NONE_FOUND.to_owned())),
        }
    }

    /// The same call as anybody.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn anonymous(&self, call: &Call) -> Result<Answer, Trouble> {
        self.send(call, call.headers.clone()).await
    }

    async fn send(&self, call: &Call, headers: Vec<(String, String)>) -> Result<Answer, Trouble> {
        let request = self.http.request(call.method.clone(), self.signer.address(call)).body(call.body.clone());
        self.answer(with_headers(request, headers)).await
    }

    /// A call to an address that was signed already, or needs no signature.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn at(
        &self,
        method: http::Method,
        address: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Answer, Trouble> {
        self.answer(with_headers(self.http.request(method, address).body(body), headers)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer, Trouble> {
        let answer = request.send().await.map_err(unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(unreachable)?;
        Ok(Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn with_headers(request: reqwest::RequestBuilder, headers: Vec<(String, String)>) -> reqwest::RequestBuilder {
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// The innermost cause says what happened; the address may hold a signature, and is left out.
fn unreachable(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Trouble(format!("the store does not answer: {cause}"))
}

/// What the store said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

impl Answer {
    /// The store did it.
    pub fn taken(&self) -> bool {
        self.status.is_success()
    }

    /// The store refused it, and means it: a failing store answers 5xx.
    pub fn refused(&self) -> bool {
        self.status.is_client_error() || self.status == StatusCode::NOT_IMPLEMENTED
    }

    /// S3's code of an error.
    pub fn code(&self) -> Option<String> {
        xml::text_of(&self.text, "Code")
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// SeaweedFS takes some calls for others.
    pub fn is_of_seaweedfs(&self) -> bool {
        self.header("server").is_some_and(|server| server.starts_with("SeaweedFS"))
    }

    /// Status and code: `403 AccessDenied`.
    pub fn said(&self) -> String {
        match self.code() {
            Some(code) => format!("{} {code}", self.status.as_u16()),
            None => self.status.to_string(),
        }
    }

    /// Status, code and the store's own words.
    pub fn said_why(&self) -> String {
        match xml::text_of(&self.text, "Message") {
            Some(message) => format!("{}: {}", self.said(), message.trim_end_matches('.')),
            None => self.said(),
        }
    }
}
