//! What is asked.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Field, Proof};
use crate::Surface;
use crate::reasoning::Effort;

/// Most kinds of things that are named as not carried over.
const MOST_NAMED: usize = 64;

/// A request to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// The surface it was written for, whose names are used when fields are named.
    pub(crate) surface: Surface,
    /// System prompts included, in their places.
    pub(crate) turns: Vec<Turn>,
    /// What may be called.
    pub(crate) tools: Vec<Tool>,
    /// Whether something is to be called.
    pub(crate) choice: Option<Choice>,
    /// Whether several calls may come at once, if said.
    pub(crate) parallel: Option<bool>,
    /// How words are picked.
    pub(crate) sampling: Sampling,
    /// Most tokens of the answer, reasoning included.
    pub(crate) max_output_tokens: Option<u64>,
    /// What shape the answer must have.
    pub(crate) format: Option<Format>,
    /// How much is thought first.
    pub(crate) reasoning: Reasoning,
    /// `low`, `medium` or `high`.
    pub(crate) verbosity: Option<String>,
    /// Whether the answer is to come as a stream.
    pub(crate) stream: bool,
    /// Whether a chat stream is to end with its usage.
    pub(crate) include_usage: bool,
    /// Who asks, as the client distinguishes its own users.
    pub user: Option<String>,
    /// The client's own notes, strings by name.
    pub(crate) metadata: Option<Map<String, Value>>,
    /// The service tier in OpenAI's words.
    pub(crate) tier: Option<String>,
    /// The provider is to place a cache mark of its own.
    pub(crate) cache: Option<CacheMark>,
    /// What requests with the same beginning share.
    pub(crate) cache_key: Option<String>,
    /// How long OpenAI keeps a prefix, in its words.
    pub(crate) cache_retention: Option<String>,
    /// Named members that only the surface they were written for knows.
    pub(crate) unknown: Vec<String>,
    /// What is known already not to be carried over.
    pub(crate) dropped: Vec<Field>,
    /// What an answer repeats of its request, in the client's words.
    pub(crate) echo: Arc<Map<String, Value>>,
}

impl Conversation {
    /// An empty one.
    pub(crate) fn new(surface: Surface) -> Conversation {
        Conversation {
            surface,
            turns: Vec::new(),
            tools: Vec::new(),
            choice: None,
            parallel: None,
            sampling: Sampling::default(),
            max_output_tokens: None,
            format: None,
            reasoning: Reasoning::default(),
            verbosity: None,
            stream: false,
            include_usage: false,
            user: None,
            metadata: None,
            tier: None,
            cache: None,
            cache_key: None,
            cache_retention: None,
            unknown: Vec::new(),
            dropped: Vec::new(),
            echo: Arc::default(),
        }
    }

    /// Names what is not carried over, once; of very many, the first.
    pub(crate) fn leave_out(&mut self, name: String) {
        if self.unknown.len() < MOST_NAMED && !self.unknown.contains(&name) {
            self.unknown.push(name);
        }
    }

    /// Adds blocks to the last turn if it is the same role's, else as a turn of their own.
    pub(crate) fn push(&mut self, role: Role, blocks: Vec<Block>) {
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => self.turns.push(Turn { role, blocks }),
        }
    }
}

/// What one side says before the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn {
    /// Whose it is.
    pub(crate) role: Role,
    /// What it is made of.
    pub(crate) blocks: Vec<Block>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The operator.
    System,
    /// The operator, as OpenAI's reasoning models call it.
    Developer,
    /// The user, and the tools.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Whether it instructs rather than converses.
    pub(crate) fn instructs(self) -> bool {
        matches!(self, Role::System | Role::Developer)
    }
}

/// One piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    /// What it is.
    pub(crate) content: Content,
    /// A mark after which the prefix is kept.
    pub(crate) cache: Option<CacheMark>,
}

impl From<Content> for Block {
    fn from(content: Content) -> Block {
        Block {
            content,
            cache: None,
        }
    }
}

impl Block {
    /// Text without a mark.
    pub(crate) fn text(text: impl Into<String>) -> Block {
        Content::Text(text.into()).into()
    }
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// Words.
    Text(String),
    /// The model's words for why it does not answer.
    Refusal(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// OpenAI's `detail`, unless it is `auto`.
        detail: Option<String>,
    },
    /// A document, PDF unless its media type says otherwise.
    File {
        /// Where it is.
        source: Source,
        /// Its file name or title.
        name: Option<String>,
    },
    /// A call of a tool.
    Call(Call),
    /// What a call came to.
    Result(CallResult),
    /// What the model thought.
    Thinking(Thinking),
}

