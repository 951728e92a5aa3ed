//! What the way back needs to know of the way there.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::neutral::{Answer, Call, Content, Conversation, Part, Proof};
use super::{Surface, custom, names};

/// What the translation of an answer needs to know of its request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The surface that the client called.
    pub client: Surface,
    /// The surface that the provider was called on.
    pub provider: Surface,
    /// Whether a chat client asked for the usage of its stream.
    pub include_usage: bool,
    /// What a Responses object repeats of its request.
    pub(super) echo: Arc<Map<String, Value>>,
    /// By the provider's name: tools that it knows by another one, or as another kind.
    tools: HashMap<String, Sent>,
    /// The ids of the calls that were made already, as the client knows them, in order.
    called: Arc<[String]>,
    /// How many turns there were.
    turns: usize,
}

/// The ids of a conversation's calls, in order.
fn called(conversation: &Conversation) -> Arc<[String]> {
    let blocks = conversation.turns.iter().flat_map(|turn| &turn.blocks);
    let ids = blocks.filter_map(|block| match &block.content {
        Content::Call(call) => Some(call.id.clone()),
        _ => None,
    });
    let mut ids: Vec<String> = ids.collect();
    ids.sort_unstable();
    ids.into()
}

/// The ids that calls of one answer were given, as the client sees them.
#[derive(Debug, Default)]
pub(super) struct Given {
    ids: HashSet<String>,
    /// Of an id that was taken, the number that is tried next: those before it are taken as well.
    next: HashMap<String, usize>,
}

/// A tool as the provider knows it.
#[derive(Clone, Debug)]
struct Sent {
    own: String,
    namespace: Option<String>,
    /// A custom tool that was sent as a function.
    wrapped: bool,
}

/// A tool as the client knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    pub wrapped: bool,
}

impl Reply {
    /// Returns what the writer of an answer needs to know of a request that was not translated; a response repeats
    /// `echo`.
    pub fn untranslated(client: Surface, include_usage: bool, echo: Map<String, Value>) -> Reply {
        Reply {
            client,
            provider: client,
            include_usage,
            echo: Arc::new(echo),
            tools: HashMap::new(),
            called: Arc::default(),
            turns: 0,
        }
    }

    pub(super) fn new(conversation: &Conversation, provider: Surface) -> Reply {
        Reply {
            client: conversation.surface,
            provider,
            include_usage: conversation.include_usage,
            echo: conversation.echo.clone(),
            tools: HashMap::new(),
            called: called(conversation),
            turns: conversation.turns.len(),
        }
    }

    /// The id of an answer whose provider gives none; `created` is in Unix time (s).
    pub(super) fn answer_id<'a>(&self, id: &'a str, created: u64) -> Cow<'a, str> {
        match id {
            "" => format!("tollgate-{created:x}-{}", self.turns).into(),
            id => id.into(),
        }
    }

    /// The id of a call, other than those of the calls before it: some providers give none, and some the same in every
    /// turn. `given` are those of this answer.
    pub(super) fn call_id(&self, id: &str, given: &mut Given) -> String {
        let free = self.free_id(id, given);
        given.ids.insert(self.told(&free));
        free
    }

    /// The id that a call with this one would get.
    fn free_id(&self, id: &str, given: &mut Given) -> String {
        let is_free = |id: &str, given: &Given| {
            let id = self.told(id);
            self.called.binary_search(&id).is_err() && !given.ids.contains(&id)
        };
        if !id.is_empty() && is_free(id, given) {
            return id.to_owned();
        }
        let stem = if id.is_empty() { "call" } else { id };
        let first = given.next.get(stem).copied().unwrap_or(0);
        let last = first + self.called.len() + given.ids.len();
        for number in first..=last {
            let numbered = format!("{stem}_{number}");
            if is_free(&numbered, given) {
                given.next.insert(stem.to_owned(), number);
                return numbered;
            }
        }
        stem.to_owned()
    }

    /// An id as the client sees it.
    fn told(&self, id: &str) -> String {
        match self.client {
            Surface::Messages => names::call_id(id),
            _ => id.to_owned(),
        }
    }

    /// Remembers how a tool was sent, unless it was sent as it is.
    pub(super) fn sent(&mut self, name: &str, own: &str, namespace: Option<&str>, wrapped: bool) {
        if name != own || namespace.is_some() || wrapped {
            self.tools.entry(name.to_owned()).or_insert_with(|| Sent {
                own: own.to_owned(),
                namespace: namespace.map(str::to_owned),
                wrapped,
            });
        }
    }

    /// The client's own name of a tool that the provider calls.
    pub(super) fn own<'a>(&'a self, name: &'a str) -> Own<'a> {
        match self.tools.get(name) {
            Some(sent) => Own {
                name: &sent.own,
                namespace: sent.namespace.as_deref(),
                wrapped: sent.wrapped,
            },
            None => Own {
                name,
                namespace: None,
                wrapped: false,
            },
        }
    }

    /// Gives the calls of a whole answer the client's names back, and ids that are theirs alone.
    pub(super) fn restore(&self, answer: &mut Answer, created: u64) {
        let mut given = Given::default();
        for part in &mut answer.parts {
            match part {
                Part::Call(call) => {
                    call.id = self.call_id(&call.id, &mut given);
                    self.restore_call(call);
                }
                Part::Thinking(thinking) => {
                    thinking.proof = self.of_next_call(&thinking.proof, &mut given);
                }
                Part::Text(..) | Part::Refusal(_) => {}
            }
        }
        answer.id = self.answer_id(&answer.id, created).into_owned();
    }

    /// A proof; that of the next call says the id which the client will know the call by. `given` are those before it.
    pub(super) fn of_next_call(&self, proof: &Proof, given: &mut Given) -> Proof {
        match proof {
            Proof::Extra {
                call: Some(call),
                content,
            } => Proof::Extra {
                call: Some(self.free_id(call, given)),
                content: content.clone(),
            },
            proof => proof.clone(),
        }
    }

    fn restore_call(&self, call: &mut Call) {
        let own = self.own(&call.name);
        if own.wrapped {
            call.custom = true;
            call.arguments = custom::unwrap(&call.arguments);
        }
        let name = own.name.to_owned();
        if let Some(namespace) = own.namespace {
            call.namespace = Some(namespace.to_owned());
        }
        call.name = name;
    }
}
