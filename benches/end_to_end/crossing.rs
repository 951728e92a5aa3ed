//! What a translated stream costs: the gateway whose provider offers the client's API beside itself with a provider
//! that only offers another one. The same client asks the same; the provider answers on each surface in its own words.
//!
//! Invariant: for each client, every repetition is made of short slices, in each of which all gateways take their turns,
//! each time beginning with another, so drift of the machine falls on all. Comparisons are made within a repetition. An
//! event is a content event of the provider's, whatever it becomes.

use std::rc::Rc;
use std::time::Duration;

use tollgate_wire::Surface;

use crate::lab::{Kind, Lab, Proxy, SURFACES};
use crate::load::{self, Conn, Tally};
use crate::measures::{BURST, SHORT, check_events, hundredth, per};
use crate::procfs::Cpu;
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of this measure.
pub const NAME: &str = "crossing";

/// As in the measure of unpaced streams beside bare Pingora.
const CONNECTIONS: usize = 8;
/// Slices of a repetition: a neighbour of this machine may be busy for seconds, and seldom changes faster.
const SLICES: u32 = 12;

/// One gateway's figures for a repetition.
#[derive(Clone, Copy)]
struct Sample {
    /// CPU time an event, µs.
    total: f64,
    /// Of it outside the kernel.
    user: f64,
    /// Median time to the first event, µs.
    first: f64,
}

/// A gateway while it is measured.
struct Turn<'a> {
    /// What its provider offers.
    offers: Surface,
    proxy: &'a Proxy,
    conns: Vec<Conn>,
    tally: Tally,
    times: Vec<Duration>,
}

/// A client's API, a provider's other one, and the rows of the two.
struct Pair {
    client: Surface,
    provider: Surface,
    rows: Vec<Row>,
}

/// Rows of every client with every provider that offers another API, beside the one that offers its own.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let mut gateways = Vec::new();
    for surface in SURFACES {
        let proxy = lab.start(Kind::Offering(surface)).await?;
        eprintln!(
            "{NAME}: the gateway with a provider of {} is process {}",
            short(surface),
            proxy.child.pid()
        );
        gateways.push((surface, proxy));
    }
    let mut pairs = pairs();
    for repetition in 0..options.repetitions() {
        for client in SURFACES {
            let samples = repeat(lab, options, &gateways, client).await?;
            let find = |offers| samples.iter().find(|sample| sample.0 == offers);
            let Some((_, own)) = find(client) else {
                return Err("the untouched stream was not measured".into());
            };
            let mut line = format!(
                "{NAME} {}/{}: {} client: {:.2} µs an event untouched",
                repetition + 1,
                options.repetitions(),
                short(client),
                own.total,
            );
            for pair in pairs.iter_mut().filter(|pair| pair.client == client) {
                let Some((_, other)) = find(pair.provider) else {
                    continue;
                };
                let compared = [
                    (own.total, other.total),
                    (own.user, other.user),
                    (own.first, other.first),
                ];
                for (row, compared) in pair.rows.iter_mut().zip(compared) {
                    row.pairs.push(compared);
                }
                line += &format!(
                    ", × {:.3} and first {:+.1} µs from {}",
                    other.total / own.total,
                    other.first - own.first,
                    short(pair.provider)
                );
            }
            eprintln!("{line}");
        }
    }
    Ok(pairs.into_iter().flat_map(|pair| pair.rows).collect())
}

/// All gateways with one client.
async fn repeat(
    lab: &Lab,
    options: &Options,
    gateways: &[(Surface, Proxy)],
    client: Surface,
) -> Outcome<Vec<(Surface, Sample)>> {
    let burst: Rc<[u8]> = lab.request_on(client, BURST).into();
    let brief = lab.request_on(client, SHORT);
    // There are nine of them, and only ratios matter.
    let window = options.window() / SLICES / 2;
    let mut turns = Vec::new();
    for (offers, proxy) in gateways {
        let mut conns = Conn::open_warm(proxy.address, CONNECTIONS, &burst).await?;
        load::closed_loop(&mut conns, &burst, window).await?;
        turns.push(Turn {
            offers: *offers,
            proxy,
            conns,
            tally: Tally::default(),
            times: Vec::new(),
        });
    }
    let mut before = Vec::new();
    for turn in &turns {
        before.push((turn.offers, Cpu::read(turn.proxy.child.pid())?));
    }
    for _ in 0..SLICES {
        for turn in &mut turns {
            let more = load::closed_loop(&mut turn.conns, &burst, window).await?;
            turn.tally.answers += more.answers;
            turn.tally.events += more.events;
        }
        turns.rotate_left(1);
    }
    let mut used = Vec::new();
    for (offers, before) in before {
        let turn = turns.iter().find(|turn| turn.offers == offers);
        let turn = turn.ok_or("a gateway was lost")?;
        let now = Cpu::read(turn.proxy.child.pid())?;
        used.push((offers, now.since(&before)));
    }
    for _ in 0..SLICES {
        for turn in &mut turns {
            let conn = turn.conns.first_mut().ok_or("no connection is open")?;
            let more = load::first_events(conn, &brief, window / 2).await?;
            turn.times.extend(more);
        }
        turns.rotate_left(1);
    }
    let mut samples = Vec::new();
    for turn in &mut turns {
        let Tally {
            answers, events, ..
        } = turn.tally;
        check_events(events, answers, BURST)?;
        let used = used.iter().find(|used| used.0 == turn.offers);
        let (_, used) = used.ok_or("a gateway was lost")?;
        turn.times.sort_unstable();
        let sample = Sample {
            total: per(used.total, answers * BURST.count),
            user: per(used.user, answers * BURST.count),
            first: hundredth(&turn.times, 50),
        };
        samples.push((turn.offers, sample));
    }
    Ok(samples)
}

fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for client in SURFACES {
        for provider in SURFACES.into_iter().filter(|provider| *provider != client) {
            let name = format!("{} client, {} provider", short(client), short(provider));
            let rows = [
                Metric::ratio(format!("{name}: CPU per event"), "µs", Some(2.5)),
                Metric::ratio(format!("{name}: of it outside the kernel"), "µs", None),
                Metric::difference(format!("{name}: first event, median"), "µs", Some(100.0)),
            ];
            pairs.push(Pair {
                client,
                provider,
                rows: rows.map(Row::new).into(),
            });
        }
    }
    pairs
}

/// A surface's name without its dialect's.
fn short(surface: Surface) -> &'static str {
    match surface {
        Surface::ChatCompletions => "chat",
        Surface::Messages => "messages",
        Surface::Responses => "responses",
        other => other.name(),
    }
}
