//! A turn under way: its answer, piece by piece, becomes messages.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::history::Said;
use super::turn::Piece;
use crate::proxy::shares::Share;
use tollgate_wire::GatewayError;
use tollgate_wire::error::Code;
use tollgate_wire::sse::Parser;
use tollgate_wire::websocket::{self, Create, Refusal, Told};

/// Most bytes of an error that are read.
const LONGEST_ERROR: usize = 1 << 20;

/// Most bytes of items that are kept until their response ends.
const MOST_ITEMS: usize = 16 << 20;

/// A turn under way.
pub(super) struct Running {
    pub lane: Option<Arc<str>>,
    pub create: Create,
    /// What it continues.
    pub before: Option<Arc<Said>>,
    /// What the message takes of what all accounts share.
    pub _share: Option<Share>,
    status: StatusCode,
    headers: HeaderMap,
    parser: Parser,
    error: Vec<u8>,
    /// Items of the output as they were done, for providers that do not repeat them at the end.
    items: Vec<Bytes>,
    items_size: usize,
    /// The client knows how the turn has ended.
    told: bool,
    /// The turn has ended with an error.
    pub failed: bool,
}

/// What a piece of an answer comes to.
#[derive(Default)]
pub(super) struct Heard {
    pub messages: Vec<String>,
    /// The response has ended: its id, and the items of its output.
    pub ended: Option<(String, Vec<Bytes>)>,
}

impl Running {
    pub(super) fn new(
        lane: Option<Arc<str>>,
        create: Create,
        before: Option<Arc<Said>>,
        share: Option<Share>,
    ) -> Running {
        Running {
            lane,
            create,
            before,
            _share: share,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            parser: Parser::new(),
            error: Vec::new(),
            items: Vec::new(),
            items_size: 0,
            told: false,
            failed: false,
        }
    }

    /// Takes the next piece of the answer.
    pub(super) fn hear(&mut self, piece: Piece) -> Heard {
        match piece {
            Piece::Head(status, headers) => (self.status, self.headers) = (status, headers),
            Piece::Body(bytes) if self.status == StatusCode::OK => return self.events(&bytes),
            Piece::Body(bytes) => {
                let room = LONGEST_ERROR
                    .saturating_sub(self.error.len())
                    .min(bytes.len());
                self.error.extend_from_slice(&bytes[..room]);
            }
        }
        Heard::default()
    }

    fn events(&mut self, bytes: &[u8]) -> Heard {
        let mut heard = Heard::default();
        let lane = self.lane.as_deref();
        let mut events = self.parser.feed(bytes);
        while let Some(event) = events.next() {
            // What follows the end is the stream's, not the response's.
            if self.told {
                break;
            }
            let Ok(event) = event else {
                let broken =
                    GatewayError::new(Code::StreamBroken, "An event of the answer is too long.");
                heard.messages.push(Refusal::from(&broken).event(lane));
                (self.told, self.failed) = (true, true);
                break;
            };
            match websocket::read(event.name, event.data) {
                Told::Event => {}
                Told::Item(item) => {
                    self.items_size += item.len();
                    if self.items_size <= MOST_ITEMS {
                        self.items.push(item);
                    }
                }
                Told::Ended { id, output } => {
                    self.told = true;
                    let done = std::mem::take(&mut self.items);
                    let is_known = !output.is_empty() || self.items_size <= MOST_ITEMS;
                    let output = if output.is_empty() { done } else { output };
                    heard.ended = is_known.then_some((id, output));
                }
                Told::Failed => self.told = true,
                Told::Error => {
                    (self.told, self.failed) = (true, true);
                    heard
                        .messages
                        .push(websocket::error_message(event.data, lane));
                    break;
                }
            }
            heard.messages.extend(websocket::message(event.data, lane));
        }
        heard
    }

    /// The answer is over; what is to be said if its client does not know yet how it has ended.
    pub(super) fn end(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        self.failed = true;
        let lane = self.lane.as_deref();
        if self.status == StatusCode::OK {
            let broken = GatewayError::new(
                Code::StreamBroken,
                "The answer is incomplete: its stream ended before its response did. Try again.",
            );
            return Some(Refusal::from(&broken).event(lane));
        }
        let status = self.status.as_u16();
        Some(websocket::relayed(status, &self.error, &self.headers, lane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use tollgate_wire::websocket::ClientEvent;

    fn running() -> Running {
        let event = Bytes::from_static(br#"{"type":"response.create","model":"m"}"#);
        match ClientEvent::parse(event) {
            Ok(ClientEvent::Create(create)) => Running::new(Some("l".into()), create, None, None),
            other => panic!("{other:?}"),
        }
    }

    fn hear(running: &mut Running, text: &str) -> Heard {
        running.hear(Piece::Body(Bytes::copy_from_slice(text.as_bytes())))
    }

    #[test]
    fn a_stream_becomes_messages_until_its_response_ends() {
        let mut turn = running();
        hear(
            &mut turn,
            ": comment\n\nevent: response.output_item.done\nda",
        );
        let heard = hear(
            &mut turn,
            "ta: {\"type\":\"response.output_item.done\",\"item\":{\"a\":1}}\n\n",
        );
        assert_eq!(heard.messages.len(), 1);
        assert!(
            heard.messages[0].starts_with(r#"{"stream_id":"l","type":"response.output_item.done""#)
        );
        let last = "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[]}}\n\ndata: [DONE]\n\n";
        let heard = hear(&mut turn, last);
        assert_eq!(heard.messages.len(), 1);
        let (id, items) = heard.ended.unwrap();
        assert_eq!(
            (id.as_str(), items.as_slice()),
            ("r", &[Bytes::from_static(b"{\"a\":1}")][..])
        );
        assert!(turn.end().is_none() && !turn.failed);
    }

    #[test]
    fn however_it_fails_its_client_is_told_once() {
        let status = |message: &str| {
            let event: Value = serde_json::from_str(message).unwrap();
            assert_eq!(
                (event["type"].as_str(), event["stream_id"].as_str()),
                (Some("error"), Some("l"))
            );
            event["status"].as_u64().unwrap()
        };
        let mut turn = running();
        turn.hear(Piece::Head(StatusCode::TOO_MANY_REQUESTS, HeaderMap::new()));
        assert!(
            hear(&mut turn, "{\"error\":{\"message\":")
                .messages
                .is_empty()
        );
        hear(&mut turn, "\"m\"}}");
        assert_eq!(status(&turn.end().unwrap()), 429);
        assert!(turn.failed && turn.end().is_none());

        let mut turn = running();
        hear(&mut turn, "data: {\"type\":\"response.created\"}\n\n");
        assert_eq!(status(&turn.end().unwrap()), 502);

        let mut turn = running();
        let heard = hear(
            &mut turn,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"ERR_TOLLGATE_3833\",\"message\":\"m\"}\n\n",
        );
        assert_eq!((heard.messages.len(), status(&heard.messages[0])), (1, 504));
        assert!(turn.failed && turn.end().is_none());
    }
}
