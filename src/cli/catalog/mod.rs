//! `tollgate catalog`: shows providers, models and prices, and takes in price feeds.

mod feeds;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use tollgate_config::catalog::{Catalog, Kind, show, table};

use super::check;
use tollgate_config::Config;

/// What to show of the catalog.
#[derive(Debug, Args)]
pub struct CatalogCommand {
    /// What to show; the models if nothing is said.
    #[command(subcommand)]
    pub what: Option<What>,
    /// Only those whose id or alias contains this.
    #[arg(long, short, global = true)]
    pub filter: Option<String>,
    /// Also what this configuration adds and changes.
    #[arg(
        long,
        short,
        value_name = "PATH",
        env = "TOLLGATE_CONFIG",
        global = true
    )]
    pub config: Option<PathBuf>,
    /// As JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum What {
    /// List providers.
    Providers,
    /// List models.
    Models,
    /// Show all that is known of one model, and where each of its prices comes from.
    #[command(after_help = "Examples:
  tollgate catalog show gpt-5.5
  tollgate catalog show openrouter:openai/gpt-5 --json

Exit codes: 0 it is known, 1 it is not.")]
    Show {
        /// `provider:model`, or an id or alias.
        model: String,
    },
    /// Show what price feeds would change: which price, from what to what, and what would be held back.
    ///
    /// A feed of the configuration is fetched as the gateway does it, and compared with what the gateway has kept of it.
    /// Nothing is changed.
    #[command(
        after_help = "HELD says `held` where a price would be more than ten times the other, or to or from nothing: such a
model keeps its prices, all of them, until `tollgate catalog accept`.

Exit codes: 0 nothing would change, 1 something would, 2 a feed cannot be had or understood.

Examples:
  tollgate catalog diff --config conf/tollgate.yaml
  tollgate catalog diff --config conf/tollgate.yaml --feed litellm --json
  tollgate catalog diff --file model_prices_and_context_window.json --format litellm"
    )]
    Diff(feeds::Diff),
    /// Take in prices that were held back.
    ///
    /// They are those that the gateway saw when it last read the feed. It may run meanwhile: it notices within seconds.
    #[command(
        after_help = "It writes into `catalog.directory`, so run it where the gateway runs, as its user. Each gateway of a fleet keeps its
own feeds: run it beside each of them, or write the price into the configuration, which wins over every feed.

Exit codes: 0 taken in, 1 nothing of that is held back, 2 what is kept cannot be read or written.

Examples:
  tollgate catalog accept --config conf/tollgate.yaml
  tollgate catalog accept --config conf/tollgate.yaml --feed litellm openai:gpt-5.5 claude-opus-5-5"
    )]
    Accept(feeds::Accept),
}

/// Runs the command, on the built-in catalog or, if a configuration is named, on its catalog.
pub fn run(command: &CatalogCommand) -> io::Result<ExitCode> {
    let config: Option<Config> = match &command.config {
        None => None,
        Some(path) => match tollgate_config::load(path, &tollgate_config::environment) {
            Ok(config) => Some(config),
            Err(faults) => {
                let code = check::report(path, &faults)?;
                // To these two, 1 is an answer.
                let answers = matches!(command.what, Some(What::Diff(_) | What::Accept(_)));
                return Ok(if answers { ExitCode::from(2) } else { code });
            }
        },
    };
    let catalog = match &config {
        None => Arc::new(Catalog::built_in()),
        Some(config) => config.catalog.clone(),
    };
    let kind = match &command.what {
        Some(What::Show { model }) => return run_show(&catalog, model, command),
        Some(What::Diff(diff)) => return diff.run(config.as_ref(), command.json),
        Some(What::Accept(accept)) => return accept.run(config.as_ref(), command.json),
        Some(What::Providers) => Kind::Providers,
        Some(What::Models) | None => Kind::Models,
    };
    let listed = table(&catalog, kind, command.filter.as_deref(), command.json);
    writeln!(io::stdout(), "{}", listed.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn run_show(catalog: &Catalog, model: &str, command: &CatalogCommand) -> io::Result<ExitCode> {
    if command.filter.is_some() {
        writeln!(io::stderr(), "--filter is for lists; name one model")?;
        return Ok(ExitCode::from(2));
    }
    let found = match catalog.resolve(model) {
        Ok(found) => found,
        Err(unknown) => {
            writeln!(io::stderr(), "{unknown}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    // One without a model is only passed on to its provider.
    let known = found
        .iter()
        .filter_map(|one| Some((&one.provider, one.model.as_ref()?)));
    let shown: Vec<String> = known
        .map(|(provider, model)| show(catalog, provider, model, command.json))
        .collect();
    if shown.is_empty() {
        // Only `provider:model` can name a model that the catalog does not have.
        writeln!(
            io::stderr(),
            "nothing is known of {model}: it is sent as it is, and has no price"
        )?;
        return Ok(ExitCode::FAILURE);
    }
    // Several providers may have it: as JSON, that is an array.
    let text = match (command.json, &shown[..]) {
        (true, [_, _, ..]) => format!("[\n{}]", shown.join(",\n")),
        _ => shown.join("\n"),
    };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
