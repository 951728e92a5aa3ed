use bytes::Bytes;
use serde_json::json;

use super::*;

fn asked(surface: Surface, mut body: Value) -> Asked {
    body["model"] = json!("m");
    let bytes = Bytes::from(body.to_string());
    RequestBody::parse(Endpoint::Generate(surface), bytes)
        .unwrap()
        .asked()
}

#[test]
fn everything_that_may_be_billed_is_found() {
    let chat = Surface::ChatCompletions;
    for (surface, body, option, param) in [
        (
            chat,
            json!({"service_tier": "priority"}),
            "service_tier",
            "service_tier",
        ),
        (
            chat,
            json!({"Service_Tier": "flex"}),
            "service_tier",
            "service_tier",
        ),
        (
            Surface::Messages,
            json!({"speed": "fast"}),
            "speed",
            "speed",
        ),
        (
            Surface::Messages,
            json!({"inference_geo": "us"}),
            "inference_geo",
            "inference_geo",
        ),
        (
            chat,
            json!({"web_search_options": {}}),
            "web_search",
            "web_search_options",
        ),
        (
            chat,
            json!({"modalities": ["text", "audio"]}),
            "audio",
            "modalities",
        ),
        (chat, json!({"audio": {"voice": "x"}}), "audio", "audio"),
        (
            chat,
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
            "audio",
            "messages[].content",
        ),
        (
            Surface::Messages,
            json!({"tools": [{"name": "f", "input_schema": {}}, {"type": "web_search_20260209", "name": "web_search"}],
                "tool_choice": {"type": "web_search"}}),
            "web_search",
            "tools[1].type",
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "file_search"}]}),
            "file_search",
            "tools[0].type",
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "code_interpreter"}]}),
            "code_container",
            "tools[0].type",
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "image_generation"}]}),
            "images",
            "tools[0].type",
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "mind_reading"}]}),
            "tools",
            "tools[0].type",
        ),
        (
            Surface::Responses,
            json!({"background": true}),
            "background",
            "background",
        ),
    ] {
        let asked = asked(surface, body.clone());
        let found: Vec<_> = asked
            .extras
            .iter()
            .map(|extra| (extra.what.option(), &*extra.param))
            .collect();
        assert_eq!(found, [(option, param)], "{body}");
        assert!(Paid::OPTIONS.contains(&option));
    }
}

#[test]
fn what_costs_no_more_than_text_is_no_extra() {
    for body in [
        json!({"service_tier": "auto", "speed": "standard", "background": false, "audio": null}),
        json!({"tools": [{"type": "function", "function": {}}, {"type": "custom"}, {"name": "f"},
            {"type": "bash_20250124"}, {"type": "local_shell"}, {"type": "web_fetch_20250910"},
            {"type": "web_search"}, {"type": "code_interpreter"}]}),
        json!({"messages": [{"role": "user", "content": "say \"input_audio\" and \"service_tier\": \"priority\""}]}),
        json!({"modalities": ["text"], "metadata": {"service_tier": "priority"}}),
    ] {
        let asked = asked(Surface::ChatCompletions, body.clone());
        assert_eq!(
            (asked.extras, asked.context),
            (Vec::new(), Context::STANDARD),
            "{body}"
        );
    }
}

#[test]
fn of_two_spellings_the_one_that_is_not_the_standard_counts() {
    let bytes = Bytes::from_static(
        br#"{"model":"m","service_tier":"priority","service_tier":"default","SERVICE_TIER":"auto"}"#,
    );
    let body = RequestBody::parse(Endpoint::Generate(Surface::ChatCompletions), bytes).unwrap();
    assert_eq!(body.asked().context.to_string(), "service_tier=priority");
}

