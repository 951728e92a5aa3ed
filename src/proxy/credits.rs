//! Before anything goes upstream: what the request may cost is set aside, or the request is refused.

use std::sync::Arc;
use std::time::Duration;

use super::aside::Aside;
use super::context::Caller;
use super::count;
use super::shared::Shared;
use super::tab::{About, Tab, quote};
use tollgate_base::clock;
use tollgate_config::access::AccessKey;
use tollgate_failover::Candidate;
use tollgate_ledger::bank::{Limit, Measure};
use tollgate_ledger::cost::priced;
use tollgate_ledger::till::{Ask, Hold, Refusal};
use tollgate_ledger::{KeyKind, Ledger, NanoUsd};
use tollgate_wire::error::RateLimit;
use tollgate_wire::report::{Context, Usage};
use tollgate_wire::request::RequestBody;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Drops candidates whose price is not known; at least one stays.
///
/// # Errors
/// A refusal if there is none that can be paid.
pub fn payable(
    shared: &Shared,
    endpoint: Endpoint,
    candidates: &mut Vec<Candidate>,
) -> Result<(), GatewayError> {
    let (Endpoint::Generate(surface), Some(_)) = (endpoint, &shared.ledger) else {
        return Ok(());
    };
    let any = candidates.first().map(|c| c.upstream_model.clone());
    candidates.retain(|candidate| may_be_paid(candidate, surface != Surface::Embeddings));
    if candidates.is_empty() {
        return Err(GatewayError::price_unknown(&any.unwrap_or_default()));
    }
    Ok(())
}

/// A user key's provider bills its owner; a managed key's model must have a price.
fn may_be_paid(candidate: &Candidate, answers: bool) -> bool {
    let prices = candidate.model.as_ref().map(|model| &model.prices);
    candidate.key.kind == KeyKind::User
        || prices.is_some_and(|prices| priced(prices, answers).is_ok())
}

/// Opens the request's tab.
///
/// # Errors
/// A refusal if the credits do not suffice or a limit is reached.
pub async fn open(
    shared: &Shared,
    caller: &Caller,
    request_id: &Arc<str>,
    body: &RequestBody,
    candidates: &[Candidate],
) -> Result<Tab, GatewayError> {
    let fee = caller.snapshot.config.ledger.processing_fee;
    let at = clock::unix_ms(clock::wall()) / 1_000;
    let about = About {
        request_id: request_id.clone(),
        access_key: caller.key.id.clone(),
        account: caller.key.account.clone(),
        surface: body.endpoint().surface(),
        streams: body.stream(),
        fee,
        at,
        ids: shared.event_ids.clone(),
    };
    let (Endpoint::Generate(surface), Some(ledger)) = (body.endpoint(), &shared.ledger) else {
        return Ok(Tab::new(about, None, 0));
    };
    let key = &*caller.key;
    let (first, most) = (&candidates[0], body.max_output_tokens());
    let output = match surface {
        Surface::Embeddings => 0,
        _ => (ledger.estimates).expected_output(&key.id, &first.upstream_model, most),
    };
    let order = Order {
        ledger,
        key,
        request_id,
        surface,
        candidates,
        output,
        fee,
        at,
    };
    match order.hold(&shared.aside, body).await {
        Ok(hold) => Ok(Tab::new(about, Some(hold), output)),
        Err(refusal) => {
            ledger.refused(&refusal);
            Err(refused(refusal))
        }
    }
}

/// What a request asks credits for.
struct Order<'a> {
    ledger: &'a Ledger,
    key: &'a AccessKey,
    request_id: &'a Arc<str>,
    surface: Surface,
    candidates: &'a [Candidate],
    /// Tokens that the answer will have, as far as earlier ones tell.
    output: u64,
    /// Pico-dollars per token.
    fee: u64,
    /// When it is admitted (Unix time, s).
    at: u64,
}

