//! From the configuration to the bucket it means.

use std::time::Duration;

use std::sync::Arc;

use anyhow::{Context, bail};

use super::Exam;
use super::bucket::Bucket;
use super::objects::Objects;
use crate::app::secrets::load_account;
use crate::config::{Config, StoreUrl};
use crate::presign::s3::S3Presigner;
use crate::store::embedded;
use crate::store::s3::S3Store;

/// What is asked of the doctor beside the configuration.
pub struct Options {
    /// The page that uploads.
    pub origin: Option<String>,
    /// Longest time until the processor is done.
    pub wait: Duration,
    /// The command that examines this bucket again, as it was given.
    pub again: String,
    /// Hears what is being done.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Exam {
    /// The configured bucket.
    ///
    /// # Errors
    /// When the configuration does not make a bucket that can be signed for.
    pub fn new(config: &Config, options: Options) -> anyhow::Result<Self> {
        let (signer, endpoint) = match &config.store {
            StoreUrl::Embedded => embedded_signer(config)?,
            StoreUrl::S3 { bucket } => s3_signer(config, bucket)?,
        };
        Ok(Self {
            bucket: Bucket::new(signer)?,
            layout: config.layout.clone(),
            method: config.upload.method,
            keep_originals: config.keep_originals,
            origin: options.origin,
            wait: options.wait,
            endpoint,
            again: options.again,
            objects: Objects::new(config.layout.clone()),
            sandbox: config.sandbox,
            tell: options.tell,
        })
    }
}

type Signer = (S3Presigner, Option<String>);

fn s3_signer(config: &Config, bucket: &str) -> anyhow::Result<Signer> {
    let place = config.s3(bucket);
    let store = S3Store::new(&place).map_err(anyhow::Error::msg).context("cannot use the S3 store")?;
    let signer = S3Presigner {
        bucket: bucket.to_owned(),
        bucket_url: place.bucket_url(),
        region: place.region,
        acl: config.upload.acl.clone(),
        credentials: store.credentials(),
        once: !config.replaceable,
    };
    Ok((signer, place.endpoint.map(|endpoint| endpoint.as_str().trim_end_matches('/').to_owned())))
}

/// The store of a `tintype serve` that runs on this machine, by the account in its folder.
fn embedded_signer(config: &Config) -> anyhow::Result<Signer> {
    let account = config.data.join("store-credentials");
    if !account.exists() {
        bail!(
            "no bucket is named, and there is no {} of a `tintype serve` either; name one: tintype doctor s3://my-bucket",
            account.display()
        );
    }
    let endpoint = match &config.store_endpoint {
        Some(endpoint) => endpoint.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", config.store_listen),
    };
    let signer = S3Presigner {
        bucket: embedded::BUCKET.to_owned(),
        bucket_url: format!("{endpoint}/{}", embedded::BUCKET).parse()?,
        region: embedded::REGION.to_owned(),
        acl: config.upload.acl.clone(),
        credentials: Arc::new(load_account(&account)?),
        once: !config.replaceable,
    };
    Ok((signer, Some(endpoint)))
}
