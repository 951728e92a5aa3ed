//! Tollgate, an AI gateway that anyone can run: one URL and one key in front of every model provider.
//!
//! # The walk of a request
//!
//! ```text
//! cli ─► boot ─► proxy    receive ─ authenticate ─ body ─ route ─ credits ─ admit
//!                            [ attempt ─ outbound ─ answer ]*   until one commits, or none is left
//!                         settle ─ record ─► metrics
//! ```
//!
//! [`cli`] reads the command line. [`boot`] wires every room and takes it down again. [`proxy`] is the walk: one hook
//! of Pingora a line, one phase a file. [`metrics`] reports what happened. What these four decide nothing
//! of is a crate of its own, in the folder of its name:
//!
//! | crate | what it answers |
//! | --- | --- |
//! | [`tollgate_config`] | How is it configured? Who is calling, and what may they call? What does a model id mean? |
//! | [`tollgate_failover`] | What is tried, in which order? What does a failure mean? (Purely.) |
//! | [`tollgate_wire`] | What does a body, an event, an error say? How is it said on another API? How many tokens is it? (Purely.) |
//! | [`tollgate_ledger`] | What may be spent, and what was it? |
//! | [`tollgate_reconcile`] | Is it what the provider billed? (Purely.) |
//! | [`tollgate_alerts`] | What are operators alerted to, once? |
//! | [`tollgate_control`] | What do operators change at run time, on every replica? |
//! | [`tollgate_store`] | Where does it outlive the process? |
//! | [`tollgate_demo`] | How does a provider misbehave? |
//! | [`tollgate_base`] | What time is it? What may be printed of a secret? |
//!
//! `src/README.md` is the architecture: what must be true, which file makes it so, and why.
//!
//! # The command line
//!
//! Standard output carries what was asked for, standard error what went wrong. Exit codes: 0 done, 1 the
//! configuration is not valid (or the gateway or the bank failed), 2 the command line is not; `ledger verify` and
//! `reconcile` have their own.

#![forbid(unsafe_code)]

mod boot;
mod cli;
mod metrics;
mod proxy;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

/// One thousand open streams take 58 MB with it; other allocators need up to three times that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let done = match command() {
        Err(done) => done,
        Ok(command) => carry_out(command),
    };
    match done {
        Ok(code) => code,
        // Whoever read our output has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command that is asked for, or what a command about resources came to.
fn command() -> Result<cli::Command, io::Result<ExitCode>> {
    let line = cli::Cli::command();
    let first = std::env::args_os().nth(1).unwrap_or_default();
    // The others are made of the admin API's document, which takes longer to make than a gateway to start.
    if line.get_subcommands().any(|own| *own.get_name() == *first) {
        return Ok(cli::Cli::parse().command);
    }
    let matches = cli::resources::with_resources(line).get_matches();
    if let Some((noun, matches)) = matches.subcommand()
        && let Some(done) = cli::resources::run(noun, matches)
    {
        return Err(done);
    }
    cli::Cli::from_arg_matches(&matches)
        .map(|cli| cli.command)
        .map_err(|error| error.exit())
}

fn carry_out(command: cli::Command) -> io::Result<ExitCode> {
    match command {
        cli::Command::Run(from) => cli::run(&from.config),
        cli::Command::Check(from) => cli::check::run(&from.config),
        cli::Command::Doctor(doctor) => cli::doctor::run(&doctor),
        cli::Command::Health(health) => cli::health::run(&health),
        cli::Command::Top(top) => cli::top::run(&top),
        cli::Command::Upgrade(upgrade) => cli::upgrade::run(&upgrade),
        cli::Command::Schema => cli::schema(),
        cli::Command::Key(cli::KeyCommand::New(new)) => cli::key::new(&new),
        cli::Command::Catalog(command) => cli::catalog::run(&command),
        cli::Command::Alerts(command) => cli::alerts::run(&command),
        cli::Command::Demo(command) => cli::demo::run(&command),
        cli::Command::Credits(command) => cli::credits::run(&command),
        cli::Command::Secrets(command) => cli::secrets::run(&command),
        cli::Command::Import(command) => cli::import::run(&command),
        cli::Command::Usage(usage) => cli::usage::run(&usage),
        cli::Command::Reconcile(reconcile) => cli::reconcile::run(&reconcile),
        cli::Command::Ledger(cli::LedgerCommand::Verify(verify)) => cli::ledger::verify(&verify),
        cli::Command::Claude(tool) => cli::launch::claude(&tool),
        cli::Command::Codex(tool) => cli::launch::codex(&tool),
        cli::Command::Exec(exec) => cli::launch::exec(&exec),
    }
}
