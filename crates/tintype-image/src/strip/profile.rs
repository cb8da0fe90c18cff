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
    is_profile.then(|| &bytes[..told.min(bytes.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_profile_is_no_part_of_it() {
        let mut profile = vec![0; 200];
        profile[..4].copy_from_slice(&200u32.to_be_bytes());
        profile[36..40].copy_from_slice(b"acsp");
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
}
