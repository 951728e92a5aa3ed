//! Grants and limits, as an operator writes them.

use std::sync::Arc;
use std::time::Duration;

use tollgate_config::access::Snapshot;
use tollgate_config::catalog::Catalog;
use tollgate_config::{Account, Config};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::NewGrant;

use super::{DEMO_TOKEN, Files, root};

/// The demo key's digest.
const DIGEST: &str = "cc2b91d52e2c3a2c145d4619a2e3d92cecc82f017ecd9f2cd2a9f13d668160ab";

/// What the demo key is limited to: `key:demo/requests_per_minute 5`.
fn limits(config: Config) -> Vec<String> {
    let snapshot = Snapshot::build(Arc::new(config), Arc::new(Catalog::default()), 1);
    let key = snapshot.authenticate(DEMO_TOKEN).unwrap();
    key.limits
        .iter()
        .map(|limit| format!("{} {}", limit.meter, limit.most))
        .collect()
}

#[test]
fn accounts_are_given_credits() {
    let config = Files::one(
        "accounts:
  - id: team
    grants:
      - { id: welcome, usd: 5.00 }
      - { id: 2026-q1, usd: 0.000001, expires_after: 90d, note: first quarter }
      - { id: gift, usd: 9000000, expires_after: never }
",
    )
    .load();
    let grant = |id: &str, amount, days: Option<u64>, note: &str| NewGrant {
        id: id.to_owned(),
        amount: NanoUsd(amount),
        expires_after: days.map(|days| Duration::from_secs(days * 24 * 60 * 60)),
        note: note.to_owned(),
    };
    let accounts: Vec<_> = config
        .accounts
        .into_iter()
        .map(|Account { spec, grants }| (spec.id, grants))
        .collect();
    assert_eq!(
        accounts,
        [
            ("default".to_owned(), vec![]),
            (
                "team".to_owned(),
                vec![
                    grant("welcome", 5_000_000_000, Some(365), ""),
                    grant("2026-q1", 1_000, Some(90), "first quarter"),
                    grant("gift", NanoUsd::MOST.0, None, ""),
                ]
            ),
        ]
    );
}

#[test]
fn a_key_is_held_to_its_own_limits_and_to_its_configurations() {
    let yaml = |key: &str, configuration: &str| {
        let yaml = format!(
            "configurations: [{{ id: team, limits: {{ {configuration} }} }}]
access_keys: [{{ id: demo, configuration: team, limits: {{ {key} }}, sha256: {DIGEST} }}]"
        );
        limits(Files::one(&yaml).load())
    };
    assert_eq!(yaml("", "max_input_tokens: 5"), Vec::<String>::new());
    assert_eq!(
        yaml("requests_per_minute: 5", ""),
        ["key:demo/requests_per_minute 5"]
    );
    assert_eq!(
        yaml(
            "budget: [{ usd: 1, per: total }, { usd: 0.5, per: month }]",
            "tokens_per_minute: 7, concurrent_requests: 2, budget: { usd: 20, per: day }"
        ),
        [
            "key:demo/budget_per_month 500000000",
            "key:demo/budget_total 1000000000",
            "configuration:team/tokens_per_minute 7",
            "configuration:team/concurrent_requests 2",
            "configuration:team/budget_per_day 20000000000",
        ]
    );
}

#[test]
fn faults_of_grants_and_limits_are_reported_at_once() {
    let files = Files::one(
        "limits: { requests_per_minute: 5 }
accounts:
  - id: '{team}'
    grants:
      - { id: a, usd: 0 }
      - { id: a, usd: 9000000.01 }
      - { id: b }
      - { usd: 5, expires_after: 0s }
      - { id: c, usd: 5, expires_after: soon, until: 2027 }
      - { id: d, usd: 5, expires_after: 40000d }
      - { id: e, usd: 0.0000001 }
configurations:
  - id: c
    limits:
      max_input_tokens: 0
      requests_per_minute: 0
      tokens_per_minute: -1
      concurrent_requests: 18446744073709551615
      budget: { usd: 0, per: year }
  - id: d
    limits:
      budget:
        - { usd: 1, per: day }
        - { usd: 2, per: day }
        - { per: total }
        - {}
        - { usd: 0.0000001, each: month }
access_keys:
  - id: k
    limits: { max_input_tokens: 5, budget: 20 }
    sha256: '1111111111111111111111111111111111111111111111111111111111111111'
",
    );
    insta::assert_snapshot!(files.faults());
}

#[test]
fn faults_of_budgets_are_reported_at_once() {
    let deep: String = (1..=9)
        .map(|i| format!("  - {{ id: d{i}, parent: d{} }}\n", i - 1))
        .collect();
    let files = Files::one(&format!(
        "accounts: [{{ id: sales }}]
budgets:
  - {{ id: acme, limits: {{ budget: {{ usd: 5, per: day, week_starts: sunday }} }} }}
  - {{ id: acme, parent: acmee }}
  - {{ id: team, account: sales, parent: acme, limits: {{ requests_per_minute: 0 }} }}
  - {{ id: one, parent: other }}
  - {{ id: other, parent: one }}
  - {{ id: 'a/b', account: sale }}
  - {{ id: d0 }}
{deep}access_keys:
  - {{ id: a, budget: teem, sha256: {DIGEST} }}
  - {{ id: b, budget: team, sha256: '{}' }}
",
        "1".repeat(64)
    ));
    insta::assert_snapshot!(files.faults());
    let zone =
        "budgets: [{ id: a, limits: { budget: { usd: 5, per: week, time_zone: Europe/Berln } } }]";
    let faults = Files::one(zone).faults();
    let path = "budgets[0].limits.budget.time_zone: `Europe/Berln` is no time zone";
    assert!(faults.contains(path), "{faults}");
}

