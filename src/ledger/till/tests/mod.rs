//! The till against the reference bank, step by step, with real journals.

mod cases;
mod copies;
mod desk;
mod forgotten;
mod limits;
mod lives;
mod model;
mod outage;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt;

use super::cache::{Next, Occasion};
use super::history::{Gaps, History};
use super::past::Reported;
use super::*;
use crate::bank::Limit;
use crate::bank::account::Account;
use crate::bank::{Exchange, NewGrant};
use crate::events::{self, Flag};
use crate::journal::{Fsync, Held, Options};
use tollgate_wire::report::Usage;

const RHYTHM: Rhythm = Rhythm {
    flush: Duration::from_millis(500),
    lease: Duration::from_secs(60),
    timeout: Duration::from_secs(1),
};

const ENFORCED: Policy = Policy {
    enforced: true,
    when_away: WhenAway::Deny,
    overdraft: NanoUsd::ZERO,
};

/// A directory in memory if there is one: a model test opens thousands of journals.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(dir) = tempfile::tempdir_in(memory)
    {
        return dir;
    }
    tempfile::tempdir().unwrap()
}

fn open(dir: &Path) -> (Arc<Journal>, Vec<crate::journal::Life>) {
    let options = Options {
        segment_bytes: 64 * 1024,
        fsync: Fsync::Never,
        ..Options::default()
    };
    let (journal, lives) = Journal::open(dir, options).unwrap();
    (Arc::new(journal), lives)
}

fn till(journal: Arc<Journal>, policy: Policy) -> Arc<Till> {
    Arc::new(Till::new(journal, policy, RHYTHM))
}

/// Times that the test passes in.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    ms: u64,
    /// How far the wall clock is off, in ms.
    skew: u64,
    /// Which connection leads to the bank.
    connection: u64,
}

impl Clock {
    fn new() -> Clock {
        Clock {
            start: tollgate_base::clock::now(),
            ms: 1_700_000_000_000,
            skew: 0,
            connection: 1,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms - 1_700_000_000_000)
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.ms + self.skew)
    }
}

struct Request {
    account: Arc<str>,
    key: Arc<str>,
    id: Arc<str>,
    limits: Arc<[Limit]>,
    provider: Arc<str>,
    model: Arc<str>,
}

impl Request {
    fn new(limits: Vec<Limit>) -> Request {
        Request {
            account: "a".into(),
            key: "app".into(),
            id: "req_1".into(),
            limits: limits.into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
        }
    }

    fn ask(&self, estimate: i64) -> Ask<'_> {
        Ask {
            account: &self.account,
            access_key: &self.key,
            request_id: &self.id,
            surface: Surface::ChatCompletions,
            provider: &self.provider,
            model: &self.model,
            estimate: NanoUsd(estimate),
            worst: NanoUsd(estimate),
            prompt_tokens: 10,
            tokens: 20,
            limits: &self.limits,
            named: false,
        }
    }
}

impl Till {
    /// Admission without waiting.
    fn admit_now(self: &Arc<Till>, ask: &Ask<'_>, clock: Clock) -> Result<Hold, Refusal> {
        let cache = self.cache(ask.account);
        let policy = *self.policy.read();
        let taken = cache
            .take(ask, policy, 1, clock.now(), clock.wall())
            .map_err(refusal::Short::refusal)?;
        self.promise(cache, taken, ask, clock.wall())
            .now_or_never()
            .expect("no disk is waited for")
    }

    /// The next message about the account `a`.
    fn outgoing(&self, occasion: Occasion, clock: Clock) -> Option<Exchange> {
        let cache = self.cache("a");
        let borrows = self.policy.read().enforced;
        cache.outgoing(
            occasion,
            borrows,
            Some(clock.connection),
            RHYTHM.lease,
            &self.journal,
            clock.now(),
        )
    }

    fn acknowledge(
        &self,
        answer: Result<super::super::bank::Reply, StoreError>,
        sent: Instant,
    ) -> Next {
        let cache = self.cache("a");
        let next = cache.acknowledge(answer, (sent, sent), RHYTHM.lease, &self.journal);
        if next == Next::Remind {
            let gaps = Gaps::from([("a".to_owned(), cache.gap().unwrap())]);
            let found = self.journal.read(|pages| {
                History::forgotten(self.holder(), pages.records()?, &gaps, RHYTHM.lease)
            });
            cache.repeat(found.unwrap().remove("a"));
        }
        next
    }

    /// What a request does that finds too little: it waits for one exchange.
    fn wait_once(&self, ask: &Ask<'_>, bank: &mut Account, clock: Clock) {
        let cache = self.cache(ask.account);
        let waiting = cache.wait(ask, *self.policy.read(), 0);
        self.exchange(Occasion::Urgent, bank, clock);
        drop(waiting);
    }

