//! How long the console's pages and the calls of the API behind them take, when there is much: after a month with millions of
//! usage events, thousands of access keys, and hundreds of accounts, of which one has a tenth of everything.
//!
//! By name only: with all events it writes gigabytes and takes an hour. Invariant: every page is asked for by a session
//! that is signed in, on a connection of its own, in turn with all others, and must answer 200.

mod fill;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tollgate_base::{clock, time};
use tollgate_store::redis::{Address, Redis, RedisSettings, Topology};
use tollgate_store::sqlite::{Options as Sqlite, Synchronous, Worker};
use tollgate_store::{Access, Database};

use self::fill::{Filled, Size};
use crate::lab::{self, Credits, DATABASE, Lab, Proxy};
use crate::measures::as_f64;
use crate::{Options, Outcome, procfs};

/// The name of this measure.
pub const NAME: &str = "console";

/// What a page should take at the median, ms.
const TARGET: f64 = 200.0;
/// Another account than the largest.
const OTHER: &str = "account-7";
/// The API key of whoever looks; it opens nothing but this run's gateway.
const KEY: &str = "tga-bench-g1-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the bank may take for one call while it is filled.
const FILLING: Duration = Duration::from_secs(60);

/// What one page took.
struct Timed {
    name: String,
    /// ms; the first answer finds nothing that others have left.
    first: f64,
    /// ms, all but the first.
    took: Vec<f64>,
    bytes: usize,
}

/// Prints a table of every page on SQLite, and one on Redis.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<()> {
    let size = Size {
        events: options.events(),
        accounts: 500,
        keys: 10_000,
    };
    on_sqlite(lab, options, size).await?;
    on_redis(lab, options, size).await
}

async fn on_sqlite(lab: &Lab, options: &Options, size: Size) -> Outcome<()> {
    let state = lab.state()?;
    let file = state.join(DATABASE);
    let opened = Sqlite {
        access: Access::Gateway,
        timeout: FILLING,
        synchronous: Synchronous::Normal,
    };
    let database = Database::Sqlite(Arc::new(Worker::open(&file, opened)?));
    let filled = fill::fill(&database, size).await?;
    drop(database);
    let bytes = std::fs::metadata(&file)?.len();
    told(
        "SQLite",
        size,
        &filled,
        &format!("{} on disk", megabytes(bytes)),
    );
    let proxy = start(lab, Credits::Sqlite, Some(&state)).await?;
    look(&proxy, options, &filled)?;
    drop(proxy);
    Ok(std::fs::remove_dir_all(state)?)
}

async fn on_redis(lab: &Lab, options: &Options, size: Size) -> Outcome<()> {
    let Some(server) = lab.start_redis().await? else {
        eprintln!("{NAME}: redis-server is not installed: its table is left out");
        return Ok(());
    };
    // A log of what is filled in would be written anew many times.
    server.set("appendonly", "no")?;
    let settings = RedisSettings {
        timeout: FILLING,
        ..RedisSettings::new(Topology::Single(Address::new(
            "127.0.0.1",
            server.address.port(),
        )))
    };
    let database = Database::Redis(Arc::new(Redis::open(&settings)?));
    let filled = fill::fill(&database, size).await?;
    drop(database);
    let memory = format!("{} in memory", megabytes(server.memory()?));
    told("Redis", size, &filled, &memory);
    let proxy = start(lab, Credits::Redis(server.address), None).await?;
    look(&proxy, options, &filled)
}

fn told(bank: &str, size: Size, filled: &Filled, stored: &str) {
    let seconds = filled.took.as_secs();
    println!(
        "\n{NAME} on {bank}: {} events, {} access keys, {} accounts: {stored}, filled in {seconds} s",
        size.events, size.keys, size.accounts
    );
}