#[test]
fn who_orders_slower_processing_is_batch() {
    for (tier, is_batch) in [("flex", true), ("batch", true), ("priority", false)] {
        let body = format!(r#"{{"model":"m","service_tier":"{tier}","metadata":{{"flex":1}}}}"#);
        let endpoint = Endpoint::Generate(Surface::Responses);
        let body = RequestBody::parse(endpoint, Bytes::from(body)).unwrap();
        assert_eq!(body.is_batch(), is_batch, "{tier}");
    }
}

#[test]
fn a_tool_that_says_twice_what_it_is_is_what_is_billed() {
    for tool in [
        r#"{"type":"function","type":"web_search"}"#,
        r#"{"type":"web_search","type":"function"}"#,
        r#"{"t\u0079pe":"web_search","name":"f"}"#,
        r#"{"type":"web_\u0073earch","container":{},"environment":7,"container":"x"}"#,
        r#"{"type":7,"type":null,"type":"web_search"}"#,
    ] {
        let body = format!(r#"{{"model":"m","tools":[{tool}]}}"#);
        let endpoint = Endpoint::Generate(Surface::Responses);
        let body = RequestBody::parse(endpoint, Bytes::from(body)).unwrap();
        let mut billed = body.asked().extras;
        billed.retain(|extra| extra.what != Paid::Kept);
        assert_eq!(billed.len(), 1, "{tool}");
        assert_eq!(billed[0].what, Paid::Unit(Unit::WebSearch), "{tool}");
    }
}

#[test]
fn answers_and_unseen_tokens_are_counted() {
    for (surface, body, answers) in [
        (Surface::ChatCompletions, json!({}), 1),
        (Surface::ChatCompletions, json!({"n": 4}), 4),
        (Surface::ChatCompletions, json!({"n": null}), 1),
        (Surface::ChatCompletions, json!({"n": -3}), 1),
        (Surface::ChatCompletions, json!({"n": "4"}), 4),
        (Surface::ChatCompletions, json!({"n": 64.0}), 64),
        (Surface::ChatCompletions, json!({"n": [4]}), 128),
        (Surface::ChatCompletions, json!({"n": 1_000_000}), 128),
        (
            Surface::Completions,
            json!({"prompt": ["a", "b", "c"], "n": 2, "best_of": 5}),
            15,
        ),
        (
            Surface::Completions,
            json!({"prompt": ["a", "b"], "Prompt": "x"}),
            2,
        ),
        (Surface::Completions, json!({"prompt": [1, 2, 3]}), 1),
        (Surface::Completions, json!({"prompt": [[1, 2], [3]]}), 2),
    ] {
        assert_eq!(asked(surface, body.clone()).answers, answers, "{body}");
    }
    for (body, prompts) in [
        (json!({"input": "a"}), 1),
        (json!({"input": ["a", "b", "c"]}), 3),
        (json!({"input": [1, 2, 3]}), 1),
        (json!({"input": [[1, 2], [3]]}), 2),
    ] {
        let asked = asked(Surface::Embeddings, body.clone());
        assert_eq!((asked.prompts, asked.answers), (prompts, 1), "{body}");
    }
    for (item, refers) in [
        (json!({"id": "msg_1"}), true),
        (json!({"id": "msg_1", "type": null}), true),
        (
            json!({"id": "msg_1", "type": "message", "role": "user", "content": "a"}),
            false,
        ),
        (
            json!({"role": "user", "content": "a", "id": "msg_1"}),
            false,
        ),
        (json!({"role": "user", "content": "an id"}), false),
        (json!({"role": "user", "content": [{"id": "x"}]}), false),
        (json!("msg_1 \"id\""), false),
    ] {
        let extras = asked(Surface::Responses, json!({"input": [item]})).extras;
        assert_eq!(
            extras.iter().any(|extra| extra.what == Paid::Kept),
            refers,
            "{item}"
        );
    }
    for (audio, refers) in [
        (json!({"id": "audio_1"}), true),
        (json!(null), false),
        (json!({}), false),
    ] {
        let turn = json!({"role": "assistant", "content": null, "audio": audio});
        let extras = asked(Surface::ChatCompletions, json!({"messages": [turn]})).extras;
        assert_eq!(
            extras.iter().any(|extra| extra.what == Paid::Kept),
            refers,
            "{turn}"
        );
    }
    let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}});
    let body = json!({"messages": [{"role": "user", "content": [image.clone(), image]}]});
    assert!(asked(Surface::ChatCompletions, body).unseen >= 2 * IMAGE);
    for (tool, size) in [
        (
            json!({"type": "code_interpreter", "container": {"type": "auto"}}),
            1,
        ),
        (
            json!({"type": "code_interpreter", "container": "cntr_1"}),
            1,
        ),
        (
            json!({"type": "code_interpreter", "container": {"memory_limit": "16g"}}),
            16,
        ),
        (
            json!({"type": "shell", "environment": {"memory_limit": "4G"}}),
            4,
        ),
        (
            json!({"type": "shell", "environment": {"memory_limit": "all"}}),
            64,
        ),
        (
            json!({"type": "shell", "environment": {"memory_limit": 1e9}}),
            64,
        ),
    ] {
        let body = json!({"tools": [{"type": "function"}, tool]});
        assert_eq!(
            asked(Surface::Responses, body.clone()).container_gb,
            size,
            "{body}"
        );
    }
    let marked = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]});
    assert_eq!(asked(Surface::Messages, marked).prompt, Unit::CacheWrite1h);
}

