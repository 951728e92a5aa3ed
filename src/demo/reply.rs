//! What the demo answers, before a surface gives it a shape.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use super::model::Model;
use super::prompt::{Choice, Prompt, Tool, words};
use super::sample;

/// Content events of the model `long`.
pub(super) const LONG: usize = 2_000;

/// An answer: pieces that are streamed one by one and sent joined otherwise.
#[derive(Debug)]
pub(super) struct Reply {
    /// The model's id.
    pub(super) model: &'static str,
    /// Distinguishes this process's answers.
    pub(super) id: String,
    /// Seconds since the Unix epoch.
    pub(super) created: u64,
    /// Reasoning, word by word.
    pub(super) reasoning: Vec<String>,
    /// Text, word by word.
    pub(super) text: Vec<String>,
    /// Tool calls.
    pub(super) calls: Vec<Call>,
    /// Why it ends.
    pub(super) end: End,
    /// What is reported; `None` reports nothing.
    pub(super) usage: Option<Tokens>,
    /// Whether a stream ends with a usage chunk.
    pub(super) include_usage: bool,
    /// What a response repeats of its request.
    pub(super) echo: Map<String, Value>,
}

/// A tool call.
#[derive(Debug)]
pub(super) struct Call {
    /// Distinguishes the calls of this process's answers.
    pub(super) id: String,
    /// The tool's name.
    pub(super) name: String,
    /// Its arguments as JSON, in fragments of a few characters, as models stream them.
    pub(super) arguments: Vec<String>,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is complete.
    Complete,
    /// The token limit is reached.
    Length,
    /// Tools are called.
    Tools,
}

/// Words, reported as tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Of the prompt.
    pub(super) input: usize,
    /// Of the answer, reasoning included.
    pub(super) output: usize,
    /// Of the reasoning.
    pub(super) reasoning: usize,
}

/// Composes the answer of a model to a prompt.
pub(super) fn compose(prompt: &Prompt, model: Model) -> Reply {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let calls = calls(prompt, number);
    let mut text = if calls.is_empty() {
        pieces(&said(prompt, model))
    } else {
        Vec::new()
    };
    let reasoning = match model {
        Model::Thinking => pieces("The user said something. I should say it back."),
        _ => Vec::new(),
    };
    let cut = prompt.max_tokens.filter(|most| *most < text.len());
    text.truncate(cut.unwrap_or(usize::MAX));
    let end = match (calls.is_empty(), cut) {
        (false, _) => End::Tools,
        (true, Some(_)) => End::Length,
        (true, None) => End::Complete,
    };
    let called = |call: &Call| 1 + words(&call.arguments.concat());
    let called: usize = calls.iter().map(called).sum();
    let tokens = Tokens {
        input: prompt.words,
        output: reasoning.len() + text.len() + called,
        reasoning: reasoning.len(),
    };
    Reply {
        model: Model::ALL
            .iter()
            .find(|(known, _, _)| *known == model)
            .map_or("echo", |(_, id, _)| id),
        id: format!("demo_{number}"),
        created: tollgate_base::clock::unix().as_secs(),
        reasoning,
        text,
        calls,
        end,
        usage: (model != Model::NoUsage).then_some(tokens),
        include_usage: prompt.include_usage,
        echo: prompt.echo.clone(),
    }
}

fn said(prompt: &Prompt, model: Model) -> String {
    match (model, &prompt.schema, &prompt.tool_result) {
        (Model::Long, ..) => "word ".repeat(LONG),
        (_, Some(schema), _) => sample::value(schema).to_string(),
        (_, _, Some(result)) => format!("The tool said: {result}"),
        _ => format!("You said: {}", prompt.user),
    }
}

/// The tools to call: those named, else by what the text says, unless a tool has just answered.
fn calls(prompt: &Prompt, number: u64) -> Vec<Call> {
    let chosen: Vec<&Tool> = match &prompt.choice {
        Choice::Never => Vec::new(),
        _ if prompt.tool_result.is_some() => Vec::new(),
        Choice::Named(name) => prompt
            .tools
            .iter()
            .filter(|tool| tool.name == *name)
            .collect(),
        Choice::Auto | Choice::Any => mentioned(prompt),
    };
    let call = |(index, tool): (usize, &Tool)| Call {
        id: format!("call_demo_{number}_{index}"),
        name: tool.name.clone(),
        arguments: fragments(&sample::value(&tool.parameters).to_string()),
    };
    chosen.into_iter().enumerate().map(call).collect()
}

fn mentioned(prompt: &Prompt) -> Vec<&Tool> {
    let named: Vec<&Tool> = prompt
        .tools
        .iter()
        .filter(|tool| prompt.user.contains(&tool.name))
        .collect();
    let any = prompt.choice == Choice::Any || prompt.user.to_lowercase().contains("weather");
    if named.is_empty() && any {
        prompt.tools.iter().take(1).collect()
    } else {
        named
    }
}

/// A text word by word; joined, the pieces are the text again.
fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(char::is_whitespace)
        .map(str::to_owned)
        .collect()
}

fn fragments(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let fragments = characters.chunks(6);
    fragments
        .map(|fragment| fragment.iter().collect())
        .collect()
}
