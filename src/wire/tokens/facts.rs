//! What is known of an answer so far, whatever its dialect.

use std::borrow::Cow;

use crate::report::figures::Figures;
use crate::report::floor_boundary;
use crate::report::lenient::Text;
use crate::report::{Context, Dimension, StreamFailure, Unit, Usage};

/// The most text kept for counting, in bytes; the rest is only measured.
const MAX_TEXT: usize = 1 << 20;

/// The longest model id or finish reason kept, in bytes.
const MAX_NAME: usize = 256;

/// What is known of an answer so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What was reported last.
    reported: Option<Report>,
    /// How often usage was reported.
    reports: u64,
    /// What was not standard about how it was served.
    pub served: Context,
    /// How often the model ran for it, beyond once.
    again: u64,
    /// Tools that the provider ran, as the answer shows them.
    ran: Ran,
    /// Bytes of content that is no text.
    other: u64,
    pub model: Option<String>,
    /// The answer's id.
    pub id: Option<String>,
    /// The block of a message that has begun and has not ended.
    pub open_block: Option<u64>,
    pub finish_reason: Option<String>,
    /// Content has been seen.
    pub content: bool,
    /// The protocol's own end has been seen.
    pub complete: bool,
    pub text: Transcript,
    /// Bytes of what was generated and is no text that can be counted.
    pub unread: u64,
    /// What the event being read has added.
    pub added: Added,
}

/// Usage as it was reported at some place of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub usage: Usage,
    /// It is the kind of report that comes at the end.
    at_the_end: bool,
    /// Bytes of text, and of all that was generated, before it.
    pub text: u64,
    generated: u64,
    /// Bytes before it that cannot be counted.
    pub unread: u64,
}

/// How often the provider ran its tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ran {
    web_searches: u64,
    file_searches: u64,
    /// A keyed list would cost more than it saves: answers have a few.
    containers: Vec<String>,
}

/// The most containers that are distinguished.
const CONTAINERS: usize = 64;

/// What an event added that reading it again would not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Added {
    #[default]
    Nothing,
    /// One text, unescaped: its address and its length in the event's data.
    One(usize, usize),
    /// More than that.
    Other,
}

/// What one event showed, beyond the facts.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub failure: Option<StreamFailure>,
    /// The event is there for its usage only, as `stream_options.include_usage` asks for it.
    pub usage_only: bool,
    /// The event is one of its surface's own; another one may be an error of any shape.
    pub answers: bool,
}

/// Generated text, kept up to a limit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Transcript {
    kept: String,
    /// Bytes that came after the limit.
    pub beyond: u64,
}

impl Facts {
    /// Generated text: content if there is any.
    pub(super) fn text(&mut self, text: &Text<'_>) {
        if !text.is_empty() {
            self.content = true;
            self.text.push(&text.0);
            self.added = match (self.added, &text.0) {
                (Added::Nothing, Cow::Borrowed(text)) => {
                    Added::One(text.as_ptr().addr(), text.len())
                }
                _ => Added::Other,
            };
        }
    }

    /// What reading an event that adds only `text` would do.
    pub(super) fn plain(&mut self, text: &str) {
        self.content |= !text.is_empty();
        self.text.push(text);
    }

    /// The first model named stays.
    pub(super) fn model(&mut self, model: &Text<'_>) {
        if self.model.is_none() {
            self.model = model.some().map(short);
        }
    }

    /// The first id given stays.
    pub(super) fn id(&mut self, id: &Text<'_>) {
        if self.id.is_none() {
            self.id = id.some().map(short);
        }
    }

    /// The last usage reported stays. `at_the_end` says that it is the kind of report with which answers end.
    pub(super) fn report(&mut self, usage: Usage, at_the_end: bool) {
        self.reported = Some(Report {
            usage,
            at_the_end,
            text: self.text.len(),
            generated: self.generated(),
            unread: self.unread,
        });
        self.reports += 1;
        self.added = Added::Other;
    }

