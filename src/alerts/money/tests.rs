use std::sync::Arc;
use std::time::Duration;

use tollgate_config::access::Snapshot;
use tollgate_config::{Alerts, Config, parse};
use tollgate_ledger::bank::{
    self, Exchange, Holder, Measure, Meter, MeterExchange, NewGrant, Per, Rollup,
};
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Database};

use super::*;

const SHA: &str = "1111111111111111111111111111111111111111111111111111111111111111";

struct Office {
    _folder: tempfile::TempDir,
    bank: Arc<dyn Bank>,
    told: u64,
}

impl Office {
    fn open() -> Office {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            access: Access::Gateway,
            timeout: Duration::from_secs(10),
            synchronous: Synchronous::Normal,
        };
        let worker = Worker::open(&folder.path().join("bank.db"), options).unwrap();
        Office {
            _folder: folder,
            bank: bank::on(&Database::Sqlite(Arc::new(worker))),
            told: 0,
        }
    }

    async fn grant(&self, id: &str, usd: i64) {
        let grant = NewGrant {
            id: id.to_owned(),
            amount: NanoUsd(usd * NanoUsd::DOLLAR.0),
            expires_after: None,
            note: String::new(),
        };
        assert_eq!(self.bank.grant("acme", &grant).await, Ok(true));
    }

    /// The key `app` spends cents on a day, within its limits.
    async fn spend(&mut self, day: Day, cents: i64) {
        self.told += 1;
        let spent = NanoUsd(cents * NanoUsd::DOLLAR.0 / 100);
        let meter = |subject: &str| MeterExchange {
            meter: Meter {
                subject: subject.into(),
                measure: Measure::budget(Per::Total),
            },
            window: 0,
            limit: i64::MAX,
            used: spent.0,
            returned: 0,
            need: 0,
            want: 0,
        };
        let holder = Holder {
            replica: 1,
            epoch: 1,
        };
        let message = Exchange {
            oldest: self.told,
            spent,
            meters: [
                "key:app",
                "configuration:team",
                "budget:research",
                "tag:team:customer=42",
            ]
            .map(meter)
            .into(),
            rollups: vec![Rollup {
                day,
                access_key: "app".into(),
                provider: "p".into(),
                model: "m".into(),
                requests: 1,
                input: 1,
                output: 1,
                cost: spent,
                ..Rollup::default()
            }],
            ..Exchange::empty("acme".into(), holder, self.told, Duration::from_secs(60))
        };
        let answers = self.bank.exchange(&[message]).await;
        assert!(answers[0].is_ok(), "{answers:?}");
    }
}

fn snapshot(budget: &str) -> Snapshot {
    let yaml = format!(
        "accounts: [{{ id: acme }}]
configurations: [{{ id: team, limits: {{ budget: {{ usd: 100, per: total }} }} }}]
access_keys: [{{ id: app, account: acme, configuration: team, sha256: '{SHA}', limits: {{ budget: {budget} }} }}]"
    );
    built(&yaml)
}

fn built(yaml: &str) -> Snapshot {
    let config: Config = parse(yaml, &|_| None).unwrap();
    let catalog = config.catalog.clone();
    Snapshot::build(Arc::new(config), catalog, 1)
}

fn said(raised: &[Raised]) -> Vec<&str> {
    raised.iter().map(|one| &*one.names[0]).collect()
}

/// Noon of a day.
const NOON: u64 = 20_000 * DAY_MS + DAY_MS / 2;

const TODAY: Day = Day(20_000);

