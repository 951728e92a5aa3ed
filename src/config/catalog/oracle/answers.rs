//! What answers are read as using, by our reader and by theirs, unit by unit.

use std::collections::BTreeMap;

use bytes::Bytes;
use genai_prices::ExtractRequest;
use serde_json::{Map, Value, json};

use super::bodies::{BODIES, Body};
use super::costs::{Dice, translated};
use tollgate_wire::Endpoint;
use tollgate_wire::tokens::{Observer, Settled};

/// Answers of each provider's shape.
const EACH: u64 = 60;

/// Why we read another figure than the oracle, of one provider's shape.
struct Exception {
    provider: &'static str,
    shape: &'static str,
    figure: &'static str,
    reason: &'static str,
}

const fn exception(
    provider: &'static str,
    shape: &'static str,
    figure: &'static str,
    reason: &'static str,
) -> Exception {
    Exception {
        provider,
        shape,
        figure,
        reason,
    }
}

const HIDDEN: &str = "thoughts that only the total has, where the oracle does not look";
const COMPACTION: &str =
    "a compaction's outer figures are of its last part only; the oracle knows no others";
const SEARCHES: &str = "searches that the usage tells where the oracle does not look";
const CACHED: &str = "what was cached, told where the oracle does not look";

const EXCEPTIONS: [Exception; 14] = [
    exception("google", "chat", "output_tokens", HIDDEN),
    exception("google", "chat", "output_reasoning_tokens", HIDDEN),
    exception("x-ai", "chat", "output_tokens", HIDDEN),
    exception("x-ai", "chat", "output_reasoning_tokens", HIDDEN),
    exception("anthropic", "default", "input_tokens", COMPACTION),
    exception("anthropic", "default", "output_tokens", COMPACTION),
    exception("openrouter", "chat", "web_searches", SEARCHES),
    exception("x-ai", "chat", "web_searches", SEARCHES),
    exception("x-ai", "responses", "web_searches", SEARCHES),
    exception("cerebras", "chat", "cache_read_tokens", CACHED),
    exception("deepseek", "chat", "cache_read_tokens", CACHED),
    exception("doubleword", "chat", "cache_read_tokens", CACHED),
    exception("moonshotai", "chat", "cache_read_tokens", CACHED),
    exception("github-copilot", "chat", "cache_write_tokens", CACHED),
];

/// The figures behind the letters of a body.
fn figures(dice: &mut Dice) -> BTreeMap<&'static str, u64> {
    let mut part = |whole: &mut u64| {
        let part = if dice.often(7) {
            dice.below(*whole + 1)
        } else {
            0
        };
        *whole -= part;
        part
    };
    // What has a text has some tokens of it.
    const TEXT: u64 = 8;
    let (mut prompt, mut answer) = (1 + part(&mut 200_000), part(&mut 60_000));
    let (whole_prompt, whole_answer) = (prompt, answer + TEXT);
    let cached = part(&mut prompt);
    let minutes = part(&mut prompt);
    let hour = part(&mut prompt);
    let sound = part(&mut prompt.clone());
    let reasoning = part(&mut answer);
    let spoken = part(&mut answer.clone());
    let hidden = part(&mut 5_000);
    let citations = part(&mut 20_000);
    let searches = part(&mut 9);
    BTreeMap::from([
        ("P", whole_prompt),
        ("A", whole_answer),
        ("T", whole_prompt + whole_answer),
        ("C", cached),
        ("W", minutes + hour),
        ("W5", minutes),
        ("W1", hour),
        ("N", prompt),
        ("M", whole_prompt - cached),
        ("S", sound),
        ("R", reasoning),
        ("O", spoken),
        ("V", whole_answer - reasoning),
        ("K", citations),
        ("F", searches),
        ("B", whole_answer + hidden),
        ("H", whole_prompt + whole_answer + hidden),
    ])
}

