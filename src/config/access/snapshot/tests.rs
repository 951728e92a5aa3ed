use super::*;
use crate::secrets::Token;

#[test]
fn a_key_whose_configuration_is_gone_is_refused_rather_than_free() {
    let token = Token::generate("app").unwrap();
    let yaml = format!(
        "configurations: [{{ id: c, failover: false }}]\naccess_keys: [{{ id: app, configuration: c, sha256: '{}' }}]",
        token::to_hex(&token.digest())
    );
    let mut config = yaml::parse(&yaml, &|_| None).unwrap();
    let build = |config: &Config| Snapshot::build(Arc::new(config.clone()), Arc::default(), 1);
    let key = build(&config).authenticate(token.expose()).unwrap();
    assert_eq!(key.configuration.as_ref().unwrap().failover, Some(false));
    config.configurations.clear();
    assert_eq!(
        build(&config).authenticate(token.expose()).unwrap_err(),
        AuthError::Unknown
    );
}

#[test]
fn a_provider_that_wants_no_credential_is_keyless_for_whoever_has_none() {
    let config = yaml::parse(
        "accounts: [{ id: a }]
providers:
  - { id: free, base_url: 'http://127.0.0.1:1', auth: none }
  - { id: with-key, base_url: 'http://127.0.0.1:1', auth: none, keys: [{ id: k, value: x, account: a }] }
  - { id: managed, base_url: 'http://127.0.0.1:1', auth: none, managed_keys: [{ id: m, value: x }] }
  - { id: bearer, base_url: 'http://127.0.0.1:1' }
",
        &|_| None,
    )
    .unwrap();
    let snapshot = Snapshot::build(Arc::new(config), Arc::default(), 1);
    for (provider, account, want) in [
        ("free", "default", Some("free-none")),
        ("free", "a", Some("free-none")),
        ("with-key", "a", Some("k")),
        ("with-key", "default", Some("with-key-none")),
        ("managed", "a", None),
        ("bearer", "default", None),
    ] {
        let keys = snapshot.provider_keys(provider, account, KeyKind::User);
        assert_eq!(
            keys.first().map(|key| &*key.id),
            want,
            "{provider} for {account}"
        );
        assert_eq!(
            keys.iter().any(|key| key.shared),
            want.is_some_and(|id| id.ends_with("-none")),
            "{provider} for {account}"
        );
        assert_eq!(
            snapshot
                .provider_keys(provider, account, KeyKind::Managed)
                .len(),
            usize::from(provider == "managed")
        );
    }
}

#[test]
fn a_key_counts_towards_all_budgets_above_it_or_is_refused() {
    let token = Token::generate("app").unwrap();
    let yaml = format!(
        "accounts: [{{ id: other }}]
budgets:
  - {{ id: acme, limits: {{ budget: {{ usd: 9, per: quarter }} }} }}
  - {{ id: team, name: Team, parent: acme, limits: {{ requests_per_minute: 5, budget: {{ usd: 3, per: week }} }} }}
  - {{ id: project, parent: team }}
configurations: [{{ id: c, limits: {{ tokens_per_minute: 7 }} }}]
access_keys:
  - {{ id: app, configuration: c, budget: project, limits: {{ concurrent_requests: 2 }}, sha256: '{}' }}",
        token::to_hex(&token.digest())
    );
    let config = yaml::parse(&yaml, &|_| None).unwrap();
    let build = |config: &Config| Snapshot::build(Arc::new(config.clone()), Arc::default(), 1);
    let snapshot = build(&config);
    let key = snapshot.authenticate(token.expose()).unwrap();
    let limits: Vec<String> = key.limits.iter().map(|one| one.meter.to_string()).collect();
    assert_eq!(
        limits,
        [
            "key:app/concurrent_requests",
            "configuration:c/tokens_per_minute",
            "budget:team/requests_per_minute",
            "budget:team/budget_per_week",
            "budget:acme/budget_per_quarter",
        ],
        "from the innermost on"
    );
    let (id, team) = snapshot.budget("budget:team").unwrap();
    assert_eq!((id, team.unwrap().name.as_deref()), ("team", Some("Team")));
    assert!(snapshot.budget("key:team").is_none());

    // Nothing is free because what limits it is gone, another account's, or above itself.
    type Change<'a> = &'a dyn Fn(&mut Vec<types::SharedBudget>);
    let refused = |change: Change<'_>| {
        let mut config = config.clone();
        change(&mut config.budgets);
        build(&config).authenticate(token.expose()).unwrap_err()
    };
    let changes: [Change<'_>; 5] = [
        &|all| drop(all.remove(0)),
        &|all| drop(all.remove(2)),
        &|all| all[0].account = Some("other".to_owned()),
        &|all| all[2].account = Some("other".to_owned()),
        &|all| all[0].parent = Some("project".to_owned()),
    ];
    for change in changes {
        assert_eq!(refused(change), AuthError::Unknown);
    }
}
