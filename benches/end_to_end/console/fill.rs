//! What a gateway has after a month: accounts, access keys, charges with their events and daily totals, an audit log.
//!
//! Invariant: all of it is written by the writers of the product itself, in the order of time, as replicas of a fleet would
//! have; two runs write the same.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tollgate_base::clock;
use tollgate_control::store::{self, Commit, Committed, Write};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{self, Bank, Day, Exchange, Holder, NewGrant, Rollup};
use tollgate_ledger::cost::Sheet;
use tollgate_ledger::events::{
    Attempt, Event, EventId, Flag, Flags, Latency, Named, OwnedEvent, Request, stored,
};
use tollgate_store::Database;
use tollgate_wire::report::{Context, Unit, Usage};

use super::NAME;
use crate::Outcome;

/// How much there is.
#[derive(Clone, Copy)]
pub struct Size {
    /// Usage events, about.
    pub events: u64,
    /// Accounts, the largest included.
    pub accounts: u64,
    /// Access keys; a tenth of them, and of the events, are the largest account's.
    pub keys: u64,
}

/// What pages name.
pub struct Filled {
    /// An access key of the largest account.
    pub key: String,
    /// A request of the largest account in the middle of the month, and when it ended.
    pub request: (String, String),
    /// How long it took.
    pub took: Duration,
}

/// Who has a tenth of everything.
pub const LARGEST: &str = tollgate_control::DEFAULT_ACCOUNT;
/// How long there have been requests.
const DAYS: u64 = 30;
const DAY_MS: u64 = 86_400_000;
/// Most events of a batch, which is what an account used within half a second: 8 at the mean.
const MOST: u64 = 15;
/// Accounts that are told of with one call, the largest always among them.
const AT_ONCE: u64 = 10;
/// Replicas that tell at the same time.
const REPLICAS: u64 = 4;
/// How often it is said how far filling is.
const STEPS: u64 = 10;
/// Documents that are stored at once.
const DOCUMENTS: usize = 5_000;

