//! Where the gateway may connect: a policy on addresses, applied after names are resolved.
//!
//! A base URL comes from an operator, but a name can be made to point anywhere, and the addresses where
//! clouds hand out machine credentials must never be reached with a request a client has shaped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns why nothing may ever connect to `ip`, over `http` or `https`; `None` if it may.
///
/// Forbidden are link-local addresses (169.254.0.0/16 with the metadata service of most clouds, fe80::/10),
/// the metadata services that live elsewhere, unspecified and "this network" addresses, multicast and
/// broadcast. An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4) counts as itself.
pub fn forbidden_address(ip: IpAddr) -> Option<&'static str> {
    match embedded(ip) {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

/// Returns whether `http` without TLS may be spoken to `ip`: loopback and private ranges (10/8, 172.16/12,
/// 192.168/16, 100.64/10, fc00::/7), as far as they are not forbidden altogether.
pub fn plain_http_allowed(ip: IpAddr) -> bool {
    forbidden_address(ip).is_none()
        && match embedded(ip) {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || is_shared(ip),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
        }
}

/// Returns whether `ip` is one of the public internet's, where a provider may be that one of many tenants made: not our
/// own network, nor kept for documentation, benchmarks, protocols or later use (IANA's special-purpose registries),
/// where a network may have anything.
pub fn is_public(ip: IpAddr) -> bool {
    forbidden_address(ip).is_none()
        && !plain_http_allowed(ip)
        && match embedded(ip) {
            IpAddr::V4(ip) => !matches!(
                ip.octets(),
                [192, 0, 0 | 2, _]
                    | [192, 88, 99, _]
                    | [198, 18 | 19, ..]
                    | [198, 51, 100, _]
                    | [203, 0, 113, _]
                    | [240..=255, ..]
            ),
            // Of all others that are handed out, 2001::/23 is for protocols.
            IpAddr::V6(ip) => !matches!(
                ip.segments(),
                [0..=0x1fff | 0x4000.., ..]
                    | [0x2001, 0..=0x1ff | 0xdb8, ..]
                    | [0x3fff, 0..=0xfff, ..]
            ),
        }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [169, 254, ..] => Some("link-local, where clouds serve machine credentials"),
        // Alibaba Cloud, Azure's host agent, Oracle Cloud.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => {
            Some("a cloud's metadata service")
        }
        [0, ..] => Some("unspecified"),
        [224..=239, ..] => Some("multicast"),
        [255, 255, 255, 255] => Some("broadcast"),
        _ => None,
    }
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<&'static str> {
    // Amazon EC2, Google Cloud.
    const METADATA: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    if METADATA.contains(&ip) {
        Some("a cloud's metadata service")
    } else if ip.is_unicast_link_local() {
        Some("link-local")
    } else if ip.is_unspecified() {
        Some("unspecified")
    } else if ip.is_multicast() {
        Some("multicast")
    } else {
        None
    }
}

/// 100.64/10, shared by carriers and overlay networks (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [100, 64..=127, ..])
}

/// The IPv4 address inside an IPv6 one, where the IPv6 one only wraps it; else the address itself.
fn embedded(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let wrapped = match v6.segments() {
        // `::` and `::1` are addresses of their own, not IPv4-compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return ip,
        // IPv4-mapped (RFC 4291), IPv4-compatible (deprecated), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            [high, low]
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [high, low],
        _ => return ip,
    };
    let [[a, b], [c, d]] = wrapped.map(u16::to_be_bytes);
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn metadata_and_nowhere_addresses_are_forbidden_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.0.0",
            "169.254.255.255",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
            "fe80::1",
            "febf:ffff::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "239.255.255.255",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(
                forbidden_address(ip(text)).is_some(),
                "{text} must be forbidden"
            );
            assert!(
                !plain_http_allowed(ip(text)),
                "{text} must not be spoken to"
            );
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_private_ranges() {
        for text in [
            "127.0.0.1",
            "127.255.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fd12::1",
        ] {
            assert!(
                forbidden_address(ip(text)).is_none(),
                "{text} is no forbidden address"
            );
            assert!(plain_http_allowed(ip(text)), "{text} may be spoken to");
        }
        for text in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.169.0.1",
            "2606:4700::1",
            "fec0::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(
                forbidden_address(ip(text)).is_none(),
                "{text} may be reached over TLS"
            );
            assert!(!plain_http_allowed(ip(text)), "{text} needs TLS");
        }
    }

    #[test]
    fn what_a_tenant_may_call_is_the_public_internet_only() {
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "2606:4700::1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(ip(text)), "{text} is public");
        }
        for text in [
            "10.0.0.1",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.255",
            "240.0.0.1",
            "255.255.255.254",
            "::1",
            "::ffff:203.0.113.1",
            "2002:c612:1::",
            "64:ff9b::240.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fec0::1",
        ] {
            assert!(!is_public(ip(text)), "{text} is not public");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_like_its_ipv4_self(octets: [u8; 4]) {
            let v4 = Ipv4Addr::from(octets);
            let mapped = IpAddr::V6(v4.to_ipv6_mapped());
            prop_assert_eq!(forbidden_address(IpAddr::V4(v4)), forbidden_address(mapped));
            prop_assert_eq!(plain_http_allowed(IpAddr::V4(v4)), plain_http_allowed(mapped));
        }
    }
}