impl Order<'_> {
    async fn hold(&self, aside: &Aside, body: &RequestBody) -> Result<Hold, Refusal> {
        let bound = body.prompt_bound();
        match self.ask(bound).await {
            // The bound is many times what it is for most prompts; an exact count may fit.
            Err(refusal) if depends_on_prompt(&refusal) => {
                let model = &self.candidates[0].upstream_model;
                match count::prompt(aside, model, body, bound).await {
                    Ok(exact) if exact < bound => self.ask(exact).await,
                    _ => Err(refusal),
                }
            }
            asked => asked,
        }
    }

    /// Asks for a prompt of this many tokens.
    async fn ask(&self, prompt: u64) -> Result<Hold, Refusal> {
        let usage = Usage::tokens(prompt, self.output);
        // Whichever candidate serves it.
        let estimate = self
            .candidates
            .iter()
            .filter_map(|candidate| quote(candidate, &usage, &Context::STANDARD, self.fee, self.at))
            .max()
            .unwrap_or(NanoUsd::ZERO);
        let first = &self.candidates[0];
        let ask = Ask {
            account: &self.key.account,
            access_key: &self.key.id,
            request_id: self.request_id,
            surface: self.surface,
            provider: &first.provider.id,
            model: &first.upstream_model,
            estimate,
            prompt_tokens: prompt,
            tokens: usage.total(),
            limits: &self.key.limits,
        };
        self.ledger.till.admit(&ask, clock::now()).await
    }
}

/// Whether fewer prompt tokens could change it.
fn depends_on_prompt(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::OutOfCredits { .. } | Refusal::Held => true,
        Refusal::Limit { limit, .. } => {
            limit.meter.measure.is_budget() || limit.meter.measure == Measure::TokensPerMinute
        }
        Refusal::BankAway | Refusal::JournalFull => false,
    }
}

fn refused(refusal: Refusal) -> GatewayError {
    match refusal {
        Refusal::OutOfCredits { estimate, left } => {
            GatewayError::out_of_credits(&estimate.to_string(), &left.or_zero().to_string())
        }
        Refusal::Held => GatewayError::credits_held(Duration::from_secs(1)),
        Refusal::BankAway => GatewayError::bank_unreachable(),
        Refusal::JournalFull => GatewayError::journal_full(),
        Refusal::Limit {
            limit,
            left,
            need,
            retry_after,
            reset,
        } => {
            let error = GatewayError::limit_reached(&describe(&limit, left, need), retry_after);
            match unit(limit.meter.measure) {
                Some(unit) => error.with_rate_limit(RateLimit {
                    unit,
                    limit: limit.most,
                    remaining: left,
                    reset: reset.unwrap_or_default(),
                }),
                None => error,
            }
        }
    }
}

/// As OpenAI's and Anthropic's headers name it; budgets have no such header.
fn unit(measure: Measure) -> Option<&'static str> {
    match measure {
        Measure::RequestsPerMinute | Measure::ConcurrentRequests => Some("requests"),
        Measure::TokensPerMinute => Some("tokens"),
        _ => None,
    }
}

fn describe(limit: &Limit, left: i64, need: i64) -> String {
    let most = limit.most;
    let dollars = |window: &str| {
        format!(
            "a budget of {} {window}, of which {} are left; this request may cost {}",
            NanoUsd(most),
            NanoUsd(left),
            NanoUsd(need)
        )
    };
    match limit.meter.measure {
        Measure::RequestsPerMinute => format!("{most} requests per minute"),
        Measure::TokensPerMinute => format!(
            "{most} tokens per minute, of which {left} are left; this request may use {need}"
        ),
        Measure::ConcurrentRequests => format!("{most} requests at the same time"),
        Measure::BudgetPerDay => dollars("per day"),
        Measure::BudgetPerMonth => dollars("per month"),
        Measure::BudgetTotal => dollars("in total"),
    }
}
