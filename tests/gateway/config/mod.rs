//! Configuration as an operator meets it: the files we ship, the pages for people, and what is said about mistakes.

mod admin;
mod faults;
mod ledger;
mod limits;
mod pages;
mod references;
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
