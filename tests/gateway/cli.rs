//! The command line, as a shell sees it: output, standard error, exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common;
use crate::common::client::{Client, Version};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::{PATIENCE, certs, tollgate};
use serde_json::{Value, json};

/// For what ends by itself; a gateway that runs after all is ended.
async fn run_fails(config: &Path) -> (Option<i32>, String) {
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("an end, not a running gateway")
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn check_prints_a_line_a_fault_and_exits_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.yaml");
    let text = "proxy: { threds: 2 }
providers:
  - { id: openai }
  - id: lab
    base_url: https://169.254.169.254
    models:
      - id: m
        prices: { tiers: [{ above: 1, input: 1 }, { above: 1 }] }
      - id: n
        aliases: [m]
";
    std::fs::write(&file, text).unwrap();
    let output = tollgate(&["check", "--config", file.to_str().unwrap()]);
    let said = err(&output).replace(dir.path().to_str().unwrap(), "conf");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(out(&output), "", "faults go to standard error");
    for line in [
        "conf/x.yaml:1: proxy.threds: unknown field; did you mean `threads`?",
        "conf/x.yaml:5: providers[1].base_url: 169.254.169.254 must not be called",
        "conf/x.yaml:8: providers[1].models[0].prices.tiers[1].above: ",
        "conf/x.yaml:10: providers[1].models[1].aliases[0]: ",
        "conf/x.yaml: 4 faults",
    ] {
        assert!(
            said.lines().any(|said| said.starts_with(line)),
            "{line} is missing in:\n{said}"
        );
    }
    assert_eq!(said.lines().count(), 5, "nothing is said twice:\n{said}");
}

#[test]
fn check_accepts_every_configuration_that_is_shipped() {
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/conf")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            count += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text
                .split("${")
                .skip(1)
                .filter_map(|rest| rest.split_once('}'));
            let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
                .args(["check", "--config"])
                .arg(&path)
                .envs(names.map(|(name, _)| (name.split(':').next().unwrap(), "x")))
                .output()
                .unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{}: {}",
                path.display(),
                err(&output)
            );
            assert!(out(&output).contains(": valid: "), "{}", out(&output));
        }
    }
    assert!(count >= 3, "the files in conf/ were found");
}