    /// One message to the bank and back, if there is anything to say.
    fn exchange(&self, occasion: Occasion, bank: &mut Account, clock: Clock) -> bool {
        let Some(message) = self.outgoing(occasion, clock) else {
            return false;
        };
        let reply = bank.exchange(&message, clock.ms);
        self.acknowledge(Ok(reply), clock.now());
        true
    }
}

impl Hold {
    /// As if the process had died.
    fn forget(mut self) {
        self.settled = true;
    }
}

fn charge(cost: i64) -> UsageEvent<'static> {
    let who = Held {
        request: events::Request {
            account: "a",
            access_key: "app",
            id: "req_1",
            surface: "openai/chat-completions",
        },
        provider: "openai",
        model: "gpt-4o",
    };
    let id = EventId::made_up(1, tollgate_base::random::bits64());
    let mut event = who.event(id, 1_700_000_000_000);
    let attempt = &mut event.attempt;
    attempt.mark(Flag::Managed, true);
    (attempt.status, attempt.cost) = (200, NanoUsd(cost));
    attempt.usage = Usage::tokens(10, 5);
    event
}

fn credit(bank: &mut Account, id: &str, amount: i64, clock: Clock) {
    let grant = NewGrant {
        id: id.to_owned(),
        amount: NanoUsd(amount),
        expires_after: None,
        note: String::new(),
    };
    bank.grant(&grant, clock.ms);
}

/// Reports everything that earlier lives in the directory left to the bank; returns what is lost.
fn recover(dir: &Path, bank: &mut Account, clock: Clock) -> (Arc<Journal>, NanoUsd) {
    let (journal, lives, lost) = recover_and_keep(dir, bank, clock);
    for life in lives {
        life.finish().unwrap();
    }
    (journal, lost)
}

/// The same, and the lives are kept.
fn recover_and_keep(
    dir: &Path,
    bank: &mut Account,
    clock: Clock,
) -> (Arc<Journal>, Vec<crate::journal::Life>, NanoUsd) {
    let (journal, lives) = open(dir);
    let memory = Arc::new(desk::Memory::of(std::mem::take(bank), clock.ms));
    let till = till(journal.clone(), ENFORCED);
    let flusher = Flusher::new(till.clone(), memory.clone(), Arc::new(desk::Nobody));
    for life in &lives {
        let mut reported = Reported::new();
        let told = futures::executor::block_on(flusher.settle(life, &mut reported));
        assert!(told, "the bank refuses nothing");
    }
    *bank = memory.close();
    let lost = till.cache("a").figures().lost;
    (journal, lives, lost)
}

/// Copies a journal's directory as `cp -r` does, while it is in use or not.
fn copied(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                std::fs::create_dir(&to).unwrap();
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let dir = scratch();
    copy(from, dir.path());
    dir
}

impl Till {
    /// A request that gets what it needs, costs `cost`, and is not reported yet.
    fn serve(self: &Arc<Till>, cost: i64, bank: &mut Account, clock: Clock) {
        let request = Request::new(Vec::new());
        let ask = request.ask(10);
        // As many as it takes to learn that another one has the name.
        for _ in 0..5 {
            if let Ok(hold) = self.admit_now(&ask, clock) {
                hold.settle(&[charge(cost)]);
                return;
            }
            self.wait_once(&ask, bank, clock);
        }
        let hold = self.admit_now(&ask, clock).unwrap();
        hold.settle(&[charge(cost)]);
    }

    /// Tells the bank all there is to say, and what it asks for; what is kept in reserve stays lent.
    fn flush(&self, bank: &mut Account, clock: Clock) {
        for _ in 0..10_000 {
            let Some(message) = self.outgoing(Occasion::Flush, clock) else {
                return;
            };
            let reply = bank.exchange(&message, clock.ms);
            let next = self.acknowledge(Ok(reply), clock.now());
            let silent = message.rollups.is_empty() && message.want == NanoUsd::ZERO;
            if silent && next == Next::Rest {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    /// The account's figures.
    fn lost(&self) -> NanoUsd {
        self.cache("a").figures().lost
    }
}

/// The books balance.
fn balanced(bank: &Account, clock: Clock) {
    let books = bank.books(bank.spent, clock.ms);
    assert_eq!(books.faults(), Vec::<String>::new());
}

/// A request that waits for its money, gets it, spends 7 of it, and is reported.
fn spend(till: &Arc<Till>, bank: &mut Account, ask: &Ask<'_>, clock: Clock) {
    let cache = till.cache(ask.account);
    let waiting = cache.wait(ask, ENFORCED, 0);
    till.exchange(Occasion::Urgent, bank, clock);
    drop(waiting);
    till.admit_now(ask, clock).unwrap().settle(&[charge(7)]);
    till.exchange(Occasion::Flush, bank, clock);
}
