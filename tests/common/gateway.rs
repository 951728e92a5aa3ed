//! The real binary, with a configuration of its own.

mod builder;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tollgate_config::BankChoice;
use tollgate_store::redis::{Redis, RedisSettings};
use tollgate_store::sqlite::{self, Synchronous};
use tollgate_store::{Access, Database};

use super::client::Version;
use super::fake::{Fake, Wire};
use super::faketime::Clock;
use super::process::is_alive;
use super::requests::token;
use super::{PATIENCE, TOKEN, certs, free_port};

/// What a gateway says whose port somebody else has.
const TAKEN: &str = "Address already in use";

pub use builder::Builder;
use builder::launch;

/// A running gateway; dropping it ends the process, and shows its output if the test is failing. If it is not, no
/// credential may be in what the process wrote.
pub struct Gateway {
    /// Where applications call.
    pub address: SocketAddr,
    /// Where applications call with TLS, if asked for.
    pub tls: Option<SocketAddr>,
    /// Where operators call.
    pub admin: SocketAddr,
    /// Whether they do by TLS.
    admin_tls: bool,
    child: Child,
    /// Processes that took over, the newest last.
    successors: Vec<u32>,
    binary: PathBuf,
    dir: TempDir,
    env: Vec<(String, String)>,
    /// What may never be written down.
    credentials: Vec<String>,
}

impl Gateway {
    /// A configuration with the tests' access key and short timeouts.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The listener for clients of this version.
    pub fn at(&self, version: Version) -> SocketAddr {
        match version {
            Version::H1 | Version::H2 => self.address,
            Version::TlsH1 | Version::TlsH2 => self.tls.expect("a gateway with a TLS listener"),
        }
    }

    /// What the process wrote so far, standard output and standard error.
    pub fn output(&self) -> String {
        let read =
            |name: &str| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        format!(
            "--- stdout\n{}--- stderr\n{}",
            read("stdout"),
            read("stderr")
        )
    }

    /// The access log so far, one value a line.
    pub fn access_log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The gateway's database, opened beside it.
    pub fn database(&self) -> Database {
        let config = tollgate_config::load(&self.path("tollgate.yaml"), &|_: &str| None).unwrap();
        let timeout = Duration::from_secs(10);
        match &config.ledger.bank {
            BankChoice::Sqlite { path } => {
                let options = sqlite::Options {
                    access: Access::Command,
                    timeout,
                    synchronous: Synchronous::Normal,
                };
                let path = self.path(path.to_str().unwrap());
                Database::Sqlite(Arc::new(sqlite::Worker::open(&path, options).unwrap()))
            }
            BankChoice::Redis(settings) => {
                let settings = RedisSettings {
                    timeout,
                    ..settings.clone()
                };
                Database::Redis(Arc::new(Redis::open(&settings).unwrap()))
            }
        }
    }

    /// A path in the gateway's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The body of a GET on the operators' listener, whatever its status.
    pub fn admin_get(&self, path: &str) -> String {
        get(self, path).map(|(_, body)| body).unwrap_or_default()
    }

