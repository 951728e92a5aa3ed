//! Processes: starting them on the right CPU, waiting for them, and ending them whatever happens.
//!
//! Invariant: a process started here ends, by its id, when its [`Child`] is dropped. The program's own
//! roles also end when their parent does (their standard input closes), and nothing lives longer than [`LIFETIME`].

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Outcome, procfs};

/// The longest that a run, and anything it starts, may live: millions of events take most of it to be stored.
pub const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// How often a process is given 10 ms to end by itself.
const GOODBYE: u32 = 500;

/// Open files wanted: 10,000 streams take two in each proxy, and some more.
const FILES: u32 = 24_000;
/// Set in the process that [`prepare_self`] starts: the CPUs, or nothing.
const PREPARED: &str = "TOLLGATE_BENCH_PREPARED";

/// A process that ends with this value.
pub struct Child(std::process::Child);

impl Child {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// True while it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Asked first: what it has to write when it ends (a profile, if it was built to make one) is written.
        let id = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let asked = id.map(|id| kill_process(id, Signal::TERM));
        for _ in 0..GOODBYE {
            if !matches!(asked, Some(Ok(()))) || !self.is_running() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Both fail only when it is gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The CPUs that the two sides of the measurement are kept on, so that the scheduler's choices are not measured.
#[derive(Clone, Copy)]
pub struct Pins {
    /// For the load generator and the provider.
    pub load: u32,
    /// For the proxy being measured.
    pub proxy: u32,
}

impl Pins {
    /// The first and the last CPU, if there are two and `taskset` is installed.
    fn choose() -> Option<Pins> {
        let cpus = procfs::allowed_cpus();
        let (load, proxy) = (*cpus.first()?, *cpus.last()?);
        let taskset = Command::new("taskset")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        (load != proxy && taskset.is_ok_and(|status| status.success()))
            .then_some(Pins { load, proxy })
    }

    /// As [`PREPARED`] carries it.
    fn read(text: &str) -> Option<Pins> {
        let (load, proxy) = text.split_once(',')?;
        Some(Pins {
            load: load.parse().ok()?,
            proxy: proxy.parse().ok()?,
        })
    }
}

/// A command, to be kept on one CPU if there is one to keep it on.
fn pinned(program: &Path, cpu: Option<u32>) -> Command {
    match cpu {
        Some(cpu) => {
            // `taskset` becomes the program, so the process id stays the same.
            let mut command = Command::new("taskset");
            command.arg("-c").arg(cpu.to_string()).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Whether a program is on the path. `taskset` would start either way.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Starts `program`; what it says goes to `log`.
pub fn start(
    program: &Path,
    args: &[impl AsRef<OsStr>],
    cpu: Option<u32>,
    log: &Path,
) -> Outcome<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    let child = pinned(program, cpu)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    Ok(Child(child))
}

/// Starts one of this program's own roles that prints its port, and waits for that line.
pub fn start_printing_port(
    role: &str,
    args: &[&str],
    cpu: Option<u32>,
) -> Outcome<(Child, SocketAddr)> {
    let mut child = pinned(&std::env::current_exe()?, cpu)
        .arg(role)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let printed = child.stdout.take();
    let child = Child(child);
    let mut line = String::new();
    // Ends with the process at the latest.
    BufReader::new(printed.ok_or("no standard output")?).read_line(&mut line)?;
    let port: u16 = line
        .trim()
        .parse()
        .map_err(|_| format!("the {role} did not start: {line:?}"))?;
    Ok((child, (Ipv4Addr::LOCALHOST, port).into()))
}

/// A loopback port that was free a moment ago, for programs that do not choose their own.
pub fn free_port() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Ends this process when its standard input closes, which is when its parent has ended, or after [`LIFETIME`].
pub fn exit_with_parent() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
        std::process::exit(0);
    });
    std::thread::spawn(|| {
        std::thread::sleep(LIFETIME);
        std::process::exit(0);
    });
}

/// Starts this process anew, once, with enough open files and, if CPUs are to be pinned and can be, kept on
/// the load's; returns the CPUs in the process that was started.
pub fn prepare_self(pin: bool) -> Outcome<Option<Pins>> {
    if let Ok(prepared) = std::env::var(PREPARED) {
        return Ok(Pins::read(&prepared));
    }
    let pins = if pin { Pins::choose() } else { None };
    let (run, prepared) = match pins {
        Some(Pins { load, proxy }) => (
            format!(r#"exec taskset -c {load} "$0" "$@""#),
            format!("{load},{proxy}"),
        ),
        None => (r#"exec "$0" "$@""#.to_owned(), String::new()),
    };
    // A soft limit may be raised up to the hard one without rights; if even that is too low, the run will say so.
    let script = format!(
        r#"test "$(ulimit -n)" = unlimited || test "$(ulimit -n)" -ge {FILES} || ulimit -n {FILES} || ulimit -n "$(ulimit -Hn)"; {run}"#
    );
    let error = Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(PREPARED, prepared)
        .exec();
    Err(format!("cannot start anew: {error}").into())
}
