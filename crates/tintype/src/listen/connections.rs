//! How many connections there may be at once, and how many requests of one caller.
//!
//! A connection without a request costs little and can be closed for another: when all places are taken, the one that
//! has waited longest makes room. So slow heads and idle peers keep nobody out. Requests are what holds places, and of
//! those callers without an API key never get all.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::head::Refused;

/// Most health probes at once that are answered while callers without a key get nothing more.
const MOST_PROBES: usize = 16;

/// What there may be at once, to one listener.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionBounds {
    /// Connections.
    pub connections: usize,
    /// Of these, those that only requests with an API key may hold.
    pub reserved: usize,
    /// Connections from one address, and behind a proxy requests; 0 for no bound.
    pub per_address: usize,
    /// Requests with one API key; 0 for no bound.
    pub per_key: usize,
}

/// Who makes a request, as far as its head tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Who has this API key, by its public id.
    Key(String),
    /// A program of this machine, while no key is asked for.
    Owner,
    /// A probe of the process's health.
    Probe,
    /// Anybody.
    Stranger,
}

/// Counts connections and the requests on them.
#[derive(Debug)]
pub struct ConnectionLimit {
    bounds: ConnectionBounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    by_address: HashMap<IpAddr, usize>,
    strangers: usize,
    strangers_by_address: HashMap<IpAddr, usize>,
    probes: usize,
    by_key: HashMap<String, usize>,
    /// Connections without a request, and what closes each: those of strangers before those of keys, and who has waited
    /// longest first.
    waiting: BTreeMap<Ticket, CancellationToken>,
    next: u64,
}

/// Whether the last request was of somebody known, and when it ended.
type Ticket = (bool, u64);

impl ConnectionLimit {
    /// One with nobody connected.
    pub fn new(bounds: ConnectionBounds) -> Arc<Self> {
        Arc::new(Self { bounds, state: Mutex::default() })
    }

    /// A place for a connection, kept until it is dropped; none if there is none. Without an address, connections are
    /// not counted by it: a proxy's are many people's.
    pub fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Arc<Seat>> {
        let address = address.filter(|_| self.bounds.per_address > 0).map(network);
        let mut state = self.state();
        if address.is_some_and(|address| count(&state.by_address, &address) >= self.bounds.per_address) {
            return None;
        }
        if state.connections >= self.bounds.connections {
            let (_, longest) = state.waiting.pop_first()?;
            longest.cancel();
            state.connections -= 1;
        }
        state.connections += 1;
        address.into_iter().for_each(|address| add(&mut state.by_address, address));
        let closed = CancellationToken::new();
        let ticket = state.wait(false, closed.clone());
        Some(Arc::new(Seat { limit: self.clone(), address, closed, waits: Mutex::new(Some(ticket)) }))
    }

    /// Whether few places are left: then connections are not kept open for requests to come.
    pub fn is_dense(&self) -> bool {
        self.state().connections > self.bounds.connections / 4 * 3
    }

    /// Most requests of strangers at once.
    fn most_strangers(&self) -> usize {
        self.bounds.connections - self.bounds.reserved.min(self.bounds.connections)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, is_known: bool, closed: CancellationToken) -> Ticket {
        self.next += 1;
        let ticket = (is_known, self.next);
        self.waiting.insert(ticket, closed);
        ticket
    }
}

/// One connection's place.
#[derive(Debug)]
pub struct Seat {
    limit: Arc<ConnectionLimit>,
    address: Option<IpAddr>,
    /// Cancelled once the place is another's.
    closed: CancellationToken,
    /// Where it is among those that wait.
    waits: Mutex<Option<Ticket>>,
}

impl Seat {
    /// Ready once the place is another's.
    pub async fn lost(&self) {
        self.closed.cancelled().await;
    }

    /// A request on this connection, until what is returned is dropped. `client` is whose it is, where a proxy calls
    /// for others.
    ///
    /// # Errors
    /// When it has to wait for others to end.
    pub fn begin(self: &Arc<Self>, who: &Who, client: Option<IpAddr>) -> Result<UnderWay, Refused> {
        let (limit, bounds) = (&self.limit, &self.limit.bounds);
        let client = client.filter(|_| bounds.per_address > 0).map(network);
        let mut state = limit.state();
        if self.closed.is_cancelled() {
            return Err(Refused::Crowded);
        }
        let counted = match who {
            Who::Owner => Counted::Nothing,
            Who::Key(_) if bounds.per_key == 0 => Counted::Nothing,
            Who::Key(id) => {
                if count(&state.by_key, id) >= bounds.per_key {
                    return Err(Refused::TooManyOfOne);
                }
                add(&mut state.by_key, id.clone());
                Counted::Key(id.clone())
            }
            Who::Probe if state.probes < MOST_PROBES => {
                state.probes += 1;
                Counted::Probe
            }
            Who::Probe | Who::Stranger => {
                if state.strangers >= limit.most_strangers() {
                    return Err(Refused::Crowded);
                }
                if client.is_some_and(|client| count(&state.strangers_by_address, &client) >= bounds.per_address) {
                    return Err(Refused::TooManyOfOne);
                }
                state.strangers += 1;
                client.into_iter().for_each(|client| add(&mut state.strangers_by_address, client));
                Counted::Stranger(client)
            }
        };
        if let Some(ticket) = self.waits().take() {
            state.waiting.remove(&ticket);
        }
        drop(state);
        Ok(UnderWay { seat: self.clone(), counted })
    }

