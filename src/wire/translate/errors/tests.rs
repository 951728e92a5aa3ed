//! Errors, by example: shapes, and what clients act upon.

use super::*;

fn said(to: Dialect, status: u16, body: &str) -> Value {
    serde_json::from_slice(&error(to, status, body.as_bytes(), "req_1")).expect("JSON")
}

/// Bodies as in docs.claude.com/en/api/errors and platform.openai.com/docs/guides/error-codes.
#[test]
fn errors_change_their_dialect() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"x"}"#;
    let error = said(Dialect::OpenAi, 529, body);
    assert_eq!(
        error,
        json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "overloaded_error"}})
    );
    let body = r#"{"error":{"message":"The model `m` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
    let error = said(Dialect::Anthropic, 404, body);
    assert_eq!(
        error,
        json!({"type": "error", "error": {"type": "not_found_error", "message": "The model `m` does not exist"}, "request_id": "req_1"})
    );
}

/// Of Google's list, FastAPI's and Mistral's `detail`, Cloudflare's and GitHub's `errors`, Baidu's `error_msg`, OpenRouter's
/// `metadata.raw`, problem details (RFC 9457), Ollama's text, and of whatever stands between.
#[test]
fn the_words_of_every_shape_are_kept() {
    let raw = json!({"error": {"message": "too hot", "type": "invalid_request_error"}}).to_string();
    for (body, words) in [
        (json!([{"error": {"code": 400, "message": "Please use a valid role.", "status": "INVALID_ARGUMENT"}}]).to_string(), "Please use a valid role."),
        (json!({"detail": [{"loc": ["body", "x", 0], "msg": "field required", "type": "missing"}]}).to_string(), "body.x.0: field required"),
        (json!({"detail": [{"loc": ["body", "x"], "msg": "field required"}, {"loc": ["body", "y"], "msg": "too short"}]}).to_string(), "body.x: field required; body.y: too short"),
        (json!({"detail": "Model not loaded"}).to_string(), "Model not loaded"),
        (json!({"detail": {"error": {"message": "no GPU"}}}).to_string(), "no GPU"),
        (json!({"object": "error", "message": "no such role", "type": "BadRequestError", "code": 400}).to_string(), "no such role"),
        (json!({"object": "error", "message": {"detail": [{"msg": "Extra inputs", "loc": ["body"]}]}}).to_string(), "body: Extra inputs"),
        (json!({"errors": [{"code": 7000, "message": "No route"}], "success": false}).to_string(), "No route"),
        (json!({"errors": ["one", "two"]}).to_string(), "one; two"),
        (json!({"errors": {"model": ["is invalid"]}, "message": "Validation failed"}).to_string(), "Validation failed"),
        (json!({"error_code": 336003, "error_msg": "the max message length is 10"}).to_string(), "the max message length is 10"),
        (json!({"error": "model not found, try pulling it first"}).to_string(), "model not found, try pulling it first"),
        (json!({"error": "invalid_request", "error_description": "bad scope"}).to_string(), "bad scope"),
        (json!({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw, "provider_name": "X"}}}).to_string(), "Provider returned error: too hot"),
        (json!({"title": "Unprocessable", "detail": "no temperature here", "status": 422}).to_string(), "no temperature here"),
        (json!({"message": "Forbidden resource"}).to_string(), "Forbidden resource"),
        (json!({"error": {"message": json!({"error": {"message": "deep"}}).to_string()}}).to_string(), "deep"),
        (json!({"oops": 1}).to_string(), "{\"oops\":1}"),
        ("model is overloaded".to_owned(), "model is overloaded"),
        ("<html><head><title>403 Forbidden</title></head><body><h1>403</h1></body></html>".to_owned(), "403 Forbidden"),
        ("data: {\"error\":{\"message\":\"late\"}}\n\n".to_owned(), "late"),
        (String::new(), "the provider answered with status 400"),
        ("[]".to_owned(), "the provider answered with status 400"),
        ("7".to_owned(), "the provider answered with status 400"),
        ("{}".to_owned(), "the provider answered with status 400"),
    ] {
        for to in [Dialect::OpenAi, Dialect::Anthropic] {
            assert_eq!(said(to, 400, &body)["error"]["message"], words, "{body}");
        }
    }
}

