//! Everything that a run starts: the provider, bare Pingora, gateways and a Redis, all on loopback.
//!
//! Invariant: all proxies have one worker thread, one CPU and the same provider, and only one of them is asked
//! anything at a time. Every gateway says what it does about money, and has a directory of its own for its
//! database, journal and access log. In a self check bare Pingora also plays the gateway, and no gateway has a
//! ledger: every ratio should be near 1, and how far it is tells the noise of the machine.

use std::cell::Cell;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::http::Request as Handshake;
use tollgate_base::clock;
use tollgate_wire::Surface;

use crate::child::{self, Child, Pins};
use crate::load::{Asks as _, Conn};
use crate::prompts::{self, Asked, Events};
use crate::redis_server::Redis;
use crate::{Options, Outcome};

/// The access key that requests carry; it opens nothing but this run's gateway.
const TOKEN: &str = "tg-bench-g1-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// SQLite's file, in the directory of a gateway's state.
pub const DATABASE: &str = "ledger.db";
/// The surfaces that generate text.
pub const SURFACES: [Surface; 3] = [
    Surface::ChatCompletions,
    Surface::Messages,
    Surface::Responses,
];
/// The longest that a proxy may take until it answers: a million keys are read by then.
const READY: Duration = Duration::from_secs(60);
/// Between two tries.
const READY_PAUSE: Duration = Duration::from_millis(2);

/// Which proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bare Pingora.
    Bare,
    /// The gateway.
    Gateway(Credits),
    /// The gateway without a ledger, whose provider offers this surface alone (in a self check: all of them).
    Offering(Surface),
    /// The gateway with everything on: credits enforced with the SQLite bank, limits and a budget on the key.
    Limited,
    /// The gateway with credits enforced with the SQLite bank, and four levels of budgets above the key.
    Budgeted,
    /// The gateway without a ledger, with 10,000 access keys and 50 providers.
    Crowded,
}

/// What a gateway does about money.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credits {
    /// `credits: off`: there is no ledger.
    Off,
    /// `credits: enforced`, with the SQLite bank.
    Sqlite,
    /// `credits: enforced`, with the Redis bank that listens there.
    Redis(SocketAddr),
}

/// A running proxy.
pub struct Proxy {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where a gateway tells its metrics.
    pub admin: Option<SocketAddr>,
    /// From its start to its first answer.
    pub ready_after: Duration,
}

/// The provider, and what is needed to start proxies in front of it.
pub struct Lab {
    provider: SocketAddr,
    _provider: Child,
    gateway: PathBuf,
    self_check: bool,
    model: String,
    dir: TempDir,
    pins: Option<Pins>,
    /// How many servers of Redis were started.
    redis: Cell<u32>,
}

impl Lab {
    /// Starts the provider.
    pub fn open(options: &Options, pins: Option<Pins>) -> Outcome<Lab> {
        let (child, address) =
            child::start_printing_port(crate::PROVIDER, &[], pins.map(|pins| pins.load))?;
        Ok(Lab {
            provider: address,
            _provider: child,
            gateway: options.gateway.clone(),
            self_check: options.self_check,
            model: options.model.clone(),
            dir: tempfile::Builder::new()
                .prefix("tollgate-bench-")
                .tempdir()?,
            pins,
            redis: Cell::new(0),
        })
    }

    /// Where the provider listens.
    pub fn provider(&self) -> SocketAddr {
        self.provider
    }

    /// Starts a role of this program that prints its port, beside the provider.
    pub fn start_role(&self, role: &str, args: &[&str]) -> Outcome<(Child, SocketAddr)> {
        child::start_printing_port(role, args, self.load_cpu())
    }

    /// A request that either proxy answers; its body has `length` bytes.
    pub fn request(&self, length: usize, events: Option<Events>) -> Vec<u8> {
        let asked = events.map_or(Asked::Whole, Asked::Stream);
        prompts::request(TOKEN, &self.model, length, 0, asked)
    }

