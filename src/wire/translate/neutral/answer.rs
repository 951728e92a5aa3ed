//! What is answered, whole or as it comes.

use serde_json::Value;

use super::{Call, Proof, Thinking};
use crate::report::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// The provider's id for it; empty if it gave none.
    pub(crate) id: String,
    /// The model that served.
    pub model: String,
    /// What it is made of, in order.
    pub(crate) parts: Vec<Part>,
    /// Why it ended.
    pub(crate) stop: Stop,
    /// The tokens, if they are reported.
    pub(crate) usage: Option<Usage>,
    /// The service tier in OpenAI's words.
    pub(crate) tier: Option<String>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// Words, and the probabilities of their tokens as OpenAI's chat lists them.
    Text(String, Vec<Value>),
    /// Why the model does not answer.
    Refusal(String),
    /// What it thought.
    Thinking(Thinking),
    /// A call of a tool.
    Call(Call),
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It was done.
    #[default]
    Done,
    /// This sequence came, if it is known.
    Sequence(Option<String>),
    /// As long as was allowed.
    Length,
    /// It wants tools called.
    Calls,
    /// The model or the provider would not.
    Refused,
}

/// A piece of a stream. Blocks are distinguished by their index, and several may be open at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The answer begins; the id is empty if the provider gives none.
    Start {
        /// The provider's id for it.
        id: &'a str,
        /// The model that serves.
        model: &'a str,
        /// What is known of the prompt already.
        usage: Option<Usage>,
        /// The service tier in OpenAI's words.
        tier: Option<&'a str>,
    },
    /// A block begins.
    Open(u32, Kind<'a>),
    /// A block goes on.
    Delta(u32, Delta<'a>),
    /// A block is whole.
    Close(u32),
    /// The answer is whole.
    Stop {
        /// Why it ended.
        stop: Stop,
        /// The tokens, if they are reported.
        usage: Option<Usage>,
        /// The service tier in OpenAI's words.
        tier: Option<&'a str>,
    },
    /// The provider failed on the way.
    Error(Fault),
    /// A sign of life.
    Ping,
}

impl Event<'_> {
    /// The beginning of an answer of which nothing is known.
    pub(crate) const UNTOLD_START: Event<'static> = Event::Start {
        id: "",
        model: "",
        usage: None,
        tier: None,
    };
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Words.
    Text,
    /// Why the model does not answer.
    Refusal,
    /// What it thinks.
    Thinking,
    /// A proof that is known whole and has no words of its own.
    Proof(&'a Proof),
    /// A call of a tool.
    Call {
        /// What its result will refer to.
        id: &'a str,
        /// The tool's name as the provider knows it.
        name: &'a str,
        /// The group that the tool is in.
        namespace: Option<&'a str>,
        /// Whether the tool is a custom one.
        custom: bool,
    },
}

/// A fragment of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta<'a> {
    /// Of text, refusal, thinking or arguments, as the block's kind says.
    Text(&'a str),
    /// The probabilities of the tokens just said, as OpenAI's chat lists them.
    Logprobs(&'a str),
    /// What makes its provider believe a thought.
    Proof(&'a Proof),
}

/// The most parts (texts, thoughts, calls) that one answer may have: readers look for a part among all others.
pub(crate) const MOST_PARTS: usize = 4_096;

/// Puts an answer together from the events of its stream.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    answer: Answer,
    /// The blocks that are open, and their places among the parts.
    open: Vec<(u32, usize)>,
    ended: bool,
    is_too_long: bool,
}

impl Collector {
    /// Whether it has more parts than are read.
    pub(crate) fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    /// The next event.
    pub(crate) fn take(&mut self, event: &Event<'_>) {
        let answer = &mut self.answer;
        match event {
            Event::Start {
                id, model, tier, ..
            } => {
                answer.id = (*id).to_owned();
                answer.model = (*model).to_owned();
                answer.tier = tier.map(str::to_owned);
            }
            Event::Open(..) if answer.parts.len() >= MOST_PARTS => self.is_too_long = true,
            Event::Open(index, kind) => {
                self.open.push((*index, answer.parts.len()));
                answer.parts.push(Part::of(kind));
            }
            Event::Delta(index, delta) => {
                let open = self.open.iter().rfind(|(open, _)| open == index);
                if let Some((_, at)) = open {
                    answer.parts[*at].extend(delta);
                }
            }
            Event::Close(index) => self.open.retain(|(open, _)| open != index),
            Event::Stop { stop, usage, tier } => {
                answer.stop = stop.clone();
                answer.usage = *usage;
                if let Some(tier) = tier {
                    answer.tier = Some((*tier).to_owned());
                }
                self.ended = true;
            }
            Event::Error(_) | Event::Ping => {}
        }
    }

    /// The answer, if it came to its end, and all of it was read.
    pub(crate) fn finish(self) -> Option<Answer> {
        (self.ended && !self.is_too_long).then_some(self.answer)
    }
}

impl Part {
    /// An empty one of a kind.
    pub(in crate::translate) fn of(kind: &Kind<'_>) -> Part {
        match kind {
            Kind::Text => Part::Text(String::new(), Vec::new()),
            Kind::Refusal => Part::Refusal(String::new()),
            Kind::Thinking => Part::Thinking(Thinking::default()),
            Kind::Proof(proof) => Part::Thinking(Thinking::proof(proof)),
            Kind::Call {
                id,
                name,
                namespace,
                custom,
            } => Part::Call(Call {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                namespace: namespace.map(str::to_owned),
                arguments: String::new(),
                custom: *custom,
            }),
        }
    }

    fn extend(&mut self, delta: &Delta<'_>) {
        match (self, delta) {
            (Part::Text(all, _) | Part::Refusal(all), Delta::Text(text)) => all.push_str(text),
            (Part::Thinking(thinking), Delta::Text(text)) => thinking.text.push_str(text),
            (Part::Thinking(thinking), Delta::Proof(proof)) => {
                thinking.proof = Proof::clone(proof);
            }
            (Part::Call(call), Delta::Text(text)) => call.arguments.push_str(text),
            (Part::Text(_, all), Delta::Logprobs(list)) => {
                let list: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
                all.extend(list);
            }
            _ => {}
        }
    }
}

/// A provider's failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status that says the same.
    pub status: u16,
    /// The provider's own name for it.
    pub kind: String,
    /// The provider's own words.
    pub message: String,
}
