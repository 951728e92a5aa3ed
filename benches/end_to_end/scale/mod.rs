//! How cost grows with what there is: access keys, candidates, open streams, accounts, gateways on one Redis, requests that
//! are traced, what is between the gateway and its provider.
//!
//! Invariant: the settings of a table run side by side, are asked the same in short slices, in turn, each time beginning with
//! another, and are compared with the table's first within a repetition. Open streams alone are measured one setting after the
//! other, each with a gateway of its own, as memory that was once used would be used again.
//!
//! These tables take some ten minutes, so they are made by name only: `-- --only scale`, or one of [`NAMES`].

mod side_by_side;
mod streams;

use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tollgate_control::store::{self, Commit, Committed, Write};
use tollgate_store::sqlite::{Options as Sqlite, Synchronous, Worker};
use tollgate_store::{Access, Database};

use crate::child::Child;
use crate::lab::{self, Credits, DATABASE, Kind, Lab, Proxy};
use crate::ledger;
use crate::redis_server::Redis;
use crate::report::{Metric, Row};
use crate::secure;
use crate::{Options, Outcome};

use side_by_side::side_by_side;
use streams::open_streams;

/// All of them.
pub const NAME: &str = "scale";
/// Each, in the order in which they run.
pub const NAMES: [&str; 7] = [
    "keys",
    "candidates",
    "open-streams",
    "accounts",
    "gateways",
    TRACES,
    secure::NAME,
];
const TRACES: &str = "traces";

/// The sides of each table.
pub const SIDES: [&str; 2] = ["the first", "this one"];

/// Connections, as in the measure of 300 B prompts beside bare Pingora.
const CONNECTIONS: usize = 16;
/// One each for the most accounts there are.
const WIDE: usize = 200;
/// Keys that are stored at once.
const AT_ONCE: u64 = 10_000;
/// How long storing so many may take, and a gateway to read a million of them.
const STORING: Duration = Duration::from_secs(30);

/// What one row of a table is about.
struct Setting {
    label: String,
    proxies: Vec<Proxy>,
    /// A provider of its own, and a Redis.
    _provider: Option<Child>,
    redis: Option<Redis>,
    /// What connections ask, in turn.
    requests: Vec<Rc<[u8]>>,
    /// The most CPU a request that it should take beside the first, µs.
    most: Option<f64>,
}

/// A table of this name.
pub async fn measure(name: &str, lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    match name {
        "keys" => {
            let settings = keys(lab).await?;
            let mut rows = ready(&settings);
            rows.extend(side_by_side(name, &settings, CONNECTIONS, options).await?);
            Ok(rows)
        }
        "candidates" => side_by_side(name, &candidates(lab).await?, CONNECTIONS, options).await,
        "open-streams" => open_streams(lab, options).await,
        "accounts" => side_by_side(name, &accounts(lab).await?, WIDE, options).await,
        "gateways" => side_by_side(name, &gateways(lab).await?, CONNECTIONS, options).await,
        secure::NAME => {
            let settings = upstream(lab).await?;
            side_by_side(name, &settings, CONNECTIONS, options).await
        }
        TRACES => {
            let settings = traces(lab).await?;
            let mut rows = side_by_side(name, &settings, CONNECTIONS, options).await?;
            rows.extend(lost(&settings)?);
            Ok(rows)
        }
        _ => Err(format!("no table is called {name:?}; there are {NAMES:?}").into()),
    }
}

/// Keys of the admin API, of which none but the configuration's own is asked with.
async fn keys(lab: &Lab) -> Outcome<Vec<Setting>> {
    let mut settings = Vec::new();
    for count in [1_u64, 10_000, 1_000_000] {
        let state = lab.state()?;
        store_keys(&state.join(DATABASE), count - 1).await?;
        // Reading a million of them is one call of the database.
        let patient =
            |config: String| config.replace("ledger: { ", "ledger: { timeout: 30s, lease: 120s, ");
        let proxy = lab
            .start_changed(Credits::Sqlite, Some(&state), patient)
            .await?;
        settings.push(Setting {
            label: format!("{} access keys", thousands(count)),
            proxies: vec![proxy],
            _provider: None,
            redis: None,
            requests: vec![lab.request(300, None).into()],
            most: None,
        });
    }
    Ok(settings)
}

