//! Writing a stream.

use serde_json::{Value, json};

use super::super::neutral::{Call, Delta, Event, Fault, Kind, Proof, Stop, Thinking};
use super::super::{Dialect, Reply, errors, out, usage};
use super::answer::{
    Head, call_item, call_prefix, item_id, message_item, reasoning_item, response, status,
};
use crate::report::Usage;

/// Writes events as responses' events.
#[derive(Debug)]
pub(crate) struct Encoder {
    reply: Reply,
    created: u64,
    id: String,
    model: String,
    tier: Option<String>,
    sequence: u64,
    /// The items that are whole, by their places.
    output: Vec<Value>,
    open: Vec<Item>,
}

/// An item that is open.
#[derive(Debug)]
struct Item {
    index: u32,
    id: String,
    place: usize,
    what: What,
    /// What every fragment's event says up to its sequence number, and from there up to its text.
    head: [Vec<u8>; 2],
}

#[derive(Debug)]
enum What {
    Text(String, Vec<Value>),
    Refusal(String),
    Thinking(Thinking),
    Call(Call),
}

impl What {
    fn delta(&self) -> &'static str {
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
    /// An encoder; `created` is in Unix time (s).
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
            Event::Open(index, kind) => self.begin(*index, kind, out),
            Event::Close(index) => self.end(*index, out),
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

    /// An event with its type and number.
    fn event(&mut self, kind: &str, data: Value, out: &mut Vec<u8>) {
        let mut event = json!({"type": kind, "sequence_number": self.sequence});
        if let (Value::Object(event), Value::Object(data)) = (&mut event, data) {
            event.extend(data);
        }
        self.sequence += 1;
        out::named(out, kind, &event);
    }

    /// An event up to and including its number, which the next event has one more of.
    fn begin_event(&mut self, kind: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&start(kind));
        out::number(out, self.sequence);
        self.sequence += 1;
    }

    fn begin(&mut self, index: u32, kind: &Kind<'_>, out: &mut Vec<u8>) {
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
            head: [start(what.delta()), head],
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
        // Grows once at most: a number has up to 20 digits. A text with escapes may grow it again.
        out.reserve(start.len() + head.len() + text.len() + 48);
        out.extend_from_slice(start);
        out::number(out, self.sequence);
        out.extend_from_slice(head);
        out::string(out, text);
        out.extend_from_slice(b"}\n\n");
        self.sequence += 1;
    }

    fn end(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|item| item.index == index) else {
            return;
        };
        let item = self.open.remove(at);
        let (id, place) = (&item.id, item.place);
        let at = |mut data: Value| {
            data["item_id"] = id.as_str().into();
            data["output_index"] = place.into();
            data
        };
        let whole = match &item.what {
            What::Text(text, logprobs) => {
                let data = at(json!({"content_index": 0, "text": text, "logprobs": logprobs}));
                self.event("response.output_text.done", data, out);
                self.part_done(&item, out)
            }
            What::Refusal(text) => {
                let data = at(json!({"content_index": 0, "refusal": text}));
                self.event("response.refusal.done", data, out);
                self.part_done(&item, out)
            }
            What::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    let data = at(json!({"summary_index": 0, "text": thinking.text}));
                    self.event("response.reasoning_summary_text.done", data, out);
                    let data = summary_part(&item, &thinking.text);
                    self.event("response.reasoning_summary_part.done", data, out);
                }
                reasoning_item(id, thinking)
            }
            What::Call(call) if call.custom => {
                let data = at(json!({"input": call.arguments}));
                self.event("response.custom_tool_call_input.done", data, out);
                call_item(id, call, "completed")
            }
            What::Call(call) => {
                let data = at(json!({"name": call.name, "arguments": call.arguments}));
                self.event("response.function_call_arguments.done", data, out);
                call_item(id, call, "completed")
            }
        };
        let data = json!({"output_index": place, "item": whole});
        self.event("response.output_item.done", data, out);
        self.output[place] = whole;
    }

    /// Ends a message's part; the whole message.
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
            self.end(index, out);
        }
        let (status, details) = status(stop);
        let output = std::mem::take(&mut self.output);
        let mut response = self.response(status, output);
        response["incomplete_details"] = details;
        response["usage"] = usage.map_or(Value::Null, usage::responses);
        let kind = format!("response.{status}");
        self.event(&kind, json!({ "response": response }), out);
    }

    /// The fields of the reference at the top, and the object that OpenAI really sends and SDKs raise on.
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

/// An event up to its number.
fn start(kind: &str) -> Vec<u8> {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":").into_bytes()
}

/// A message's only part, as far as it has come.
fn part(what: &What) -> Value {
    match what {
        What::Text(text, logprobs) => json!({
            "type": "output_text", "annotations": [], "logprobs": logprobs, "text": text,
        }),
        What::Refusal(text) => json!({"type": "refusal", "refusal": text}),
        What::Thinking(_) | What::Call(_) => Value::Null,
    }
}

fn summary_part(item: &Item, text: &str) -> Value {
    json!({
        "item_id": item.id, "output_index": item.place, "summary_index": 0,
        "part": {"type": "summary_text", "text": text},
    })
}
