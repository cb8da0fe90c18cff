//! SNS over HTTP: a message is signed by Amazon, and of a topic that is allowed; subscriptions to such are confirmed.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::Refusal;
use super::certificate::Certificates;
use super::fetch::Fetcher;

/// Oldest message that is taken: SNS goes on trying for an hour.
const OLDEST: Duration = Duration::HOUR;
/// How far a sender's clock may be ahead.
const AHEAD: Duration = Duration::minutes(5);

/// A message as SNS posts it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
}

impl Message {
    /// A body that is one; none for anything else.
    pub fn of(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// Whether it asks to confirm a subscription.
    pub fn is_confirmation(&self) -> bool {
        self.kind == "SubscriptionConfirmation"
    }

    /// Whether it says that a subscription is over.
    pub fn is_farewell(&self) -> bool {
        self.kind == "UnsubscribeConfirmation"
    }

    /// What is signed: names and values, a line each, in this order.
    fn canonical(&self) -> Option<String> {
        let (id, topic, at) = (&*self.message_id, &*self.topic_arn, &*self.timestamp);
        let pairs = if self.kind == "Notification" {
            let mut pairs = vec![("Message", &*self.message), ("MessageId", id)];
            pairs.extend(self.subject.as_deref().map(|subject| ("Subject", subject)));
            pairs.extend([("Timestamp", at), ("TopicArn", topic), ("Type", &*self.kind)]);
            pairs
        } else {
            let (url, token) = (self.subscribe_url.as_deref()?, self.token.as_deref()?);
            let start = [("Message", &*self.message), ("MessageId", id), ("SubscribeURL", url), ("Timestamp", at)];
            [&start[..], &[("Token", token), ("TopicArn", topic), ("Type", &*self.kind)]].concat()
        };
        Some(pairs.into_iter().map(|(name, value)| format!("{name}\n{value}\n")).collect())
    }
}

/// Verifies messages and confirms subscriptions.
pub struct Sns {
    topics: Vec<String>,
    /// Where SNS is, if it is not Amazon's.
    endpoint: Option<Url>,
    certificates: Certificates,
    fetcher: Fetcher,
}

impl Sns {
    /// One for these topics; `endpoint` is the address of a local AWS.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(topics: Vec<String>, endpoint: Option<Url>) -> Result<Self, String> {
        Ok(Self { topics, endpoint, certificates: Certificates::default(), fetcher: Fetcher::new()? })
    }

    /// Holds a message against its signature, its age and the topics that are allowed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify(&self, message: &Message, now: OffsetDateTime) -> Result<(), Refusal> {
        // What costs nothing comes first: strangers can send this.
        self.must_be_allowed(message)?;
        must_be_recent(&message.timestamp, now)?;
        let algorithm = algorithm(&message.signature_version)
            .ok_or_else(|| Refusal::unauthorized("its SignatureVersion is neither 1 nor 2"))?;
        let signed = message.canonical().ok_or_else(|| Refusal::unauthorized("it lacks SubscribeURL or Token"))?;
        let signature =
            STANDARD.decode(&message.signature).map_err(|_| Refusal::unauthorized("its Signature is no base64"))?;
        let url = self
            .trusted(&message.signing_cert_url)
            .filter(|url| url.path().ends_with(".pem") && url.query().is_none())
            .ok_or_else(|| Refusal::unauthorized("its SigningCertURL is no certificate of SNS"))?;
        let key = self.certificates.key(&self.fetcher, &url, now).await?;
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(signed.as_bytes(), &signature).map_err(|_| Refusal::unauthorized("its Signature is not SNS's"))
    }

    /// Answers a request to confirm a subscription, whose sender is known by now.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn confirm(&self, message: &Message) -> Result<(), Refusal> {
        self.must_be_allowed(message)?;
        let url = message.subscribe_url.as_deref().and_then(|url| self.trusted(url));
        let url = url.filter(|url| confirms(url, &message.topic_arn)).ok_or_else(|| {
            Refusal::forbidden("its SubscribeURL does not confirm a subscription to that topic at SNS")
        })?;
        let answered = self.fetcher.get(&url).await;
        answered.map_err(|why| Refusal::Unavailable(format!("the subscription could not be confirmed: {why}")))?;
        tracing::info!(topic = message.topic_arn, "confirmed a subscription of SNS");
        Ok(())
    }

    fn must_be_allowed(&self, message: &Message) -> Result<(), Refusal> {
        if self.topics.contains(&message.topic_arn) {
            return Ok(());
        }
        Err(Refusal::forbidden("its topic is not in events.sns_topics"))
    }

    /// An address of SNS: Amazon's, by TLS, or the local one's.
    fn trusted(&self, text: &str) -> Option<Url> {
        let url: Url = text.parse().ok()?;
        let known = match &self.endpoint {
            Some(endpoint) => url.origin() == endpoint.origin(),
            None => url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(is_sns),
        };
        (known && url.username().is_empty() && url.password().is_none()).then_some(url)
    }
}

/// `sns.REGION.amazonaws.com`, or China's.
fn is_sns(host: &str) -> bool {
    let region = host
        .strip_prefix("sns.")
        .and_then(|rest| rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn")));
    region.is_some_and(|region| region.len() > 2 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// SNS takes other calls at the same address.
fn confirms(url: &Url, topic: &str) -> bool {
    let has = |name: &str, value: &str| url.query_pairs().any(|(n, v)| n == name && v == value);
    let once = url.query_pairs().filter(|(name, _)| name == "Action").count() == 1;
    once && url.path() == "/" && has("Action", "ConfirmSubscription") && has("TopicArn", topic)
}

fn must_be_recent(timestamp: &str, now: OffsetDateTime) -> Result<(), Refusal> {
    let at =
        OffsetDateTime::parse(timestamp, &Rfc3339).map_err(|_| Refusal::unauthorized("its Timestamp is no time"))?;
    match now - at {
        age if age > OLDEST => Err(Refusal::unauthorized("it is more than an hour old")),
        age if age < -AHEAD => Err(Refusal::unauthorized("its Timestamp is ahead of this machine's clock")),
        _ => Ok(()),
    }
}

fn algorithm(version: &str) -> Option<&'static RsaParameters> {
    match version {
        "1" => Some(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        "2" => Some(&RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