    /// The id of the process, or of the one that took over last.
    pub fn pid(&self) -> u32 {
        let newest = self.successors.last().copied();
        newest.unwrap_or_else(|| self.child.id())
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Gateway {
    /// Ends the process with SIGKILL: it gets to do nothing more.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks the process to stop (SIGTERM), and waits until it has.
    pub async fn stop(&mut self) {
        let pid = self.pid();
        signal(pid, "TERM");
        assert!(
            super::eventually(PATIENCE, || !is_alive(pid)).await,
            "it does not stop"
        );
    }

    /// Waits until one more process has taken over, which is the gateway's from then on; returns the one before.
    pub async fn succeeded(&mut self) -> u32 {
        let (before, known) = (self.pid(), self.successors.len());
        let mut all = Vec::new();
        let more = super::eventually(PATIENCE, || {
            let output = self.output();
            let lines = output.lines();
            let parts = lines.filter_map(|line| {
                line.split_once("upgrade: process ")?
                    .1
                    .split_once(" has taken over")
            });
            all = parts.map(|(pid, _)| pid.parse().unwrap()).collect();
            all.len() > known
        });
        assert!(more.await, "nobody has taken over:\n{}", self.output());
        self.successors = all;
        before
    }

    /// Starts the process again where it was, after [`Gateway::kill`] or [`Gateway::stop`].
    pub async fn restart(&mut self) {
        let end = tollgate_base::clock::now() + PATIENCE;
        loop {
            let before = self.output().matches(TAKEN).count();
            self.child = launch(&self.binary, &self.dir, &self.env, None);
            self.successors.clear();
            let Err(why) = ready(self).await else { return };
            // Somebody else has the port for a moment, as another test's connection may.
            let taken = self.output().matches(TAKEN).count() > before;
            assert!(
                taken && tollgate_base::clock::now() < end,
                "the gateway did not start again: {why}\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs a command of the binary in the gateway's directory, with its configuration.
    pub fn command(&self, args: &[&str]) -> std::process::Output {
        Command::new(&self.binary)
            .args(args)
            .arg("--config")
            .arg(self.path("tollgate.yaml"))
            .current_dir(self.dir.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap()
    }

    fn assert_discreet(&self) {
        for name in ["stdout", "stderr", "access.log"] {
            let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
            let leak = text
                .lines()
                .find(|line| self.credentials.iter().any(|secret| line.contains(secret)));
            assert!(leak.is_none(), "a credential is in {name}: {leak:?}");
        }
    }

    /// The process's exit code, once it has ended by itself.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().ok()??.code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("gateway {} wrote:\n{}", self.child.id(), self.output());
        }
        drop(self.child.kill());
        drop(self.child.wait());
        for pid in self.successors.iter().filter(|pid| is_alive(**pid)) {
            signal(*pid, "KILL");
        }
        if !std::thread::panicking() {
            self.assert_discreet();
            let output = self.output();
            assert!(!output.contains("panicked at"), "it panicked:\n{output}");
        }
    }
}

/// A custom provider with one key (`KEY-<id>`) and the model `m`, served by `fake`.
pub fn provider(id: &str, fake: &Fake) -> Value {
    let mut provider = provider_at(id, &fake.base_url());
    if fake.wire != Wire::H1 {
        provider["ca"] = json!("{dir}/ca.pem");
    }
    provider
}

/// A custom provider with one key (`KEY-<id>`) and the model `m`, wherever it is. Headers that begin with `x-test-` reach
/// it.
pub fn provider_at(id: &str, base_url: &str) -> Value {
    json!({
        "id": id, "base_url": base_url, "models": [{"id": "m"}], "forward_headers": ["x-test-"],
        "surfaces": ["openai/chat-completions", "openai/completions", "openai/responses", "openai/embeddings",
            "anthropic/messages"],
        "keys": [{"id": format!("{id}-key"), "value": format!("KEY-{id}")}],
    })
}

/// An access key's entry: its id is also its configuration's, if it is to have one.
pub fn access_key(id: &str, more: &Value) -> Value {
    let mut entry = json!({"id": id, "sha256": sha256(&token(id))});
    for (key, value) in more.as_object().unwrap() {
        entry[key] = value.clone();
    }
    entry
}

/// Sends a signal to a process of ours.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(status.unwrap().success(), "kill -{name} {pid}");
}

/// SHA-256 of a text as hexadecimal digits.
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// All that is answered to this.
fn exchange(mut stream: impl Read + Write, ask: &str) -> std::io::Result<String> {
    stream.write_all(ask.as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // The end of a TLS connection may come without a word.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => String::from_utf8(answer).map_err(std::io::Error::other),
    }
}

async fn ready(gateway: &mut Gateway) -> Result<(), String> {
    let ready = |gateway: &Gateway| get(gateway, "/readyz").is_ok_and(|answer| answer.0 == 200);
    until(gateway, ready).await
}

async fn listening(gateway: &mut Gateway) -> Result<(), String> {
    let listening = |gateway: &Gateway| {
        let proxy = TcpStream::connect(gateway.address).is_ok();
        proxy && get(gateway, "/healthz").is_ok_and(|answer| answer.0 == 200)
    };
    until(gateway, listening).await
}

async fn until(gateway: &mut Gateway, is_so: impl Fn(&Gateway) -> bool) -> Result<(), String> {
    let end = tollgate_base::clock::now() + PATIENCE;
    loop {
        if let Ok(Some(status)) = gateway.child.try_wait() {
            return Err(format!("it ended with {status}"));
        }
        if is_so(gateway) {
            return Ok(());
        }
        if tollgate_base::clock::now() > end {
            return Err("it was not ready in time".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A plain GET on the operators' listener: status and body.
fn get(gateway: &Gateway, path: &str) -> std::io::Result<(u16, String)> {
    let address = gateway.admin;
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let answer = match gateway.admin_tls {
        true => {
            let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
            let client = ClientConnection::new(certs::known_client(&["http/1.1"]), name);
            exchange(
                StreamOwned::new(client.map_err(std::io::Error::other)?, stream),
                &ask,
            )?
        }
        false => exchange(stream, &ask)?,
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Ok((status, body.to_owned()))
}
