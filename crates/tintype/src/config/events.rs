//! `[events]`: how providers that push storage events prove who they are.

use subtle::ConstantTimeEq;
use url::{Host, Url};

use super::reader::Reader;

/// Least length of `events.eventgrid_key` and `events.b2_secret`: 16 random bytes take 22 characters, B2's own have 32.
const SHORTEST_KEY: usize = 20;

/// Whose events are taken without an API key.
#[derive(Debug, Clone)]
pub struct EventsConfig {
    /// ARNs of SNS topics whose signed messages are taken and whose subscriptions are confirmed.
    pub sns_topics: Vec<String>,
    /// Whose tokens are taken, as Pub/Sub sends them; none for nobody's.
    pub oidc: Option<OidcConfig>,
    /// What Event Grid shows; none when it shows nothing.
    pub eventgrid_key: Option<SharedKey>,
    /// What B2 signs its pushes with; none when it may not push.
    pub b2_secret: Option<SharedKey>,
}

/// Whose OpenID Connect tokens are taken.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// `iss`, exactly.
    pub issuer: String,
    /// Where the issuer's keys are.
    pub jwks_url: Url,
    /// `aud`, exactly.
    pub audience: String,
    /// `email`, one of these: the service accounts.
    pub emails: Vec<String>,
}

/// A secret that both sides show. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct SharedKey(String);

impl SharedKey {
    #[cfg(all(test, feature = "server"))]
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// What a message is signed with.
    #[cfg(feature = "server")]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it is the one that was shown, in constant time.
    pub fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedKey(…)")
    }
}

/// Reads the section.
pub(super) fn read(r: &mut Reader) -> Option<EventsConfig> {
    let (sns_topics, oidc) = (read_topics(r), read_oidc(r));
    let (eventgrid_key, b2_secret) = (read_key(r, "events.eventgrid_key"), read_key(r, "events.b2_secret"));
    Some(EventsConfig { sns_topics: sns_topics?, oidc: oidc?, eventgrid_key: eventgrid_key?, b2_secret: b2_secret? })
}

fn read_topics(r: &mut Reader) -> Option<Vec<String>> {
    let topics = r.texts("events.sns_topics")?;
    match topics.iter().find(|topic| !is_topic(topic)) {
        Some(wrong) => r.mistake(
            "events.sns_topics",
            &format!("{wrong:?} is no topic's ARN; write one such as \"arn:aws:sns:eu-west-1:123456789012:photos\""),
        ),
        None => Some(topics),
    }
}

fn is_topic(arn: &str) -> bool {
    let parts: Vec<_> = arn.split(':').collect();
    parts.len() == 6
        && parts[0] == "arn"
        && parts[1].starts_with("aws")
        && parts[2] == "sns"
        && parts[3..].iter().all(|part| !part.is_empty())
}

fn read_oidc(r: &mut Reader) -> Option<Option<OidcConfig>> {
    let issuer = r.name("events.oidc.issuer");
    let jwks_url = r.optional_url("events.oidc.jwks_url");
    let audience = r.text("events.oidc.audience");
    let emails = r.texts("events.oidc.emails");
    let (jwks_url, audience, emails) = (jwks_url?, audience?, emails?);
    if emails.is_empty() && audience.is_empty() {
        return Some(None);
    }
    if emails.is_empty() {
        return r
            .mistake("events.oidc.emails", "name the service account whose tokens are taken: anyone can have others");
    }
    if audience.is_empty() {
        return r.mistake("events.oidc.audience", "name the audience that the subscription's tokens are made for");
    }
    match jwks_url.filter(is_safe) {
        Some(jwks_url) => Some(Some(OidcConfig { issuer: issuer?, jwks_url, audience, emails })),
        None => r.mistake("events.oidc.jwks_url", "keys are fetched by https:// only, but from this machine"),
    }
}

/// Whoever can change keys on their way can sign as anyone.
fn is_safe(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        _ => false,
    };
    url.scheme() == "https" || local
}

fn read_key(r: &mut Reader, key: &str) -> Option<Option<SharedKey>> {
    match r.text(key)? {
        text if text.is_empty() => Some(None),
        text if text.len() < SHORTEST_KEY => {
            r.mistake(key, &format!("it must have {SHORTEST_KEY} characters at least, all random"))
        }
        text => Some(Some(SharedKey(text))),
    }
}
