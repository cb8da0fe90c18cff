//! Whose request it is: the peer's, or where the peer is a proxy that is trusted, that of whom it calls for.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Where proxies say whom they call for, each behind those before it.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Networks of proxies whose word is taken.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Whether a peer is one of them.
    pub fn trust(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// Whose request it is: the last address that no trusted proxy has. The peer's own, if it is not trusted or says
    /// nothing that can be read.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let said: Vec<_> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        for hop in said.iter().rev().flat_map(|value| value.rsplit(',')) {
            if !self.trust(client) {
                break;
            }
            let Some(before) = parse(hop.trim()) else { break };
            client = before.to_canonical();
        }
        client
    }
}

/// An address as proxies write them, some with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_whose_request_it_is() {
        let proxies = Proxies(vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
        let client = |peer: &str, said: &[&str]| {
            let headers = said.iter().map(|text| (FORWARDED_FOR.parse().unwrap(), text.parse().unwrap()));
            proxies.client(peer.parse().unwrap(), &HeaderMap::from_iter(headers)).to_string()
        };
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "anyone can send a header");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("::ffff:127.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        // What the client itself sent stands first.
        assert_eq!(client("127.0.0.1", &["203.0.113.9, 198.51.100.7, 10.1.2.3"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("127.0.0.1", &["[2001:db8::1]:4711, 10.1.1.1"]), "2001:db8::1");
        assert_eq!(client("127.0.0.1", &["203.0.113.9, unknown"]), "127.0.0.1");
    }
}
