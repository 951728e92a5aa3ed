//! What must hold for any text that is taken for a configuration.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tollgate_config::access::Snapshot;
use tollgate_config::catalog::Catalog;
use tollgate_config::{Config, Fault, Faults};
use tollgate_ledger::KeyKind;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Limit;

/// What `${SECRET}` stands for: no fault and no warning may ever show it.
const SECRET: &str = "sk-cr3dential-of-the-fuzzer-0123456789";

/// The whole environment.
fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(SECRET.to_owned()),
        "EMPTY" => Some(String::new()),
        "NUMBER" => Some("7".to_owned()),
        "DOLLAR" => Some("${SECRET}".to_owned()),
        _ => None,
    }
}

/// A text has faults, each with its place and its words, or it is a configuration that everything else can be
/// built from.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if leads_away(text) {
        return;
    }
    let parsed = tollgate_config::parse(text, &env);
    match (&parsed, tollgate_config::parse(text, &env)) {
        (Ok(config), Ok(again)) => assert_eq!(config.warnings, again.warnings, "as before"),
        (Err(faults), Err(again)) => assert_eq!(faults.faults, again.faults, "as before"),
        _ => panic!("the same text is valid and is not"),
    }
    match parsed {
        Ok(config) => {
            told(text, &config.warnings);
            usable(config);
            editors_agree(text);
        }
        Err(Faults { faults, sources }) => {
            assert!(!faults.is_empty(), "something is wrong");
            told(text, &faults);
            let shown = Faults { faults, sources };
            assert_eq!(
                shown.to_string().lines().count(),
                shown.faults.len(),
                "one line each:\n{shown}"
            );
        }
    }
}

/// Faults say where and what, on one line, and no credential.
fn told(text: &str, faults: &[Fault]) {
    // What YAML 1.1 ends a line with.
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = 1 + text.matches(breaks).count();
    // A reference anywhere else is the operator's own way of making a credential public.
    let credentials = ["value: ${SECRET}", "value: \"${SECRET}\""];
    let kept_secret = text.matches("SECRET").count()
        == credentials
            .map(|one| text.matches(one).count())
            .iter()
            .sum::<usize>();
    for fault in faults {
        let shown = fault.to_string();
        assert!(!fault.file.as_os_str().is_empty(), "a file: {shown}");
        assert!(!fault.message.is_empty(), "a message: {shown}");
        assert!(
            !shown.contains(char::is_control),
            "terminals are not told what to do: {shown:?}"
        );
        if fault.file.as_os_str() == "(text)" {
            assert!(
                fault
                    .line
                    .is_none_or(|line| (1..=lines + 1).contains(&line)),
                "a line of the text: {shown}"
            );
        }
        if kept_secret {
            assert!(!shown.contains(SECRET), "a credential: {shown}");
        }
    }
}

/// Everything that is made of a configuration can be made of this one, and finds what it mentions.
fn usable(config: Config) {
    assert!(config.needs_restart(&config).is_empty(), "it is what it is");
    assert!(
        config
            .accounts
            .iter()
            .any(|account| account.spec.id == "default")
    );
    assert!(config.proxy.threads > 0, "someone works");
    static BUILT_IN: OnceLock<Catalog> = OnceLock::new();
    let no_file = |_: &std::path::Path| Err("there are no files".to_owned());
    let catalog = match BUILT_IN
        .get_or_init(Catalog::built_in)
        .with(&config.providers, no_file)
    {
        Ok(catalog) => catalog,
        Err(faults) => {
            assert!(!faults.is_empty(), "something is wrong");
            for fault in faults {
                assert!(fault.path.starts_with("providers["), "{fault:?}");
                assert!(!fault.message.is_empty(), "{fault:?}");
            }
            return;
        }
    };
    for provider in &config.providers {
        let laid = catalog.provider(&provider.id).expect("a declared provider");
        for model in &provider.models {
            assert!(laid.model(&model.id).is_some(), "a declared model");
            assert!(
                catalog
                    .resolve(&format!("{}:{}", provider.id, model.id))
                    .is_ok(),
                "it can be called: {}:{}",
                provider.id,
                model.id
            );
        }
    }
    let config = Arc::new(config);
    let snapshot = Snapshot::build(config.clone(), Arc::new(catalog), 1);
    for configuration in &config.configurations {
        let known = snapshot.configuration(&configuration.id);
        let limits = &known.expect("a declared configuration").limits;
        let most = |limit: &Limit| (1..=NanoUsd::MOST.0).contains(&limit.most);
        assert!(limits.iter().all(most), "what can be counted: {limits:?}");
    }
    for grant in config.accounts.iter().flat_map(|account| &account.grants) {
        let positive = NanoUsd(1)..=NanoUsd::MOST;
        assert!(positive.contains(&grant.amount), "what a bank takes");
    }
    let ledger = &config.ledger;
    assert!(ledger.lease >= 3 * ledger.flush.max(ledger.timeout));
    for provider in &config.providers {
        for key in &provider.keys {
            let account = key.account.as_deref().unwrap_or("default");
            let ring = snapshot.provider_keys(&provider.id, account, KeyKind::User);
            assert!(ring.iter().any(|one| *one.id == *key.id), "its own key");
        }
        let managed = snapshot.provider_keys(&provider.id, "default", KeyKind::Managed);
        assert_eq!(managed.len(), provider.managed_keys.len());
        for key in provider.keys.iter().chain(&provider.managed_keys) {
            assert!(snapshot.provider_key(&key.id).is_some(), "a key by its id");
        }
    }
}

/// The schema that editors get accepts what we accept, as far as it is written out.
fn editors_agree(text: &str) {
    // What stands behind a reference is not the schema's business.
    if text.contains('$') {
        return;
    }
    let json: Value = tollgate_config::from_yaml(text).expect("a configuration is YAML");
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        jsonschema::validator_for(&tollgate_config::schema()).expect("the schema is a schema")
    });
    if let Some(error) = validator.iter_errors(&json).next() {
        panic!(
            "an editor would underline {}: {error}",
            error.instance_path()
        );
    }
}

/// Whether it may mention files elsewhere than under the working directory: what they hold, and how long listing
/// them takes, is no property of the input. Judged by its slashes, and rather too strictly.
fn leads_away(text: &str) -> bool {
    let escaped = ["\\x", "\\u", "\\U"];
    let inside = |before: &str| {
        before.ends_with(|c: char| c.is_ascii_alphanumeric())
            || ["]", "http:", "http:/", "https:", "https:/"]
                .iter()
                .any(|end| before.ends_with(end))
    };
    text.contains('/') && escaped.iter().any(|escape| text.contains(escape))
        || text.match_indices('/').any(|(at, _)| !inside(&text[..at]))
}
