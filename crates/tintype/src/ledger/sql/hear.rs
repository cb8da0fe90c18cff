//! What other processes did on a shared ledger, as it happens.

use std::time::Duration;

use sqlx::postgres::PgListener;

use crate::ledger::LedgerUrl;
use crate::upload::UploadId;

/// Pause before another try to listen.
const AGAIN: Duration = Duration::from_secs(5);

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// There is a new job.
    Job,
    /// A callback is due.
    Delivery,
    /// An upload's status changed.
    Upload(UploadId),
}

impl News {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == "job" => Some(Self::Job),
            None if text == "delivery" => Some(Self::Delivery),
            Some(("upload", id)) => UploadId::parse(id).map(Self::Upload),
            _ => None,
        }
    }
}

/// Tells of what other processes do, for as long as it is polled. On a ledger that is not shared there are none. What is
/// missed while the connection is lost is found by looking; this only makes it quicker.
pub async fn hear(ledger: &LedgerUrl, tell: impl Fn(News)) {
    let LedgerUrl::Postgres(url) = ledger else { return std::future::pending().await };
    loop {
        if let Err(error) = listen(url.as_str(), &tell).await {
            tracing::warn!(%error, "the ledger's news are not heard; it is looked at every second");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(url: &str, tell: &impl Fn(News)) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen("tintype").await?;
    loop {
        if let Some(news) = News::parse(listener.recv().await?.payload()) {
            tell(news);
        }
    }
}
