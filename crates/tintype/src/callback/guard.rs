//! Keeps callbacks out of private networks (SSRF): every address a name resolves to is looked at before it is connected
//! to, and so is every address that is written as digits, which no resolver sees.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::address::{destination, is_metadata, special};

/// Says which addresses may be called: those of the public internet, and what the operator allows besides.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// All but metadata services of clouds may be called.
    pub allow_private: bool,
    /// Networks that may be called; a metadata service only if it is listed alone.
    pub allow_networks: Vec<IpNet>,
}

/// Why an address is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub struct Refused {
    address: IpAddr,
    /// The name that led to it.
    name: Option<String>,
}

impl Refused {
    fn words(&self) -> String {
        let address = self.address;
        let led = self.name.as_ref().map(|name| format!("{name} leads to ")).unwrap_or_default();
        if is_metadata(address) {
            return format!(
                "{led}{address}, which is a cloud's metadata service: not called unless callback.allow_networks lists that one address"
            );
        }
        let what = special(address).unwrap_or("not public");
        format!(
            "{led}{address}, which is inside a private network ({what}): if it is meant, add it to callback.allow_networks, or set callback.allow_private = true"
        )
    }
}

impl Guard {
    /// Whether an address may be called.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let to = destination(address);
        let lists = |address: IpAddr| self.allow_networks.iter().any(|network| network.contains(&address));
        let may = match is_metadata(to) {
            true => self.allow_networks.contains(&IpNet::from(to)),
            false => self.allow_private || special(to).is_none() || lists(to) || lists(address),
        };
        if may { Ok(()) } else { Err(Refused { address, name: None }) }
    }

    /// Whether an address that is written as digits may be called; names are the resolver's to look at.
    ///
    /// # Errors
    /// Why not.
    pub fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(v4)) => self.check(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => self.check(IpAddr::V6(v6)),
            _ => Ok(()),
        }
    }
}

/// Resolves names to addresses that may be called. What it gives is what is connected to: nothing is looked up twice.
pub struct GuardedResolver(pub Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (mut open, mut refused) = (Vec::<SocketAddr>::new(), None);
            for address in found {
                match guard.check(address.ip()) {
                    Ok(()) => open.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if open.is_empty() => Err(Refused { name: Some(name.as_str().to_owned()), ..why }.into()),
                _ => Ok(Box::new(open.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn guard(networks: &[&str]) -> Guard {
        Guard { allow_private: false, allow_networks: networks.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn may(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn a_listed_network_is_open_and_the_rest_stays_closed() {
        let guard = guard(&["10.20.0.0/16", "fd00::/8", "192.168.7.7/32"]);
        for open in ["10.20.0.1", "::ffff:10.20.3.4", "64:ff9b::10.20.3.4", "fd12::1", "192.168.7.7", "1.1.1.1"] {
            assert!(may(&guard, open), "{open}");
        }
        for closed in ["10.21.0.1", "::ffff:10.21.0.1", "192.168.7.8", "127.0.0.1", "::1", "fe80::1", "fc00::1"] {
            assert!(!may(&guard, closed), "{closed}");
        }
    }

    #[test]
    fn a_metadata_service_is_open_only_when_it_is_listed_alone() {
        let wide = guard(&["169.254.0.0/16", "fd00::/8", "100.64.0.0/10", "0.0.0.0/0", "::/0"]);
        let all = Guard { allow_private: true, ..Guard::default() };
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16"] {
            assert!(!may(&wide, address) && !may(&all, address), "{address}");
        }
        assert!(may(&wide, "169.254.1.1") && may(&all, "169.254.1.1") && may(&all, "10.0.0.1"));
        let exact = guard(&["169.254.169.254/32", "fd00:ec2::254/128"]);
        assert!(
            may(&exact, "169.254.169.254") && may(&exact, "::ffff:169.254.169.254") && may(&exact, "fd00:ec2::254")
        );
        assert!(!may(&exact, "169.254.169.253"));
    }

    #[test]
    fn literals_are_looked_at_however_they_are_written() {
        let guard = Guard::default();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://0/",
            "http://0xa9fea9fe/",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://user@127.0.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[0:0:0:0:0:ffff:10.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fd00:ec2::254]/",
        ] {
            assert!(guard.check_literal(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in ["https://1.1.1.1/", "https://16843009/", "https://[2606:4700::1111]/", "https://example.com/"] {
            assert!(guard.check_literal(&url.parse().unwrap()).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_gives_only_what_may_be_called() {
        let resolve = async |guard: Guard| {
            let resolver = GuardedResolver(Arc::new(guard));
            resolver.resolve("localhost".parse().unwrap()).await.map(|found| found.collect::<Vec<_>>())
        };
        let why = resolve(Guard::default()).await.unwrap_err().to_string();
        assert!(why.starts_with("localhost leads to ") && why.contains("private network (loopback)"), "{why}");
        let found = resolve(guard(&["127.0.0.0/8"])).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().to_string() == "127.0.0.1"), "{found:?}");
        assert!(!resolve(Guard { allow_private: true, ..Guard::default() }).await.unwrap().is_empty());
    }
}
