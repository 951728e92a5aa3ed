//! The command line.
//!
//! Standard output carries what was asked for, standard error what went wrong. Exit codes: 0 done, 1 the
//! configuration is not valid (or the gateway or the bank failed), 2 the command line is not; `ledger verify` has
//! its own.

mod boot;
mod cli;
mod metrics;
mod proxy;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

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
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command that is asked for, or what a command about resources came to.
fn command() -> Result<cli::Command, io::Result<ExitCode>> {
    let line = cli::resources::with_resources(cli::Cli::command());
    let matches = line.get_matches();
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
        cli::Command::Schema => cli::schema(),
        cli::Command::Key(cli::KeyCommand::New(new)) => cli::key::new(&new),
        cli::Command::Catalog(list) => cli::catalog::run(&list),
        cli::Command::Credits(command) => cli::credits::run(&command),
        cli::Command::Secrets(command) => cli::secrets::run(&command),
        cli::Command::Usage(usage) => cli::usage::run(&usage),
        cli::Command::Ledger(cli::LedgerCommand::Verify(verify)) => cli::ledger::verify(&verify),
    }
}