    /// A short one without a stream, with another access key.
    pub fn request_of(&self, token: &str) -> Vec<u8> {
        prompts::request(token, &self.model, 300, 0, Asked::Whole)
    }

    /// The same for any answer, offering so many tools.
    pub fn request_with_tools(&self, length: usize, tools: usize, asked: Asked) -> Vec<u8> {
        prompts::request(TOKEN, &self.model, length, tools, asked)
    }

    /// A short request for a stream on a surface.
    pub fn request_on(&self, surface: Surface, events: Events) -> Vec<u8> {
        prompts::request_on(surface, TOKEN, &self.model, events)
    }

    /// What opens a WebSocket whose turns are answered with such streams, and what asks for one of them: the same as
    /// [`request_on`](Self::request_on) asks for on the surface of Responses.
    ///
    /// # Errors
    /// If a header of it cannot be written.
    pub fn websocket(&self, events: Events) -> Outcome<(Handshake<()>, Vec<u8>)> {
        prompts::websocket(TOKEN, &self.model, events)
    }

    /// Starts a proxy and waits until it has answered a chat completion.
    pub async fn start(&self, kind: Kind) -> Outcome<Proxy> {
        self.start_by(&[], kind).await
    }

    /// The same, by a command that is given the program and what that is given.
    pub async fn start_by(&self, by: &[&str], kind: Kind) -> Outcome<Proxy> {
        let credits = match kind {
            Kind::Bare => return self.ready(self.start_bare(by)?, kind).await,
            Kind::Gateway(_) if self.self_check => Credits::Off,
            Kind::Gateway(credits) => credits,
            Kind::Budgeted if self.self_check => Credits::Off,
            Kind::Limited | Kind::Budgeted => Credits::Sqlite,
            Kind::Offering(_) | Kind::Crowded => Credits::Off,
        };
        let surfaces: &[Surface] = match &kind {
            Kind::Offering(_) if self.self_check => &SURFACES,
            Kind::Offering(surface) => std::slice::from_ref(surface),
            _ => &SURFACES[..1],
        };
        let mut config = self.config(credits, surfaces);
        match kind {
            Kind::Limited => config += LIMITS,
            Kind::Budgeted => {
                config = config.replace("access_keys:\n", BUDGETS) + "    budget: project\n"
            }
            Kind::Crowded => config = crowded(config),
            _ => {}
        }
        let gateway = self.start_gateway(by, &config, None)?;
        self.ready(gateway, kind).await
    }

    /// Starts a gateway whose configuration is changed, and whose state is kept in a directory that the caller has filled.
    pub async fn start_changed(
        &self,
        credits: Credits,
        state: Option<&Path>,
        change: impl FnOnce(String) -> String,
    ) -> Outcome<Proxy> {
        let config = change(self.config(credits, &SURFACES[..1]));
        let gateway = self.start_gateway(&[], &config, state)?;
        self.ready(gateway, Kind::Gateway(credits)).await
    }

    /// Starts another proxy than ours, which `configure` gives its arguments: it is given a directory and where to listen.
    /// Requests to it have more `headers`.
    pub async fn start_program(
        &self,
        by: &[&str],
        program: &str,
        headers: &str,
        configure: impl FnOnce(&Path, SocketAddr) -> Outcome<Vec<String>>,
    ) -> Outcome<Proxy> {
        let address = child::free_port()?;
        let args = configure(&self.state()?, address)?;
        let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
        let child = self.start_proxy(by, Path::new(program), &args)?;
        let proxy = Proxy {
            child,
            address,
            admin: None,
            ready_after: Duration::ZERO,
        };
        let request = prompts::with_headers(&self.request(300, None), headers);
        self.answers(proxy, program, &request).await
    }

    /// A new directory for a gateway's state, in which SQLite's file is [`DATABASE`].
    pub fn state(&self) -> Outcome<PathBuf> {
        Ok(tempfile::tempdir_in(self.dir.path())?.keep())
    }

