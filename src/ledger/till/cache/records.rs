//! Writes what a cache settles into the journal, and into the next message to the bank.

use super::super::batch::content_of;
use super::AccountState;
use crate::events::{OwnedEvent, Request, UsageEvent};
use crate::journal::{Journal, Record, Segment};

/// The most usage events that are kept while the bank is away; then the older half goes. Charges and totals are never
/// dropped.
const MOST_EVENTS: usize = 50_000;

/// A settlement that the journal could not take yet: how a hold ended, or what is charged without one.
#[derive(Clone)]
pub(super) struct Unwritten {
    /// The hold's id; `None` if there was none.
    hold: Option<u64>,
    /// In Unix time (ms).
    at_ms: u64,
    /// The attempt that the request ended with; `None` if it ended without one.
    event: Option<OwnedEvent>,
}

impl AccountState {
    /// Writes to the journal what it could not take earlier; the latest first.
    ///
    /// # Errors
    /// When it still cannot take one: that one and the rest stay.
    pub(super) fn write_rest(&mut self, account: &str, journal: &Journal) -> std::io::Result<()> {
        while let Some(waiting) = self.unwritten.last() {
            let event = waiting.event.as_ref().map(OwnedEvent::borrowed);
            let segment = append(
                journal,
                account,
                waiting.hold,
                waiting.at_ms,
                event.as_ref(),
            )?;
            self.releases.push((segment, 1));
            self.unwritten.pop();
        }
        Ok(())
    }

    /// Writes a settlement to the journal. If that fails, it is kept, and written before the next message to the bank.
    pub(super) fn write(
        &mut self,
        hold: Option<u64>,
        at_ms: u64,
        event: Option<&UsageEvent<'_>>,
        account: &str,
        journal: &Journal,
    ) {
        if let Some(event) = event {
            let content = content_of(event, at_ms);
            self.content = self.content.wrapping_add(content);
        }
        match append(journal, account, hold, at_ms, event) {
            Ok(segment) => self.releases.push((segment, 1)),
            Err(error) => {
                log::error!(
                    "a settlement is kept in memory: the journal cannot be written: {error}"
                );
                let event = event.map(UsageEvent::owned);
                self.unwritten.push(Unwritten { hold, at_ms, event });
            }
        }
    }

    /// Adds an event to the next message, and to the totals there.
    pub(super) fn add_charge(&mut self, event: &UsageEvent<'_>) {
        self.settled.add(event);
        self.add_event(event);
    }

    /// Adds an event to the next message, and to no total.
    pub(super) fn add_event(&mut self, event: &UsageEvent<'_>) {
        if self.events.len() >= MOST_EVENTS {
            let half = MOST_EVENTS / 2;
            self.events.forget(half);
            self.events_dropped += half as u64;
        }
        self.events.push(event);
    }
}

/// Appends the record of a settlement: one with a hold ends it, one without is a charge of its own.
fn append(
    journal: &Journal,
    account: &str,
    hold: Option<u64>,
    at_ms: u64,
    event: Option<&UsageEvent<'_>>,
) -> std::io::Result<Segment> {
    match (hold, event) {
        (Some(id), event) => journal.append(&Record::Settled {
            id,
            at_ms,
            attempt: event.map(|event| &event.attempt),
        }),
        (None, Some(event)) => journal.append(&Record::Charged {
            at_ms,
            request: Request {
                account,
                ..event.request.clone()
            },
            attempt: &event.attempt,
        }),
        // No caller does that.
        (None, None) => Err(std::io::Error::other("nothing was charged")),
    }
}
