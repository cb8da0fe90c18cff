//! Who pushed an event, where it is no API key that says so: each provider's own proof, a file each.

pub mod b2;
mod certificate;
mod fetch;
mod oidc;
pub mod sns;

use std::net::IpAddr;

use time::OffsetDateTime;
use url::Url;

use crate::config::{EventsConfig, SharedKey};
use oidc::Oidc;
use sns::{Message, Sns};

/// Why a message is not taken. None of them holds anything of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It proves nothing, or something false.
    #[error("{0}")]
    Unauthorized(String),
    /// Its sender is known, and may not.
    #[error("{0}")]
    Forbidden(String),
    /// What it is to be held against cannot be had just now; the sender is to try again.
    #[error("{0}")]
    Unavailable(String),
}

impl Refusal {
    fn unauthorized(why: impl Into<String>) -> Self {
        Self::Unauthorized(why.into())
    }

    fn forbidden(why: impl Into<String>) -> Self {
        Self::Forbidden(why.into())
    }
}

/// What a sender showed beside the message.
#[derive(Default)]
pub struct Shown<'a> {
    /// In a header.
    pub header: Option<&'a str>,
    /// As `?code=`.
    pub code: Option<&'a str>,
}

/// Holds pushed messages against what their providers prove themselves by.
pub struct Gate {
    sns: Sns,
    oidc: Option<Oidc>,
    eventgrid_key: Option<SharedKey>,
    b2_secret: Option<SharedKey>,
}

impl Gate {
    /// One that is configured; `aws` is the address of a local AWS.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(config: &EventsConfig, aws: Option<&Url>) -> Result<Self, String> {
        Ok(Self {
            sns: Sns::new(config.sns_topics.clone(), aws.cloned())?,
            oidc: config.oidc.clone().map(Oidc::new).transpose()?,
            eventgrid_key: config.eventgrid_key.clone(),
            b2_secret: config.b2_secret.clone(),
        })
    }

    /// Whether the sender is a provider that may push, by what it shows beside the message; none where it shows nothing
    /// that such a one would.
    pub async fn judge(&self, shown: &Shown<'_>) -> Option<Result<(), Refusal>> {
        if let Some(judged) = self.knows(shown) {
            return Some(judged);
        }
        let token = shown.header.filter(|text| Oidc::is_token(text))?;
        Some(self.oidc.as_ref()?.verify(token).await)
    }

    /// Whether any topic of SNS may push.
    pub fn takes_sns(&self) -> bool {
        self.sns.takes_any()
    }

    /// Whether B2 may push.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] while its signature cannot be checked.
    pub fn takes_b2(&self) -> Result<&SharedKey, Refusal> {
        let unset = || Refusal::unauthorized("B2's signature cannot be checked: events.b2_secret is not set");
        self.b2_secret.as_ref().ok_or_else(unset)
    }

    /// Holds a body against the signature that B2 sent with it.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`].
    pub fn verify_b2(&self, signature: &str, body: &[u8]) -> Result<(), Refusal> {
        b2::verify(self.takes_b2()?, signature, body)
    }

    /// Holds a message of SNS against its proof, which is in it. The address is its sender's, if that says anything.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify_sns(&self, message: &Message, sender: Option<IpAddr>) -> Result<(), Refusal> {
        self.sns.verify(message, sender, OffsetDateTime::now_utc()).await
    }

    /// Whether Event Grid's key was shown; none where nothing was shown that could be meant for it.
    fn knows(&self, shown: &Shown<'_>) -> Option<Result<(), Refusal>> {
        let key = self.eventgrid_key.as_ref();
        if [shown.header, shown.code].into_iter().flatten().any(|text| key.is_some_and(|key| key.is(text))) {
            return Some(Ok(()));
        }
        shown.code.map(|_| Err(Refusal::unauthorized("`code` is not events.eventgrid_key")))
    }

    /// Answers a request to confirm a subscription of SNS, whose sender is known by now.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn confirm(&self, message: &Message) -> Result<(), Refusal> {
        self.sns.confirm(message).await
    }
}
