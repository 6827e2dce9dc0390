//! Which addresses `denyPrivateAddresses` refuses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Whether an address belongs to this machine or to a network that is not the public one.
///
/// An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, NAT64) is judged by that one too.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

/// The private address that a host is in itself, without a look-up: written as such in whatever notation, or a name that
/// stands for one everywhere.
pub(crate) fn private_literal(host: &Host<String>) -> Option<IpAddr> {
    let address = match host {
        Host::Ipv4(address) => IpAddr::from(*address),
        Host::Ipv6(address) => IpAddr::from(*address),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            if name != "localhost" && !name.ends_with(".localhost") {
                return None;
            }
            IpAddr::from(Ipv4Addr::LOCALHOST)
        }
    };
    is_private(address).then_some(address)
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        // RFC 6598, between a provider and its customers.
        || (a == 100 && (64..128).contains(&b))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    address.is_unspecified()
        || address.is_loopback()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        // Site-local addresses of RFC 3513, deprecated and still routed in places.
        || s[0] & 0xffc0 == 0xfec0
        || (s[..6] == [0, 0, 0, 0, 0, 0xffff] && is_private_v4(v4(s[6], s[7])))
        || (s[..6] == [0; 6] && is_private_v4(v4(s[6], s[7])))
        || (s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] && is_private_v4(v4(s[6], s[7])))
        || (s[0] == 0x2002 && is_private_v4(v4(s[1], s[2])))
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn private_and_public_addresses() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "169.253.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }
}
