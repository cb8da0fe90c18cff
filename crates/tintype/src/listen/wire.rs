//! The bytes of one connection, with the times that its peer has: for a request's head, between two requests, and
//! for taking an answer. (Bodies are timed where they are read: see `body.rs`.)

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::PollSemaphore;

use super::pace::{Pace, Patience};
use super::stage::Stage;
use super::turns::Turns;

/// How long to wait, at the end, for a peer that still sends what nobody reads: closed at once, TCP would take the
/// answer back from it.
const LINGER: Duration = Duration::from_secs(2);

/// What a peer has time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// A request's line and headers, from their first byte; and the first byte of the first request.
    pub head: Duration,
    /// The first byte of the next request.
    pub idle: Duration,
    /// Sending a body, taking an answer.
    pub patience: Patience,
}

/// What is waited for: a request's number, and whether a byte of it has come.
type Awaited = (u32, bool);

/// A stream to a peer that is not waited for without end.
pub struct Wire<S> {
    stream: S,
    times: Times,
    stage: Arc<Stage>,
    /// The number of the last request of which a byte has come.
    heard: Option<u32>,
    awaited: Option<(Awaited, Pin<Box<Sleep>>)>,
    pace: Pace,
    turns: PollSemaphore,
    /// Whether it stands in line for one.
    in_line: bool,
    ending: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The wire of a new connection.
    pub fn new(stream: S, times: Times, stage: Arc<Stage>, turns: &Turns) -> Self {
        let (pace, turns) = (Pace::new(times.patience), turns.to_poll());
        Self { stream, times, stage, heard: None, awaited: None, pace, turns, in_line: false, ending: None }
    }

    /// Ready when the peer has let us wait too long for the next request: an end if none has begun, or an error.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(number) = self.stage.waiting() else { return Poll::Pending };
        // Of the first request, head and first byte have one time together.
        let awaited = (number, number == 0 || self.heard == Some(number));
        if self.awaited.as_ref().is_none_or(|(before, _)| *before != awaited) {
            let time = if awaited.1 { self.times.head } else { self.times.idle };
            self.awaited = Some((awaited, Box::pin(sleep_until(Instant::now() + time))));
        }
        let Some((_, timer)) = &mut self.awaited else { return Poll::Pending };
        ready!(timer.as_mut().poll(cx));
        match self.heard == Some(number) {
            true => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head came too slowly"))),
            false => Poll::Ready(Ok(())),
        }
    }

    /// Ready when it is this peer's turn to be written to; until what is given is dropped, if it has to wait for turns.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedSemaphorePermit>> {
        if !self.stage.is_strangers() {
            // The next request on this connection is another's: a turn that comes now would be nobody's.
            if std::mem::take(&mut self.in_line) {
                self.turns = PollSemaphore::new(self.turns.clone_inner());
            }
            return Poll::Ready(None);
        }
        let turn = self.turns.poll_acquire(cx);
        self.in_line = turn.is_pending();
        turn
    }

    /// What came of writing, unless the peer takes nothing for too long.
    fn taken(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.pace.moved(bytes);
                self.stage.sent(bytes);
            }
            Poll::Pending if self.pace.poll_lost(cx).is_ready() => {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was taken too slowly")));
            }
            _ => {}
        }
        written
    }

    /// Whether the peer may still be sending what nobody will read.
    fn is_unread(&self) -> bool {
        self.stage.is_unread() || self.stage.waiting().is_some_and(|number| self.heard == Some(number))
    }

    /// Reads what comes and throws it away, until the peer ends or time is up.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        self.ending.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(cx))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(done) => {
                if let Some(number) = this.stage.waiting()
                    && buffer.filled().len() > before
                {
                    this.heard = Some(number);
                }
                Poll::Ready(done)
            }
            Poll::Pending => this.poll_late(cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let _turn = ready!(this.poll_turn(cx));
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.taken(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let _turn = ready!(this.poll_turn(cx));
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx).map_ok(|()| 0);
        this.taken(cx, flushed).map_ok(drop)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ending.is_none() {
            let ended = Pin::new(&mut this.stream).poll_shutdown(cx).map_ok(|()| 0);
            ready!(this.taken(cx, ended))?;
            if !this.is_unread() {
                return Poll::Ready(Ok(()));
            }
            this.ending = Some(Box::pin(sleep(LINGER)));
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_stranger_is_written_to_in_its_turn_and_others_at_once() {
        let (stream, _peer) = tokio::io::duplex(1024);
        let times = Times { head: LONG, idle: LONG, patience: Patience { stall: LONG, rate: 0 } };
        let (stage, turns) = (Arc::new(Stage::default()), Turns::of(1));
        let mut wire = Wire::new(stream, times, stage.clone(), &turns);
        let turn = turns.to_poll().clone_inner().acquire_owned().await.unwrap();
        stage.set_strangers(true);
        assert!(timeout(SOON, wire.write_all(b"a")).await.is_err());
        stage.set_strangers(false);
        timeout(SOON, wire.write_all(b"b")).await.unwrap().unwrap();
        drop(turn);
        assert_eq!(turns.to_poll().clone_inner().available_permits(), 1, "it stands in line no more");
        stage.set_strangers(true);
        timeout(SOON, wire.write_all(b"c")).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_next_part_of_an_answer_waits_until_the_last_is_sent() {
        let (stream, _peer) = tokio::io::duplex(8);
        let times = Times { head: LONG, idle: LONG, patience: Patience { stall: LONG, rate: 0 } };
        let stage = Arc::new(Stage::default());
        let mut wire = Wire::new(stream, times, stage.clone(), &Turns::of(1));
        stage.give_out(12);
        assert_eq!(wire.write(b"abcdefghijkl").await.unwrap(), 8);
        let sent = || std::future::poll_fn(|cx| stage.poll_sent(cx));
        assert!(timeout(SOON, sent()).await.is_err());
        stage.sent(4);
        timeout(SOON, sent()).await.unwrap();
    }
}
