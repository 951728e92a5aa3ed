//! A `redis-server` on a free loopback port, in a directory of its own.
//!
//! A small shell stands between: it ends the server when its input ends, which it does even if the test is killed.

#[path = "ports.rs"]
pub mod ports;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Client, FromRedisValue};
use tempfile::TempDir;
use tollgate_base::clock;

const SHELL: &str = r#"program=$1; shift
"$program" "$@" >/dev/null 2>&1 &
echo $!
cat >/dev/null
kill -KILL $! 2>/dev/null; wait"#;

/// How long a server may take to start, or to learn of others.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Process {
    shell: Child,
    pid: u32,
    pub port: u16,
    dir: TempDir,
    arguments: Vec<String>,
    env: Vec<(&'static str, String)>,
}

/// A loopback port that was free a moment ago, and so was the one 10000 above it (which a Cluster's node takes).
pub fn free_port() -> u16 {
    loop {
        let port = ports::free_port();
        if TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// Waits until `condition` holds.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = clock::now() + PATIENCE;
    while !condition() {
        assert!(clock::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process lives; one that has ended need not be waited for. Its files are open until its last thread has ended,
/// which may be after its first.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.is_ok_and(|stat| !stat.contains(") Z ") || threads() > 1)
}

fn spawn(dir: &Path, arguments: &[String], env: &[(&str, String)]) -> (Child, u32) {
    let program =
        std::env::var("TOLLGATE_TEST_REDIS").unwrap_or_else(|_| "redis-server".to_owned());
    let mut shell = Command::new("sh")
        .args(["-c", SHELL, "sh", &program])
        .args(arguments)
        .current_dir(dir)
        .envs(env.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (shell, line.trim().parse().unwrap())
}

impl Process {
    /// Starts a server with more arguments, and waits until it answers.
    pub fn start(more: &[&str]) -> Process {
        Process::start_in(more, &[])
    }

    /// Starts a server with more arguments and this environment, and waits until it answers.
    pub fn start_in(more: &[&str], env: &[(&'static str, String)]) -> Process {
        let arguments = |port: u16, _: &Path| {
            let mut arguments: Vec<String> =
                ["--port", &port.to_string()].map(str::to_owned).to_vec();
            arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
            arguments
        };
        Process::started(arguments, env)
    }

    /// Starts a server with arguments made from its port and its directory.
    pub fn start_with(arguments: impl Fn(u16, &Path) -> Vec<String>) -> Process {
        Process::started(arguments, &[])
    }

    fn started(
        arguments: impl Fn(u16, &Path) -> Vec<String>,
        env: &[(&'static str, String)],
    ) -> Process {
        // A port may be taken by somebody else before the server has it.
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let port = free_port();
            let mut all = arguments(port, dir.path());
            let common = [
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--repl-diskless-sync-delay",
                "0",
            ];
            all.extend(common.map(str::to_owned));
            let (shell, pid) = spawn(dir.path(), &all, env);
            let process = Process {
                shell,
                pid,
                port,
                dir,
                arguments: all,
                env: env.to_vec(),
            };
            if process.answers() {
                return process;
            }
        }
        panic!("redis-server does not start: is it installed?");
    }

    /// Whether it listens, and goes on doing so.
    fn answers(&self) -> bool {
        let end = clock::now() + PATIENCE;
        while clock::now() < end {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                std::thread::sleep(Duration::from_millis(30));
                return self.is_alive();
            }
            if !self.is_alive() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn is_alive(&self) -> bool {
        is_alive(self.pid)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks it something directly.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
    }

    /// Sends it a signal, by its process id.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid.to_string())
            .status();
        assert!(status.unwrap().success(), "kill -{name}");
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.signal("KILL");
        wait_for("the end of a killed server", || !self.is_alive());
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }

    /// Starts it again after [`Process::kill`], on the same port and with the same files.
    pub fn restart(&mut self) {
        let (shell, pid) = spawn(self.dir.path(), &self.arguments, &self.env);
        (self.shell, self.pid) = (shell, pid);
        assert!(self.answers(), "it starts again");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}
