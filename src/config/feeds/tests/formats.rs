//! What each format says.

use super::*;

#[test]
fn genai_prices() {
    let feed = json!([
        {"id": "openai", "models": [
            {"id": "any", "match": {"and": [{"starts_with": "gpt-4"}, {"regex": "^(?!.*-mini)gpt-4o$"}]}, "prices": {
                "input_mtok": {"base": 2.5, "tiers": [{"start": 200_000, "price": 5}]}, "output_mtok": 10.0,
                "cache_read_mtok": 1.25, "web_searches_kcount": 10, "audio_hours": 3, "cache_write_mtok": null,
            }, "price_variants": [
                {"when": {"service_tier": "default"}, "prices": {"input_mtok": 1}},
                {"when": {"service_tier": "Priority"}, "constraint": {"start_date": "2026-10-12"}, "prices": {"input_mtok": 4.25}},
                {"when": {"processing": "batch"}, "prices": {"audio_hours": 1}},
            ]},
            {"id": "later", "match": {"contains": "4o"}, "prices": {"input_mtok": 99}},
            {"id": "sized", "match": {"or": [{"equals": "O3"}, {"ends_with": "-x"}]}, "prices": {"audio_hours": 3}},
        ]},
        {"id": "deepseek", "models": [{"id": "x", "match": {"equals": "deepseek-v4-flash"}, "prices": [
            {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 0.1}},
            {"constraint": {"start_date": "2026-09-10"}, "prices": {"input_mtok": 0.3}},
            {"prices": {"input_mtok": 0.2}},
        ]}]},
        {"id": "zai", "models": [{"id": "glm", "match": {"starts_with": "glm-4.6"}, "prices": {"input_mtok": 0.6}}]},
        {"id": "z-ai", "models": [{"id": "glm", "match": {"starts_with": "glm"}, "prices": {"input_mtok": 66}}]},
        {"id": "elsewhere", "models": 5},
    ]);
    let read = try_read(PriceFormat::GenaiPrices, &feed.to_string()).unwrap();
    assert_eq!(
        rows(&read, "openai", "gpt-4o"),
        [
            "standard : input=2.5;>200000:5 cached_read=1.25 output=10 web_search=10",
            "service_tier=priority 2026-10-12: input=4.25",
        ]
    );
    assert_eq!(
        rows(&read, "openai", "gpt-4o-mini"),
        ["standard : input=99"],
        "the first rule that fits"
    );
    assert_eq!(
        rows(&read, "deepseek", "deepseek-v4-flash"),
        [
            "standard : input=0.2",
            "standard 2026-09-10: input=0.3",
            "standard 16:30-00:30: input=0.1"
        ]
    );
    assert_eq!(rows(&read, "z-ai", "glm-4.6"), ["standard : input=0.6"]);
    assert!(
        !read.models.keys().any(|name| &*name.model == "o3"),
        "it has no price in our units"
    );
    assert!(read.faulty.is_empty(), "{:?}", read.faulty);
}

#[test]
fn litellm() {
    let feed = json!({
        "sample_spec": {"litellm_provider": "one of many", "input_cost_per_token": "prose"},
        "gpt-5.5": {
            "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 5e-06, "output_cost_per_token": 3e-05,
            "input_cost_per_token_above_272k_tokens": 1e-05, "input_cost_per_token_priority": 1.25e-05,
            "input_cost_per_token_above_272k_tokens_priority": 2.5e-05, "input_cost_per_token_batches": 2.5e-06,
            "output_cost_per_token_flex": 1.5e-05, "cache_read_input_token_cost": 5e-07, "max_tokens": "many",
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
            "code_interpreter_cost_per_session": 0.03, "file_search_cost_per_1k_calls": 2.5, "tpm": null,
        },
        "claude-opus-4-6": {
            "litellm_provider": "anthropic", "input_cost_per_token": 5e-06, "cache_creation_input_token_cost": 6.25e-06,
            "cache_creation_input_token_cost_above_1hr": 1e-05, "output_cost_per_reasoning_token": 2.5e-05,
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 2e-05,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.02},
        },
        "gemini/gemini-2.5-pro": {"litellm_provider": "gemini", "input_cost_per_token": 1.25e-06},
        "gemini-2.5-pro": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 7e-06},
        "openai/gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 3e-06},
        "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 4e-06},
        "text-embedding-3-small": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08,
            "output_cost_per_token": 0.0},
        "house/m": {"litellm_provider": "house", "tiered_pricing": [
            {"range": [0, 32000], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
            {"range": [32000.0, 128000], "input_cost_per_token": 3e-06},
        ]},
    });
    let read = try_read(PriceFormat::Litellm, &feed.to_string()).unwrap();
    assert_eq!(
        rows(&read, "openai", "gpt-5.5"),
        [
            "standard : input=5;>272000:10 cached_read=0.5 output=30 web_search=10 file_search=2.5 code_container=30",
            "service_tier=priority : input=12.5;>272000:25",
            "processing=batch : input=2.5",
            "service_tier=flex : output=15",
        ]
    );
    assert_eq!(
        rows(&read, "anthropic", "claude-opus-4-6"),
        ["standard : input=5 cache_write=6.25 cache_write_1h=10;>200000:20 reasoning=25"]
    );
    assert_eq!(
        rows(&read, "google", "gemini-2.5-pro"),
        ["standard : input=1.25"]
    );
    assert_eq!(
        rows(&read, "openai", "gpt-4o"),
        ["standard : input=3"],
        "with its provider in front"
    );
    assert_eq!(
        rows(&read, "openai", "text-embedding-3-small"),
        ["standard : input=0.02"]
    );
    assert_eq!(
        rows(&read, "house", "m"),
        ["standard : input=1;>32000:3 output=2"]
    );
    assert_eq!((read.models.len(), read.faulty.len()), (6, 0));
}