/// Stores access keys as the admin API would have.
async fn store_keys(file: &Path, count: u64) -> Outcome<()> {
    let options = Sqlite {
        access: Access::Gateway,
        timeout: STORING,
        synchronous: Synchronous::Normal,
    };
    let database = Database::Sqlite(Arc::new(Worker::open(file, options)?));
    let store = store::on(&database);
    let mut revision = store.load().await?.revision;
    for from in (1..=count).step_by(usize::try_from(AT_ONCE)?) {
        let key = |number: u64| Write {
            kind: "access-key".to_owned(),
            id: format!("ak_{number}"),
            body: Some(format!(
                r#"{{"account":"default","name":"Key {number}","createdAt":1700000000000,"updatedAt":1700000000000,"createdBy":"root","lastUpdatedBy":"root","sha256":"{number:064x}","redacted":"tg-ak_{number}-g1-***"}}"#
            )),
        };
        let commit = Commit {
            id: from,
            writes: (from..=count.min(from + AT_ONCE - 1)).map(key).collect(),
            audit: Vec::new(),
        };
        revision = match store.commit(revision, &commit).await? {
            Committed::At(revision) => revision,
            Committed::Behind(other) => {
                return Err(format!("the store is at revision {other}").into());
            }
        };
    }
    Ok(())
}

/// Managed keys of the one provider, each of which is a candidate; the first answers. A plan has 256 at most.
async fn candidates(lab: &Lab) -> Outcome<Vec<Setting>> {
    let mut settings = Vec::new();
    for count in [10, 100, 1_000] {
        let more = |config: String| {
            let mut keys = String::new();
            for number in 1..count {
                let written = write!(
                    keys,
                    r#"{{ id: bench-key-{number}, value: "sk-bench-{number:04}-abcdefghijklmn" }}, "#
                );
                written.expect("a String takes all");
            }
            config.replace("managed_keys: [", &format!("managed_keys: [{keys}"))
        };
        settings.push(Setting {
            label: format!("{} candidates", thousands(count)),
            proxies: vec![lab.start_changed(Credits::Sqlite, None, more).await?],
            _provider: None,
            redis: None,
            requests: vec![lab.request(300, None).into()],
            most: None,
        });
    }
    Ok(settings)
}

