//! Which network addresses count as the public internet.
//!
//! **Invariant:** an address in a form that hides another one (IPv4 inside IPv6, NAT64, 6to4) is
//! judged by the one it hides, or refused.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

/// Ranges that no provider lives in: this machine, private networks, link-local (with the
/// metadata services of clouds), documentation, benchmarks, tunnels, multicast and reserved space.
static REFUSED: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let v4 = |a, b, c, d, prefix| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix));
    let v6 = |segments: [u16; 8], prefix| {
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix))
    };
    vec![
        v4(0, 0, 0, 0, 8),
        v4(10, 0, 0, 0, 8),
        v4(100, 64, 0, 0, 10),
        v4(127, 0, 0, 0, 8),
        v4(169, 254, 0, 0, 16),
        v4(172, 16, 0, 0, 12),
        v4(192, 0, 0, 0, 24),
        v4(192, 0, 2, 0, 24),
        v4(192, 88, 99, 0, 24),
        v4(192, 168, 0, 0, 16),
        v4(198, 18, 0, 0, 15),
        v4(198, 51, 100, 0, 24),
        v4(203, 0, 113, 0, 24),
        v4(224, 0, 0, 0, 4),
        v4(240, 0, 0, 0, 4),
        v6([0, 0, 0, 0, 0, 0, 0, 0], 96),
        v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
        v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
        v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
        v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
        v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
        v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
        v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16),
        v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
        v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
        v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    ]
});

/// Whether `address` is one that strangers on the internet could have.
pub fn is_global(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !REFUSED.iter().any(|range| range.contains(&address))
}

/// Networks of one's own, where a server stands that an operator may name.
static OWN: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let v4 = |a, b, prefix| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix));
    let unique_local = Ipv6Addr::from_segments([0xfc00, 0, 0, 0, 0, 0, 0, 0]);
    vec![
        v4(10, 0, 8),
        v4(100, 64, 10),
        v4(127, 0, 8),
        v4(172, 16, 12),
        v4(192, 168, 16),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
        IpNet::V6(Ipv6Net::new_assert(unique_local, 7)),
    ]
});

/// Whether an operator may name a server at `address`: a public one, this machine, a private
/// network. Link-local addresses are nobody's, for metadata services of clouds live there.
pub fn may_be_named(address: IpAddr) -> bool {
    let address = address.to_canonical();
    is_global(address) || OWN.iter().any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_name_own_networks_and_no_metadata() {
        for address in ["1.1.1.1", "127.0.0.1", "10.0.0.7", "192.168.1.9", "::1", "fd12::1"] {
            assert!(may_be_named(address.parse().unwrap()), "{address}");
        }
        for address in ["0.0.0.0", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "::"] {
            assert!(!may_be_named(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn only_public_addresses_are_global() {
        for address in ["1.1.1.1", "93.184.216.34", "100.63.255.255", "2606:4700::1111"] {
            assert!(is_global(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_global(address.parse().unwrap()), "{address}");
        }
        assert!(is_global("::ffff:1.1.1.1".parse().unwrap()));
    }
}
