//! Fetches what others publish: over TLS, within a deadline and a bound, without following redirects.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tollgate_config::catalog::{forbidden_address, is_public, plain_http_allowed};
use tollgate_config::feeds::LARGEST;
use tollgate_control::admin::chat::{Answered, Chat};
use ureq::config::Config;
use ureq::http::{HeaderValue, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error, Proxy};

/// Longest time for a feed, from looking its name up to its last byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest time for a chat, from its message to the last word of its answer: the admin listener waits no longer.
const LONGEST_CHAT: Duration = Duration::from_secs(110);

/// Returns a client of providers' APIs: https only, each call within `patience`. It trusts the authorities in `ca`, or
/// else the system's.
///
/// # Errors
/// When `ca` cannot be read or holds no certificate.
pub fn agent(ca: Option<&Path>, patience: Duration) -> Result<Agent, String> {
    Ok(settings(certificates(ca)?, patience, Whose::Provider).into())
}

/// What is fetched from whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Figures of an account, by the proxy that the environment names, if any.
    Provider,
    /// What anybody may have, from where it is.
    Publisher,
}

fn settings(certificates: Vec<Certificate<'static>>, patience: Duration, whose: Whose) -> Config {
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates));
    Agent::config_builder()
        .https_only(whose == Whose::Provider)
        .proxy(Proxy::try_from_env().filter(|_| whose == Whose::Provider))
        .http_status_as_error(false)
        .timeout_global(Some(patience))
        .max_redirects(0)
        .tls_config(tls.build())
        .build()
}

/// Returns the bytes of a price feed at an address that was checked.
///
/// # Errors
/// When it cannot be had within a minute, is larger than a feed may be, is somewhere else, or is where nothing may be
/// called. Never shows the address.
pub fn feed(url: &str) -> Result<Vec<u8>, String> {
    within(url, PATIENCE)
}

/// A call of a provider.
pub struct Call<'a> {
    /// Where.
    pub url: &'a str,
    /// Its headers.
    pub headers: &'a [(String, String)],
    /// JSON to post; `None`: it is a GET.
    pub body: Option<&'a str>,
    /// The authorities (PEM) to trust instead of the system's.
    pub ca: Option<&'a str>,
    /// Whether only what is on the public internet may be called.
    pub public_only: bool,
    /// The longest that it may take.
    pub patience: Duration,
    /// The most that is read of the answer, in bytes.
    pub most: u64,
}

/// What a provider answers.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its clock.
    pub date: Option<String>,
    /// As much as was to be read of it.
    pub body: Vec<u8>,
}

/// Returns what a provider answers to a call, whatever its status. Redirects are not followed.
///
/// # Errors
/// When it cannot be reached in time, breaks off, or is where nothing may be called. Never shows the address or a header.
pub fn call(call: &Call<'_>) -> Result<Answer, String> {
    let certificates = call.ca.map_or_else(of_system, |pem| of_pem(pem.as_bytes()));
    let agent = careful(certificates, call.patience, call.public_only);
    let why = |error| why(error, call.patience);
    let answer = match call.body {
        None => {
            let mut request = agent.get(call.url);
            for (name, value) in call.headers {
                request = request.header(name, value);
            }
            request.header("accept-encoding", "identity").call()
        }
        Some(body) => {
            let mut request = agent.post(call.url);
            for (name, value) in call.headers {
                request = request.header(name, value);
            }
            let request = request.header("content-type", "application/json");
            request.header("accept-encoding", "identity").send(body)
        }
    };
    let answer = answer.map_err(why)?;
    let status = answer.status().as_u16();
    let date = answer.headers().get("date");
    let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    let mut read = answer.into_body().into_reader().take(call.most);
    if let Err(error) = read.read_to_end(&mut body) {
        return Err(match Error::from(error) {
            Error::Timeout(_) => late(call.patience),
            other => format!("it breaks off: {other}"),
        });
    }
    Ok(Answer { status, date, body })
}

