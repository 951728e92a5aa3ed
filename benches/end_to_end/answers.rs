//! What the provider answers with, on each of its surfaces, prepared once.
//!
//! Events have the fields and the sizes of the vendors' own: about 200 bytes of a chat chunk, 120 of a Messages delta
//! and 280 of a Responses delta, whose number and padding differ from event to event. A stream's opening ends with its
//! first content event.

use tollgate_wire::Surface;

/// Events prepared where each has a number of its own; a longer stream begins again with the first.
const NUMBERED: usize = 1000;

/// The answers of one surface.
pub struct Answers {
    /// A whole answer, head and body.
    pub whole: Vec<u8>,
    /// The same without its usage.
    pub uncounted: Vec<u8>,
    /// A stream's head and its events up to the first content.
    pub opening: Vec<u8>,
    /// The content events, each a chunk.
    events: Vec<Vec<u8>>,
    /// The events after the content, and the end of the body.
    pub ending: Vec<u8>,
}

impl Answers {
    /// Those of a surface that generates text; of chat completions for any other.
    pub fn of(surface: Surface) -> Answers {
        match surface {
            Surface::Messages => messages(),
            Surface::Responses => responses(),
            _ => chat(),
        }
    }

    /// The content event of this place, from 0, in a stream.
    pub fn event(&self, at: u64) -> &[u8] {
        let count = self.events.len() as u64;
        usize::try_from(at % count).map_or(&[][..], |at| self.events[at].as_slice())
    }

    fn new(json: &str, before: &str, events: Vec<String>, after: &str) -> Answers {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
        let first = events.first().map_or("", String::as_str);
        Answers {
            whole: plain(json),
            uncounted: plain(&json.replace(r#""usage":"#, r#""unused":"#)),
            opening: format!("{head}{before}{first}").into_bytes(),
            ending: format!("{after}0\r\n\r\n").into_bytes(),
            events: events.into_iter().map(String::into_bytes).collect(),
        }
    }
}

/// An answer that is no stream.
fn plain(json: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

/// One server-sent event in a chunk of its own.
fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// The same, with a name, which its data's `type` is too; `rest` follows that.
fn named(name: &str, rest: &str) -> String {
    let event = format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// What a plain answer says.
fn text() -> String {
    "The quick brown fox jumps over the lazy dog and goes on. ".repeat(4)
}

fn chat() -> Answers {
    let text = text();
    let json = format!(
        r#"{{"id":"chatcmpl-bench00000000000000000000","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":61,"completion_tokens":53,"total_tokens":114,"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}},"system_fingerprint":"fp_bench"}}"#
    );
    let role = chunk(&delta(
        r#"{"role":"assistant","content":"","refusal":null}"#,
        "null",
    ));
    let event = chunk(&delta(r#"{"content":" token"}"#, "null"));
    let finish = chunk(&delta("{}", r#""stop""#));
    let usage = chunk(
        r#"{"id":"chatcmpl-bench00000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","system_fingerprint":"fp_bench","choices":[],"usage":{"prompt_tokens":61,"completion_tokens":500,"total_tokens":561}}"#,
    );
    let done = chunk("[DONE]");
    Answers::new(&json, &role, vec![event], &format!("{finish}{usage}{done}"))
}

/// A completion chunk in OpenAI's shape.
fn delta(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-bench00000000000000000000","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

fn messages() -> Answers {
    let text = text();
    let message = r#""id":"msg_bench000000000000000000","type":"message","role":"assistant","model":"bench-model""#;
    let usage = r#""input_tokens":61,"cache_creation_input_tokens":0,"cache_read_input_tokens":0"#;
    let json = format!(
        r#"{{{message},"content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{{usage},"output_tokens":53}}}}"#
    );
    let before = [
        named(
            "message_start",
            &format!(
                r#","message":{{{message},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{usage},"output_tokens":1}}}}"#
            ),
        ),
        named(
            "content_block_start",
            r#","index":0,"content_block":{"type":"text","text":""}"#,
        ),
        named("ping", ""),
    ]
    .concat();
    let event = named(
        "content_block_delta",
        r#","index":0,"delta":{"type":"text_delta","text":" token"}"#,
    );
    let after = [
        named("content_block_stop", r#","index":0"#),
        named(
            "message_delta",
            r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":500}"#,
        ),
        named("message_stop", ""),
    ]
    .concat();
    Answers::new(&json, &before, vec![event], &after)
}

fn responses() -> Answers {
    const ITEM: &str = "msg_bench00000000000000000000000000000000000000000000";
    let text = text();
    let response = |status: &str, output: &str, usage: &str| {
        format!(
            r#"{{"id":"resp_bench0000000000000000000000000000000000000000000","object":"response","created_at":1760000000,"status":"{status}","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"bench-model","output":[{output}],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{{"effort":null,"summary":null}},"service_tier":"default","store":true,"temperature":1.0,"text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{usage},"metadata":{{}}}}"#
        )
    };
    let part = |text: &str| {
        format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}"#)
    };
    let item = |status: &str, content: &str| {
        format!(
            r#"{{"id":"{ITEM}","type":"message","status":"{status}","content":[{content}],"role":"assistant"}}"#
        )
    };
    let usage = r#"{"input_tokens":61,"input_tokens_details":{"cached_tokens":0},"output_tokens":500,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":561}"#;
    let whole = item("completed", &part(&text));
    let place = format!(r#""item_id":"{ITEM}","output_index":0,"content_index":0"#);
    let opened = response("in_progress", "", "null");
    let before = [
        named(
            "response.created",
            &format!(r#","sequence_number":0,"response":{opened}"#),
        ),
        named(
            "response.in_progress",
            &format!(r#","sequence_number":1,"response":{opened}"#),
        ),
        named(
            "response.output_item.added",
            &format!(
                r#","sequence_number":2,"output_index":0,"item":{}"#,
                item("in_progress", "")
            ),
        ),
        named(
            "response.content_part.added",
            &format!(r#","sequence_number":3,{place},"part":{}"#, part("")),
        ),
    ]
    .concat();
    let events = (0..NUMBERED)
        .map(|at| {
            let padding = &"PqjvSYzWk3hTnA0x"[..at % 16];
            named(
                "response.output_text.delta",
                &format!(
                    r#","sequence_number":{},{place},"delta":" token","logprobs":[],"obfuscation":"{padding}""#,
                    at + 4
                ),
            )
        })
        .collect();
    // As long as the whole answer's, not as the stream's: what ends a stream is not what is measured.
    let after = [
        named(
            "response.output_text.done",
            &format!(r#","sequence_number":2000,{place},"text":"{text}","logprobs":[]"#),
        ),
        named(
            "response.content_part.done",
            &format!(r#","sequence_number":2001,{place},"part":{}"#, part(&text)),
        ),
        named(
            "response.output_item.done",
            &format!(r#","sequence_number":2002,"output_index":0,"item":{whole}"#),
        ),
        named(
            "response.completed",
            &format!(
                r#","sequence_number":2003,"response":{}"#,
                response("completed", &whole, usage)
            ),
        ),
    ]
    .concat();
    Answers::new(
        &response("completed", &whole, usage),
        &before,
        events,
        &after,
    )
}