#[tokio::test]
async fn thresholds_are_told_of_the_budget_of_each_value_of_a_tag() {
    let mut office = Office::open();
    let snapshot = built(&format!(
        "accounts: [{{ id: acme }}]
configurations: [{{ id: team, limits: {{ tags: {{ customer: {{ usd: 5, per: total }} }} }} }}]
access_keys: [{{ id: app, account: acme, configuration: team, sha256: '{SHA}' }}]"
    ));
    let (mut money, settings) = (Money::default(), Alerts::default());
    let bank = office.bank.clone();
    office.grant("one", 1_000).await;
    let budget = "budget/acme/tag:team:customer=42/budget_total/0/5000000000";
    for (cents, told) in [(200, None), (200, Some("80")), (200, Some("100"))] {
        office.spend(TODAY, cents).await;
        let found = money.look(&*bank, &snapshot, &settings, NOON);
        let found = found.await.unwrap();
        let names: Vec<String> = told
            .map(|told| format!("{budget}/{told}"))
            .into_iter()
            .collect();
        assert_eq!(said(&found), names);
        if let Some(raised) = found.first() {
            let title = &raised.alert.title;
            assert!(
                title.contains("`customer=42` (configuration `team`)"),
                "{title}"
            );
        }
    }
}

#[tokio::test]
async fn thresholds_and_forecasts_are_told_of_budgets_and_of_credits() {
    let mut office = Office::open();
    let (snapshot, settings) = (snapshot("{ usd: 10, per: total }"), Alerts::default());
    office.grant("one", 20).await;
    office.spend(TODAY, 100).await;
    let mut money = Money::default();
    let bank = office.bank.clone();
    let found = money
        .look(&*bank, &snapshot, &settings, NOON)
        .await
        .unwrap();
    assert!(found.is_empty(), "a dollar a day: {:?}", said(&found));

    office.spend(TODAY, 300).await;
    let found = money
        .look(&*bank, &snapshot, &settings, NOON)
        .await
        .unwrap();
    let budget = "budget/acme/key:app/budget_total/0/10000000000";
    let credits = "credits/acme/20000000000";
    let (soon, late) = (format!("{budget}/forecast"), format!("{credits}/forecast"));
    assert_eq!(said(&found), [&*soon, &*late], "four dollars a day");
    let alert = &found[0].alert;
    assert_eq!(alert.account.as_deref(), Some("acme"));
    // 6 dollars at 4 a day are a day and a half.
    assert!(
        alert
            .title
            .ends_with("will be reached on 2024-10-06 00:00 UTC"),
        "{alert:?}"
    );
    assert_eq!(alert.facts["used_usd"], "4.00");

    office.spend(TODAY, 850).await;
    let found = money
        .look(&*bank, &snapshot, &settings, NOON)
        .await
        .unwrap();
    let (all, half) = (format!("{budget}/100"), format!("{credits}/50"));
    assert_eq!(said(&found), [&*all, &*half, &*late]);
    assert_eq!(
        found[0].names[1..],
        [format!("{budget}/50"), format!("{budget}/80")]
    );
    assert!(
        found[0].alert.text.contains("refused now"),
        "{:?}",
        found[0]
    );
    assert!(
        found[1].alert.title.contains("50% is used, $7.50 is left"),
        "{:?}",
        found[1]
    );

    let found = money
        .look(&*bank, &snapshot, &settings, NOON)
        .await
        .unwrap();
    assert!(found.is_empty(), "nothing was spent since");
    let later = NOON + IDLE;
    let found = money
        .look(&*bank, &snapshot, &settings, later)
        .await
        .unwrap();
    assert_eq!(found.len(), 3, "it is looked at again all the same");

    office.spend(TODAY, 900).await;
    let found = money
        .look(&*bank, &snapshot, &settings, later)
        .await
        .unwrap();
    assert!(
        said(&found).contains(&&*format!("{credits}/100")),
        "spent beyond them"
    );
    office.grant("two", 100).await;
    let mut money = Money::default();
    let found = money
        .look(&*bank, &snapshot, &settings, later)
        .await
        .unwrap();
    let names = said(&found);
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("credits/acme/120000000000/f")),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.contains("/120000000000/50")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_window_that_is_over_and_what_is_off_are_not_told() {
    let mut office = Office::open();
    let settings = Alerts {
        forecast: None,
        thresholds: vec![],
        ..Alerts::default()
    };
    office.spend(TODAY, 5_000).await;
    let (total, day) = (
        snapshot("{ usd: 1, per: total }"),
        snapshot("{ usd: 1, per: day }"),
    );
    let look = async |snapshot: &Snapshot, settings: &Alerts| {
        let mut money = Money::default();
        money
            .look(&*office.bank, snapshot, settings, NOON)
            .await
            .unwrap()
    };
    assert_eq!(look(&total, &settings).await, []);
    // The bank has counted none of it for the budget of a day.
    let found = look(&day, &Alerts::default()).await;
    let of_day = |name: &&str| name.contains("budget_per_day") && !name.ends_with("forecast");
    assert!(!said(&found).iter().any(of_day), "{:?}", said(&found));
}

