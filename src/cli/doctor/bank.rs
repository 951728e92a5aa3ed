//! Where money is durable: the SQLite file or Redis, and whether the books balance.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tollgate_base::clock;
use tollgate_config::types::Credits;
use tollgate_config::{BankChoice, Config};
use tollgate_ledger::bank;
use tollgate_store::redis::Redis;
use tollgate_store::{Access, Database, StoreError};

use super::{Findings, machine};
use crate::boot::database;

/// The oldest major version of Redis that has all commands that the scripts use.
const OLDEST: u64 = 7;

/// Clocks that differ by more than this are not believed.
const APART_MS: u64 = 60_000;

/// Opens the store as a command does, beside a gateway, and looks at it.
pub fn look(config: &Config, findings: &mut Findings) -> io::Result<()> {
    if let BankChoice::Sqlite { path } = &config.ledger.bank {
        machine::disk("sqlite", path.parent().unwrap_or(Path::new(".")), findings);
        // To open it would make it.
        if !path.exists() {
            findings.ok(
                "sqlite",
                format!("{} is made by the first start", path.display()),
            );
            return Ok(());
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let opened = database::open(&config.ledger, Access::Command);
        let database = match opened {
            Ok(database) => database,
            Err(error) => return away(config, &error, findings),
        };
        if let Database::Redis(redis) = &database
            && let Err(error) = server(redis, findings).await
        {
            return away(config, &error, findings);
        }
        if config.ledger.credits != Credits::Off
            && let Err(error) = books(&database, findings).await
        {
            away(config, &error, findings);
        }
    });
    Ok(())
}

fn away(config: &Config, error: &StoreError, findings: &mut Findings) {
    let (area, advice) = match &config.ledger.bank {
        BankChoice::Sqlite { .. } => (
            "sqlite",
            "look at the file, its directory and its disk; a new gateway makes it",
        ),
        BankChoice::Redis(_) => (
            "redis",
            "look at `ledger.redis`: address, user, password, TLS; a gateway serves on only from what it has borrowed",
        ),
    };
    findings.error(area, error.to_string(), advice);
}

/// What the server says of itself.
async fn server(redis: &Redis, findings: &mut Findings) -> Result<(), StoreError> {
    let told = redis.described().await?;
    let save = redis.setting("save").await.ok().flatten();
    judge(&told, save.as_deref(), findings);
    let micros = told.get("server_time_usec");
    if let Some(server) = micros.and_then(|micros| micros.parse::<u64>().ok()) {
        let apart = clock::wall_ms().abs_diff(server / 1_000);
        let what = format!("this machine's clock and Redis's are {apart} ms apart");
        match apart > APART_MS {
            true => findings.error(
                "clock",
                what,
                "set the wrong one right (NTP); windows of limits and expiries go by both",
            ),
            false => findings.ok("clock", what),
        }
    }
    Ok(())
}

/// Judges what `INFO` says, and the server's `save` points, if it shows them.
fn judge(told: &BTreeMap<String, String>, save: Option<&str>, findings: &mut Findings) {
    let text = |name: &str| told.get(name).map_or("", String::as_str);
    version(&text, findings);
    if text("role") == "slave" {
        findings.error(
            "redis",
            "the server is a replica, which takes no writes",
            "name the primary, or the Sentinels",
        );
    }
    if text("loading") == "1" {
        findings.warning(
            "redis",
            "the server is reading its data",
            "wait until it has",
        );
    }
    persistence(&text, save, findings);
    memory(&text, findings);
}

fn version<'t>(text: &impl Fn(&str) -> &'t str, findings: &mut Findings) {
    let version = text("redis_version");
    let name = match text("valkey_version") {
        "" => format!("Redis {version}"),
        valkey => format!("Valkey {valkey}"),
    };
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u64>().ok());
    match major {
        Some(major) if major < OLDEST => findings.error(
            "redis",
            format!("the server is {name}"),
            "use Redis 7 or later, or Valkey",
        ),
        Some(_) => findings.ok("redis", format!("the server is {name}")),
        None => findings.warning(
            "redis",
            "the server does not say its version",
            "use Redis 7 or later, or Valkey",
        ),
    }
}

fn memory<'t>(text: &impl Fn(&str) -> &'t str, findings: &mut Findings) {
    let number = |name: &str| text(name).parse::<u64>().unwrap_or(0);
    let (most, used) = (number("maxmemory"), number("used_memory"));
    match text("maxmemory_policy") {
        "noeviction" => findings.ok("redis", "nothing is evicted (noeviction)"),
        "" => findings.warning(
            "redis",
            "the server does not say what it evicts",
            "set maxmemory-policy noeviction",
        ),
        policy if most == 0 => findings.warning(
            "redis",
            format!("maxmemory-policy is {policy}, without a maxmemory: nothing is evicted until one is set"),
            "set maxmemory-policy noeviction: it holds money",
        ),
        policy => findings.error(
            "redis",
            format!("maxmemory-policy is {policy}: accounts may be evicted"),
            "set maxmemory-policy noeviction: it holds money",
        ),
    }
    // Eight tenths, in whole numbers.
    if most > 0 && used / 8 > most / 10 {
        let what = format!(
            "{} of {} MiB of its memory are used",
            used >> 20,
            most >> 20
        );
        findings.warning(
            "redis",
            what,
            "give it more: a full one refuses every charge",
        );
    }
}

