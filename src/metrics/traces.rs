//! Traces, as OpenTelemetry has them: a span for a request, and one below it for each of its attempts.
//!
//! Invariant: no request waits for a trace, or fails by one. Its place in its trace is made when it comes in, its spans
//! once it has ended, and only if they are sent. What is sent waits in a bounded queue ([`export`]); what finds it full is
//! dropped and counted. Nothing of a body is in a span ([`span`]).

mod context;
mod export;
mod span;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::otlp::{Client, Receiver, Signal};
pub use context::{TRACEPARENT, TRACESTATE, Trace, span_id};
use export::{Queue, Sender};
use http::HeaderMap;
use prometheus::{IntCounter, IntCounterVec};
pub use span::{Attempt, Request};
use tollgate_config::{Keep, Traces as Settings};

/// Spans that were sent, and those that were lost, by the reason.
pub struct Counters {
    pub sent: IntCounter,
    pub dropped: IntCounterVec,
}

/// What decides whether a request is traced that is not among those that are by their share.
pub struct Fate {
    /// Whether it is a failure that is worth a trace.
    pub is_error: bool,
    /// How many attempts it took.
    pub attempts: usize,
    /// How long its answer took.
    pub waited: Duration,
}

/// Traces requests.
pub struct Traces {
    share: f64,
    keep: Keep,
    baggage: Vec<String>,
    queue: Arc<Queue>,
}

impl Traces {
    /// Starts the thread that sends spans, with this client.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(settings: &Settings, client: Client, counters: &Counters) -> io::Result<Traces> {
        let queue = Arc::new(Queue::new(counters));
        let receiver = Receiver::new(&settings.receiver, client, Signal::Traces);
        let sender = Sender::new(receiver, queue.clone(), counters);
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || sender.run())?;
        Ok(Traces {
            share: settings.sample,
            keep: settings.keep,
            baggage: settings.baggage.clone(),
            queue,
        })
    }

    /// Returns the place in its trace of a request with these headers.
    pub fn begin(&self, headers: &HeaderMap) -> Trace {
        Trace::begin(headers, self.share)
    }

    /// Returns whether a request that has ended so is traced.
    pub fn wants(&self, trace: &Trace, fate: &Fate) -> bool {
        let keep = &self.keep;
        trace.sampled
            || (keep.errors && fate.is_error)
            || (keep.failed_over && fate.attempts > 1)
            || keep.slow.is_some_and(|slow| fate.waited >= slow)
    }

    /// Sends the spans of a request, some time.
    pub fn write(&self, request: &Request<'_>) {
        self.queue.push(request.spans(&self.baggage));
    }

    /// Waits until everything so far is sent or lost, at most `patience`; what comes later is hardly waited for.
    pub fn flush(&self, patience: Duration) {
        self.queue.flush(patience);
    }
}

#[cfg(test)]
mod tests;