#[tokio::test]
async fn a_budget_that_keys_share_is_called_by_its_name() {
    let mut office = Office::open();
    office.spend(TODAY, 900).await;
    let yaml = format!(
        "accounts: [{{ id: acme }}]
budgets: [{{ id: research, name: Research, account: acme, limits: {{ budget: {{ usd: 10, per: total }} }} }}]
access_keys: [{{ id: app, account: acme, budget: research, sha256: '{SHA}' }}]"
    );
    let config: Config = parse(&yaml, &|_| None).unwrap();
    let catalog = config.catalog.clone();
    let snapshot = Snapshot::build(Arc::new(config), catalog, 1);
    let (bank, settings) = (office.bank.clone(), Alerts::default());
    let found = Money::default()
        .look(&*bank, &snapshot, &settings, NOON)
        .await;
    let found = found.unwrap();
    let budget = "budget/acme/budget:research/budget_total/0/10000000000";
    assert_eq!(
        said(&found),
        [format!("{budget}/80"), format!("{budget}/forecast")]
    );
    let title = &found[0].alert.title;
    assert_eq!(title, "Budget of `Research`: 80% of $10.00 is used");
}

#[tokio::test]
async fn a_key_that_spends_far_more_than_usual_is_told_once_a_day() {
    let mut office = Office::open();
    let (snapshot, settings) = (snapshot("[]"), Alerts::default());
    for ago in 1..=4 {
        office.spend(Day(TODAY.0 - ago), 100).await;
    }
    let mut money = Money::default();
    let bank = office.bank.clone();
    office.spend(TODAY, 499).await;
    let unusual = |raised: &[Raised]| {
        let spends = raised.iter().filter(|one| one.event == AlertEvent::Spend);
        spends.cloned().collect::<Vec<_>>()
    };
    let found = money
        .look(&*bank, &snapshot, &settings, NOON)
        .await
        .unwrap();
    assert_eq!(unusual(&found), []);
    office.spend(TODAY, 1).await;
    let found = money
        .look(&*bank, &snapshot, &settings, NOON)
        .await
        .unwrap();
    let [one] = &unusual(&found)[..] else {
        panic!("{:?}", said(&found))
    };
    assert_eq!(one.names, ["spend/acme/app/20000"]);
    assert_eq!(
        one.alert.title,
        "Access key `app` has spent $5.00 today, usually $1.00 a day"
    );
    // The next day what was today's is yesterday's.
    let found = money
        .look(&*bank, &snapshot, &settings, NOON + DAY_MS)
        .await
        .unwrap();
    assert_eq!(unusual(&found), []);
}

#[test]
fn prices_are_as_old_as_their_last_reading() {
    let settings = Alerts::default();
    let (now, old) = (1_000 * DAY_MS, 909 * DAY_MS);
    let feed = |read: Option<u64>| vec![("a".into(), read), ("b".into(), Some(now))];
    let names = |feeds: &[(Arc<str>, Option<u64>)], built_in: u64, settings: &Alerts| {
        let found = prices(feeds, built_in, settings, now);
        said(&found).join(" ")
    };
    assert_eq!(names(&[], old, &settings), "prices/");
    assert_eq!(names(&[], now, &settings), "");
    assert_eq!(names(&feed(Some(old)), old, &settings), "prices/a");
    assert_eq!(names(&feed(Some(now)), old, &settings), "");
    assert_eq!(names(&feed(None), old, &settings), "prices/a", "never read");
    let never = Alerts {
        prices_older_than: None,
        ..settings
    };
    assert_eq!(names(&[], 0, &never), "");
}
