//! What an API key may do.

use std::fmt;

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Ask for uploads.
    UploadsCreate,
    /// See every upload.
    UploadsRead,
    /// Delete uploads and develop them again.
    UploadsWrite,
    /// Tell how an upload ended, as a remote processor does.
    Results,
    /// Push storage events.
    Events,
    /// See the callback log, and send callbacks again.
    Deliveries,
    /// See the metrics.
    Metrics,
    /// All of these, and whatever there will be.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::UploadsCreate,
        Self::UploadsRead,
        Self::UploadsWrite,
        Self::Results,
        Self::Events,
        Self::Deliveries,
        Self::Metrics,
        Self::Admin,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UploadsCreate => "uploads:create",
            Self::UploadsRead => "uploads:read",
            Self::UploadsWrite => "uploads:write",
            Self::Results => "results",
            Self::Events => "events",
            Self::Deliveries => "deliveries",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    /// The scope a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All that a key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Everything.
    pub fn all() -> Self {
        Self(vec![Scope::Admin])
    }

    /// Words with spaces between them.
    ///
    /// # Errors
    /// The first word that is no scope.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scopes = text.split_whitespace().map(|word| Scope::parse(word).ok_or_else(|| word.to_owned()));
        scopes.collect::<Result<_, _>>().map(Self)
    }

    /// Those words of a text that are scopes: a later version may have given a key others.
    pub fn known(text: &str) -> Self {
        Self(text.split_whitespace().filter_map(Scope::parse).collect())
    }

    /// Whether one thing is among them.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.iter().any(|given| *given == scope || *given == Scope::Admin)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_scope_allows_itself_and_admin_allows_all() {
        let scopes = Scopes::parse("uploads:create  events").unwrap();
        for scope in Scope::ALL {
            assert_eq!(scopes.allow(scope), matches!(scope, Scope::UploadsCreate | Scope::Events), "{scope}");
            assert!(Scopes::all().allow(scope));
            assert!(!Scopes::known("").allow(scope));
        }
        assert_eq!(scopes.to_string(), "uploads:create events");
    }

    #[test]
    fn what_is_no_scope_is_said_and_allows_nothing() {
        assert_eq!(Scopes::parse("events upload").unwrap_err(), "upload");
        assert_eq!(Scopes::known("future:thing events").to_string(), "events");
    }
}
