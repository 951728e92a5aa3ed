//! Listeners, and settings that are only filled in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Checker;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::units::{ByteSize, Span};
use crate::yaml::valid::{AccessLog, Cors, Proxy, Timeouts, WebSocket};

const PROXY_DEFAULT: SocketAddr = loopback(8080);
pub(super) const ADMIN_DEFAULT: SocketAddr = loopback(9090);
const MAX_THREADS: usize = 1024;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

impl Checker<'_> {
    pub(super) fn proxy(&mut self, proxy: &types::Proxy) -> Proxy {
        let place = Place::top("proxy");
        let tls = proxy
            .tls
            .as_ref()
            .and_then(|tls| self.tls(&place.key("tls"), tls));
        let listen = match &proxy.listen {
            None => vec![PROXY_DEFAULT],
            Some(listen) => self.addresses(&place.key("listen"), listen),
        };
        if proxy.listen.as_ref().is_some_and(Vec::is_empty) && proxy.tls.is_none() {
            let hint = Some("leave it out for 127.0.0.1:8080".to_owned());
            self.fault(&place.key("listen"), "there is nothing to listen on", hint);
        }
        let threads = proxy.threads.unwrap_or(0);
        if threads > MAX_THREADS {
            self.fault(
                &place.key("threads"),
                format!("more than {MAX_THREADS} threads"),
                None,
            );
        }
        Proxy {
            listen,
            tls,
            threads: match threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                threads => threads,
            },
            max_body: self.size(&place.key("max_body"), proxy.max_body, 32 << 20),
            max_headers: self.size(&place.key("max_headers"), proxy.max_headers, 64 << 10),
            max_in_flight: bound(proxy.max_in_flight),
            max_connections: bound(proxy.max_connections),
            read_timeout: self.span(&place.key("read_timeout"), proxy.read_timeout, 30),
            keepalive: self.span(&place.key("keepalive"), proxy.keepalive, 75),
            // No grace at all is a choice, too.
            drain: proxy.drain.map_or(Duration::from_secs(600), Span::duration),
            websocket: self.websocket(&place.key("websocket"), &proxy.websocket),
            cors: proxy
                .cors
                .as_ref()
                .map(|cors| self.cors(&place.key("cors"), cors)),
        }
    }

    fn websocket(&mut self, place: &Place, written: &types::WebSocket) -> Option<WebSocket> {
        let allowed = WebSocket {
            idle: self.span(&place.key("idle"), written.idle, 600),
            max_age: self.span(&place.key("max_age"), written.max_age, 3600),
        };
        written.enabled.unwrap_or(true).then_some(allowed)
    }

    fn cors(&mut self, place: &Place, cors: &types::Cors) -> Cors {
        let (mut any, mut origins) = (false, Vec::new());
        for (index, origin) in cors.origins.iter().enumerate() {
            if origin == "*" {
                any = true;
            } else if is_origin(origin) {
                origins.push(origin.to_ascii_lowercase());
            } else {
                let hint =
                    "write scheme, host and port only, as in https://app.example.com; `*` is any";
                let place = place.key("origins").index(index);
                self.fault(&place, "this is not an origin", Some(hint.to_owned()));
            }
        }
        if cors.origins.is_empty() {
            let hint = Some("leave `cors` out to let no application in a browser call".to_owned());
            self.fault(&place.key("origins"), "no origin is let in", hint);
        }
        Cors {
            any,
            origins,
            max_age: cors
                .max_age
                .map_or(Duration::from_secs(600), Span::duration),
        }
    }

    pub(super) fn demo(&mut self, demo: &types::Demo) -> Option<SocketAddr> {
        let place = Place::top("demo").key("listen");
        let address = self.address(&place, demo.listen.as_deref()?)?;
        if !address.ip().is_loopback() {
            let hint = Some("use 127.0.0.1:8089".to_owned());
            self.fault(
                &place,
                "the demo provider misbehaves on request, so it listens on loopback only",
                hint,
            );
        } else if address.port() == 0 {
            let hint = Some("use 127.0.0.1:8089".to_owned());
            self.fault(
                &place,
                "the demo provider needs a fixed port, so that the gateway can call it",
                hint,
            );
        }
        Some(address)
    }

    /// No two listeners share an address, as one for every address does with each of them.
    pub(super) fn distinct_listeners(&mut self, file: &types::File, demo: Option<SocketAddr>) {
        let mut all: Vec<(Place, SocketAddr)> = Vec::new();
        let mut add = |place: &Place, list: &[String]| {
            let parsed = list
                .iter()
                .enumerate()
                .filter_map(|(i, text)| Some((place.index(i), text.parse().ok()?)));
            all.extend(parsed);
        };
        let proxy = Place::top("proxy");
        match &file.proxy.listen {
            Some(listen) => add(&proxy.key("listen"), listen),
            None => add(&proxy.key("listen"), &[PROXY_DEFAULT.to_string()]),
        }
        if let Some(tls) = &file.proxy.tls {
            add(&proxy.key("tls").key("listen"), &tls.listen);
        }
        let admin = file
            .admin
            .listen
            .as_deref()
            .map_or(Some(ADMIN_DEFAULT), |text| text.parse().ok());
        all.extend(admin.map(|address| (Place::top("admin").key("listen"), address)));
        all.extend(demo.map(|address| (Place::top("demo").key("listen"), address)));

        let mut taken: Vec<(SocketAddr, Place)> = Vec::new();
        for (place, address) in all {
            if address.port() == 0 {
                continue;
            }
            let first = taken.iter().find(|(other, _)| overlap(*other, address));
            let Some((other, first)) = first else {
                taken.push((address, place));
                continue;
            };
            let hint = (*other != address).then(|| {
                format!("{other} and {address} overlap: 0.0.0.0 is every address of IPv4, and [::] is all of both kinds")
            });
            let message = format!("{address} is already taken by {first}");
            self.fault(&place, message, hint);
        }
    }

    pub(super) fn access_log(&mut self, log: &types::Log) -> AccessLog {
        match log.access.as_deref() {
            None | Some("stdout") => AccessLog::Stdout,
            Some("off") => AccessLog::Off,
            Some(path) => {
                if !path.contains(['/', '.']) {
                    let hint =
                        Some("a file in the working directory is written as `./name`".to_owned());
                    self.fault(
                        &Place::top("log").key("access"),
                        "this is not `stdout`, `off` or a path",
                        hint,
                    );
                }
                AccessLog::File(path.into())
            }
        }
    }

    pub(super) fn addresses(&mut self, place: &Place, list: &[String]) -> Vec<SocketAddr> {
        list.iter()
            .enumerate()
            .filter_map(|(i, text)| self.address(&place.index(i), text))
            .collect()
    }

    pub(super) fn address(&mut self, place: &Place, text: &str) -> Option<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let hint = match text.rsplit_once(':') {
            Some(("" | "*", port)) => format!(
                "write 0.0.0.0:{port} for every interface, 127.0.0.1:{port} for this machine only"
            ),
            Some(("localhost", port)) => format!("write 127.0.0.1:{port}"),
            _ => "write an IP address and a port, as in 127.0.0.1:8080 or [::1]:8080".to_owned(),
        };
        self.fault(place, "this is not an address to listen on", Some(hint));
        None
    }

    fn size(&mut self, place: &Place, size: Option<ByteSize>, default: usize) -> usize {
        let Some(size) = size else { return default };
        if size.0 == 0 {
            self.fault(place, "must be more than 0", None);
        }
        usize::try_from(size.0).unwrap_or(usize::MAX)
    }

    fn span(&mut self, place: &Place, span: Option<Span>, default_seconds: u64) -> Duration {
        let Some(span) = span else {
            return Duration::from_secs(default_seconds);
        };
        if span.duration().is_zero() {
            self.fault(place, "must be more than 0", None);
        }
        span.duration()
    }
}

