//! `tollgate top`: a live view of a running gateway: its requests, providers, keys and money.
//!
//! [`look`] reads what the admin listener says and compares two readings, [`frame`] makes lines of it, and [`terminal`] shows
//! them. A gateway that is away is said to be, and asked on; the last that was known stays in sight.

mod frame;
mod look;
mod terminal;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tollgate_base::clock;

use super::resources::call::{Client, Gateway};
use super::{ended, failed};
use look::Look;
use terminal::Screen;

/// Rates and percentiles are those of so long, or of the time between two readings, if that is longer.
const WINDOW: Duration = Duration::from_secs(10);

/// How long a reading may take until the gateway counts as away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Width and height where there is no terminal.
const PLAIN: (usize, usize) = (80, usize::MAX);

/// What to look at.
#[derive(Debug, Args)]
pub struct Top {
    /// Without an API key, access keys are not shown.
    #[command(flatten)]
    pub gateway: Gateway,
    /// The account whose access keys are shown; the default is the API key's own, or `default`.
    #[arg(long)]
    pub account: Option<String>,
    /// Seconds between two readings.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// Print what is seen within one interval, and end.
    #[arg(long)]
    pub once: bool,
    /// Print JSON: one object each interval, a line each.
    #[arg(long)]
    pub json: bool,
}

/// Why the gateway is away, and since when.
struct Away {
    since: Instant,
    words: String,
}

/// Shows it until somebody has seen enough.
pub fn run(top: &Top) -> io::Result<ExitCode> {
    let client = match top.gateway.client(PATIENCE, top.account.clone()) {
        Ok(client) => client,
        Err(error) => return failed(error, ExitCode::from(2)),
    };
    let interval = Duration::from_secs(top.interval);
    if top.once {
        return once(&client, interval, top.json);
    }
    if top.json {
        return stream(&client, interval);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let words = "this is no terminal; use --once, or --json";
        return failed(words, ExitCode::from(2));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(live(client, interval));
    // A reading that is under way is waited for by nobody.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

fn once(client: &Client, interval: Duration, json: bool) -> io::Result<ExitCode> {
    let both = Look::take(client).and_then(|first| {
        std::thread::sleep(interval);
        Ok((first, Look::take(client)?))
    });
    let view = match both {
        Ok((first, second)) => look::compare(&first, &second),
        Err(words) => return failed(words, ExitCode::FAILURE),
    };
    let written = if json {
        writeln!(io::stdout(), "{view:#}")
    } else {
        let lines = frame::lines(client.url(), Some(&view), None, PLAIN);
        lines
            .iter()
            .try_for_each(|line| writeln!(io::stdout(), "{}", line.text))
    };
    ended(written, ExitCode::SUCCESS)
}

/// A line of JSON each interval, until it is stopped or nobody reads.
fn stream(client: &Client, interval: Duration) -> io::Result<ExitCode> {
    let mut history = History::default();
    let mut due = clock::now();
    loop {
        let line = match Look::take(client) {
            Ok(look) => history.add(look),
            Err(words) => Some(json!({ "away": words })),
        };
        if let Some(line) = line
            && let Err(error) = writeln!(io::stdout(), "{line}")
        {
            return ended(Err(error), ExitCode::SUCCESS);
        }
        due = (due + interval).max(clock::now());
        std::thread::sleep(due - clock::now());
    }
}

/// The readings of the last [`WINDOW`], and one before.
#[derive(Default)]
struct History(VecDeque<Look>);

impl History {
    /// Returns what is seen with one more; `None` with the first.
    fn add(&mut self, look: Look) -> Option<Value> {
        while self
            .0
            .get(1)
            .is_some_and(|next| look.at - next.at >= WINDOW)
        {
            self.0.pop_front();
        }
        let view = self.0.front().map(|first| look::compare(first, &look));
        self.0.push_back(look);
        view
    }
}

/// Draws, and asks again and again, until a key or a signal ends it.
async fn live(client: Client, interval: Duration) -> io::Result<()> {
    let client = std::sync::Arc::new(client);
    let screen = Screen::enter()?;
    let mut keys = terminal::keys();
    let mut resized = signal(SignalKind::window_change())?;
    let mut signals = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ]
    .map(signal)
    .into_iter()
    .collect::<io::Result<Vec<_>>>()?;
    let (mut history, mut view, mut away) = (History::default(), None, None::<Away>);
    let mut reading: Option<JoinHandle<Result<Look, String>>> = None;
    let mut due = clock::now();
    loop {
        let lines = frame::lines(client.url(), view.as_ref(), away.as_ref(), screen.size());
        screen.draw(&lines)?;
        let ended = futures::future::select_all(signals.iter_mut().map(|one| Box::pin(one.recv())));
        let idle = reading.is_none();
        let done = async {
            match &mut reading {
                Some(reading) => reading.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            key = keys.recv() => match key {
                Some(key) if !terminal::quits(key) => {}
                _ => return Ok(()),
            },
            _ = ended => return Ok(()),
            _ = resized.recv() => {}
            done = done => {
                reading = None;
                due = (due + interval).max(clock::now());
                match done.map_err(|error| error.to_string()).and_then(|look| look) {
                    Ok(look) => {
                        away = None;
                        view = history.add(look).or(view);
                    }
                    Err(words) => {
                        let since = away.map_or_else(clock::now, |away| away.since);
                        away = Some(Away { since, words });
                    }
                }
            }
            () = tokio::time::sleep_until(due.into()), if idle => {
                let client = client.clone();
                reading = Some(tokio::task::spawn_blocking(move || Look::take(&client)));
            }
        }
    }
}
