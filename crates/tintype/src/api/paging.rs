//! Listings: newest first, a cursor to go on from.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::ledger::Page;

/// Rows of one answer, unless fewer are asked for.
const LIMIT: u32 = 100;

/// The query of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// Only of this status: `pending`, `processing`, `completed`, `failed` or `expired` of uploads; `pending`, `delivered` or
    /// `dead` of deliveries.
    status: Option<String>,
    /// Go on after an answer: its `cursor`.
    cursor: Option<String>,
    /// Most rows; 100 at most.
    limit: Option<u32>,
}

impl Listing {
    /// As the ledger takes it. `known` says which words are statuses.
    pub fn page(self, known: impl Fn(&str) -> bool) -> Result<Page, Problem> {
        if let Some(status) = self.status.as_deref().filter(|status| !known(status)) {
            return Err(Problem::invalid(format!("there is no status {status:?}")));
        }
        let before = self.cursor.as_deref().map(decode).transpose()?;
        Ok(Page { status: self.status, before, limit: self.limit.unwrap_or(LIMIT).clamp(1, LIMIT) })
    }
}

/// The cursor after a row, if there may be more.
pub fn next(limit: u32, rows: usize, last: Option<(OffsetDateTime, &str)>) -> Option<String> {
    let (at, id) = last.filter(|_| rows >= limit as usize)?;
    Some(URL_SAFE_NO_PAD.encode(format!("{} {id}", at.unix_timestamp_nanos())))
}

fn decode(cursor: &str) -> Result<(OffsetDateTime, String), Problem> {
    let bad = || Problem::invalid("that cursor is none that this server gave out");
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    let (nanos, id) = text.split_once(' ').ok_or_else(bad)?;
    let at = nanos.parse().ok().and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    Ok((at.ok_or_else(bad)?, id.to_owned()))
}
