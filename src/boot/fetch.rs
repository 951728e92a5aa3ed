//! Fetches what others publish: over TLS, within a deadline and a bound, without following redirects.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use super::trust;
use tollgate_config::catalog::{forbidden_address, is_public, plain_http_allowed};
use tollgate_config::feeds::LARGEST;
use tollgate_control::admin::chat::{Answered, Chat};
use ureq::config::Config;
use ureq::http::{HeaderValue, Request, Response, Uri};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error, Proxy};

/// Longest time for a feed, from looking its name up to its last byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest time for an answer of an identity provider.
const OIDC_PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer of an identity provider, in bytes.
const OIDC_LARGEST: u64 = 1 << 20;

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

/// Whose certificate a gateway's client accepts.
#[derive(Clone, Copy)]
pub enum Believed<'a> {
    /// Whom the authorities of a file, or else the system's, vouch for.
    Vouched(Option<&'a Path>),
    /// Whoever answers, which is for those who tell nothing.
    Anybody,
}

/// A client of a gateway's admin listener, each call within `patience`, which shows the certificate of `client`
/// (certificate, key), if there is one. It goes to nobody else: no redirect is followed, and no proxy is asked.
///
/// # Errors
/// When a file cannot be read, or does not hold what it should.
pub fn gateway(
    believed: Believed<'_>,
    client: Option<(&Path, &Path)>,
    patience: Duration,
) -> Result<Agent, String> {
    let own = client.map(|(certificate, key)| {
        let pem = read(key)?;
        let key = PrivateKey::from_pem(&pem)
            .map_err(|_| format!("{} has no private key (PEM)", key.display()))?;
        Ok::<_, String>(ClientCert::new_with_certs(&of_file(certificate)?, key))
    });
    let tls = TlsConfig::builder().client_cert(own.transpose()?);
    let tls = match believed {
        Believed::Vouched(ca) => tls.root_certs(RootCerts::new_with_certs(&certificates(ca)?)),
        Believed::Anybody => tls.disable_verification(true),
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(patience))
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls.build());
    Ok(config.build().into())
}

/// From whom something is fetched.
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
    feed_within(url, PATIENCE)
}

fn feed_within(url: &str, patience: Duration) -> Result<Vec<u8>, String> {
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
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
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
    let asked = answer.headers().get("retry-after");
    let asked = asked.and_then(|asked| asked.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    let mut read = answer.into_body().into_reader().take(call.most);
    if let Err(error) = read.read_to_end(&mut body) {
        return Err(match Error::from(error) {
            Error::Timeout(_) => late(call.patience),
            other => format!("it breaks off: {other}"),
        });
    }
    Ok(Answer {
        status,
        date,
        retry_after: asked.map(Duration::from_secs),
        body,
    })
}

/// Returns what the proxy of this process answers to a chat completion, as it comes.
///
/// # Errors
/// When it cannot be reached. Never shows the token.
pub fn chat(proxy: SocketAddr, chat: &Chat) -> Result<Answered, String> {
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

/// Returns the addresses that a name stands for and that may be called, with TLS or without.
///
/// # Errors
/// When there is none.
pub fn addresses(host: &str, port: u16, tls: bool) -> Result<Vec<SocketAddr>, String> {
    let found = (host, port).to_socket_addrs();
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    found.retain(|address| may_be_called(address.ip(), tls));
    match found.is_empty() {
        true => Err("its name stands for no address that may be called".to_owned()),
        false => Ok(found),
    }
}

fn may_be_called(address: IpAddr, tls: bool) -> bool {
    forbidden_address(address).is_none() && (tls || plain_http_allowed(address))
}

/// Returns what an identity provider answers. It trusts the authorities of `ca` (PEM), or else the system's.
///
/// # Errors
/// When it cannot be reached in time, answers more than 1 MiB, or is where nothing may be called. Never shows the address.
pub fn identity_provider(
    ca: Option<&str>,
    request: Request<Vec<u8>>,
) -> Result<Response<Vec<u8>>, String> {
    let certificates = ca.map_or_else(of_system, |pem| of_pem(pem.as_bytes()));
    let agent = careful(certificates, OIDC_PATIENCE, false);
    let answer = match request.body().is_empty() {
        true => agent.run(request.map(drop)),
        false => agent.run(request),
    };
    let (head, body) = answer
        .map_err(|error| why(error, OIDC_PATIENCE))?
        .into_parts();
    let mut bytes = Vec::new();
    let read = body
        .into_reader()
        .take(OIDC_LARGEST + 1)
        .read_to_end(&mut bytes);
    match read {
        Err(error) => Err(why(Error::from(error), OIDC_PATIENCE)),
        Ok(_) if bytes.len() as u64 > OIDC_LARGEST => {
            Err(format!("it answers more than {} MiB", OIDC_LARGEST >> 20))
        }
        Ok(_) => Ok(Response::from_parts(head, bytes)),
    }
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
        let may = |ip| may_be_called(ip, tls) && (!self.public_only || is_public(ip));
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
    let all = trust::authorities();
    all.iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect()
}

fn of_file(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let pem = read(path)?;
    let certificates = of_pem(&pem);
    if certificates.is_empty() {
        return Err(format!("{} has no certificate (PEM)", path.display()));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
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
mod tests;
