//! Which of two events about one key is the later one, where the store tells.

use std::cmp::Ordering;

/// Compares two sequencers of one key: numbers in hex (S3, Ceph) or decimals (generations), the shorter one padded with
/// zeros on its left.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
pub fn sequencers(one: &str, other: &str) -> Ordering {
    let number = |text: &str| text.trim_start_matches('0').to_ascii_lowercase();
    let (one, other) = (number(one), number(other));
    one.len().cmp(&other.len()).then_with(|| one.cmp(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_number_is_later_but_for_its_zeros() {
        assert_eq!(sequencers("0A1B2C3D4E5F678901", "0A1B2C3D4E5F678902"), Ordering::Less);
        assert_eq!(sequencers("000FF", "100"), Ordering::Less);
        assert_eq!(sequencers("00abc", "ABC"), Ordering::Equal);
        assert_eq!(sequencers("1700000000000002", "1700000000000001"), Ordering::Greater);
    }
}
