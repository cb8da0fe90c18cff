//! Whether the database is known to be damaged. One process has one ledger, so there is one answer; it stands until the
//! process ends, since only a restored ledger is whole again.

use std::sync::OnceLock;

/// Primary result codes of SQLite: `SQLITE_CORRUPT`, `SQLITE_NOTADB`.
const SQLITE: [u32; 2] = [11, 26];
/// Extended ones: the file system says that the file is damaged (`SQLITE_IOERR_DATA`, `SQLITE_IOERR_CORRUPTFS`).
const SQLITE_EXTENDED: [u32; 2] = [8202, 8458];
/// Of Postgres: `data_corrupted`, `index_corrupted`.
const POSTGRES: [&str; 2] = ["XX001", "XX002"];

/// What to do, for whoever reads it.
pub const ADVICE: &str = "the ledger is damaged: stop Tintype and restore a backup of the ledger, or export what can still be \
                          read into a new one (docs/runbook.md, TintypeLedgerDamaged)";

static FOUND: OnceLock<String> = OnceLock::new();

/// What was found first, if anything was.
pub fn found() -> Option<&'static str> {
    FOUND.get().map(String::as_str)
}

/// Notes what was found; the log has it once.
pub fn report(what: &str) {
    if FOUND.set(what.to_owned()).is_ok() {
        tracing::error!(what, "{ADVICE}");
    }
}

/// Notes a statement's error, if damage is what it tells of.
pub(crate) fn note(error: &sqlx::Error) {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| tells_of_damage(&code)) {
        report(&error.to_string());
    }
}

fn tells_of_damage(code: &str) -> bool {
    // A code of SQLite has at most four digits, one of Postgres has five letters or digits.
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => SQLITE.contains(&(number & 0xff)) || SQLITE_EXTENDED.contains(&number),
        _ => POSTGRES.contains(&code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_a_full_disk_a_lock_and_a_duplicate() {
        for damaged in ["11", "26", "267", "779", "8458", "XX001", "XX002"] {
            assert!(tells_of_damage(damaged), "{damaged}");
        }
        for other in ["13", "5", "2067", "1555", "10", "778", "23505", "40001", "08006", "26000"] {
            assert!(!tells_of_damage(other), "{other}");
        }
    }
}
