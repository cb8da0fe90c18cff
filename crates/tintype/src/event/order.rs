//! Which of the events about one key count: the first bytes for good, or the newest.

use std::cmp::Ordering;

use crate::store::Pin;

/// Which bytes under a key are the upload's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The first that were accepted, for good: an upload that was asked for.
    FirstBytes,
    /// The newest: a key of the owner's own, or `upload.replaceable`. An older event changes nothing.
    Newest,
}

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// It brought other bytes than the first that were accepted.
    Replaced,
    /// The store itself did not take others than the first.
    Refused,
    /// It is of a state before the one that is known.
    Older,
}

impl Stale {
    /// The word, as a metric's label has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Refused => "refused",
            Self::Older => "older",
        }
    }
}

/// What an event is to a ledger that may know a state of the object already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// No state was known.
    First,
    /// It is of the state that is known.
    Same,
    /// It is of a later one.
    Newer,
    /// It does not count.
    Stale(Stale),
}

/// Compares an event's state of an object with the known one. `is_current`: the store just confirmed the event's state.
pub fn judge(rule: Rule, known: &Pin, told: &Pin, is_current: bool) -> News {
    let same = known.is_same(told);
    if !known.is_known() {
        News::First
    } else if rule == Rule::FirstBytes {
        // What cannot be compared is read under the pin, and so does no harm.
        if same == Some(false) { News::Stale(Stale::Replaced) } else { News::Same }
    } else if same == Some(true) {
        News::Same
    } else if is_current {
        News::Newer
    } else {
        match (&known.sequencer, &told.sequencer) {
            (Some(before), Some(now)) if sequencers(now, before) != Ordering::Greater => News::Stale(Stale::Older),
            _ => News::Newer,
        }
    }
}

impl Pin {
    /// The state that is developed again while the object at the key has this entity tag: the known one, or where the
    /// newest counts the one that is there. None when the known one is gone for good.
    pub fn again(self, etag: Option<String>, rule: Rule) -> Option<Self> {
        let now = Self { etag, sequencer: self.sequencer.clone(), ..Self::default() };
        match self.is_same(&now) {
            _ if !self.is_known() => Some(now),
            Some(false) if rule == Rule::Newest => Some(now),
            Some(false) if self.version.is_none() => None,
            _ => Some(self),
        }
    }
}

/// The later of two sequencers of one key.
pub fn later(one: Option<&str>, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) if sequencers(one, other) == Ordering::Less => Some(other.to_owned()),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// Compares two sequencers of one key, hexadecimal texts: the shorter one is padded with zeros on its right, as AWS says.
/// Generations, sixteen decimals, are in order by that too.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
pub fn sequencers(one: &str, other: &str) -> Ordering {
    let digits = |text: &str| text.trim_end_matches('0').to_ascii_lowercase();
    // Without the zeros at their ends, a text that begins another is the smaller of the two, as padded.
    digits(one).cmp(&digits(other))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pin(etag: &str, sequencer: &str) -> Pin {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Pin { etag: text(etag), sequencer: text(sequencer), ..Pin::default() }
    }

    #[test]
    fn sequencers_are_compared_from_their_first_digit_on() {
        assert_eq!(sequencers("0A1B2C3D4E5F678901", "0A1B2C3D4E5F678902"), Ordering::Less);
        assert_eq!(sequencers("0055AED6DCD90281E5FF", "0055AED6DCD9028300"), Ordering::Less);
        assert_eq!(sequencers("0055AED6DCD9028300", "0055aed6dcd902830000"), Ordering::Equal);
        assert_eq!(sequencers("0055AED6DCD9028300", "0055AED6DCD902830001"), Ordering::Less);
        assert_eq!(sequencers("1700000000000002", "1700000000000001"), Ordering::Greater);
        assert_eq!(later(Some("02"), Some("1")), Some("1".to_owned()));
        assert_eq!(later(Some("2"), None), Some("2".to_owned()));
    }

    #[test]
    fn what_is_developed_again_is_what_counts() {
        let again =
            |known: Pin, etag: &str, rule| known.again(Some(etag.to_owned()), rule).map(|pin| pin.etag.unwrap());
        for rule in [Rule::FirstBytes, Rule::Newest] {
            assert_eq!(again(pin("a", "1"), "a", rule).as_deref(), Some("a"));
            assert_eq!(again(Pin::default(), "a", rule).as_deref(), Some("a"));
        }
        assert_eq!(again(pin("a", "1"), "b", Rule::FirstBytes), None);
        assert_eq!(again(pin("a", "1"), "b", Rule::Newest).as_deref(), Some("b"));
        let version = Pin { version: Some("v".into()), ..pin("a", "1") };
        assert_eq!(version.clone().again(Some("b".into()), Rule::FirstBytes), Some(version), "it can be read still");
    }

    #[test]
    fn the_first_bytes_win_whatever_the_order() {
        let news = |known: &Pin, told: &Pin| judge(Rule::FirstBytes, known, told, true);
        assert_eq!(news(&Pin::default(), &pin("a", "1")), News::First);
        assert_eq!(news(&pin("", "5"), &pin("a", "6")), News::First, "an order alone names no bytes");
        assert_eq!(news(&pin("a", "1"), &pin("a", "2")), News::Same);
        assert_eq!(news(&pin("a", "1"), &pin("", "2")), News::Same);
        for sequencer in ["0", "1", "2"] {
            assert_eq!(news(&pin("a", "1"), &pin("b", sequencer)), News::Stale(Stale::Replaced));
        }
    }

    #[test]
    fn the_newest_wins_and_an_older_or_doubled_event_changes_nothing() {
        let news = |known: &Pin, told: &Pin| judge(Rule::Newest, known, told, false);
        assert_eq!(news(&pin("v2", "2"), &pin("v3", "3")), News::Newer);
        assert_eq!(news(&pin("v2", "2"), &pin("v1", "1")), News::Stale(Stale::Older));
        assert_eq!(news(&pin("v2", "2"), &pin("v1", "2")), News::Stale(Stale::Older));
        assert_eq!(news(&pin("v2", "2"), &pin("v2", "2")), News::Same);
        assert_eq!(news(&pin("v2", ""), &pin("v1", "1")), News::Newer, "without an order it is asked for before");
        assert_eq!(judge(Rule::Newest, &pin("v2", "9"), &pin("v3", ""), true), News::Newer);
    }
}
