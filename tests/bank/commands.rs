//! The commands, as a shell sees them, on a bank that a gateway has used.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::sqlite::SqliteBank;
use tollgate_ledger::bank::{CreditStore, Day, Exchange, Rollup};
use tollgate_ledger::events::{Attempt, EventId, Flag, Flags, Named, OwnedEvent, Request, stored};
use tollgate_store::Access;
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_wire::Surface;

use crate::contract::{Teller, new_grant, tell};

const CONFIG: &str = "ledger:
  bank: sqlite
  sqlite: { path: data/bank.db }
accounts:
  - { id: sales }
  - { id: idle }
";

fn tollgate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(arguments)
        .env("TOLLGATE_CONFIG", "tollgate.yaml")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it prints, if it ends with 0.
fn out(folder: &Path, arguments: &[&str]) -> String {
    let output = tollgate(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&out(folder, &arguments)).unwrap()
}

/// What it complains of, and its exit code.
fn complaint(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = tollgate(folder, arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    (error, output.status.code())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tollgate.yaml"), CONFIG).unwrap();
    folder
}

fn gateway(folder: &Path) -> SqliteBank {
    let options = Options {
        access: Access::Gateway,
        timeout: Duration::from_secs(10),
        synchronous: Synchronous::Normal,
    };
    let worker = Worker::open(&folder.join("data/bank.db"), options).unwrap();
    SqliteBank::new(Arc::new(worker))
}

fn event(account: &str, number: u64, at_ms: u64) -> OwnedEvent {
    let named = |id: &str, name: &str| Named {
        id: id.into(),
        name: name.into(),
    };
    OwnedEvent {
        at_ms,
        request: Request {
            account: account.into(),
            access_key: "app".into(),
            id: format!("r{number}").into(),
            surface: Surface::ChatCompletions.name().into(),
        },
        provider_request_id: "".into(),
        attempt: Attempt {
            id: EventId::made_up(1, number),
            provider: named("openai", "OpenAI"),
            model: named("gpt-4o", "GPT-4o"),
            number: 1,
            flags: Flags::default()
                .with(Flag::Final, true)
                .with(Flag::Managed, true),
            status: 200,
            outcome: "ok".into(),
            stop_reason: "stop".into(),
            cost: NanoUsd(1),
            ..Attempt::default()
        },
    }
}

fn charge(day: Day, model: &str, nanos: i64) -> Rollup {
    Rollup {
        day,
        ..crate::contract::rollup(0, model, nanos)
    }
}

fn grant<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["credits", "grant"], more].concat()
}

#[test]
fn grants_are_made_once_and_only_for_accounts_that_are_declared() {
    let folder = folder();
    let folder = folder.path();
    let five = grant(&["--account", "default", "--usd", "5"]);
    let made = out(folder, &five);
    assert!(
        made.starts_with("granted $5.00 to default: grant-"),
        "{made}"
    );
    out(folder, &five);
    let with_id = grant(&[
        "-a",
        "sales",
        "--usd",
        "2.5",
        "--id",
        "x",
        "--expires",
        "never",
    ]);
    let made = out(folder, &with_id);
    assert_eq!(
        made,
        "granted $2.50 to sales: x, to be spent until no end\n"
    );
    let again = grant(&["-a", "sales", "--usd", "9", "--id", "x"]);
    let again = out(folder, &again);
    assert!(
        again.contains("has the grant x already, of $2.50"),
        "{again}"
    );
    let balances = json(folder, &["credits", "balance"]);
    assert_eq!(balances[0]["account"], "default");
    assert_eq!(
        balances[0]["granted"], "10.00",
        "an id of its own each time"
    );
    assert_eq!(balances[1]["free"], "2.50");

    for (arguments, code, words) in [
        (
            vec!["-a", "sale", "--usd", "1"],
            1,
            "there is no account `sale`; there are: default, idle, sales",
        ),
        (
            vec!["-a", "sales", "--usd", "0"],
            1,
            "a grant must be above $0.00",
        ),
        (
            vec!["-a", "sales", "--usd", "9000001"],
            1,
            "at most $9000000.00",
        ),
        (vec!["-a", "sales", "--usd", "-1"], 2, "--usd"),
        (
            vec!["-a", "sales", "--usd", "1", "--id", "{x}"],
            1,
            "without braces",
        ),
        (
            vec!["-a", "sales", "--usd", "1", "--expires", "0s"],
            1,
            "more than 0s",
        ),
        (
            vec!["-a", "sales", "--usd", "1", "--expires", "soon"],
            2,
            "`never`",
        ),
    ] {
        let (error, status) = complaint(folder, &grant(&arguments));
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert_eq!(status, Some(code), "{arguments:?}: {error}");
    }
}