    /// What was reported last, with the tools that the answer shows.
    pub(super) fn reported(&self) -> Option<Report> {
        self.reported.map(|mut report| {
            self.ran.tell(&mut report.usage);
            report
        })
    }

    /// Tools that the provider ran, whatever it reports of them.
    pub(super) fn with_tools(&self, mut usage: Usage) -> Usage {
        self.ran.tell(&mut usage);
        usage
    }

    /// Whether what was reported is about the whole answer: nothing was generated after it, and it does not say
    /// that an answer with a text has no tokens.
    pub(super) fn usage_final(&self) -> bool {
        self.reported.is_some_and(|report| {
            let whole = report.generated == self.generated();
            let empty = report.usage.output() == 0 && self.text.len() > 0;
            report.at_the_end && whole && !empty
        })
    }

    /// Content that is no text: so many bytes of it.
    pub(super) fn other(&mut self, bytes: usize) {
        self.content = true;
        self.other += bytes as u64;
        self.added = Added::Other;
    }

    /// How often the model ran for it, at least once.
    pub(super) fn passes(&self) -> u64 {
        self.again.max(self.ran.web_searches).saturating_add(1)
    }

    fn generated(&self) -> u64 {
        self.text.len() + self.other + self.unread
    }

    /// How much was found so far: bytes of text and of other content, and reports of usage.
    pub(super) fn found(&self) -> (u64, u64, u64) {
        (self.text.len(), self.other, self.reports)
    }

    /// How the answer is served, as far as its price depends on it.
    pub(super) fn serve(&mut self, tier: &Text<'_>) {
        if let Some(tier) = tier.some() {
            self.served.set(Dimension::ServiceTier, tier);
        }
    }

    /// What a usage object says beside the usage.
    pub(super) fn serve_all(&mut self, figures: &Figures) {
        self.again = figures.passes().saturating_sub(1);
        let served = figures.served();
        for (dimension, value) in served.iter() {
            self.served.set(dimension, value);
        }
    }

    /// An item of a response that shows a tool which the provider ran: its type, what a search did, and the
    /// container that code ran in.
    pub(super) fn ran(&mut self, kind: &str, action: &str, container: &str) {
        match kind {
            // Opening a page that was found is not billed.
            "web_search_call" if matches!(action, "" | "search") => self.ran.web_searches += 1,
            "file_search_call" => self.ran.file_searches += 1,
            "code_interpreter_call" => {
                let known = self.ran.containers.iter().any(|known| known == container);
                if !known && self.ran.containers.len() < CONTAINERS {
                    self.ran.containers.push(short(container));
                }
            }
            _ => return,
        }
        self.added = Added::Other;
    }

    /// The last reason given stays.
    pub(super) fn finish_reason(&mut self, reason: &str) {
        self.added = Added::Other;
        if self.finish_reason.as_deref() != Some(reason) {
            self.finish_reason = Some(short(reason));
        }
    }
}

impl Ran {
    /// The larger of what is reported and what the answer shows.
    fn tell(&self, usage: &mut Usage) {
        for (unit, shown) in [
            (Unit::WebSearch, self.web_searches),
            (Unit::FileSearch, self.file_searches),
            (Unit::CodeContainer, self.containers.len() as u64),
        ] {
            usage[unit] = usage[unit].max(shown);
        }
    }
}

impl Transcript {
    /// What was generated after so many bytes, as far as it is kept.
    pub(super) fn after(&self, bytes: u64) -> &str {
        let from = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.kept.get(from..).unwrap_or_default()
    }

    pub(super) fn push(&mut self, text: &str) {
        let room = MAX_TEXT - self.kept.len();
        let (kept, beyond) = text.split_at(floor_boundary(text, room));
        self.kept.push_str(kept);
        self.beyond += beyond.len() as u64;
    }

    /// All of it, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.kept.len() as u64 + self.beyond
    }

    pub(super) fn as_str(&self) -> &str {
        &self.kept
    }
}

fn short(name: &str) -> String {
    name[..floor_boundary(name, MAX_NAME)].to_owned()
}
