//! The head of an HTTP/1 request: where it ends, and whether there is one way only to read it.
//!
//! Pingora's parser takes more than RFC 9112 does (a target with spaces, lines that end in LF alone), and answers what it
//! does not take without a word. So heads are judged before it sees them, as strictly as the grammar is: what two parsers
//! read differently is how requests are smuggled. What is taken here, Pingora's parser takes as well.

use std::net::Ipv6Addr;
use std::ops::Range;

use pingora_http::authority::{RawTargetAuthority, raw_target_authority};

use super::body::{Body, is_token};
use tollgate_wire::GatewayError;

/// Most header lines that Pingora's parser takes.
const MOST_LINES: usize = 256;

/// Longest method in bytes; the longest registered one has 17.
const LONGEST_METHOD: usize = 32;

/// Longest header name and longest target that can be kept, in bytes.
const LONGEST_NAME: usize = (1 << 16) - 1;
const LONGEST_TARGET: usize = LONGEST_NAME - 1;

/// What a client may call at all, on one path or another.
pub(super) const METHODS: &str = "GET, HEAD, POST";

/// A head that arrives.
#[derive(Default)]
pub(super) struct Head {
    /// How many of its bytes were looked at.
    seen: usize,
    /// Where the line under way begins.
    line: usize,
    request: Option<Request>,
    lines: usize,
    host: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
}

/// Its first line.
struct Request {
    method: Range<usize>,
    target: Range<usize>,
    /// HTTP/1.0.
    old: bool,
}

impl Head {
    /// Looks at what has arrived since the last time; `all` is everything from the head's first byte on. Its length and
    /// what follows it, once it is whole.
    ///
    /// # Errors
    /// What is wrong with it, as soon as that is known.
    pub(super) fn look(&mut self, all: &[u8]) -> Result<Option<(usize, Body)>, GatewayError> {
        while let Some(at) = memchr::memchr(b'\n', &all[self.seen..]) {
            let end = self.seen + at;
            let Some(text) = all[self.seen..end].strip_suffix(b"\r") else {
                plain(&all[self.seen..end], self.seen)?;
                return Err(fault(
                    "a line of it ends in LF alone; lines end in CR and LF",
                ));
            };
            plain(text, self.seen)?;
            let line = self.line..end - 1;
            self.seen = end + 1;
            self.line = self.seen;
            if line.is_empty() && self.request.is_some() {
                return Ok(Some((self.seen, self.body(all)?)));
            }
            self.take(all, line)?;
        }
        // The last byte may be the first of a line's end.
        let rest = &all[self.seen..];
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        plain(rest, self.seen)?;
        self.seen += rest.len();
        let begun = &all[self.line..];
        if self.request.is_none()
            && begun.len() > LONGEST_METHOD
            && !begun[..=LONGEST_METHOD].contains(&b' ')
        {
            return Err(long_method());
        }
        Ok(None)
    }

    /// What to say of a head of more than `limit` bytes.
    pub(super) fn too_long(&self, limit: usize) -> GatewayError {
        match &self.request {
            Some(request) if request.target.len() < limit => {
                GatewayError::head_too_large(limit as u64)
            }
            _ => GatewayError::target_too_long(limit as u64),
        }
    }

    /// The method and the path of the first line, as far as it was understood.
    pub(super) fn asked<'a>(&self, all: &'a [u8]) -> Option<(&'a str, &'a str)> {
        let request = self.request.as_ref()?;
        let method = str::from_utf8(&all[request.method.clone()]).ok()?;
        let target = str::from_utf8(&all[request.target.clone()]).ok()?;
        Some((method, target.split('?').next()?))
    }

    fn take(&mut self, all: &[u8], line: Range<usize>) -> Result<(), GatewayError> {
        let start = line.start;
        let text = &all[line];
        if self.request.is_none() {
            // Some clients send an empty line after a body; it is passed over (RFC 9112, 2.2).
            if !text.is_empty() {
                self.request = Some(request(text, start)?);
            }
            return Ok(());
        }
        self.lines += 1;
        if self.lines > MOST_LINES {
            return Err(GatewayError::too_many_headers(MOST_LINES as u64));
        }
        if matches!(text.first(), Some(b' ' | b'\t')) {
            return Err(fault(
                "a header line begins with a space; folded lines are not taken",
            ));
        }
        let Some(colon) = memchr::memchr(b':', text) else {
            return Err(fault("a header line has no colon"));
        };
        let name = &text[..colon];
        if name.is_empty() || !only(name, TOKEN) {
            return Err(fault(
                "a header's name is empty, or holds what no name may hold; the colon follows it at once",
            ));
        }
        if name.len() > LONGEST_NAME {
            return Err(GatewayError::head_too_large(LONGEST_NAME as u64));
        }
        let value = text[colon + 1..].trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.host(value, start + colon + 1, all)
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coding(value)
        } else {
            Ok(())
        }
    }

    fn host(&mut self, value: &[u8], from: usize, all: &[u8]) -> Result<(), GatewayError> {
        if self.host.is_some() {
            return Err(fault("it has more than one `Host`"));
        }
        if !is_host(value) {
            return Err(fault(
                "its `Host` is not a name or an address with an optional port",
            ));
        }
        let blanks = all[from..].iter().take_while(|byte| b" \t".contains(byte));
        let start = from + blanks.count();
        self.host = Some(start..start + value.len());
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), GatewayError> {
        let digits = value.iter().all(u8::is_ascii_digit);
        let leading_zero = value.len() > 1 && value.starts_with(b"0");
        let length = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        match length {
            Some(_) if self.length.is_some() => Err(fault("it has more than one `Content-Length`")),
            Some(length) if digits && !leading_zero => {
                self.length = Some(length);
                Ok(())
            }
            _ => Err(fault("its `Content-Length` is not a number of bytes")),
        }
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), GatewayError> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(fault(
                "its `Transfer-Encoding` is something else than `chunked`, once",
            ));
        }
        self.chunked = true;
        Ok(())
    }

    /// The head is whole: what follows it.
    fn body(&self, all: &[u8]) -> Result<Body, GatewayError> {
        let Some(request) = &self.request else {
            return Err(fault("it has no request line"));
        };
        let host = self.host.clone().map(|host| &all[host]);
        if host.is_none() && !request.old {
            return Err(fault("it has no `Host`, which every request must name"));
        }
        let target = &all[request.target.clone()];
        if let RawTargetAuthority::Absolute { authority, .. } = raw_target_authority(target)
            && host.is_some_and(|host| host != authority)
        {
            return Err(fault("its `Host` and its target name different hosts"));
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(fault(
                "it has both `Content-Length` and `Transfer-Encoding`; send one of them",
            )),
            (true, None) if request.old => {
                Err(fault("version 1.0 of HTTP knows no `Transfer-Encoding`"))
            }
            (true, None) => Ok(Body::chunked()),
            (false, length) => Ok(Body::Length(length.unwrap_or(0))),
        }
    }
}

