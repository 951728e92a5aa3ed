//! What the command line may say.

pub mod alerts;
pub mod catalog;
pub mod check;
pub mod credits;
pub mod demo;
pub mod doctor;
mod events;
mod explain;
pub mod export;
pub mod health;
pub mod import;
pub mod key;
pub mod launch;
pub mod ledger;
mod progress;
pub mod reconcile;
pub mod resources;
mod samples;
pub mod secrets;
mod table;
pub mod top;
pub mod upgrade;
pub mod usage;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::boot::BootError;
use clap::{Args, Parser, Subcommand};

/// One URL and one key in front of every AI model provider.
///
/// Point an OpenAI or Anthropic SDK at Tollgate: it authenticates the caller, picks a provider and a credential,
/// fails over when one fails, streams the answer back untouched, and counts every token.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  tollgate run --config conf/demo.yaml        a gateway that answers offline
  tollgate key new --id app                   an access key, and its YAML entry
  tollgate check --config tollgate.yaml       every fault, with its line"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    #[command(after_help = "Signals:
  SIGHUP     load the configuration again (a changed file is noticed by itself)
  SIGTERM    stop accepting, let running answers finish (proxy.drain), then end
  SIGUSR2    have a new process take over (tollgate upgrade says what becomes of it)

Examples:
  tollgate run
  tollgate run --config conf/demo.yaml
  TOLLGATE_CONFIG=/etc/tollgate/tollgate.yaml tollgate run")]
    Run(From),
    /// Check a configuration and report every fault at once.
    #[command(
        after_help = "Prints one line a fault, as compilers do, and exits with 1 if there is any:
  conf/x.yaml:12: providers[0].bas_url: unknown field; did you mean `base_url`?

Examples:
  tollgate check --config conf/tollgate.yaml
  tollgate check && kill -HUP $(pidof tollgate)"
    )]
    Check(From),
    /// Look at a gateway as support would: its configuration, machine, store, providers and books.
    #[command(
        after_help = "Each finding says what to do. Nothing is changed. Provider keys are tried with --probe only.

Exit codes: 0 no errors, 1 errors, 2 the command line is not valid.

Examples:
  tollgate doctor                                    conf/tollgate.yaml, on this machine
  tollgate doctor --config tollgate.yaml --probe
  TOLLGATE_ADMIN_KEY=… tollgate doctor --url http://127.0.0.1:9090
  tollgate doctor --json | jq '.findings[] | select(.level != \"ok\")'"
    )]
    Doctor(doctor::Doctor),
    /// Ask the gateway beside this command whether it lives, by its configuration.
    #[command(
        after_help = "What a container's health check runs. It needs no API key, and whatever else is wrong with the
configuration is none of its business. Where the admin listener lets nobody in without a certificate, it lives
if it says so; give --client-cert and --client-key to be let in, and to ask with --ready.

Exit codes: 0 yes, 1 no, 2 the command line is not valid.

Examples:
  tollgate health
  tollgate health --ready --config /etc/tollgate/tollgate.yaml"
    )]
    Health(health::Health),
    /// Watch a running gateway: its requests, providers, keys and money.
    #[command(
        after_help = "q or Ctrl-C ends it. Rates and percentiles are those of the last 10 seconds.

Examples:
  TOLLGATE_ADMIN_KEY=… tollgate top
  tollgate top --url http://127.0.0.1:9090 --interval 5
  tollgate top --once                    one look, as text; with --json, as JSON
  tollgate top --json | jq .requests.perSecond"
    )]
    Top(top::Top),
    /// Have a new process of the program take over from the running one, without a cut.
    ///
    /// It is started as the running one was, from the same path, which may be another version by now. Both serve until
    /// the old one's last answer has ended, or `proxy.drain` has passed.
    #[command(
        after_help = "Exit codes: 0 the new process serves, 1 it did not come up (the old one goes on) or the gateway was not
reached, 2 the command line is not valid.

Examples:
  install tollgate-new /usr/local/bin/tollgate && TOLLGATE_ADMIN_KEY=… tollgate upgrade
  tollgate upgrade --url http://127.0.0.1:9090
  systemctl kill --signal=USR2 --kill-whom=main tollgate     without a key; the log says the rest"
    )]
    Upgrade(upgrade::Upgrade),
    /// Print the JSON Schema of the configuration, for editors.
    #[command(after_help = "Examples:
  tollgate schema > tollgate.schema.json
and as the first line of a configuration, for editors with yaml-language-server:
  # yaml-language-server: $schema=./tollgate.schema.json")]
    Schema,
    /// Keys: those that applications send, and those of the admin API.
    #[command(subcommand)]
    Key(KeyCommand),
    /// List the providers and models that are known, show one model, or what price feeds change.
    #[command(after_help = "Examples:
  tollgate catalog providers
  tollgate catalog models --filter gpt-4o
  tollgate catalog models --config conf/tollgate.yaml --json
  tollgate catalog show gpt-5.5
  tollgate catalog diff --config conf/tollgate.yaml")]
    Catalog(catalog::CatalogCommand),
    /// What operators are alerted to: list it, or try where it is sent.
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// Give the demo something to show.
    #[command(subcommand)]
    Demo(demo::DemoCommand),
    /// Prepaid credits: grants, balances, transactions.
    #[command(subcommand)]
    Credits(credits::CreditsCommand),
    /// The master keys that stored credentials are sealed with.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Show what was used: requests, tokens, cost.
    #[command(after_help = "Examples:
  tollgate usage                                    the last 7 days, by day
  tollgate usage --account sales --since 30d --by model
  tollgate usage --events --limit 20                the newest 20 requests' attempts
  tollgate usage --since 1d --events --json | jq .  with every field, as the admin API shows them
  tollgate usage explain REQUEST                    a charge, line by line
  tollgate usage export --help                      files for other programs")]
    Usage(usage::Usage),
    /// Write another gateway's configuration as one of Tollgate's.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Compare what the ledger charged with what a provider billed.
    ///
    /// By day, model and key, of what was used with the operator's own (managed) keys, without the processing fee. Of
    /// each line that is off, the most probable cause is named.
    #[command(
        after_help = "The provider's figures are all pages of its API, as JSON files, or exports of its console:
  OpenAI     GET /v1/organization/costs, /v1/organization/usage/completions, …/embeddings
  Anthropic  GET /v1/organizations/cost_report, …/usage_report/messages
