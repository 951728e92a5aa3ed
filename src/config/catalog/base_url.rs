//! A base URL taken apart, so that a surface's path can be put inside it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A base URL taken apart, so that a surface's path can be put inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https`, or plain `http`.
    pub tls: bool,
    /// Host name (lower-case) or address, without brackets around an IPv6 one.
    pub host: String,
    /// Port, the scheme's own if none was written.
    pub port: u16,
    /// What a `Host` header says: host, and the port if it is not the scheme's own.
    pub authority: String,
    /// Path without a trailing slash; `/v1` if none was written.
    pub path: String,
    /// Query without the question mark.
    pub query: Option<String>,
}

impl BaseUrl {
    /// Reads `http[s]://host[:port][/path][?query]`. Without a path, `/v1` is appended.
    ///
    /// # Errors
    /// Says what is wrong and what to write instead: another scheme, no host, a user or password, a
    /// fragment, a bad port, characters that must be percent-encoded. Never repeats the URL, which may hold a
    /// credential.
    pub fn parse(text: &str) -> Result<BaseUrl, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("not a URL: write https://host, or https://host:port/path")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => {
                return Err("this scheme is not supported: write https:// or http://".to_owned());
            }
        };
        if rest.contains('#') {
            return Err("a base URL has no fragment: remove `#` and what follows".to_owned());
        }
        if let Some(bad) = rest
            .chars()
            .find(|c| !c.is_ascii_graphic() || r#""<>\^`{|}"#.contains(*c))
        {
            return Err(format!(
                "{bad:?} cannot stand in a URL: percent-encode it, or write the host in punycode"
            ));
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(
                "a base URL carries no user or password: put the credential into `keys`".to_owned(),
            );
        }
        let (host, port) = split_port(authority)?;
        let (host, written) = parse_host(host)?;
        let own_port = if tls { 443 } else { 80 };
        let port = port.unwrap_or(own_port);
        let authority = if port == own_port {
            written
        } else {
            format!("{written}:{port}")
        };
        let path = match path.trim_end_matches('/') {
            "" => "/v1",
            path => path,
        };
        Ok(BaseUrl {
            tls,
            host,
            port,
            authority,
            path: path.to_owned(),
            query: query.filter(|query| !query.is_empty()).map(str::to_owned),
        })
    }

    /// Path and query of an upstream request: the base's path, then `surface_path` (which starts with a
    /// slash), then the base's query and the client's, joined by `&`.
    pub fn join(&self, surface_path: &str, client_query: Option<&str>) -> String {
        let queries = [
            self.query.as_deref(),
            client_query.filter(|query| !query.is_empty()),
        ];
        let length = self.path.len()
            + surface_path.len()
            + queries
                .iter()
                .flatten()
                .map(|query| query.len() + 1)
                .sum::<usize>();
        let mut joined = String::with_capacity(length);
        joined.push_str(&self.path);
        joined.push_str(surface_path);
        for (query, separator) in queries.into_iter().flatten().zip(['?', '&']) {
            joined.push(separator);
            joined.push_str(query);
        }
        joined
    }

    /// Returns the host as an address, if it is one rather than a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

/// Host (with its brackets) and port of an authority.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let after_brackets = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[after_brackets..].find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_brackets + colon);
    match port[1..].parse::<u16>() {
        Ok(number) if number > 0 && port[1..].bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok((host, Some(number)))
        }
        _ => Err(
            "this is not a port: write 1 to 65535 after the colon, and an IPv6 address in brackets"
                .to_owned(),
        ),
    }
}

