//! What requests cost on S3. A guess to decide by, not a bill.

use std::ops::AddAssign;

use serde::Serialize;

/// Where and when these prices held: <https://aws.amazon.com/s3/pricing/>, storage class S3 Standard.
pub const PRICES: &str = "S3 Standard list prices of us-east-1, November 2026";
/// Dollars for a thousand PUT or LIST requests.
pub const WRITE_PER_THOUSAND: f64 = 0.005;
/// Dollars for a thousand GET or HEAD requests.
pub const READ_PER_THOUSAND: f64 = 0.0004;
/// Dollars for a gigabyte that leaves the region, after the first hundred of a month.
pub const EGRESS_PER_GB: f64 = 0.09;
/// Bytes of the gigabyte that AWS bills by.
const GB: f64 = (1u64 << 30) as f64;
/// Names in a page of a listing.
const PAGE: u64 = 1000;

/// Requests by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Pages of the listing.
    pub list: u64,
    /// Manifests and originals.
    pub get: u64,
    /// Variants that should be there.
    pub head: u64,
    /// Variants and manifests.
    pub put: u64,
}

impl Requests {
    /// Those of listing so many names, with the folder of variants jumped over.
    pub fn listing(names: u64) -> Self {
        Self { list: names / PAGE + 2, ..Self::default() }
    }

    /// What they cost in dollars.
    pub fn dollars(&self) -> f64 {
        let (writes, reads) = (self.put + self.list, self.get + self.head);
        (writes as f64 * WRITE_PER_THOUSAND + reads as f64 * READ_PER_THOUSAND) / 1000.0
    }
}

impl AddAssign for Requests {
    fn add_assign(&mut self, other: Self) {
        self.list += other.list;
        self.get += other.get;
        self.head += other.head;
        self.put += other.put;
    }
}

/// What it costs in dollars that so many bytes leave the region.
pub fn egress_dollars(bytes: u64) -> f64 {
    bytes as f64 / GB * EGRESS_PER_GB
}

/// As a person reads it: small sums keep two digits that say something.
pub fn dollars(sum: f64) -> String {
    match sum {
        _ if sum <= 0.0 => "$0".to_owned(),
        _ if sum < 0.0001 => "less than $0.0001".to_owned(),
        _ if sum < 0.1 => format!("${sum:.4}"),
        _ => format!("${sum:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_of_each() {
        let million = 1_000_000;
        let of = |requests: Requests| requests.dollars();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(of(Requests { put: million, ..Requests::default() }), 5.0));
        assert!(close(of(Requests { list: million, ..Requests::default() }), 5.0));
        assert!(close(of(Requests { get: million, ..Requests::default() }), 0.4));
        assert!(close(of(Requests { head: million, ..Requests::default() }), 0.4));
        assert!(close(of(Requests { list: 1000, get: 2000, head: 5000, put: 9000 }), 0.005 + 0.0028 + 0.045));
        assert!(close(egress_dollars(100 << 30), 9.0));
    }

    #[test]
    fn sums_say_something() {
        let texts = [0.0, 0.00004, 0.0225, 0.5, 45.678].map(dollars);
        assert_eq!(texts, ["$0", "less than $0.0001", "$0.0225", "$0.50", "$45.68"]);
    }

    #[test]
    fn a_page_has_a_thousand_names() {
        assert_eq!(Requests::listing(999).list, 2);
        assert_eq!(Requests::listing(5000).list, 7);
    }
}
