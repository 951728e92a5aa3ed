//! The gateway beside bare Pingora, end to end: `cargo bench --bench end_to_end`.
//!
//! # What it does
//!
//! One run starts a fast local provider, a bare Pingora pass-through and the gateway with
//! authentication, planning, observer, metrics and access log on, each a process of its own on loopback, and
//! asks the two proxies in turn. It prints, for each measure, both medians, the median and the range of the
//! comparisons within pairs, and the target. A target that is missed never fails the run; a wrong answer does.
//!
//! Beside bare Pingora the gateway runs without a ledger (`credits: off`). What a ledger adds is measured by
//! itself (`--only ledger`): the gateway with `credits: off` beside itself with credits enforced, on SQLite and on a
//! `redis-server` of this run's own. So is what a translated stream costs (`--only crossing`): the gateway whose provider
//! offers the client's API beside itself with a provider that only offers another one, for every two of the three; and what
//! WebSockets cost (`--only websocket`): turns beside requests over HTTP, idle sockets beside bare Pingora's idle connections.
//!
//! How cost grows with access keys, candidates, open streams, accounts, gateways, traces and TLS to the provider (`--only scale`,
//! or `keys` and so on), how other proxies do (`--only peers`), what the program takes when it is not asked
//! (`--only footprint`), how many instructions a request takes (`--only instructions`, under Valgrind), and how long the
//! console's pages take after a month with millions of requests (`--only console`), is measured when it is named.
//!
//! # How to read it
//!
//! - Run it on a quiet machine with two cores or more. With `taskset` installed, load and provider share the
//!   first CPU and the proxy being measured has the last one (`--no-pin` leaves that to the scheduler).
//! - `--self-check` puts bare Pingora in both places: how far its ratios are from 1 is the noise.
//! - CPU is the proxy process's own (`procfs.rs`), kernel work included; throughput also depends on how much
//!   of the machine the load generator needs.
//! - Unpaced streams arrive faster than they are read, so many events share one read and one write and the
//!   gateway's own work weighs most; paced streams cost a wake-up an event, as live models do.
//! - To see where the time goes: `--only prompt-1m --repetitions 20`, and `perf record -g -p PID` with the
//!   gateway's process id, which the run prints.
//!
//! # The files
//!
//! `measures.rs`, `crossing.rs`, `websocket.rs`, `ledger.rs`, `scale/`, `peers.rs`, `footprint.rs`, `instructions.rs` and `console/`
//! say what is measured, `lab.rs` and `redis_server.rs` what is started,
//! `load.rs` is the load generator with the requests of `prompts.rs`, `provider.rs` with its `answers.rs`,
//! `secure.rs` and `passthrough.rs` are the other processes, `wire.rs` is their HTTP, `child.rs` their lives, `procfs.rs` reads what they
//! used, `report.rs` prints it.

mod answers;
mod child;
mod console;
mod crossing;
mod footprint;
mod instructions;
mod lab;
mod ledger;
mod load;
mod measures;
mod passthrough;
mod peers;
mod procfs;
mod prompts;
mod provider;
mod redis_server;
mod report;
mod scale;
mod secure;
mod websocket;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Pins;
use crate::lab::Lab;
use crate::measures::Bench;
use crate::report::Report;

/// The allocator of the gateway, so of all roles here.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Anything that went wrong, for a person to read.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The role that answers requests.
const PROVIDER: &str = "provider";
/// The role that passes them through.
const PASSTHROUGH: &str = "passthrough";

/// All measures, in the order in which they run.
fn names() -> Vec<&'static str> {
    let mut names = measures::NAMES.to_vec();
    names.extend([crossing::NAME, websocket::NAME, ledger::NAME, scale::NAME]);
    names.extend(scale::NAMES);
    names.extend([
        peers::NAME,
        footprint::NAME,
        instructions::NAME,
        console::NAME,
    ]);
    names
}

