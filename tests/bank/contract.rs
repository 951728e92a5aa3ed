//! What every bank must do, as tests that know nothing of the bank but its trait.
//!
//! A bank joins by implementing [`Store`] and one line of [`every_bank_holds_to_it`]. Each test gets a store of
//! its own and ends by asking whether the books of all its accounts balance. Times are real, as banks keep their
//! own: leases in these tests are either far away, or end within a second.

pub mod audit;
pub mod concurrency;
pub mod exchanges;
pub mod expiry;
pub mod grants;
pub mod history;
pub mod lives;
pub mod meters;
pub mod reading;
pub mod resources;
pub mod stored;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tollgate_control::store;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{self, Bank, Books, Day, Exchange, Holder, NewGrant, Reply, Rollup};
use tollgate_store::{Database, StoreError};

/// Where a bank keeps its accounts, so that a test can open it again.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// A fresh one, without accounts, that no other test uses.
    async fn fresh() -> Self;

    /// Opens a bank on it; the test has dropped the one before.
    async fn open(&self) -> Opened;

    /// Opens another on it, as another process would beside the one that is open.
    async fn beside(&self) -> Opened {
        self.open().await
    }
}

/// What one database keeps: money, and resources beside it. It is read as its bank.
#[derive(Clone)]
pub struct Opened {
    pub bank: Arc<dyn Bank>,
    pub resources: Arc<dyn resources::Resources>,
}

impl Opened {
    pub fn on(database: &Database) -> Opened {
        Opened {
            bank: bank::on(database),
            resources: store::on(database),
        }
    }
}

impl Deref for Opened {
    type Target = dyn Bank;

    fn deref(&self) -> &Self::Target {
        &*self.bank
    }
}

/// The suite for one bank, as a module of tests: [`one_by_one`], or [`part_by_part`] where a store needs servers.
macro_rules! every_bank_holds_to_it {
    ($how:ident: $bank:ident, $store:ty) => {
        $crate::contract::$how! { $bank, $store,
            grants: once_per_id, bad_amounts_are_refused, kept_as_they_were_made, debt_is_paid_first,
                totals_are_exact, odd_ids;
            exchanges: lends_a_share_or_what_is_needed, spends_the_float_then_what_is_free,
                a_repeat_changes_nothing, an_old_number_changes_nothing, a_gap_is_asked_for,
                an_unmet_need_recalls, close_returns, answers_in_order, holders_are_told_apart, what_cannot_be_counted_is_refused;
            expiry: oldest_first, what_is_lent_expires_when_it_returns, a_lease_ends, a_late_journal_counts_once,
                every_message_renews_the_lease;
            lives: another_history_changes_nothing, a_repeat_of_another_history_is_seen,
                who_has_no_marks_is_taken_as_it_is, what_was_charged_is_said, a_newer_life_is_said,
                a_question_changes_nothing;
            meters: lend_up_to_the_limit, begin_anew_with_their_window, an_unmet_need_recalls,
                close_and_lease_end_return, are_told_apart, concurrent_borrowers_stay_within_the_limit,
                of_tags_are_ranked_and_forgotten;
            stored: rollups_add_up, totals_by_tag_are_bounded, a_repeat_stores_nothing_twice, events_come_back_newest_first,
                events_are_forgotten_by_time, accounts_are_listed, an_unknown_account_is_empty;
            reading: a_day_that_was_read_may_be_added_to, days_are_read_while_they_are_added_to,
                requests_are_found_by_their_ids, a_time_has_all_its_batches;
            concurrency: one_account, many_accounts, one_message_many_times, one_grant_many_times;
            history: same_as_the_reference;
            resources: begin_empty, come_back_as_they_were_written, one_of_two_writers_wins,
                a_repeat_is_applied_once, are_written_together_or_not_at_all, changes_lead_to_what_is_loaded,
                old_deletions_are_forgotten;
            audit: pages_and_forgets, the_latest_use_wins;
        }
    };
}
pub(crate) use every_bank_holds_to_it;

macro_rules! one_by_one {
    ($bank:ident, $store:ty, $($part:ident: $($test:ident),+;)+) => {
        mod $bank {
            $(mod $part {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    $crate::contract::$part::$test(
                        $crate::contract::Case::<$store>::new().await,
                    )
                    .await;
                })+
            })+
        }
    };
}
pub(crate) use one_by_one;

/// A test a part, whose cases run at the same time: servers are started once for all of them.
macro_rules! part_by_part {
    ($bank:ident, $store:ty, $($part:ident: $($test:ident),+;)+) => {
        mod $bank {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $part() {
                let cases = vec![$((
                    stringify!($test),
                    tokio::spawn(async {
                        $crate::contract::$part::$test(
                            $crate::contract::Case::<$store>::new().await,
                        )
                        .await;
                    }),
                )),+];
                $crate::contract::all_hold(cases).await;
            })+
        }
    };
}
pub(crate) use part_by_part;

/// Waits for cases that run; names those that fail, which said why.
pub async fn all_hold(cases: Vec<(&str, JoinHandle<()>)>) {
    let mut failed = Vec::new();
    for (name, case) in cases {
        if case.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "as said above: {failed:?}");
}

/// One test's store and the bank that is open on it.
pub struct Case<S> {
    store: S,
    opened: Option<Opened>,
}

