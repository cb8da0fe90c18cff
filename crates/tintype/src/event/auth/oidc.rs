//! Pub/Sub: a token (JWT) that says which service account pushes, signed by its issuer's key.
//!
//! <https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use super::Refusal;
use super::fetch::Fetcher;
use crate::config::OidcConfig;

/// How long keys are believed without a look.
const FRESH: Duration = Duration::from_secs(3600);
/// How long they are believed while no new ones can be had.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How soon a key that is not among them is looked for again: issuers announce theirs hours before they use them.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// What a token may be signed by. No other: `none` is an algorithm too, and so is a secret that is the public key.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Verifies tokens of one issuer.
pub struct Oidc {
    config: OidcConfig,
    fetcher: Fetcher,
    keys: Mutex<Keys>,
    /// One look at a time: who shows a key that is known does not wait for it.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    set: Option<(Instant, Arc<JwkSet>)>,
    tried: Option<Instant>,
    /// When the last look ended that found none, while there were none.
    failed: Option<Instant>,
}

impl Keys {
    /// Those that are believed without a look: fresh ones, and while others are looked for those before.
    fn good(&self) -> Option<Arc<JwkSet>> {
        let (at, _) = self.set.as_ref()?;
        self.unstale().filter(|_| at.elapsed() < FRESH || self.were_looked_for(LOOK_AGAIN))
    }

    /// Those that may be believed.
    fn unstale(&self) -> Option<Arc<JwkSet>> {
        self.set.as_ref().filter(|(at, _)| at.elapsed() < STALE).map(|(_, set)| set.clone())
    }

    fn were_looked_for(&self, within: Duration) -> bool {
        self.tried.is_some_and(|tried| tried.elapsed() < within)
    }
}

fn cannot_be_had(why: &str) -> Refusal {
    Refusal::Unavailable(format!("the keys of events.oidc.jwks_url cannot be had: {why}"))
}

#[derive(Debug, Deserialize)]
struct Claims {
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

impl Oidc {
    /// One that has no keys yet.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(config: OidcConfig) -> Result<Self, String> {
        Ok(Self { config, fetcher: Fetcher::new()?, keys: Mutex::default(), looking: tokio::sync::Mutex::default() })
    }

    /// Whether a text has the shape of a token.
    pub fn is_token(text: &str) -> bool {
        text.split('.').count() == 3 && text.starts_with("ey")
    }

    /// Holds a token against its signature and what is configured.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify(&self, token: &str) -> Result<(), Refusal> {
        let header =
            decode_header(token).map_err(|_| Refusal::unauthorized("the token has no header that is known"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::unauthorized("the token is signed by neither RS256 nor ES256"));
        }
        let kid = header.kid.ok_or_else(|| Refusal::unauthorized("the token names no key"))?;
        let keys = self.keys_with(&kid).await?;
        let key = keys.find(&kid).ok_or_else(|| Refusal::unauthorized("the token's key is none of the issuer's"))?;
        self.check(
            token,
            header.alg,
            &key.try_into().map_err(|_| Refusal::unauthorized("the token's key is of no known kind"))?,
        )
    }

    fn check(&self, token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<(), Refusal> {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        let claims =
            decode::<Claims>(token, key, &validation).map_err(|error| Refusal::unauthorized(why(error.kind())))?.claims;
        let known = claims.email.is_some_and(|email| self.config.emails.contains(&email));
        if known && claims.email_verified {
            return Ok(());
        }
        Err(Refusal::forbidden("the token is of a service account that is not in events.oidc.emails"))
    }

    /// The issuer's keys; fetched when there are none, they are old, or this one is not among them.
    async fn keys_with(&self, kid: &str) -> Result<Arc<JwkSet>, Refusal> {
        if let Some(set) = self.keys().good().filter(|set| set.find(kid).is_some()) {
            return Ok(set);
        }
        let came = Instant::now();
        let _one = self.looking.lock().await;
        {
            let mut keys = self.keys();
            // Somebody else may have looked meanwhile.
            if let Some(set) = keys.good().filter(|set| keys.were_looked_for(LOOK_AGAIN) || set.find(kid).is_some()) {
                return Ok(set);
            }
            // Or looked in vain: who waited for that waits for no look more.
            if keys.unstale().is_none() && keys.failed.is_some_and(|at| at >= came) {
                return Err(cannot_be_had("they could not a moment ago"));
            }
            keys.tried = Some(Instant::now());
        }
        let fetched = self.fetch().await;
        let mut keys = self.keys();
        match (fetched, keys.unstale()) {
            (Ok(set), _) => {
                let set = Arc::new(set);
                keys.set = Some((Instant::now(), set.clone()));
                Ok(set)
            }
            (Err(why), Some(set)) => {
                tracing::warn!(why, "the issuer's keys could not be fetched again; the last ones stay");
                Ok(set)
            }
            (Err(why), None) => {
                keys.failed = Some(Instant::now());
                Err(cannot_be_had(&why))
            }
        }
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<JwkSet, String> {
        let body = self.fetcher.get(&self.config.jwks_url, None).await.map_err(|why| why.to_string())?;
        serde_json::from_slice(&body).map_err(|e| format!("they are no JWK set: {e}"))
    }
}

/// In words of our own: the library's repeat parts of the token.
fn why(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not good yet",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks exp, iss or aud",
        ErrorKind::InvalidSignature => "the token's signature is not its issuer's",
        _ => "the token is not good",
    }
}

#[cfg(test)]
mod tests;
