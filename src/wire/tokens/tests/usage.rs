//! Usage as providers really send it, and answers too large to keep.

use super::*;
use crate::report::Unit;

#[test]
fn lying_usage_neither_panics_nor_wraps() {
    for (usage, want) in [
        ("null", None),
        ("{}", None),
        ("[]", None),
        ("\"12\"", None),
        (r#"{"prompt_tokens":null,"completion_tokens":3}"#, None),
        (r#"{"prompt_tokens":5}"#, None),
        (r#"{"prompt_tokens":5,"total_tokens":8}"#, Some((5, 3))),
        (r#"{"prompt_tokens":-5,"completion_tokens":3}"#, None),
        (
            r#"{"prompt_tokens":5.0,"completion_tokens":3.9}"#,
            Some((5, 3)),
        ),
        (
            r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}"#,
            None,
        ),
        (r#"{"prompt_tokens":1e300,"completion_tokens":3}"#, None),
        (
            r#"{"prompt_tokens":5,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":99}}"#,
            Some((5, 3)),
        ),
        (
            r#"{"prompt_tokens":5,"completion_tokens":3,"completion_tokens_details":null,"x":[{}]}"#,
            Some((5, 3)),
        ),
        (
            r#"{"prompt_tokens":5,"completion_tokens":3,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            Some((5, 10)),
        ),
    ] {
        let chunk = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
        let body = format!("{{\"choices\":[],\"usage\":{usage}}}");
        let stream = streamed(Surface::ChatCompletions, false, &chunk).facts.0;
        let whole = whole(Endpoint::Generate(Surface::ChatCompletions), &body)
            .facts
            .0;
        assert_eq!(
            stream.map(|usage| (usage.input(), usage.output())),
            want,
            "{usage}"
        );
        assert_eq!(stream, whole, "whole: {usage}");
        if let Some(usage) = stream {
            assert!(
                usage.cached_read() <= usage.input() && usage.reasoning() <= usage.output(),
                "{usage:?}"
            );
        }
    }
}

/// Images of a hosted tool were free: their tokens stand beside the usage, in `tool_usage.image_gen`.
#[test]
fn images_that_a_tool_made_are_counted_beside_the_answer() {
    let response = r#"{"id":"r","object":"response","model":"m","status":"completed","output":[],"usage":{"input_tokens":50,"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":70},"tool_usage":{"image_gen":{"input_tokens":12,"input_tokens_details":{"image_tokens":0,"text_tokens":12},"output_tokens":1056,"total_tokens":1068},"web_search":{"num_requests":0}}}"#;
    let event = format!("data: {{\"type\":\"response.completed\",\"response\":{response}}}\n\n");
    let streamed = streamed(Surface::Responses, false, &event).facts.0;
    let whole = whole(Endpoint::Generate(Surface::Responses), response)
        .facts
        .0;
    assert_eq!(streamed, whole);
    let usage = streamed.expect("reported");
    let units: Vec<(Unit, u64)> = usage.units().collect();
    assert_eq!(
        units,
        [
            (Unit::Input, 50),
            (Unit::InputImage, 12),
            (Unit::Output, 15),
            (Unit::Reasoning, 5),
            (Unit::OutputImage, 1056),
        ]
    );
}

/// Perplexity counts reasoning beside the answer, also where it has no citations to count.
#[test]
fn reasoning_of_a_search_is_beside_the_answer() {
    let usage = r#"{"prompt_tokens":9,"completion_tokens":40,"total_tokens":49,"num_search_queries":2,"reasoning_tokens":700}"#;
    let body = format!("{{\"choices\":[],\"usage\":{usage}}}");
    let usage = whole(Endpoint::Generate(Surface::ChatCompletions), &body)
        .facts
        .0
        .expect("reported");
    let units: Vec<(Unit, u64)> = usage.units().collect();
    let expected = [
        (Unit::Input, 9),
        (Unit::Output, 40),
        (Unit::Reasoning, 700),
        (Unit::WebSearch, 2),
    ];
    assert_eq!(units, expected);
}

#[test]
fn the_last_complete_usage_wins_and_zeros_do_not_erase_a_prompt() {
    let stream = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\ndata: {\"choices\":[],\"usage\":null}\n\n";
    let usage = streamed(Surface::ChatCompletions, false, stream)
        .facts
        .0
        .expect("usage");
    assert_eq!((usage.input(), usage.output()), (5, 2), "chat");
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}"#;
    for (delta, want) in [
        (r#"{"output_tokens":9}"#, (15, 5, 9)),
        (
            r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9}"#,
            (15, 5, 9),
        ),
        (
            r#"{"input_tokens":40,"cache_read_input_tokens":7,"cache_creation_input_tokens":2,"output_tokens":9}"#,
            (49, 7, 9),
        ),
        (r#"{"input_tokens":null,"output_tokens":null}"#, (15, 5, 1)),
    ] {
        let stream = format!(
            "data: {start}\n\ndata: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{delta}}}\n\n"
        );
        let seen = streamed(Surface::Messages, false, &stream);
        let usage = seen.facts.0.expect("usage");
        assert_eq!(
            (usage.input(), usage.cached_read(), usage.output()),
            want,
            "{delta}"
        );
        assert_eq!(
            seen.facts.1,
            usage.output() == 9,
            "final only with the output: {delta}"
        );
    }
}

/// The end of a stream repeats sums without their parts, as Anthropic's does.
#[test]
fn an_hours_cache_writes_stay_what_the_start_told() {
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_creation_input_tokens":100,
        "cache_read_input_tokens":0,"output_tokens":1,
        "cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":60}}}}"#
        .replace('\n', "");
    for (delta, minutes, hour) in [
        (r#""cache_creation_input_tokens":100"#, 40, 60),
        (r#""cache_creation_input_tokens":50"#, 0, 50),
        (
            r#""cache_creation_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":90,"ephemeral_1h_input_tokens":10}"#,
            90,
            10,
        ),
        (r#""cache_creation_input_tokens":null"#, 40, 60),
    ] {
        let stream = format!(
            "data: {start}\n\ndata: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{{\"input_tokens\":3,{delta},\"output_tokens\":9}}}}\n\n"
        );
        let usage = streamed(Surface::Messages, false, &stream)
            .facts
            .0
            .expect("usage");
        let seen = (usage[Unit::CacheWrite], usage[Unit::CacheWrite1h]);
        assert_eq!(seen, (minutes, hour), "{delta}");
    }
}

#[test]
fn tools_that_the_provider_ran_are_counted_in_whole_answers_as_in_streams() {
    let items = [
        r#"{"type":"web_search_call","action":{"type":"search","query":"q"}}"#,
        r#"{"type":"web_search_call","action":{"type":"open_page","url":"u"}}"#,
        r#"{"type":"file_search_call","queries":["q"]}"#,
        r#"{"type":"code_interpreter_call","container_id":"c1","code":"1"}"#,
        r#"{"type":"code_interpreter_call","container_id":"c1","code":"2"}"#,
        r#"{"type":"message","content":[{"type":"web_search_call"}]}"#,
    ];
    let usage = r#""service_tier":"priority","usage":{"input_tokens":3,"output_tokens":4}"#;
    let whole = format!(r#"{{"output":[{}],{usage}}}"#, items.join(","));
    let done = items.map(|item| {
        format!("data: {{\"type\":\"response.output_item.done\",\"item\":{item}}}\n\n")
    });
    let end = format!("data: {{\"type\":\"response.completed\",\"response\":{{{usage}}}}}\n\n");
    let mut stream = Observer::stream(Surface::Responses, false);
    let _told = account(&mut stream, &[(done.concat() + &end).as_bytes()]);
    let want = stream.usage().expect("usage");
    assert_eq!(
        (
            want[Unit::WebSearch],
            want[Unit::FileSearch],
            want[Unit::CodeContainer]
        ),
        (1, 1, 1)
    );
    let pad = "x".repeat(2 << 20);
    for document in [
        whole.clone(),
        format!("{{\"pad\":\"{pad}\",{}", &whole[1..]),
    ] {
        let mut observer = Observer::whole(Endpoint::Generate(Surface::Responses));
        let chunks: Vec<&[u8]> = document.as_bytes().chunks(65_536).collect();
        let _told = account(&mut observer, &chunks);
        assert_eq!(observer.usage(), Some(want));
        assert_eq!(observer.served(), stream.served());
        assert!(!observer.served().is_standard(), "priority");
    }
}

#[test]
fn an_answer_that_says_it_has_no_tokens_is_counted() {
    let body = r#"{"choices":[{"message":{"content":"word word word"}}],"usage":{"prompt_tokens":3,"completion_tokens":0}}"#;
    let mut observer = Observer::whole(Endpoint::Generate(Surface::ChatCompletions));
    let _told = account(&mut observer, &[body.as_bytes()]);
    assert_eq!(
        (
            observer.usage_final(),
            observer.count_output(Encoding::O200k)
        ),
        (false, 3)
    );
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"word word word\"}}]}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":0}}\n\n";
    let mut observer = Observer::stream(Surface::ChatCompletions, false);
    let _told = account(&mut observer, &[stream.as_bytes()]);
    assert_eq!(
        (
            observer.usage_final(),
            observer.count_output(Encoding::O200k)
        ),
        (false, 3)
    );
}

#[test]
fn a_huge_answer_is_not_kept_and_its_usage_is_found_at_either_end() {
    let usage = r#""model":"big","usage": {"prompt_tokens":8,"total_tokens":8}"#;
    let vector = r#"{"embedding":[0.123456789]},"#.repeat(100_000);
    for body in [
        format!("{{\"data\":[{vector}{{}}],{usage}}}"),
        format!("{{{usage},\"data\":[{vector}{{\"text\":\"\\\"usage\\\": {{}}\"}}]}}"),
    ] {
        for size in [1000, 70_000, 900_000, body.len()] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let seen = account(
                &mut Observer::whole(Endpoint::Generate(Surface::Embeddings)),
                &chunks,
            );
            assert_eq!(
                seen.facts.0.map(|usage| usage.input()),
                Some(8),
                "in chunks of {size}"
            );
            assert_eq!(seen.names.0.as_deref(), Some("big"), "in chunks of {size}");
            assert_eq!(seen.out.len(), body.len(), "bytes pass");
        }
    }
}

#[test]
fn endless_text_is_measured_not_kept() {
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "word ".repeat(10_000)
    );
    let mut observer = Observer::stream(Surface::ChatCompletions, false);
    for _ in 0..40 {
        let _seen = observer.feed(Bytes::copy_from_slice(event.as_bytes()));
    }
    assert!(observer.output_text().len() <= 1 << 20, "bounded");
    let counted = observer.count_output(Encoding::O200k);
    assert!(
        (399_000..402_000).contains(&counted),
        "about a token a word: {counted}"
    );
}