fn persistence<'t>(text: &impl Fn(&str) -> &'t str, save: Option<&str>, findings: &mut Findings) {
    match (text("aof_enabled"), save) {
        ("1", _) => findings.ok("redis", "it writes each change down (appendonly)"),
        (_, Some("")) => findings.error(
            "redis",
            "it keeps nothing: neither appendonly nor save is set",
            "set appendonly yes: a restart would lose every account",
        ),
        (_, Some(_)) => findings.warning(
            "redis",
            "it keeps snapshots only (save), and loses what came since the last one",
            "set appendonly yes",
        ),
        (_, None) => findings.warning(
            "redis",
            "it does not write each change down, and does not tell its `save` points",
            "set appendonly yes",
        ),
    }
    for (name, what) in [
        (
            "aof_last_write_status",
            "the last write of its append-only file failed",
        ),
        (
            "aof_last_bgrewrite_status",
            "the last rewrite of its append-only file failed",
        ),
        ("rdb_last_bgsave_status", "its last snapshot failed"),
    ] {
        if text(name) == "err" {
            findings.error("redis", what, "look at its log, and the room on its disk");
        }
    }
}

/// The same as `tollgate ledger verify`.
async fn books(database: &Database, findings: &mut Findings) -> Result<(), StoreError> {
    let bank = bank::on(database);
    let accounts = bank.accounts().await?;
    let all = bank::verify(&*bank, accounts).await?;
    let wrong: Vec<&str> = all
        .iter()
        .filter(|one| !one.balanced())
        .map(|one| one.account.as_str())
        .collect();
    match wrong.as_slice() {
        [] => findings.ok("books", format!("the books of {} accounts balance", all.len())),
        wrong => findings.error(
            "books",
            format!("the books of {} do not balance", wrong.join(", ")),
            "keep the output of `tollgate ledger verify` and the journals, and report it: this is a bug",
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn judged(pairs: &[(&str, &str)], save: Option<&str>) -> Vec<(Level, String)> {
        let good = [
            ("redis_version", "7.2.4"),
            ("role", "master"),
            ("aof_enabled", "1"),
            ("maxmemory", "0"),
            ("maxmemory_policy", "noeviction"),
        ];
        let told = good.iter().chain(pairs);
        let told = told
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut findings = Findings::default();
        judge(&told, save, &mut findings);
        let bad = findings
            .0
            .into_iter()
            .filter(|finding| finding.level != Level::Ok);
        bad.map(|finding| {
            assert!(
                !finding.advice.is_empty(),
                "{} says what to do",
                finding.what
            );
            (finding.level, finding.what)
        })
        .collect()
    }

    #[test]
    fn what_a_server_says_of_itself_is_judged() {
        use Level::{Error, Warning};
        assert_eq!(judged(&[], None), [], "appendonly, and nothing is evicted");
        for (pairs, save, level, words) in [
            (
                &[("redis_version", "6.2.14")][..],
                None,
                Error,
                "Redis 6.2.14",
            ),
            (&[("redis_version", "")], None, Warning, "its version"),
            (&[("role", "slave")], None, Error, "a replica"),
            (&[("loading", "1")], None, Warning, "reading its data"),
            (&[("aof_enabled", "0")], Some(""), Error, "keeps nothing"),
            (
                &[("aof_enabled", "0")],
                Some("3600 1"),
                Warning,
                "snapshots only",
            ),
            (&[("aof_enabled", "0")], None, Warning, "does not tell"),
            (
                &[("aof_last_write_status", "err")],
                None,
                Error,
                "append-only file failed",
            ),
            (
                &[("rdb_last_bgsave_status", "err")],
                None,
                Error,
                "snapshot failed",
            ),
            (
                &[("maxmemory_policy", "allkeys-lru")],
                None,
                Warning,
                "without a maxmemory",
            ),
            (
                &[("maxmemory_policy", "allkeys-lru"), ("maxmemory", "1000")],
                None,
                Error,
                "may be evicted",
            ),
            (
                &[("maxmemory", "1000000"), ("used_memory", "900000")],
                None,
                Warning,
                "memory are used",
            ),
        ] {
            let found = judged(pairs, save);
            assert_eq!(found.len(), 1, "{pairs:?}: {found:?}");
            assert!(
                found[0].0 == level && found[0].1.contains(words),
                "{pairs:?}: {found:?}"
            );
        }
    }
}