/// Returns what the proxy of this process answers to a chat completion, as it comes.
///
/// # Errors
/// When it cannot be reached. Never shows the token.
pub fn converse(proxy: SocketAddr, chat: &Chat) -> Result<Answered, String> {
    let agent: Agent = settings(Vec::new(), LONGEST_CHAT, Whose::Publisher).into();
    let request = agent
        .post(format!("http://{proxy}/v1/chat/completions"))
        .header("authorization", format!("Bearer {}", chat.token))
        .header("content-type", "application/json");
    let answer = request.send(&*chat.body);
    let answer = answer.map_err(|error| why(error, LONGEST_CHAT))?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers().iter();
    Ok(Answered {
        status: answer.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: Box::new(answer.into_body().into_reader()),
    })
}

/// Returns a client of one who takes what the gateway sends by itself, at an address that was checked, each call within
/// `patience`.
///
/// # Errors
/// When the system's authorities cannot be read.
pub fn receiver(patience: Duration) -> Result<Agent, String> {
    Ok(careful(certificates(None)?, patience, false))
}

/// A client that calls only what may be called.
fn careful(
    certificates: Vec<Certificate<'static>>,
    patience: Duration,
    public_only: bool,
) -> Agent {
    let config = settings(certificates, patience, Whose::Publisher);
    let allowed = Allowed {
        names: DefaultResolver::default(),
        public_only,
    };
    Agent::with_parts(config, DefaultConnector::default(), allowed)
}

/// Why something could not be had.
fn why(error: Error, patience: Duration) -> String {
    match error {
        Error::Timeout(_) => late(patience),
        // Some errors show the address.
        Error::BadUri(_) => "its address is not understood".to_owned(),
        Error::HostNotFound => "its name stands for no address that may be called".to_owned(),
        other => format!("it cannot be fetched: {other}"),
    }
}

fn late(patience: Duration) -> String {
    format!("it does not come within {} s", patience.as_secs())
}

fn within(url: &str, patience: Duration) -> Result<Vec<u8>, String> {
    let agent = receiver(patience)?;
    // Compressed, it could be larger than it seems.
    let request = agent.get(url).header("accept-encoding", "identity");
    let answer = request.call().map_err(|error| why(error, patience))?;
    let status = answer.status();
    if status.is_redirection() {
        return Err(format!(
            "it answers {}: redirects are not followed; give the address where it is",
            status.as_u16()
        ));
    }
    if !status.is_success() {
        return Err(format!("it answers {}", status.as_u16()));
    }
    let encoded = answer.headers().get("content-encoding");
    if encoded.is_some_and(|encoding| encoding != "identity") {
        return Err("it is compressed, which it was asked not to be".to_owned());
    }
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    let too_large = || format!("it is larger than {} MiB", LARGEST >> 20);
    if answer
        .body()
        .content_length()
        .is_some_and(|length| length > most)
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let body = answer.into_body().into_reader();
    let read = body.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| match Error::from(error) {
        Error::Timeout(_) => late(patience),
        other => format!("it breaks off: {other}"),
    })?;
    match bytes.len() > LARGEST {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

/// Names stand only for addresses that may be called, judged each time that one is looked up.
#[derive(Debug)]
struct Allowed {
    names: DefaultResolver,
    /// Whether only the public internet may be called.
    public_only: bool,
}

impl Resolver for Allowed {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let tls = uri.scheme_str() == Some("https");
        let may = |ip| {
            forbidden_address(ip).is_none()
                && (tls || plain_http_allowed(ip))
                && (!self.public_only || is_public(ip))
        };
        let mut allowed = self.empty();
        for address in self.names.resolve(uri, config, timeout)?.iter() {
            if may(address.ip()) {
                allowed.push(*address);
            }
        }
        match allowed.is_empty() {
            true => Err(Error::HostNotFound),
            false => Ok(allowed),
        }
    }
}

fn certificates(ca: Option<&Path>) -> Result<Vec<Certificate<'static>>, String> {
    match ca {
        Some(path) => of_file(path),
        None => Ok(of_system()),
    }
}

/// The system's authorities, or Mozilla's where it has none.
fn of_system() -> Vec<Certificate<'static>> {
    let own = rustls_native_certs::load_native_certs().certs;
    if own.is_empty() {
        let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        return bundled
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
    }
    own.iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect()
}

