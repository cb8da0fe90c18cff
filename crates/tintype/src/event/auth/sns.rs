//! SNS over HTTP: a message is signed by Amazon, and of a topic that is allowed; subscriptions to such are confirmed.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use std::net::IpAddr;

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

    /// What it tells: of all that is in it, the one part that is signed and read.
    pub fn text(&self) -> &str {
        &self.message
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
    /// For certificates: strangers can cause these.
    fetcher: Fetcher,
    /// For confirmations: only who signed one can cause it.
    confirmer: Fetcher,
}

impl Sns {
    /// One for these topics; `endpoint` is the address of a local AWS.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(topics: Vec<String>, endpoint: Option<Url>) -> Result<Self, String> {
        let (fetcher, confirmer) = (Fetcher::new()?, Fetcher::new()?);
        Ok(Self { topics, endpoint, certificates: Certificates::default(), fetcher, confirmer })
    }

    /// Whether any topic may push.
    pub fn takes_any(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Holds a message against its signature, its age and the topics that are allowed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify(&self, message: &Message, sender: Option<IpAddr>, now: OffsetDateTime) -> Result<(), Refusal> {
        // What costs nothing comes first: strangers can send this.
        self.must_be_allowed(message)?;
        must_be_recent(&message.timestamp, now)?;
        let algorithm = algorithm(&message.signature_version)
            .ok_or_else(|| Refusal::unauthorized("its SignatureVersion is neither 1 nor 2"))?;
        let signed = message.canonical().ok_or_else(|| Refusal::unauthorized("it lacks SubscribeURL or Token"))?;
        let signature =
            STANDARD.decode(&message.signature).map_err(|_| Refusal::unauthorized("its Signature is no base64"))?;
        let url = self
            .trusted(&message.signing_cert_url, &message.topic_arn)
            .filter(|url| self.is_certificate(url))
            .ok_or_else(|| Refusal::unauthorized("its SigningCertURL is no certificate of SNS"))?;
        let key = self.certificates.key(&self.fetcher, &url, sender, now).await?;
        let key = UnparsedPublicKey::new(algorithm, key);
        key.verify(signed.as_bytes(), &signature).map_err(|_| Refusal::unauthorized("its Signature is not SNS's"))
    }

    /// Answers a request to confirm a subscription, whose sender is known by now.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn confirm(&self, message: &Message) -> Result<(), Refusal> {
        self.must_be_allowed(message)?;
        let url = message.subscribe_url.as_deref().and_then(|url| self.trusted(url, &message.topic_arn));
        let url = url.filter(|url| confirms(url, &message.topic_arn)).ok_or_else(|| {
            Refusal::forbidden("its SubscribeURL does not confirm a subscription to that topic at SNS")
        })?;
        let answered = self.confirmer.get(&url, None).await;
        answered.map_err(|why| Refusal::Unavailable(format!("the subscription could not be confirmed: {why}")))?;
        tracing::info!(topic = message.topic_arn, "confirmed a subscription of SNS");
        Ok(())
    }

    /// Of a local AWS, any PEM will do.
    fn is_certificate(&self, url: &Url) -> bool {
        let named = match &self.endpoint {
            Some(_) => url.path().ends_with(".pem"),
            None => is_certificate_name(url.path()),
        };
        named && url.query().is_none()
    }

    fn must_be_allowed(&self, message: &Message) -> Result<(), Refusal> {
        if self.topics.contains(&message.topic_arn) {
            return Ok(());
        }
        Err(Refusal::forbidden("its topic is not in events.sns_topics"))
    }

    /// An address of SNS where a topic is: Amazon's, by TLS, in the topic's own region; or the local one's. So nobody has
    /// others asked for than the topics that are allowed have.
    fn trusted(&self, text: &str, topic: &str) -> Option<Url> {
        let url: Url = text.parse().ok()?;
        let known = match &self.endpoint {
            Some(endpoint) => url.origin() == endpoint.origin(),
            None => url.scheme() == "https" && url.port().is_none() && url.host_str() == host_of(topic).as_deref(),
        };
        (known && url.username().is_empty() && url.password().is_none()).then_some(url)
    }
}

/// `sns.REGION.amazonaws.com`, or China's, of a topic's ARN: <https://docs.aws.amazon.com/general/latest/gr/sns.html>.
fn host_of(topic: &str) -> Option<String> {
    let parts: Vec<_> = topic.split(':').collect();
    let [_, partition, "sns", region, _, _] = parts[..] else { return None };
    let suffix = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        _ => return None,
    };
    is_region(region).then(|| format!("sns.{region}.{suffix}"))
}

/// `eu-west-1`, `us-gov-east-1`: letters in two or three parts, then a number.
fn is_region(text: &str) -> bool {
    let Some((words, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| (2..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    let count = words.split('-').count();
    (2..=3).contains(&count)
        && words.split('-').all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// The name that SNS's certificates have.
fn is_certificate_name(path: &str) -> bool {
    let name = path.strip_prefix("/SimpleNotificationService-").and_then(|rest| rest.strip_suffix(".pem"));
    name.is_some_and(|name| name.len() == 32 && name.bytes().all(|b| b.is_ascii_alphanumeric()))
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
