//! The usage event of an attempt: what its bill knows, put where events have it.

use std::time::Instant;

use super::{About, Finish, Payee};
use tollgate_base::clock;
use tollgate_failover::Outcome;
use tollgate_ledger::events::{Attempt, Flag, Flags, Latency, Named, Request, UsageEvent};
use tollgate_ledger::till::Hold;
use tollgate_ledger::{KeyKind, NanoUsd, cost};

/// Returns an attempt's event, not charged yet.
pub(super) fn made<'a>(
    about: &'a About,
    payee: &'a Payee,
    finish: &Finish<'a>,
    is_final: bool,
) -> UsageEvent<'a> {
    let candidate = &payee.candidate;
    let (provider, key) = (&candidate.provider, &candidate.key);
    let model = candidate.model.as_deref();
    let settled = finish.settled.as_ref();
    let (status, outcome) = match &payee.refused {
        Some((status, outcome)) if finish.outcome.is_none() => (Some(*status), Some(outcome)),
        _ => (finish.status, finish.outcome),
    };
    let since = |at: Instant| clock::millis(at.saturating_duration_since(payee.started));
    let flags = Flags::default()
        .with(Flag::Final, is_final)
        .with(Flag::TimedOut, outcome.is_some_and(Outcome::timed_out))
        .with(Flag::Error, outcome.is_some())
        .with(Flag::Streaming, about.streams)
        .with(
            Flag::Estimated,
            settled.is_some_and(|settled| settled.estimated),
        )
        .with(Flag::Managed, key.kind == KeyKind::Managed)
        .with(Flag::Unlisted, model.is_none())
        .with(Flag::TagsListed, about.tags_listed);
    UsageEvent {
        at_ms: clock::wall_ms(),
        request: Request {
            account: &about.account,
            access_key: &about.access_key,
            id: &about.request_id,
            surface: about.surface.name(),
        },
        provider_request_id: payee.named.as_deref().unwrap_or_default(),
        attempt: Attempt {
            id: about.ids.next(),
            provider: Named {
                id: &provider.id,
                name: &provider.display_name,
            },
            model: Named {
                id: &candidate.upstream_model,
                name: model.map_or(&candidate.upstream_model, |model| &model.display_name),
            },
            key: Named {
                id: &key.id,
                name: key.value.redacted(),
            },
            number: payee.number,
            flags,
            status: status.unwrap_or_default(),
            outcome: outcome.map_or("ok", Outcome::label),
            stop_reason: finish.stop_reason,
            usage: settled.map(|settled| settled.usage).unwrap_or_default(),
            served: settled
                .map(|settled| settled.served.clone())
                .unwrap_or_default(),
            cost: NanoUsd::ZERO,
            sheet: None,
            latency: Latency {
                to_commit_ms: finish.committed.map(since),
                total_ms: since(finish.now),
            },
            tags: about.tags.as_deref(),
        },
    }
}

/// Puts into an event what its charge says.
pub(super) fn charge<'a>(event: &mut UsageEvent<'a>, bill: &'a cost::Bill) {
    let (request, attempt) = (&event.request.id, &mut event.attempt);
    if bill.assumed {
        log::warn!(
            "request {}: `{}:{}` served something that has no price ({}), charged at the dearest one known: \
             configure it",
            request,
            attempt.provider.id,
            attempt.model.id,
            bill.sheet.served
        );
    }
    if bill.beyond {
        log::error!(
            "request {}: what `{}:{}` reports comes to more than {}, the most that one charge may be: that is charged. \
             Look at its prices, and at what the provider reports",
            request,
            attempt.provider.id,
            attempt.model.id,
            bill.cost
        );
    }
    (attempt.usage, attempt.cost) = (bill.usage, bill.cost);
    attempt.mark(Flag::Assumed, bill.assumed);
    attempt.sheet = Some(&bill.sheet);
}

/// Charges what was held, of which no price is known, or which is more than what is known of the use.
pub(super) fn charge_hold(event: &mut UsageEvent<'_>, hold: &Hold) {
    event.attempt.cost = hold.estimate();
    event.attempt.mark(Flag::Held, true);
}
