//! A `redis-server` of this run's own, and what it tells about its work.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::Outcome;
use crate::child::{self, Child};

/// The server to start, if not `redis-server`.
const PROGRAM: &str = "TOLLGATE_TEST_REDIS";
const READY_TRIES: u32 = 100;
const READY_PAUSE: Duration = Duration::from_millis(50);
/// How long it may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);
/// Commands that a client sends and no script does; `eval` and `evalsha` are calls of scripts.
const SENT: [&str; 13] = [
    "eval", "evalsha", "fcall", "script", "function", "hello", "auth", "client", "select", "ping",
    "cluster", "role", "asking",
];

/// A running server, killed by its process id when this is dropped.
pub struct Redis {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// One for all questions, as a new one would say hello, which counts.
    connection: RefCell<redis::Connection>,
}

/// Commands that a server has carried out since its start.
#[derive(Clone, Copy)]
pub struct Commands {
    /// Sent by clients; [`Redis::commands`]' own questions are not among them.
    pub sent: u64,
    /// Those, and the ones that scripts ran.
    pub all: u64,
}

impl Redis {
    /// Starts one in `dir`, which is made. `None` if it is not installed.
    pub async fn start(dir: &Path, cpu: Option<u32>, log: &Path) -> Outcome<Option<Redis>> {
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "redis-server".to_owned());
        if !child::is_installed(&program) {
            return Ok(None);
        }
        fs::create_dir_all(dir)?;
        let address = child::free_port()?;
        let port = address.port().to_string();
        let dir = dir.to_string_lossy();
        let args = [
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--dir",
            &dir,
            "--save",
            "",
            "--appendonly",
            "yes",
        ];
        let mut child = child::start(Path::new(&program), &args, cpu, log)?;
        let client = redis::Client::open(format!("redis://{address}"))?;
        for _ in 0..READY_TRIES {
            if let Ok(connection) = client.get_connection_with_timeout(PATIENCE) {
                connection.set_read_timeout(Some(PATIENCE))?;
                return Ok(Some(Redis {
                    child,
                    address,
                    connection: RefCell::new(connection),
                }));
            }
            if !child.is_running() {
                break;
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        let last = said.lines().last().unwrap_or_default();
        Err(format!("{program} does not answer: {last}").into())
    }

    /// Changes a setting of it.
    pub fn set(&self, name: &str, value: &str) -> Outcome<()> {
        let mut connection = self.connection.borrow_mut();
        let mut command = redis::cmd("CONFIG");
        Ok(command
            .arg("SET")
            .arg(name)
            .arg(value)
            .query(&mut *connection)?)
    }

    /// How much memory it has allocated, bytes.
    pub fn memory(&self) -> Outcome<u64> {
        let mut connection = self.connection.borrow_mut();
        let told: String = redis::cmd("INFO").arg("memory").query(&mut *connection)?;
        let used = told
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.ok_or("it does not say")?.trim().parse()?)
    }

    /// What it has done so far.
    pub fn commands(&self) -> Outcome<Commands> {
        let mut connection = self.connection.borrow_mut();
        let told: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut *connection)?;
        let mut commands = Commands { sent: 0, all: 0 };
        for line in told.lines() {
            let Some((name, rest)) = line
                .strip_prefix("cmdstat_")
                .and_then(|line| line.split_once(":calls="))
            else {
                continue;
            };
            // `client|setinfo`
            let name = name.split('|').next().unwrap_or(name);
            let calls: u64 = rest.split(',').next().unwrap_or_default().parse()?;
            if name == "info" {
                continue;
            }
            commands.all += calls;
            commands.sent += if SENT.contains(&name) { calls } else { 0 };
        }
        Ok(commands)
    }
}