/// Accounts whose keys are asked with in turn, so that each has an allotment.
async fn accounts(lab: &Lab) -> Outcome<Vec<Setting>> {
    let token =
        |number: usize| format!("tg-bench-{number}-g1-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
    let mut settings = Vec::new();
    for count in [1, 10, 50, WIDE] {
        let more = |config: String| {
            let (mut accounts, mut keys) = ("accounts:\n".to_owned(), String::new());
            for number in 0..count {
                let digest = lab::digest(&token(number));
                let written = writeln!(
                    accounts,
                    "  - {{ id: account-{number}, grants: [{{ id: bench, usd: 1000000 }}] }}"
                )
                .and_then(|()| {
                    writeln!(
                        keys,
                        r#"  - {{ id: bench-{number}, account: account-{number}, sha256: "{digest}" }}"#
                    )
                });
                written.expect("a String takes all");
            }
            config.replace("accounts:\n", &accounts) + &keys
        };
        let requests = (0..count).map(|number| lab.request_of(&token(number)).into());
        settings.push(Setting {
            label: format!("{count} accounts"),
            proxies: vec![lab.start_changed(Credits::Sqlite, None, more).await?],
            _provider: None,
            redis: None,
            requests: requests.collect(),
            most: None,
        });
    }
    Ok(settings)
}

/// Gateways of one account that share the load, and a Redis.
async fn gateways(lab: &Lab) -> Outcome<Vec<Setting>> {
    let mut settings = Vec::new();
    for count in [1, 2, 4] {
        let Some(redis) = lab.start_redis().await? else {
            return Err("redis-server is not installed".into());
        };
        let mut proxies = Vec::new();
        for _ in 0..count {
            let kind = Kind::Gateway(Credits::Redis(redis.address));
            proxies.push(lab.start(kind).await?);
        }
        settings.push(Setting {
            label: format!("{count} gateways"),
            proxies,
            _provider: None,
            redis: Some(redis),
            requests: vec![lab.request(300, None).into()],
            most: None,
        });
    }
    Ok(settings)
}

/// A gateway without traces, bare Pingora, and gateways that trace a share of requests. The provider is their receiver, too: it
/// takes whatever is posted to it.
async fn traces(lab: &Lab) -> Outcome<Vec<Setting>> {
    let mut settings = Vec::new();
    let tracing = |share: f64| {
        let to = lab.provider();
        format!("telemetry: {{ traces: {{ endpoint: \"http://{to}\", sample: {share} }} }}\n")
    };
    for (label, share, most) in [
        ("nothing traced", None, None),
        ("a tenth traced", Some(0.1), Some(3.0)),
        ("all traced", Some(1.0), None),
    ] {
        let section = share.map(tracing).unwrap_or_default();
        let proxy = lab.start_changed(Credits::Off, None, |config| config + &section);
        settings.push(Setting {
            label: label.to_owned(),
            proxies: vec![proxy.await?],
            _provider: None,
            redis: None,
            requests: vec![lab.request(300, None).into()],
            most,
        });
    }
    settings.push(Setting {
        label: "bare Pingora".to_owned(),
        proxies: vec![lab.start(Kind::Bare).await?],
        _provider: None,
        redis: None,
        requests: vec![lab.request(300, None).into()],
        most: None,
    });
    Ok(settings)
}

/// The ways to a provider.
async fn upstream(lab: &Lab) -> Outcome<Vec<Setting>> {
    let gateways = secure::gateways(lab).await?.into_iter();
    let settings = gateways.map(|(label, proxy, provider)| Setting {
        label: label.to_owned(),
        proxies: vec![proxy],
        _provider: Some(provider),
        redis: None,
        requests: vec![lab.request(300, None).into()],
        most: None,
    });
    Ok(settings.collect())
}

/// What share of their spans was lost: a cost is true where it is small.
fn lost(settings: &[Setting]) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for setting in settings {
        for proxy in setting.proxies.iter().filter(|proxy| proxy.admin.is_some()) {
            let sent = ledger::counted(proxy, "tollgate_trace_spans_sent_total ")?;
            let full = "tollgate_trace_spans_dropped_total{reason=\"queue_full\"} ";
            let lost = ledger::counted(proxy, full)?;
            if sent + lost > 0.0 {
                let label = format!("{}: spans lost", setting.label);
                let mut row = Row::new(Metric::alone(label, "%", Some(1.0)));
                row.pairs.push((0.0, 100.0 * lost / (sent + lost)));
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// How long it took until each first answered.
fn ready(settings: &[Setting]) -> Vec<Row> {
    let taken = |setting: &Setting| {
        let times = setting.proxies.iter().map(|proxy| proxy.ready_after);
        times.max().unwrap_or_default().as_secs_f64() * 1e3
    };
    let first = settings.first().map_or(f64::NAN, taken);
    let row = |setting: &Setting| {
        let label = format!("{}: until the first answer", setting.label);
        let mut row = Row::new(Metric::ratio(label, "ms", None));
        row.pairs.push((first, taken(setting)));
        row
    };
    settings.iter().map(row).collect()
}

/// With a comma before every third digit.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
