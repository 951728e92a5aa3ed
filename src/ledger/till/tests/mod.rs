//! The till against the reference bank, step by step, with real journals.

mod cases;
mod desk;
mod model;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::drawer::Occasion;
use super::recover::Past;
use super::*;
use crate::bank::Limit;
use crate::bank::account::Account;
use crate::bank::{Exchange, NewGrant};
use crate::journal::{Fsync, Options};
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
        least_epoch: 0,
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
}

impl Clock {
    fn new() -> Clock {
        Clock {
            start: tollgate_base::clock::now(),
            ms: 1_700_000_000_000,
            skew: 0,
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
        }
    }
}

impl Till {
    /// Admission without waiting.
    fn admit_now(self: &Arc<Till>, ask: &Ask<'_>, clock: Clock) -> Result<Hold, Refusal> {
        let drawer = self.drawer(ask.account);
        let policy = *self.policy.read();
        let taken = drawer
            .take(ask, policy, clock.now(), clock.wall())
            .map_err(refusal::Short::refusal)?;
        self.promise(drawer, taken, ask, clock.wall())
    }

    /// The next message about the account `a`.
    fn letter(&self, occasion: Occasion, clock: Clock) -> Option<Exchange> {
        let drawer = self.drawer(&"a".into());
        let borrows = self.policy.read().enforced;
        drawer.letter(
            occasion,
            borrows,
            self.holder(),
            RHYTHM.lease,
            &self.journal,
            clock.now(),
        )
    }

    fn acknowledge(
        &self,
        answer: Result<super::super::bank::Reply, StoreError>,
        sent: Instant,
    ) -> bool {
        let drawer = self.drawer(&"a".into());
        drawer.acknowledge(answer, sent, RHYTHM.lease, &self.journal)
    }

    /// What a request does that finds too little: it waits for one exchange.
    fn wait_once(&self, ask: &Ask<'_>, bank: &mut Account, clock: Clock) {
        let drawer = self.drawer(ask.account);
        let waiting = drawer.wait(ask, *self.policy.read(), 0);
        self.exchange(Occasion::Urgent, bank, clock);
        drop(waiting);
    }

    /// One message to the bank and back, if there is anything to say.
    fn exchange(&self, occasion: Occasion, bank: &mut Account, clock: Clock) -> bool {
        let Some(message) = self.letter(occasion, clock) else {
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

fn charge(cost: i64) -> UsageEvent {
    let who = recovered::Held {
        account: "a".into(),
        access_key: "app".into(),
        request_id: "req_1".into(),
        surface: Surface::ChatCompletions,
        provider: "openai".into(),
        model: "gpt-4o".into(),
    };
    UsageEvent {
        status_code: 200,
        tokens: Usage::tokens(10, 5),
        total_cost: cost,
        key_source: crate::KeyKind::Managed,
        ..who.event(EventId::made_up(1, 1), 1_700_000_000_000)
    }
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

/// Everything that earlier lives in the directory left, told to the bank.
fn recover(dir: &Path, bank: &mut Account, clock: Clock) -> Arc<Journal> {
    let (journal, lives) = open(dir);
    for life in lives {
        let holder = life.holder();
        let past = Past::read(&life).unwrap();
        for message in past.messages(holder, RHYTHM.lease).into_iter().flatten() {
            let reply = bank.exchange(&message, clock.ms);
            assert!(reply.last >= message.number, "applied, now or before");
        }
        life.finish().unwrap();
    }
    journal
}