async fn start(lab: &Lab, credits: Credits, state: Option<&Path>) -> Outcome<Proxy> {
    let digest = lab::digest(KEY);
    let change = |config: String| {
        config
            .replace(
                r#"listen: "ADMIN""#,
                &format!(r#"listen: "ADMIN", api_keys: [{{ name: bench, sha256: "{digest}" }}]"#),
            )
            .replace("ledger: { ", "ledger: { retention: 400d, ")
    };
    lab.start_changed(credits, state, change).await
}

/// Asks for every page, again and again, each time in the same order, and prints what each took.
fn look(proxy: &Proxy, options: &Options, filled: &Filled) -> Outcome<()> {
    let admin = proxy.admin.ok_or("bare Pingora has no console")?;
    let cookie = sign_in(admin)?;
    let paths = paths(filled);
    let mut pages: Vec<Timed> = Vec::new();
    let before = procfs::cpu_of_threads(proxy.child.pid(), WORKERS)?;
    for round in 0..=options.repetitions() * 4 {
        for (at, (name, path)) in paths.iter().enumerate() {
            let begun = clock::now();
            let bytes = get(admin, path, &cookie)?;
            let took = (clock::now() - begun).as_secs_f64() * 1e3;
            match pages.get_mut(at).filter(|_| round > 0) {
                Some(page) => page.took.push(took),
                None => pages.push(Timed {
                    name: name.clone(),
                    first: took,
                    took: Vec::new(),
                    bytes,
                }),
            }
        }
    }
    let used = procfs::cpu_of_threads(proxy.child.pid(), WORKERS)?.saturating_sub(before);
    let width = paths.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();
    println!(
        "{:width$}  {:>8}  {:>8}  {:>8}  {:>9}",
        "", "median", "p95", "first", "bytes"
    );
    for Timed {
        name,
        first,
        took,
        bytes,
    } in &pages
    {
        let (median, most) = (share(took, 50), share(took, 95));
        let missed = if median > TARGET { "  missed" } else { "" };
        println!("{name:width$}  {median:>8.1}  {most:>8.1}  {first:>8.1}  {bytes:>9}{missed}");
    }
    println!(
        "ms; target: {TARGET} at the median; the proxy's threads used {:.1} ms of CPU meanwhile",
        used.as_secs_f64() * 1e3
    );
    Ok(())
}

/// What the names of the threads that serve requests begin with.
const WORKERS: &str = "proxy";

/// Pages of the largest account, and of all.
const PAGES: [&str; 23] = [
    "/",
    "/?period=day",
    "/?period=month",
    "/?period=year",
    "/console/requests",
    "/console/requests?status=failed",
    "/console/requests?provider=anthropic",
    "/console/usage",
    "/console/usage?by=accessKey",
    "/console/usage?by=model&each=day",
    "/console/credits",
    "/console/books",
    "/console/alerts",
    "/console/fleet",
    "/console/access-keys",
    "/console/configurations",
    "/console/budgets",
    "/console/providers",
    "/console/catalog",
    "/console/playground",
    "/console/accounts",
    "/console/api-keys",
    "/console/audit-log",
];
/// Pages that are asked for about another account, too.
const OF_AN_ACCOUNT: [&str; 5] = [
    "/",
    "/console/requests",
    "/console/usage",
    "/console/credits",
    "/console/access-keys",
];
/// Calls of the API.
const CALLS: [&str; 9] = [
    "/access-keys",
    "/accounts",
    "/audit-log",
    "/credits/balance",
    "/credits/transactions",
    "/ledger/verification?accountId=account-7",
    "/provider-health",
    "/fleet",
    "/metrics",
];

/// What each page is called, and its path.
fn paths(filled: &Filled) -> Vec<(String, String)> {
    let now = clock::wall_ms();
    let date = |days_ago: u64| {
        let (year, month, day) = time::civil(now / 86_400_000 - days_ago);
        format!("{year:04}-{month:02}-{day:02}")
    };
    let (request, at) = &filled.request;
    let key = &filled.key;
    let mut all: Vec<(String, String)> = PAGES
        .iter()
        .map(|path| ((*path).to_owned(), (*path).to_owned()))
        .collect();
    for path in OF_AN_ACCOUNT {
        all.push((
            format!("{path} of another account"),
            format!("{path}?account={OTHER}"),
        ));
    }
    let mut named = |name: &str, path: String| all.push((name.to_owned(), path));
    named(
        "/console/requests of one key",
        format!("/console/requests?key={key}"),
    );
    named(
        "/console/requests of a key that sent none",
        "/console/requests?key=ak_none".to_owned(),
    );
    named(
        "/console/requests until 20 days ago",
        format!("/console/requests?to={}", date(20)),
    );
    named(
        "/console/requests/<id> of 15 days ago",
        format!("/console/requests/{request}?at={at}"),
    );
    named(
        "/console/requests/<id> without its time",
        format!("/console/requests/{request}"),
    );
    named(
        "/console/access-keys/<id>",
        format!("/console/access-keys/{key}"),
    );
    let since = |days| format!("startTime={}T00:00:00Z", date(days));
    named("API /usage", format!("/usage?{}", since(30)));
    named(
        "API /usage/overview, 7 days",
        format!("/usage/overview?{}", since(6)),
    );
    named(
        "API /usage/overview by key, 30 days",
        format!("/usage/overview?groupBy=accessKey&{}", since(29)),
    );
    for path in CALLS {
        named(&format!("API {path}"), path.to_owned());
    }
    all
}

/// The least of them that so many of a hundred do not exceed.
fn share(took: &[f64], percent: usize) -> f64 {
    let mut sorted = took.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent).div_ceil(100).checked_sub(1);
    place.map_or(f64::NAN, |place| sorted[place])
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", as_f64(bytes) / 1e6)
}

/// Signs in, and returns the session's cookie.
fn sign_in(admin: SocketAddr) -> Outcome<String> {
    let form = format!("key={KEY}");
    let request = format!(
        "POST /console/sign-in HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let answer = exchange(admin, &request)?;
    let head = String::from_utf8_lossy(&answer).into_owned();
    let cookie = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_it = name.eq_ignore_ascii_case("set-cookie");
        is_it.then(|| value.split(';').next().unwrap_or_default().to_owned())
    });
    cookie.ok_or_else(|| format!("the sign-in was refused: {head}").into())
}

/// Asks for a page, which must be there, and returns how long its answer is.
fn get(admin: SocketAddr, path: &str, cookie: &str) -> Outcome<usize> {
    let answer = exchange(
        admin,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\nCookie: {cookie}\r\n\r\n"
        ),
    )?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(600)]).into_owned();
        return Err(format!("{path}: {shown}").into());
    }
    Ok(answer.len())
}

/// Waits for the whole answer: nothing else is being asked meanwhile.
fn exchange(admin: SocketAddr, request: &str) -> Outcome<Vec<u8>> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
