//! Writes a stream of OpenAI's Responses API.

use serde_json::{Value, json};

use super::super::neutral::{Call, Delta, Event, Fault, Kind, Proof, Stop, Thinking};
use super::super::{Dialect, Reply, errors, out, usage};
use super::answer::{
    Head, call_item, call_prefix, item_id, message_item, reasoning_item, response, status,
};
use crate::report::Usage;

/// Writes the neutral model's events as those of the Responses API.
#[derive(Debug)]
pub(crate) struct Encoder {
    reply: Reply,
    created: u64,
    id: String,
    model: String,
    tier: Option<String>,
    /// The number of the next event.
    sequence: u64,
    /// All items by their places; `null` stands for one that is open.
    output: Vec<Value>,
    open: Vec<Item>,
}

/// An item that is open.
#[derive(Debug)]
struct Item {
    /// Which block it is in the neutral model's events.
    index: u32,
    id: String,
    /// Its index in the response's `output`.
    place: usize,
    what: What,
    /// What is the same in all its deltas: up to the sequence number, and from there to the text.
    head: [Vec<u8>; 2],
}

/// What an item is, with its content so far.
#[derive(Debug)]
enum What {
    /// Words, and their logprobs.
    Text(String, Vec<Value>),
    Refusal(String),
    Thinking(Thinking),
    Call(Call),
}

impl What {
    /// Returns the type of its deltas.
    fn delta_type(&self) -> &'static str {
        match self {
            What::Text(..) => "response.output_text.delta",
            What::Refusal(_) => "response.refusal.delta",
            What::Thinking(_) => "response.reasoning_summary_text.delta",
            What::Call(call) if call.custom => "response.custom_tool_call_input.delta",
            What::Call(_) => "response.function_call_arguments.delta",
        }
    }
}

impl Encoder {
    /// Makes an encoder; `created` is in Unix time (s).
    pub(crate) fn new(reply: &Reply, created: u64) -> Encoder {
        Encoder {
            reply: reply.clone(),
            created,
            id: String::new(),
            model: String::new(),
            tier: None,
            sequence: 0,
            output: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Appends what an event becomes.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Delta(index, delta) => self.delta(*index, delta, out),
            Event::Start {
                id, model, tier, ..
            } => {
                self.id = (*id).to_owned();
                self.model = (*model).to_owned();
                self.tier = tier.map(str::to_owned);
                let response = self.response("in_progress", Vec::new()).to_string();
                for kind in ["response.created", "response.in_progress"] {
                    self.begin_event(kind, out);
                    out.extend_from_slice(b",\"response\":");
                    out.extend_from_slice(response.as_bytes());
                    out.extend_from_slice(b"}\n\n");
                }
            }
            Event::Open(index, kind) => self.open_item(*index, kind, out),
            Event::Close(index) => self.close_item(*index, out),
            Event::Stop { stop, usage, tier } => {
                if let Some(tier) = tier {
                    self.tier = Some((*tier).to_owned());
                }
                self.stop(stop, *usage, out);
            }
            Event::Error(fault) => self.error(fault, out),
            Event::Ping => {}
        }
    }

    fn response(&self, status: &str, output: Vec<Value>) -> Value {
        let head = Head {
            id: &self.id,
            model: &self.model,
            tier: self.tier.as_deref(),
            created: self.created,
        };
        response(&head, &self.reply, status, output)
    }

