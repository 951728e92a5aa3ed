//! Stored usage events as other programs and comparisons need them: the one place that reads them so.
//!
//! What an event does not keep is `None`. Events of older versions, and charges of what was held, have no rates: their fee
//! is worked out from the fee that the configuration has now.

use std::collections::BTreeMap;

use tollgate_ledger::bank::Bank;
use tollgate_ledger::cost::{Sheet, Terms};
use tollgate_ledger::events::Flag;
use tollgate_ledger::events::paging::{self, Wanted};
use tollgate_ledger::events::stored::StoredEvent;
use tollgate_ledger::{KeyKind, NanoUsd};
use tollgate_reconcile::export::{Entry, Part};
use tollgate_reconcile::{Charged, Hour, Unit, Used, variant};
use tollgate_wire::report::{Context, Dimension, Usage};

use super::ledger::Failure;

/// Events that are asked for at once: each page of a bank begins its search at the newest one again.
const PAGE: usize = 50_000;

/// An event, with what is derived from it.
pub struct Read<'a> {
    event: &'a StoredEvent<'a>,
    /// What was used, nothing twice.
    parts: Vec<Part>,
    /// What was charged for the model, and for the gateway.
    cost: NanoUsd,
    fee: NanoUsd,
    /// The context that it was charged for; `None` if that is not known.
    variant: Option<String>,
}

impl<'a> Read<'a> {
    /// Reads an event; the fee is in pico-dollars for a token.
    pub fn of(event: &'a StoredEvent<'a>, fee_pico_per_token: u64) -> Read<'a> {
        let attempt = &event.attempt;
        let sheet = attempt.sheet.as_deref();
        let rate = |unit| {
            let known = sheet.and_then(|sheet| sheet.rates.iter().find(|(own, _)| *own == unit));
            known.map(|(_, rate)| *rate)
        };
        let parts = attempt.usage.units().filter_map(|(unit, quantity)| {
            Some(Part {
                unit: Unit::named(unit.name())?,
                quantity,
                rate: rate(unit),
            })
        });
        let total = attempt.cost;
        let fee = match attempt.key_kind() {
            // Its provider bills the owner: only the fee is charged.
            KeyKind::User => total,
            KeyKind::Managed => {
                let rate = sheet.map_or(fee_pico_per_token, |sheet| sheet.fee);
                fee(&attempt.usage, rate).min(total)
            }
        };
        let as_charged = |sheet: &Sheet| named(&sheet.served);
        Read {
            event,
            parts: parts.collect(),
            cost: total - fee,
            fee,
            variant: sheet.map(as_charged),
        }
    }

    /// Returns what the ledger charged for what the operator's key paid; `None` if it paid nothing.
    pub fn charged(&self) -> Option<Charged> {
        let nothing = self.parts.is_empty() && self.cost == NanoUsd::ZERO;
        let attempt = &self.event.attempt;
        // What an attempt used that failed before its caller got anything is counted again by what the house was
        // charged.
        let houses =
            attempt.is(Flag::Error) && attempt.sheet.is_none() && attempt.cost == NanoUsd::ZERO;
        if attempt.key_kind() == KeyKind::User || nothing || houses {
            return None;
        }
        let guessed = [Flag::Estimated, Flag::Orphaned, Flag::Held, Flag::Assumed];
        let guessed = guessed.into_iter().any(|flag| attempt.is(flag));
        let used = self.parts.iter().map(|part| {
            let used = Used {
                quantity: part.quantity,
                picos: part
                    .rate
                    .map(|rate| u128::from(part.quantity) * u128::from(rate)),
            };
            (part.unit, used)
        });
        Some(Charged {
            hour: Hour::of(self.event.at_ms),
            model: attempt.model.id.to_owned(),
            key: (!attempt.key.id.is_empty()).then(|| attempt.key.id.to_owned()),
            variant: self.variant.clone(),
            requests: u64::from(!self.parts.is_empty()),
            units: used.collect::<BTreeMap<_, _>>(),
            cost: self.cost,
            assumed: if guessed { self.cost } else { NanoUsd::ZERO },
        })
    }

    /// As it is exported; `id` is the event's, as text.
    pub fn entry<'b>(&'b self, id: &'b str) -> Entry<'b> {
        let (request, attempt) = (&self.event.request, &self.event.attempt);
        let key = attempt.key.id;
        Entry {
            id,
            at_ms: self.event.at_ms,
            request_id: request.id,
            account: request.account,
            access_key: request.access_key,
            surface: request.surface,
            provider: attempt.provider.id,
            provider_name: attempt.provider.name,
            model: attempt.model.id,
            model_name: attempt.model.name,
            variant: self.variant.as_deref(),
            attempt: attempt.number,
            is_final: attempt.is(Flag::Final),
            status: attempt.status,
            outcome: attempt.outcome,
            streaming: attempt.is(Flag::Streaming),
            managed: attempt.key_kind() == KeyKind::Managed,
            provider_key: (!key.is_empty()).then_some(key),
            parts: self.parts.clone(),
            tags: attempt.tags().collect(),
            cost: self.cost,
            fee: self.fee,
            fee_rate: attempt.sheet.as_ref().map(|sheet| sheet.fee),
            estimated: attempt.is(Flag::Estimated),
            orphaned: attempt.is(Flag::Orphaned),
            assumed: attempt.is(Flag::Assumed) || attempt.is(Flag::Held),
            latency_ms: attempt.latency.total_ms,
        }
    }
}