/// The host for connecting, and the host as it is written inside a URL.
fn parse_host(host: &str) -> Result<(String, String), String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        let address = address.ok_or("what stands in brackets is not an IPv6 address")?;
        return Ok((address.to_string(), format!("[{address}]")));
    }
    if host.is_empty() {
        return Err("the host is missing: write https://host".to_owned());
    }
    let name = host.to_ascii_lowercase();
    let labels = name.strip_suffix('.').unwrap_or(&name);
    let sound = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !labels.split('.').all(sound) {
        return Err("what stands for the host is not a host name: write https://host".to_owned());
    }
    // Resolvers read `127.1` or `0x7f000001` as addresses; say so here rather than connect somewhere unexpected.
    let last = labels.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if numeric && labels.parse::<Ipv4Addr>().is_err() {
        return Err("this host is not an IPv4 address: write four decimal numbers".to_owned());
    }
    Ok((name.clone(), name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        // (text, tls, host, port, authority, path, query)
        for (text, tls, host, port, authority, path, query) in [
            (
                "https://api.openai.com/v1/",
                true,
                "api.openai.com",
                443,
                "api.openai.com",
                "/v1",
                None,
            ),
            (
                "https://api.deepseek.com",
                true,
                "api.deepseek.com",
                443,
                "api.deepseek.com",
                "/v1",
                None,
            ),
            (
                "https://my-ollama.internal/",
                true,
                "my-ollama.internal",
                443,
                "my-ollama.internal",
                "/v1",
                None,
            ),
            (
                "HTTP://LocalHost:8000/v1//",
                false,
                "localhost",
                8000,
                "localhost:8000",
                "/v1",
                None,
            ),
            ("http://h:80", false, "h", 80, "h", "/v1", None),
            ("https://h:80", true, "h", 80, "h:80", "/v1", None),
            ("https://h:443/x", true, "h", 443, "h", "/x", None),
            (
                "http://[::1]:8080/a/b",
                false,
                "::1",
                8080,
                "[::1]:8080",
                "/a/b",
                None,
            ),
            ("http://[0:0::1]", false, "::1", 80, "[::1]", "/v1", None),
            ("https://h?k=v", true, "h", 443, "h", "/v1", Some("k=v")),
            ("https://h/?", true, "h", 443, "h", "/v1", None),
            (
                "https://h/p/?a=/b/",
                true,
                "h",
                443,
                "h",
                "/p",
                Some("a=/b/"),
            ),
        ] {
            let url = BaseUrl::parse(text).expect(text);
            let parts = (
                url.tls,
                &*url.host,
                url.port,
                &*url.authority,
                &*url.path,
                url.query.as_deref(),
            );
            assert_eq!(parts, (tls, host, port, authority, path, query), "{text}");
        }
    }

    #[test]
    fn azure_keeps_its_path_and_query_around_the_surface() {
        let url =
            BaseUrl::parse("https://h/openai/deployments/x?api-version=2024-10-21").expect("sound");
        let path = url.join("/chat/completions", None);
        assert_eq!(
            path,
            "/openai/deployments/x/chat/completions?api-version=2024-10-21"
        );
        let path = url.join("/chat/completions", Some("beta=true"));
        assert_eq!(
            path,
            "/openai/deployments/x/chat/completions?api-version=2024-10-21&beta=true"
        );
    }

    #[test]
    fn the_clients_query_travels() {
        let url = BaseUrl::parse("https://api.anthropic.com/v1/").expect("sound");
        assert_eq!(
            url.join("/messages", Some("beta=true")),
            "/v1/messages?beta=true"
        );
        assert_eq!(
            url.join("/messages", Some("")),
            "/v1/messages",
            "an empty query is no query"
        );
    }

    #[test]
    fn what_is_not_a_base_url_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "not a URL"),
            ("api.openai.com/v1", "not a URL"),
            ("ftp://h", "scheme"),
            ("user:secret@h/v1", "not a URL"),
            ("https://", "host is missing"),
            ("https:///v1", "host is missing"),
            ("https://user:secret@h/v1", "user or password"),
            ("https://h/v1#x", "fragment"),
            ("https://h:0", "not a port"),
            ("https://h:99999", "not a port"),
            ("https://h:", "not a port"),
            ("https://h:+80", "not a port"),
            ("https://::1/", "not a port"),
            ("https://[::1/", "in brackets"),
            ("https://[fe80::1%25eth0]/", "not an IPv6"),
            ("https://[::1]x/", "not an IPv6"),
            ("https://a b/", "percent-encode"),
            ("https://h/a\r\nx: y", "percent-encode"),
            ("https://büro.example/", "punycode"),
            ("https://a..b/", "not a host name"),
            ("https://a%41/", "not a host name"),
            ("http://127.1/", "not an IPv4"),
            ("http://2130706433/", "not an IPv4"),
            ("http://0x7f000001/", "not an IPv4"),
            ("http://999.1.1.1/", "not an IPv4"),
        ] {
            let fault = BaseUrl::parse(text).expect_err(text);
            assert!(fault.contains(reason), "{text:?}: {fault}");
            assert!(
                !fault.contains("secret"),
                "a fault must not repeat a password"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_shown_parses_alike(text in "(https?://)?[ -~]{0,40}") {
            if let Ok(url) = BaseUrl::parse(&text) {
                prop_assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url.clone()));
                prop_assert!(url.path.starts_with('/') && !url.path.ends_with('/'));
            }
        }
    }
}
