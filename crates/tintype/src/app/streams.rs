//! Who follows uploads, by event streams and long polls: counted apart from other requests, since each lasts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::FrontConfig;
use crate::listen::{add, count, take};
use crate::upload::UploadId;

/// Who follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Follower {
    /// A server, by its key's public id; a program of this machine while no key is asked for has none.
    Key(Option<String>),
    /// Who has an upload's token.
    Token(UploadId),
}

/// Why a stream is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoStream {
    /// The caller has as many as it may.
    #[error("this {0} has {1} event streams and long polls, which is as many as may ({2})")]
    TooManyOfOne(&'static str, usize, &'static str),
    /// All callers together have.
    #[error("there are {0} event streams and long polls, which is as many as may (limits.streams)")]
    TooMany(usize),
}

/// Counts them.
pub struct Streams {
    most: usize,
    per_upload: usize,
    per_address: usize,
    per_key: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_follower: HashMap<Follower, usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl Streams {
    /// What the configuration allows. However many it is, other requests keep half of the connections.
    pub fn new(config: &FrontConfig) -> Arc<Self> {
        Arc::new(Self {
            most: (config.streams as usize).min(config.max_connections as usize / 2).max(1),
            per_upload: config.streams_per_upload as usize,
            per_address: config.streams_per_address as usize,
            per_key: config.streams_per_key as usize,
            open: Mutex::default(),
        })
    }

    /// One more, until what is returned is dropped.
    ///
    /// # Errors
    /// When there are too many.
    pub fn open(self: &Arc<Self>, follower: Follower, address: Option<IpAddr>) -> Result<Stream, NoStream> {
        // An address is a stranger's: a server is known by its key.
        let address = address.filter(|_| matches!(follower, Follower::Token(_)));
        let (per_follower, who, setting) = match follower {
            Follower::Token(_) => (self.per_upload, "upload's token", "limits.streams_per_upload"),
            Follower::Key(_) => (self.per_key, "API key", "limits.streams_per_key"),
        };
        // A quarter is kept for servers.
        let most = match follower {
            Follower::Token(_) => self.most - self.most / 4,
            Follower::Key(_) => self.most,
        };
        let mut open = self.lock();
        if per_follower > 0 && count(&open.by_follower, &follower) >= per_follower {
            return Err(NoStream::TooManyOfOne(who, per_follower, setting));
        }
        if let Some(address) = &address
            && self.per_address > 0
            && count(&open.by_address, address) >= self.per_address
        {
            return Err(NoStream::TooManyOfOne("address", self.per_address, "limits.streams_per_address"));
        }
        if open.all >= most {
            return Err(NoStream::TooMany(open.all));
        }
        open.all += 1;
        add(&mut open.by_follower, follower.clone());
        address.into_iter().for_each(|address| add(&mut open.by_address, address));
        Ok(Stream { streams: self.clone(), follower, address })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is open.
pub struct Stream {
    streams: Arc<Streams>,
    follower: Follower,
    address: Option<IpAddr>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all -= 1;
        take(&mut open.by_follower, &self.follower);
        self.address.iter().for_each(|address| take(&mut open.by_address, address));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn streams(most: usize, per_upload: usize, per_address: usize, per_key: usize) -> Arc<Streams> {
        Arc::new(Streams { most, per_upload, per_address, per_key, open: Mutex::default() })
    }

    fn token(n: u8) -> Follower {
        Follower::Token(UploadId::parse(&format!("{n:032x}")).unwrap())
    }

    #[test]
    fn one_token_and_one_address_have_their_share_and_keys_have_more() {
        let (streams, here) = (streams(8, 2, 3, 4), Some("192.0.2.1".parse().unwrap()));
        let open = |n: u8, at: Option<IpAddr>| streams.open(token(n), at);
        let mut held = vec![open(1, here).unwrap(), open(1, here).unwrap()];
        assert!(matches!(open(1, None), Err(NoStream::TooManyOfOne(_, 2, "limits.streams_per_upload"))));
        held.push(open(2, here).unwrap());
        assert!(matches!(open(3, here), Err(NoStream::TooManyOfOne(_, 3, "limits.streams_per_address"))));
        held.extend((3..6).map(|n| open(n, None).unwrap()));
        assert!(matches!(open(7, None), Err(NoStream::TooMany(6))), "a quarter is kept for keys");
        let key = || streams.open(Follower::Key(Some("a".into())), here);
        held.extend([key().unwrap(), key().unwrap()]);
        assert!(matches!(key(), Err(NoStream::TooMany(8))));
        drop(held);
        let _held: Vec<_> = (0..4).map(|_| key().unwrap()).collect();
        assert!(matches!(key(), Err(NoStream::TooManyOfOne(_, 4, "limits.streams_per_key"))));
        assert!(streams.lock().by_address.is_empty() && streams.lock().all == 4);
    }
}