/// What the gateway's own part of a charge is.
fn fee(usage: &Usage, pico_per_token: u64) -> NanoUsd {
    let terms = Terms {
        prices: None,
        at: 0,
        fee: pico_per_token,
    };
    // Without prices, none can be unknown.
    terms
        .cost(usage, &Context::STANDARD)
        .unwrap_or(NanoUsd::ZERO)
}

/// A context by the name that reports are read by.
fn named(context: &Context) -> String {
    let tier = context.get(Dimension::ServiceTier);
    variant(
        tier.or_else(|| context.get(Dimension::Processing)),
        context.get(Dimension::Speed),
        context.get(Dimension::InferenceGeo),
    )
}

/// Returns every attempt of an account from one time to another (Unix time, ms), the newest first, a page at a time;
/// `done` is given what each page made and when its oldest event was.
pub async fn every<T>(
    bank: &dyn Bank,
    account: &str,
    (from_ms, to_ms): (u64, u64),
    show: impl Fn(&StoredEvent<'_>) -> T,
    mut done: impl FnMut(Vec<T>, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let wanted = Wanted {
            account,
            from_ms,
            to_ms,
            retries: true,
            after,
            limit: PAGE,
            ..Wanted::default()
        };
        let page = paging::page(bank, wanted, |event| (event.at_ms, show(event))).await;
        let page = page.map_err(|error| Failure::Words(error.to_string()))?;
        let oldest = page.events.last().map_or(from_ms, |(at_ms, _)| *at_ms);
        let shown = page.events.into_iter().map(|(_, shown)| shown);
        done(shown.collect(), oldest)?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use tollgate_ledger::events::{Attempt, EventId, Flags, Latency, Named, Request};
    use tollgate_wire::report;

    pub fn event() -> StoredEvent<'static> {
        StoredEvent {
            at_ms: 3_600_000 * 5 + 1,
            request: Request {
                account: "default",
                access_key: "app",
                id: "r",
                surface: "openai/chat-completions",
            },
            provider_request_id: "",
            attempt: Attempt {
                id: EventId::made_up(1, 2),
                provider: Named {
                    id: "acme",
                    name: "Acme",
                },
                model: Named {
                    id: "large",
                    name: "Large",
                },
                key: Named {
                    id: "house",
                    name: "",
                },
                number: 1,
                flags: Flags::default()
                    .with(Flag::Final, true)
                    .with(Flag::Managed, true),
                status: 200,
                outcome: "ok",
                stop_reason: "stop",
                usage: Usage::of(1_000, 400, 0, 90, 10),
                latency: Latency {
                    to_commit_ms: None,
                    total_ms: 10,
                },
                ..Attempt::default()
            },
        }
    }

    /// The same, changed.
    fn changed(
        change: impl FnOnce(&mut Attempt<&'static str, Arc<Sheet>>),
    ) -> StoredEvent<'static> {
        let mut event = event();
        change(&mut event.attempt);
        event
    }

    #[test]
    fn every_unit_of_the_ledger_is_known() {
        for unit in report::Unit::ALL {
            let known = Unit::named(unit.name());
            assert!(known.is_some(), "{}", unit.name());
            let tokens = known.is_some_and(Unit::is_tokens);
            assert_eq!(tokens, unit.is_tokens(), "{}", unit.name());
        }
    }

    #[test]
    fn a_charge_is_divided_into_what_the_provider_and_the_gateway_get() {
        let context = Context::default()
            .with(Dimension::ServiceTier, "priority")
            .with(Dimension::InferenceGeo, "us");
        let sheet = Sheet {
            served: context.clone(),
            fee: 50_000,
            rates: vec![
                (report::Unit::Input, 5_000_000),
                (report::Unit::CachedRead, 500_000),
                (report::Unit::Output, 20_000_000),
                (report::Unit::Reasoning, 20_000_000),
            ],
            ..Sheet::default()
        };
        let total = sheet.cost(&event().attempt.usage);
        let event = changed(|attempt| {
            (attempt.served, attempt.cost) = (context, total);
            attempt.sheet = Some(Arc::new(sheet));
        });
        // Another fee than the configuration has now.
        let read = Read::of(&event, 7);
        let charged = read.charged().unwrap();
        assert_eq!(charged.hour, Hour(5));
        assert_eq!(charged.key.as_deref(), Some("house"));
        assert_eq!(charged.variant.as_deref(), Some("priority+us"));
        // 600 × 5 + 400 × 0.5 + 90 × 20 micro-dollars.
        assert_eq!(charged.cost, NanoUsd(5_000_000));
        let picos: u128 = charged.units.values().map(|used| used.picos.unwrap()).sum();
        assert_eq!(picos, 5_000_000_000);
        let entry = read.entry("evt");
        assert_eq!(entry.cost + entry.fee, total);
        assert_eq!(entry.fee, NanoUsd(54_500));
        assert_eq!(entry.provider_key, Some("house"));
    }

    #[test]
    fn what_an_older_version_kept_says_less() {
        let old = changed(|attempt| {
            attempt.cost = NanoUsd(1_000_000);
            attempt.key.id = "";
        });
        let charged = Read::of(&old, 50_000).charged().unwrap();
        assert_eq!((charged.key, charged.variant), (None, None));
        assert_eq!(charged.cost, NanoUsd(1_000_000 - 54_500));
        assert!(charged.units.values().all(|used| used.picos.is_none()));

        let own = changed(|attempt| {
            attempt.cost = NanoUsd(54_500);
            attempt.flags = Flags::default().with(Flag::Final, true);
            attempt.key = Named {
                id: "mine",
                name: "sk***x",
            };
        });
        let read = Read::of(&own, 50_000);
        assert_eq!(read.charged(), None);
        let entry = read.entry("evt");
        assert_eq!((entry.cost, entry.fee), (NanoUsd::ZERO, NanoUsd(54_500)));
        assert_eq!(entry.provider_key, Some("mine"));

        let mut held = old.clone();
        held.attempt.mark(Flag::Held, true);
        let charged = Read::of(&held, 50_000).charged().unwrap();
        assert_eq!(charged.assumed, charged.cost);
        let failed = changed(|attempt| attempt.usage = Usage::default());
        assert_eq!(Read::of(&failed, 50_000).charged(), None);
        let houses = changed(|attempt| attempt.mark(Flag::Error, true));
        assert_eq!(Read::of(&houses, 50_000).charged(), None, "told twice");
    }
}