/// Makes sure that a line, which begins at `start`, has no control characters.
fn plain(text: &[u8], start: usize) -> Result<(), GatewayError> {
    let is_plain = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7F);
    // No branch for each byte, so that the compiler takes many at once.
    if text.iter().fold(true, |all, byte| all & is_plain(*byte)) {
        return Ok(());
    }
    let at = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(0);
    Err(match text[at] {
        b'\r' => fault("a carriage return stands alone in it"),
        0x16 if start + at == 0 => fault(
            "this is TLS, and this port speaks plain HTTP; use `http://`, or a port of `proxy.tls.listen`",
        ),
        _ => fault("there is a control character in it"),
    })
}

/// The first line, which begins at `start`.
fn request(line: &[u8], start: usize) -> Result<Request, GatewayError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(fault(
            "its first line is not method, target and version with one space between them; spaces in a target are \
             written `%20`",
        ));
    };
    if method.len() > LONGEST_METHOD {
        return Err(long_method());
    }
    if method.is_empty() || !only(method, TOKEN) {
        return Err(fault("its method is not one word"));
    }
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => {
            return Err(fault(
                "its version is neither 1.1 nor 1.0 of HTTP; version 2 begins with its own preface",
            ));
        }
    };
    if method == b"CONNECT" {
        return Err(GatewayError::method_not_allowed(METHODS));
    }
    if !is_target(target, method) {
        return Err(fault(
            "its target is not a path; what a URL cannot hold is percent-encoded, and a fragment is left out",
        ));
    }
    if target.len() > LONGEST_TARGET {
        return Err(GatewayError::target_too_long(LONGEST_TARGET as u64));
    }
    let method = start..start + method.len();
    let target = method.end + 1..method.end + 1 + target.len();
    Ok(Request {
        method,
        target,
        old,
    })
}

/// Whether a target is a path with an optional query, a whole URL of one, or `*` where that is asked for.
fn is_target(target: &[u8], method: &[u8]) -> bool {
    if !only(target, URL) {
        return false;
    }
    match target {
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => match raw_target_authority(target) {
            RawTargetAuthority::Absolute {
                scheme, authority, ..
            } => {
                let is_http = [&b"http"[..], b"https"];
                let is_http = is_http
                    .iter()
                    .any(|known| scheme.eq_ignore_ascii_case(known));
                is_http && is_host(authority)
            }
            _ => false,
        },
    }
}

/// What a word of the grammar may hold.
const TOKEN: u8 = 1;
/// What a URL without a fragment may hold.
const URL: u8 = 2;

/// Which of them each byte belongs to: looked up, because each byte of each head is.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    // Of what is beyond ASCII there is none.
    while byte < 0x80 {
        let (token, url) = (is_token(byte), is_url(byte));
        kinds[byte as usize] = (TOKEN * token as u8) | (URL * url as u8);
        byte += 1;
    }
    kinds
};

/// Whether a text has nothing but this kind of bytes.
fn only(text: &[u8], kind: u8) -> bool {
    let both = |kind, byte: &u8| kind & KINDS[usize::from(*byte)];
    text.iter().fold(kind, both) != 0
}

/// Whether a URL without a fragment may hold the byte (RFC 3986).
const fn is_url(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'|' | b'~')
}

/// Whether a value names one host: a name or an address, and perhaps a port.
fn is_host(value: &[u8]) -> bool {
    let Ok(value) = str::from_utf8(value) else {
        return false;
    };
    let (is_name, port) = match value.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (name, port) = value.split_at(value.find(':').unwrap_or(value.len()));
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            (!name.is_empty() && name.bytes().all(plain), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(port) => port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    is_name && is_port
}

fn long_method() -> GatewayError {
    fault("its method is longer than any")
}

fn fault(why: &str) -> GatewayError {
    GatewayError::malformed(&format!("the head cannot be understood: {why}"))
}

#[cfg(test)]
mod tests;
