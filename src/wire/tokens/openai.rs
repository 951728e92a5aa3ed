//! Chunks of chat completions and of text completions.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::facts::{Facts, Read};
use crate::Dialect;
use crate::report::failure::Fault;
use crate::report::figures::{Groq, Written};
use crate::report::lenient::{Few, Maybe, Text};

/// One chunk of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    choices: Few<Maybe<Choice<'a>>>,
    #[serde(borrow)]
    usage: Written<'a>,
    #[serde(borrow)]
    service_tier: Text<'a>,
    #[serde(borrow)]
    x_groq: Maybe<Groq<'a>>,
    error: Fault,
}

/// One choice: of a chunk it has a `delta`, of a whole answer a `message`, of a text completion a `text`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    delta: Maybe<Delta<'a>>,
    #[serde(borrow)]
    message: Maybe<Delta<'a>>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    reasoning: Text<'a>,
    reasoning_details: Few<IgnoredAny>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    tool_calls: Few<Maybe<Call<'a>>>,
    #[serde(borrow)]
    function_call: Maybe<Function<'a>>,
    #[serde(borrow)]
    audio: Maybe<Audio<'a>>,
}

/// A tool call, or a fragment of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    #[serde(borrow)]
    function: Maybe<Function<'a>>,
    #[serde(borrow)]
    custom: Maybe<Function<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
    #[serde(borrow)]
    input: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Audio<'a> {
    #[serde(borrow)]
    transcript: Text<'a>,
    #[serde(borrow)]
    data: Text<'a>,
}

impl Function<'_> {
    fn tell(&self, facts: &mut Facts) {
        facts.text(&self.name);
        facts.text(&self.arguments);
        facts.text(&self.input);
    }
}

impl Delta<'_> {
    fn tell(&self, facts: &mut Facts) {
        // Some providers send the reasoning under both names.
        let reasoning = if self.reasoning_content.is_empty() {
            &self.reasoning
        } else {
            &self.reasoning_content
        };
        facts.text(reasoning);
        facts.text(&self.content);
        facts.text(&self.refusal);
        for call in self.tool_calls.iter() {
            for function in [&call.function, &call.custom]
                .into_iter()
                .filter_map(|function| function.0.as_ref())
            {
                function.tell(facts);
            }
        }
        if let Some(function) = &self.function_call.0 {
            function.tell(facts);
        }
        if let Some(audio) = &self.audio.0 {
            facts.text(&audio.transcript);
            facts.other(audio.data.0.len());
        }
        facts.content |= self.tool_calls.first.is_some()
            || self.reasoning_details.first.is_some()
            || self.function_call.0.is_some()
            || self.audio.0.is_some();
    }
}

impl Choice<'_> {
    pub(super) fn tell(&self, facts: &mut Facts) {
        facts.text(&self.text);
        for delta in [&self.delta, &self.message]
            .into_iter()
            .filter_map(|delta| delta.0.as_ref())
        {
            delta.tell(facts);
        }
        if let Some(reason) = self.finish_reason.some() {
            facts.content = true;
            facts.finish_reason(reason);
        }
    }
}

impl Chunk<'_> {
    pub(super) fn read(self, facts: &mut Facts) -> Read {
        let failure = self.error.failure();
        facts.model(&self.model);
        facts.id(&self.id);
        facts.serve(&self.service_tier);
        if failure.is_none() {
            for choice in self.choices.iter() {
                choice.tell(facts);
            }
        }
        let figures = self.usage.figures();
        let usage_only = self.choices.present && self.choices.first.is_none() && figures.is_some();
        let groq = || self.x_groq.0.as_ref()?.usage.figures();
        let figures = figures.or_else(groq);
        let figures_told = figures.is_some();
        if let Some(figures) = figures {
            facts.serve_all(&figures);
            if let Some(usage) = figures.usage(Dialect::OpenAi, false) {
                facts.report(usage, true);
            }
        }
        Read {
            usage_only: usage_only && failure.is_none(),
            answers: self.choices.present || figures_told,
            failure,
        }
    }
}
