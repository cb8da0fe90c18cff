//! Where the ledger is.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// `ledger.url`, read.
#[derive(Clone, PartialEq, Eq)]
pub enum LedgerUrl {
    /// A file, for one process that serves.
    Sqlite(PathBuf),
    /// A server's database, for many. The address may hold a password, so it is not shown.
    Postgres(Url),
}

impl LedgerUrl {
    /// Whether several processes may serve and work on it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

impl fmt::Display for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Self::Postgres(url) => {
                let (host, port) = (url.host_str().unwrap_or("localhost"), url.port().unwrap_or(5432));
                write!(f, "postgres://{host}:{port}{}", url.path())
            }
        }
    }
}

impl fmt::Debug for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url = LedgerUrl::Postgres("postgres://me:hunter2@db.internal/tintype?sslmode=require".parse().unwrap());
        assert_eq!(format!("{url} {url:?}"), "postgres://db.internal:5432/tintype postgres://db.internal:5432/tintype");
    }
}
