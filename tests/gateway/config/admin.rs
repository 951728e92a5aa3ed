//! Who may call the admin API, as an operator writes it.

use std::time::Duration;
use tollgate_config::ApiKey;
use tollgate_config::secrets::{Role, token};

use super::Files;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn api_keys_are_read_with_their_defaults() {
    let [one, two] = ["1", "2"].map(|digit| digit.repeat(64));
    let config = Files::one(&format!(
        "admin:
  public_url: https://tollgate.example.com/api/
  audit_retention: 30d
  api_keys:
    - {{ name: root, sha256: \"{one}\" }}
    - {{ id: reports, name: Monthly reports, sha256: \"{two}\", role: usage-only, account: sales }}
accounts: [{{ id: sales }}]
"
    ))
    .load();
    let keys: Vec<_> = config
        .admin
        .api_keys
        .iter()
        .map(|ApiKey { id, spec, digest }| {
            let role = spec.role.unwrap_or_default();
            let (name, account) = (spec.name.as_deref(), spec.account.as_deref());
            (&**id, name, *digest, role, account)
        })
        .collect();
    assert_eq!(
        keys,
        [
            ("root", Some("root"), [0x11; 32], Role::Full, None),
            (
                "reports",
                Some("Monthly reports"),
                [0x22; 32],
                Role::UsageOnly,
                Some("sales")
            ),
        ]
    );
    assert_eq!(
        config.admin.public_url.as_deref(),
        Some("https://tollgate.example.com/api")
    );
    assert_eq!(config.admin.audit_retention, 30 * DAY);
    let default = Files::one("").load().admin;
    assert_eq!((default.api_keys, default.public_url), (vec![], None));
    assert_eq!(default.audit_retention, 400 * DAY);
}

#[test]
fn the_environment_brings_a_key_with_every_right() {
    let load = |value: &'static str| {
        let env = move |name: &str| (name == "TOLLGATE_ADMIN_KEY").then(|| value.to_owned());
        Files::one("").load_with(&env)
    };
    let config = load("correct-horse-battery").unwrap();
    let [key] = &config.admin.api_keys[..] else {
        panic!("one key: {:?}", config.admin)
    };
    let ApiKey { id, spec, .. } = key;
    assert_eq!((&**id, spec.role), (ApiKey::ENVIRONMENT, Some(Role::Full)));
    assert_eq!((&spec.name, &spec.account), (&None, &None));
    assert_eq!(key.digest, token::digest("correct-horse-battery"));
    let shown = format!("{config:?}");
    assert!(!shown.contains("correct-horse"), "the text is not kept");
    assert!(
        !shown.contains(&format!("{:?}", key.digest)),
        "nor shown what it can be guessed by"
    );

    assert!(
        load("").unwrap().admin.api_keys.is_empty(),
        "empty is not set"
    );
    assert!(load("0123456789abcdef").is_ok(), "16 characters are enough");
    for (value, said) in [
        ("0123456789abcde", "has fewer than 16 characters"),
        ("0123456789 abcdef", "holds what a header cannot carry"),
        ("0123456789äbcdef", "holds what a header cannot carry"),
    ] {
        let faults = load(value).unwrap_err().to_string();
        assert!(
            faults.contains(&format!(
                "admin.api_keys: the environment variable TOLLGATE_ADMIN_KEY {said}"
            )),
            "{faults}"
        );
        assert!(!faults.contains("0123456789"), "{faults}");
    }
}

#[test]
fn faults_of_api_keys_are_reported_at_once() {
    let files = Files::one(
        "admin:
  public_url: tollgate.example.com
  audit_retention: 0d
  listn: 127.0.0.1:1
  api_keys:
    - { name: root, sha256: \"1111111111111111111111111111111111111111111111111111111111111111\" }
    - { id: root, sha256: \"2222222222222222222222222222222222222222222222222222222222222222\" }
    - { id: environment, sha256: \"3333333333333333333333333333333333333333333333333333333333333333\" }
    - { name: On Call, sha256: \"4444444444444444444444444444444444444444444444444444444444444444\" }
    - { sha256: \"5555555555555555555555555555555555555555555555555555555555555555\" }
    - { id: same, sha256: \"1111111111111111111111111111111111111111111111111111111111111111\" }
    - { id: token, sha256: tga-token-g1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA }
    - { id: none }
    - { id: role, role: fulll, sha256: \"6666666666666666666666666666666666666666666666666666666666666666\" }
    - { id: account, account: defaul, sha256: \"7777777777777777777777777777777777777777777777777777777777777777\" }
",
    );
    let faults = files.faults();
    assert!(!faults.contains("AAAA"), "no token is repeated");
    insta::assert_snapshot!(faults);
}

#[test]
fn a_key_of_the_file_is_the_environments_too_if_it_may_do_everything() {
    let digest = token::to_hex(&token::digest("correct-horse-battery"));
    let env =
        |name: &str| (name == "TOLLGATE_ADMIN_KEY").then(|| "correct-horse-battery".to_owned());
    let file = |more: &str| {
        let key = format!("{{ id: a, sha256: \"{digest}\"{more} }}");
        Files::one(&format!("admin: {{ api_keys: [{key}] }}"))
    };
    for more in ["", ", role: full"] {
        let keys = file(more).load_with(&env).unwrap().admin.api_keys;
        let ids: Vec<&str> = keys.iter().map(|key| &*key.id).collect();
        assert_eq!(ids, ["a"], "{more}");
    }
    for more in [", role: read-only", ", account: default"] {
        let faults = file(more).faults_with(&env);
        assert!(
            faults.contains("admin.api_keys[0].sha256: `TOLLGATE_ADMIN_KEY` has the same digest"),
            "{more}: {faults}"
        );
    }
}

#[test]
fn what_paths_cannot_be_appended_to_is_no_public_url() {
    let load = |url: &str| {
        Files::one(&format!("admin: {{ public_url: \"{url}\" }}")).load_with(&super::nothing)
    };
    for (url, kept) in [
        ("https://a.example", "https://a.example"),
        ("http://10.0.0.1:9090/", "http://10.0.0.1:9090"),
        ("https://a.example/tollgate/", "https://a.example/tollgate"),
    ] {
        assert_eq!(load(url).unwrap().admin.public_url.as_deref(), Some(kept));
    }
    for url in [
        "",
        "a.example",
        "/x",
        "ftp://a",
        "https://",
        "https://a?x=1",
        "https://a?",
        "https://a#b",
        "https://u:p@a",
    ] {
        assert!(load(url).is_err(), "{url}");
    }
}

#[test]
fn an_editor_asks_for_a_digest_and_not_for_an_id() {
    let validator = jsonschema::validator_for(&tollgate_config::schema()).unwrap();
    let valid = |key| validator.is_valid(&serde_json::json!({ "admin": { "api_keys": [key] } }));
    let digest = "1".repeat(64);
    assert!(valid(
        serde_json::json!({ "name": "root", "sha256": digest })
    ));
    assert!(valid(
        serde_json::json!({ "id": "root", "sha256": digest, "role": "read-only" })
    ));
    assert!(!valid(serde_json::json!({ "name": "root" })));
    assert!(!valid(
        serde_json::json!({ "name": "root", "sha256": digest, "role": "read_only" })
    ));
}
