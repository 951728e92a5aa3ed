//! Redis URLs: `redis://user:password@host:6379/0`, `rediss://` with TLS. Pure.
//!
//! Invariant: what is wrong is said without repeating the URL, which may hold a password.

use super::Address;
use tollgate_base::Secret;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether the server speaks TLS.
    pub tls: bool,
    /// Where it is.
    pub address: Address,
    /// Who logs in.
    pub username: Option<String>,
    /// With what.
    pub password: Option<Secret>,
    /// The database's number.
    pub database: Option<u16>,
}

impl RedisUrl {
    /// Reads a URL, whose port is `port` unless it says another.
    ///
    /// # Errors
    /// What is wrong with it, as in "the port is not a number".
    pub fn parse(text: &str, port: u16) -> Result<RedisUrl, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("there is no scheme")?;
        let tls = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err("the scheme is not `redis` or `rediss`"),
        };
        if rest.contains(['?', '#']) {
            return Err("it has a query or a fragment, which mean nothing here");
        }
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("it contains a space or a control character");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (username, password) =
            match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
                Some((username, password)) => (decode(username)?, decode(password)?),
                None => (String::new(), String::new()),
            };
        let address = host_and_port(address, port)?;
        let database = match path.trim_end_matches('/') {
            "" => None,
            number => Some(number.parse().map_err(|_| "the database is not a number")?),
        };
        Ok(RedisUrl {
            tls,
            address,
            username: Some(username).filter(|name| !name.is_empty()),
            password: Some(password)
                .filter(|password| !password.is_empty())
                .map(Secret::new),
            database,
        })
    }

    /// Returns whether it says more than where the server is.
    pub fn says_more(&self) -> bool {
        self.username.is_some() || self.password.is_some() || self.database.is_some()
    }
}

fn host_and_port(address: &str, default: u16) -> Result<Address, &'static str> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("`[` is not closed by `]`")?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("what is in brackets is not an IPv6 address");
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("there is something between `]` and the port"),
            }
        }
        None => match address.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err("an IPv6 address stands in brackets");
            }
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() {
        return Err("there is no host");
    }
    let port = match port {
        None => default,
        Some(port) => port
            .parse()
            .map_err(|_| "the port is not a number up to 65535")?,
    };
    if port == 0 {
        return Err("the port is 0");
    }
    Ok(Address::new(host, port))
}

/// Resolves `%40` and the like.
fn decode(text: &str) -> Result<String, &'static str> {
    const WRONG: &str =
        "a `%` is not followed by two hexadecimal digits; write `%25` for the character itself";
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(WRONG)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let text = String::from_utf8(bytes).map_err(|_| "the login is not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("the login contains a control character");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(tls: bool, host: &str, port: u16) -> RedisUrl {
        RedisUrl {
            tls,
            address: Address::new(host, port),
            username: None,
            password: None,
            database: None,
        }
    }

    #[test]
    fn urls_say_where_the_server_is_and_who_logs_in() {
        for (text, want) in [
            ("redis://cache", url(false, "cache", 6379)),
            ("redis://127.0.0.1:7000/", url(false, "127.0.0.1", 7000)),
            ("rediss://r.example.com", url(true, "r.example.com", 6379)),
            ("valkey://[::1]:1", url(false, "::1", 1)),
            (
                "redis://:p%40ss:w@h/3",
                RedisUrl {
                    password: Some(Secret::new("p@ss:w")),
                    database: Some(3),
                    ..url(false, "h", 6379)
                },
            ),
            (
                "redis://me@h",
                RedisUrl {
                    username: Some("me".to_owned()),
                    ..url(false, "h", 6379)
                },
            ),
        ] {
            assert_eq!(RedisUrl::parse(text, 6379), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, want) in [
            ("", "there is no scheme"),
            ("localhost:6379", "there is no scheme"),
            ("http://h", "the scheme is not"),
            ("redis://", "there is no host"),
            ("redis://:6379", "there is no host"),
            ("redis://u:p@", "there is no host"),
            ("redis://h:", "the port is not"),
            ("redis://h:70000", "the port is not"),
            ("redis://h:0", "the port is 0"),
            ("redis://::1", "in brackets"),
            ("redis://[::1", "not closed"),
            ("redis://[x]:1", "not an IPv6"),
            ("redis://[::1]1", "between"),
            ("redis://h/x", "the database"),
            ("redis://h/1/2", "the database"),
            ("redis://h?protocol=resp3", "a query"),
            ("redis://a b", "a space"),
            ("redis://u:%4@h", "hexadecimal"),
            ("redis://u:%zz@h", "hexadecimal"),
            ("redis://u:%ff@h", "UTF-8"),
            ("redis://u:%0a@h", "control"),
        ] {
            let said = RedisUrl::parse(text, 6379).unwrap_err();
            assert!(said.contains(want), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(rediss?://)?\\PC{0,30}|redis://[a-z%@:\\[\\]/0-9é]{0,20}") {
            drop(RedisUrl::parse(&text, 6379));
        }
    }
}