const MODELS: [(&str, &str); 8] = [
    ("bench", "bench-model"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-haiku-4-5-20251001"),
    ("mistral", "mistral-large-latest"),
    ("deepseek", "deepseek-chat"),
    ("groq", "llama-3.3-70b-versatile"),
];

/// Fills an empty database.
pub async fn fill(database: &Database, size: Size) -> Outcome<Filled> {
    let begun = clock::now();
    resources(database, size).await?;
    let bank = bank::on(database);
    for number in 0..size.accounts {
        let grant = NewGrant {
            id: "bench".to_owned(),
            amount: NanoUsd::MOST,
            expires_after: None,
            note: String::new(),
        };
        bank.grant(&account(number), &grant).await?;
    }
    let told = Cell::new(0);
    let replicas = (0..REPLICAS).map(|replica| Replica::new(replica, size).run(&*bank, &told));
    let seen = try_join_all(replicas).await?;
    let request = seen.into_iter().flatten().next();
    Ok(Filled {
        key: key(0, 1),
        request: request.ok_or("there is no request in the middle of the month")?,
        took: clock::now() - begun,
    })
}

fn account(number: u64) -> String {
    match number {
        0 => LARGEST.to_owned(),
        _ => format!("account-{number}"),
    }
}

fn key(account: u64, number: u64) -> String {
    format!("ak_{account}_{number}")
}

impl Size {
    /// How many access keys an account has.
    fn keys_of(self, account: u64) -> u64 {
        match account {
            0 => self.keys / 10,
            _ => (self.keys - self.keys / 10) / (self.accounts - 1),
        }
        .max(1)
    }
}

/// Stores accounts and keys as the admin API would have, and what it keeps of that.
async fn resources(database: &Database, size: Size) -> Outcome<()> {
    let mut all = Vec::new();
    for of in 0..size.accounts {
        let account = account(of);
        // The configuration declares the largest.
        if of > 0 {
            all.push(document("account", &account, &account, ""));
        }
        for number in 0..size.keys_of(of) {
            let (id, digest) = (key(of, number), of << 32 | number);
            let own = format!(r#","sha256":"{digest:064x}","redacted":"tg-{id}-g1-***""#);
            all.push(document("access-key", &account, &id, &own));
        }
    }
    let store = store::on(database);
    let mut revision = store.load().await?.revision;
    for (number, some) in all.chunks(DOCUMENTS).enumerate() {
        let commit = Commit {
            id: u64::try_from(number)? + 1,
            writes: some.iter().map(|(write, _)| write.clone()).collect(),
            audit: some.iter().map(|(_, audit)| audit.clone()).collect(),
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

/// A resource, and what the audit log says of its making.
fn document(kind: &str, account: &str, id: &str, own: &str) -> (Write, String) {
    let body = format!(
        r#"{{"account":"{account}","name":"Name of {id}","createdAt":1700000000000,"updatedAt":1700000000000,"createdBy":"root","lastUpdatedBy":"root"{own}}}"#
    );
    let audit = format!(
        r#"{{"actor":{{"id":"root"}},"action":"create","kind":"{kind}","id":"{id}","account":"{account}","before":null,"after":{{"account":"{account}","name":"Name of {id}"}}}}"#
    );
    let write = Write {
        kind: kind.to_owned(),
        id: id.to_owned(),
        body: Some(body),
    };
    (write, audit)
}

/// One that serves a part of all requests.
struct Replica {
    size: Size,
    number: u64,
    random: Random,
    /// The last message about each account.
    messages: Vec<u64>,
    events: u64,
    sheet: Arc<Sheet>,
    /// A request in the middle of the month.
    seen: Option<(String, String)>,
}

impl Replica {
    fn new(number: u64, size: Size) -> Replica {
        let sheet = Sheet {
            source: "catalog".into(),
            since: 0,
            served: Context::STANDARD,
            fee: 50_000,
            rates: vec![
                (Unit::Input, 3_000_000),
                (Unit::CachedRead, 300_000),
                (Unit::Output, 15_000_000),
            ],
        };
        Replica {
            size,
            number,
            random: Random(number),
            messages: vec![0; usize::try_from(size.accounts).unwrap_or_default()],
            events: 0,
            sheet: Arc::new(sheet),
            seen: None,
        }
    }

    /// Tells of its part of the month, call by call; returns a request in the middle of it.
    /// `told`: how many calls all replicas have made.
    async fn run(mut self, bank: &dyn Bank, told: &Cell<u64>) -> Outcome<Option<(String, String)>> {
        let calls = (self.size.events / REPLICAS / AT_ONCE / MOST.div_ceil(2)).max(1);
        let begun = clock::now();
        let (end, length) = (clock::wall_ms() - 1_000, DAYS * DAY_MS);
        let others = self.size.accounts - 1;
        for call in 0..calls {
            let at_ms = end - length + length / calls * (call + 1);
            let mut messages = vec![self.message(0, at_ms)];
            for other in 0..(AT_ONCE - 1).min(others) {
                let turn = (call * REPLICAS + self.number) * (AT_ONCE - 1) + other;
                messages.push(self.message(1 + turn % others, at_ms));
            }
            if self.seen.is_none() && call >= calls / 2 {
                let first = messages.first().and_then(|message| message.events.as_ref());
                let told = first.map(stored::decode).transpose()?.unwrap_or_default();
                self.seen = told.first().map(|event| {
                    let time = Duration::from_millis(event.at_ms);
                    let time = tollgate_base::Timestamp(std::time::UNIX_EPOCH + time);
                    (event.request.id.to_owned(), time.to_string())
                });
            }
            for (reply, message) in bank.exchange(&messages).await.into_iter().zip(&messages) {
                if reply?.last != message.number {
                    return Err("a message was not applied".into());
                }
            }
            told.set(told.get() + 1);
            let (done, all) = (told.get(), calls * REPLICAS);
            if done * STEPS / all > (done - 1) * STEPS / all {
                let seconds = (clock::now() - begun).as_secs();
                eprintln!("{NAME}: {} % filled in after {seconds} s", done * 100 / all);
            }
        }
        Ok(self.seen)
    }

    /// What an account used at a time.
    fn message(&mut self, of: u64, at_ms: u64) -> Exchange {
        let owner: Arc<str> = account(of).into();
        let mut writer = stored::Writer::default();
        let mut rollups: Vec<Rollup> = Vec::new();
        for _ in 0..=self.random.below(MOST) {
            let ended_ms = at_ms - self.random.below(500);
            let event = self.event(of, &owner, ended_ms);
            writer.push(&event.borrowed());
            add(&mut rollups, &event);
        }
        let place = usize::try_from(of).unwrap_or_default();
        self.messages[place] += 1;
        Exchange {
            spent: rollups.iter().map(|rollup| rollup.cost).sum(),
            rollups,
            events: writer.finish(),
            ..Exchange::empty(
                owner,
                Holder {
                    replica: self.number + 1,
                    epoch: 1,
                },
                self.messages[place],
                Duration::from_secs(60),
            )
        }
    }

    fn event(&mut self, of: u64, owner: &Arc<str>, at_ms: u64) -> OwnedEvent {
        self.events += 1;
        let key_of = self.random.below(self.size.keys_of(of));
        // A key is of an application, which asks for a few models.
        let model = (key_of + self.random.below(3)) % u64::try_from(MODELS.len()).unwrap_or(1);
        let (provider, model) = MODELS[usize::try_from(model).unwrap_or_default()];
        let failed = self.random.below(50) == 0;
        let input = 200 + self.random.below(4_000);
        let output = 20 + self.random.below(800);
        let named = |name: &str| Named {
            id: name.into(),
            name: name.into(),
        };
        let (high, low) = (self.random.next(), self.random.next());
        Event {
            at_ms,
            request: Request {
                account: owner.clone(),
                access_key: key(of, key_of).into(),
                id: format!("req_{high:016x}{low:016x}").into(),
                surface: "openai/chat-completions".into(),
            },
            provider_request_id: format!("chatcmpl-{low:016x}{high:013x}").into(),
            attempt: Attempt {
                id: EventId::made_up(self.number + 1, self.events),
                provider: named(provider),
                model: named(model),
                key: named("bench-key"),
                number: 1,
                flags: Flags::default()
                    .with(Flag::Final, true)
                    .with(Flag::Error, failed)
                    .with(Flag::Streaming, true)
                    .with(Flag::Managed, true),
                status: if failed { 503 } else { 200 },
                outcome: if failed { "status_5xx" } else { "ok" }.into(),
                stop_reason: "stop".into(),
                usage: Usage::of(input, input / 2, 0, output, 0),
                cost: NanoUsd(i64::try_from(input * 3 + output * 15).unwrap_or_default() * 1_000),
                sheet: Some(self.sheet.clone()),
                latency: Latency {
                    to_commit_ms: Some(200 + self.random.below(800)),
                    total_ms: 1_000 + self.random.below(9_000),
                },
                ..Attempt::default()
            },
        }
    }
}

/// Adds a final event to the totals of its message.
fn add(rollups: &mut Vec<Rollup>, event: &OwnedEvent) {
    let attempt = &event.attempt;
    let day = Day(u32::try_from(event.at_ms / DAY_MS).unwrap_or(u32::MAX));
    let same = |row: &Rollup| {
        row.day == day
            && row.access_key == event.request.access_key
            && row.provider == attempt.provider.id
            && row.model == attempt.model.id
    };
    let place = rollups.iter().position(same).unwrap_or_else(|| {
        rollups.push(Rollup {
            day,
            access_key: event.request.access_key.clone(),
            provider: attempt.provider.id.clone(),
            model: attempt.model.id.clone(),
            ..Rollup::default()
        });
        rollups.len() - 1
    });
    let row = &mut rollups[place];
    row.requests += 1;
    row.failed += u64::from(attempt.is(Flag::Error));
    row.input += attempt.usage.input();
    row.cached_read += attempt.usage.cached_read();
    row.output += attempt.usage.output();
    row.cost += attempt.cost;
}

/// SplitMix64: the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
