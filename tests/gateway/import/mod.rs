//! `tollgate import`: other gateways' configurations, by the real binary.
//!
//! The files in `litellm/`, `bifrost/`, `portkey/` and `agentgateway/` have the shapes of configurations that people publish, written anew; every value is made up.
//! What begins with `planted` in them is a credential.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, access_key};
use crate::common::requests::{Request, from};
use crate::common::script::Script;
use crate::common::tollgate;
use serde_json::{Value, json};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The files of a gateway, in their order.
fn shapes(gateway: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/import");
    let entries = fs::read_dir(folder.join(gateway)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn import(gateway: &str, file: &Path) -> Output {
    tollgate(&["import", gateway, file.to_str().unwrap()])
}

/// Writes a configuration beside others and checks it, with every variable that it names set.
fn check(yaml: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tollgate.yaml");
    fs::write(&file, yaml).unwrap();
    let names = yaml.split("${").skip(1).map(|rest| {
        let end = rest.find([':', '}']).unwrap();
        &rest[..end]
    });
    let address = |name: &str| name.contains("BASE") || name.contains("ENDPOINT");
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["check", "--config"])
        .arg(&file)
        .envs(names.map(|name| {
            let value = match address(name) {
                true => "https://lab.example.com".to_owned(),
                false => name.to_lowercase(),
            };
            (name, value)
        }))
        .output()
        .unwrap()
}

/// Each file becomes what a snapshot holds, which is valid.
fn assert_imported(gateway: &str, least: usize) {
    let files = shapes(gateway);
    assert!(files.len() >= least, "the shapes were found");
    for file in files {
        let output = import(gateway, &file);
        let (yaml, said) = (out(&output), err(&output));
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        let told = format!("{yaml}---\n{said}");
        assert!(!told.contains("planted"), "{name}: a credential:\n{told}");
        let checked = check(&yaml);
        let faults = err(&checked);
        assert_eq!(checked.status.code(), Some(0), "{name}: {faults}\n{yaml}");
        let snapshot = format!("{gateway}-{name}");
        insta::assert_snapshot!(snapshot.as_str(), told);
    }
}

#[test]
fn what_people_have_for_litellm_becomes_a_valid_configuration() {
    assert_imported("litellm", 20);
}

#[test]
fn what_people_have_for_bifrost_becomes_a_valid_configuration() {
    assert_imported("bifrost", 5);
}

#[test]
fn what_people_have_for_portkey_becomes_a_valid_configuration() {
    assert_imported("portkey", 5);
}

#[test]
fn what_people_have_for_agentgateway_becomes_a_valid_configuration() {
    assert_imported("agentgateway", 5);
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    for (text, wanted) in [
        (
            "model_list:\n  - model_name: a\n    litellm_params: {}\n",
            ":2: model_list[0]: `litellm_params.model` is missing; write a `model_name`",
        ),
        (
            "model_list:\n  - litellm_params: { model: openai/a }\n",
            ":2: model_list[0]: `model_name` is missing",
        ),
        (
            "model_list:\n  a: openai/a\n",
            ":1: model_list: `model_list` is no list",
        ),
        (
            "model_list: []\nlitellm_settings: {}\nlitellm_settings: {}\n",
            ":3: litellm_settings: this key stands here twice; remove one of them",
        ),
        (
            "proxy: { listen: [] }\n",
            ": this is no configuration of LiteLLM's proxy; give the file of `litellm --config`",
        ),
        ("model_list: [\n", ": not YAML: "),
        (
            "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n      api_base: https://me:planted@host/v1\n",
            ":5: model_list[0].litellm_params.api_base: a base URL carries no user or password",
        ),
    ] {
        let file = dir.path().join("config.yaml");
        fs::write(&file, text).unwrap();
        let output = import("litellm", &file);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(said.contains(wanted), "{wanted} is missing:\n{said}");
        assert!(!said.contains("planted"), "{said}");
        assert_eq!(out(&output), "", "nothing else is printed");
    }
    let other = dir.path().join("other.json");
    fs::write(&other, "{\"models\": []}").unwrap();
    let output = import("bifrost", &other);
    let said = err(&output);
    assert!(
        said.contains("this is no configuration of Bifrost's; give Bifrost's config.json"),
        "{said}"
    );
    for (gateway, text, wanted) in [
        (
            "portkey",
            "{\"retry\": {\"attempts\": 3}}",
            "this is no config of Portkey's",
        ),
        (
            "portkey",
            "{\"provider\": \"openai\", \"api_key\": \"planted\",\n\"custom_host\": \"ftp://host\"}",
            ":2: custom_host: ",
        ),
        (
            "agentgateway",
            "mcp: { targets: [] }\n",
            "give the file of `agentgateway -f`",
        ),
        (
            "agentgateway",
            "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\n",
            "a resource of Kubernetes",
        ),
        (
            "agentgateway",
            "llm:\n  models:\n  - provider: openAI\n",
            ":3: llm.models[0]: `name` is missing",
        ),
    ] {
        let file = dir.path().join("other.yaml");
        fs::write(&file, text).unwrap();
        let output = import(gateway, &file);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(said.contains(wanted), "{wanted} is missing:\n{said}");
        assert!(!said.contains("planted"), "{said}");
    }
    let missing = import("litellm", &dir.path().join("none.yaml"));
    assert!(
        err(&missing).contains("none.yaml: cannot be read: "),
        "{}",
        err(&missing)
    );
}

/// A name of the imported file is called, and what it falls back on answers.
#[tokio::test]
async fn what_was_imported_fails_over_as_the_file_says() {
    let first = Fake::start(Wire::H1, Script::error(500, "down")).await;
    let second = Fake::start(Wire::H1, Script::chat(false, "from the second")).await;
    let text = format!(
        "model_list:
  - model_name: house
    litellm_params: {{ model: openai/one, api_base: '{}', api_key: planted }}
  - model_name: spare
    litellm_params: {{ model: openai/two, api_base: '{}', api_key: none }}
litellm_settings: {{ fallbacks: [{{ house: [spare] }}] }}
router_settings: {{ model_group_alias: {{ gpt-4: house }} }}
",
        first.base_url(),
        second.base_url()
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    fs::write(&file, text).unwrap();
    let output = import("litellm", &file);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let mut imported: Value = tollgate_config::from_yaml(&out(&output)).unwrap();
    let reference = imported["providers"][0]["keys"][0]["value"]
        .as_str()
        .unwrap();
    let variable = reference
        .trim_start_matches("${")
        .trim_end_matches(":-}")
        .to_owned();
    imported["access_keys"] = json!([access_key("app", &json!({ "configuration": "litellm" }))]);
    let gateway = Gateway::builder()
        .config(imported)
        .env(&variable, "KEY-of-the-house")
        .start()
        .await;
    for name in ["house", "gpt-4"] {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        let answer = client
            .ask(&from("app", Request::chat(&[name], false)))
            .await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        assert!(
            answer.text().contains("from the second"),
            "{}",
            answer.text()
        );
    }
    let seen = first.seen();
    let sent = seen.first().unwrap();
    assert_eq!(
        sent.header("authorization"),
        Some("Bearer KEY-of-the-house")
    );
    assert_eq!(sent.json()["model"], "one");
    let sent = second.seen();
    assert_eq!(
        sent[0].header("authorization"),
        None,
        "a placeholder is no key"
    );
    assert_eq!(sent[0].json()["model"], "two");
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let other = client
        .ask(&from("app", Request::chat(&["openai:gpt-4o"], false)))
        .await;
    assert_eq!(
        other.status(),
        422,
        "what the file does not list is not allowed"
    );
}
