//! Bodies: a request's, within the peer's pace; and an answer's, which ends its turn when it is sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connections::UnderWay;
use super::pace::{Pace, Patience};
use super::stage::{Stage, Turn};

/// A request's body, which ends in an error when it comes too slowly.
pub struct Paced {
    body: Incoming,
    pace: Pace,
    stage: Arc<Stage>,
    lost: bool,
}

impl Paced {
    /// A body as it comes.
    pub fn new(body: Incoming, patience: Patience, stage: Arc<Stage>) -> Self {
        Self { body, pace: Pace::new(patience), stage, lost: false }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.lost {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.pace.moved(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending if self.pace.poll_lost(cx).is_ready() => {
                self.lost = true;
                self.stage.too_slow();
                Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the body came too slowly"))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lost || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.stage.leave_unread();
        }
    }
}

/// An answer's body. A part of it is made once the one before is sent: a peer that does not read costs one.
pub struct Answer {
    body: Body,
    stage: Arc<Stage>,
    _turn: Turn,
    _under_way: Option<UnderWay>,
}

impl Answer {
    /// The answer to the request of a turn, which is counted until it is sent.
    pub fn new(body: Body, stage: Arc<Stage>, turn: Turn, under_way: Option<UnderWay>) -> Self {
        Self { body, stage, _turn: turn, _under_way: under_way }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        ready!(self.stage.poll_sent(cx));
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.stage.give_out(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
