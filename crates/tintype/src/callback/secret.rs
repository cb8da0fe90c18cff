//! The secret that signs callbacks, wherever it is kept.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use url::Url;

use super::Secret;
use crate::aws::Aws;
use crate::aws::secret::SecretArn;

/// How long a fetched secret is believed: a changed one is in use that much later at most.
const FRESH: Duration = Duration::from_secs(300);

/// Gives the secret in force.
pub enum SigningSecret {
    /// There is none: callbacks are not signed.
    None,
    /// Written in the configuration.
    Fixed(Secret),
    /// Kept by AWS, fetched when it is first needed.
    Aws(Box<FetchedSecret>),
}

/// A secret that AWS keeps.
pub struct FetchedSecret {
    arn: SecretArn,
    endpoint: Option<Url>,
    aws: OnceLock<Aws>,
    last: Mutex<Option<(Instant, Secret)>>,
}

impl SigningSecret {
    /// A secret of that ARN; `endpoint` as for [`Aws::new`].
    pub fn of_arn(arn: SecretArn, endpoint: Option<Url>) -> Self {
        Self::Aws(Box::new(FetchedSecret { arn, endpoint, aws: OnceLock::new(), last: Mutex::new(None) }))
    }

    /// The secret in force now.
    ///
    /// # Errors
    /// When it cannot be fetched, and never could be. Try again.
    pub async fn current(&self) -> Result<Option<Secret>, String> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(secret) => Ok(Some(secret.clone())),
            Self::Aws(fetched) => fetched.current().await.map(Some),
        }
    }
}

impl FetchedSecret {
    async fn current(&self) -> Result<Secret, String> {
        let mut last = self.last.lock().await;
        if let Some((at, secret)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(secret.clone());
        }
        match (self.fetch().await, last.as_mut()) {
            (Ok(secret), _) => {
                *last = Some((Instant::now(), secret.clone()));
                Ok(secret)
            }
            // Better a secret that was good five minutes ago than none.
            (Err(why), Some((at, secret))) => {
                tracing::warn!(why, arn = %self.arn, "the callback secret could not be fetched again; the last one stays");
                *at = Instant::now();
                Ok(secret.clone())
            }
            (Err(why), None) => Err(why),
        }
    }

    async fn fetch(&self) -> Result<Secret, String> {
        let text = self.arn.fetch(self.aws()?).await.map_err(|e| e.to_string())?;
        // One that AWS generated has no prefix.
        let bare = text.strip_prefix("whsec_").unwrap_or(&text);
        Secret::parse(&format!("whsec_{bare}")).map_err(|why| format!("what {} holds is no secret: {why}", self.arn))
    }

    fn aws(&self) -> Result<&Aws, String> {
        if self.aws.get().is_none() {
            // Should two come at once, one is dropped.
            let _ = self.aws.set(Aws::new(self.endpoint.clone())?);
        }
        self.aws.get().ok_or_else(|| "AWS cannot be called".to_owned())
    }
}
