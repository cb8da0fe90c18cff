//! Which addresses are of the public internet, and what the others are.
//!
//! The tables are IANA's registries of special addresses, IPv4 and IPv6, read on the safe side: what is deprecated
//! (6to4, Teredo, site-local) is not public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(first: u16, second: u16, third: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0), length))
}

/// What is not public, the narrower before the wider. Of IPv6 only 2000::/3 is given out.
const SPECIAL: [(IpNet, &str); 29] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by a carrier's customers"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarks"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128)), "unspecified"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)), "loopback"),
    (v6(0, 0, 0, 96), "IPv4 inside IPv6"),
    (v6(0x64, 0xFF9B, 1, 48), "a network's own NAT64"),
    (v6(0x2001, 0, 0, 32), "Teredo"),
    (v6(0x2001, 0, 0, 23), "reserved for protocols"),
    (v6(0x2001, 0xDB8, 0, 32), "documentation"),
    (v6(0x2002, 0, 0, 16), "6to4"),
    (v6(0x3FFF, 0, 0, 20), "documentation"),
    (v6(0xFC00, 0, 0, 7), "unique local"),
    (v6(0xFE80, 0, 0, 10), "link-local"),
    (v6(0xFEC0, 0, 0, 10), "site-local"),
    (v6(0xFF00, 0, 0, 8), "multicast"),
];

/// What clouds answer their own machines at, credentials above all.
const METADATA: [IpAddr; 9] = [
    // AWS, Google, Azure and most others.
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xFD20, 0xCE, 0, 0, 0, 0, 0, 0x254)),
    // Credentials of containers: ECS, EKS.
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x23)),
    // Alibaba, Oracle; Azure's, which looks public.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Where packets to an address go: IPv4 that is written as IPv6, or that a NAT64 translates, is IPv4.
pub fn destination(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
        }
        _ => address,
    }
}

/// What an address is that is not of the public internet; none for one that is.
pub fn special(address: IpAddr) -> Option<&'static str> {
    let address = destination(address);
    let found = SPECIAL.iter().find(|(network, _)| network.contains(&address)).map(|(_, what)| *what);
    found.or_else(|| is_outside_unicast(address).then_some("not given out"))
}

/// Whether it is a cloud's service for its own machines.
pub fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&destination(address))
}

/// Global unicast of IPv6 is 2000::/3.
fn is_outside_unicast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[0] & 0xE000 != 0x2000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOT_PUBLIC: [(&str, &str); 60] = [
        ("0.0.0.0", "this network"),
        ("0.1.2.3", "this network"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "shared by a carrier's customers"),
        ("100.127.255.255", "shared by a carrier's customers"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.1", "reserved for protocols"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4"),
        ("192.168.0.1", "private"),
        ("192.168.255.255", "private"),
        ("198.18.0.1", "benchmarks"),
        ("198.19.255.255", "benchmarks"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.7", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.254", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::2", "IPv4 inside IPv6"),
        ("::127.0.0.1", "IPv4 inside IPv6"),
        ("::8.8.8.8", "IPv4 inside IPv6"),
        ("::ffff:0:127.0.0.1", "not given out"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.1.2.3", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:0.0.0.0", "this network"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("64:ff9b:1::8.8.8.8", "a network's own NAT64"),
        ("64:ff9b:1:fffe::1", "a network's own NAT64"),
        ("64:ff9b::1:0:0", "not given out"),
        ("64:ff9b:2::8.8.8.8", "not given out"),
        ("100::1", "not given out"),
        ("2001::1", "Teredo"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
        ("2001:2::1", "reserved for protocols"),
        ("2001:1ff:ffff::1", "reserved for protocols"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "6to4"),
        ("2002:808:808::1", "6to4"),
        ("3fff:fff::1", "documentation"),
        ("5f00::1", "not given out"),
        ("8000::1", "not given out"),
        ("fc00::1", "unique local"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
    ];

    const PUBLIC: [&str; 24] = [
        "1.0.0.0",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "3ffe::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ];

    #[test]
    fn what_is_not_public_has_a_name() {
        for (text, what) in NOT_PUBLIC {
            assert_eq!(special(text.parse().unwrap()), Some(what), "{text}");
        }
    }

    #[test]
    fn the_rest_is_public() {
        for text in PUBLIC {
            assert_eq!(special(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn metadata_is_known_however_it_is_written() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "fd20:ce::254",
            "169.254.170.2",
            "169.254.170.23",
            "fd00:ec2::23",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
        ] {
            assert!(is_metadata(text.parse().unwrap()), "{text}");
        }
        for text in ["169.254.169.253", "fd00:ec2::253", "168.63.129.17", "1.1.1.1", "::1"] {
            assert!(!is_metadata(text.parse().unwrap()), "{text}");
        }
    }
}