/// Compares the gateway with bare Pingora, and with itself with a ledger or another API to translate, end to end.
#[derive(Parser)]
#[command(name = "end_to_end")]
struct Options {
    /// Fewer and shorter repetitions: about a minute, and noisier.
    #[arg(long)]
    quick: bool,
    /// Only the measures with these names.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(names()), value_delimiter = ',')]
    only: Vec<String>,
    /// How many interleaved pairs of each measure [default: 5; 2 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    repetitions: Option<u32>,
    /// How many usage events there are when the console is measured [default: 10,000,000; 100,000 with --quick].
    #[arg(long)]
    events: Option<u64>,
    /// Bare Pingora in both places, and no ledger in any; shows the noise.
    #[arg(long)]
    self_check: bool,
    /// Let the scheduler choose the CPUs.
    #[arg(long)]
    no_pin: bool,
    /// The gateway's binary.
    #[arg(long, env = "TOLLGATE_BIN", default_value = env!("CARGO_BIN_EXE_tollgate"))]
    gateway: PathBuf,
    /// The model that requests name; `bench:bench-model` makes the gateway rewrite every body.
    #[arg(long, default_value = "bench-model")]
    model: String,
    /// Given by `cargo bench`; without it (`cargo test --benches`) nothing is run.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program does when it has started itself.
#[derive(clap::Subcommand)]
#[command(rename_all = "kebab-case")]
enum Role {
    /// Answers requests.
    #[command(name = PROVIDER, hide = true)]
    Provider,
    /// Answers them over TLS, or without.
    #[command(name = secure::ROLE, hide = true)]
    SecureProvider(secure::Options),
    /// Passes requests through.
    #[command(name = PASSTHROUGH, hide = true)]
    PassThrough {
        listen: SocketAddr,
        provider: SocketAddr,
    },
}

impl Options {
    fn repetitions(&self) -> u32 {
        self.repetitions.unwrap_or(if self.quick { 2 } else { 5 })
    }

    fn events(&self) -> u64 {
        self.events
            .unwrap_or(if self.quick { 100_000 } else { 10_000_000 })
    }

    /// The length of one closed loop; at full speed the proxy uses about as much CPU time.
    fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 1200 } else { 4500 })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.names(name)
    }

    /// Whether it was asked for by its name.
    fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }

    /// How the figures came about, for whoever reads them later.
    fn conditions(&self, pins: Option<Pins>, sides: &str) -> String {
        let repetitions = self.repetitions();
        let seconds = self.window().as_secs_f64();
        let pinned = pins.map_or_else(
            || "CPUs chosen by the scheduler".to_owned(),
            |pins| {
                format!(
                    "load, provider and Redis on CPU {}, the proxy on CPU {}",
                    pins.load, pins.proxy
                )
            },
        );
        format!(
            "{repetitions} interleaved repetitions, {seconds} s a loop; {pinned}; one proxy thread; {sides}; model {}; {}",
            self.model,
            procfs::machine()
        )
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.role {
        Some(Role::Provider) => provider::run(),
        Some(Role::SecureProvider(ref secure)) => secure::run(secure),
        Some(Role::PassThrough { listen, provider }) => passthrough::run(listen, provider),
        None if !options.bench => {
            println!("nothing measured: run this with `cargo bench --bench end_to_end`");
            Ok(())
        }
        None => compare(&options),
    };
    if let Err(error) = done {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn compare(options: &Options) -> Outcome<()> {
    let pins = child::prepare_self(!options.no_pin)?;
    warn_if_busy();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        // Whichever way it ends, the processes it started end with it.
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        tokio::select! {
            done = tokio::time::timeout(child::LIFETIME, run(options, pins)) => done?,
            _ = terminated.recv() => Err("terminated".into()),
            _ = interrupted.recv() => Err("interrupted".into()),
        }
    })
}

/// Says so when other programs are using the machine: the figures would be theirs as much as ours.
fn warn_if_busy() {
    let before = procfs::machine_ticks();
    std::thread::sleep(Duration::from_millis(500));
    if let Some(((busy, all), (busy_now, all_now))) = before.zip(procfs::machine_ticks()) {
        let share = (busy_now - busy) / (all_now - all).max(1.0);
        if share > 0.05 {
            eprintln!(
                "the machine is not quiet: other programs use {:.0} % of it; the figures mean little",
                share * 100.0
            );
        }
    }
}

