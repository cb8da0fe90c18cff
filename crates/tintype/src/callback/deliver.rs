//! Sends deliveries that are due until each is taken, refused for good, or out of attempts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use time::OffsetDateTime;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::send::{Answer, Sender};
use super::{CallbackConfig, Notice};
use crate::ledger::{Attempt, Claim, Delivery, Ledger, Next};

/// Deliveries under way at once.
const CONCURRENCY: usize = 32;
/// How long to sleep when nothing is due and nobody calls.
const IDLE: Duration = Duration::from_secs(1);

/// Delivers callbacks.
pub struct Deliverer {
    ledger: Arc<dyn Ledger>,
    sender: Sender,
    config: CallbackConfig,
    wake: Arc<Notify>,
}

impl Deliverer {
    /// A deliverer; `wake` tells it that something may be due.
    pub fn new(ledger: Arc<dyn Ledger>, sender: Sender, config: CallbackConfig, wake: Arc<Notify>) -> Self {
        Self { ledger, sender, config, wake }
    }

    /// Delivers until told to stop; what is under way then is finished.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        while !stop.is_cancelled() {
            if self.send_due(&slots).await == 0 {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(IDLE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        let _ = slots.acquire_many(CONCURRENCY as u32).await;
    }

    /// Starts what is due, as far as there are free slots; gives how many.
    async fn send_due(self: &Arc<Self>, slots: &Arc<Semaphore>) -> usize {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return 0;
        };
        drop(slot);
        let free = u32::try_from(slots.available_permits()).unwrap_or(1).max(1);
        let due = match self
            .ledger
            .claim_deliveries(&Claim { most: free, most_each: free, lease: self.config.timeout * 2, except: &[] })
            .await
        {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "callbacks cannot be read");
                return 0;
            }
        };
        let count = due.len();
        for delivery in due {
            let Ok(slot) = slots.clone().acquire_owned().await else {
                break;
            };
            let this = self.clone();
            tokio::spawn(async move {
                this.attempt(&delivery).await;
                drop(slot);
            });
        }
        count
    }

    async fn attempt(&self, delivery: &Delivery) {
        let (at, started) = (OffsetDateTime::now_utc(), Instant::now());
        let notice = Notice { url: delivery.url.clone(), method: delivery.method.clone(), body: delivery.body.clone() };
        let answer = self.sender.send(&delivery.id, &notice).await;
        let next = self.next(delivery.attempts, &answer);
        let (status, error) = (answer.status().map(|status| status.as_u16()), answer.error());
        tracing::info!(
            upload = %delivery.upload_id, delivery = delivery.id, attempt = delivery.attempts + 1,
            status, error, "callback"
        );
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempt = Attempt { at, status, error, millis, response: None };
        if let Err(error) = self.ledger.settle_delivery(&delivery.id, &attempt, next).await {
            tracing::error!(%error, delivery = delivery.id, "a callback's attempt could not be recorded; it will be sent again");
        }
    }

    fn next(&self, attempts: u32, answer: &Answer) -> Next {
        let wait = match answer {
            Answer::Taken(_) => return Next::Delivered,
            Answer::Gone(_) => return Next::Dead,
            Answer::Refused(_, wait) => *wait,
            Answer::Unreachable(_) => None,
        };
        match self.config.schedule.get(attempts as usize) {
            Some(pause) => Next::RetryIn(jitter(*pause).max(wait.unwrap_or_default())),
            None => Next::Dead,
        }
    }
}

/// Up to a fifth more, so that deliveries that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::rng().random_range(0.0..0.2))
}