/// Whether anything refers to what the provider keeps, and where.
fn kept(surface: Surface, body: Value) -> Option<String> {
    let extras = asked(surface, body).extras;
    let mut kept = extras.into_iter().filter(|one| one.what == Paid::Kept);
    kept.next().map(|one| one.param)
}

#[test]
fn what_the_provider_keeps_is_found_wherever_it_is_referred_to() {
    let (chat, responses, messages) = (
        Surface::ChatCompletions,
        Surface::Responses,
        Surface::Messages,
    );
    let part =
        |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "hi"}, part]}]);
    for (surface, body, param) in [
        (
            responses,
            json!({"previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (
            responses,
            json!({"Previous_Response_Id": "resp_1"}),
            "previous_response_id",
        ),
        (
            responses,
            json!({"conversation": {"id": "conv_1"}}),
            "conversation",
        ),
        (responses, json!({"prompt": {"id": "pmpt_1"}}), "prompt"),
        (
            responses,
            json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            "input",
        ),
        (
            responses,
            json!({"input": part(json!({"type": "input_file", "file_id": "file_1"}))}),
            "input",
        ),
        (
            responses,
            json!({"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "file_id": "f"}]}]}),
            "input",
        ),
        (
            responses,
            json!({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
            "tools[0]",
        ),
        (
            responses,
            json!({"tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_url": "https://x"}]}),
            "tools[1]",
        ),
        (
            responses,
            json!({"tools": [{"type": "mcp", "connector_id": "connector_x"}]}),
            "tools[0]",
        ),
        (
            responses,
            json!({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}),
            "tools[0]",
        ),
        (
            responses,
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]}),
            "tools[0]",
        ),
        (
            responses,
            json!({"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}}]}),
            "tools[0]",
        ),
        (
            chat,
            json!({"messages": part(json!({"type": "file", "file": {"file_id": "file_1"}}))}),
            "messages",
        ),
        (messages, json!({"container": "container_1"}), "container"),
        (
            messages,
            json!({"mcp_servers": [{"type": "url", "url": "https://x"}]}),
            "mcp_servers",
        ),
        (
            messages,
            json!({"messages": part(json!({"type": "document", "source": {"type": "file", "file_id": "f"}}))}),
            "messages",
        ),
        (
            messages,
            json!({"messages": part(json!({"type": "container_upload", "file_id": "f"}))}),
            "messages",
        ),
    ] {
        assert_eq!(
            kept(surface, body.clone()).as_deref(),
            Some(param),
            "{body}"
        );
    }
    let raw = |text: &'static str| {
        let body = RequestBody::parse(Endpoint::Generate(chat), Bytes::from(text)).unwrap();
        body.asked().extras.len()
    };
    // However it is written.
    assert_eq!(
        raw(r#"{"model":"m","messages":[{"content":[{"file":{"file\u005fid":"f"}}]}]}"#),
        1
    );
    assert_eq!(
        raw(r#"{"model":"m","messages":[{"content":[{"file":{"file_id":"f","file_id":null}}]}]}"#),
        1
    );
}

#[test]
fn what_only_looks_like_it_is_the_clients_own() {
    let schema = json!({"type": "object", "properties": {"file_id": {"type": "string"}, "server_url": {"type": "string"}}});
    for (surface, body) in [
        (
            Surface::Responses,
            json!({"previous_response_id": null, "conversation": null, "prompt": null}),
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "function", "name": "f", "parameters": schema}]}),
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
        ),
        (
            Surface::Responses,
            json!({"tools": [{"type": "code_interpreter", "container": "auto"}]}),
        ),
        (
            Surface::Messages,
            json!({"tools": [{"name": "f", "input_schema": schema}]}),
        ),
        (
            Surface::Messages,
            json!({"messages": [{"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "x", "type": "item_reference"}}]}]}),
        ),
        (
            Surface::ChatCompletions,
            json!({"messages": [{"role": "user", "content": "a \"file_id\" and an item_reference, <b>\u{e9}"}]}),
        ),
        (
            Surface::ChatCompletions,
            json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": null, "file_data": "x"}}]}]}),
        ),
        (Surface::Completions, json!({"prompt": "hi"})),
    ] {
        assert_eq!(kept(surface, body.clone()), None, "{body}");
    }
    let route = |body| {
        let asked = asked(Surface::ChatCompletions, body);
        asked.extras.iter().any(|one| one.what == Paid::Route)
    };
    for field in ["provider", "preset", "plugins", "route", "Provider"] {
        let mut body = json!({});
        body[field] = json!({"order": ["x"]});
        assert!(route(body), "{field}");
    }
    assert!(!route(json!({"provider": null})));
}