/// Whether the system would refuse to listen on both: they are the same, or one is for every address. That of IPv6 is
/// for IPv4's as well.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |any: IpAddr, ip: IpAddr| any.is_unspecified() && (any.is_ipv6() || ip.is_ipv4());
    one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

/// Whether a text is an origin as browsers write it: without a path, and without a port that its scheme has anyway.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let is_scheme = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\*".contains(&byte);
    let has_usual_port = !usual.is_empty() && host.ends_with(usual);
    is_scheme
        && !scheme.is_empty()
        && !host.is_empty()
        && host.bytes().all(is_host)
        && !has_usual_port
}

pub(super) fn timeouts(written: &types::Timeouts) -> Timeouts {
    let none = crate::catalog::TimeoutOverrides::default();
    crate::yaml::effective(
        &Timeouts::default(),
        &none,
        &written.overrides(),
        &none,
        &none,
    )
}

/// A bound that 0 switches off.
fn bound(most: Option<u64>) -> Option<usize> {
    most.filter(|&most| most > 0)
        .map(|most| usize::try_from(most).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[test]
    fn a_word_that_is_no_destination_is_not_taken_for_a_file() {
        for (word, fine) in [
            ("stdout", true),
            ("off", true),
            ("./stdot", true),
            ("access.log", true),
            ("stdot", false),
            ("stderr", false),
        ] {
            let result = parse(&format!("log: {{ access: {word} }}"), &|_| None);
            assert_eq!(result.is_ok(), fine, "{word}");
        }
    }

    #[test]
    fn one_address_is_a_list_of_one() {
        let config = parse("proxy: { listen: '127.0.0.1:1' }", &|_| None).unwrap();
        assert_eq!(config.proxy.listen, ["127.0.0.1:1".parse().unwrap()]);
        let faults = parse("\nproxy:\n  listen: localhost:1\n", &|_| None).unwrap_err();
        let told = faults.to_string();
        assert!(
            told.contains(":3: proxy.listen[0]: this is not an address"),
            "{told}"
        );
    }

    #[test]
    fn a_listener_for_every_address_takes_the_port_of_each() {
        for (one, other, fine) in [
            ("0.0.0.0:1", "[::]:1", false),
            ("[::]:1", "0.0.0.0:1", false),
            ("0.0.0.0:1", "127.0.0.1:1", false),
            ("127.0.0.1:1", "[::]:1", false),
            ("[::1]:1", "[::]:1", false),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", false),
            ("[::ffff:0.0.0.0]:1", "10.0.0.1:1", false),
            ("127.0.0.1:1", "127.0.0.1:1", false),
            ("0.0.0.0:1", "[::1]:1", true),
            ("127.0.0.1:1", "[::1]:1", true),
            ("0.0.0.0:1", "[::]:2", true),
            ("0.0.0.0:0", "[::]:0", true),
        ] {
            let yaml = format!("proxy: {{ listen: ['{one}', '{other}'] }}");
            let found = parse(&yaml, &|_| None);
            assert_eq!(found.is_ok(), fine, "{one} {other}");
            if let Err(faults) = found {
                let told = faults.to_string();
                assert!(
                    told.contains(&format!("{other} is already taken by proxy.listen[0]")),
                    "{told}"
                );
            }
        }
        // The admin listener's default is one of them.
        assert!(parse("proxy: { listen: '0.0.0.0:9090' }", &|_| None).is_err());
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (origin, fine) in [
            ("*", true),
            ("https://app.example", true),
            ("http://localhost:3000", true),
            ("HTTPS://App.Example", true),
            ("chrome-extension://abcdef", true),
            ("http://[::1]:8080", true),
            ("https://app.example/", false),
            ("https://app.example/a", false),
            ("https://app.example:443", false),
            ("https://*.example", false),
            ("app.example", false),
            ("https://", false),
            ("", false),
        ] {
            let yaml = format!("proxy: {{ cors: {{ origins: ['{origin}'] }} }}");
            assert_eq!(parse(&yaml, &|_| None).is_ok(), fine, "{origin}");
        }
        assert!(parse("proxy: { cors: {} }", &|_| None).is_err());
    }
}
