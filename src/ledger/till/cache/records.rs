//! What a cache settles, in the journal and in the next message.

use std::sync::Arc;

use super::super::batch::content_of;
use super::AccountState;
use crate::events::UsageEvent;
use crate::events::stored::StoredEvent;
use crate::journal::{Journal, Record, Segment};

/// Usage events kept while the bank is away; beyond it the oldest go. Charges and totals are never dropped.
const MOST_EVENTS: usize = 50_000;

/// What the journal shall be told: how a hold ended, or what is charged without one.
#[derive(Clone)]
pub(super) struct Unwritten {
    /// The hold's id; `None` if there was none.
    hold: Option<u64>,
    at_ms: u64,
    /// What the request ended with.
    event: Option<Arc<UsageEvent>>,
}

impl AccountState {
    /// Tells the journal what it could not take; the latest first.
    ///
    /// # Errors
    /// It still cannot; the rest stays.
    pub(super) fn write_rest(&mut self, account: &str, journal: &Journal) -> std::io::Result<()> {
        while let Some(waiting) = self.unwritten.last() {
            let event = waiting.event.as_deref();
            let segment = append(journal, account, waiting.hold, waiting.at_ms, event)?;
            self.releases.push((segment, 1));
            self.unwritten.pop();
        }
        Ok(())
    }

    /// Tells the journal; what it cannot take is told again before anything is told to the bank.
    pub(super) fn write(
        &mut self,
        hold: Option<u64>,
        at_ms: u64,
        event: Option<&UsageEvent>,
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
                let event = event.cloned().map(Arc::new);
                self.unwritten.push(Unwritten { hold, at_ms, event });
            }
        }
    }

    /// Adds an event to the next message, and to what it sums up.
    pub(super) fn note(&mut self, event: &UsageEvent) {
        self.settled.add(event);
        self.tell(event);
    }

    /// Adds an event to the next message.
    pub(super) fn tell(&mut self, event: &UsageEvent) {
        if self.events.len() >= MOST_EVENTS {
            let half = MOST_EVENTS / 2;
            self.events.forget(half);
            self.events_dropped += half as u64;
        }
        self.events.push(&StoredEvent::from(event));
    }
}

fn append(
    journal: &Journal,
    account: &str,
    hold: Option<u64>,
    at_ms: u64,
    event: Option<&UsageEvent>,
) -> std::io::Result<Segment> {
    match (hold, event) {
        (Some(id), event) => journal.append(&Record::Settled {
            id,
            at_ms,
            attempt: event.map(UsageEvent::journalled),
        }),
        (None, Some(event)) => journal.append(&Record::Charged {
            at_ms,
            account,
            access_key: &event.access_key_id,
            request_id: &event.request_id,
            surface: event.surface.name(),
            attempt: event.journalled(),
        }),
        (None, None) => Err(std::io::Error::other("nothing was charged")),
    }
}
