//! Sends spans by OTLP, in batches, by a thread of its own.
//!
//! Invariant: memory is bounded whatever the receiver does. At most [`MOST_QUEUED`] spans wait beside the batch that is
//! being sent; a request that finds no room for its spans drops them. Whatever does not reach the receiver is counted, and
//! said in the log once a minute at most.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::{Condvar, Mutex};
use prometheus::{IntCounter, IntCounterVec};
use prost::Message;

use super::Counters;
use crate::metrics::otlp::{Receiver, Trouble, scope};

/// Spans that wait; those of further requests are dropped.
const MOST_QUEUED: usize = 4_096;
/// Spans that are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with it.
const GATHER: Duration = Duration::from_secs(1);
/// How often a batch is sent to a receiver that cannot take it now.
const TRIES: u32 = 5;
/// How long the second try waits; each further one waits twice that.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why spans are dropped, as labels.
const QUEUE_FULL: &str = "queue_full";
const UNREACHABLE: &str = "unreachable";
const REFUSED: &str = "refused";
const REJECTED: &str = "rejected";

/// Spans that wait to be sent.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes the sender.
    work: Condvar,
    /// Wakes who waits in `flush`.
    sent: Condvar,
    full: IntCounter,
}

/// Behind the lock: held for a move of a few spans, never for I/O.
#[derive(Default)]
struct State {
    waiting: Vec<Span>,
    /// Whether a batch is under way.
    sending: bool,
    /// Whether somebody waits for the end: nothing is gathered, or tried again, any more.
    hurry: bool,
}

impl Queue {
    pub fn new(counters: &Counters) -> Queue {
        Queue {
            state: Mutex::default(),
            work: Condvar::new(),
            sent: Condvar::new(),
            full: counters.dropped.with_label_values(&[QUEUE_FULL]),
        }
    }

    /// Adds the spans of a request, or drops them all.
    pub fn push(&self, spans: Vec<Span>) {
        let mut state = self.state.lock();
        let before = state.waiting.len();
        let now = before + spans.len();
        if now > MOST_QUEUED {
            drop(state);
            self.full.inc_by(count(spans.len()));
            return;
        }
        state.waiting.extend(spans);
        drop(state);
        if before == 0 || (before < BATCH && now >= BATCH) {
            self.work.notify_one();
        }
    }

    /// Waits until everything is sent or lost, at most `patience`.
    pub fn flush(&self, patience: Duration) {
        let mut state = self.state.lock();
        state.hurry = true;
        self.work.notify_one();
        self.sent.wait_while_for(
            &mut state,
            |state| state.sending || !state.waiting.is_empty(),
            patience,
        );
    }

    /// Waits for spans, and lets more gather.
    fn next_batch(&self) -> Vec<Span> {
        let mut state = self.state.lock();
        self.work
            .wait_while(&mut state, |state| state.waiting.is_empty());
        self.work.wait_while_for(
            &mut state,
            |state| state.waiting.len() < BATCH && !state.hurry,
            GATHER,
        );
        state.sending = true;
        let most = state.waiting.len().min(BATCH);
        state.waiting.drain(..most).collect()
    }

    fn batch_is_over(&self) {
        self.state.lock().sending = false;
        self.sent.notify_all();
    }

    /// Waits before another try; false if there shall be none.
    fn pause(&self, wait: Duration) -> bool {
        let mut state = self.state.lock();
        self.work
            .wait_while_for(&mut state, |state| !state.hurry, wait);
        !state.hurry
    }
}

/// The thread that sends them.
pub(super) struct Sender {
    queue: Arc<Queue>,
    receiver: Receiver,
    sent: IntCounter,
    dropped: IntCounterVec,
}

impl Sender {
    pub fn new(receiver: Receiver, queue: Arc<Queue>, counters: &Counters) -> Sender {
        for reason in [QUEUE_FULL, UNREACHABLE, REFUSED, REJECTED] {
            counters.dropped.with_label_values(&[reason]).inc_by(0);
        }
        Sender {
            queue,
            receiver,
            sent: counters.sent.clone(),
            dropped: counters.dropped.clone(),
        }
    }

    /// Sends what there is, for ever.
    pub fn run(mut self) {
        loop {
            let batch = self.queue.next_batch();
            self.deliver(batch);
            self.queue.batch_is_over();
        }
    }

    fn deliver(&mut self, batch: Vec<Span>) {
        let spans = count(batch.len());
        let body = self.encode(batch);
        let mut wait = FIRST_WAIT;
        for left in (0..TRIES).rev() {
            match self.receiver.post(&body) {
                Ok(answer) => {
                    let rejected = rejected(answer).min(spans);
                    self.sent.inc_by(spans - rejected);
                    return self.taken(rejected);
                }
                Err(Trouble::Final(why)) => {
                    self.tell(&why);
                    return self.lose(REFUSED, spans);
                }
                Err(Trouble::Passing(why, named)) => {
                    self.tell(&why);
                    let named = named.map(|named| named.min(LONGEST_WAIT));
                    if left == 0 || !self.queue.pause(named.unwrap_or(wait)) {
                        return self.lose(UNREACHABLE, spans);
                    }
                    wait *= 2;
                }
            }
        }
    }

    fn encode(&self, spans: Vec<Span>) -> Vec<u8> {
        let spans = ScopeSpans {
            scope: Some(scope()),
            spans,
            ..ScopeSpans::default()
        };
        let all = ResourceSpans {
            resource: Some(self.receiver.resource()),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![all],
        };
        request.encode_to_vec()
    }

    fn lose(&self, reason: &str, spans: u64) {
        let dropped = self.dropped.with_label_values(&[reason]);
        dropped.inc_by(spans);
    }

    /// A batch was taken, but for `rejected` spans.
    fn taken(&mut self, rejected: u64) {
        if rejected > 0 {
            self.lose(REJECTED, rejected);
            self.tell(&format!("it rejects {rejected} spans of a batch"));
        } else {
            self.receiver.reached();
        }
    }

    fn tell(&mut self, why: &str) {
        self.receiver.tell(&format_args!(
            "{why}; what is lost is counted in tollgate_trace_spans_dropped_total"
        ));
    }
}

/// How many spans an answer says that the receiver did not want. One that is not understood says nothing.
fn rejected(answer: Option<Vec<u8>>) -> u64 {
    let said = answer.and_then(|body| ExportTraceServiceResponse::decode(&*body).ok());
    let partly = said.and_then(|said| said.partial_success);
    partly.map_or(0, |partly| {
        u64::try_from(partly.rejected_spans).unwrap_or(0)
    })
}

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}
