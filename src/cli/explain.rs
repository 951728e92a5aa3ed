//! `tollgate usage explain`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tollgate_ledger::events::paging::{self, Wanted};
use tollgate_ledger::events::stored::StoredEvent;
use tollgate_ledger::events::{Explanation, Flag};

use super::From;
use super::ledger::{Failure, accounts, with_bank};
use super::table::{plain, time};

/// Attempts of one request that are shown.
const MOST: usize = 256;

/// Which request.
#[derive(Debug, Args)]
pub struct Explain {
    /// The request's id, as the answer's `x-request-id` and the access log have it.
    #[arg(value_name = "REQUEST")]
    pub request: String,
    #[command(flatten)]
    pub config: From,
    /// Only this account. Default: all, the house too.
    #[arg(long, short)]
    pub account: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// An attempt with what it was charged.
struct Explained {
    account: String,
    event_time: String,
    model: String,
    attempt_number: u32,
    is_final_attempt: bool,
    outcome: String,
    charge: Explanation,
}

pub fn run(explain: &Explain) -> io::Result<ExitCode> {
    with_bank(
        &explain.config.config,
        ExitCode::FAILURE,
        async |opened, config| {
            let accounts = accounts(opened, config, explain.account.as_deref()).await?;
            let mut found = Vec::new();
            for account in &accounts {
                let wanted = Wanted {
                    account,
                    to_ms: u64::MAX,
                    request: Some(&explain.request),
                    retries: true,
                    limit: MOST,
                    ..Wanted::default()
                };
                found.extend(of_account(&*opened.bank, wanted).await?);
            }
            if found.is_empty() {
                return Err(Failure::Words(format!(
                    "no usage event of the request `{}` is kept: events are kept for `ledger.retention`, and \
                     `tollgate usage --events` lists the newest",
                    explain.request
                )));
            }
            found.sort_by_key(|one| (one.attempt_number, one.account.clone()));
            let text = if explain.json {
                format!("{:#}", found.iter().map(as_json).collect::<Value>())
            } else {
                in_words(&found)
            };
            writeln!(io::stdout(), "{}", text.trim_end())?;
            Ok(ExitCode::SUCCESS)
        },
    )
}

async fn of_account(
    bank: &dyn tollgate_ledger::bank::Bank,
    mut wanted: Wanted<'_>,
) -> Result<Vec<Explained>, Failure> {
    let mut all = Vec::new();
    loop {
        let page = paging::page(bank, wanted, explained).await;
        let page = page.map_err(|error| Failure::Words(error.to_string()))?;
        all.extend(page.events);
        wanted.after = page.next;
        if wanted.after.is_none() || all.len() >= MOST {
            return Ok(all);
        }
    }
}

fn explained(event: &StoredEvent<'_>) -> Explained {
    let attempt = &event.attempt;
    Explained {
        account: event.request.account.to_owned(),
        event_time: time(event.at_ms / 1_000),
        model: format!("{}:{}", attempt.provider.id, attempt.model.id),
        attempt_number: attempt.number,
        is_final_attempt: attempt.is(Flag::Final),
        outcome: attempt.outcome.to_owned(),
        charge: Explanation::of(attempt),
    }
}

fn as_json(one: &Explained) -> Value {
    json!({
        "account": one.account,
        "eventTime": one.event_time,
        "model": one.model,
        "attemptNumber": one.attempt_number,
        "isFinalAttempt": one.is_final_attempt,
        "outcome": one.outcome,
        "charge": one.charge,
    })
}

fn in_words(all: &[Explained]) -> String {
    let one = |one: &Explained| {
        format!(
            "{}  attempt {} by {}: {}, charged to {}\n{}\n",
            one.event_time,
            one.attempt_number,
            plain(&one.model),
            plain(&one.outcome),
            plain(&one.account),
            one.charge
        )
    };
    all.iter().map(one).collect()
}
