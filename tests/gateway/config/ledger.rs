//! The ledger, grants and limits, as an operator writes them.

use std::time::Duration;

use tollgate_base::Secret;
use tollgate_config::{BankChoice, Credits, Ledger, WhenUnreachable};
use tollgate_ledger::NanoUsd;
use tollgate_store::redis::{Address, RedisSettings, Topology};

use super::Files;

fn redis(yaml: &str) -> RedisSettings {
    let files = Files::one(&format!("ledger: {{ bank: redis, redis: {yaml} }}"));
    match files.load().ledger.bank {
        BankChoice::Redis(choice) => choice,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ledger_that_is_not_mentioned_is_one_of_defaults() {
    for yaml in ["", "ledger:\n", "ledger: { bank: sqlite, sqlite: {} }"] {
        let ledger = Files::one(yaml).load().ledger;
        assert_eq!(ledger, Ledger::default(), "{yaml}");
        let BankChoice::Sqlite { path } = &ledger.bank else {
            panic!("{ledger:?}")
        };
        assert_eq!(
            (path.to_str(), ledger.journal.to_str()),
            (Some("data/tollgate.db"), Some("data/journal")),
            "relative to the working directory"
        );
        assert_eq!(
            (ledger.credits, ledger.processing_fee),
            (Credits::Enforced, 50_000),
            "0.05 USD per million tokens"
        );
    }
}

#[test]
fn what_is_written_of_a_ledger_is_what_is_read() {
    let ledger = Files::one(
        "ledger:
  bank: sqlite
  sqlite: { path: /var/lib/tollgate/money.db }
  redis: { url: 'redis://127.0.0.1:6379' }
  journal: /var/lib/tollgate/journal
  fsync: always
  credits: off
  processing_fee: 0.0375
  minimum_purchase: 7.5
  when_unreachable: allow
  allow_up_to: 2.5
  flush: 100ms
  lease: 1m30s
  timeout: 250ms
  retention: 365d
  cut_off: true
  usage_grace: 1m
",
    )
    .load()
    .ledger;
    let want = Ledger {
        overdraft: NanoUsd::DOLLAR,
        bank: BankChoice::Sqlite {
            path: "/var/lib/tollgate/money.db".into(),
        },
        redis_ca: None,
        journal: "/var/lib/tollgate/journal".into(),
        fsync: true,
        credits: Credits::Off,
        processing_fee: 37_500,
        minimum_purchase: NanoUsd(7_500_000_000),
        when_unreachable: WhenUnreachable::Allow {
            up_to: NanoUsd(2_500_000_000),
        },
        flush: Duration::from_millis(100),
        lease: Duration::from_secs(90),
        timeout: Duration::from_millis(250),
        retention: Duration::from_secs(365 * 24 * 60 * 60),
        cut_off: true,
        usage_grace: Duration::from_secs(60),
    };
    assert_eq!(ledger, want);
    let allowed = Files::one("ledger: { when_unreachable: allow }").load();
    assert_eq!(
        allowed.ledger.when_unreachable,
        WhenUnreachable::Allow {
            up_to: NanoUsd::DOLLAR
        }
    );
}

#[test]
fn a_redis_bank_is_one_server_a_cluster_or_behind_sentinels() {
    let single =
        redis("{ url: 'redis://cache:7000/2', username: me, password: secret, prefix: tg }");
    assert_eq!(
        single,
        RedisSettings {
            database: 2,
            username: Some("me".to_owned()),
            password: Some(Secret::new("secret")),
            prefix: "tg".to_owned(),
            ..RedisSettings::new(Topology::Single(Address::new("cache", 7000)))
        }
    );
    assert_eq!(
        redis("{ url: 'redis://me:secret@cache:7000/2', prefix: tg }"),
        single,
        "a URL may bring the login"
    );
    let cluster = redis("{ cluster: ['rediss://a', 'rediss://b:7001'], password: '${ABSENT:-}' }");
    assert_eq!(
        (cluster.topology, cluster.tls, cluster.password),
        (
            Topology::Cluster(vec![Address::new("a", 6379), Address::new("b", 7001)]),
            true,
            None
        ),
        "a password that is not set is none"
    );
    let sentinel = redis("{ sentinels: ['redis://s'], master: mymaster }");
    assert_eq!(
        sentinel.topology,
        Topology::Sentinel {
            sentinels: vec![Address::new("s", 26379)],
            master: "mymaster".to_owned()
        }
    );
}

#[test]
fn a_redis_password_may_come_from_a_file_and_is_never_shown() {
    let files = Files::new(&[
        (
            "tollgate.yaml",
            "ledger: { bank: redis, redis: { url: '${REDIS_URL}', password: 'file:redis.password' } }",
        ),
        ("redis.password", "hunter2hunter2hunter2hunter2\n"),
    ]);
    let env = |url: &'static str| move |name: &str| (name == "REDIS_URL").then(|| url.to_owned());
    let config = files.load_with(&env("redis://h")).unwrap();
    let BankChoice::Redis(choice) = &config.ledger.bank else {
        panic!("a Redis bank")
    };
    assert_eq!(
        choice.password.as_ref().map(Secret::expose),
        Some("hunter2hunter2hunter2hunter2")
    );
    assert!(!format!("{config:?}").contains("hunter2hunter2hunter2"));
    let two = files.faults_with(&env("redis://:hunter2hunter2hunter2hunter3@h"));
    assert!(
        two.contains("`url` has a password, too") && !two.contains("hunter2"),
        "{two}"
    );
    let bad = files.faults_with(&env("redis://:hunter2hunter2@h:port"));
    assert!(
        bad.contains("the port is not a number") && !bad.contains("hunter2"),
        "{bad}"
    );
}

#[test]
fn faults_of_a_ledger_are_reported_at_once() {
    let files = Files::one(
        "ledger:
  bank: redis
  sqlite: { path: ':memory:' }
  redis:
    url: localhost:6379
    cluster: ['redis://a', 'rediss://b', 'redis://a', 'redis://me@c/1', 'c:1']
    sentinels: []
    username: me
    prefix: '{x}'
    ca: nowhere.pem
  journal: ''
  fsync: sometimes
  credits: force
  processing_fee: -1
  when_unreachable: allow
  allow_up_to: 10000000
  flush: 0s
  lease: 2s
  timeout: 45s
  retention: 30
  cutoff: true
  usage_grace: 301s
",
    );
    insta::assert_snapshot!(files.faults());
}

#[test]
fn an_answer_is_read_on_for_a_while_or_not_at_all() {
    for (yaml, want) in [
        ("", Duration::from_secs(20)),
        ("usage_grace: 0", Duration::ZERO),
        ("usage_grace: 0s", Duration::ZERO),
        ("usage_grace: 1ms", Duration::from_millis(1)),
        ("usage_grace: 5m", Duration::from_secs(300)),
    ] {
        let config = Files::one(&format!("ledger: {{ {yaml} }}")).load();
        assert_eq!(config.ledger.usage_grace, want, "{yaml}");
    }
    for (yaml, want) in [
        ("5m1s", "ledger.usage_grace: more than 5m; an answer whose"),
        ("400d", "ledger.usage_grace: more than 5m; an answer whose"),
        ("20", "ledger.usage_grace: `20` is not a duration"),
        ("-1s", "ledger.usage_grace: `-1s` is not a duration"),
        ("0.5s", "ledger.usage_grace: `0.5s` is not a duration"),
        ("never", "ledger.usage_grace: `never` is not a duration"),
        ("[20s]", "ledger.usage_grace"),
    ] {
        let said = Files::one(&format!("ledger:\n  usage_grace: {yaml}\n")).faults();
        assert!(said.contains(want), "{yaml}: {said}");
        assert_eq!(said.lines().count(), 1, "{yaml}: {said}");
    }
}

#[test]
fn a_bank_needs_to_be_said_where_it_is() {
    for (yaml, want) in [
        (
            "bank: redis",
            "ledger.bank: `ledger.redis` does not say where it is",
        ),
        (
            "bank: redis\n  redis: {}",
            "ledger.redis: it does not say where the server is",
        ),
        (
            "redis: { sentinels: ['redis://s'] }",
            "ledger.redis: the Sentinels need to be told which primary",
        ),
        (
            "bank: postgres",
            "ledger.bank: `postgres` is not a choice here",
        ),
        (
            "journal: data/x\n  sqlite: { path: data/x }",
            "ledger.journal: this is the database's path",
        ),
    ] {
        let said = Files::one(&format!("ledger:\n  {yaml}\n")).faults();
        assert!(said.contains(want), "{yaml}: {said}");
        assert_eq!(said.lines().count(), 1, "{yaml}: {said}");
    }
}

#[test]
fn what_is_opened_at_the_start_needs_a_restart() {
    let load = |yaml: &str| Files::one(&format!("ledger: {{ {yaml} }}")).load();
    let old = load("");
    for (yaml, want) in [
        ("sqlite: { path: other.db }", &["ledger.bank"][..]),
        ("bank: redis, redis: { url: 'redis://h' }", &["ledger.bank"]),
        (
            "journal: other, fsync: always",
            &["ledger.journal", "ledger.fsync"],
        ),
        ("credits: off", &["ledger.credits"]),
        (
            "flush: 1s, lease: 2m, timeout: 2s",
            &["ledger.flush", "ledger.lease", "ledger.timeout"],
        ),
        (
            "credits: metered, processing_fee: 1, when_unreachable: allow, allow_up_to: 3, cut_off: true, retention: 1d, usage_grace: 1s",
            &[],
        ),
    ] {
        assert_eq!(old.needs_restart(&load(yaml)), want, "{yaml}");
    }
}