/// Where the bytes of a picture or document are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// At a URL.
    Url(String),
    /// Here.
    Base64 {
        /// For example `image/png`.
        media_type: String,
        /// Base64, as it came.
        data: String,
    },
    /// With the provider, under an id.
    Id(String),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// What its result will refer to.
    pub(crate) id: String,
    /// The tool's name.
    pub(crate) name: String,
    /// The group that the tool is in.
    pub(crate) namespace: Option<String>,
    /// JSON text; of a custom tool, free text.
    pub(crate) arguments: String,
    /// Whether the tool is a custom one.
    pub(crate) custom: bool,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallResult {
    /// The call's id.
    pub(crate) id: String,
    /// Texts, pictures and documents.
    pub(crate) blocks: Vec<Block>,
    /// Whether the tool failed.
    pub(crate) error: bool,
}

/// What the model thought.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Thinking {
    /// In words, or a summary; empty if it is only there encrypted.
    pub(crate) text: String,
    /// What makes its provider believe it.
    pub(crate) proof: Proof,
}

impl Thinking {
    /// A thought without words.
    pub(crate) fn proof(proof: &Proof) -> Thinking {
        Thinking {
            text: String::new(),
            proof: proof.clone(),
        }
    }
}

/// A mark after which the prefix is kept for the next request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CacheMark {
    /// For how long, for example `5m`, `1h` or `30m`.
    pub(crate) ttl: Option<String>,
}

/// Something that may be called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: String,
    /// The group it is in.
    pub(crate) namespace: Option<String>,
    /// What it does.
    pub(crate) description: Option<String>,
    /// What it takes.
    pub(crate) kind: ToolKind,
    /// A mark after which the prefix is kept.
    pub(crate) cache: Option<CacheMark>,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ToolKind {
    /// JSON.
    Function {
        /// The JSON Schema of its arguments.
        schema: Option<Value>,
        /// Whether the provider must hold to the schema.
        strict: Option<bool>,
    },
    /// Free text, possibly held to a grammar.
    Custom {
        /// In the words of OpenAI's Responses: `{"type": "grammar", "syntax", "definition"}`.
        format: Option<Value>,
    },
    /// Run by the provider; the name is its type.
    Hosted,
}

/// Whether something is to be called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// If the model wants.
    Auto,
    /// Nothing.
    None,
    /// Anything, but something.
    Required,
    /// This tool.
    One(String),
    /// Only some of the tools.
    Allowed {
        /// Whether one of them must be.
        required: bool,
        /// Their names.
        names: Vec<String>,
    },
    /// A tool that the provider runs.
    Hosted,
}

/// How words are picked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sampling {
    /// 0 to 2.
    pub(crate) temperature: Option<f64>,
    /// 0 to 1.
    pub(crate) top_p: Option<f64>,
    /// The most words looked at.
    pub(crate) top_k: Option<Value>,
    /// For answers that repeat.
    pub(crate) seed: Option<Value>,
    /// What ends the answer.
    pub(crate) stop: Vec<String>,
    /// −2 to 2.
    pub(crate) frequency_penalty: Option<Value>,
    /// −2 to 2.
    pub(crate) presence_penalty: Option<Value>,
    /// By token.
    pub(crate) logit_bias: Option<Value>,
    /// Whether to return the probabilities.
    pub(crate) logprobs: bool,
    /// Of how many alternatives.
    pub(crate) top_logprobs: Option<u64>,
}

/// What shape the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// Some JSON object.
    Json,
    /// JSON of a schema.
    Schema {
        /// The schema's name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The JSON Schema.
        schema: Value,
        /// Whether the provider must hold to it.
        strict: Option<bool>,
    },
}

/// How much is thought first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reasoning {
    /// How hard.
    pub(crate) effort: Option<Effort>,
    /// Whether thinking is switched on or off, if said.
    pub(crate) enabled: Option<bool>,
    /// Most tokens of it.
    pub(crate) budget: Option<u64>,
    /// Whether to show it in words, if said.
    pub(crate) shown: Option<bool>,
    /// OpenAI's word for how long a summary is.
    pub(crate) summary: Option<String>,
}