#[test]
fn a_prompt_that_is_too_long_is_told_in_the_clients_words() {
    let openai = json!({"error": {"message": "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}).to_string();
    let google = json!([{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}]).to_string();
    let vague = json!({"message": "Input is too long for requested model."}).to_string();
    let vllm = json!({"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).", "code": 400}).to_string();
    for (body, beginning) in [
        (
            &openai,
            "prompt is too long: 130000 tokens > 128000 maximum. The provider said: This model's",
        ),
        (
            &google,
            "prompt is too long: 1200000 tokens > 1048576 maximum",
        ),
        (
            &vague,
            "prompt is too long. The provider said: Input is too long",
        ),
        (
            &vllm,
            "input length and `max_tokens` exceed context limit: 4000 + 1000 > 4096, decrease",
        ),
    ] {
        let error = said(Dialect::Anthropic, 400, body);
        let message = error["error"]["message"].as_str().expect("words");
        assert!(message.starts_with(beginning), "{message}");
        assert_eq!(error["error"]["type"], "invalid_request_error", "{error}");
        let error = said(Dialect::OpenAi, 400, body);
        assert_eq!(error["error"]["code"], "context_length_exceeded", "{error}");
    }
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}}).to_string();
    let error = said(Dialect::OpenAi, 400, &body);
    assert_eq!(error["error"]["code"], "context_length_exceeded", "{error}");
    let message = error["error"]["message"].as_str().expect("words");
    assert!(message.starts_with("This model's maximum context length is 200000 tokens. However, your messages resulted in 210000 tokens"), "{message}");
    let own = said(Dialect::Anthropic, 400, &body);
    assert_eq!(
        own["error"]["message"],
        "prompt is too long: 210000 tokens > 200000 maximum"
    );
}

/// A status gives the code, and nothing that has to be said in front of the words.
#[test]
fn words_stay_as_they_are_where_only_the_status_says_what_is_meant() {
    for (status, code) in [
        (401, "invalid_api_key"),
        (402, "insufficient_quota"),
        (429, "rate_limit_exceeded"),
    ] {
        let body = json!({"error": {"message": "no, because", "type": "t"}}).to_string();
        for to in [Dialect::OpenAi, Dialect::Anthropic] {
            assert_eq!(
                said(to, status, &body)["error"]["message"],
                "no, because",
                "{status}"
            );
        }
        assert_eq!(
            said(Dialect::OpenAi, status, &body)["error"]["code"],
            code,
            "{status}"
        );
    }
}

#[test]
fn what_makes_agents_stop_has_the_clients_name() {
    let body = |kind: &str, message: &str| {
        json!({"error": {"type": kind, "message": message}}).to_string()
    };
    for (status, body, code, openai, anthropic) in [
        (
            402,
            body("error", "Insufficient Balance"),
            "insufficient_quota",
            "insufficient_quota",
            "billing_error",
        ),
        (
            429,
            body("insufficient_quota", "You exceeded your current quota"),
            "insufficient_quota",
            "insufficient_quota",
            "billing_error",
        ),
        (
            400,
            body(
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
            ),
            "insufficient_quota",
            "insufficient_quota",
            "billing_error",
        ),
        (
            401,
            body("authentication_error", "invalid x-api-key"),
            "invalid_api_key",
            "authentication_error",
            "authentication_error",
        ),
        (
            400,
            body(
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
            ),
            "invalid_api_key",
            "authentication_error",
            "authentication_error",
        ),
        (
            400,
            body("error", "filtered by the content management policy"),
            "content_policy_violation",
            "invalid_request_error",
            "invalid_request_error",
        ),
        (
            429,
            body("error", "slow down"),
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_error",
        ),
        (
            404,
            body("model_not_found", "no"),
            "model_not_found",
            "invalid_request_error",
            "not_found_error",
        ),
    ] {
        let error = said(Dialect::OpenAi, status, &body);
        assert_eq!(
            (&error["error"]["code"], &error["error"]["type"]),
            (&json!(code), &json!(openai)),
            "{body}"
        );
        let error = said(Dialect::Anthropic, status, &body);
        assert_eq!(error["error"]["type"], anthropic, "{body}");
    }
}