#[test]
fn limits_and_grants_without_a_ledger_are_warned_about() {
    let files = Files::one(&format!(
        "ledger: {{ credits: off }}
accounts:
  - {{ id: default, grants: [{{ id: welcome, usd: 5 }}] }}
configurations:
  - {{ id: a, limits: {{ max_input_tokens: 5 }} }}
  - {{ id: b, limits: {{ tokens_per_minute: 5 }} }}
budgets:
  - {{ id: c, limits: {{ requests_per_minute: 5 }} }}
access_keys:
  - {{ id: demo, sha256: {DIGEST}, limits: {{ budget: {{ usd: 1, per: day }} }} }}
"
    ));
    insta::assert_snapshot!(files.warnings());
}

/// Every setting of the ledger, of grants and of limits is in the file that shows what can be set.
#[test]
fn the_reference_leaves_no_setting_out() {
    let reference = std::fs::read_to_string(root("conf/tollgate.yaml")).unwrap();
    let schema = tollgate_config::schema();
    for section in [
        "Ledger",
        "Sqlite",
        "Redis",
        "Account",
        "Grant",
        "Limits",
        "RateLimits",
        "Budget",
        "SharedBudget",
    ] {
        let fields = schema["$defs"][section]["properties"].as_object();
        for field in fields.unwrap_or_else(|| panic!("{section}")).keys() {
            let written = [format!("{field}:"), format!("`{field}`")];
            assert!(
                written.iter().any(|one| reference.contains(one)),
                "conf/tollgate.yaml does not mention `{field}` of {section}"
            );
        }
    }
}

#[test]
fn editors_take_what_is_taken_here() {
    let validator = jsonschema::validator_for(&tollgate_config::schema()).unwrap();
    for (yaml, fine) in [
        ("limits: { budget: { usd: 20, per: day } }", true),
        (
            "limits: { budget: [{ usd: 20, per: month }, { usd: 1, per: total }] }",
            true,
        ),
        (
            "limits: { budget: { usd: 20, per: week, time_zone: Asia/Tokyo, week_starts: sunday } }",
            true,
        ),
        ("limits: { budget: { per: day } }", false),
        ("limits: { budget: { usd: 20 } }", false),
        ("limits: { budget: [{ per: day }] }", false),
        ("limits: { budget: 20 }", false),
        ("limits: { budget: { usd: 20, each: day } }", false),
        ("limits: { requests_per_minute: 5 }", true),
    ] {
        let yaml = format!("configurations: [{{ id: c, {yaml} }}]");
        let json: serde_json::Value = tollgate_config::from_yaml(&yaml).unwrap();
        assert_eq!(validator.is_valid(&json), fine, "{yaml}");
        assert_eq!(
            Files::one(&yaml).load_with(&|_| None).is_ok(),
            fine,
            "{yaml}"
        );
    }
}

#[test]
fn answers_are_kept_sealed_and_within_bounds() {
    let yaml = |store: &str, kept: &str| {
        Files::one(&format!(
            "configurations: [{{ id: c, idempotency: {{ store: {store} }} }}]\nkept_answers: {{ {kept} }}"
        ))
    };
    let good = yaml("24h", "most: 5, max_bytes: 16MiB").load_with(&super::everything);
    let config = good.unwrap();
    assert_eq!(
        (config.kept_answers.names, config.kept_answers.bytes),
        (5, 16 << 20)
    );
    assert!(config.needs_store());
    for (store, kept, message) in [
        ("0s", "", "must be more than 0"),
        ("31d", "", "must be at most 30d"),
        ("1h", "most: 0", "must be 1 to 1000000"),
        ("1h", "max_bytes: 1MiB", "must be at least 16MiB"),
    ] {
        let faults = yaml(store, kept).load_with(&super::everything).unwrap_err();
        assert!(faults.to_string().contains(message), "{faults}");
    }
    let faults = yaml("1h", "").load_with(&super::nothing).unwrap_err();
    assert!(faults.to_string().contains("no master key"), "{faults}");
}

#[test]
fn hedges_have_defaults_and_bounds() {
    let hedge = |yaml: &str| {
        let yaml = format!(
            "configurations: [{{ id: c, hedge: {yaml} }}]\naccess_keys: [{{ id: demo, sha256: {DIGEST}, configuration: c }}]\n"
        );
        Files::one(&yaml)
    };
    for (yaml, want) in [
        ("null", None),
        ("{}", Some((500, 2))),
        ("{ at_least: 10ms, budget_percent: 100 }", Some((10, 100))),
        ("{ at_least: 1m, budget_percent: 1 }", Some((60_000, 1))),
    ] {
        let config = hedge(yaml).load();
        let snapshot = Snapshot::build(Arc::new(config), Arc::new(Catalog::default()), 1);
        let key = snapshot.authenticate(DEMO_TOKEN).unwrap();
        let hedge = key.configuration.as_ref().unwrap().hedge;
        let found = hedge.map(|hedge| (hedge.at_least.as_millis(), hedge.percent));
        assert_eq!(found, want, "{yaml}");
    }
    for (yaml, want) in [
        (
            "{ at_least: 9ms }",
            "hedge.at_least: must be from 10ms to 60s",
        ),
        (
            "{ at_least: 61s }",
            "hedge.at_least: must be from 10ms to 60s",
        ),
        (
            "{ budget_percent: 0 }",
            "hedge.budget_percent: must be from 1 to 100",
        ),
        (
            "{ budget_percent: 101 }",
            "hedge.budget_percent: must be from 1 to 100",
        ),
        ("true", "hedge"),
    ] {
        let said = hedge(yaml).faults();
        assert!(said.contains(want), "{yaml}: {said}");
    }
}
