//! The bucket's settings, as the store holds them.

use http::{Method, StatusCode};
use serde_json::Value;

use super::bucket::{Answer, Bucket};
use super::finding::{Finding, Trouble};
use crate::presign::header::Call;

/// A part of a bucket's configuration that has a document of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Who is told of what happens in it.
    Notification,
    /// What expires.
    Lifecycle,
    /// Which pages may call it.
    Cors,
    /// Who may do what.
    Policy,
    /// Whether that makes it public.
    PolicyStatus,
    /// What no policy and no ACL can open.
    PublicAccessBlock,
    /// Whose objects are.
    Ownership,
    /// How they are encrypted.
    Encryption,
    /// Whether older versions stay.
    Versioning,
}

impl Setting {
    /// Its part of the query, the root of its document, and the permissions to read and to write it.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Notification => {
                ["notification", "NotificationConfiguration", "s3:GetBucketNotification", "s3:PutBucketNotification"]
            }
            Self::Lifecycle => {
                ["lifecycle", "LifecycleConfiguration", "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"]
            }
            Self::Cors => ["cors", "CORSConfiguration", "s3:GetBucketCORS", "s3:PutBucketCORS"],
            Self::Policy => ["policy", "", "s3:GetBucketPolicy", "s3:PutBucketPolicy"],
            Self::PolicyStatus => ["policyStatus", "PolicyStatus", "s3:GetBucketPolicyStatus", ""],
            Self::PublicAccessBlock => [
                "publicAccessBlock",
                "PublicAccessBlockConfiguration",
                "s3:GetBucketPublicAccessBlock",
                "s3:PutBucketPublicAccessBlock",
            ],
            Self::Ownership => [
                "ownershipControls",
                "OwnershipControls",
                "s3:GetBucketOwnershipControls",
                "s3:PutBucketOwnershipControls",
            ],
            Self::Encryption => [
                "encryption",
                "ServerSideEncryptionConfiguration",
                "s3:GetEncryptionConfiguration",
                "s3:PutEncryptionConfiguration",
            ],
            Self::Versioning => {
                ["versioning", "VersioningConfiguration", "s3:GetBucketVersioning", "s3:PutBucketVersioning"]
            }
        }
    }

    /// As people name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Lifecycle => "lifecycle",
            Self::Cors => "CORS",
            Self::Policy => "policy",
            Self::PolicyStatus => "policy status",
            Self::PublicAccessBlock => "public access block",
            Self::Ownership => "ownership",
            Self::Encryption => "encryption",
            Self::Versioning => "versioning",
        }
    }

    /// The root of its document; empty for JSON.
    pub const fn root(self) -> &'static str {
        self.names()[1]
    }

    /// The permission that reading it takes.
    pub const fn permission(self) -> &'static str {
        self.names()[2]
    }

    /// The permission that writing it takes.
    pub const fn write_permission(self) -> &'static str {
        self.names()[3]
    }

    /// The call that reads it, or writes it.
    pub fn call(self, method: Method) -> Call {
        Call::new(method).query(self.names()[0], "")
    }

    /// Asks the store for it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn read(self, bucket: &Bucket) -> Result<Document, Trouble> {
        Ok(self.understand(&bucket.signed(&self.call(Method::GET)).await?))
    }

    fn understand(self, answer: &Answer) -> Document {
        let code = answer.code().unwrap_or_default();
        match answer.status {
            // It gives an empty document, and takes a new one as the making of a bucket.
            _ if self == Self::Notification && answer.is_of_seaweedfs() => Document::Unknown,
            StatusCode::OK if self.is_one(&answer.text) => Document::Found(answer.text.clone()),
            // A store that does not know the query lists the bucket.
            StatusCode::OK => Document::Unknown,
            StatusCode::NOT_FOUND if code == "NoSuchBucket" => Document::Failed(answer.said()),
            StatusCode::NOT_FOUND if code.starts_with("NoSuch") || code.contains("NotFound") => Document::Absent,
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Document::Denied,
            _ if answer.refused() => Document::Unknown,
            _ => Document::Failed(answer.said_why()),
        }
    }

    fn is_one(self, text: &str) -> bool {
        if self.root().is_empty() {
            return serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
        }
        roxmltree::Document::parse(text).is_ok_and(|parsed| parsed.root_element().tag_name().name() == self.root())
    }
}