#[test]
fn models_dev() {
    let feed = json!({
        "openai": {"id": "openai", "models": {
            "gpt-5.5": {"cost": {"input": 5, "output": 30, "cache_read": 0.5, "cache_write": 0, "tiers": [
                {"input": 10, "output": 45, "cache_write": 1, "tier": {"type": "context", "size": 272_000}},
                {"input": 99, "tier": {"type": "weather"}},
            ], "context_over_200k": {"input": 77}}},
            "gpt-4o": {"cost": {"input": 0, "output": 0}},
            "gpt-4o-mini": {"limit": {"context": 1}},
            "gpt-99": {"cost": {"input": "free"}},
        }},
        "google": {"models": {"gemini-2.5-pro": {"cost": {"input": 1.25, "input_audio": 2, "reasoning": 12,
            "context_over_200k": {"input": 2.5}}}}},
        "inception": {"models": {"mercury-2": {"cost": {"input": 0.25}}}},
        "zai-coding-plan": {"models": {"glm-4.6": {"cost": {"input": 1000}}}},
    });
    let read = try_read(PriceFormat::ModelsDev, &feed.to_string()).unwrap();
    assert_eq!(
        rows(&read, "openai", "gpt-5.5"),
        ["standard : input=5;>272000:10 cached_read=0.5 output=30;>272000:45"]
    );
    assert_eq!(
        rows(&read, "google", "gemini-2.5-pro"),
        ["standard : input=1.25;>200000:2.5 input_audio=2 reasoning=12"]
    );
    assert_eq!(
        rows(&read, "inceptionlabs", "mercury-2"),
        ["standard : input=0.25"]
    );
    assert_eq!((read.models.len(), read.faulty.len()), (3, 0), "{read:?}");
}

#[test]
fn tollgates_own() {
    let yaml = "
providers:
  - id: openai
    models:
      - { id: GPT-4o, prices: { input: 2.50, output: 10, tiers: [{ above: 128000, input: 5 }], variants: [
          { when: { service_tier: priority }, prices: { input: 4 } } ], periods: [ { from: 2027-01-01, prices: { output: 8 } } ] } }
      - { id: gpt-99, prices: { input: 1 } }
  - id: house
    models: [{ id: alias, prices: { input: 1 } }, { id: m, prices: { periods: [ { daily: '01:00-02:00', prices: { input: 1 } } ] } }]
";
    let as_json: Value = crate::from_yaml(yaml).unwrap();
    for feed in [yaml.to_owned(), as_json.to_string()] {
        let read = try_read(PriceFormat::Tollgate, &feed).unwrap();
        assert_eq!(
            rows(&read, "openai", "gpt-4o"),
            [
                "standard : input=2.5;>128000:5 output=10",
                "standard 2027-01-01: input=2.5;>128000:5 output=8",
                "service_tier=priority : input=4",
            ]
        );
        assert_eq!(rows(&read, "house", "m"), ["standard 01:00-02:00: input=1"]);
        assert_eq!(read.models.len(), 2, "an alias is no model");
    }
}

#[test]
fn providers_that_are_not_named_are_left_alone() {
    let [.., (format, feed)] = feeds("1");
    let read = |listed: &[&str]| {
        let listed: Vec<String> = listed.iter().map(|id| (*id).to_owned()).collect();
        read(format, feed.as_bytes(), &catalog(), Some(&listed))
    };
    assert_eq!(read(&["house", "openai"]).unwrap().models.len(), 2);
    assert!(
        read(&["openai"])
            .unwrap_err()
            .contains("none of its 0 models is known here")
    );
}
