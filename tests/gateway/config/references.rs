//! What a configuration takes from the environment, from other files, and from itself.

use super::*;

#[test]
fn anchors_and_merge_keys_work() {
    let config = Files::one(
        "timeouts: &patient { per_request: 90s }
providers:
  - { id: groq, timeouts: { <<: *patient, total: 100s } }
  - { id: openai, timeouts: *patient }
",
    )
    .load();
    assert_eq!(config.timeouts.per_request, Duration::from_secs(90));
    for provider in &config.providers {
        assert_eq!(
            provider.timeouts.overrides().per_request,
            Some(Duration::from_secs(90)),
            "{}",
            provider.id
        );
    }
}

#[test]
fn references_are_resolved_everywhere_and_credentials_come_from_files_too() {
    let files = Files::new(&[
        (
            "tollgate.yaml",
            "proxy: { threads: '${THREADS}', max_body: '${BODY:-1MiB}' }
failover: ${FAILOVER:-false}
providers:
  - id: openai
    headers: { X-Org: 'org-$${x}-${ORG}' }
    keys:
      - { id: a, value: '${KEY}' }
      - { id: b, value: 'file:secrets/b' }
      - { id: c, value: '${ABSENT:-}' }
      - { id: d, value: '${ABSENT:-fallback}' }
",
        ),
        ("secrets/b", "from-a-file\n"),
    ]);
    let env = |name: &str| match name {
        "THREADS" => Some("2".to_owned()),
        "ORG" => Some("o".to_owned()),
        "KEY" => Some("from-the-environment".to_owned()),
        _ => None,
    };
    let config = files
        .load_with(&env)
        .unwrap_or_else(|faults| panic!("not valid:\n{faults}"));
    assert_eq!(
        (config.proxy.threads, config.proxy.max_body, config.failover),
        (2, 1 << 20, false)
    );
    let provider = &config.providers[0];
    assert_eq!(provider.headers["X-Org"], "org-${x}-o");
    let keys: Vec<_> = provider
        .keys
        .iter()
        .map(|key| (key.id.as_str(), key.value.expose()))
        .collect();
    assert_eq!(
        keys,
        [
            ("a", "from-the-environment"),
            ("b", "from-a-file"),
            ("d", "fallback")
        ]
    );
    assert!(
        config.sources.files.contains(&files.path("secrets/b")),
        "a changed credential is noticed"
    );
}

#[test]
fn references_that_lead_nowhere_are_faults() {
    let files = Files::one(
        "providers:
  - id: openai
    base_url: https://${HOST}/v1
    keys:
      - { id: a, value: '${UNSET}' }
      - { id: b, value: '${EMPTY}' }
      - { id: c, value: 'file:nowhere' }
      - { id: d, value: '${not closed' }
      - { id: e, value: '${TWO_LINES}' }
      - { id: f, value: '' }
proxy: { threads: '${EMPTY}' }
",
    );
    let env = |name: &str| match name {
        "EMPTY" => Some(String::new()),
        "TWO_LINES" => Some("a\nb".to_owned()),
        _ => None,
    };
    insta::assert_snapshot!(files.faults_with(&env));
}

