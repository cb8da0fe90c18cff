//! Colour profiles stay with their pixels. What calls itself one and is none goes, and so does what follows one.

use crate::color::MOST_PROFILE;
use crate::container::be32;

/// The header, and the number of tags after it.
const SHORTEST: usize = 132;

/// The profile itself, of bytes that claim to be one. What is too long to be heeded is none.
pub(super) fn of(bytes: &[u8]) -> Option<&[u8]> {
    let told = be32(bytes, 0)? as usize;
    let is_profile =
        bytes.get(36..40)? == b"acsp" && told >= SHORTEST && (SHORTEST..=MOST_PROFILE).contains(&bytes.len());
    // A profile cut short is read as far as it goes.
    let profile = &bytes[..told.min(bytes.len())];
    (is_profile && holds_a_tag(profile)).then_some(profile)
}

/// Whether some tag lies within a profile: of one without, no reader makes anything.
fn holds_a_tag(profile: &[u8]) -> bool {
    const TAG: usize = 12;
    let Some((head, table)) = profile.split_at_checked(SHORTEST) else { return false };
    let count = be32(head, SHORTEST - 4).map_or(0, |count| count as usize);
    let lies_within = |tag: &[u8; TAG]| {
        let (at, length) = (be32(tag, 4).unwrap_or(0), be32(tag, 8).unwrap_or(0));
        length > 0 && u64::from(at) + u64::from(length) <= profile.len() as u64
    };
    let tags = table.as_chunks::<TAG>().0;
    tags.get(..count).is_some_and(|tags| tags.iter().any(lies_within))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one tag, that lies behind its table.
    fn a_profile() -> Vec<u8> {
        let mut profile = vec![0; 200];
        profile[..4].copy_from_slice(&200u32.to_be_bytes());
        profile[36..40].copy_from_slice(b"acsp");
        let numbers = [1, u32::from_be_bytes(*b"wtpt"), 144, 6].map(u32::to_be_bytes);
        profile[128..144].copy_from_slice(numbers.as_flattened());
        profile
    }

    #[test]
    fn what_follows_a_profile_is_no_part_of_it() {
        let mut profile = a_profile();
        assert_eq!(of(&profile), Some(&profile[..]));
        let longer = [&profile[..], b"SECRET"].concat();
        assert_eq!(of(&longer), Some(&profile[..]));
        assert_eq!(of(&profile[..150]), Some(&profile[..150]));
        profile[36] = b'A';
        assert_eq!(of(&profile), None);
        assert_eq!(of(b"SECRET"), None);
        profile[36] = b'a';
        profile.resize(MOST_PROFILE, 0);
        assert_eq!(of(&profile).map(<[u8]>::len), Some(200));
        profile.push(0);
        assert_eq!(of(&profile), None);
    }

    #[test]
    fn one_without_a_tag_is_none() {
        let with = |at: usize, number: u32| {
            let mut profile = a_profile();
            profile[at..at + 4].copy_from_slice(&number.to_be_bytes());
            profile
        };
        assert!(of(&with(128, 2)).is_some(), "one of two is enough");
        for (what, bytes) in [
            ("none", with(128, 0)),
            ("more than there is room for", with(128, 0x4E45_4544)),
            ("one beyond the end", with(136, 0x4E45_4544)),
            ("one that ends beyond it", with(140, 57)),
            ("one of no length", with(140, 0)),
        ] {
            assert_eq!(of(&bytes), None, "{what}");
        }
        assert_eq!(of(&a_profile()[..149]), None, "cut before it ends");
    }
}