/// What the store says of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// This.
    Found(String),
    /// It is not set.
    Absent,
    /// The store has no such setting.
    Unknown,
    /// These credentials may not look.
    Denied,
    /// Something else.
    Failed(String),
}

impl Document {
    /// The text; empty where the setting is not set.
    ///
    /// # Errors
    /// The row that says why there is none.
    pub fn text(&self, setting: Setting, check: &'static str) -> Result<&str, Finding> {
        match self {
            Self::Found(text) => Ok(text),
            Self::Absent => Ok(""),
            Self::Unknown => Err(Finding::skipped(check, "this store has no such setting")),
            Self::Denied => {
                let permission = setting.permission();
                Err(Finding::skipped(check, "these credentials may not look")
                    .fix(format!("to have it looked at, allow them {permission}")))
            }
            Self::Failed(why) => Err(Finding::problem(check, format!("the store failed: {why}"))),
        }
    }
}

/// All settings that the checks look at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`Setting::Notification`].
    pub notification: Document,
    /// [`Setting::Lifecycle`].
    pub lifecycle: Document,
    /// [`Setting::Cors`].
    pub cors: Document,
    /// [`Setting::Policy`].
    pub policy: Document,
    /// [`Setting::PolicyStatus`].
    pub policy_status: Document,
    /// [`Setting::PublicAccessBlock`].
    pub public_access_block: Document,
    /// [`Setting::Ownership`].
    pub ownership: Document,
    /// [`Setting::Encryption`].
    pub encryption: Document,
    /// [`Setting::Versioning`].
    pub versioning: Document,
}

impl Settings {
    /// Reads them all.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn read(bucket: &Bucket) -> Result<Self, Trouble> {
        Ok(Self {
            notification: Setting::Notification.read(bucket).await?,
            lifecycle: Setting::Lifecycle.read(bucket).await?,
            cors: Setting::Cors.read(bucket).await?,
            policy: Setting::Policy.read(bucket).await?,
            policy_status: Setting::PolicyStatus.read(bucket).await?,
            public_access_block: Setting::PublicAccessBlock.read(bucket).await?,
            ownership: Setting::Ownership.read(bucket).await?,
            encryption: Setting::Encryption.read(bucket).await?,
            versioning: Setting::Versioning.read(bucket).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Answer { status, headers: Default::default(), text: text.to_owned() }
    }

    fn error(status: u16, code: &str) -> Answer {
        answer(status, &format!("<Error><Code>{code}</Code></Error>"))
    }

    #[test]
    fn what_is_not_set_is_told_from_what_is_not_known() {
        let understand = |answer: Answer| Setting::Lifecycle.understand(&answer);
        let rules = "<LifecycleConfiguration xmlns=\"urn:s3\"/>";
        assert_eq!(understand(answer(200, rules)), Document::Found(rules.to_owned()));
        assert_eq!(understand(answer(200, "<ListBucketResult/>")), Document::Unknown);
        assert_eq!(understand(error(404, "NoSuchLifecycleConfiguration")), Document::Absent);
        assert_eq!(understand(error(404, "OwnershipControlsNotFoundError")), Document::Absent);
        assert!(matches!(understand(error(404, "NoSuchBucket")), Document::Failed(_)));
        assert_eq!(understand(error(403, "AccessDenied")), Document::Denied);
        assert_eq!(understand(error(501, "NotImplemented")), Document::Unknown);
        assert_eq!(understand(error(400, "InvalidRequest")), Document::Unknown);
        assert!(matches!(understand(error(503, "SlowDown")), Document::Failed(_)));
        let mut seaweedfs = answer(200, "<NotificationConfiguration/>");
        let notification = |answer: &Answer| Setting::Notification.understand(answer);
        assert!(matches!(notification(&seaweedfs), Document::Found(_)));
        seaweedfs.headers.insert("server", http::HeaderValue::from_static("SeaweedFS 8000GB 4.48"));
        assert_eq!(notification(&seaweedfs), Document::Unknown);
        assert_eq!(Setting::Policy.understand(&answer(200, "{}")), Document::Found("{}".to_owned()));
    }
}
