//! Who gets at the bucket: the public access block, ownership, and TLS in the policy.

use super::super::Exam;
use super::super::policy::{asks_for_tls, with_tls};
use super::super::public::{is_on, switches};
use super::super::settings::{Document, Setting, Settings};
use super::super::xml::{self, text_of};
use super::{NAMESPACE, Step, current, step, steps};

/// Turns switches of the public access block on; those that are on stay so.
pub fn block(exam: &Exam, settings: &Settings) -> Vec<Step> {
    let setting = Setting::PublicAccessBlock;
    steps(current(setting, &settings.public_access_block).map(|text| {
        let wanted = switches(&settings.policy, exam);
        let off: Vec<_> = wanted.iter().filter(|switch| !is_on(&text, switch)).copied().collect();
        if off.is_empty() {
            return Vec::new();
        }
        let changed = off.iter().try_fold(text.clone(), |text, switch| xml::set(&text, switch, "true"));
        vec![step(setting, format!("{} on", off.join(", ")), changed)]
    }))
}

/// Turns ACLs off, unless uploads need them.
pub fn ownership(exam: &Exam, document: &Document) -> Vec<Step> {
    let setting = Setting::Ownership;
    steps(current(setting, document).map(|text| {
        if text_of(&text, "ObjectOwnership").as_deref() == Some("BucketOwnerEnforced") {
            return Vec::new();
        }
        let acl = &exam.bucket.signer.acl;
        if !matches!(acl.as_str(), "" | "bucket-owner-full-control") {
            return vec![Step::Leave(format!("ownership: with ACLs off, S3 refuses upload.acl = {acl:?}"))];
        }
        let document = format!(
            "<OwnershipControls xmlns=\"{NAMESPACE}\"><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership>\
             </Rule></OwnershipControls>"
        );
        vec![step(setting, "BucketOwnerEnforced: ACLs off".to_owned(), Some(document))]
    }))
}

/// Adds a statement to the policy that refuses calls without TLS.
pub fn tls(exam: &Exam, document: &Document) -> Vec<Step> {
    let setting = Setting::Policy;
    steps(current(setting, document).map(|text| {
        let bucket = exam.bucket_name();
        if asks_for_tls(&text, bucket) {
            return Vec::new();
        }
        if !exam.reached_by_tls() {
            return vec![Step::Leave("policy: TLS is not asked for, since the store is reached by http://".to_owned())];
        }
        let arn = format!("arn:{}:s3:::{bucket}", partition(&exam.bucket.signer.region));
        vec![step(setting, "calls without TLS are refused".to_owned(), with_tls(&text, &arn))]
    }))
}

/// Which of AWS's separate worlds a region is in.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_of_the_regions_world() {
        assert_eq!(["eu-west-1", "cn-north-1", "us-gov-west-1"].map(partition), ["aws", "aws-cn", "aws-us-gov"]);
    }
}