    fn waits(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        if let Some(ticket) = self.waits().take() {
            state.waiting.remove(&ticket);
        }
        if !self.closed.is_cancelled() {
            state.connections -= 1;
        }
        self.address.iter().for_each(|address| take(&mut state.by_address, address));
    }
}

/// What a request was counted as.
#[derive(Debug)]
enum Counted {
    Nothing,
    Probe,
    Key(String),
    Stranger(Option<IpAddr>),
}

/// A request that is being answered.
#[derive(Debug)]
pub struct UnderWay {
    seat: Arc<Seat>,
    counted: Counted,
}

impl UnderWay {
    /// Whether it is of somebody unknown.
    pub fn is_strangers(&self) -> bool {
        matches!(self.counted, Counted::Stranger(_))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.seat.limit.state();
        match &self.counted {
            Counted::Nothing => {}
            Counted::Probe => state.probes -= 1,
            Counted::Key(id) => take(&mut state.by_key, id),
            Counted::Stranger(client) => {
                state.strangers -= 1;
                client.iter().for_each(|client| take(&mut state.strangers_by_address, client));
            }
        }
        let is_known = matches!(self.counted, Counted::Nothing | Counted::Key(_));
        *self.seat.waits() = Some(state.wait(is_known, self.seat.closed.clone()));
    }
}

/// Who has one address of IPv6 has a whole /64 of them.
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// How many of one there are.
pub fn count<K: Hash + Eq>(counts: &HashMap<K, usize>, of: &K) -> usize {
    counts.get(of).copied().unwrap_or_default()
}

/// One more.
pub fn add<K: Hash + Eq>(counts: &mut HashMap<K, usize>, of: K) {
    *counts.entry(of).or_default() += 1;
}

/// One less; who has none is forgotten.
pub fn take<K: Hash + Eq>(counts: &mut HashMap<K, usize>, of: &K) {
    if let Some(left) = counts.get_mut(of) {
        *left -= 1;
        if *left == 0 {
            counts.remove(of);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limit(connections: usize, reserved: usize, per_address: usize, per_key: usize) -> Arc<ConnectionLimit> {
        ConnectionLimit::new(ConnectionBounds { connections, reserved, per_address, per_key })
    }

    fn at(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn places_are_bounded_by_address_and_come_back() {
        let limit = limit(10, 0, 2, 0);
        let enter = |text| limit.enter(at(text));
        let (one, two) = (enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none());
        let (three, _four) = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none(), "a /64 is one peer");
        drop((one, three));
        assert!(enter("192.0.2.1").is_some() && enter("2001:db8::3").is_some());
        drop(two);
        assert!((0..5).map(|_| limit.enter(None)).all(|seat| seat.is_some()), "a proxy is many");
    }

    #[test]
    fn who_waits_longest_makes_room_and_who_is_answered_does_not() {
        let limit = limit(2, 0, 0, 0);
        let (one, two) = (limit.enter(None).unwrap(), limit.enter(None).unwrap());
        let request = one.begin(&Who::Stranger, None).unwrap();
        let three = limit.enter(None).unwrap();
        assert!(two.closed.is_cancelled() && !one.closed.is_cancelled());
        assert_eq!(two.begin(&Who::Owner, None).unwrap_err(), Refused::Crowded, "too late");
        let other = three.begin(&Who::Stranger, None).unwrap();
        assert!(limit.enter(None).is_none(), "both are being answered");
        drop(two);
        assert!(limit.enter(None).is_none(), "its place went when it was closed");
        drop((request, other));
        let four = limit.enter(None).unwrap();
        assert!(one.closed.is_cancelled() && !three.closed.is_cancelled());
        drop(three.begin(&Who::Key("a".into()), None).unwrap());
        let _five = limit.enter(None).unwrap();
        assert!(four.closed.is_cancelled() && !three.closed.is_cancelled(), "who has a key stays longest");
    }

    #[test]
    fn strangers_leave_a_share_to_keys() {
        let limit = limit(4, 2, 0, 3);
        let seats: Vec<_> = (0..4).map(|_| limit.enter(None).unwrap()).collect();
        let _held: Vec<_> = seats[..2].iter().map(|seat| seat.begin(&Who::Stranger, None).unwrap()).collect();
        assert_eq!(seats[2].begin(&Who::Stranger, None).unwrap_err(), Refused::Crowded);
        drop(seats[2].begin(&Who::Probe, None).unwrap());
        let key = Who::Key("a".into());
        let _keyed = (seats[2].begin(&key, None).unwrap(), seats[3].begin(&key, None).unwrap());
    }

    #[test]
    fn a_key_and_a_client_behind_a_proxy_are_bounded() {
        let limit = limit(10, 0, 1, 1);
        let seats: Vec<_> = (0..4).map(|_| limit.enter(None).unwrap()).collect();
        let (key, other) = (Who::Key("a".into()), Who::Key("b".into()));
        let held = seats[0].begin(&key, None).unwrap();
        assert_eq!(seats[1].begin(&key, None).unwrap_err(), Refused::TooManyOfOne);
        drop(seats[1].begin(&other, None).unwrap());
        drop(held);
        drop(seats[1].begin(&key, None).unwrap());
        let _held = seats[0].begin(&Who::Stranger, at("192.0.2.1")).unwrap();
        assert_eq!(seats[1].begin(&Who::Stranger, at("192.0.2.1")).unwrap_err(), Refused::TooManyOfOne);
        drop(seats[1].begin(&Who::Stranger, at("192.0.2.2")).unwrap());
        drop(seats[1].begin(&Who::Stranger, None).unwrap());
    }
}