--fetch gets them with an admin key, from the environment or a file.

Causes: tier or variant; price; usage shape; traffic outside the gateway; charged, not
billed; time zone of the day; missing days.

Exit codes: 0 every line is within the tolerance, 1 some are not, 2 nothing could be
compared: a report in another currency, with a missing page or day, or that cannot be
read; the bank; the admin key.

Examples:
  tollgate reconcile --provider openai --from 2026-11-01 --to 2026-11-30 \\
      --report costs.json usage.json
  tollgate reconcile --provider anthropic --from 2026-11-01 --to 2026-11-07 \\
      --report claude_cost.csv --all
  OPENAI_ADMIN_KEY=… tollgate reconcile --provider openai --fetch \\
      --from 2026-11-01 --to 2026-11-30 --json drift.json
  tollgate reconcile --provider house --api openai --fetch --key main=key_abc \\
      --from 2026-11-01 --to 2026-11-30"
    )]
    Reconcile(Box<reconcile::Reconcile>),
    /// The books behind the credits.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Start Claude Code with the gateway as its provider.
    #[command(
        after_help = "Options of Tollgate stand before those of the tool. The key is in the tool's environment only.

Examples:
  TOLLGATE_KEY=… tollgate claude
  tollgate claude --key-file ~/.tollgate-key --url https://gateway.example -p 'Explain this repository'"
    )]
    Claude(launch::Tool),
    /// Start Codex with the gateway as its provider.
    #[command(
        after_help = "Options of Tollgate stand before those of the tool. The key is in the tool's environment only.

Examples:
  TOLLGATE_KEY=… tollgate codex
  tollgate codex --key-file ~/.tollgate-key exec 'Explain this repository'"
    )]
    Codex(launch::Tool),
    /// Start any tool with the gateway's address and key in its environment.
    #[command(
        after_help = "It gets OPENAI_BASE_URL, OPENAI_API_KEY, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY, ANTHROPIC_CUSTOM_HEADERS,
TOLLGATE_URL, TOLLGATE_KEY and TOLLGATE_SESSION. Its exit code is this command's; 127 if there is no such
tool, 1 if the gateway does not answer or does not know the key.

Examples:
  TOLLGATE_KEY=… tollgate exec -- aider --model openai/gpt-4o
  tollgate exec --key-file ~/.tollgate-key -- python agent.py"
    )]
    Exec(launch::Exec),
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Compare both sides of every equation of every account, to the nano-dollar.
    #[command(
        after_help = "granted = spent + expired + free + what gateways have borrowed; and what is stored twice must be equal.
It may run at any time, beside running gateways.

Exit codes: 0 all balance, 1 some do not, 2 the bank cannot be read.

Examples:
  tollgate ledger verify
  tollgate ledger verify --account sales --json"
    )]
    Verify(ledger::Whose),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct From {
    /// The configuration file.
    #[arg(
        long,
        short,
        value_name = "PATH",
        env = "TOLLGATE_CONFIG",
        default_value = "conf/tollgate.yaml"
    )]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an access key, or an admin API key: print its token, once, and the YAML entry to keep.
    #[command(
        after_help = "The token is nowhere but in this output; the configuration holds only its SHA-256.

Examples:
  tollgate key new --id app
  tollgate key new --id web --name 'Web app' --account sales --configuration team-a
  tollgate key new --admin
  tollgate key new --admin --id reports --role usage-only --account sales"
    )]
    New(key::NewKey),
}

/// Runs the gateway until it is signalled to stop.
pub fn run(config: &Path) -> io::Result<ExitCode> {
    match crate::boot::run(config) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(BootError::Config(faults)) => check::report(config, &faults),
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

/// Returns what a command comes to whose last words were `written`. That somebody has read enough of them changes no
/// exit code.
pub fn ended(written: io::Result<()>, code: ExitCode) -> io::Result<ExitCode> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(code),
    }
}

/// Says on standard error why a command came to nothing; returns its exit code.
pub fn failed(why: impl Display, code: ExitCode) -> io::Result<ExitCode> {
    ended(writeln!(io::stderr(), "tollgate: {why}"), code)
}

/// Escapes a text for a path's segment or a query: all but RFC 3986's unreserved characters.
fn escaped(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Prints the JSON Schema.
pub fn schema() -> io::Result<ExitCode> {
    writeln!(io::stdout(), "{:#}", tollgate_config::schema())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};
    use std::process::ExitCode;

    use clap::CommandFactory;

    #[test]
    fn a_closed_pipe_makes_no_failure_a_success() {
        let ended = |kind: ErrorKind| super::ended(Err(Error::from(kind)), ExitCode::from(7));
        let code = ended(ErrorKind::BrokenPipe).unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(7)));
        assert!(ended(ErrorKind::StorageFull).is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