    /// Appends an event: its type, its number, then the members of `data`.
    fn event(&mut self, kind: &str, data: Value, out: &mut Vec<u8>) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        if let (Value::Object(event), Value::Object(data)) = (&mut event, data) {
            event.extend(data);
        }
        self.sequence += 1;
        out::named(out, kind, &event);
    }

    /// Appends an event up to and including its number, and counts it.
    fn begin_event(&mut self, kind: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&event_start(kind));
        out::number(out, self.sequence);
        self.sequence += 1;
    }

    fn open_item(&mut self, index: u32, kind: &Kind<'_>, out: &mut Vec<u8>) {
        let place = self.output.len();
        self.output.push(Value::Null);
        let (prefix, what) = match kind {
            Kind::Text => ("msg_", What::Text(String::new(), Vec::new())),
            Kind::Refusal => ("msg_", What::Refusal(String::new())),
            Kind::Thinking => ("rs_", What::Thinking(Thinking::default())),
            Kind::Proof(proof) => ("rs_", What::Thinking(Thinking::proof(proof))),
            Kind::Call {
                id,
                name,
                namespace,
                custom,
            } => {
                let call = Call {
                    id: (*id).to_owned(),
                    name: (*name).to_owned(),
                    namespace: namespace.map(str::to_owned),
                    arguments: String::new(),
                    custom: *custom,
                };
                (call_prefix(*custom), What::Call(call))
            }
        };
        let id = item_id(prefix, &self.id, place);
        let item = match &what {
            What::Text(..) | What::Refusal(_) => {
                let mut item = message_item(&id, &Value::Null, "in_progress");
                item["content"] = json!([]);
                item
            }
            What::Thinking(_) => json!({"id": id, "type": "reasoning", "summary": []}),
            What::Call(call) => call_item(&id, call, "in_progress"),
        };
        let data = json!({"output_index": place, "item": item});
        self.event("response.output_item.added", data, out);
        if let What::Text(..) | What::Refusal(_) = what {
            let data = json!({
                "item_id": id, "output_index": place, "content_index": 0, "part": part(&what),
            });
            self.event("response.content_part.added", data, out);
        }
        let mut head = Vec::with_capacity(96);
        head.extend_from_slice(b",\"item_id\":");
        out::string(&mut head, &id);
        head.extend_from_slice(b",\"output_index\":");
        out::number(&mut head, u64::try_from(place).unwrap_or(0));
        head.extend_from_slice(match what {
            What::Text(..) => b",\"content_index\":0,\"logprobs\":[],\"delta\":",
            What::Refusal(_) => b",\"content_index\":0,\"delta\":" as &[u8],
            What::Thinking(_) => b",\"summary_index\":0,\"delta\":",
            What::Call(_) => b",\"delta\":",
        });
        self.open.push(Item {
            index,
            id,
            place,
            head: [event_start(what.delta_type()), head],
            what,
        });
    }

    fn delta(&mut self, index: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|item| item.index == index) else {
            return;
        };
        let text = match delta {
            Delta::Text(text) => *text,
            Delta::Logprobs(list) => {
                if let What::Text(_, logprobs) = &mut self.open[at].what {
                    let list: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
                    logprobs.extend(list);
                }
                return;
            }
            Delta::Proof(proof) => {
                if let What::Thinking(thinking) = &mut self.open[at].what {
                    match (&mut thinking.proof, proof) {
                        (Proof::Signature(all), Proof::Signature(more)) => all.push_str(more),
                        (own, proof) => *own = (*proof).clone(),
                    }
                }
                return;
            }
        };
        if let What::Thinking(thinking) = &self.open[at].what
            && thinking.text.is_empty()
        {
            let data = summary_part(&self.open[at], "");
            self.event("response.reasoning_summary_part.added", data, out);
        }
        let item = &mut self.open[at];
        match &mut item.what {
            What::Text(all, _) | What::Refusal(all) => all.push_str(text),
            What::Thinking(thinking) => thinking.text.push_str(text),
            What::Call(call) => call.arguments.push_str(text),
        }
        let [start, head] = &item.head;
        // So that `out` grows once at most; a text with escapes may make it grow again. A number has up to 20 digits.
        out.reserve(start.len() + head.len() + text.len() + 48);
        out.extend_from_slice(start);
        out::number(out, self.sequence);
        out.extend_from_slice(head);
        out::string(out, text);
        out.extend_from_slice(b"}\n\n");
        self.sequence += 1;
    }

    fn close_item(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|item| item.index == index) else {
            return;
        };
        let item = self.open.remove(at);
        let (id, place) = (&item.id, item.place);
        let placed = |mut data: Value| {
            data["item_id"] = id.as_str().into();
            data["output_index"] = place.into();
            data
        };
        let whole = match &item.what {
            What::Text(text, logprobs) => {
                let data = placed(json!({"content_index": 0, "text": text, "logprobs": logprobs}));
                self.event("response.output_text.done", data, out);
                self.part_done(&item, out)
            }
            What::Refusal(text) => {
                let data = placed(json!({"content_index": 0, "refusal": text}));
                self.event("response.refusal.done", data, out);
                self.part_done(&item, out)
            }
            What::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    let data = placed(json!({"summary_index": 0, "text": thinking.text}));
                    self.event("response.reasoning_summary_text.done", data, out);
                    let data = summary_part(&item, &thinking.text);
                    self.event("response.reasoning_summary_part.done", data, out);
                }
                reasoning_item(id, thinking)
            }
            What::Call(call) if call.custom => {
                let data = placed(json!({"input": call.arguments}));
                self.event("response.custom_tool_call_input.done", data, out);
                call_item(id, call, "completed")
            }
            What::Call(call) => {
                let data = placed(json!({"name": call.name, "arguments": call.arguments}));
                self.event("response.function_call_arguments.done", data, out);
                call_item(id, call, "completed")
            }
        };
        let data = json!({"output_index": place, "item": whole});
        self.event("response.output_item.done", data, out);
        self.output[place] = whole;
    }

    /// Appends the end of a message's part; returns the whole message's item.
    fn part_done(&mut self, item: &Item, out: &mut Vec<u8>) -> Value {
        let part = part(&item.what);
        let data = json!({
            "item_id": item.id, "output_index": item.place, "content_index": 0, "part": part,
        });
        self.event("response.content_part.done", data, out);
        message_item(&item.id, &part, "completed")
    }

    fn stop(&mut self, stop: &Stop, usage: Option<Usage>, out: &mut Vec<u8>) {
        while let Some(index) = self.open.first().map(|item| item.index) {
            self.close_item(index, out);
        }
        let (status, details) = status(stop);
        let output = std::mem::take(&mut self.output);
        let mut response = self.response(status, output);
        response["incomplete_details"] = details;
        response["usage"] = usage.map_or(Value::Null, usage::responses);
        let kind = format!("response.{status}");
        self.event(&kind, json!({ "response": response }), out);
    }

    /// Appends an error twice: as OpenAI's reference has it, with its fields at the top, and as OpenAI really sends it:
    /// as an object `error`, which is what makes SDKs raise.
    fn error(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        let value = errors::value(Dialect::OpenAi, fault, None);
        let data = json!({
            "code": value["error"]["code"],
            "message": fault.message,
            "param": null,
            "error": value["error"],
        });
        self.event("error", data, out);
    }
}

/// Returns an event up to its number.
fn event_start(kind: &str) -> Vec<u8> {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":").into_bytes()
}

/// Returns a message's only part, as far as it has come; `null` for what is no message.
fn part(what: &What) -> Value {
    match what {
        What::Text(text, logprobs) => json!({
            "type": "output_text", "annotations": [], "logprobs": logprobs, "text": text,
        }),
        What::Refusal(text) => json!({"type": "refusal", "refusal": text}),
        What::Thinking(_) | What::Call(_) => Value::Null,
    }
}

/// Returns the data of the events that begin and end a thought's summary.
fn summary_part(item: &Item, text: &str) -> Value {
    json!({
        "item_id": item.id, "output_index": item.place, "summary_index": 0,
        "part": {"type": "summary_text", "text": text},
    })
}
