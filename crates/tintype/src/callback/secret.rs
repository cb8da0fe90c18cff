//! The secrets that sign callbacks, wherever they are kept.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use url::Url;

use super::signature::{Secret, Secrets};
use crate::aws::Aws;
use crate::aws::secret::{SecretArn, Stage};

/// How long a fetched secret is believed: a changed one is in use that much later at most.
const FRESH: Duration = Duration::from_secs(300);

/// Gives the secrets in force.
#[derive(Default)]
pub struct SigningSecret {
    /// Kept by AWS, fetched when it is first needed; what comes of it goes before the written ones.
    kept: Option<KeptSecret>,
    /// Written in the configuration, newest first.
    written: Vec<Secret>,
}

/// A secret that AWS keeps.
struct KeptSecret {
    arn: SecretArn,
    endpoint: Option<Url>,
    aws: OnceLock<Aws>,
    last: Mutex<Option<(Instant, Vec<Secret>)>>,
}

impl SigningSecret {
    /// Secrets as the configuration writes them, newest first.
    pub fn written(written: Vec<Secret>) -> Self {
        Self { kept: None, written }
    }

    /// A secret of that ARN before these; `endpoint` as for [`Aws::new`].
    pub fn kept(arn: SecretArn, endpoint: Option<Url>, written: Vec<Secret>) -> Self {
        Self { kept: Some(KeptSecret { arn, endpoint, aws: OnceLock::new(), last: Mutex::new(None) }), written }
    }

    /// The secrets in force now.
    ///
    /// # Errors
    /// When one is to be fetched, cannot be, and never could be. Try again.
    pub async fn current(&self) -> Result<Secrets, String> {
        let mut secrets = match &self.kept {
            Some(kept) => kept.current().await?,
            None => Vec::new(),
        };
        secrets.extend(self.written.iter().cloned());
        Ok(Secrets(secrets))
    }
}

impl KeptSecret {
    async fn current(&self) -> Result<Vec<Secret>, String> {
        let mut last = self.last.lock().await;
        if let Some((at, secrets)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(secrets.clone());
        }
        match (self.fetch().await, last.as_mut()) {
            (Ok(secrets), _) => {
                *last = Some((Instant::now(), secrets.clone()));
                Ok(secrets)
            }
            // Better a secret that was good five minutes ago than none.
            (Err(why), Some((at, secrets))) => {
                tracing::warn!(why, arn = %self.arn, "the callback secret could not be fetched again; the last one stays");
                *at = Instant::now();
                Ok(secrets.clone())
            }
            (Err(why), None) => Err(why),
        }
    }

    /// The one in force and, until it is taken away there, the one before it.
    async fn fetch(&self) -> Result<Vec<Secret>, String> {
        let aws = self.aws()?;
        let (current, previous) =
            tokio::join!(self.arn.fetch(aws, Stage::Current), self.arn.fetch(aws, Stage::Previous));
        let current = current.map_err(|e| e.to_string())?.ok_or_else(|| format!("{} holds nothing", self.arn))?;
        let mut secrets = vec![self.parse(&current)?];
        // Who knows the new one can do without the old: a trouble with that holds nothing back.
        match previous.map_err(|e| e.to_string()).and_then(|text| text.map(|text| self.parse(&text)).transpose()) {
            Ok(previous) => secrets.extend(previous),
            Err(why) => tracing::warn!(why, arn = %self.arn, "the previous callback secret does not sign"),
        }
        Ok(secrets)
    }

    /// One that AWS generated has no prefix.
    fn parse(&self, text: &str) -> Result<Secret, String> {
        let bare = text.strip_prefix("whsec_").unwrap_or(text);
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
