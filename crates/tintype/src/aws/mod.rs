//! AWS services other than S3, by signed JSON calls: no SDK for the one or two that are needed.

pub mod credentials;
pub mod profile;
pub mod secret;

use std::time::Duration;

use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;
use serde_json::Value;
use url::Url;

/// Longest time for one call: less than a function keeps for its callback, so that it is told what did not answer.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// The service said no: mend permission, name or region.
    #[error("{service} answered {status}: {message}")]
    Refused {
        /// Which service.
        service: String,
        /// Its HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// No answer, or no credentials. Try again.
    #[error("{service} cannot be called: {why}")]
    Unavailable {
        /// Which service.
        service: String,
        /// Why.
        why: String,
    },
}

/// A caller with this machine's credentials, found as AWS programs find them.
pub struct Aws {
    client: reqwest::Client,
    credentials: AwsCredentialProvider,
    endpoint: Option<Url>,
}

impl Aws {
    /// A caller. `endpoint` is one address for all services, for a local AWS; none for AWS's own.
    ///
    /// # Errors
    /// When credentials or TLS cannot be set up.
    pub fn new(endpoint: Option<Url>) -> Result<Self, String> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|e| e.to_string())?;
        // Only the store's builder knows where credentials are; the bucket is never looked at.
        let store = credentials::builder()?.0.with_bucket_name("none").with_allow_http(true);
        let credentials = store.build().map_err(|e| e.to_string())?.credentials().clone();
        Ok(Self { client, credentials, endpoint })
    }

    /// Calls an operation, e.g. `secretsmanager.GetSecretValue` of `secretsmanager`.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn call(&self, service: &str, region: &str, target: &str, body: &Value) -> Result<Value, AwsError> {
        let unavailable = |why: String| AwsError::Unavailable { service: service.to_owned(), why };
        let credential = self.credentials.get_credential().await.map_err(|e| unavailable(credentials::missing(&e)))?;
        let body = body.to_string();
        let mut signed = http::Request::post(self.address(service, region))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.clone().into())
            .map_err(|e| unavailable(e.to_string()))?;
        sign(&mut signed, &AwsAuthorizer::new(&credential, service, region)).map_err(unavailable)?;
        let (parts, _) = signed.into_parts();
        let sent = self.client.post(parts.uri.to_string()).headers(parts.headers).body(body).send().await;
        let answer = sent.map_err(|e| unavailable(e.without_url().to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|e| unavailable(e.without_url().to_string()))?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        match status.is_success() {
            true => Ok(value),
            false if status.is_server_error() => Err(unavailable(format!("it answered {status}"))),
            false => {
                Err(AwsError::Refused { service: service.to_owned(), status: status.as_u16(), message: reason(&value) })
            }
        }
    }

    fn address(&self, service: &str, region: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => endpoint.to_string(),
            // https://docs.aws.amazon.com/general/latest/gr/rande.html
            None if region.starts_with("cn-") => format!("https://{service}.{region}.amazonaws.com.cn/"),
            None => format!("https://{service}.{region}.amazonaws.com/"),
        }
    }
}

fn sign(request: &mut HttpRequest, by: &AwsAuthorizer<'_>) -> Result<(), String> {
    by.try_authorize(request, None).map_err(|e| e.to_string())
}

/// The kind of error and its message, as AWS's JSON protocol writes them.
fn reason(value: &Value) -> String {
    let text =
        |names: [&str; 2]| names.iter().find_map(|name| value.get(name)?.as_str()).unwrap_or_default().to_owned();
    let kind = text(["__type", "code"]);
    let kind = kind.rsplit('#').next().unwrap_or_default().to_owned();
    format!("{kind}: {}", text(["message", "Message"]))
}
