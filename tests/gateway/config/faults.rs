//! How what is wrong with a configuration is told.

use super::*;

#[test]
fn what_the_catalog_refuses_is_told_with_its_file_and_line() {
    let files = Files::new(&[
        (
            "tollgate.yaml",
            "include: [more.yaml]
providers:
  - { id: openai, models: [{ id: gpt-4o, surfaces: [openai/embeddings, openai/chat-completions] }] }
  - id: metadata
    base_url: https://169.254.169.254/latest
  - id: public
    base_url: http://203.0.113.7
  - { id: groq, unsupported_parameters: [model] }
access_keys: []
",
        ),
        (
            "more.yaml",
            "providers:
  - id: lab
    base_url: https://h:0
    models:
      - id: a b
        aliases: [c]
      - { id: d, prices: { tiers: [{ above: 1 }] } }
      - id: e
        aliases:
          - f g
",
        ),
    ]);
    insta::assert_snapshot!(files.faults());
}

#[test]
fn plain_http_to_a_name_that_may_be_public_is_warned_about() {
    let url = |url: &str| {
        let yaml = format!(
            "providers: [{{ id: lab, base_url: '{url}' }}]\naccess_keys: [{{ id: a, sha256: '{}' }}]",
            "0".repeat(64)
        );
        Files::one(&yaml).warnings()
    };
    assert!(
        url("http://gpu.example.com")
            .contains("tollgate.yaml:1: providers[0].base_url: plain http"),
        "{}",
        url("http://gpu.example.com")
    );
    for near in [
        "http://ollama:11434",
        "http://a.internal",
        "http://localhost",
        "https://a.example.com",
        "http://10.0.0.1",
    ] {
        assert_eq!(url(near), "", "{near}");
    }
}

