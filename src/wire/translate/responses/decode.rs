//! Reading a stream, and a whole answer as its last event.

use std::borrow::Cow;

use super::super::errors;
use super::super::neutral::{Answer, Collector, Delta, Event, Kind, MOST_PARTS, Stop};
use super::super::sink::{Sink, failed, is_over};
use super::answer::stop;
use super::blocks::{Blocks, Place};
use super::items::proof;
use crate::Dialect;
use crate::payload::responses::{self as wire, Incomplete, Item, Response};
use crate::report::failure;
use crate::report::figures::Figures;
use crate::report::lenient::{Content, Piece, Raw, Text, object, parse};

/// Reads responses' events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    started: bool,
    ended: bool,
    called: bool,
    blocks: Blocks,
}

impl Decoder {
    /// Reads one event.
    pub(crate) fn read(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) {
        if is_over(&mut self.ended, name, data, sink) {
            return;
        }
        object(data, &mut |data| {
            if let Some(event) = parse(data)? {
                self.event(&event, data, sink);
            }
            Ok(())
        });
    }

    /// Reads a whole answer; says whether it is one.
    pub(crate) fn whole(&mut self, body: &[u8], sink: Sink<'_>) -> bool {
        object(body, &mut |body| {
            let is_answer = |response: &Response<'_>| {
                let named = response.object.0 == "response" && !response.status.is_empty();
                let text: Text<'_> = response.output_text.read();
                response.output.is_list() || !text.is_empty() || named
            };
            if let Some(response) = parse(body)?.filter(is_answer) {
                self.start(&response, sink);
                self.stop(Some(&response), sink);
            }
            Ok(())
        });
        self.ended
    }

    /// The stream has ended; whether the answer was whole.
    pub(crate) fn finish(&mut self) -> bool {
        self.ended
    }

    fn event(&mut self, event: &wire::Event<'_>, data: &[u8], sink: Sink<'_>) {
        let item = event.item.0.as_deref();
        let response = event.response.0.as_deref();
        let place = Place {
            output: event.output_index.0,
            item: (event.item_id.some()).or(item.and_then(|item| item.id.some())),
            content: event.content_index.0.unwrap_or(0),
        };
        match &*event.kind.0 {
            "response.output_item.added" => {
                if let Some(item) = item {
                    self.item(place, item, true, sink);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = item {
                    self.item_done(place, item, false, sink);
                }
            }
            "response.completed" | "response.incomplete" => {
                if let Some(response) = response {
                    self.start(response, sink);
                }
                self.stop(response, sink);
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = response {
                    self.start(response, sink);
                }
            }
            "response.failed" => {
                let told = response.and_then(|response| response.error.failure());
                let failure = told.unwrap_or_else(|| failure::event(500, "response.failed", ""));
                self.ended = true;
                sink(&Event::Error(errors::of_stream(failure)));
            }
            "error" | "" => self.ended = failed(b"", data, sink),
            kind if kind.ends_with(".done") => self.done(place, event, sink),
            _ => self.fragment(place, event, sink),
        }
    }

    /// Reads a fragment of an item, or the beginning of one of its parts.
    fn fragment(&mut self, place: Place<'_>, event: &wire::Event<'_>, sink: Sink<'_>) {
        let (blocks, delta) = (&mut self.blocks, &*event.delta.0);
        match &*event.kind.0 {
            "response.output_text.delta" => {
                let at = blocks.at(place, Kind::Text, sink);
                blocks.text(at, delta, sink);
                if let Some(list) = event.logprobs.list().filter(|list| list.len() > 2) {
                    sink(&Event::Delta(blocks.index(at), Delta::Logprobs(list)));
                }
            }
            "response.refusal.delta" => {
                let at = blocks.at(place, Kind::Refusal, sink);
                blocks.text(at, delta, sink);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                if let Some(at) = blocks.call(place) {
                    blocks.text(at, delta, sink);
                }
            }
            "response.reasoning_summary_text.delta" => {
                blocks.thought(place, event.summary_index.0, delta, sink);
            }
            "response.reasoning_text.delta" => {
                blocks.thought(place, event.content_index.0, delta, sink);
            }
            "response.reasoning_summary_part.added" => {
                blocks.at(place.first(), Kind::Thinking, sink);
            }
            "response.content_part.added" => {
                match event.part.0.as_ref().map(|part| &*part.kind.0) {
                    Some("output_text") => drop(blocks.at(place, Kind::Text, sink)),
                    Some("refusal") => drop(blocks.at(place, Kind::Refusal, sink)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Reads the end of a part, which says all of it again.
    fn done(&mut self, place: Place<'_>, event: &wire::Event<'_>, sink: Sink<'_>) {
        let blocks = &mut self.blocks;
        let text: Text<'_> = event.text.read();
        match &*event.kind.0 {
            "response.output_text.done" => blocks.done(place, Kind::Text, &text.0, sink),
            "response.refusal.done" => {
                let refusal: Text<'_> = event.refusal.read();
                blocks.done(place, Kind::Refusal, &refusal.0, sink);
            }
            "response.function_call_arguments.done" => {
                if let Some(at) = blocks.call(place) {
                    blocks.rest(at, &arguments(event.arguments), sink);
                }
            }
            "response.custom_tool_call_input.done" => {
                if let Some(at) = blocks.call(place) {
                    let input: Text<'_> = event.input.read();
                    blocks.rest(at, &input.0, sink);
                }
            }
            "response.reasoning_summary_text.done" => {
                blocks.thought_done(place, event.summary_index.0, &text.0, sink);
            }
            "response.reasoning_text.done" => {
                blocks.thought_done(place, event.content_index.0, &text.0, sink);
            }
            _ => {}
        }
    }

    fn start(&mut self, response: &Response<'_>, sink: Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            sink(&Event::Start {
                id: &response.id.0,
                model: &response.model.0,
                usage: None,
                tier: response.service_tier.some().filter(|tier| *tier != "auto"),
            });
        }
    }

    /// The end, which says everything again: what of it was not passed on yet is passed on now.
    fn stop(&mut self, response: Option<&Response<'_>>, sink: Sink<'_>) {
        let items = response.map(|response| response.output.elements());
        let mut at = 0;
        for item in items.unwrap_or_default().into_iter().take(MOST_PARTS + 1) {
            let mut is_item = false;
            item.object(&mut |item| {
                if let Some(item) = parse::<Item<'_>>(item)? {
                    is_item = true;
                    let place = Place {
                        output: Some(at),
                        item: item.id.some(),
                        content: 0,
                    };
                    self.item_done(place, &item, true, sink);
                }
                Ok(())
            });
            at += u64::from(is_item);
        }
        self.blocks.close_all(sink);
        let text: Option<Text<'_>> = response.map(|response| response.output_text.read());
        if let Some(text) = text.as_ref().and_then(Text::some)
            && self.blocks.are_none()
        {
            self.blocks.done(Place::default(), Kind::Text, text, sink);
        }
        self.ended = true;
        let reason =
            response.and_then(|response| Incomplete::reason_of(&response.incomplete_details));
        let status = response.map_or("completed", |response| &*response.status.0);
        let stop: Stop = stop(status, reason, self.called);
        let figures = response.and_then(|response| Figures::of(response.usage));
        sink(&Event::Stop {
            stop,
            usage: figures.and_then(|figures| figures.usage(Dialect::OpenAi, false)),
            tier: response
                .and_then(|response| response.service_tier.some())
                .filter(|tier| *tier != "auto"),
        });
    }

    /// A call or a thought that is open, or begins; messages begin with their parts. `added` says that it is another one.
    fn item(
        &mut self,
        place: Place<'_>,
        item: &Item<'_>,
        added: bool,
        sink: Sink<'_>,
    ) -> Option<usize> {
        let kind = match &*item.kind.0 {
            "function_call" | "custom_tool_call" => {
                self.called = true;
                Kind::Call {
                    id: &item.call_id.0,
                    name: &item.name.0,
                    namespace: item.namespace.some(),
                    custom: item.kind.0 == "custom_tool_call",
                }
            }
            "reasoning" => Kind::Thinking,
            _ => return None,
        };
        let place = place.first();
        Some(match added {
            true => self.blocks.added(place, kind, sink),
            false => self.blocks.at(place, kind, sink),
        })
    }

    /// An item is whole; what of it was not passed on yet is. `last` says that nothing else will be.
    fn item_done(&mut self, place: Place<'_>, item: &Item<'_>, last: bool, sink: Sink<'_>) {
        let is_call = matches!(&*item.kind.0, "function_call" | "custom_tool_call");
        if !is_call && item.kind.0 != "reasoning" {
            return self.message_done(place, item, sink);
        }
        if self.blocks.was_told(place, last) {
            return;
        }
        let known = if last { self.blocks.meant(place) } else { None };
        let Some(at) = known.or_else(|| self.item(place, item, last, sink)) else {
            return;
        };
        if is_call {
            let said = match &*item.kind.0 {
                "custom_tool_call" => item.input.read::<Text<'_>>().0,
                _ => arguments(item.arguments),
            };
            self.blocks.rest(at, &said, sink);
            // Arguments that are missing may come with the whole answer.
            if !last && !self.blocks.has_said(at) && item.kind.0 == "function_call" {
                return;
            }
        } else {
            let mut parts = Vec::new();
            for words in [item.summary, item.content] {
                words
                    .read::<Content<'_>>()
                    .each(|piece| parts.push(piece.text()));
                if parts.iter().any(|part| !part.is_empty()) {
                    break;
                }
            }
            self.blocks.rest(at, &parts.join("\n\n"), sink);
            let encrypted: Text<'_> = item.encrypted_content.read();
            let proof = proof(&item.id.0, &encrypted.0);
            sink(&Event::Delta(self.blocks.index(at), Delta::Proof(&proof)));
        }
        self.blocks.close(at, sink);
    }

    /// A message is whole. Its parts say their ends themselves, mostly.
    fn message_done(&mut self, place: Place<'_>, item: &Item<'_>, sink: Sink<'_>) {
        let mut content = 0;
        let is_message = item.kind.0 == "message" || item.kind.is_empty();
        item.content.read::<Content<'_>>().each(|piece| {
            let place = Place { content, ..place };
            content += 1;
            let kind = match piece {
                Piece::Part(part) if part.contains_key("refusal") => Kind::Refusal,
                _ => Kind::Text,
            };
            let text = piece.text();
            if !is_message || text.is_empty() || self.blocks.part_was_told(place) {
                return;
            }
            let at = self.blocks.at(place, kind, sink);
            let was_said = self.blocks.has_said(at);
            self.blocks.rest(at, &text, sink);
            if let Piece::Part(part) = piece
                && let Some(serde_json::Value::Array(list)) = part.get("logprobs")
                && !list.is_empty()
                && !was_said
            {
                let list = serde_json::Value::Array(list.clone()).to_string();
                sink(&Event::Delta(self.blocks.index(at), Delta::Logprobs(&list)));
            }
            self.blocks.close(at, sink);
        });
        self.blocks.close_item(place, sink);
    }
}

/// Reads the arguments of a call that are there as a whole.
fn arguments(json: Raw<'_>) -> Cow<'_, str> {
    match json.read() {
        Content::Text(text) => text.0,
        parts => parts.arguments().into_owned().into(),
    }
}

/// Reads an answer; `None` if it is none.
pub(crate) fn read_answer(body: &[u8]) -> Option<Answer> {
    let mut answer = Collector::default();
    Decoder::default().whole(body, &mut |event| answer.take(event));
    answer.finish()
}