/// Puts figures in the place of letters, and now and then leaves a part of a whole out, or makes it null.
fn fill(value: &mut Value, figures: &BTreeMap<&str, u64>, dice: &mut Dice) {
    match value {
        Value::String(letter) => {
            if let Some(figure) = figures.get(letter.as_str()) {
                *value = json!(figure);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|one| fill(one, figures, dice)),
        Value::Object(members) => {
            vary(members, dice);
            members
                .values_mut()
                .for_each(|one| fill(one, figures, dice));
        }
        _ => {}
    }
}

fn vary(members: &mut Map<String, Value>, dice: &mut Dice) {
    let parts: Vec<String> = members
        .keys()
        .filter(|name| name.ends_with("_details") || name.as_str() == "server_tool_use")
        .cloned()
        .collect();
    for part in parts {
        match dice.below(10) {
            0 => drop(members.remove(&part)),
            1 => drop(members.insert(part, Value::Null)),
            _ => {}
        }
    }
}

fn answer(body: &Body, dice: &mut Dice) -> Value {
    let mut json: Value = serde_json::from_str(body.json).expect(body.json);
    let figures = figures(dice);
    fill(&mut json["usage"], &figures, dice);
    json
}

/// Our reading, in the oracle's names.
fn ours(body: &Body, json: &Value) -> genai_prices::Usage {
    let mut observer = Observer::whole(Endpoint::Generate(body.surface));
    let _seen = observer.feed(Bytes::from(json.to_string()));
    let failure = observer.finish();
    let settled = Settled::of(&observer, "m", || {
        panic!("nothing was reported: {json} {failure:?}")
    });
    assert!(!settled.estimated, "{json}");
    translated(&settled.usage)
}

#[test]
fn answers_are_read_as_the_oracle_reads_them() {
    let mut dice = Dice(30);
    let mut read = BTreeMap::<(&str, &str), u64>::new();
    let mut differing = [0_u64; EXCEPTIONS.len()];
    let mut wrong: Vec<String> = Vec::new();
    for body in &BODIES {
        for (provider, shape) in body.providers {
            for _ in 0..EACH {
                let json = answer(body, &mut dice);
                let request = ExtractRequest::from_value(&json)
                    .with_provider_id(provider)
                    .with_api_flavor(shape);
                let theirs = genai_prices::Calculator::bundled()
                    .extract_provider_usage(&request)
                    .unwrap_or_else(|error| panic!("{provider} {shape}: {error}: {json}"));
                assert!(
                    theirs.warnings.is_empty(),
                    "{provider} {shape}: {:?}",
                    theirs.warnings
                );
                let (ours, mut theirs) = (ours(body, &json), theirs.usage);
                *read.entry((provider, shape)).or_default() += 1;
                // What is for minutes is what is not for an hour.
                theirs.remove("cache_write_5m_tokens");
                let names: std::collections::BTreeSet<&str> = ours
                    .keys()
                    .chain(theirs.keys())
                    .map(|key| key.as_str())
                    .collect();
                for figure in names {
                    let of = |usage: &genai_prices::Usage| usage.get(figure).unwrap_or(0.0);
                    let (our, their) = (of(&ours), of(&theirs));
                    if (our - their).abs() < 0.5 {
                        continue;
                    }
                    let known = EXCEPTIONS.iter().position(|known| {
                        (known.provider, known.shape, known.figure) == (provider, shape, figure)
                    });
                    match known {
                        Some(place) => differing[place] += 1,
                        None => wrong.push(format!(
                            "{provider} {shape} {figure}: {our}, the oracle {their}: {}",
                            json["usage"]
                        )),
                    }
                }
            }
        }
    }
    let mut first = BTreeMap::new();
    for line in &wrong {
        first
            .entry(line.split(':').next().unwrap_or_default())
            .or_insert(line);
    }
    assert!(wrong.is_empty(), "{}: {first:#?}", wrong.len());
    for (exception, differing) in EXCEPTIONS.iter().zip(differing) {
        let Exception {
            provider,
            shape,
            figure,
            reason,
        } = exception;
        assert!(
            differing > 0,
            "{provider} {shape} {figure}: no exception any more: {reason}"
        );
    }
    assert!(read.values().all(|count| *count >= EACH), "{read:?}");
    let providers: std::collections::BTreeSet<&str> =
        read.keys().map(|(provider, _)| *provider).collect();
    assert!(providers.len() >= 40, "{providers:?}");
}