/// Every text of this configuration is a secret in the wrong place; none of it may be repeated.
#[test]
fn no_message_repeats_what_a_reference_brought() {
    let files = Files::one(
        "proxy: { listen: ['${S}'], max_body: '${S}', threads: '${S}' }
timeouts: { total: '${S}' }
failover: '${S}'
providers:
  - { id: openai, base_url: 'https://${S}@example.com', auth: '${S}', surfaces: ['${S}'], headers: { Authorization: '${S}' } }
  - { id: mine, base_url: '${S}', keys: [{ id: a, value: ['${S}'] }] }
  - { id: ours, base_url: 'http://${S}.example.com', models: [{ id: m, prices: { input: '${S}' } }] }
secrets: { master_key: '${S}', previous_keys: '${S}' }
admin: { public_url: '${S}', audit_retention: '${S}', api_keys: [{ id: '${S} ', role: '${S}', sha256: '${S}' }] }
access_keys: [{ id: app, sha256: '${S}' }, { id: token, sha256: 'tg-app-g1-hunter2hunter2hunter2hunter2hunter2' }]
",
    );
    let env = |_: &str| Some("hunter2hunter2hunter2hunter2".to_owned());
    let said = files.faults_with(&env);
    assert!(said.lines().count() > 8, "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let valid = Files::one("providers: [{ id: openai, keys: [{ id: a, value: '${S}' }] }]");
    let only = |name: &str| (name == "S").then(|| "hunter2hunter2hunter2hunter2".to_owned());
    let shown = format!("{:?}", valid.load_with(&only).unwrap());
    assert!(!shown.contains("hunter2hunter2hunter2hunter2"), "{shown}");
}

#[test]
fn included_files_are_appended_and_keep_their_own_lines() {
    let files = Files::new(&[
        (
            "tollgate.yaml",
            "include: [providers.d/*.yaml, keys.yaml, nothing.d/*.yaml]
proxy: { threads: 1 }
providers: [{ id: openai }]
",
        ),
        ("providers.d/a.yaml", "providers: [{ id: groq }]\n"),
        (
            "providers.d/b.yaml",
            "providers:\n  - id: lab\n    base_url: http://127.0.0.1:1\n",
        ),
        ("providers.d/ignored.txt", "not: yaml: at: all"),
        (
            "keys.yaml",
            "include: [deep/more.yaml]\nproxy: { max_body: 1MiB }\n",
        ),
        (
            "deep/more.yaml",
            "proxy: { drain: 1s }\nproviders: [{ id: deepseek, keys: [{ id: k, value: 'file:secret' }] }]\n",
        ),
        ("deep/secret", "beside the file that names it"),
    ]);
    let config = files.load();
    let ids: Vec<_> = config
        .providers
        .iter()
        .map(|provider| provider.id.as_str())
        .collect();
    assert_eq!(ids, ["openai", "groq", "lab", "deepseek"]);
    assert_eq!(
        (
            config.proxy.threads,
            config.proxy.max_body,
            config.proxy.drain.as_secs()
        ),
        (1, 1 << 20, 1)
    );
    assert_eq!(
        config.providers[3].keys[0].value.expose(),
        "beside the file that names it"
    );
    assert_eq!(config.sources.files.len(), 6);
    assert!(
        config
            .sources
            .directories
            .contains(&files.path("providers.d"))
    );
}

#[test]
fn faults_of_including() {
    let files = Files::new(&[
        (
            "tollgate.yaml",
            "include:
  - a.yaml
  - missing.yaml
  - b.yaml
  - sub/a.yaml
proxy: { threads: 1 }
failover: true
providers: [{ id: openai }]
",
        ),
        (
            "a.yaml",
            "failover: false\nproxy:\n  threads: 2\n  max_body: 1MB\n",
        ),
        (
            "b.yaml",
            "include: [tollgate.yaml]\nproviders:\n  - { id: groq }\n  - { id: openai }\n  - { id: x, bas_url: y }\n",
        ),
        (
            "sub/a.yaml",
            "include: [../a.yaml]\nproxy: { max_body: 2MB }\n",
        ),
    ]);
    insta::assert_snapshot!(files.faults());
}

#[test]
fn tls_and_certificate_files_are_read() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let yaml = "proxy: { tls: { listen: ['127.0.0.1:8443'], cert: tls.crt, key: tls.key } }
providers: [{ id: lab, base_url: 'https://lab.internal', ca: ca.pem }]
";
    let files = Files::new(&[
        ("tollgate.yaml", yaml),
        ("tls.crt", &made.cert.pem()),
        ("tls.key", &made.signing_key.serialize_pem()),
        ("ca.pem", &made.cert.pem()),
    ]);
    let config = files.load();
    let tls = config.proxy.tls.unwrap();
    let cert = files.path("tls.crt");
    assert_eq!(tls.identity.cert, cert, "relative to the file");
    assert_eq!(config.providers[0].ca, Some(files.path("ca.pem")));

    // A renewed certificate has the same path, and is another one all the same.
    let old = files.load();
    let same = |new: &Config| old.proxy.tls == new.proxy.tls;
    assert!(same(&files.load()));
    let renewed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(files.path("tls.crt"), renewed.cert.pem()).unwrap();
    let key = renewed.signing_key.serialize_pem();
    fs::write(files.path("tls.key"), key).unwrap();
    let new = files.load();
    assert!(!same(&new) && old.needs_restart(&new).is_empty());

    let files = Files::new(&[
        ("tollgate.yaml", yaml),
        ("tls.crt", "not PEM"),
        ("ca.pem", ""),
    ]);
    insta::assert_snapshot!(files.faults());
}
