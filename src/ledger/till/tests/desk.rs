//! The till with its flusher at work, and a bank that does as the test says.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;
use crate::bank::{Books, Measure, Meter, Per, Reply};

/// The reference bank, in memory.
#[derive(Default)]
pub(super) struct Memory {
    accounts: Mutex<HashMap<String, Account>>,
    calls: AtomicUsize,
    /// Panics as often as this.
    panics: AtomicUsize,
    /// Refuses everything.
    refuses: bool,
    /// What time it is (Unix time, ms); 0: the time.
    at_ms: u64,
}

impl Memory {
    /// With one account, `a`, at a moment that does not pass.
    pub(super) fn of(account: Account, at_ms: u64) -> Memory {
        Memory {
            accounts: Mutex::new(HashMap::from([("a".to_owned(), account)])),
            at_ms,
            ..Memory::default()
        }
    }

    /// That account.
    pub(super) fn close(&self) -> Account {
        self.accounts.lock().remove("a").unwrap_or_default()
    }

    fn now(&self) -> u64 {
        match self.at_ms {
            0 => tollgate_base::clock::wall_ms(),
            now => now,
        }
    }
}

#[async_trait]
impl CreditStore for Memory {
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let left = self.panics.load(Ordering::Relaxed);
        if left > 0 {
            self.panics.store(left - 1, Ordering::Relaxed);
            panic!("a fault of the bank's");
        }
        let mut accounts = self.accounts.lock();
        let apply = |message: &Exchange| {
            if self.refuses {
                return Err(StoreError::Refused("no".to_owned()));
            }
            let account = accounts.entry(message.account.to_string()).or_default();
            Ok(account.exchange(message, self.now()))
        };
        messages.iter().map(apply).collect()
    }

    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, StoreError> {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(account.to_owned()).or_default();
        Ok(account.grant(grant, self.now()))
    }

    async fn books(&self, _: &str) -> Result<Books, StoreError> {
        Ok(Books::default())
    }
}

pub(super) struct Nobody;

impl Observer for Nobody {
    fn called(&self, _: usize, _: usize, _: Duration) {}

    fn read(&self, _: &[crate::bank::Books]) {}
}

struct Desk {
    _dir: tempfile::TempDir,
    till: Arc<Till>,
    bank: Arc<Memory>,
    stop: watch::Sender<bool>,
    work: tokio::task::JoinHandle<()>,
}

impl Desk {
    /// Flushes so rarely that every call is one that a request asked for.
    fn open(bank: Memory) -> Desk {
        let dir = scratch();
        let rhythm = Rhythm {
            flush: Duration::from_secs(20),
            ..RHYTHM
        };
        let till = Arc::new(Till::new(open(dir.path()).0, ENFORCED, rhythm));
        let bank = Arc::new(bank);
        let flusher = Arc::new(Flusher::new(till.clone(), bank.clone(), Arc::new(Nobody)));
        let (stop, stopping) = watch::channel(false);
        let work = tokio::spawn(flusher.run(stopping));
        Desk {
            _dir: dir,
            till,
            bank,
            stop,
            work,
        }
    }

    async fn credit(&self, amount: i64) {
        let grant = NewGrant {
            id: "g".to_owned(),
            amount: NanoUsd(amount),
            expires_after: None,
            note: String::new(),
        };
        self.bank.grant("a", &grant).await.unwrap();
    }

    async fn admit(&self, ask: &Ask<'_>) -> Result<Hold, Refusal> {
        self.till.admit(ask, tollgate_base::clock::now()).await
    }

    /// How many calls this takes.
    async fn calls<T>(&self, of: impl Future<Output = T>) -> (usize, T) {
        let before = self.bank.calls.load(Ordering::Relaxed);
        let done = of.await;
        (self.bank.calls.load(Ordering::Relaxed) - before, done)
    }

    async fn close(self) -> Account {
        self.stop.send_replace(true);
        self.work.await.unwrap();
        self.bank.close()
    }
}

