//! Where upstream requests may go.
//!
//! Plain http stays on this machine and its private networks, and nothing ever goes to a link-local address,
//! where clouds keep their metadata. A base URL is checked when it is read; [`allowed`] is for the addresses that
//! its host resolves to.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

/// Why an address or a base URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 169.254.0.0/16, fe80::/10, or a name that stands for one.
    #[error("link-local addresses are never called: cloud metadata lives there")]
    LinkLocal,
    /// 0.0.0.0, `::`, multicast or broadcast.
    #[error("this is not the address of one machine")]
    NotAHost,
    /// Plain http to a public address.
    #[error(
        "plain http is only for loopback and private addresses (or localhost, *.internal, *.local, bare names)"
    )]
    PlainPublic,
    /// Not a URL at all.
    #[error("this is not a URL")]
    NotAUrl,
    /// No scheme, or another one.
    #[error("a base URL starts with https:// (or http:// on a private network)")]
    Scheme,
    /// `user:password@`.
    #[error("a base URL carries no user or password")]
    UserInfo,
    /// `#…`
    #[error("a base URL has no fragment (`#…`)")]
    Fragment,
}

impl Refusal {
    /// What to do about it, where the message does not say.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Refusal::PlainPublic => Some("use https://"),
            Refusal::NotAUrl | Refusal::Scheme => Some("write it as https://api.example.com/v1"),
            Refusal::UserInfo => Some("put the credential under `keys`"),
            Refusal::NotAHost => Some("to reach this machine, use 127.0.0.1"),
            Refusal::LinkLocal | Refusal::Fragment => None,
        }
    }
}

/// Whether a request may go to `address`, with TLS or without. To be asked of every address that a name
/// resolves to.
///
/// # Errors
///
/// Why not.
pub fn allowed(address: IpAddr, tls: bool) -> Result<(), Refusal> {
    let address = unmapped(address);
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local {
        return Err(Refusal::LinkLocal);
    }
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return Err(Refusal::NotAHost);
    }
    let private = match address {
        // 100.64.0.0/10 is shared by carriers and overlay networks (RFC 6598).
        IpAddr::V4(v4) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    if tls || private || address.is_loopback() {
        Ok(())
    } else {
        Err(Refusal::PlainPublic)
    }
}

/// The IPv4 address inside an IPv6 one (`::ffff:a.b.c.d`, and `64:ff9b::a.b.c.d` of NAT64), which is where it leads.
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            Ipv6Addr::from_bits(v6.to_bits() & 0xffff_ffff | 0xffff_0000_0000)
                .to_ipv4_mapped()
                .map_or(address, IpAddr::from)
        }
        _ => address,
    }
}

/// Whether `url` may be a provider's base URL.
///
/// # Errors
///
/// Why not. The message never repeats the URL, which may hold a credential.
pub fn check_base_url(url: &str) -> Result<(), Refusal> {
    if url.contains('#') {
        return Err(Refusal::Fragment);
    }
    let uri: Uri = url.parse().map_err(|_| Refusal::NotAUrl)?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(Refusal::Scheme),
    };
    let authority = uri.authority().ok_or(Refusal::NotAUrl)?;
    if authority.as_str().contains('@') {
        return Err(Refusal::UserInfo);
    }
    // `host:` and `host:99999` leave a colon without a port.
    let after_host = authority
        .as_str()
        .strip_prefix(authority.host())
        .unwrap_or_default();
    if authority.host().is_empty()
        || (!after_host.is_empty() && authority.port_u16().is_none_or(|port| port == 0))
    {
        return Err(Refusal::NotAUrl);
    }
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => allowed(address, tls),
        Err(_) if authority.host().starts_with('[') => Err(Refusal::NotAUrl),
        Err(_) => name(&host.to_ascii_lowercase(), tls),
    }
}

fn name(host: &str, tls: bool) -> Result<(), Refusal> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host == "metadata.google.internal" || host == "metadata" {
        return Err(Refusal::LinkLocal);
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    // `0x7f.1` and `2130706433` are addresses to some resolvers and names to others.
    if last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::NotAUrl);
    }
    let private = !host.contains('.') || ["localhost", "internal", "local"].contains(&last);
    if tls || private {
        Ok(())
    } else {
        Err(Refusal::PlainPublic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_allowed_or_refused_for_a_reason() {
        use Refusal::*;
        for (url, want) in [
            ("https://api.openai.com/v1", Ok(())),
            (
                "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
                Ok(()),
            ),
            ("https://203.0.113.7", Ok(())),
            ("http://127.0.0.1:8000/v1", Ok(())),
            ("http://[::1]:8000", Ok(())),
            ("http://10.1.2.3", Ok(())),
            ("http://100.64.0.7:8000", Ok(())),
            ("http://192.168.0.9:11434", Ok(())),
            ("http://[fd00::1]", Ok(())),
            ("http://localhost:8000", Ok(())),
            ("http://ollama:11434", Ok(())),
            ("http://vllm.svc.cluster.local", Ok(())),
            ("http://host.docker.internal:8000", Ok(())),
            ("http://api.example.com", Err(PlainPublic)),
            ("http://8.8.8.8", Err(PlainPublic)),
            ("http://172.32.0.1", Err(PlainPublic)),
            ("http://169.254.169.254/latest", Err(LinkLocal)),
            ("https://169.254.169.254", Err(LinkLocal)),
            ("https://[fe80::1]", Err(LinkLocal)),
            ("https://[::ffff:169.254.169.254]", Err(LinkLocal)),
            ("https://[64:ff9b::a9fe:a9fe]", Err(LinkLocal)),
            ("http://metadata.google.internal", Err(LinkLocal)),
            ("http://0.0.0.0:8000", Err(NotAHost)),
            ("https://user:secret@api.example.com", Err(UserInfo)),
            ("https://secret@api.example.com", Err(UserInfo)),
            ("ftp://example.com", Err(Scheme)),
            ("api.example.com", Err(Scheme)),
            ("/v1", Err(Scheme)),
            ("", Err(NotAUrl)),
            ("https://", Err(NotAUrl)),
            ("https://a b", Err(NotAUrl)),
            ("https://host:99999", Err(NotAUrl)),
            ("https://2852039166/", Err(NotAUrl)),
            ("http://0x7f.0x1", Err(NotAUrl)),
            ("https://api.example.com/#x", Err(Fragment)),
        ] {
            assert_eq!(check_base_url(url), want, "{url}");
        }
    }
}