#[test]
fn faults_of_every_stage_are_reported_at_once_with_their_lines() {
    let files = Files::one(
        "proxy:
  listen: [':8080', 127.0.0.1:9090]
  threds: 4
  max_body: lots
timeouts: { total: 0s, hold: 10 }
proxi: {}
accounts:
  - id: a
  - id: a
providers:
  - id: opnai
    keys:
      - { id: k1, value: '${NOT_SET}' }
      - { id: k1, value: x, account: b }
  - id: mine
    bas_url: https://example.com
  - id: plain
    base_url: http://203.0.113.7
    headers: { Authorization: Bearer x, X-Fine: y, 'x bad': z }
    auth: bearr
    surfaces: [openai/chat]
    models:
      - { id: M }
      - { id: n, aliases: [m], prices: { input: 0.00000001 } }
  - id: openai
    keys: [{ id: k2, value: x }]
    managed_keys: [{ id: k3, value: x }]
configurations:
  - id: team
    access: { providers: { allow: [openia] }, models: { allow: [gpt-4o, plane/M] } }
    router:
      rules:
        - { provider: openai, model: openai/gpt-4o, steps: [{ type: user }] }
        - { steps: [{ type: user }] }
        - provider: openai
          steps:
            - { type: user, keys: [k3, k22] }
            - { type: manged }
access_keys:
  - { id: App, sha256: abc }
  - { id: app, configuration: tem, account: aa, sha256: '1111111111111111111111111111111111111111111111111111111111111111' }
  - { id: app, sha256: 'tg-app-g1-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }
  - { name: nobody }
demo: { listen: 0.0.0.0:8089 }
",
    );
    insta::assert_snapshot!(files.faults());
}

#[test]
fn ids_that_are_referred_to_must_exist_and_the_nearest_is_named() {
    let files = Files::one(
        "accounts: [{ id: research }]
providers:
  - id: openai
    keys: [{ id: o-user, value: x, account: reserch }]
    managed_keys: [{ id: o-house, value: x }]
  - { id: groq, keys: [{ id: g-user, value: x }] }
configurations:
  - id: team
    access: { providers: { allow: [openia, demo] }, models: { allow: [gpt-4o, opanai/gpt-4o] } }
    router:
      rules:
        - provider: openai
          steps:
            - { type: user, keys: [o-house, g-user, o-usr] }
            - { type: managed, keys: [o-user, nonsense] }
        - { model: OPENAI/x, steps: [{ type: user }] }
        - { model: groq/X, steps: [{ type: user }] }
        - { model: 'groq:x', steps: [{ type: user }] }
        - { provider: groq, steps: [] }
access_keys:
  - { id: app, account: reseach, configuration: tem, sha256: '1111111111111111111111111111111111111111111111111111111111111111' }
  - { id: web, sha256: '1111111111111111111111111111111111111111111111111111111111111111' }
",
    );
    insta::assert_snapshot!(files.faults());
}

#[test]
fn rules_for_one_model_are_for_the_same_however_it_is_written() {
    for other in [
        "openai:GPT-4o",
        "openai:openai/gpt-4o",
        "openai/openai/gpt-4o",
    ] {
        let files = Files::one(&format!(
            "configurations:\n  - id: a\n    router:\n      rules:\n        - {{ model: openai/gpt-4o, steps: [{{ type: managed }}] }}\n        - {{ model: '{other}', steps: [{{ type: managed }}] }}\n"
        ));
        let faults = files.faults();
        assert!(
            faults.contains("rules[1]: the rule at"),
            "{other}: {faults}"
        );
    }
}

#[test]
fn one_fault_in_a_list_does_not_make_others_of_what_refers_to_it() {
    let files = Files::one(
        "providers:
  - just text
configurations: [{ id: c, access: { providers: { allow: [mine] } } }]
",
    );
    assert_eq!(
        files.faults(),
        "tollgate.yaml:2: providers[0]: this is text, but a mapping belongs here"
    );
}

#[test]
fn what_is_not_yaml_has_its_line() {
    for (yaml, want) in [
        ("a: 1\nb: [1\nc: 2\n", "tollgate.yaml:3: not YAML: "),
        ("proxy:\n\tlisten: x\n", "tollgate.yaml:2: not YAML: "),
        (
            "proxy: {}\nadmin: {}\nproxy: {}\n",
            "tollgate.yaml:3: proxy: this key stands here twice; remove one of them",
        ),
        (
            "- a\n",
            "tollgate.yaml:1: this is a list, but a mapping belongs here",
        ),
        (
            "proxy: !thing {}\n",
            "tollgate.yaml:1: proxy: the tag `!thing` means nothing here; remove it",
        ),
    ] {
        let said = Files::one(yaml).faults();
        assert!(said.starts_with(want), "{yaml:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{yaml:?}: {said}");
    }
    let missing = tollgate_config::load(Path::new("no/such/file.yaml"), &nothing).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("no/such/file.yaml: cannot be read: "),
        "{missing}"
    );
}

#[test]
fn warnings_are_about_what_is_legal_and_hardly_meant() {
    let files = Files::one(
        "admin: { listen: 0.0.0.0:9090 }
timeouts: { per_request: 5m, total: 1m }
providers:
  - { id: lab, base_url: 'http://127.0.0.1:1', auth: none, keys: [{ id: k, value: x }] }
  - { id: openai, managed_keys: [{ id: m, value: x, account: default }] }
configurations:
  - id: c
    access: { providers: { allow: [] }, models: { allow: [openai/gpt-4o] } }
    router: { rules: [{ provider: openai, steps: [{ type: user, keys: [] }] }] }
",
    );
    insta::assert_snapshot!(files.warnings());
}

#[test]
fn deep_nesting_and_billion_laughs_are_refused() {
    let deep = format!("proxy: {}", "[".repeat(20_000));
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(b'b'..=b'j')
            .map(|c| {
                format!(
                    "{}: &{} [{}]\n",
                    c as char,
                    c as char,
                    vec![format!("*{}", (c - 1) as char); 9].join(",")
                )
            })
            .collect::<String>();
    for text in [deep, laughs, format!("{}1", "{a: ".repeat(5_000))] {
        assert!(Files::one(&text).load_with(&nothing).is_err());
    }
}
