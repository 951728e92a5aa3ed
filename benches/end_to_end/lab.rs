//! Everything that a run starts: the provider, bare Pingora and the gateway, all on loopback.
//!
//! Invariant: both proxies have one worker thread, one CPU and the same provider, and only one of the two is
//! asked anything at a time. In a self check bare Pingora also plays the gateway: every ratio should be near 1,
//! and how far it is tells the noise of the machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::child::{self, Child, Pins};
use crate::load::Conn;
use crate::prompts::{self, Events};
use crate::{Options, Outcome};

/// The access key that requests carry; it opens nothing but this run's gateway.
const TOKEN: &str = "tg-bench-g1-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const READY_TRIES: u32 = 150;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// Which proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Bare Pingora.
    Bare,
    /// The gateway.
    Gateway,
}

/// A running proxy.
pub struct Proxy {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The provider, and what is needed to start proxies in front of it.
pub struct Lab {
    provider: SocketAddr,
    _provider: Child,
    gateway: Option<PathBuf>,
    model: String,
    dir: TempDir,
    pins: Option<Pins>,
}

impl Lab {
    /// Starts the provider.
    pub fn open(options: &Options, pins: Option<Pins>) -> Outcome<Lab> {
        let (child, address) =
            child::start_printing_port(crate::PROVIDER, pins.map(|pins| pins.load))?;
        Ok(Lab {
            provider: address,
            _provider: child,
            gateway: (!options.self_check).then(|| options.gateway.clone()),
            model: options.model.clone(),
            dir: tempfile::Builder::new()
                .prefix("tollgate-bench-")
                .tempdir()?,
            pins,
        })
    }

    /// A request that either proxy answers; its body has `length` bytes.
    pub fn request(&self, length: usize, events: Option<Events>) -> Vec<u8> {
        prompts::request(TOKEN, &self.model, length, events)
    }

    /// Starts a proxy and waits until it has answered a chat completion.
    pub async fn start(&self, side: Side) -> Outcome<Proxy> {
        let mut proxy = match (&self.gateway, side) {
            (Some(binary), Side::Gateway) => self.start_gateway(binary)?,
            _ => self.start_bare()?,
        };
        let request = self.request(300, None);
        let mut fault = String::new();
        for _ in 0..READY_TRIES {
            if !proxy.child.is_running() {
                fault = "it has ended".to_owned();
                break;
            }
            // `/readyz` may come before the listener does and tells nothing of the configuration; an answer tells both.
            let answer = async { Conn::open(proxy.address).await?.ask(&request).await };
            match answer.await {
                Ok(_) => return Ok(proxy),
                Err(error) => fault = error.to_string(),
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(format!("{side:?} does not answer: {fault}\n{}", tail.join("\n")).into())
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn proxy_cpu(&self) -> Option<u32> {
        self.pins.map(|pins| pins.proxy)
    }

    fn start_bare(&self) -> Outcome<Proxy> {
        let address = child::free_port()?;
        let args = [
            crate::PASSTHROUGH.to_owned(),
            address.to_string(),
            self.provider.to_string(),
        ];
        let child = child::start(
            &std::env::current_exe()?,
            &args,
            self.proxy_cpu(),
            &self.log(),
        )?;
        Ok(Proxy { child, address })
    }

    fn start_gateway(&self, binary: &std::path::Path) -> Outcome<Proxy> {
        let address = child::free_port()?;
        let admin = child::free_port()?;
        let config = self.dir.path().join(format!("{}.yaml", address.port()));
        std::fs::write(&config, self.config(address, admin))?;
        let args = ["run".into(), "--config".into(), config.into_os_string()];
        let child = child::start(binary, &args, self.proxy_cpu(), &self.log())?;
        Ok(Proxy { child, address })
    }

    /// Authentication, planning, tap, metrics and access log are all on; the model is in the catalog.
    fn config(&self, address: SocketAddr, admin: SocketAddr) -> String {
        let digest: String = Sha256::digest(TOKEN)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let access = self.dir.path().join("access.log");
        format!(
            r#"proxy: {{ listen: ["{address}"], threads: 1 }}
admin: {{ listen: "{admin}" }}
log: {{ access: "{access}" }}
providers:
  - id: bench
    base_url: "http://{provider}/v1"
    keys: [{{ id: bench-key, value: "sk-bench-0123456789abcdefghijklmn" }}]
    models: [{{ id: bench-model }}]
access_keys:
  - {{ id: bench, sha256: "{digest}" }}
"#,
            access = access.display(),
            provider = self.provider,
        )
    }
}
