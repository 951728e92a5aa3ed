//! Answers and events of any size are charged: by the usage that is their own, and by their bytes where there is none.
//!
//! A whole answer of 1.25 MB was charged for its prompt only, a `usage` in the input of a tool was believed, and an event
//! over 16 MiB ended a stream's count and, for the client, its end.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::{Script, chat_stop};

const MIB: usize = 1 << 20;

/// The longest event of a stream that is gathered.
const EVENT: usize = 16 * MIB;

/// A gateway that charges [`FEE`], has time, and an answer for each provider.
async fn gateway(scripts: Vec<Script>) -> (Gateway, Vec<Fake>) {
    let timeouts = json!({"per_request": "50s", "total": "55s", "stream_idle": "50s"});
    let mut builder = Gateway::builder()
        .config(money(1_000_000_000_000))
        .config(json!({"timeouts": timeouts}));
    let mut fakes = Vec::new();
    for (at, script) in scripts.into_iter().enumerate() {
        let fake = Fake::start(Wire::H1, script).await;
        builder = builder.fake(&format!("p{at}"), &fake);
        fakes.push(fake);
    }
    (builder.start().await, fakes)
}

/// Says this in a chat completion.
fn chat(choice: &Value, usage: &Value, length: bool) -> Script {
    let mut body = json!({"id": "c", "model": "m", "choices": [choice]});
    if !usage.is_null() {
        body["usage"] = usage.clone();
    }
    let script = Script::new().head(200, &[("content-type", "application/json")]);
    let body = body.to_string();
    if length {
        return script.length().data(body);
    }
    let pieces = body.into_bytes();
    let pieces = pieces.chunks(100_000).map(<[u8]>::to_vec);
    pieces.fold(script, Script::data)
}

#[tokio::test]
async fn a_large_whole_answer_is_charged_by_what_it_says_or_by_its_text() {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3});
    let fake_usage = json!({"usage": {"prompt_tokens": 1, "completion_tokens": 1}}).to_string();
    let words = "word ".repeat(5 * MIB / 4 / 5);
    let image = "iVBORw0KGgo+/abc".repeat(MIB / 8);
    let says = |content: &str| json!({"message": {"content": content}, "finish_reason": "stop"});
    let calls = json!({"message": {"tool_calls": [
        {"function": {"name": "n", "arguments": format!("{words}{fake_usage}"), "usage": {"prompt_tokens": 1, "completion_tokens": 1}}},
    ]}});
    let draws = json!({"message": {"images": [{"image_url": {"url": image}}]}});
    // What is charged of the answer itself: words are tokens; an image is its bytes, four a token.
    let exact = 3..=3;
    let counted = 250_000..=270_000;
    let measured = image.len() / 4..=image.len() / 4 + 100;
    let cases = [
        ("usage", &says(&words), &usage, exact.clone()),
        ("usage, and a tool", &calls, &usage, exact),
        ("text", &says(&words), &Value::Null, counted.clone()),
        ("a tool", &calls, &Value::Null, counted),
        ("an image", &draws, &Value::Null, measured),
    ];
    let scripts = cases
        .iter()
        .flat_map(|(_, choice, usage, _)| [true, false].map(|length| chat(choice, usage, length)));
    let (gateway, fakes) = gateway(scripts.collect()).await;
    let mut before = totals(&gateway).await;
    for (at, fake) in fakes.iter().enumerate() {
        let (name, _, usage, output) = &cases[at / 2];
        let answer = ask(&gateway, &Request::chat(&[&format!("p{at}:m")], false)).await;
        assert_eq!((answer.status(), answer.clean), (200, true), "{name}");
        assert_eq!(fake.count(), 1, "{name}");
        let total = told(&gateway, before.requests).await;
        let input = total.input - before.input;
        let charged = usize::try_from(total.output - before.output).unwrap();
        assert!(output.contains(&charged), "{name}: {charged}");
        assert!(usage.is_null() || input == 7, "{name}: {input}");
        before = total;
    }
    verified(&gateway);
}

/// The totals once another request was reported.
async fn told(gateway: &Gateway, before: u64) -> Rollup {
    let end = tollgate_base::clock::now() + common::PATIENCE;
    loop {
        let total = totals(gateway).await;
        if total.requests > before {
            return total;
        }
        assert!(tollgate_base::clock::now() < end, "it is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stream_with_an_event_over_16_mib_passes_and_is_charged() {
    let image = "iVBORw0KGgo+/abc".repeat(EVENT / 16 + 1);
    let stream = |events: String| {
        let events = events.into_bytes();
        let pieces = events.chunks(4 * MIB).map(<[u8]>::to_vec);
        pieces.fold(Script::sse(), Script::data)
    };
    let draws = json!({"choices": [{"delta": {"images": [{"image_url": {"url": image}}]}}]});
    let with_usage = json!({"choices": [{"delta": {"images": [{"image_url": {"url": image}}]}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3}});
    let end = format!("{}data: [DONE]\n\n", chat_stop());
    let scripts = vec![
        stream(format!("data: {with_usage}\n\n{end}")),
        stream(format!("data: {draws}\n\n{end}")),
    ];
    let (gateway, _fakes) = gateway(scripts).await;
    let measured = image.len() / 4..=image.len() / 4 + 100;
    let mut before = totals(&gateway).await;
    for (at, output) in [3..=3, measured].into_iter().enumerate() {
        // The usage chunk is not asked for, so it is looked for in what passes.
        let answer = ask(&gateway, &Request::chat(&[&format!("p{at}:m")], true)).await;
        assert_eq!((answer.status(), answer.clean), (200, true), "p{at}");
        assert!(answer.body.len() > EVENT, "p{at}: it passes");
        assert!(answer.body.ends_with(b"data: [DONE]\n\n"), "p{at}: whole");
        let total = told(&gateway, before.requests).await;
        let charged = usize::try_from(total.output - before.output).unwrap();
        assert!(output.contains(&charged), "p{at}: {charged}");
        before = total;
    }
    verified(&gateway);
}

#[tokio::test]
async fn a_whole_answer_that_breaks_off_is_charged_for_what_came() {
    let words = "word ".repeat(MIB / 5);
    let body = json!({"choices": [{"message": {"content": words}}]}).to_string();
    let half = &body[..body.len() / 2];
    let cut = Script::new()
        .head(200, &[("content-type", "application/json")])
        .data(half.to_owned())
        .wait(50)
        .cut();
    let (gateway, _fakes) = gateway(vec![cut]).await;
    let answer = ask(&gateway, &Request::chat(&["p0:m"], false)).await;
    assert!(!answer.clean, "it shows");
    let total = told(&gateway, 0).await;
    let want = MIB as u64 / 10;
    assert!(
        (want - 2000..want + 2000).contains(&total.output),
        "{}",
        total.output
    );
    verified(&gateway);
}
