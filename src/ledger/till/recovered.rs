//! Events of requests whose own event is not there: that were in flight when their replica died, or when what served
//! them panicked, and those that an older version had settled.

use crate::NanoUsd;
use crate::events::{Attempt, Event, EventId, Flag, Flags, Named};
use crate::journal::Held;
use tollgate_wire::report::Usage;

impl<S> Held<S> {
    /// Returns an event that says no more than this; the rest is empty or zero.
    pub(super) fn event<'a, R>(self, id: EventId, at_ms: u64) -> Event<S, R>
    where
        S: Clone + Default + From<&'a str>,
    {
        let named = |id: S| Named {
            id: id.clone(),
            name: id,
        };
        Event {
            at_ms,
            request: self.request,
            provider_request_id: S::default(),
            attempt: Attempt {
                id,
                provider: named(self.provider),
                model: named(self.model),
                number: 1,
                flags: Flags::default().with(Flag::Final, true),
                outcome: "ok".into(),
                ..Attempt::default()
            },
        }
    }

    /// Returns an event of which nothing is known but what was held for it, which is charged.
    pub(super) fn orphan<'a, R>(
        self,
        id: EventId,
        at_ms: u64,
        prompt_tokens: u64,
        estimate: NanoUsd,
    ) -> Event<S, R>
    where
        S: Clone + Default + From<&'a str>,
    {
        let mut event = self.event(id, at_ms);
        let attempt = &mut event.attempt;
        for flag in [Flag::Error, Flag::Estimated, Flag::Orphaned, Flag::Held] {
            attempt.mark(flag, true);
        }
        attempt.outcome = "orphaned".into();
        attempt.usage = Usage::tokens(prompt_tokens, 0);
        attempt.cost = estimate;
        event
    }
}
