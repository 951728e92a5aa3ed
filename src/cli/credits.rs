//! `tollgate credits`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_base::random;
use tollgate_config::expiry::Expiry;
use tollgate_config::units::Usd;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Books, Day, NewGrant};
use tollgate_store::StoreError;

use super::From;
use super::ledger::{Failure, Whose, accounts, known, with_bank};
use super::table::{date, plain, table, time, timestamp, usd};

#[derive(Debug, Subcommand)]
pub enum CreditsCommand {
    /// Put credits into an account, once per id.
    #[command(
        after_help = "A grant is added once per id: repeat a command with its `--id` as often as you like. It works beside a
running gateway, which needs no restart.

Examples:
  tollgate credits grant --account default --usd 5
  tollgate credits grant --account sales --usd 250 --id invoice-1042 --note 'paid 3 March'
  tollgate credits grant --account sales --usd 0.50 --expires never"
    )]
    Grant(Grant),
    /// Show what accounts have: granted, spent, expired, free, lent to gateways, debt.
    #[command(
        after_help = "LENT is what gateways have borrowed to admit requests without asking; it is spent or comes back.
DEBT is what was spent beyond all grants; the next grant pays it first.

Examples:
  tollgate credits balance
  tollgate credits balance --account sales --json     amounts are US dollars, exact, as text"
    )]
    Balance(Whose),
    /// List an account's grants, expiries, and charges per day, newest first.
    #[command(after_help = "Days are UTC.

Examples:
  tollgate credits transactions --account default
  tollgate credits transactions --account sales --json")]
    Transactions(Transactions),
}

