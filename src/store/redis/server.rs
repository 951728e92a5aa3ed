//! One server: how to log in, how to connect.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::settings::{Address, RedisSettings};

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
    /// Closes it: who waits for an answer gets an error.
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
    /// A server where nobody logs in; with TLS if there is some.
    pub(super) fn new(address: Address, tls: Option<Arc<ClientConfig>>) -> Server {
        Server {
            address,
            login: RedisConnectionInfo::default().set_skip_set_lib_name(),
            tls,
        }
    }

    /// With the user, password and database of the settings.
    pub(super) fn with_login(mut self, settings: &RedisSettings) -> Server {
        if let Some(username) = &settings.username {
            self.login = self.login.set_username(username);
        }
        if let Some(password) = &settings.password {
            self.login = self.login.set_password(password.expose());
        }
        self.login = self.login.set_db(settings.database.into());
        self
    }

    /// The same way in, at another address.
    pub(super) fn at(&self, address: Address) -> Server {
        Server {
            address,
            ..self.clone()
        }
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
        let Address { host, port } = &self.address;
        let stream = TcpStream::connect((&**host, *port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.to_string()).map_err(std::io::Error::other)?;
        let connector = TlsConnector::from(tls.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// Bytes to and from a server, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}