/// Every measure asked for, and the tables of those that could be taken.
async fn run(options: &Options, pins: Option<Pins>) -> Outcome<()> {
    let lab = Lab::open(options, pins)?;
    let mut tables = Tables {
        options,
        pins,
        failed: Vec::new(),
    };
    if measures::NAMES.iter().any(|name| options.wants(name)) {
        let rows = beside_bare(&lab, options, &mut tables.failed).await?;
        let about = "authentication, planning, observer, metrics and access log on, without a ledger (`credits: off`)";
        tables.show(
            "",
            BESIDE_BARE,
            [about, "bare Pingora in both places"],
            Ok(rows),
        );
    }
    if options.wants(crossing::NAME) {
        let rows = crossing::measure(&lab, options).await;
        let about = "the gateway whose provider offers the client's API beside the one whose provider offers another; `credits: off`";
        let check = "nothing is translated in any place";
        tables.show(
            crossing::NAME,
            ["untouched", "translated"],
            [about, check],
            rows,
        );
    }
    if options.wants(websocket::NAME) {
        let rows = websocket::turns(&lab, options).await;
        let about = "300 B prompts, streamed by a provider of Responses to 8 clients over HTTP and to 8 over WebSocket; `credits: off`";
        let check = "over HTTP in both places";
        tables.show(websocket::NAME, ["HTTP", "WebSocket"], [about, check], rows);
        let rows = websocket::idle(&lab, options).await;
        let about =
            "resident memory a connection, at 1,000 that wait for their client; `credits: off`";
        tables.show(
            websocket::NAME,
            BESIDE_BARE,
            [about, "bare Pingora in both places"],
            rows,
        );
    }
    if options.wants(ledger::NAME) {
        let rows = ledger::measure(&lab, options).await;
        let about = "300 B prompts of one account; the gateway with `credits: off` beside itself with `credits: enforced`";
        let check = "`credits: off` in all places";
        tables.show(
            ledger::NAME,
            ["credits off", "enforced"],
            [about, check],
            rows,
        );
    }
    for name in scale::NAMES {
        if options.names(name) || options.names(scale::NAME) {
            let rows = scale::measure(name, &lab, options).await;
            let about = "300 B prompts; the gateway, with `credits: off` for open streams, traces and upstream, else enforced";
            tables.show(name, scale::SIDES, [about; 2], rows);
        }
    }
    if options.names(peers::NAME) {
        let rows = peers::measure(&lab, options).await;
        let about = "nginx and HAProxy pass through what they are asked, as bare Pingora does; LiteLLM and Portkey check no keys; the gateway with `credits: off` and with everything on";
        tables.show(peers::NAME, peers::SIDES, [about; 2], rows);
    }
    if options.names(footprint::NAME) {
        let rows = footprint::measure(&lab, options).await;
        let about = "the gateway with `credits: enforced` on SQLite";
        tables.show(footprint::NAME, BESIDE_BARE, [about; 2], rows);
    }
    if options.names(instructions::NAME) {
        tables.instructions(instructions::measure(&lab, options).await);
    }
    if options.names(console::NAME) {
        match console::measure(&lab, options).await {
            Ok(()) => println!("{}", procfs::machine()),
            Err(error) => {
                let why = format!("{} could not be measured: {error}", console::NAME);
                tables.failed.push(why);
            }
        }
    }
    if tables.failed.is_empty() {
        Ok(())
    } else {
        Err(tables.failed.join("\n").into())
    }
}

const BESIDE_BARE: [&str; 2] = ["bare Pingora", "gateway"];

/// The measures that compare with bare Pingora, as far as they are asked for; what could not be taken is `failed`.
async fn beside_bare(
    lab: &Lab,
    options: &Options,
    failed: &mut Vec<String>,
) -> Outcome<Vec<report::Row>> {
    let bench = Bench::open(lab, options).await?;
    let mut rows = Vec::new();
    for name in measures::NAMES {
        if options.wants(name) {
            match bench.run(name).await {
                Ok(more) => rows.extend(more),
                Err(error) => failed.push(format!("{name} could not be measured: {error}")),
            }
        }
    }
    Ok(rows)
}

/// What is shown as it comes.
struct Tables<'a> {
    options: &'a Options,
    pins: Option<Pins>,
    /// What could not be measured, and why.
    failed: Vec<String>,
}

impl Tables<'_> {
    fn instructions(&mut self, rows: Outcome<[Vec<report::Row>; 2]>) {
        let about = "300 B prompts, under callgrind";
        let bare = rows.map(|[bare, ledger]| {
            let sides = ["credits off", "enforced"];
            self.show(instructions::NAME, sides, [about; 2], Ok(ledger));
            bare
        });
        self.show(instructions::NAME, BESIDE_BARE, [about; 2], bare);
    }

    /// A table, and how it came about: normally, and in a self check.
    fn show(
        &mut self,
        name: &str,
        sides: [&'static str; 2],
        [about, check]: [&str; 2],
        rows: Outcome<Vec<report::Row>>,
    ) {
        let about = if self.options.self_check {
            check
        } else {
            about
        };
        match rows {
            Ok(rows) => {
                let table = Report { sides, rows };
                let conditions = self.options.conditions(self.pins, about);
                let name = if name.is_empty() {
                    ""
                } else {
                    &format!("{name}: ")
                };
                println!("\n{table}\n{name}{conditions}");
            }
            Err(error) => self
                .failed
                .push(format!("{name} could not be measured: {error}")),
        }
    }
}