#[tokio::test]
async fn what_a_gateway_did_is_shown_while_it_runs() {
    let folder = folder();
    let folder = folder.path();
    let bank = gateway(folder);
    let now = clock::unix();
    let today = Day(u32::try_from(now.as_secs() / 86_400).unwrap());
    let now = u64::try_from(now.as_millis()).unwrap();
    let new = new_grant("welcome", 5_000_000_000, Some(86_400));
    bank.grant("sales", &new).await.unwrap();
    let mut teller = Teller::new("sales", 1);
    let mut send = async |rollups: Vec<Rollup>, events: &[OwnedEvent]| {
        let message = Exchange {
            spent: rollups.iter().map(|rollup| rollup.cost).sum(),
            need: NanoUsd(1_000),
            want: NanoUsd(1_000),
            rollups,
            events: stored::encode(events),
            ..teller.next()
        };
        tell(&bank, &message).await;
    };
    send(vec![charge(Day(20_000), "old", 7)], &[event("sales", 1, 5)]).await;
    // Overlapping batches, as two gateways send them.
    let charges = vec![charge(today, "a", 1), charge(today, "b", 3)];
    send(
        charges,
        &[event("sales", 2, now - 50), event("sales", 3, now - 10)],
    )
    .await;
    send(
        Vec::new(),
        &[event("sales", 4, now - 20), event("sales", 5, now - 15)],
    )
    .await;

    let table = out(folder, &["credits", "balance", "--account", "sales"]);
    let cells: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    assert_eq!(
        cells,
        [
            [
                "ACCOUNT", "GRANTED", "SPENT", "EXPIRED", "FREE", "LENT", "DEBT"
            ],
            [
                "sales",
                "$5.00",
                "$0.000000011",
                "$0.00",
                "$4.999996993",
                "$0.000002996",
                "$0.00"
            ],
        ]
    );

    let all = json(folder, &["credits", "transactions", "-a", "sales"]);
    let kinds: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert_eq!(
        kinds,
        ["charges", "grant", "charges"],
        "newest first: {all}"
    );
    assert_eq!(
        (&all[0]["amount"], &all[0]["requests"]),
        (&"-0.000000004".into(), &2.into())
    );
    assert_eq!(
        (&all[1]["amount"], &all[1]["grant"]),
        (&"5.00".into(), &"welcome".into())
    );
    assert_eq!(all[2]["when"], "2024-10-04");

    let usage = |more: &[&str]| json(folder, &[&["usage"], more].concat());
    let models = usage(&["--by", "model"]);
    assert_eq!(
        models.as_array().unwrap().len(),
        2,
        "the last week: {models}"
    );
    assert_eq!(models[0]["model"], "demo:b", "the most expensive first");
    assert_eq!(models[0]["totalCost"], "0.000000003");
    let days = usage(&["--since", "9000d"]);
    assert_eq!(days.as_array().unwrap().len(), 2, "{days}");
    assert_eq!(days[0]["inputTokens"], 200);
    assert_eq!(usage(&["--since", "9000d", "--limit", "1"])[0], days[0]);
    let ids = |events: &Value| -> Vec<String> {
        let events = events.as_array().unwrap().iter();
        events
            .map(|event| event["requestId"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&usage(&["--events"])), ["r3", "r5", "r4", "r2"]);
    assert_eq!(ids(&usage(&["--events", "--limit", "2"])), ["r3", "r5"]);
    assert!(ids(&usage(&["--events", "--limit", "0"])).is_empty());
    assert_eq!(ids(&usage(&["--events", "--since", "30000d"])).len(), 5);
    let shown = usage(&["--events", "--limit", "1"]);
    let written = serde_json::to_value(event("sales", 3, now - 10).shown()).unwrap();
    assert_eq!(shown[0], written, "as the event says itself");
    let table = out(folder, &["usage", "--events", "-a", "sales"]);
    assert!(table.contains("openai:gpt-4o"), "{table}");

    assert!(out(folder, &["ledger", "verify"]).ends_with("1 account: it balances\n"));
    assert!(out(folder, &["ledger", "verify", "-a", "idle"]).contains("$0.00 = $0.00"));
}

#[tokio::test]
async fn verify_says_what_differs_and_what_cannot_be_read() {
    let folder = folder();
    let folder = folder.path();
    let verify = ["ledger", "verify"];
    assert!(out(folder, &verify).contains("nothing to verify"));
    let bank = gateway(folder);
    for account in ["default", "sales"] {
        bank.grant(account, &new_grant("g", 1_000, None))
            .await
            .unwrap();
    }
    assert!(out(folder, &verify).ends_with("2 accounts: all balance\n"));
    drop(bank);

    let path = folder.join("data/bank.db");
    let tamper = rusqlite::Connection::open(&path).unwrap();
    tamper
        .execute("UPDATE accounts SET free = free + 1 WHERE id = 'sales'", [])
        .unwrap();
    drop(tamper);
    let output = tollgate(folder, &verify);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let line =
        "DIFFERS granted = spent + expired + free + allotments   $0.000001 is not $0.000001001";
    assert!(text.contains(line), "{text}");
    assert!(
        text.ends_with("2 accounts: 1 of them DO NOT BALANCE\n"),
        "{text}"
    );
    assert!(out(folder, &["ledger", "verify", "-a", "default"]).contains("it balances"));
    let output = tollgate(folder, &["ledger", "verify", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &report["balances"]),
        (Some(1), &false.into())
    );

    let (error, code) = complaint(folder, &["ledger", "verify", "-a", "nobody"]);
    assert_eq!(code, Some(2), "{error}");
    std::fs::write(&path, "not a database, whatever its name says").unwrap();
    let (error, code) = complaint(folder, &verify);
    assert!(error.contains("is not a SQLite database"), "{error}");
    assert_eq!(code, Some(2), "{error}");
    std::fs::write(folder.join("tollgate.yaml"), "ledger: { credits: off }").unwrap();
    let (error, code) = complaint(folder, &verify);
    assert!(error.contains("`ledger.credits` is off"), "{error}");
    assert_eq!(code, Some(2), "{error}");
}
