//! How many connections there may be at once, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who is connected.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    most_of_one: usize,
    seated: Mutex<Seated>,
}

#[derive(Debug, Default)]
struct Seated {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Crowd {
    /// At most so many, and so many of one address (0: as many as there are).
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, seated: Mutex::default() })
    }

    /// A place for a connection, kept until it is dropped; none if there is none.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let address = network(peer);
        let mut seated = self.seated();
        if seated.all >= self.most {
            return None;
        }
        if self.most_of_one > 0 {
            let own = seated.by_address.entry(address).or_default();
            if *own >= self.most_of_one {
                return None;
            }
            *own += 1;
        }
        seated.all += 1;
        Some(Seat { crowd: self.clone(), address })
    }

    /// Whether few places are left: then connections are not kept open for requests to come.
    pub fn is_dense(&self) -> bool {
        self.seated().all > self.most / 4 * 3
    }

    fn seated(&self) -> MutexGuard<'_, Seated> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has one address of IPv6 has a whole /64 of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// One connection's place.
#[derive(Debug)]
pub struct Seat {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = self.crowd.seated();
        seated.all -= 1;
        if let Some(own) = seated.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                seated.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_back() {
        let crowd = Crowd::new(3, 2);
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let (one, _two) = (enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none());
        let _three = enter("2001:db8::1").unwrap();
        assert!(enter("192.0.2.9").is_none(), "all are taken");
        drop(one);
        let _four = enter("2001:db8::2").unwrap();
        drop(_two);
        assert!(enter("2001:db8::3").is_none(), "a /64 is one peer");
        assert!(enter("192.0.2.1").is_some());
    }
}
