//! Reads the chunks of chat completions and of text completions.

use super::facts::{Facts, Read};
use crate::Dialect;
use crate::payload::chat::{Choice, Chunk, Delta, Function};
use crate::report::figures::Figures;

/// Reads one chunk into facts.
pub(super) fn read(chunk: &Chunk<'_>, facts: &mut Facts) -> Read {
    let failure = chunk.error.failure();
    facts.model(&chunk.model);
    facts.id(&chunk.id);
    facts.serve(&chunk.service_tier);
    if failure.is_none() {
        for choice in chunk.choices.iter() {
            tell_choice(choice, facts);
        }
    }
    let figures = Figures::of(chunk.usage);
    let usage_only = chunk.choices.present && chunk.choices.first.is_none() && figures.is_some();
    let figures = figures.or_else(|| Figures::of(chunk.x_groq.0.as_ref()?.usage));
    let answers = chunk.choices.present || figures.is_some();
    if let Some(figures) = figures {
        facts.serve_all(&figures);
        if let Some(usage) = figures.usage(Dialect::OpenAi, false) {
            facts.report(usage, true);
        }
    }
    Read {
        usage_only: usage_only && failure.is_none(),
        answers,
        failure,
    }
}

/// Tells what a choice has, whole or not.
pub(super) fn tell_choice(choice: &Choice<'_>, facts: &mut Facts) {
    facts.text(&choice.text);
    let deltas = [choice.delta.0.as_ref(), choice.message.0.as_deref()];
    for delta in deltas.into_iter().flatten() {
        tell_delta(delta, facts);
    }
    if let Some(reason) = choice.finish_reason.some() {
        facts.content = true;
        facts.finish_reason(reason);
    }
}

fn tell_delta(delta: &Delta<'_>, facts: &mut Facts) {
    facts.text(delta.thought());
    delta.content.text(|text| facts.text(text));
    facts.text(&delta.refusal);
    for call in delta.tool_calls.iter() {
        for function in [&call.function, &call.custom]
            .into_iter()
            .filter_map(|function| function.0.as_ref())
        {
            tell_function(function, facts);
        }
    }
    if let Some(function) = &delta.function_call.0 {
        tell_function(function, facts);
    }
    if let Some(audio) = &delta.audio.0 {
        facts.text(&audio.transcript);
        facts.other(audio.data.0.len());
    }
    facts.content |= delta.tool_calls.first.is_some()
        || delta.reasoning_details.has_elements()
        || delta.function_call.0.is_some()
        || delta.audio.0.is_some();
}

fn tell_function(function: &Function<'_>, facts: &mut Facts) {
    facts.text(&function.name);
    function.arguments.text(|text| facts.text(text));
    facts.text(&function.input);
}
