//! `tollgate ledger`, and what the commands that read the bank share.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::boot::database;
use clap::Args;
use serde_json::{Value, json};
use tollgate_alerts::AlertStore;
use tollgate_config::Config;
use tollgate_config::types::Credits;
use tollgate_control::Document;
use tollgate_control::resource::Account;
use tollgate_control::store;
use tollgate_control::store::Store;
use tollgate_ledger::bank;
use tollgate_ledger::bank::{Bank, Law, Verified};
use tollgate_store::{Access, StoreError};

use super::table::{plain, usd};
use super::{From, check, ended, failed};

/// Which accounts of which gateway, and how they are shown.
#[derive(Debug, Args)]
pub struct Whose {
    #[command(flatten)]
    pub from: From,
    /// Only this account.
    #[arg(long, short)]
    pub account: Option<String>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a gateway keeps, opened beside it.
pub struct Opened {
    /// Money.
    pub bank: Arc<dyn Bank>,
    /// Resources.
    pub store: Arc<dyn Store>,
    /// What operators were alerted to.
    pub alerts: AlertStore,
}

/// Why a command of the ledger did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The bank said so.
    #[error(transparent)]
    Bank(#[from] StoreError),
    /// It cannot be done; the words say what to do.
    #[error("{0}")]
    Words(String),
    /// Its output could not be written.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Loads a configuration, opens its bank beside a gateway that may be running, and works with it. Every failure
/// before or at the bank ends with `code`.
pub fn with_bank(
    path: &Path,
    code: ExitCode,
    work: impl AsyncFnOnce(&Opened, &Config) -> Result<ExitCode, Failure>,
) -> io::Result<ExitCode> {
    open(path, code, async |opened, config| {
        if config.ledger.credits == Credits::Off {
            return Err(Failure::Words(format!(
                "{} has no ledger: `ledger.credits` is off",
                path.display()
            )));
        }
        work(opened, config).await
    })
}

/// Returns the same for the resources, which are there without a ledger as well.
pub fn with_store(
    path: &Path,
    work: impl AsyncFnOnce(&Opened, &Config) -> Result<ExitCode, Failure>,
) -> io::Result<ExitCode> {
    open(path, ExitCode::FAILURE, work)
}

fn open(
    path: &Path,
    code: ExitCode,
    work: impl AsyncFnOnce(&Opened, &Config) -> Result<ExitCode, Failure>,
) -> io::Result<ExitCode> {
    let config = match tollgate_config::load(path, &tollgate_config::environment) {
        Ok(config) => config,
        Err(faults) => return check::report(path, &faults).map(|_| code),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let database = database::open(&config.ledger, Access::Command)?;
        let opened = Opened {
            bank: bank::on(&database),
            store: store::on(&database),
            alerts: AlertStore::on(&database),
        };
        work(&opened, &config).await
    });
    match done {
        Ok(code) => Ok(code),
        Err(Failure::Output(error)) => Err(error),
        Err(failure) => failed(failure, code),
    }
}

/// Returns the accounts that a command is about: one that is asked for, or all that the bank has.
pub async fn accounts(
    opened: &Opened,
    config: &Config,
    asked: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let stored = opened.bank.accounts().await?;
    let Some(asked) = asked else {
        return Ok(stored);
    };
    known(&*opened.store, stored, config, asked).await?;
    Ok(vec![asked.to_owned()])
}

/// The accounts that the admin API created.
async fn created_accounts(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let records = store.load().await?.records.into_iter();
    let accounts = records.filter(|record| record.kind == Account::KIND);
    Ok(accounts.map(|record| record.id).collect())
}

/// Returns whether there is such an account: one that the bank has, that the configuration declares, or that the admin
/// API created. Those are read only if it is none of the others.
pub async fn known(
    store: &dyn Store,
    stored: Vec<String>,
    config: &Config,
    asked: &str,
) -> Result<(), Failure> {
    let declared = config
        .accounts
        .iter()
        .map(|account| account.spec.id.clone());
    let mut all: Vec<String> = stored.into_iter().chain(declared).collect();
    let is_asked = |account: &String| *account == asked;
    if all.iter().any(is_asked) {
        return Ok(());
    }
    all.extend(created_accounts(store).await?);
    if all.iter().any(is_asked) {
        return Ok(());
    }
    all.sort_unstable();
    all.dedup();
    let all: Vec<String> = all.iter().map(|account| plain(account)).collect();
    Err(Failure::Words(format!(
        "there is no account `{}`; there are: {}. An account begins with its entry under `accounts` in the \
         configuration",
        plain(asked),
        all.join(", ")
    )))
}

/// Compares both sides of every equation.
pub fn verify(verify: &Whose) -> io::Result<ExitCode> {
    with_bank(
        &verify.from.config,
        ExitCode::from(2),
        async |opened, config| {
            let asked = accounts(opened, config, verify.account.as_deref()).await?;
            let all = bank::verify(&*opened.bank, asked).await?;
            let wrong = all.iter().filter(|one| !one.balanced()).count();
            let text = if verify.json {
                let accounts: Vec<Value> = all.iter().map(to_json).collect();
                format!(
                    "{:#}",
                    json!({ "balances": wrong == 0, "accounts": accounts })
                )
            } else {
                let mut lines: Vec<String> = all.iter().map(to_text).collect();
                lines.push(summary(all.len(), wrong));
                lines.join("\n")
            };
            let written = writeln!(io::stdout(), "{text}");
            Ok(ended(written, ExitCode::from(u8::from(wrong > 0)))?)
        },
    )
}

fn to_text(verified: &Verified) -> String {
    let width = verified.laws.iter().map(|law| law.name.len()).max();
    let width = width.unwrap_or_default();
    let lines = verified.laws.map(|law| {
        let Law {
            name, left, right, ..
        } = law;
        let (word, sign) = if law.holds() {
            ("ok", "=")
        } else {
            ("DIFFERS", "is not")
        };
        format!("  {word:<8}{name:<width$}   {left} {sign} {right}\n")
    });
    format!("{}\n{}", plain(&verified.account), lines.concat())
}

fn to_json(verified: &Verified) -> Value {
    let equations = verified.laws.map(|law| {
        json!({
            "equation": law.name,
            "left": usd(law.left),
            "right": usd(law.right),
            "balances": law.holds(),
        })
    });
    json!({
        "account": verified.account,
        "balances": verified.balanced(),
        "equations": equations,
    })
}

fn summary(all: usize, wrong: usize) -> String {
    match (all, wrong) {
        (0, _) => "no account has had a grant or a request yet: nothing to verify".to_owned(),
        (1, 0) => "1 account: it balances".to_owned(),
        (_, 0) => format!("{all} accounts: all balance"),
        _ => format!("{all} accounts: {wrong} of them DO NOT BALANCE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use tollgate_control::store::{Commit, Committed, Contents, Entry, Since};
    use tollgate_ledger::NanoUsd;
    use tollgate_ledger::bank::Books;

    /// A store that does not answer.
    struct Silent;

    fn silent<T>() -> Result<T, StoreError> {
        Err(StoreError::Away("no answer".to_owned()))
    }

    #[async_trait]
    impl Store for Silent {
        async fn load(&self) -> Result<Contents, StoreError> {
            silent()
        }

        async fn since(&self, _: u64) -> Result<Since, StoreError> {
            silent()
        }

        async fn commit(&self, _: u64, _: &Commit) -> Result<Committed, StoreError> {
            silent()
        }

        async fn changed(&self) {}

        async fn audit(&self, _: Option<&str>, _: usize) -> Result<Vec<Entry>, StoreError> {
            silent()
        }

        async fn forget_audit(&self, _: u64) -> Result<(), StoreError> {
            silent()
        }

        async fn mark_used(&self, _: &[(String, u64)]) -> Result<(), StoreError> {
            silent()
        }

        async fn last_used(&self, _: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
            silent()
        }
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_no_account_that_is_missing() {
        let config = tollgate_config::parse("accounts: [{ id: declared }]", &|_| None).unwrap();
        let known = async |asked: &str| {
            let banked = vec!["banked".to_owned()];
            known(&Silent, banked, &config, asked).await
        };
        for there in ["declared", "banked"] {
            assert!(known(there).await.is_ok(), "{there} is found without it");
        }
        let error = known("created").await.unwrap_err();
        assert!(matches!(error, Failure::Bank(_)), "{error}");
    }

    #[test]
    fn both_sides_are_shown_to_the_unit() {
        let books = Books {
            granted: NanoUsd(5_000_000_000),
            spent: NanoUsd(1),
            rolled_up: NanoUsd(1),
            free: NanoUsd(4_999_999_998),
            ..Books::default()
        };
        let verified = Verified::of("a".to_owned(), &books);
        let text = to_text(&verified);
        let first =
            "  DIFFERS granted = spent + expired + free + allotments   $5.00 is not $4.999999999\n";
        assert!(text.contains(first), "{text}");
        let last = "  ok      spent = sum of daily totals                     $0.000000001 = $0.000000001\n";
        assert!(text.ends_with(last), "{text}");
        let json = to_json(&verified);
        assert_eq!(json["balances"], false);
        assert_eq!(json["equations"][0]["right"], "4.999999999");
    }
}
