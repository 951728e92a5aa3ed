//! The commands about feeds, without a gateway.

use super::*;
use crate::common::tollgate;

#[test]
fn a_file_is_compared_with_what_is_built_in() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("feed.json");
    let feed = json!({
        "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 3e-6, "output_cost_per_token": 1.0000001e-3},
        "gpt-4.1": {"litellm_provider": "openai", "input_cost_per_token": 3e-6},
        "o3": {"litellm_provider": "openai", "input_cost_per_token": 1e-30},
        "gpt-5.5": {"litellm_provider": "openai", "input_cost_per_token": 5e-6, "input_cost_per_token_above_272k_tokens": 1e-5},
    });
    fs::write(&file, feed.to_string()).unwrap();
    let diff = |more: &[&str]| {
        tollgate(&[&["catalog", "diff", "--file", file.to_str().unwrap()], more].concat())
    };
    let output = diff(&["--format", "litellm"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "litellm: 1 models would change, 1 would be held back, 1 are not understood, 0 are no longer in it",
        "openai:o3 stays as it is: input_cost_per_token: 1e-30: a price finer than can be charged",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let output = diff(&["--format", "litellm", "--json"]);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let found = |model: &str, unit: &str| {
        all.iter()
            .find(|it| it["model"] == model && it["unit"] == unit)
    };
    let input = found("openai:gpt-4o", "input").unwrap();
    assert_eq!(
        (&input["old"], &input["new"], &input["wild"], &input["held"]),
        (&json!("2.5"), &json!("3"), &json!(false), &json!(true)),
        "the model is held back as a whole"
    );
    let output = found("openai:gpt-4o", "output").unwrap();
    assert_eq!(
        (&output["wild"], &output["factor"]),
        (&json!(true), &json!("100"))
    );
    assert_eq!(found("openai:gpt-4.1", "input").unwrap()["held"], false);
    assert!(
        found("openai:gpt-5.5", "input").is_none(),
        "it is what holds"
    );
    for (arguments, code) in [
        (&["--format", "models.dev"][..], 2),
        (&[], 2),
        (&["--format", "litellm", "--feed", "x"], 2),
    ] {
        assert_eq!(diff(arguments).status.code(), Some(code), "{arguments:?}");
    }
    for arguments in [&["catalog", "diff"][..], &["catalog", "accept"]] {
        let output = tollgate(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("--config"), "{}", text(&output));
    }
}

#[test]
fn faults_of_feeds_are_told_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.yaml");
    let yaml = "catalog:
  directory: ''
  feeds:
    - { format: litellm }
    - { file: a, url: 'https://a.example', format: litellm }
    - { file: a }
    - { file: a, format: csv }
    - { file: a, format: tollgate, refresh: 59s }
    - { file: b, format: tollgate, refresh: 31d, id: Caps }
    - { url: 'ftp://a.example', format: models.dev }
    - { url: 'https://user:hunter2@a.example/', format: models.dev }
    - { url: 'http://169.254.169.254/', format: models.dev, id: c }
    - { url: 'http://8.8.8.8/x', format: models.dev, id: d }
    - { file: b, format: genai-prices }
    - { file: c, format: genai-prices, providers: [opnai] }
    - { file: c, format: genai-prices, providers: [], id: e }
    - { file: c, format: genai-prices, sha256: x, id: f }
";
    fs::write(&file, yaml).unwrap();
    let output = tollgate(&["check", "--config", file.to_str().unwrap()]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "x.yaml:2: catalog.directory: the path is empty",
        "x.yaml:4: catalog.feeds[0]: it does not say where the feed is",
        "x.yaml:5: catalog.feeds[1]: it does not say where the feed is",
        "x.yaml:6: catalog.feeds[2]: `format` is missing",
        "x.yaml:7: catalog.feeds[3].format: ",
        "x.yaml:8: catalog.feeds[4].refresh: is not between 1m and 30d",
        "x.yaml:9: catalog.feeds[5].refresh: is not between",
        "x.yaml:9: catalog.feeds[5].id: `Caps` cannot be a feed's id",
        "x.yaml:10: catalog.feeds[6].url: this scheme is not supported",
        "x.yaml:11: catalog.feeds[7].url: an address has no user",
        "x.yaml:12: catalog.feeds[8].url: 169.254.169.254 must not be called",
        "x.yaml:13: catalog.feeds[9].url: 8.8.8.8 is neither loopback nor private",
        "x.yaml:15: catalog.feeds[11]: a second feed `genai-prices`",
        "x.yaml:15: catalog.feeds[11].providers[0]: there is no provider `opnai`; did you mean `openai`?",
        "x.yaml:16: catalog.feeds[12].providers: a feed of no provider",
        "x.yaml:17: catalog.feeds[13].sha256: unknown field",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}