/// Credits to add.
#[derive(Debug, Args)]
pub struct Grant {
    #[command(flatten)]
    pub from: From,
    /// Whose they are.
    #[arg(long, short)]
    pub account: String,
    /// How much, in US dollars.
    #[arg(long, value_name = "AMOUNT")]
    pub usd: Usd,
    /// What makes it unique in its account; random if not given.
    #[arg(long)]
    pub id: Option<String>,
    /// How long it may be spent: a duration such as 365d, or `never`.
    #[arg(long, value_name = "TIME", default_value_t = Expiry::DEFAULT)]
    pub expires: Expiry,
    /// For people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

/// Whose transactions.
#[derive(Debug, Args)]
pub struct Transactions {
    #[command(flatten)]
    pub from: From,
    /// The account.
    #[arg(long, short)]
    pub account: String,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

pub fn run(command: &CreditsCommand) -> io::Result<ExitCode> {
    match command {
        CreditsCommand::Grant(grant) => give(grant),
        CreditsCommand::Balance(balance) => show(balance),
        CreditsCommand::Transactions(transactions) => list(transactions),
    }
}

fn give(grant: &Grant) -> io::Result<ExitCode> {
    let new = NewGrant {
        id: grant
            .id
            .clone()
            .unwrap_or_else(|| format!("grant-{:016x}", random::bits64())),
        // What is no amount is more than a grant may be, which is refused below.
        amount: NanoUsd::from_micros(grant.usd.micros()).unwrap_or(NanoUsd(i64::MAX)),
        expires_after: grant.expires.duration(),
        note: grant.note.clone(),
    };
    with_bank(
        &grant.from.config,
        ExitCode::FAILURE,
        async |opened, config| {
            let bank = &*opened.bank;
            new.check_asked()?;
            let stored = bank.accounts().await?;
            known(&*opened.store, stored, config, &grant.account).await?;
            let is_new = match bank.grant(&grant.account, &new).await {
                Err(error @ StoreError::Away(_)) => {
                    return Err(Failure::Words(format!(
                        "{error}\nIt may have been added all the same: repeat the command with `--id {}`, which adds \
                     it only if it was not",
                        new.id
                    )));
                }
                answer => answer?,
            };
            let books = bank.books(&grant.account).await?;
            writeln!(
                io::stdout(),
                "{}",
                given(&grant.account, &new, is_new, &books)
            )?;
            Ok(ExitCode::SUCCESS)
        },
    )
}

fn given(account: &str, new: &NewGrant, is_new: bool, books: &Books) -> String {
    let (account, id) = (plain(account), plain(&new.id));
    let stored = books.grants.iter().find(|grant| grant.id == new.id);
    let (amount, expires) = match stored {
        Some(grant) => (grant.amount, grant.expires),
        None => (new.amount, None),
    };
    let until = expires.map_or_else(|| "no end".to_owned(), time);
    if is_new {
        format!("granted {amount} to {account}: {id}, to be spent until {until}")
    } else {
        format!(
            "{account} has the grant {id} already, of {amount}, to be spent until {until}: nothing was added"
        )
    }
}

fn show(balance: &Whose) -> io::Result<ExitCode> {
    with_bank(
        &balance.from.config,
        ExitCode::FAILURE,
        async |opened, config| {
            let bank = &*opened.bank;
            let mut all = Vec::new();
            for account in accounts(opened, config, balance.account.as_deref()).await? {
                let books = bank.books(&account).await?;
                all.push((account, books));
            }
            let mut out = io::stdout().lock();
            if balance.json {
                let all = all
                    .iter()
                    .map(|(account, books)| balance_json(account, books));
                writeln!(out, "{:#}", Value::from(all.collect::<Vec<_>>()))?;
            } else if all.is_empty() {
                writeln!(out, "no account has had a grant or a request yet")?;
            } else {
                writeln!(out, "{}", balances(&all))?;
            }
            Ok(ExitCode::SUCCESS)
        },
    )
}

fn balances(all: &[(String, Books)]) -> String {
    let head = [
        "ACCOUNT", "GRANTED", "SPENT", "EXPIRED", "FREE", "LENT", "DEBT",
    ];
    let rows: Vec<_> = all
        .iter()
        .map(|(account, books)| {
            let Books {
                granted,
                spent,
                expired,
                free,
                debt,
                ..
            } = books;
            let [granted, spent, expired, free, lent, debt] =
                [*granted, *spent, *expired, *free, books.lent(), *debt].map(|sum| sum.to_string());
            [plain(account), granted, spent, expired, free, lent, debt]
        })
        .collect();
    table(head, &rows, &[1, 2, 3, 4, 5, 6])
}

fn balance_json(account: &str, books: &Books) -> Value {
    json!({
        "account": account,
        "granted": usd(books.granted),
        "spent": usd(books.spent),
        "expired": usd(books.expired),
        "free": usd(books.free),
        "lent": usd(books.lent()),
        "debt": usd(books.debt),
    })
}

/// Something that changed what an account has.
#[derive(Debug, PartialEq, Eq)]
struct Transaction {
    /// When (Unix time, s); of a day's charges, its last second.
    at: u64,
    kind: &'static str,
    /// Added, or taken.
    amount: NanoUsd,
    /// A grant's id.
    grant: Option<String>,
    /// A grant's end (Unix time, s).
    expires: Option<u64>,
    /// For people.
    note: String,
    /// Of a day's charges.
    requests: Option<u64>,
}

fn list(transactions: &Transactions) -> io::Result<ExitCode> {
    with_bank(
        &transactions.from.config,
        ExitCode::FAILURE,
        async |opened, config| {
            let bank = &*opened.bank;
            accounts(opened, config, Some(&transactions.account)).await?;
            let all = collect(bank, &transactions.account).await?;
            let mut out = io::stdout().lock();
            if transactions.json {
                let all: Vec<Value> = all.iter().map(transaction_json).collect();
                writeln!(out, "{:#}", Value::from(all))?;
            } else if all.is_empty() {
                let account = plain(&transactions.account);
                writeln!(out, "{account} has had no grant and no request yet")?;
            } else {
                writeln!(out, "{}", transaction_table(&all))?;
            }
            Ok(ExitCode::SUCCESS)
        },
    )
}

async fn collect(bank: &dyn Bank, account: &str) -> Result<Vec<Transaction>, StoreError> {
    let books = bank.books(account).await?;
    let mut days: BTreeMap<Day, (NanoUsd, u64)> = BTreeMap::new();
    for rollup in bank.rollups(account, Day(0), Day(u32::MAX)).await? {
        let (cost, requests) = days.entry(rollup.day).or_default();
        *cost += rollup.cost;
        *requests = requests.saturating_add(rollup.requests);
    }
    let mut all = Vec::new();
    for grant in books.grants {
        if grant.expired > NanoUsd::ZERO {
            all.push(Transaction {
                at: grant.expires.unwrap_or(grant.created),
                kind: "expiry",
                amount: -grant.expired,
                grant: Some(grant.id.clone()),
                expires: None,
                note: String::new(),
                requests: None,
            });
        }
        all.push(Transaction {
            at: grant.created,
            kind: "grant",
            amount: grant.amount,
            grant: Some(grant.id),
            expires: grant.expires,
            note: grant.note,
            requests: None,
        });
    }
    all.extend(days.into_iter().map(|(day, (cost, requests))| Transaction {
        at: u64::from(day.0) * 86_400 + 86_399,
        kind: "charges",
        amount: -cost,
        grant: None,
        expires: None,
        note: String::new(),
        requests: Some(requests),
    }));
    // Newest first; the sort is stable, so that of grants of one second the last one comes first, too.
    all.reverse();
    all.sort_by_key(|one| std::cmp::Reverse(one.at));
    Ok(all)
}

fn transaction_table(all: &[Transaction]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let when = match one.requests {
                Some(_) => date(one.at),
                None => time(one.at),
            };
            let what = match (&one.grant, one.requests) {
                (_, Some(1)) => "1 request".to_owned(),
                (_, Some(requests)) => format!("{requests} requests"),
                (Some(id), None) => plain(id),
                (None, None) => String::new(),
            };
            let expires = one.expires.map(date).unwrap_or_default();
            [
                when,
                one.kind.to_owned(),
                one.amount.to_string(),
                what,
                expires,
                plain(&one.note),
            ]
        })
        .collect();
    table(
        ["WHEN", "KIND", "AMOUNT", "WHAT", "EXPIRES", "NOTE"],
        &rows,
        &[2],
    )
}

fn transaction_json(one: &Transaction) -> Value {
    let when = match one.requests {
        Some(_) => Some(date(one.at)),
        None => timestamp(one.at),
    };
    let mut json = json!({ "when": when, "kind": one.kind, "amount": usd(one.amount) });
    match (&one.grant, one.requests) {
        (Some(id), _) => json["grant"] = Value::from(id.as_str()),
        (None, requests) => json["requests"] = Value::from(requests),
    }
    if one.kind == "grant" {
        json["expires"] = Value::from(one.expires.and_then(timestamp));
        json["note"] = Value::from(one.note.as_str());
    }
    json
}