    /// The model that requests name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// What all gateways run.
    pub fn binary(&self) -> &Path {
        &self.gateway
    }

    /// Starts the proxy that bare Pingora is compared with.
    pub async fn start_compared(&self) -> Outcome<Proxy> {
        let kind = if self.self_check {
            Kind::Bare
        } else {
            Kind::Gateway(Credits::Off)
        };
        self.start(kind).await
    }

    /// Starts another gateway to compare with bare Pingora; in a self check, bare Pingora.
    pub async fn start_beside(&self, kind: Kind) -> Outcome<Proxy> {
        self.start(if self.self_check { Kind::Bare } else { kind })
            .await
    }

    async fn ready(&self, proxy: Proxy, kind: impl fmt::Debug) -> Outcome<Proxy> {
        self.answers(proxy, kind, &self.request(300, None)).await
    }

    async fn answers(
        &self,
        mut proxy: Proxy,
        kind: impl fmt::Debug,
        request: &[u8],
    ) -> Outcome<Proxy> {
        let mut fault = "it takes too long".to_owned();
        let started = clock::now();
        while clock::now() - started < READY {
            if !proxy.child.is_running() {
                fault = "it has ended".to_owned();
                break;
            }
            // `/readyz` may come before the listener does and tells nothing of the configuration; an answer tells both.
            let answer = async { Conn::open(proxy.address).await?.ask(request).await };
            match answer.await {
                Ok(_) => {
                    proxy.ready_after = clock::now() - started;
                    return Ok(proxy);
                }
                Err(error) => fault = error.to_string(),
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(format!("{kind:?} does not answer: {fault}\n{}", tail.join("\n")).into())
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn proxy_cpu(&self) -> Option<u32> {
        self.pins.map(|pins| pins.proxy)
    }

    fn load_cpu(&self) -> Option<u32> {
        self.pins.map(|pins| pins.load)
    }

    /// Starts a program on the proxy's CPU, or a command that is given it.
    fn start_proxy(&self, by: &[&str], program: &Path, args: &[OsString]) -> Outcome<Child> {
        let command = by.iter().map(OsString::from);
        let mut all = command.chain([program.into()]).chain(args.iter().cloned());
        let first = all.next().unwrap_or_default();
        let rest: Vec<OsString> = all.collect();
        child::start(Path::new(&first), &rest, self.proxy_cpu(), &self.log())
    }

    fn start_bare(&self, by: &[&str]) -> Outcome<Proxy> {
        let address = child::free_port()?;
        let args = [
            crate::PASSTHROUGH.to_owned(),
            address.to_string(),
            self.provider.to_string(),
        ];
        let program = std::env::current_exe()?;
        let child = self.start_proxy(by, &program, &args.map(OsString::from))?;
        Ok(Proxy {
            child,
            address,
            admin: None,
            ready_after: Duration::ZERO,
        })
    }

    /// Starts a gateway with a configuration whose `LISTEN`, `ADMIN` and `STATE` are filled in here.
    fn start_gateway(&self, by: &[&str], config: &str, state: Option<&Path>) -> Outcome<Proxy> {
        let (address, admin) = (child::free_port()?, child::free_port()?);
        let dir = self.dir.path().join(address.port().to_string());
        // Beside the configuration, every write of the state would wake the watcher of its directory.
        fs::create_dir_all(&dir)?;
        let state = state.map_or_else(|| dir.join("state"), Path::to_path_buf);
        fs::create_dir_all(&state)?;
        let config = config
            .replace("LISTEN", &address.to_string())
            .replace("ADMIN", &admin.to_string())
            .replace("STATE", &state.display().to_string());
        let file = dir.join("tollgate.yaml");
        fs::write(&file, config)?;
        let args = ["run".into(), "--config".into(), file.into_os_string()];
        let child = self.start_proxy(by, &self.gateway, &args)?;
        Ok(Proxy {
            child,
            address,
            admin: Some(admin),
            ready_after: Duration::ZERO,
        })
    }

    /// Starts a `redis-server` beside the load, in a directory of its own, as a fleet's would be kept: with a log
    /// on disk. `None` if it is not installed.
    pub async fn start_redis(&self) -> Outcome<Option<Redis>> {
        self.redis.set(self.redis.get() + 1);
        let dir = format!("redis-{}", self.redis.get());
        Redis::start(&self.dir.path().join(dir), self.load_cpu(), &self.log()).await
    }

    /// Authentication, planning, observer, metrics and access log are all on; the model is in the catalog and has prices,
    /// which a managed key's callers pay where there is a ledger.
    fn config(&self, credits: Credits, surfaces: &[Surface]) -> String {
        let surfaces: Vec<&str> = surfaces.iter().map(|surface| surface.name()).collect();
        let surfaces = surfaces.join(", ");
        let digest = digest(TOKEN);
        let bank = match credits {
            Credits::Off => "credits: off".to_owned(),
            Credits::Sqlite => {
                r#"credits: enforced, journal: "STATE/journal", bank: sqlite, sqlite: { path: "STATE/ledger.db" }"#
                    .to_owned()
            }
            Credits::Redis(server) => format!(
                r#"credits: enforced, journal: "STATE/journal", bank: redis, redis: {{ url: "redis://{server}" }}"#
            ),
        };
        format!(
            r#"proxy: {{ listen: ["LISTEN"], threads: 1 }}
admin: {{ listen: "ADMIN" }}
log: {{ access: "STATE/access.log" }}
ledger: {{ {bank} }}
accounts:
  - {{ id: default, grants: [{{ id: bench, usd: 1000000 }}] }}
providers:
  - id: bench
    base_url: "http://{provider}/v1"
    surfaces: [{surfaces}]
    forward_headers: [x-bench-]
    managed_keys: [{{ id: bench-key, value: "sk-bench-0123456789abcdefghijklmn" }}]
    models: [{{ id: bench-model, prices: {{ input: 3, output: 15 }} }}]
access_keys:
  - id: bench
    sha256: "{digest}"
"#,
            provider = self.provider,
        )
    }
}

/// As an access key's entry has it.
pub fn digest(token: &str) -> String {
    Sha256::digest(token)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Appended to the last access key: limits and a budget that are never reached.
const LIMITS: &str = "    limits: { requests_per_minute: 100000000, tokens_per_minute: 100000000000, concurrent_requests: 100000, budget: [{ usd: 1000000, per: day }, { usd: 1000000, per: month }] }\n";

/// Budgets that are part of each other, of which none is ever used up.
const BUDGETS: &str = r#"budgets:
  - { id: company, limits: { budget: { usd: 1000000, per: month } } }
  - { id: division, parent: company, limits: { budget: { usd: 1000000, per: month } } }
  - { id: team, parent: division, limits: { budget: { usd: 1000000, per: week } } }
  - { id: project, parent: team, limits: { budget: { usd: 1000000, per: day } } }
access_keys:
"#;

/// With 10,000 access keys and 50 providers, of which those that are asked come last.
fn crowded(config: String) -> String {
    use std::fmt::Write as _;

    let mut providers = "providers:\n".to_owned();
    for number in 1..50 {
        let written = writeln!(
            providers,
            "  - {{ id: other-{number}, base_url: \"http://127.0.0.1:9/v1\", surfaces: [openai/chat-completions], models: [{{ id: other-model-{number}, prices: {{ input: 3, output: 15 }} }}] }}"
        );
        written.expect("a String takes all");
    }
    let mut keys = "access_keys:\n".to_owned();
    for number in 1..10_000 {
        let written = writeln!(
            keys,
            "  - {{ id: other-{number}, sha256: \"{number:064x}\" }}"
        );
        written.expect("a String takes all");
    }
    config
        .replace("providers:\n", &providers)
        .replace("access_keys:\n", &keys)
}
