//! What is written about a request, and how: one JSON object on one line.
//!
//! Written by hand, because every request pays for it: the keys are text that is copied, and a value is
//! only looked at for what JSON must escape. Keys that are `None` or false by default are left out.

use std::net::IpAddr;
use std::time::Duration;

use tollgate_base::{Timestamp, without_credentials};
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

/// What is written about a request. Fields that are `None` are left out.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When the request arrived, by the wall clock.
    pub time: Timestamp,
    /// As in the `x-request-id` of the answer.
    pub request_id: &'a str,
    /// The request's trace, whether or not it is sent to anybody; `None` without traces.
    pub trace_id: Option<u128>,
    /// The access key's id, never its token.
    pub access_key: Option<&'a str>,
    /// Who owns the access key.
    pub account: Option<&'a str>,
    /// The configuration that the access key is held to.
    pub configuration: Option<&'a str>,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, without its query.
    pub path: &'a str,
    /// The API shape, where the path names one.
    pub surface: Option<Surface>,
    /// The model as the client wrote it.
    pub requested_model: Option<&'a str>,
    /// The provider of the last attempt.
    pub provider: Option<&'a str>,
    /// The model of the last attempt, as its provider knows it.
    pub model: Option<&'a str>,
    /// Every attempt in order.
    pub attempts: &'a [Attempt<'a>],
    /// The status that the client got; `None` if it left before it got one.
    pub status: Option<u16>,
    /// The gateway's own error code, where it answered an error itself.
    pub error: Option<&'static str>,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Tokens, as reported or counted; `None` where nothing was used.
    pub tokens: Option<Usage>,
    /// Whether `tokens` is the gateway's own count; left out if not.
    pub estimated: bool,
    /// From the request to the start of its answer; `commit_ms`, whole milliseconds.
    pub to_commit: Option<Duration>,
    /// From the request to the end of its answer; `total_ms`, whole milliseconds.
    pub total: Duration,
    /// The address of the client's end of the connection.
    pub client_ip: Option<IpAddr>,
    /// Whether the client left before the answer was over; left out if not.
    pub client_gone: bool,
    /// Whose answer the client got, if another request's: `joined` or `replayed`.
    pub idempotency: Option<&'static str>,
}

/// One attempt of a request.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// The model's id.
    pub model: &'a str,
    /// How it ended, as a label from a fixed set.
    pub outcome: &'a str,
    /// The provider's own id of the request, if it named one.
    pub provider_request_id: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// What is known of any request; nothing else is, and it took no time.
    pub fn new(time: Timestamp, request_id: &'a str, method: &'a str, path: &'a str) -> Self {
        Entry {
            time,
            request_id,
            trace_id: None,
            access_key: None,
            account: None,
            configuration: None,
            method,
            path,
            surface: None,
            requested_model: None,
            provider: None,
            model: None,
            attempts: &[],
            status: None,
            error: None,
            stream: false,
            bytes_in: 0,
            bytes_out: 0,
            tokens: None,
            estimated: false,
            to_commit: None,
            total: Duration::ZERO,
            client_ip: None,
            client_gone: false,
            idempotency: None,
        }
    }
}

