//! Where a request comes from, and which networks an address is in.
//!
//! **Invariant:** a header says where a request comes from only when a proxy that the operator
//! trusts wrote it; everybody else can write headers too.

use crate::{Error, Result};
use anyhow::Context;
use ipnet::IpNet;
use poem::http::HeaderMap;
use std::net::IpAddr;

const FORWARDED: &str = "x-forwarded-for";
/// Proxies in a row that anybody has.
const HOPS: usize = 20;

/// The address that a request comes from, put there by the edge; `None` when it came over no
/// socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) Option<IpAddr>);

/// The proxies in front of this host.
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// # Errors
    /// When one is neither an address nor a network.
    pub(super) fn new(trusted: &[String]) -> anyhow::Result<Self> {
        let networks = trusted
            .iter()
            .map(|text| network(text).with_context(|| format!("TRUSTED_PROXIES: {text:?}")))
            .collect::<anyhow::Result<_>>()?;
        Ok(Proxies(networks))
    }

    /// Whoever asked the outermost trusted proxy; without one, the peer.
    ///
    /// Read from the right: each proxy adds whom it heard from, and what stands further left
    /// than the last one we trust may be made up.
    pub(super) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.to_canonical();
        if !contain(&self.0, client) {
            return Some(client);
        }
        let values = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        for hop in hops.iter().rev().take(HOPS) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !contain(&self.0, client) {
                break;
            }
        }
        Some(client)
    }
}

/// Networks as they are written: `10.0.0.0/8`, or an address alone.
pub(super) fn networks(texts: &[String]) -> Result<Vec<IpNet>> {
    let read = |text: &String| {
        network(text).ok_or_else(|| Error::Internal(anyhow::anyhow!("{text:?} is no network")))
    };
    texts.iter().map(read).collect()
}

/// A network, or an address as a network of its own.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Whether an address is in one of the networks.
pub(super) fn contain(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<String> = trusted.iter().map(ToString::to_string).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED, value.parse().unwrap());
        }
        let proxies = Proxies::new(&trusted).unwrap();
        proxies.client(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let spoofed = &["1.2.3.4"][..];
        assert_eq!(client(&[], "203.0.113.9", spoofed), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", spoofed), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", spoofed), "1.2.3.4");
        assert_eq!(client(&["10.0.0.1"], "10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4, nonsense"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", spoofed), "1.2.3.4");
        assert_eq!(client(&["::1"], "::1", &["2001:db8::7"]), "2001:db8::7");
        assert!(Proxies::new(&["10.0.0.0/99".into()]).is_err());
    }
}
