//! What the way back needs to know of the way there.

use serde_json::{Map, Value, json};

use super::neutral::{Answer, Call, Conversation, Part};
use super::{Surface, custom};

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
    pub(super) echo: Map<String, Value>,
    /// Tools that the provider knows by another name, or as another kind.
    tools: Vec<Sent>,
}

/// A tool as the provider knows it.
#[derive(Clone, Debug)]
struct Sent {
    name: String,
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
    pub(super) fn new(conversation: &Conversation, provider: Surface) -> Reply {
        let mut echo = Map::new();
        if conversation.surface == Surface::Responses {
            let c = conversation;
            let metadata = c.metadata.clone().unwrap_or_default();
            echo.insert("metadata".to_owned(), Value::Object(metadata));
            echo.insert(
                "parallel_tool_calls".to_owned(),
                c.parallel.unwrap_or(true).into(),
            );
            echo.insert("temperature".to_owned(), json!(c.sampling.temperature));
            echo.insert("top_p".to_owned(), json!(c.sampling.top_p));
            echo.insert("max_output_tokens".to_owned(), json!(c.max_output_tokens));
            echo.insert("tool_choice".to_owned(), "auto".into());
        }
        Reply {
            client: conversation.surface,
            provider,
            include_usage: conversation.include_usage,
            echo,
            tools: Vec::new(),
        }
    }

    /// Remembers how a tool was sent, unless it was sent as it is.
    pub(super) fn sent(&mut self, name: &str, own: &str, namespace: Option<&str>, wrapped: bool) {
        if name != own || namespace.is_some() || wrapped {
            self.tools.push(Sent {
                name: name.to_owned(),
                own: own.to_owned(),
                namespace: namespace.map(str::to_owned),
                wrapped,
            });
        }
    }

    /// The client's own name of a tool that the provider calls.
    pub(super) fn own<'a>(&'a self, name: &'a str) -> Own<'a> {
        match self.tools.iter().find(|sent| sent.name == name) {
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

    /// Gives the calls of a whole answer the client's names back.
    pub(super) fn restore(&self, answer: &mut Answer) {
        for part in &mut answer.parts {
            if let Part::Call(call) = part {
                self.restore_call(call);
            }
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