impl<S: Store> Case<S> {
    pub async fn new() -> Self {
        let store = S::fresh().await;
        let opened = Some(store.open().await);
        Case { store, opened }
    }

    /// The bank.
    pub fn bank(&self) -> &Arc<dyn Bank> {
        &self.opened.as_ref().unwrap().bank
    }

    /// The resources beside it.
    pub fn resources(&self) -> Arc<dyn resources::Resources> {
        self.opened.as_ref().unwrap().resources.clone()
    }

    /// Drops the bank and opens it again.
    pub async fn reopen(&mut self) {
        self.opened = None;
        self.opened = Some(self.store.open().await);
    }

    pub async fn tell(&self, message: &Exchange) -> Reply {
        tell(&**self.bank(), message).await
    }

    /// Grants for ever.
    pub async fn grant(&self, account: &str, id: &str, nanos: i64) -> bool {
        let new = new_grant(id, nanos, None);
        self.bank().grant(account, &new).await.unwrap()
    }

    pub async fn books(&self, account: &str) -> Books {
        self.bank().books(account).await.unwrap()
    }

    /// The last word of every test: the books of all accounts balance.
    pub async fn balances(&self) {
        for account in self.bank().accounts().await.unwrap() {
            let books = self.books(&account).await;
            assert_eq!(
                books.faults(),
                Vec::<String>::new(),
                "{account}: {books:#?}"
            );
        }
    }
}

/// One message, which the bank must apply or answer.
pub async fn tell(bank: &dyn Bank, message: &Exchange) -> Reply {
    let mut replies = bank.exchange(std::slice::from_ref(message)).await;
    assert_eq!(replies.len(), 1, "one answer for one message");
    let reply = replies.remove(0).unwrap();
    let off = reply.now.abs_diff(tollgate_base::clock::wall_ms());
    assert!(off < 60_000, "the bank's time, of this machine: {reply:?}");
    // It passes between answers that are equal otherwise.
    Reply { now: 0, ..reply }
}

pub fn new_grant(id: &str, nanos: i64, seconds: Option<u64>) -> NewGrant {
    NewGrant {
        id: id.to_owned(),
        amount: NanoUsd(nanos),
        expires_after: seconds.map(Duration::from_secs),
        note: String::new(),
    }
}

/// Who sends messages about one account, numbered as a till does.
#[derive(Clone)]
pub struct Teller {
    pub account: Arc<str>,
    pub holder: Holder,
    pub number: u64,
    pub lease: Duration,
}

impl Teller {
    pub fn new(account: &str, replica: u64) -> Teller {
        Teller {
            account: account.into(),
            holder: Holder { replica, epoch: 1 },
            number: 0,
            lease: Duration::from_secs(3_600),
        }
    }

    /// A message with the next number that asks for nothing.
    pub fn next(&mut self) -> Exchange {
        self.number += 1;
        Exchange {
            oldest: self.number,
            ..Exchange::empty(self.account.clone(), self.holder, self.number, self.lease)
        }
    }

    /// Asks for exactly this much.
    pub fn borrow(&mut self, nanos: i64) -> Exchange {
        Exchange {
            need: NanoUsd(nanos),
            want: NanoUsd(nanos),
            ..self.next()
        }
    }

    /// Reports this much as spent, with its rollup.
    pub fn spend(&mut self, nanos: i64) -> Exchange {
        spending(self.next(), nanos)
    }

    pub fn give_back(&mut self, nanos: i64) -> Exchange {
        Exchange {
            returned: NanoUsd(nanos),
            ..self.next()
        }
    }

    pub fn close(&mut self) -> Exchange {
        Exchange {
            close: true,
            ..self.next()
        }
    }
}

/// The message, with this much spent and its rollup.
pub fn spending(message: Exchange, nanos: i64) -> Exchange {
    let rollups = if nanos == 0 {
        Vec::new()
    } else {
        vec![rollup(20_000, "model", nanos)]
    };
    Exchange {
        spent: NanoUsd(nanos),
        rollups,
        ..message
    }
}

/// One request's totals.
pub fn rollup(day: u32, model: &str, nanos: i64) -> Rollup {
    Rollup {
        day: Day(day),
        access_key: "app".into(),
        provider: "demo".into(),
        model: model.into(),
        tag: "".into(),
        requests: 1,
        failed: 0,
        orphaned: 0,
        input: 100,
        cached_read: 10,
        cache_write: 5,
        output: 50,
        reasoning: 20,
        cost: NanoUsd(nanos),
    }
}

/// What allotments are there, without the times.
pub fn allotments(books: &Books) -> Vec<(Holder, i64, u64)> {
    let mut allotments: Vec<_> = books
        .allotments
        .iter()
        .map(|allotment| (allotment.holder, allotment.amount.0, allotment.last))
        .collect();
    allotments.sort_unstable();
    allotments
}

/// Books without what depends on when the test ran.
pub fn timeless(mut books: Books) -> Books {
    for grant in &mut books.grants {
        grant.created = 0;
        grant.expires = None;
    }
    for allotment in &mut books.allotments {
        allotment.lease_until = 0;
    }
    books
        .allotments
        .sort_unstable_by_key(|allotment| allotment.holder);
    books
}

pub fn refused(result: Result<bool, StoreError>) -> bool {
    matches!(result, Err(StoreError::Refused(_)))
}
