//! Sends deliveries that are due until each is taken, refused for good, or out of attempts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::answer::{Answer, Verdict};
use super::lanes::Lanes;
use super::send::Sender;
use super::{CallbackConfig, Notice};
use crate::config::without_secrets;
use crate::ledger::{Attempt, Claim, Delivery, Ledger, Next};
use crate::metrics;
use crate::trace;

/// How long to sleep when nothing is due and nobody calls: as late as that is seen what another process made due.
const IDLE: Duration = Duration::from_secs(1);
/// Most deliveries taken at once from the ledger.
const MOST: u32 = 64;
/// What a lease is longer than an attempt: time to record what came of it.
const TO_RECORD: Duration = Duration::from_secs(30);

/// What each line of the log about an attempt carries.
fn span(delivery: &Delivery) -> Span {
    let Delivery { id, upload_id, attempts, .. } = delivery;
    let span = tracing::info_span!("delivery", upload = %upload_id, delivery = id, attempt = attempts + 1);
    trace::follow(span, delivery.traceparent.as_deref())
}

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
        self.tell_of_dead().await;
        let (mut lanes, mut attempts) = (Lanes::new(self.config.concurrency), JoinSet::new());
        while !stop.is_cancelled() {
            if self.start_due(&mut lanes, &mut attempts).await == 0 {
                tokio::select! {
                    () = self.wake.notified() => {}
                    // One place in a lane is free, and the next outcome of that upload may follow.
                    Some(_) = attempts.join_next() => {}
                    () = tokio::time::sleep(IDLE) => {}
                    () = stop.cancelled() => {}
                }
            }
            while attempts.try_join_next().is_some() {}
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Starts what is due, as far as there is room in its lane; gives how many.
    async fn start_due(self: &Arc<Self>, lanes: &mut Lanes, attempts: &mut JoinSet<()>) -> usize {
        let (full, room) = lanes.room();
        let claim = Claim {
            most: MOST,
            most_each: u32::try_from(room).unwrap_or(MOST),
            lease: self.sender.longest() + TO_RECORD,
            except: &full,
        };
        let claimed = Instant::now();
        let due = match self.ledger.claim_deliveries(&claim).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "callbacks cannot be read");
                return 0;
            }
        };
        let count = due.len();
        for delivery in due {
            // The claim saw to it that there is one.
            let Some(place) = lanes.enter(&delivery.endpoint) else { continue };
            let this = self.clone();
            attempts.spawn(async move {
                this.attempt(&delivery, claimed).instrument(span(&delivery)).await;
                drop(place);
            });
        }
        count
    }

    async fn attempt(&self, delivery: &Delivery, claimed: Instant) {
        // This process was stopped for a while: another may be sending it, or a later outcome.
        if claimed.elapsed() > TO_RECORD / 2 {
            tracing::warn!("a callback is not sent under a claim that is about to run out");
            return;
        }
        let (at, started) = (OffsetDateTime::now_utc(), Instant::now());
        let notice = Notice { url: delivery.url.clone(), method: delivery.method.clone(), body: delivery.body.clone() };
        let traceparent = trace::here(delivery.traceparent.as_deref());
        let answer = self.sender.send(&delivery.id, &notice, traceparent.as_deref()).await;
        let next = next(&self.config.schedule, delivery.attempts, answer.verdict);
        tell(delivery, &answer, next);
        metrics::callback(next, started.elapsed());
        let attempt = Attempt {
            at,
            status: answer.status.map(|status| status.as_u16()),
            error: answer.error,
            millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            response: answer.response,
        };
        match self.ledger.settle_delivery(delivery, &attempt, next).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                "an attempt came too late to count: another process has the callback, or its upload was deleted"
            ),
            Err(error) => tracing::error!(%error, "a callback's attempt could not be recorded; it will be sent again"),
        }
    }

    /// Nobody looks for what died while nobody looked.
    async fn tell_of_dead(&self) {
        let dead = self.ledger.outstanding().await.unwrap_or_default().dead;
        if dead > 0 {
            tracing::warn!(
                dead,
                "callbacks that were never taken: `tintype deliveries list --status dead` shows them, `tintype deliveries resend --dead` sends them again"
            );
        }
    }
}

/// What follows an attempt, when there were so many before it.
fn next(schedule: &[Duration], before: u32, verdict: Verdict) -> Next {
    match (verdict, schedule.get(before as usize)) {
        (Verdict::Taken, _) => Next::Delivered,
        (Verdict::Gone, _) | (Verdict::Failed(_), None) => Next::Dead,
        (Verdict::Failed(asked), Some(pause)) => Next::RetryIn(jitter(*pause).max(asked.unwrap_or_default())),
    }
}

/// Up to a fifth more, so that deliveries that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::rng().random_range(0.0..0.2))
}

/// Whose attempt it was, the span says.
fn tell(delivery: &Delivery, answer: &Answer, next: Next) {
    let (status, error) = (answer.status.map(|status| status.as_u16()), answer.error.as_deref());
    match next {
        Next::Delivered => tracing::info!(status, "callback"),
        Next::RetryIn(wait) => {
            let wait = wait.as_secs();
            tracing::info!(status, error, wait, "callback was not taken");
        }
        Next::Dead => tracing::warn!(
            status,
            error,
            url = without_secrets(&delivery.url),
            "callback is given up; once that is mended, `tintype deliveries resend {}` sends it again",
            delivery.id
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_follows_its_schedule_to_its_end() {
        let seconds = Duration::from_secs;
        let schedule = [seconds(10), seconds(100)];
        for (before, pause) in [(0, 10), (1, 100)] {
            let Next::RetryIn(wait) = next(&schedule, before, Verdict::Failed(None)) else { panic!("{before}") };
            assert!(wait >= seconds(pause) && wait < seconds(pause).mul_f64(1.2), "{wait:?}");
        }
        assert_eq!(next(&schedule, 2, Verdict::Failed(Some(seconds(5)))), Next::Dead);
        assert_eq!(next(&schedule, 0, Verdict::Failed(Some(seconds(60)))), Next::RetryIn(seconds(60)));
        let Next::RetryIn(wait) = next(&schedule, 1, Verdict::Failed(Some(seconds(60)))) else { panic!() };
        assert!(wait >= seconds(100), "an endpoint may ask for a longer wait, not for a shorter one");
        assert_eq!(next(&schedule, 2, Verdict::Taken), Next::Delivered);
        assert_eq!(next(&schedule, 0, Verdict::Gone), Next::Dead);
    }
}
