//! A turn on a link: what the provider says goes into a pipe, as it would be answered over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use pingora_core::protocols::http::client::HttpSession;
use pingora_error::Result;
use pingora_http::ResponseHeader;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::link::{Link, Said};
use super::pool::Turn;
use crate::proxy::aside::{Aside, LARGE};
use crate::proxy::early::{Pipe, Signs};
use tollgate_base::clock;
use tollgate_wire::websocket::{self, Continued, ProviderEvent, ProviderFailure};

/// Most bytes of what is said before a response, as about limits; more is left out.
const MOST_ASIDE: usize = 64 << 10;

/// A turn as its provider is asked it.
pub struct Asks {
    /// The turn.
    pub turn: Turn,
    /// The body of its request over HTTP.
    pub body: Bytes,
    /// Where it is put into an event.
    pub aside: Aside,
}

impl Asks {
    /// Returns what the turn continues, if the link can go on from that.
    pub fn continued(&self, link: &Link) -> Option<Arc<Continued>> {
        let continued = self.turn.continued.as_ref()?;
        (link.latest.as_deref() == Some(&*continued.previous)).then(|| continued.clone())
    }

    /// Returns the event that asks it; `None` if there is none for such a body.
    async fn event(&self, continued: Option<Arc<Continued>>) -> Option<Utf8Bytes> {
        let body = self.body.clone();
        let event = move || {
            let event = websocket::asked(&body, continued.as_deref()).ok()?;
            Utf8Bytes::try_from(event).ok()
        };
        match self.body.len() > LARGE {
            true => self.aside.run(event).await.ok().flatten(),
            false => event(),
        }
    }
}

/// How a turn has ended on a link.
pub enum Ended {
    /// All is said.
    Told,
    /// Nothing is said, and nothing was done: it may be asked anew, on another link, with the pipe.
    Unasked(Pipe),
}

/// What is known of an answer under way.
struct Answer {
    pipe: Pipe,
    begun: bool,
    /// What was said before it.
    before: Vec<u8>,
    greeting: HeaderMap,
}

/// Asks on a link, and tells what comes. A link that has served before may have ended without the provider's having
/// taken notice of the turn.
///
/// # Errors
/// If nobody wants to know any more.
pub async fn ask(asks: &Asks, mut link: Link, signs: &Signs, pipe: Pipe) -> Result<Ended> {
    let continued = asks.continued(&link);
    let continues = continued.is_some();
    let mut answer = Answer {
        pipe,
        begun: false,
        before: Vec::new(),
        greeting: std::mem::take(&mut link.greeting),
    };
    link.latest = None;
    let Some(event) = asks.event(continued).await else {
        return Ok(Ended::Told);
    };
    if link.ask(event).await.is_err() {
        return Ok(answer.unasked_if(link.used));
    }
    signs.asked();
    loop {
        let text = match link.hear().await {
            Said::Text(text) => text,
            Said::Sign => continue,
            Said::Closed => return Ok(answer.unasked_if(link.used)),
            // The pipe's end without the answer's says that it is broken.
            Said::Broken => return Ok(Ended::Told),
        };
        let Some(event) = websocket::heard(&text) else {
            return Ok(Ended::Told);
        };
        match event {
            ProviderEvent::Aside(kind) => answer.aside(&kind, &text).await?,
            ProviderEvent::Event(kind) => {
                signs.hears(clock::now());
                answer.event(&kind, &text).await?;
            }
            ProviderEvent::Ended(kind, latest) => {
                link.latest = latest;
                link.used = true;
                // Before its client can know of the end, and ask for more.
                asks.turn.links.keep(link);
                answer.event(&kind, &text).await?;
                answer.pipe.end().await?;
                return Ok(Ended::Told);
            }
            ProviderEvent::Error(failure) => {
                let is_unasked =
                    (link.used && failure.is_of_age()) || (continues && failure.is_forgotten());
                if is_unasked && !answer.begun {
                    return Ok(answer.unasked_if(true));
                }
                answer.failure(failure, &text).await?;
                return Ok(Ended::Told);
            }
        }
    }
}

impl Answer {
    /// It may be asked anew, if that is so and nothing was told.
    fn unasked_if(self, unasked: bool) -> Ended {
        match unasked && !self.begun {
            true => Ended::Unasked(self.pipe),
            false => Ended::Told,
        }
    }

    /// An event that is no response's: it does not begin the answer, which may be an error yet.
    async fn aside(&mut self, kind: &str, text: &str) -> Result<()> {
        let event = websocket::streamed(kind, text);
        if self.begun {
            return self.pipe.body(&event).await;
        }
        if self.before.len() + event.len() <= MOST_ASIDE {
            self.before.extend_from_slice(&event);
        }
        Ok(())
    }

    async fn event(&mut self, kind: &str, text: &str) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let greeting = std::mem::take(&mut self.greeting);
            let head = head(StatusCode::OK, "text/event-stream", greeting)?;
            self.pipe.head(&head, false).await?;
            self.pipe.body(&self.before).await?;
        }
        self.pipe.body(&websocket::streamed(kind, text)).await
    }

    /// The turn has failed: with the status that it would have had, unless some of an answer was told.
    async fn failure(mut self, failure: ProviderFailure, text: &str) -> Result<()> {
        if self.begun {
            self.pipe.body(&websocket::streamed("error", text)).await?;
            return self.pipe.end().await;
        }
        let status = StatusCode::from_u16(failure.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut head = head(status, "application/json", failure.headers)?;
        head.insert_header(header::CONTENT_LENGTH, failure.body.len())?;
        self.pipe.head(&head, false).await?;
        self.pipe.body(&failure.body).await?;
        self.pipe.end().await
    }
}

fn head(status: StatusCode, content_type: &str, headers: HeaderMap) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build_no_case(status, Some(headers.len() + 2))?;
    for (name, value) in &headers {
        head.append_header(name, value)?;
    }
    head.insert_header(header::CONTENT_TYPE, content_type)?;
    Ok(head)
}

/// Tells what a handshake was refused with.
///
/// # Errors
/// If it does not come to its end, or nobody wants to know.
pub async fn refused(
    mut session: HttpSession,
    head: &ResponseHeader,
    mut pipe: Pipe,
) -> Result<()> {
    pipe.head(head, true).await?;
    while let Some(data) = session.read_response_body().await? {
        pipe.body(&data).await?;
    }
    pipe.end().await
}
