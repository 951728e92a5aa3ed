//! What the operator sees of the ledger: this replica's money, its journal, its calls of the bank.

use std::time::Duration;

use super::Metrics;
use super::make::families;
use tollgate_ledger::bank::Books;
use tollgate_ledger::till::Observer;
use tollgate_ledger::{Ledger, NanoUsd};

/// 100 µs to 2.5 s.
const CALL: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

families! {
    /// The ledger's metrics.
    pub(super) struct Money {
        credits: dollars(
            "ledger_credits_usd",
            "Credits of the accounts that this replica serves: `held` by its requests, `unspent` in its floats, `untold` to the bank yet; `free` and lent as `floats` to all replicas, as the bank said last.",
            &["term"],
        );
        books: dollars(
            "ledger_books_usd",
            "The bank's books of the accounts that this replica serves: granted = spent + expired + free + floats. Read every half minute.",
            &["term"],
        );
        unbalanced: gauge(
            "ledger_accounts_unbalanced",
            "Accounts whose books did not balance when they were last read; see `tollgate ledger verify`.",
        );
        holds: gauge("ledger_holds", "Requests in flight whose credits are held.");
        accounts_away: gauge("ledger_accounts_away", "Accounts whose last message the bank did not answer.");
        worst: dollars(
            "ledger_overspend_worst_usd",
            "The most that one answer has cost more than was held for it, since the start.",
            &[],
        );
        lost: dollars(
            "ledger_lost_usd",
            "Charges that the bank had and has forgotten, and no journal has any more, since the start; the log names their accounts.",
            &[],
        );
        journal_bytes: gauge("ledger_journal_bytes", "Bytes in the journal's files.");
        journal_records: gauge(
            "ledger_journal_records",
            "Records of the journal that the bank has not acknowledged yet.",
        );
        journal_segments: gauge("ledger_journal_segments", "Files of the journal.");
        journal_ready: gauge("ledger_journal_ready", "1 if the journal can be written; 0 refuses requests.");
        events_dropped: gauge(
            "ledger_usage_events_dropped",
            "Usage events dropped while the bank was away; their charges and totals were not.",
        );
        refusals: counters(
            "ledger_refusals_total",
            "Requests refused for want of credits, by a limit, or by a ledger that cannot promise any.",
            &["reason"],
        );
        calls: histogram("ledger_bank_call_duration_seconds", "Time of a call of the bank.", CALL);
        messages: counter("ledger_bank_messages_total", "Messages to the bank, one for each account of a call.");
        failures: counter("ledger_bank_failures_total", "Messages that the bank did not answer, or refused.");
    }
}

impl Metrics {
    /// Brings the ledger's gauges up to date.
    pub fn ledger(&self, ledger: &Ledger) {
        let money = &self.money;
        let mut sums = [0.0; 5];
        let (mut holds, mut away, mut dropped) = (0, 0, 0);
        let mut lost = NanoUsd::ZERO;
        for (_, figures) in ledger.till.figures() {
            let terms = [
                figures.held,
                figures.unspent,
                figures.untold,
                figures.free,
                figures.allotments,
            ];
            for (sum, term) in sums.iter_mut().zip(terms) {
                *sum += dollars(term);
            }
            holds += figures.holds;
            away += i64::from(figures.away);
            dropped += figures.events_dropped;
            lost += figures.lost;
        }
        for (term, sum) in ["held", "unspent", "untold", "free", "floats"]
            .into_iter()
            .zip(sums)
        {
            money.credits.with_label_values(&[term]).set(sum);
        }
        money
            .worst
            .with_label_values::<&str>(&[])
            .set(dollars(ledger.till.worst()));
        let gauge = money.lost.with_label_values::<&str>(&[]);
        gauge.set(dollars(lost));
        money.holds.set(whole(holds));
        money.accounts_away.set(away);
        money.events_dropped.set(whole(dropped));
        let lag = ledger.till.journal().lag();
        money.journal_records.set(whole(lag.records));
        money.journal_bytes.set(whole(lag.bytes));
        money.journal_segments.set(whole(lag.segments as u64));
        money
            .journal_ready
            .set(i64::from(ledger.till.journal().ready()));
        for (reason, count) in ledger.refusals() {
            let counter = money.refusals.with_label_values(&[reason]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }
}

impl Observer for Metrics {
    fn read(&self, books: &[Books]) {
        let money = &self.money;
        let terms: [(&str, Term); 6] = [
            ("granted", |books| books.granted),
            ("spent", |books| books.spent),
            ("expired", |books| books.expired),
            ("free", |books| books.free),
            ("floats", Books::lent),
            ("debt", |books| books.debt),
        ];
        for (term, of) in terms {
            let sum = books.iter().map(|books| dollars(of(books))).sum();
            money.books.with_label_values(&[term]).set(sum);
        }
        let wrong = books.iter().filter(|books| !books.faults().is_empty());
        money.unbalanced.set(whole(wrong.count() as u64));
    }

    fn called(&self, messages: usize, failed: usize, took: Duration) {
        let money = &self.money;
        money.calls.observe(took.as_secs_f64());
        money.messages.inc_by(messages as u64);
        money.failures.inc_by(failed as u64);
    }
}

/// One side, or a part of one, of an account's equation.
type Term = fn(&Books) -> NanoUsd;

/// For charts.
#[expect(clippy::cast_precision_loss, reason = "a chart needs no nano-dollars")]
pub(super) fn dollars(amount: NanoUsd) -> f64 {
    amount.0 as f64 / 1e9
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