fn of_file(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let pem = std::fs::read(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let certificates = of_pem(&pem);
    if certificates.is_empty() {
        return Err(format!("{} has no certificate (PEM)", path.display()));
    }
    Ok(certificates)
}

fn of_pem(pem: &[u8]) -> Vec<Certificate<'static>> {
    parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener};

    use super::*;

    /// What becomes of a feed whose server says this, and then goes on with `more` for as long as it is listened to.
    fn fetched(says: &str, more: &'static [u8], pause: Duration) -> Result<usize, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/feed?token=secret",
            listener.local_addr().unwrap()
        );
        let says = says.to_owned();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            drop(stream.read(&mut head));
            if stream.write_all(says.as_bytes()).is_ok() && !more.is_empty() {
                while stream.write_all(more).is_ok() {
                    std::thread::sleep(pause);
                }
            }
            drop(stream.shutdown(Shutdown::Both));
        });
        let fetched = within(&url, Duration::from_secs(2)).map(|bytes| bytes.len());
        server.join().unwrap();
        if let Err(fault) = &fetched {
            assert!(
                !fault.contains("secret") && !fault.contains('\n'),
                "{fault}"
            );
        }
        fetched
    }

    #[test]
    fn what_does_not_end_or_is_elsewhere_is_given_up() {
        const NONE: Duration = Duration::ZERO;
        const OK: &str = "HTTP/1.1 200 OK\r\n";
        let slow = Duration::from_millis(50);
        static MUCH: [u8; 1 << 20] = [b' '; 1 << 20];
        let good = fetched(&format!("{OK}content-length: 2\r\n\r\n{{}}"), b"", NONE);
        assert_eq!(good, Ok(2));
        for (says, more, pause, fault) in [
            (format!("{OK}\r\n"), &b" "[..], slow, "within 2 s"),
            (OK.to_owned(), b"x: y\r\n", slow, "within 2 s"),
            (format!("{OK}\r\n"), &MUCH, NONE, "larger than 64 MiB"),
            (
                format!("{OK}content-length: 200000000\r\n\r\n"),
                b"",
                NONE,
                "larger than 64 MiB",
            ),
            (
                format!("{OK}content-encoding: gzip\r\n\r\nx"),
                b"",
                NONE,
                "compressed",
            ),
            (
                format!("{OK}content-length: 9\r\n\r\nx"),
                b"",
                NONE,
                "breaks off",
            ),
            (
                "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\n".to_owned(),
                b"",
                NONE,
                "it answers 302: redirects are not followed",
            ),
            (
                "HTTP/1.1 503 No\r\n\r\n".to_owned(),
                b"",
                NONE,
                "it answers 503",
            ),
            ("garbage\r\n\r\n".to_owned(), b"", NONE, "cannot be fetched"),
        ] {
            let told = fetched(&says, more, pause).expect_err(&says);
            assert!(told.contains(fault), "{says:?}: {told}");
        }
    }

    #[test]
    fn what_a_tenant_names_is_called_on_the_public_internet_only() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answered = |public_only| {
            call(&Call {
                url: &url,
                headers: &[("x-test-a".to_owned(), "b".to_owned())],
                body: Some("{}"),
                ca: None,
                public_only,
                patience: Duration::from_secs(2),
                most: 1,
            })
        };
        let told = answered(true).err().expect("it is refused");
        assert!(told.contains("no address that may be called"), "{told}");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            drop(stream.read(&mut head));
            drop(stream.write_all(b"HTTP/1.1 418 No\r\ncontent-length: 2\r\n\r\nab"));
        });
        let answer = answered(false).expect("it answers");
        assert_eq!((answer.status, &*answer.body), (418, &b"a"[..]));
        server.join().unwrap();
    }

    #[test]
    fn nothing_is_called_that_may_not_be() {
        for url in [
            "http://169.254.169.254/latest",
            "https://[fe80::1]/",
            "http://8.8.8.8/",
        ] {
            let told = within(url, Duration::from_secs(2)).expect_err(url);
            assert!(
                told.contains("no address that may be called"),
                "{url}: {told}"
            );
        }
    }
}
