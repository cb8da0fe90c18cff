//! A secret that is kept in Secrets Manager or in SSM's Parameter Store.

use serde_json::{Value, json};

use super::{Aws, AwsError};

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArn {
    arn: String,
    region: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    SecretsManager,
    Parameter(String),
}

/// Which version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The one in force.
    Current,
    /// The one before it.
    Previous,
}

impl Stage {
    fn label(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

impl SecretArn {
    /// Reads `arn:aws:secretsmanager:…:secret:…` or `arn:aws:ssm:…:parameter/…`.
    ///
    /// # Errors
    /// What it must look like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "it must be the ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, or of a parameter, arn:aws:ssm:REGION:ACCOUNT:parameter/NAME";
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", _, service, region, _, resource] = parts.as_slice() else { return Err(SHAPE) };
        let place = match (service, resource.split_once([':', '/'])) {
            ("secretsmanager", Some(("secret", name))) if !name.is_empty() => Place::SecretsManager,
            ("ssm", Some(("parameter", name))) if !name.is_empty() => Place::Parameter(parameter_name(name)),
            _ => return Err(SHAPE),
        };
        if region.is_empty() {
            return Err(SHAPE);
        }
        Ok(Self { arn: text.to_owned(), region: region.to_owned(), place })
    }

    /// Fetches the secret's text; none where there is no such version. Parameter Store tells of the current one alone.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn fetch(&self, aws: &Aws, stage: Stage) -> Result<Option<String>, AwsError> {
        let (service, target, body, at) = match (&self.place, stage) {
            (Place::SecretsManager, stage) => {
                let body = json!({"SecretId": self.arn, "VersionStage": stage.label()});
                ("secretsmanager", "secretsmanager.GetSecretValue", body, "/SecretString")
            }
            (Place::Parameter(name), Stage::Current) => {
                let body = json!({"Name": name, "WithDecryption": true});
                ("ssm", "AmazonSSM.GetParameter", body, "/Parameter/Value")
            }
            (Place::Parameter(_), Stage::Previous) => return Ok(None),
        };
        let answer = match aws.call(service, &self.region, target, &body).await {
            Err(AwsError::Refused { message, .. })
                if stage == Stage::Previous && message.starts_with("ResourceNotFoundException") =>
            {
                return Ok(None);
            }
            answer => answer?,
        };
        let text = answer.pointer(at).and_then(Value::as_str).map(|text| text.trim().to_owned());
        text.map(Some).ok_or_else(|| AwsError::Unavailable {
            service: service.to_owned(),
            why: format!("its answer for {} holds no text", self.arn),
        })
    }
}

impl std::fmt::Display for SecretArn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.arn)
    }
}

/// `parameter/a/b` in an ARN is the parameter `/a/b`, and `parameter/a` is `a`.
fn parameter_name(rest: &str) -> String {
    if rest.contains('/') { format!("/{rest}") } else { rest.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_of_secrets() {
        let place = |text: &str| SecretArn::parse(text).map(|arn| (arn.region, arn.place));
        let region = "eu-west-1".to_owned();
        let manager = place("arn:aws:secretsmanager:eu-west-1:123456789012:secret:tintype-AbCdEf").unwrap();
        assert_eq!(manager, (region.clone(), Place::SecretsManager));
        for (arn, name) in [("tintype", "tintype"), ("prod/tintype", "/prod/tintype")] {
            let parameter = place(&format!("arn:aws:ssm:eu-west-1:123456789012:parameter/{arn}")).unwrap();
            assert_eq!(parameter, (region.clone(), Place::Parameter(name.into())));
        }
        for bad in ["", "whsec_abc", "arn:aws:s3:::bucket", "arn:aws:ssm::1:parameter/a", "arn:aws:ssm:r:1:parameter/"]
        {
            assert!(SecretArn::parse(bad).is_err(), "{bad}");
        }
    }
}