#[test]
fn the_schema_describes_every_field() {
    let output = tollgate(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(jsonschema::meta::is_valid(&schema), "a valid JSON Schema");
    let tops = schema["properties"].as_object().unwrap();
    for top in ["proxy", "providers", "configurations", "access_keys"] {
        assert!(tops.contains_key(top), "{top}");
    }
    let definitions = schema["$defs"].as_object().unwrap();
    let objects = definitions.values().chain([&schema]);
    for (name, field) in objects
        .filter_map(|object| object["properties"].as_object())
        .flatten()
    {
        let described = |value: &Value| value["description"].is_string();
        assert!(described(field), "`{name}` has no description: {field}");
    }
}

#[tokio::test]
async fn a_new_key_authenticates_once_its_entry_is_pasted() {
    let arguments = ["key", "new", "--id", "web-1", "--name", "Web: \"app\" #1"];
    let output = tollgate(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let token = text.lines().next().unwrap();
    assert!(token.starts_with("tg-web-1-g1-"), "{token}");
    assert_eq!(text.matches(token).count(), 1, "shown once");
    let (_, entry) = text.split_once("\naccess_keys:\n").expect("an entry");
    let entry: Value = tollgate_config::from_yaml(&format!("access_keys:\n{entry}")).unwrap();
    assert_eq!(entry["access_keys"][0]["name"], "Web: \"app\" #1");

    let gateway = Gateway::builder().config(entry).start().await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let with = |token: &str| {
        Request::get("/v1/models")
            .without("authorization")
            .header("authorization", &format!("Bearer {token}"))
    };
    assert_eq!(client.ask(&with(token)).await.status(), 200);
    let other = out(&tollgate(&arguments));
    let other = other.lines().next().unwrap();
    assert_ne!(token, other, "every token is new");
    assert_eq!(client.ask(&with(other)).await.status(), 401);
}

#[test]
fn a_key_needs_a_sound_id() {
    let output = tollgate(&["key", "new", "--id", "Web App"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("lowercase"), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn the_catalog_lists_and_filters() {
    let output = tollgate(&["catalog", "models", "--filter", "gpt-4o"]);
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert!(rows.len() >= 2, "{text}");
    assert!(rows.iter().all(|row| row.contains("gpt-4o")), "{text}");

    let output = tollgate(&["catalog", "providers", "--json"]);
    let providers: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ids: Vec<&str> = providers
        .as_array()
        .unwrap()
        .iter()
        .map(|provider| provider["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 11, "{ids:?}");
    assert_eq!(ids[..2], ["openai", "anthropic"]);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.yaml");
    let yaml = "providers: [{ id: lab, base_url: 'http://127.0.0.1:1', models: [{ id: llama }] }]";
    std::fs::write(&file, yaml).unwrap();
    let arguments = ["catalog", "models", "--filter", "llama", "--config"];
    let output = tollgate(&[&arguments[..], &[file.to_str().unwrap()]].concat());
    assert!(
        out(&output).lines().any(|row| row.contains("lab")),
        "what a configuration adds is listed: {}{}",
        out(&output),
        err(&output)
    );
}

#[test]
fn one_model_is_shown_with_all_that_is_known_of_it() {
    let output = tollgate(&["catalog", "show", "claude-opus-5-5"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for word in [
        "anthropic:claude-opus-5-5",
        "context window    1,000,000 tokens",
        "speed=fast",
        "cache_write_1h",
        "https://platform.claude.com/docs/en/build-with-claude/fast-mode",
    ] {
        assert!(out(&output).contains(word), "{word}: {}", out(&output));
    }
    // By id, alias, or with its provider in front; options may stand before and behind.
    for arguments in [
        &["catalog", "show", "gpt-4o-2024-08-06", "--json"][..],
        &["catalog", "--json", "show", "openai/gpt-4o"],
        &["catalog", "show", "--json", "openai:gpt-4o"],
    ] {
        let output = tollgate(arguments);
        let model: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(model["id"], "gpt-4o", "{arguments:?}");
        assert_eq!(model["capabilities"]["temperature"], true, "{model}");
        let figures = model["figures"].as_array().unwrap();
        assert!(
            figures.iter().all(|figure| figure["from"].is_string()),
            "{model}"
        );
    }
    for (arguments, code, said) in [
        (
            &["catalog", "show", "gpt-4o-mni"][..],
            1,
            "did you mean gpt-4o-mini",
        ),
        (
            &["catalog", "show", "openai:gpt-99"],
            1,
            "nothing is known of openai:gpt-99",
        ),
        (
            &["catalog", "show", "gpt-4o", "--filter", "x"],
            2,
            "--filter is for lists",
        ),
        (&["catalog", "show"], 2, "<MODEL>"),
    ] {
        let output = tollgate(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(
            err(&output).contains(said),
            "{arguments:?}: {}",
            err(&output)
        );
        assert_eq!(out(&output), "", "{arguments:?}");
    }
}

#[test]
fn help_says_what_there_is() {
    let output = tollgate(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for word in ["run", "check", "schema", "key", "catalog", "Examples:"] {
        assert!(out(&output).contains(word), "{word}: {}", out(&output));
    }
    for command in ["run", "check", "schema", "catalog"] {
        let output = tollgate(&[command, "--help"]);
        assert!(out(&output).contains("Examples:"), "{command}");
    }
    assert_eq!(
        tollgate(&["rnu"]).status.code(),
        Some(2),
        "a command line that is not valid"
    );
}

#[tokio::test]
async fn run_says_what_to_do_when_it_cannot_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tollgate.yaml");
    let (code, said) = run_fails(&file).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("cannot be read") && said.contains("--config"),
        "{said}"
    );

    // Busy ports, each by its setting.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let free = || format!("127.0.0.1:{}", common::free_port());
    for setting in ["proxy.listen", "admin.listen", "demo.listen"] {
        let at = |name: &str| {
            if name == setting {
                taken.to_string()
            } else {
                free()
            }
        };
        let config = json!({
            "proxy": {"listen": [at("proxy.listen")]},
            "admin": {"listen": at("admin.listen")},
            "demo": {"listen": at("demo.listen")},
        });
        std::fs::write(&file, config.to_string()).unwrap();
        let (code, said) = run_fails(&file).await;
        assert_eq!(code, Some(1), "{setting}: {said}");
        assert!(
            said.contains(&format!("cannot listen on {taken}"))
                && said.contains(&format!("change `{setting}`")),
            "{setting}: {said}"
        );
    }

    // Certificates: none, not PEM, PEM around nothing, and a key of another certificate.
    let (certificate, key) = certs::leaf_pem();
    let (_, other) = certs::leaf_pem();
    let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (certificate, key, words) in [
        (
            "",
            key.as_str(),
            ["proxy.tls.cert", "does not hold a certificate"],
        ),
        (
            certificate.as_str(),
            "junk",
            ["proxy.tls.key", "does not hold"],
        ),
        (hollow, key.as_str(), ["proxy.tls", "certificate"]),
        (certificate.as_str(), other.as_str(), ["proxy.tls", "key"]),
    ] {
        std::fs::write(dir.path().join("tls.crt"), certificate).unwrap();
        std::fs::write(dir.path().join("tls.key"), key).unwrap();
        let config = json!({
            "proxy": {"listen": [free()], "tls": {"listen": [free()], "cert": "tls.crt", "key": "tls.key"}},
            "admin": {"listen": free()},
        });
        std::fs::write(&file, config.to_string()).unwrap();
        let (code, said) = run_fails(&file).await;
        assert_eq!(code, Some(1), "{words:?}: {said}");
        assert!(
            words.iter().all(|word| said.contains(word)) && !said.contains("panicked"),
            "{words:?}: {said}"
        );
    }
}
