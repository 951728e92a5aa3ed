//! What settles a request from inside its session, before the last byte of its answer leaves.

use std::sync::Arc;

use bytes::Bytes;

use super::aside::Aside;
use super::count;
use super::flight::{Flight, NotAnAnswer, Translation};
use super::tab::Tab;
use tollgate_wire::request::RequestBody;

/// Of most texts, about; exact counting costs more than it is worth while an answer runs.
const BYTES_PER_TOKEN: u64 = 4;

/// See the module.
pub struct Closing {
    /// For counting, and for translating what is long.
    pub aside: Arc<Aside>,
    /// What is owed.
    pub tab: Arc<Tab>,
    /// For counting the prompt.
    pub body: RequestBody,
    /// Whether an answer ends when its account's credits are gone.
    pub cut_off: bool,
}

impl Closing {
    /// Whether the account can pay for what the answer under way has become. Without a cut-off, always.
    pub fn affords(&self, flight: &Flight) -> bool {
        if !self.cut_off {
            return true;
        }
        let output = flight.with_tap(|tap| {
            let reported = tap.usage().map_or(0, |usage| usage.output());
            reported.max(tap.output_bytes() / BYTES_PER_TOKEN)
        });
        output.is_none_or(|output| self.tab.affords(output))
    }

    /// Translates a long document, away from the proxy's threads.
    pub async fn translate(&self, translation: Translation) -> Result<Bytes, NotAnAnswer> {
        let translated = self.aside.run(move || translation.run()).await;
        // What it panics at is no answer that a client could read.
        translated.unwrap_or(Err(NotAnAnswer))
    }

    /// The answer under way has come to its end.
    pub async fn answer(&self, flight: &Flight) {
        if self.tab.is_closed() {
            return;
        }
        let settled = match flight.with_tap(|tap| tap.usage_final().then(|| count::reported(tap))) {
            None => None, // an error that is relayed
            Some(Some(reported)) => reported,
            Some(None) => match flight.take_tap() {
                None => None,
                Some(tap) => {
                    let model = self.tab.model();
                    let (tap, settled) = count::answer(&self.aside, tap, &model, &self.body).await;
                    tap.into_iter().for_each(|tap| flight.put_tap(tap));
                    settled
                }
            },
        };
        let (status, failed) = (settled.as_ref().map(|_| 200), settled.is_none());
        self.tab.close(settled, status, failed);
    }
}
