//! One server: its address, how to log in, how to connect.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::settings::RedisSettings;
use crate::StoreError;

/// How a server is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp(Arc<str>, u16),
    Unix(PathBuf),
}

/// `host:port`, `[::1]:port`, or the path.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Address {
    /// Reads `host:port`, as servers write it; an IPv6 address may be without brackets.
    pub(super) fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(Address::Tcp(host.into(), port.parse().ok()?))
    }
}

/// What it takes to connect to a server.
#[derive(Clone)]
pub(super) struct Server {
    pub address: Address,
    login: RedisConnectionInfo,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection and the task that drives it, which ends with it.
pub(super) struct Connected {
    pub connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Connected {
    /// Closes it: who waits for an answer is told that it is gone.
    pub(super) fn end(&self) {
        self.driver.abort();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.end();
    }
}

impl Server {
    /// Reads a URL; `number` counts the URLs of a setting, from 1, as a URL may contain a password and is not
    /// shown. TLS is asked for only if it is needed.
    pub(super) fn read(
        url: &str,
        number: usize,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, StoreError>,
    ) -> Result<Server, StoreError> {
        // The library is built without TLS, as this program has its own.
        let (plain, secure) = match url.split_once("://") {
            Some(("rediss" | "valkeys", rest)) => (format!("redis://{rest}"), true),
            _ => (url.to_owned(), false),
        };
        let info = plain.as_str().into_connection_info().map_err(|error| {
            let why = error.detail().unwrap_or_default();
            StoreError::Refused(format!(
                "URL {number} of the ledger's Redis is not one ({why}): write redis://host:port, \
                 rediss://host:port for TLS, or unix:///path for a socket"
            ))
        })?;
        if url.contains("#insecure") {
            return Err(StoreError::Refused(format!(
                "URL {number} of the ledger's Redis ends with #insecure, but certificates are always checked: name \
                 the authority's file in `ca`"
            )));
        }
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp(host.as_str().into(), *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => {
                return Err(StoreError::Refused(format!(
                    "URL {number} of the ledger's Redis is of an unknown kind"
                )));
            }
        };
        Ok(Server {
            address,
            login: info.redis_settings().clone().set_skip_set_lib_name(),
            tls: if secure { Some(tls()?) } else { None },
        })
    }

    /// With the user, password and database of the settings, where they have any.
    pub(super) fn with_login(mut self, settings: &RedisSettings) -> Server {
        if let Some(username) = &settings.username {
            self.login = self.login.set_username(username);
        }
        if let Some(password) = &settings.password {
            self.login = self.login.set_password(password.expose());
        }
        if let Some(database) = settings.database {
            self.login = self.login.set_db(database.into());
        }
        self
    }

    /// The same way in, at another address.
    pub(super) fn at(&self, address: Address) -> Server {
        Server {
            address,
            ..self.clone()
        }
    }

    /// The same address and TLS, without user, password and database.
    pub(super) fn without_login(&self) -> Server {
        Server {
            login: RedisConnectionInfo::default().set_skip_set_lib_name(),
            ..self.clone()
        }
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        self.login.db()
    }

    /// Whether it is spoken to by TLS.
    pub(super) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects and logs in. Has no deadline of its own.
    pub(super) async fn connect(&self) -> Result<Connected, RedisError> {
        // Deadlines are set by who calls.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None::<Duration>)
            .set_response_timeout(None::<Duration>);
        let stream = self.dial().await?;
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        let driver = tokio::spawn(driver).abort_handle();
        Ok(Connected { connection, driver })
    }

    /// Connects, logs in and subscribes to a channel. Has no deadline of its own.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<PubSub, RedisError> {
        let mut subscription = PubSub::new(&self.login, self.dial().await?).await?;
        subscription.subscribe(channel).await?;
        Ok(subscription)
    }

    async fn dial(&self) -> Result<Box<dyn Wire>, RedisError> {
        let (host, port) = match &self.address {
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp(host, port) => (&**host, *port),
        };
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(tls.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// Bytes to and from a server, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Server, StoreError> {
        Server::read(url, 1, || Err(StoreError::Refused("TLS".to_owned())))
    }

    #[test]
    fn urls_are_read() {
        for (url, address, database) in [
            ("redis://localhost", "localhost:6379", 0),
            ("redis://me:secret@10.0.0.1:7000/3", "10.0.0.1:7000", 3),
            ("redis://[::1]:7", "[::1]:7", 0),
            ("unix:///run/redis.sock", "/run/redis.sock", 0),
        ] {
            let server = read(url).unwrap();
            assert_eq!(server.address.to_string(), address, "{url}");
            assert_eq!(server.database(), database, "{url}");
        }
        let server = read("redis://me:s%40cret@h").unwrap();
        assert_eq!(server.login.username(), Some("me"));
        assert_eq!(server.login.password(), Some("s@cret"));
        assert_eq!(
            read("rediss://h").err(),
            Some(StoreError::Refused("TLS".to_owned()))
        );
    }

    #[test]
    fn a_bad_url_is_refused_and_not_shown() {
        for url in [
            "h:1",
            "http://h:secret@h",
            "redis://:secret@h/x",
            "redis://:secret@h:99999",
            "redis://h#insecure",
        ] {
            let Err(StoreError::Refused(message)) = read(url) else {
                panic!("{url} was read");
            };
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn addresses_that_servers_write_are_read() {
        for (text, shown) in [
            ("10.0.0.1:7000", "10.0.0.1:7000"),
            ("::1:7", "[::1]:7"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(Address::parse("x"), None);
    }
}
