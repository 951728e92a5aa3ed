//! `tollgate alerts`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_alerts::{Alert, State, Stored};
use tollgate_base::clock;
use tollgate_config::AlertChannel;

use super::ledger::with_store;
use super::table::{plain, table, time, timestamp};
use super::{From, check, failed};
use crate::boot::alerts::send::send;

/// Alerts that are read at once.
const PAGE: usize = 100;

#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Send a test message to the channels of the configuration, and say what came back.
    #[command(
        after_help = "It is sent from here, not by a running gateway. Exit codes: 0 all took it, 1 one did not, or there is
none.

Examples:
  tollgate alerts test
  tollgate alerts test ops --config tollgate.yaml"
    )]
    Test(Test),
    /// List what was alerted to, newest first, and what became of it.
    #[command(
        after_help = "DELIVERED says for each channel `sent`, `waiting` (with the tries so far), or `given up`.

Examples:
  tollgate alerts list
  tollgate alerts list --limit 1000 --json | jq '.[] | select(.event == \"budget\")'"
    )]
    List(List),
}

/// What is tried.
#[derive(Debug, Args)]
pub struct Test {
    /// Only this channel.
    pub channel: Option<String>,
    #[command(flatten)]
    pub from: From,
}

/// What is listed.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub from: From,
    /// How many, at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

pub fn run(command: &AlertsCommand) -> io::Result<ExitCode> {
    match command {
        AlertsCommand::Test(test) => try_channels(test),
        AlertsCommand::List(list) => show(list),
    }
}

fn try_channels(test: &Test) -> io::Result<ExitCode> {
    let path = &test.from.config;
    let config = match tollgate_config::load(path, &tollgate_config::environment) {
        Ok(config) => config,
        Err(faults) => return check::report(path, &faults),
    };
    let asked = |channel: &&AlertChannel| {
        let asked = test.channel.as_deref();
        asked.is_none_or(|asked| *channel.id == *asked)
    };
    let all = &config.alerts.channels;
    let channels: Vec<&AlertChannel> = all.iter().filter(asked).collect();
    if channels.is_empty() {
        let words = match &test.channel {
            Some(asked) if !all.is_empty() => {
                let ids: Vec<&str> = all.iter().map(|channel| &*channel.id).collect();
                format!(
                    "there is no channel `{}`; there are {}",
                    plain(asked),
                    ids.join(", ")
                )
            }
            _ => format!("{} has no `alerts.channels`", path.display()),
        };
        return failed(words, ExitCode::FAILURE);
    }
    let mut code = ExitCode::SUCCESS;
    for channel in channels {
        let (id, alert) = (&channel.id, Alert::test());
        match send(channel, &alert, clock::wall_ms()) {
            Ok(said) => writeln!(io::stdout(), "{id}: sent: {}", plain(&said))?,
            Err(refused) => {
                code = ExitCode::FAILURE;
                writeln!(io::stdout(), "{id}: not sent: {}", plain(&refused.why))?;
            }
        }
    }
    Ok(code)
}

fn show(list: &List) -> io::Result<ExitCode> {
    with_store(&list.from.config, async |opened, _| {
        let mut found: Vec<Stored> = Vec::new();
        while found.len() < list.limit {
            let before = found.last().map(|last| last.number);
            let some = PAGE.min(list.limit - found.len());
            let page = opened.alerts.list(before, some).await?;
            let last = page.len() < some;
            found.extend(page);
            if last {
                break;
            }
        }
        if list.json {
            let all: Vec<Value> = found.iter().map(document).collect();
            writeln!(io::stdout(), "{:#}", Value::from(all))?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<[String; 5]> = found.iter().map(row).collect();
        let head = ["TIME", "EVENT", "ACCOUNT", "WHAT", "DELIVERED"];
        writeln!(io::stdout(), "{}", table(head, &rows, &[]))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn row(stored: &Stored) -> [String; 5] {
    let account = stored.alert.account.as_deref().unwrap_or("-");
    [
        time(stored.at_ms / 1_000),
        plain(&stored.alert.event),
        plain(account),
        plain(&stored.alert.title),
        delivered(stored),
    ]
}

fn delivered(stored: &Stored) -> String {
    let each = stored.deliveries.iter().map(|delivery| {
        let channel = plain(&delivery.channel);
        match delivery.state {
            State::Waiting => format!("{channel} waiting ({})", delivery.tries),
            State::Sent => format!("{channel} sent"),
            State::GivenUp => format!("{channel} given up"),
        }
    });
    let all: Vec<String> = each.collect();
    if all.is_empty() {
        "-".to_owned()
    } else {
        all.join(", ")
    }
}

fn document(stored: &Stored) -> Value {
    let mut document = json!(stored.alert);
    document["number"] = json!(stored.number);
    document["at"] = json!(timestamp(stored.at_ms / 1_000));
    let deliveries = stored.deliveries.iter().map(|one| {
        json!({
            "channel": one.channel,
            "state": one.state.name(),
            "tries": one.tries,
            "said": one.said,
        })
    });
    document["deliveries"] = deliveries.collect();
    document
}
