//! What was found: one row of the table each.

use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It holds.
    Ok,
    /// It does not hold.
    Problem,
    /// It works, and had better be otherwise.
    Warning,
    /// It could not be looked at, or need not be.
    Skipped,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
        }
    }
}

/// How to mend what does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// In words.
    pub how: String,
    /// A command that does it.
    pub command: Option<String>,
    /// Whether that is this command with `--fix`.
    #[serde(skip)]
    pub ours: bool,
}

/// One check, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check; the names are those of docs/doctor.md.
    pub check: &'static str,
    /// How it ended.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub fix: Option<Fix>,
}

impl Finding {
    /// It holds.
    pub fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, state: State::Ok, seen: seen.into(), fix: None }
    }

    /// It does not hold.
    pub fn problem(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, state: State::Problem, seen: seen.into(), fix: None }
    }

    /// It works, and had better be otherwise.
    pub fn warning(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, state: State::Warning, seen: seen.into(), fix: None }
    }

    /// It could not be looked at, or need not be.
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::Skipped, seen: why.into(), fix: None }
    }

    /// The same with what to do.
    pub fn fix(self, how: impl Into<String>) -> Self {
        Self { fix: Some(Fix { how: how.into(), command: None, ours: false }), ..self }
    }

    /// The same with what to do, and a command that does it.
    pub fn fix_by(self, how: impl Into<String>, command: impl Into<String>) -> Self {
        Self { fix: Some(Fix { how: how.into(), command: Some(command.into()), ours: false }), ..self }
    }

    /// The same with what `--fix` would do; `command` is the one that does.
    pub fn mended(self, how: impl Into<String>, command: String) -> Self {
        Self { fix: Some(Fix { how: how.into(), command: Some(command), ours: true }), ..self }
    }
}

/// A text of the store's as a string of a jq program that the shell is given in single quotes.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\'', r"'\''")
}

/// Why a check could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl From<crate::presign::PresignError> for Trouble {
    fn from(error: crate::presign::PresignError) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::key::KeyError> for Trouble {
    fn from(error: crate::key::KeyError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_do_not_break_out_of_a_command() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("a\"b"), "\"a\\\"b\"");
        assert_eq!(quoted("a'; rm x"), "\"a'\\''; rm x\"");
    }
}