impl Entry<'_> {
    /// Appends the object to `line`, without a line break.
    pub(super) fn write(&self, line: &mut Vec<u8>) {
        let mut line = Line(line);
        line.raw(r#"{"time":""#);
        line.raw(self.time.ascii());
        line.raw(r#"""#);
        line.text(r#","request_id":"#, self.request_id);
        if let Some(id) = self.trace_id {
            line.raw(format!(r#","trace_id":"{id:032x}""#));
        }
        line.some(r#","access_key":"#, self.access_key);
        line.some(r#","account":"#, self.account);
        line.some(r#","configuration":"#, self.configuration);
        line.text(r#","method":"#, self.method);
        match self.surface {
            Some(_) => line.text(r#","path":"#, self.path),
            // Whatever stands in a path that is none of ours may be a token.
            None => line.text(r#","path":"#, &without_credentials(self.path)),
        }
        line.some(r#","surface":"#, self.surface.map(Surface::name));
        match self.model {
            Some(_) => line.some(r#","requested_model":"#, self.requested_model),
            // So may a model's id that stands for none.
            None => {
                let asked = self.requested_model.map(without_credentials);
                line.some(r#","requested_model":"#, asked.as_deref());
            }
        }
        line.some(r#","provider":"#, self.provider);
        line.some(r#","model":"#, self.model);
        line.attempts(self.attempts);
        if let Some(status) = self.status {
            line.number(r#","status":"#, status.into());
        }
        line.some(r#","error":"#, self.error);
        line.raw(if self.stream {
            r#","stream":true"#
        } else {
            r#","stream":false"#
        });
        line.number(r#","bytes_in":"#, self.bytes_in);
        line.number(r#","bytes_out":"#, self.bytes_out);
        if let Some(tokens) = &self.tokens {
            line.number(r#","tokens":{"input":"#, tokens.input());
            line.number(r#","cached_read":"#, tokens.cached_read());
            line.number(r#","cache_write":"#, tokens.cache_write());
            line.number(r#","output":"#, tokens.output());
            line.number(r#","reasoning":"#, tokens.reasoning());
            line.raw("}");
        }
        if self.estimated {
            line.raw(r#","estimated":true"#);
        }
        if let Some(after) = self.to_commit {
            line.number(r#","commit_ms":"#, millis(after));
        }
        line.number(r#","total_ms":"#, millis(self.total));
        if let Some(ip) = self.client_ip {
            line.address(r#","client_ip":"#, ip);
        }
        if self.client_gone {
            line.raw(r#","client_gone":true"#);
        }
        line.some(r#","idempotency":"#, self.idempotency);
        line.raw("}");
    }
}

/// Whole milliseconds, saturating.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A text is written up to this length, in bytes: most of them are a client's.
const LONGEST: usize = 1 << 10;

/// Attempts are listed up to about this length, in bytes; dozens of them fit.
const LONGEST_LIST: usize = 16 << 10;

/// A line under way. A `key` is what stands before the value: comma, quoted name, colon.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    fn raw(&mut self, json: impl AsRef<[u8]>) {
        self.0.extend_from_slice(json.as_ref());
    }

    fn text(&mut self, key: &'static str, text: &str) {
        self.raw(key);
        self.raw("\"");
        if text.len() > LONGEST {
            let ends = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
            self.escaped(&text[..ends.unwrap_or(0)]);
            return self.raw("…\"");
        }
        // Without an exit in its midst the test of a byte is a test of sixteen.
        let odd = text.bytes().fold(false, |odd, byte| odd | is_escaped(byte));
        if odd {
            self.escaped(text);
        } else {
            self.raw(text);
        }
        self.raw("\"");
    }

    fn some(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// What a client may have put into a model id or a path: rare, so it need not be fast.
    fn escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            if !is_escaped(byte) {
                self.0.push(byte);
                continue;
            }
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
            self.raw(b"\\u00");
            self.raw([hex(byte >> 4), hex(byte)]);
        }
    }

    fn number(&mut self, key: &'static str, number: u64) {
        self.raw(key);
        self.raw(itoa::Buffer::new().format(number));
    }

    fn address(&mut self, key: &'static str, address: IpAddr) {
        self.raw(key);
        match address {
            IpAddr::V4(address) => {
                for (before, octet) in ["\"", ".", ".", "."].into_iter().zip(address.octets()) {
                    self.number(before, octet.into());
                }
            }
            IpAddr::V6(address) => self.raw(format!("\"{address}")),
        }
        self.raw("\"");
    }

    fn attempts(&mut self, attempts: &[Attempt<'_>]) {
        self.raw(r#","attempts":["#);
        let full = self.0.len() + LONGEST_LIST;
        for (n, attempt) in attempts.iter().enumerate() {
            let key = if n == 0 {
                r#"{"provider":"#
            } else {
                r#",{"provider":"#
            };
            self.text(key, attempt.provider);
            self.text(r#","model":"#, attempt.model);
            self.text(r#","outcome":"#, attempt.outcome);
            self.some(r#","provider_request_id":"#, attempt.provider_request_id);
            self.raw("}");
            if self.0.len() > full {
                break;
            }
        }
        self.raw("]");
    }
}

/// Whether JSON wants a byte of a text escaped; all else stands for itself.
fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}
