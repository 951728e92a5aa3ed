//! Configuration as an operator meets it: the files we ship, the pages for people, and what is said about mistakes.

mod admin;
mod ledger;
mod limits;
mod pages;
mod secrets;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tollgate_config::access::{AuthError, Snapshot};
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::MasterKey;
use tollgate_config::secrets::Role;
use tollgate_config::{AccessLog, Config, Faults, Timeouts};
use tollgate_ledger::KeyKind;

const DEMO_TOKEN: &str = "tg-demo-g1-DemoDemoDemoDemoDemoDemoDemoDemo";

fn nothing(_: &str) -> Option<String> {
    None
}

fn everything(name: &str) -> Option<String> {
    Some(match name {
        // A key may have any digits, but not any length.
        "TOLLGATE_MASTER_KEY" => "0123456789abcdef".repeat(4),
        "TOLLGATE_MASTER_KEY_PREVIOUS" => "fedcba9876543210".repeat(4),
        "ALERTS_SECRET" => "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned(),
        "SLACK_WEBHOOK" => "https://hooks.example.com/services/T0/B0/x".to_owned(),
        name => format!("value-of-{name}"),
    })
}

/// A directory of files, of which `tollgate.yaml` is loaded.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Files {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Files(dir)
    }

    fn one(yaml: &str) -> Files {
        Files::new(&[("tollgate.yaml", yaml)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load_with(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
        tollgate_config::load(&self.path("tollgate.yaml"), env)
    }

    fn load(&self) -> Config {
        self.load_with(&nothing)
            .unwrap_or_else(|faults| panic!("not valid:\n{faults}"))
    }

    /// What is printed about the faults, without the directory's random name.
    fn faults(&self) -> String {
        self.faults_with(&nothing)
    }

    fn faults_with(&self, env: &dyn Fn(&str) -> Option<String>) -> String {
        let faults = self.load_with(env).map(|_| ()).expect_err("a fault");
        self.shown(&faults.to_string())
    }

    fn warnings(&self) -> String {
        let warnings: Vec<String> = self
            .load()
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        self.shown(&warnings.join("\n"))
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn account_ids(config: &Config) -> Vec<&str> {
    let ids = config.accounts.iter().map(|account| &*account.spec.id);
    ids.collect()
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_file_that_we_ship_is_valid() {
    let mut count = 0;
    let shipped = ["conf", "deploy/etc"].map(|dir| fs::read_dir(root(dir)).unwrap());
    for entry in shipped.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            tollgate_config::load(&path, &everything)
                .unwrap_or_else(|faults| panic!("not valid:\n{faults}"));
            count += 1;
        }
    }
    assert!(count >= 4, "conf/ and deploy/ have their files");
}

#[test]
fn the_demo_and_the_starting_point_need_no_environment() {
    for file in ["conf/demo.yaml", "conf/tollgate.yaml"] {
        let config = tollgate_config::load(&root(file), &nothing)
            .unwrap_or_else(|faults| panic!("not valid:\n{faults}"));
        assert!(
            config
                .providers
                .iter()
                .all(|provider| provider.keys.is_empty()),
            "{file}: optional keys are left out"
        );
    }
}

#[test]
fn an_empty_file_is_a_configuration_of_defaults() {
    for yaml in [
        "",
        "# nothing\n",
        "proxy:\ntimeouts: null\nlimits: { max_input_tokens: null }\n",
    ] {
        let config = Files::one(yaml).load();
        assert_eq!(
            config.proxy.listen,
            ["127.0.0.1:8080".parse::<SocketAddr>().unwrap()]
        );
        assert_eq!(config.admin.listen, "127.0.0.1:9090".parse().unwrap());
        assert!(
            config.proxy.threads >= 1,
            "0 has become the number of cores"
        );
        assert_eq!(
            (config.proxy.max_body, config.proxy.max_headers),
            (32 << 20, 64 << 10)
        );
        assert_eq!(config.proxy.max_in_flight, None);
        assert_eq!(config.proxy.drain, Duration::from_secs(600));
        assert_eq!(config.timeouts, Timeouts::default());
        assert_eq!(config.log, AccessLog::Stdout);
        assert_eq!(account_ids(&config), ["default"]);
        assert!(config.failover);
    }
}

#[test]
fn what_is_written_is_what_is_read() {
    let config = Files::one(
        "proxy: { listen: ['127.0.0.1:1', '[::1]:2'], threads: 3, max_body: 1MB, max_in_flight: 7, drain: 0s }
admin: { listen: 127.0.0.1:3 }
timeouts: { per_request: 1s, total: 1m30s, keepalive: 0 }
limits: { max_input_tokens: 5 }
failover: false
log: { access: /var/log/tollgate.jsonl }
accounts: [{ id: a }]
demo: { listen: 127.0.0.1:4 }
",
    )
    .load();
    assert_eq!(
        config.proxy.listen,
        ["127.0.0.1:1", "[::1]:2"].map(|text| text.parse::<SocketAddr>().unwrap())
    );
    assert_eq!(
        (
            config.proxy.threads,
            config.proxy.max_body,
            config.proxy.max_in_flight
        ),
        (3, 1_000_000, Some(7))
    );
    assert_eq!(config.proxy.drain, Duration::ZERO);
    assert_eq!(config.timeouts.total, Duration::from_secs(90));
    assert_eq!(config.timeouts.keepalive, Duration::ZERO);
    assert_eq!(
        config.timeouts.hold,
        Duration::from_secs(10),
        "what is not written keeps its default"
    );
    assert_eq!(config.limits.max_input_tokens, Some(5));
    assert!(!config.failover);
    assert_eq!(
        config.log,
        AccessLog::File("/var/log/tollgate.jsonl".into())
    );
    assert_eq!(account_ids(&config), ["default", "a"]);
    let demo = config.providers.last().unwrap();
    assert_eq!(
        (demo.id.as_str(), demo.base_url.as_deref()),
        ("demo", Some("http://127.0.0.1:4/v1"))
    );
}

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
fn a_snapshot_answers_who_calls_and_with_which_keys() {
    let config = tollgate_config::load(&root("conf/demo.yaml"), &everything).unwrap();
    let snapshot = Snapshot::build(Arc::new(config), Arc::new(Catalog::default()), 1);
    let key = snapshot.authenticate(DEMO_TOKEN).unwrap();
    assert_eq!((&*key.id, &*key.account), ("demo", "default"));
    assert!(key.configuration.is_none());
    for (token, want) in [
        ("", AuthError::Malformed),
        ("sk-proj-x", AuthError::Malformed),
        (
            "tg-demo-g1-DemoDemoDemoDemoDemoDemoDemoDemp",
            AuthError::Unknown,
        ),
        (
            "tg-dem0-g1-DemoDemoDemoDemoDemoDemoDemoDemo",
            AuthError::Unknown,
        ),
    ] {
        assert_eq!(
            snapshot.authenticate(token).map(|_| ()),
            Err(want),
            "{token}"
        );
    }
    let ids = |provider, account, kind| -> Vec<String> {
        snapshot
            .provider_keys(provider, account, kind)
            .iter()
            .map(|key| key.id.to_string())
            .collect()
    };
    assert_eq!(ids("openai", "default", KeyKind::User), ["openai-env"]);
    assert_eq!(
        ids("openai", "someone", KeyKind::User),
        Vec::<String>::new(),
        "another account's keys are not used"
    );
    assert_eq!(
        ids("openai", "default", KeyKind::Managed),
        Vec::<String>::new()
    );
    assert_eq!(
        ids("demo", "anyone", KeyKind::User),
        ["demo-none"],
        "no credential is needed"
    );
    assert_eq!(
        ids("nobody", "default", KeyKind::User),
        Vec::<String>::new()
    );
    assert_eq!(
        snapshot.provider_key("openai-env").unwrap().value.expose(),
        "value-of-OPENAI_API_KEY"
    );

    let config = tollgate_config::load(&root("conf/team.yaml"), &everything).unwrap();
    let snapshot = Snapshot::build(Arc::new(config), Arc::new(Catalog::default()), 2);
    let ids = |account, kind| -> Vec<String> {
        snapshot
            .provider_keys("openai", account, kind)
            .iter()
            .map(|key| key.id.to_string())
            .collect()
    };
    assert_eq!(
        ids("product", KeyKind::User),
        ["openai-product-1", "openai-product-2"]
    );
    assert_eq!(ids("research", KeyKind::User), ["openai-research"]);
    assert_eq!(
        ids("research", KeyKind::Managed),
        ["openai-house"],
        "managed keys serve every account"
    );
    let product = snapshot.configuration("product").unwrap();
    assert!(
        product.allows_model("anthropic", "Claude-Sonnet-4-5") && !product.allows_provider("lab")
    );
}

#[test]
fn the_schema_knows_every_field_and_takes_references() {
    let schema = tollgate_config::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in ["conf/demo.yaml", "conf/tollgate.yaml", "conf/team.yaml"] {
        let yaml: serde_json::Value =
            tollgate_config::from_yaml(&fs::read_to_string(root(file)).unwrap()).unwrap();
        assert!(
            validator.is_valid(&yaml),
            "{file}: {:?}",
            validator.iter_errors(&yaml).next()
        );
    }
    assert!(validator.is_valid(&serde_json::json!({ "proxy": { "max_body": "${BODY}" }, "limits": { "max_input_tokens": null } })));
    assert!(!validator.is_valid(&serde_json::json!({ "proxy": { "max_body": "lots" } })));
    assert!(!validator.is_valid(&serde_json::json!({ "proxi": {} })));
    assert!(
        schema.to_string().contains("Where the API is."),
        "editors show the documentation"
    );
}

#[test]
fn the_command_line_checks_prints_and_makes_keys() {
    let tollgate = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(args)
            .env_remove("TOLLGATE_CONFIG")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, _) = tollgate(&["check", "--config", "conf/demo.yaml"]);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with("conf/demo.yaml: valid: 5 providers, "),
        "{out}"
    );

    let files = Files::one("providers:\n  - id: x\n    bas_url: y\n");
    let path = files.path("tollgate.yaml");
    let (code, out, err) = tollgate(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        files.shown(&err),
        "tollgate.yaml:3: providers[0].bas_url: unknown field; did you mean `base_url`?\ntollgate.yaml: 1 fault\n"
    );

    let (code, out, _) = tollgate(&["key", "new", "--id", "app", "--name", "Web app"]);
    assert_eq!(code, Some(0));
    let (token, rest) = out.split_once("\n\n").unwrap();
    let entry = &rest[rest.find("access_keys:").unwrap()..];
    let config = Files::one(entry).load();
    let snapshot = Snapshot::build(Arc::new(config), Arc::new(Catalog::default()), 1);
    assert_eq!(
        snapshot.authenticate(token).unwrap().name.as_deref(),
        Some("Web app")
    );
    assert!(!entry.contains(token), "the entry does not hold the token");

    let asked = ["--admin", "--role", "read-only", "--name", "On call"];
    let (code, out, _) = tollgate(&[&["key", "new"], &asked[..]].concat());
    assert_eq!(code, Some(0));
    let (token, rest) = out.split_once("\n\n").unwrap();
    let entry = &rest[rest.find("admin:").unwrap()..];
    let config = Files::one(entry).load();
    let key = &config.admin.api_keys[0];
    assert_eq!((&*key.id, key.spec.role), ("root", Some(Role::ReadOnly)));
    assert_eq!(key.spec.name.as_deref(), Some("On call"));
    assert_eq!(key.digest, tollgate_config::secrets::token::digest(token));
    assert_eq!(
        tollgate_config::secrets::token::parse_admin(token)
            .unwrap()
            .id,
        "root"
    );
    for wrong in [
        &["--id", "Not An Id"][..],
        &["--admin", "--id", "Not An Id"],
        &["--admin", "--role", "root"],
        &["--admin", "--configuration", "team-a"],
        &["--id", "app", "--role", "full"],
        &[],
    ] {
        let (code, out, _) = tollgate(&[&["key", "new"], wrong].concat());
        assert_eq!((code, &*out), (Some(2), ""), "{wrong:?}");
    }

    let (code, out, err) = tollgate(&["secrets", "generate"]);
    assert_eq!(code, Some(0));
    let key = MasterKey::parse(&out).unwrap();
    assert_eq!(out.trim_end().len(), 64, "{out}");
    assert!(
        err.contains(key.id()) && err.contains("TOLLGATE_MASTER_KEY"),
        "{err}"
    );
    assert!(
        !err.contains(out.trim_end()),
        "only what is piped away holds it"
    );

    let (code, out, _) = tollgate(&["schema"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&out).unwrap(),
        tollgate_config::schema()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A file that is cut, joined or scrambled is valid or has faults on lines it has; nothing panics.
    #[test]
    fn a_damaged_file_is_refused_and_nothing_worse(
        from in 0usize..90, to in 0usize..90, insert in "[a-z{}\\[\\]:,&*!|>'\"%@ \\-\n\t$]{0,12}", at in 0usize..2000,
    ) {
        let whole = include_str!("../../../conf/team.yaml");
        let mut lines: Vec<&str> = whole.lines().collect();
        lines.swap(from, to);
        lines.remove(from);
        let mut text = lines.join("\n");
        text.insert_str(at.min(text.len()), &insert);
        if let Err(faults) = Files::one(&text).load_with(&everything) {
            prop_assert!(!faults.faults.is_empty());
            for fault in &faults.faults {
                prop_assert!(fault.line.is_some_and(|line| line <= text.lines().count() + 1), "{}\n{}", fault, text);
            }
        }
    }

    #[test]
    fn any_text_is_refused_or_valid(text in "\\PC{0,60}|[a-z:\\-\\[\\]{}#&*?!|>%@`\"' \n\t,]{0,80}") {
        drop(Files::one(&text).load_with(&everything));
    }
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
