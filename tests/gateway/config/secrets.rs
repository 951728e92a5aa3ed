//! Master keys, as an operator sets them.

use tollgate_base::Secret;
use tollgate_config::secrets::MasterKey;
use tollgate_config::{Config, Faults};

use super::Files;

fn hex(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn id(digit: char) -> String {
    MasterKey::parse(&hex(digit)).unwrap().id().to_owned()
}

/// The current key's id, and the previous ones'.
fn ids(config: &Config) -> (Option<String>, Vec<String>) {
    let ring = &config.secrets;
    let previous = ring.previous_ids().map(str::to_owned);
    (ring.current_id().map(str::to_owned), previous.collect())
}

/// With an environment of the given variables.
fn load(files: &Files, variables: &[(&str, String)]) -> Result<Config, Faults> {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| (format!("TOLLGATE_MASTER_KEY{name}"), value.clone()))
        .collect();
    files.load_with(&move |name| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    })
}

#[test]
fn the_environment_brings_the_keys_unless_the_file_does() {
    let silent = Files::one("");
    let config = load(&silent, &[("", hex('a'))]).unwrap();
    assert_eq!(ids(&config), (Some(id('a')), vec![]));

    let previous = format!("{}, {},", hex('b'), hex('c'));
    let both = [("", hex('a')), ("_PREVIOUS", previous)];
    let config = load(&silent, &both).unwrap();
    assert_eq!(ids(&config), (Some(id('a')), vec![id('b'), id('c')]));

    let files = Files::new(&[
        (
            "tollgate.yaml",
            "secrets: { master_key: 'file:keys/new', previous_keys: ['${TOLLGATE_MASTER_KEY}', '${OLDER:-}', 'file:keys/old'] }",
        ),
        ("keys/new", &format!("{}\n", hex('d'))),
        ("keys/old", &hex('e')),
    ]);
    let config = load(&files, &both).unwrap();
    assert_eq!(ids(&config), (Some(id('d')), vec![id('a'), id('e')]));
    for file in ["keys/new", "keys/old"] {
        assert!(
            config.sources.files.contains(&files.path(file)),
            "a changed key is noticed: {file}"
        );
    }
    let sealed = config.secrets.seal(&Secret::new("sk-1"), "x").unwrap();
    assert!(config.secrets.clone().open(&sealed, "x").is_ok());
}

#[test]
fn no_key_is_no_fault_until_something_is_to_be_sealed() {
    for files in ["", "secrets: { master_key: '${ABSENT:-}' }"].map(Files::one) {
        for value in ["", " "] {
            let config = load(&files, &[("", value.to_owned())]).unwrap();
            assert_eq!(ids(&config), (None, vec![]));
            assert!(
                !config
                    .warnings
                    .iter()
                    .any(|warning| warning.path.starts_with("secrets"))
            );
            let error = config.secrets.seal(&Secret::new("x"), "x").unwrap_err();
            assert!(error.to_string().contains("set TOLLGATE_MASTER_KEY"));
        }
    }
    let config = load(&Files::one(""), &[("_PREVIOUS", hex('a'))]).unwrap();
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("secrets.previous_keys: previous keys only open")),
        "{warnings:?}"
    );
}

#[test]
fn faults_of_keys_name_the_place_and_never_the_key() {
    let files = Files::new(&[
        (
            "tollgate.yaml",
            "secrets:
  master_key: hunter2
  previous_keys:
    - \"${LONG}\"
    - file:keys/bad
    - file:keys/none
    - ''
",
        ),
        ("keys/bad", "hunter2/hunter2/hunter2/hunter2/hunter2/hunt"),
    ]);
    let env = |name: &str| (name == "LONG").then(|| "hunter2!".repeat(8));
    let said = files.faults_with(&env);
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said);
    // What YAML takes for a number.
    let digits = "1234567890".repeat(4);
    for yaml in [
        format!("secrets: {{ master_key: {digits} }}"),
        format!("secrets: {{ previous_keys: [{digits}] }}"),
        format!("secrets: {{ previous_keys: '{digits}' }}"),
        format!("secrets: '{digits}'"),
    ] {
        let said = Files::one(&yaml).faults();
        assert!(
            said.contains("belongs here") || said.contains("this is no master key"),
            "{said}"
        );
        assert!(!said.contains("12345"), "{said}");
    }

    let variables = [
        ("", "hunter2".to_owned()),
        ("_PREVIOUS", format!("{},hunter2", hex('a'))),
    ];
    let said = load(&Files::one("proxy: {}"), &variables)
        .unwrap_err()
        .to_string();
    assert!(!said.contains("hunter2"), "{said}");
    for (place, variable) in [
        ("master_key", "TOLLGATE_MASTER_KEY"),
        ("previous_keys", "TOLLGATE_MASTER_KEY_PREVIOUS, key 2"),
    ] {
        let said_there = format!(
            "secrets.{place}: the environment variable {variable}: this is no master key: it has 7 characters"
        );
        assert!(said.contains(&said_there), "{said}");
    }
}

#[test]
fn a_configuration_does_not_show_its_keys() {
    let config = load(&Files::one(""), &[("", hex('a'))]).unwrap();
    let shown = format!("{config:?}");
    assert!(
        shown.contains(&id('a')) && !shown.contains("aaaa"),
        "{shown}"
    );
}
