//! Daily totals, as the API reads them: a large account has tens of thousands of them a month, of which all but the last
//! days' stay what they are, unless a journal comes late.
//!
//! Invariant: what is kept is what a bank told ten minutes ago at most; today's and yesterday's totals are always read anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

use tollgate_base::clock;
use tollgate_ledger::bank::{Bank, Day, Rollup};
use tollgate_store::StoreError;

const DAY_MS: u64 = 86_400_000;
/// How long days that are over are not read anew.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// Most totals that are kept: some 25 MB.
const MOST: usize = 100_000;

/// Daily totals of days that are over, of the accounts that were asked for last.
#[derive(Default)]
pub(crate) struct Daily {
    kept: Mutex<Vec<Kept>>,
    /// Held while they are read, so that whoever asks for the same meanwhile finds them.
    reading: Turn<()>,
}

/// All totals of an account from one day to another, both included.
#[derive(Clone)]
struct Kept {
    account: Arc<str>,
    from: Day,
    to: Day,
    until: Instant,
    rows: Arc<[Rollup]>,
}

/// Daily totals of an account.
pub(crate) struct Totals {
    days: (Day, Day),
    over: Option<Arc<[Rollup]>>,
    last: Vec<Rollup>,
}

impl Totals {
    /// Returns each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rollup> {
        let (from, to) = self.days;
        let over = self.over.iter().flat_map(|rows| rows.iter());
        over.filter(move |row| (from..=to).contains(&row.day))
            .chain(&self.last)
    }
}

impl Daily {
    /// Reads those of an account from one day to another, both included.
    ///
    /// # Errors
    /// Those of [`Bank::rollups`].
    pub(crate) async fn read(
        &self,
        bank: &dyn Bank,
        account: &str,
        days: (Day, Day),
    ) -> Result<Totals, StoreError> {
        let today = Day(u32::try_from(clock::wall_ms() / DAY_MS).unwrap_or(u32::MAX));
        self.read_at(bank, account, days, (clock::now(), today))
            .await
    }

    async fn read_at(
        &self,
        bank: &dyn Bank,
        account: &str,
        (from, to): (Day, Day),
        (now, today): (Instant, Day),
    ) -> Result<Totals, StoreError> {
        let yesterday = today.0.saturating_sub(1);
        let over = match yesterday.checked_sub(1).map(|day| to.min(Day(day))) {
            Some(end) if from <= end => Some(self.over(bank, account, (from, end), now).await?),
            _ => None,
        };
        let begin = from.max(Day(yesterday));
        let last = match begin <= to {
            true => bank.rollups(account, begin, to).await?,
            false => Vec::new(),
        };
        Ok(Totals {
            days: (from, to),
            over,
            last,
        })
    }

    async fn over(
        &self,
        bank: &dyn Bank,
        account: &str,
        (from, to): (Day, Day),
        now: Instant,
    ) -> Result<Arc<[Rollup]>, StoreError> {
        let known = || {
            let kept = self.kept.lock();
            let fits = |one: &&Kept| {
                *one.account == *account && one.from <= from && to <= one.to && now < one.until
            };
            kept.iter().find(fits).map(|one| one.rows.clone())
        };
        if let Some(rows) = known() {
            return Ok(rows);
        }
        let _turn = self.reading.lock().await;
        if let Some(rows) = known() {
            return Ok(rows);
        }
        let rows: Arc<[Rollup]> = bank.rollups(account, from, to).await?.into();
        let new = Kept {
            account: account.into(),
            from,
            to,
            until: now + KEPT,
            rows: rows.clone(),
        };
        self.keep(new, now);
        Ok(rows)
    }

    /// Keeps them instead of what is too old or part of them, and of the oldest if they are too many.
    fn keep(&self, new: Kept, now: Instant) {
        let mut kept = self.kept.lock();
        kept.retain(|one| {
            let within = one.account == new.account && new.from <= one.from && one.to <= new.to;
            now < one.until && !within
        });
        kept.push(new);
        let mut all: usize = kept.iter().map(|one| one.rows.len()).sum();
        while all > MOST {
            all -= kept.remove(0).rows.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_ledger::NanoUsd;
    use tollgate_ledger::bank::sqlite::SqliteBank;
    use tollgate_ledger::bank::{CreditStore as _, Exchange, Holder};
    use tollgate_store::Access;
    use tollgate_store::sqlite::{Options, Synchronous, Worker};

    use super::*;

    const TODAY: Day = Day(20_000);

    /// Charges 1 nano-dollar for one request on each of these days.
    async fn charge(bank: &SqliteBank, number: u64, days: &[u32]) {
        let rollup = |day: &u32| Rollup {
            day: Day(*day),
            access_key: "app".into(),
            provider: "p".into(),
            model: "m".into(),
            requests: 1,
            cost: NanoUsd(1),
            ..Rollup::default()
        };
        let rollups: Vec<Rollup> = days.iter().map(rollup).collect();
        let message = Exchange {
            spent: rollups.iter().map(|row| row.cost).sum(),
            rollups,
            ..Exchange::empty(
                "acme".into(),
                Holder {
                    replica: 1,
                    epoch: 1,
                },
                number,
                Duration::from_secs(60),
            )
        };
        let replies = bank.exchange(&[message]).await;
        assert_eq!(replies[0].as_ref().unwrap().last, number);
    }

    #[tokio::test]
    async fn days_that_are_over_are_read_seldom_and_the_last_two_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            access: Access::Gateway,
            timeout: Duration::from_secs(10),
            synchronous: Synchronous::Normal,
        };
        let worker = Worker::open(&dir.path().join("bank.db"), options).unwrap();
        let bank = SqliteBank::new(Arc::new(worker));
        let (daily, now) = (Daily::default(), clock::now());
        let almost = KEPT - Duration::from_secs(1);
        let told = async |from: u32, to: u32, later: Duration| {
            let at = (now + later, TODAY);
            let totals = daily.read_at(&bank, "acme", (Day(from), Day(to)), at).await;
            let totals = totals.unwrap();
            let each = totals.iter().map(|row| (row.day.0, row.requests));
            each.collect::<Vec<_>>()
        };
        let all = [19_990, 19_998, 19_999, 20_000];
        charge(&bank, 1, &all).await;
        let once = all.map(|day| (day, 1));
        assert_eq!(told(0, u32::MAX, Duration::ZERO).await, once);
        charge(&bank, 2, &all).await;
        let lately = [(19_990, 1), (19_998, 1), (19_999, 2), (20_000, 2)];
        assert_eq!(told(0, u32::MAX, almost).await, lately);
        assert_eq!(
            told(19_991, 19_999, almost).await,
            lately[1..3],
            "within them"
        );
        assert_eq!(told(19_999, 20_000, almost).await, lately[2..]);
        assert_eq!(told(0, 19_990, KEPT).await, [(19_990, 2)], "later");
        assert_eq!(told(0, u32::MAX, KEPT).await, all.map(|day| (day, 2)));
        assert_eq!(daily.kept.lock().len(), 1, "what is part of it is gone");
        let other = daily.read_at(&bank, "other", (Day(0), TODAY), (now, TODAY));
        assert_eq!(other.await.unwrap().iter().count(), 0);
    }
}