#[tokio::test]
async fn a_refusal_asks_the_bank_once_at_most() {
    let desk = Desk::open(Memory::default());
    desk.credit(100).await;
    let meter = Meter {
        subject: "key:app".into(),
        measure: Measure::budget(Per::Total),
    };
    let (free, limited) = (
        Request::new(Vec::new()),
        Request::new(vec![Limit::new(meter, 60)]),
    );
    let hold = desk.admit(&limited.ask(50)).await.ok().unwrap();
    hold.settle(&[charge(50)]);
    let (calls, refused) = desk.calls(desk.admit(&free.ask(90))).await;
    assert!(matches!(refused, Err(Refusal::OutOfCredits { .. })));
    assert_eq!(calls, 1, "after its answer nothing else can help");
    let (calls, refused) = desk.calls(desk.admit(&limited.ask(20))).await;
    assert!(matches!(refused, Err(Refusal::Limit { left: 10, .. })));
    assert_eq!(calls, 0, "what is used stays used");
    let (calls, admitted) = desk.calls(desk.admit(&limited.ask(10))).await;
    assert!(admitted.is_ok() && calls <= 1, "{calls}");
    admitted.ok().unwrap().settle(&[charge(10)]);
    assert_eq!(desk.close().await.spent, NanoUsd(60));
}

/// A call that panicked left its accounts waiting for an answer for ever: nothing was reported or borrowed any more.
#[tokio::test]
async fn a_call_that_breaks_off_is_repeated() {
    let desk = Desk::open(Memory {
        panics: AtomicUsize::new(1),
        ..Memory::default()
    });
    desk.credit(100).await;
    let request = Request::new(Vec::new());
    let refused = desk.admit(&request.ask(10)).await;
    assert_eq!(refused.err(), Some(Refusal::BankAway), "and at once");
    desk.till.urge(desk.till.cache(&request.account));
    while desk.till.cache(&request.account).is_away() {
        tokio::task::yield_now().await;
    }
    desk.admit(&request.ask(10))
        .await
        .ok()
        .unwrap()
        .settle(&[charge(4)]);
    let account = desk.close().await;
    assert_eq!((account.spent, account.free), (NanoUsd(4), NanoUsd(96)));
}

/// What the bank refused was forgotten with its journal.
#[tokio::test]
async fn a_journal_is_kept_if_the_bank_refuses_what_it_tells() {
    let bank = Arc::new(Memory {
        refuses: true,
        ..Memory::default()
    });
    let rhythm = Rhythm {
        lease: Duration::from_millis(300),
        ..RHYTHM
    };
    let (dir, old) = (scratch(), scratch());
    let desk = Arc::new(Till::new(open(dir.path()).0, ENFORCED, rhythm));
    let flusher = Flusher::new(desk, bank, Arc::new(Nobody));
    {
        let till = till(
            open(old.path()).0,
            Policy {
                enforced: false,
                ..ENFORCED
            },
        );
        let hold = till.admit_now(&Request::new(Vec::new()).ask(10), Clock::new());
        hold.unwrap().settle(&[charge(4)]);
    }
    let (journal, lives) = open(old.path());
    flusher.settle_past(lives).await;
    drop(journal);
    let (_journal, lives) = open(old.path());
    assert_eq!(lives.len(), 1, "it is still there");
}

/// A bank that forgets what was reported of a life that has ended, within a lease.
#[tokio::test]
async fn what_a_life_left_is_told_again_a_lease_later() {
    let dir = scratch();
    let earlier = till(open(dir.path()).0, ENFORCED);
    earlier.charge(&charge(4));
    drop(earlier);
    let (journal, lives) = open(dir.path());
    let rhythm = Rhythm {
        lease: Duration::from_millis(300),
        ..RHYTHM
    };
    let till = Arc::new(Till::new(journal, ENFORCED, rhythm));
    let bank = Arc::new(Memory::default());
    let flusher = Flusher::new(till, bank.clone(), Arc::new(Nobody));
    let past = flusher.settle_past(lives);
    let forget = async {
        while bank.accounts.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(bank.close().spent, NanoUsd(4));
    };
    tokio::join!(past, forget);
    assert_eq!(bank.close().spent, NanoUsd(4), "once more");
    drop(flusher);
    assert!(open(dir.path()).1.is_empty(), "and then it is deleted");
}
