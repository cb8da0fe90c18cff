//! Dead deliveries, begun anew.

use std::collections::HashSet;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::parse_duration;
use crate::ledger::{Delivery, DeliveryStatus, Ledger, LedgerError, Page};

/// Rows read at a time.
const ROWS: u32 = 500;

/// What became of the dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resent {
    /// Deliveries that are due again now.
    pub resent: u64,
    /// Deliveries that stay dead, since a later outcome of their upload is told or will be: the backend would take the
    /// old one for the newer.
    pub superseded: u64,
}

/// Makes dead deliveries due, those alone that died at `since` or later.
///
/// # Errors
/// When the ledger fails; what is due by then stays due.
pub async fn resend_dead(ledger: &dyn Ledger, since: Option<OffsetDateTime>) -> Result<Resent, LedgerError> {
    let mut done = Resent::default();
    let mut page = Page { status: Some(DeliveryStatus::Dead.as_str().to_owned()), before: None, limit: ROWS };
    // Newest first: of several dead ones of an upload the first that comes is the last outcome, and the one to tell.
    let mut told = HashSet::new();
    loop {
        let rows = ledger.deliveries(&page, None).await?;
        for row in &rows {
            // A dead delivery was due last when it died.
            if since.is_some_and(|since| row.due_at < since) {
                continue;
            }
            if told.insert(row.upload_id.clone()) && is_latest(ledger, row).await? {
                done.resent += u64::from(ledger.resend(&row.id).await?);
            } else {
                done.superseded += 1;
            }
        }
        match rows.last() {
            Some(last) if rows.len() == ROWS as usize => page.before = Some((last.created_at, last.id.clone())),
            _ => return Ok(done),
        }
    }
}

/// Reads since when: `2d` before now, or a time such as `2026-11-25T08:00:00Z`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_since(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, String> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time);
    }
    let problem = match parse_duration(text) {
        Ok(ago) => match ago.try_into().ok().and_then(|ago| now.checked_sub(ago)) {
            Some(time) => return Ok(time),
            None => format!("{text:?} is too long ago"),
        },
        Err(problem) => problem,
    };
    Err(format!("{problem}, or a time such as 2026-11-25T08:00:00Z"))
}

/// Whether no later outcome of its upload has a delivery.
async fn is_latest(ledger: &dyn Ledger, row: &Delivery) -> Result<bool, LedgerError> {
    let newest = ledger.deliveries(&Page { limit: 1, ..Page::default() }, Some(&row.upload_id)).await?;
    Ok(newest.first().is_none_or(|newest| newest.id == row.id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use time::macros::datetime;

    #[test]
    fn since_is_a_while_ago_or_a_time() {
        let now = datetime!(2026-11-25 12:00 UTC);
        assert_eq!(parse_since("2d", now), Ok(datetime!(2026-11-23 12:00 UTC)));
        assert_eq!(parse_since("90m", now), Ok(datetime!(2026-11-25 10:30 UTC)));
        assert_eq!(parse_since("2026-11-25T10:00:00+01:00", now), Ok(datetime!(2026-11-25 9:00 UTC)));
        for neither in ["", "yesterday", "2026-11-25", "-1h", "18446744073709551615d", "300000000d"] {
            assert!(parse_since(neither, now).is_err(), "{neither}");
        }
        assert!(parse_since("2", now).unwrap_err().contains("2 has no unit: write \"2s\" or \"2d\""));
    }
}
