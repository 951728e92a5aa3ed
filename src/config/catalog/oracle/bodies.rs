//! Answers as the providers' public references describe them, in our own words. Where a figure stands, a letter does:
//! `P` the whole prompt, `A` the answer, `T` both; of the prompt `C` read from a cache, `W` written to it (`W5` for
//! minutes, `W1` for an hour), `N` neither, `M` all but `C`, `S` sound; of the answer `R` reasoning, `O` sound, `V` what
//! of it is not reasoning; beside it `K` citations; `F` searches; `B` the answer and hidden reasoning, `H` both and the
//! prompt.

use tollgate_wire::Surface;

/// An answer, and which providers' references have it so, with the oracle's name of the shape.
pub(super) struct Body {
    pub surface: Surface,
    pub providers: &'static [(&'static str, &'static str)],
    pub json: &'static str,
}

const CHAT: Surface = Surface::ChatCompletions;
const RESPONSES: Surface = Surface::Responses;
const MESSAGES: Surface = Surface::Messages;
const EMBEDDINGS: Surface = Surface::Embeddings;

pub(super) const BODIES: [Body; 30] = [
    Body {
        surface: CHAT,
        providers: &[
            ("openai", "chat"),
            ("azure", "chat"),
            ("github-copilot", "chat"),
            ("quicksilverpro", "chat"),
        ],
        json: r#"{"id":"chatcmpl-B9","object":"chat.completion","created":1741569952,"model":"gpt-5.4-2026-03-05",
            "choices":[{"index":0,"message":{"role":"assistant","content":"It rains in Turin.","refusal":null,"annotations":[]},
            "logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":"P","completion_tokens":"A","total_tokens":"T",
            "prompt_tokens_details":{"cached_tokens":"C","cache_write_tokens":"W","audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":"R","audio_tokens":0,"accepted_prediction_tokens":3,
            "rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("openai", "chat"), ("azure", "chat")],
        json: r#"{"id":"chatcmpl-Au","object":"chat.completion","created":1756339200,"model":"gpt-audio","choices":[{"index":0,
            "message":{"role":"assistant","content":null,"audio":{"id":"audio_1","data":"UklGRg==","expires_at":1756342800,
            "transcript":"Good evening."}},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P","completion_tokens":"A",
            "total_tokens":"T","prompt_tokens_details":{"cached_tokens":0,"text_tokens":12,"image_tokens":0,
            "audio_tokens":"S"},"completion_tokens_details":{"reasoning_tokens":0,"text_tokens":9,"audio_tokens":"O"}}}"#,
    },
    Body {
        surface: RESPONSES,
        providers: &[
            ("openai", "responses"),
            ("azure", "responses"),
            ("github-copilot", "responses"),
            ("quicksilverpro", "responses"),
            ("modal", "responses"),
            ("openai-decisions", "responses"),
            ("openai-decisions", "default"),
        ],
        json: r#"{"id":"resp_67cc","object":"response","created_at":1741476542,"status":"completed","background":false,"error":null,
            "incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"gpt-5.6-sol","output":[
            {"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","id":"msg_1","status":"completed",
            "role":"assistant","content":[{"type":"output_text","text":"A unicorn slept.","annotations":[]}]}],
            "parallel_tool_calls":true,"previous_response_id":null,"service_tier":"default","store":true,"temperature":1.0,
            "tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":"P",
            "input_tokens_details":{"cached_tokens":"C","cache_write_tokens":"W"},"output_tokens":"A",
            "output_tokens_details":{"reasoning_tokens":"R"},"total_tokens":"T"},"user":null,"metadata":{}}"#,
    },
    Body {
        surface: RESPONSES,
        providers: &[
            ("cloudflare", "responses"),
            ("databricks", "responses"),
            ("meta", "responses"),
            ("doubleword", "responses"),
            ("minimax", "responses"),
        ],
        json: r#"{"id":"resp_1","object":"response","created_at":1759000000,"model":"muse-spark","status":"completed","output":[
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Yes."}]}],"usage":{
            "input_tokens":"P","input_tokens_details":{"cached_tokens":"C"},"output_tokens":"A","total_tokens":"T"}}"#,
    },
    Body {
        surface: RESPONSES,
        providers: &[("x-ai", "responses")],
        json: r#"{"id":"resp_x","object":"response","created_at":1762000000,"model":"grok-4.20","status":"completed","output":[
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Forty-two."}]}],"usage":{
            "input_tokens":"P","input_tokens_details":{"cached_tokens":"C"},"output_tokens":"A","output_tokens_details":{
            "reasoning_tokens":"R"},"total_tokens":"T","num_sources_used":0,"num_server_side_tools_used":"F",
            "server_side_tool_usage_details":{"web_search_calls":"F","x_search_calls":0}}}"#,
    },
    Body {
        surface: EMBEDDINGS,
        providers: &[
            ("openai", "embeddings"),
            ("azure", "embeddings"),
            ("cloudflare", "embeddings"),
            ("databricks", "embeddings"),
            ("doubleword", "embeddings"),
            ("perplexity", "embeddings"),
        ],
        json: r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.0023,-0.0093]}],
            "model":"text-embedding-3-small","usage":{"prompt_tokens":"P","total_tokens":"P"}}"#,
    },
    Body {
        surface: MESSAGES,
        providers: &[("anthropic", "default")],
        json: r#"{"id":"msg_013","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"thinking",
            "thinking":"Hm.","signature":"Eq"},{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,
            "usage":{"input_tokens":"N","cache_creation_input_tokens":"W","cache_read_input_tokens":"C","cache_creation":{
            "ephemeral_5m_input_tokens":"W5","ephemeral_1h_input_tokens":"W1"},"output_tokens":"A","output_tokens_details":{
            "thinking_tokens":"R"},"server_tool_use":{"web_search_requests":"F","web_fetch_requests":0},
            "service_tier":"standard","inference_geo":"global"}}"#,
    },
    Body {
        surface: MESSAGES,
        providers: &[
            ("google", "anthropic"),
            ("aws", "anthropic"),
            ("azure", "anthropic"),
        ],
        json: r#"{"id":"msg_vrtx_01","type":"message","role":"assistant","model":"claude-sonnet-4-6","content":[{"type":"text",
            "text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":"N",
            "cache_creation_input_tokens":"W","cache_read_input_tokens":"C","cache_creation":{
            "ephemeral_5m_input_tokens":"W5","ephemeral_1h_input_tokens":"W1"},"output_tokens":"A"}}"#,
    },
    Body {
        surface: MESSAGES,
        providers: &[("minimax", "default"), ("baseten", "anthropic")],
        json: r#"{"id":"05d1","type":"message","role":"assistant","model":"MiniMax-M2.7","content":[{"type":"text","text":"Hi."}],
            "stop_reason":"end_turn","usage":{"input_tokens":"M","output_tokens":"A","cache_creation_input_tokens":0,
            "cache_read_input_tokens":"C"},"base_resp":{"status_code":0,"status_msg":""}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("anthropic", "chat")],
        json: r#"{"id":"msg_1","object":"chat.completion","created":1741570000,"model":"claude-opus-5","choices":[{"index":0,
            "message":{"role":"assistant","content":"Yes."},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P",
            "completion_tokens":"A","total_tokens":"T"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("google", "chat")],
        json: r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"Seven.","role":"assistant"}}],
            "created":1750000000,"id":"aBc","model":"gemini-3.6-flash","object":"chat.completion","usage":{
            "completion_tokens":"A","prompt_tokens":"P","total_tokens":"H"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("google", "chat")],
        json: r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"Seven.","role":"assistant"}}],
            "created":1750000000,"id":"aBc","model":"gemini-3.5-flash","object":"chat.completion","usage":{
            "completion_tokens":"A","completion_tokens_details":{"reasoning_tokens":"R"},"prompt_tokens":"P",
            "prompt_tokens_details":{"cached_tokens":"C"},"total_tokens":"T"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("deepseek", "chat")],
        json: r#"{"id":"930c","object":"chat.completion","created":1705651092,"model":"deepseek-v4-pro","choices":[{"index":0,
            "message":{"role":"assistant","reasoning_content":"First,","content":"Hello!"},"logprobs":null,
            "finish_reason":"stop"}],"usage":{"prompt_tokens":"P","completion_tokens":"A","total_tokens":"T",
            "prompt_tokens_details":{"cached_tokens":"C"},"completion_tokens_details":{"reasoning_tokens":"R"},
            "prompt_cache_hit_tokens":"C","prompt_cache_miss_tokens":"M"},"system_fingerprint":"fp_e"}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("groq", "default")],
        json: r#"{"id":"chatcmpl-g","object":"chat.completion","created":1730241104,"model":"openai/gpt-oss-120b","choices":[{
            "index":0,"message":{"role":"assistant","content":"Quick.","reasoning":"So"},"logprobs":null,
            "finish_reason":"stop"}],"usage":{"queue_time":0.03,"prompt_tokens":"P","prompt_time":0.0002,
            "completion_tokens":"A","completion_time":0.46,"total_tokens":"T","total_time":0.46,
            "prompt_tokens_details":{"cached_tokens":"C"},"completion_tokens_details":{"reasoning_tokens":"R"}},
            "system_fingerprint":"fp_1","service_tier":"on_demand","x_groq":{"id":"req_01"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("moonshotai", "chat"), ("doubleword", "chat")],
        json: r#"{"id":"cmpl-04","object":"chat.completion","created":1698999575,"model":"kimi-k3","choices":[{"index":0,
            "message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P",
            "completion_tokens":"A","total_tokens":"T","cached_tokens":"C","prompt_tokens_details":{"cached_tokens":"C",
            "cache_write_tokens":"W"},"completion_tokens_details":{"reasoning_tokens":"R"}}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("zai", "chat"), ("zhipuai", "chat")],
        json: r#"{"id":"2025","request_id":"2025","created":1758000000,"model":"glm-5.2","choices":[{"index":0,"message":{
            "role":"assistant","content":"Fine.","reasoning_content":"The"},"finish_reason":"stop"}],"usage":{
            "prompt_tokens":"P","completion_tokens":"A","total_tokens":"T","prompt_tokens_details":{"cached_tokens":"C"},
            "completion_tokens_details":{"reasoning_tokens":"R"}},"web_search":[]}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("openrouter", "chat")],
        json: r#"{"id":"gen-1","provider":"Anthropic","model":"anthropic/claude-sonnet-5","object":"chat.completion",
            "created":1735317796,"choices":[{"index":0,"message":{"role":"assistant","content":"No.","reasoning":"It"},
            "finish_reason":"stop","native_finish_reason":"end_turn"}],"usage":{"prompt_tokens":"P","completion_tokens":"A",
            "total_tokens":"T","cost":0.0012,"is_byok":false,"prompt_tokens_details":{"cached_tokens":"C",
            "cache_write_tokens":"W","audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":null},
            "completion_tokens_details":{"reasoning_tokens":"R","image_tokens":0},"server_tool_use":{
            "web_search_requests":"F"}}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("x-ai", "chat")],
        json: r#"{"id":"a3d1","object":"chat.completion","created":1743770624,"model":"grok-4.20","choices":[{"index":0,"message":{
            "role":"assistant","content":"101.","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P",
            "completion_tokens":"V","total_tokens":"T","prompt_tokens_details":{"text_tokens":"P","audio_tokens":0,
            "image_tokens":0,"cached_tokens":"C"},"completion_tokens_details":{"reasoning_tokens":"R","audio_tokens":0,
            "accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":"F"},"system_fingerprint":"fp"}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("x-ai", "default")],
        json: r#"{"id":"x","object":"chat.completion","created":1743770624,"model":"grok-4","choices":[{"index":0,"message":{
            "role":"assistant","content":"101."},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P",
            "completion_tokens":"V","reasoning_tokens":"R","total_tokens":"T","prompt_text_tokens":"P",
            "cached_prompt_text_tokens":"C"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("perplexity", "default")],
        json: r#"{"id":"3c90","model":"sonar-deep-research","created":1724369245,"object":"chat.completion","choices":[{"index":0,
            "message":{"role":"assistant","content":"It is so [1]."},"finish_reason":"stop"}],"citations":["https://x.test"],
            "usage":{"prompt_tokens":"P","completion_tokens":"A","total_tokens":"T","search_context_size":"low",
            "citation_tokens":"K","num_search_queries":"F","reasoning_tokens":"R","cost":{"total_cost":0.8}}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("perplexity", "default")],
        json: r#"{"id":"5e1f","model":"sonar-reasoning-pro","created":1724369245,"object":"chat.completion","choices":[{"index":0,
            "message":{"role":"assistant","content":"<think>So</think>Yes."},"finish_reason":"stop"}],"usage":{
            "prompt_tokens":"P","completion_tokens":"A","total_tokens":"T","search_context_size":"high",
            "num_search_queries":"F","reasoning_tokens":"R"}}"#,
    },
    Body {
        surface: RESPONSES,
        providers: &[("perplexity", "responses")],
        json: r#"{"id":"resp_p","object":"response","created_at":1762000000,"model":"perplexity/sonar","status":"completed",
            "output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"It is."}]}],"usage":{
            "input_tokens":"P","input_tokens_details":{"cache_read_input_tokens":"C","cache_creation_input_tokens":0},
            "output_tokens":"A","output_tokens_details":{"reasoning_tokens":"R"},"total_tokens":"T","tool_calls_details":{
            "search_web":{"invocation":"F"}},"cost":{"currency":"USD","total_cost":0.01}}}"#,
    },
    Body {
        surface: RESPONSES,
        providers: &[
            ("perplexity", "decisions"),
            ("openrouter", "decisions"),
            ("typesafe", "default"),
        ],
        json: r#"{"id":"dec_1","object":"response","model":"jev-1.13","status":"completed","output":[{"type":"message",
            "role":"assistant","content":[{"type":"output_text","text":"allow"}]}],"usage":{"input_tokens":"P",
            "output_tokens":"A"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("mistral", "default")],
        json: r#"{"id":"cmpl-e5","object":"chat.completion","created":1702256327,"model":"mistral-medium-3-5","choices":[{"index":0,
            "message":{"role":"assistant","content":"Oui.","tool_calls":null,"prefix":false},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":"P","completion_tokens":"A","total_tokens":"T","prompt_audio_seconds":null,
            "prompt_tokens_details":{"cached_tokens":"C"},"completion_tokens_details":{"reasoning_tokens":"R"}}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("cerebras", "chat")],
        json: r#"{"id":"chatcmpl-c","object":"chat.completion","created":1721592030,"model":"gpt-oss-120b","choices":[{"index":0,
            "message":{"role":"assistant","content":"Fast.","reasoning":"Be"},"finish_reason":"stop"}],"usage":{
            "prompt_tokens":"P","completion_tokens":"A","total_tokens":"T","prompt_tokens_details":{"cached_tokens":"C"},
            "completion_tokens_details":{"reasoning_tokens":"R"}},"time_info":{"queue_time":0.0001,"total_time":0.4}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[
            ("fireworks", "chat"),
            ("meta", "chat"),
            ("minimax", "chat"),
            ("arcee", "chat"),
            ("arcee", "default"),
            ("cloudflare", "chat"),
            ("baseten", "chat"),
        ],
        json: r#"{"id":"c-1","object":"chat.completion","created":1757000000,"model":"served-model","choices":[{"index":0,
            "message":{"role":"assistant","content":"Done."},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P",
            "completion_tokens":"A","total_tokens":"T","prompt_tokens_details":{"cached_tokens":"C"},
            "completion_tokens_details":{"reasoning_tokens":"R"}}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("databricks", "chat"), ("databricks", "default")],
        json: r#"{"id":"d-1","object":"chat.completion","created":1757000000,"model":"databricks-claude-sonnet-4-6","choices":[{
            "index":0,"message":{"role":"assistant","content":"Done."},"finish_reason":"stop"}],"usage":{
            "prompt_tokens":"P","completion_tokens":"A","total_tokens":"T","cache_read_input_tokens":"C",
            "reasoning_tokens":"R"}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[("modal", "chat")],
        json: r#"{"id":"m-1","object":"chat.completion","created":1757000000,"model":"zai-org/GLM-5.2","choices":[{"index":0,
            "message":{"role":"assistant","content":"Done."},"finish_reason":"stop"}],"usage":{"prompt_tokens":"P",
            "completion_tokens":"A","total_tokens":"T","reasoning_tokens":"R","prompt_tokens_details":{"cached_tokens":"C",
            "cache_write_tokens":"W"}}}"#,
    },
    Body {
        surface: CHAT,
        providers: &[
            ("huggingface_cerebras", "chat"),
            ("huggingface_fireworks-ai", "chat"),
            ("huggingface_groq", "chat"),
            ("huggingface_hyperbolic", "chat"),
            ("huggingface_nebius", "chat"),
            ("huggingface_novita", "chat"),
            ("huggingface_nscale", "chat"),
            ("huggingface_ovhcloud", "chat"),
            ("huggingface_publicai", "chat"),
            ("huggingface_sambanova", "chat"),
            ("huggingface_together", "chat"),
            ("ovhcloud", "chat"),
        ],
        json: r#"{"id":"hf-1","object":"chat.completion","created":1757000000,"model":"meta-llama/Llama-3.3-70B-Instruct",
            "choices":[{"index":0,"message":{"role":"assistant","content":"Done.","tool_calls":[]},"finish_reason":"stop",
            "logprobs":null}],"usage":{"prompt_tokens":"P","completion_tokens":"A","total_tokens":"T",
            "prompt_tokens_details":{"cached_tokens":"C"},"completion_tokens_details":{"reasoning_tokens":"R"}}}"#,
    },
    Body {
        surface: MESSAGES,
        providers: &[("anthropic", "default")],
        json: r#"{"id":"msg_c","type":"message","role":"assistant","model":"claude-opus-5","content":[{"type":"compaction",
            "content":"So far:"},{"type":"text","text":"On."}],"stop_reason":"end_turn","usage":{"input_tokens":"N",
            "cache_creation_input_tokens":0,"cache_read_input_tokens":"C","output_tokens":"A","iterations":[
            {"type":"compaction","input_tokens":"P","output_tokens":"R"},{"type":"message","input_tokens":"N",
            "cache_read_input_tokens":"C","output_tokens":"A"}]}}"#,
    },
];
