//! Before anything goes upstream: what the request may cost is set aside, or the request is refused.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::count;
use super::shared::Shared;
use super::tab::{Tab, quote};
use tollgate_base::clock;
use tollgate_failover::Candidate;
use tollgate_ledger::KeyKind;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Limit;
use tollgate_ledger::bank::Measure;
use tollgate_ledger::cost::priced;
use tollgate_ledger::till::{Ask, Hold, Refusal};
use tollgate_wire::error::RateLimit;
use tollgate_wire::report::Usage;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Drops candidates whose price is not known; at least one stays.
///
/// # Errors
/// A refusal if there is none that can be paid.
pub fn payable(
    shared: &Shared,
    ctx: &Context,
    candidates: &mut Vec<Candidate>,
) -> Result<(), GatewayError> {
    let Some(Endpoint::Generate(surface)) = ctx.endpoint.filter(|_| shared.ledger.is_some()) else {
        return Ok(());
    };
    let any = candidates.first().map(|c| c.upstream_model.clone());
    candidates.retain(|candidate| may_be_paid(candidate, surface != Surface::Embeddings));
    if candidates.is_empty() {
        return Err(GatewayError::price_unknown(&any.unwrap_or_default()));
    }
    Ok(())
}

/// Opens the request's tab.
///
/// # Errors
/// A refusal if the credits do not suffice or a limit is reached.
pub async fn open(
    shared: &Shared,
    ctx: &Context,
    candidates: &[Candidate],
) -> Result<Arc<Tab>, GatewayError> {
    let (Some(caller), Some(Endpoint::Generate(_))) = (&ctx.caller, ctx.endpoint) else {
        return Ok(Arc::new(Tab::new(None, 0, 0)));
    };
    let fee = caller.snapshot.config.ledger.processing_fee;
    if shared.ledger.is_none() {
        return Ok(Arc::new(Tab::new(None, 0, fee)));
    }
    let output = expected_output(shared, ctx, candidates);
    let hold = hold(shared, ctx, candidates, output, fee).await?;
    Ok(Arc::new(Tab::new(Some(hold), output, fee)))
}

/// A user key's provider bills its owner; a managed key's model must have a price.
fn may_be_paid(candidate: &Candidate, answers: bool) -> bool {
    let prices = candidate.model.as_ref().map(|model| &model.prices);
    candidate.key.kind == KeyKind::User
        || prices.is_some_and(|prices| priced(prices, answers).is_ok())
}

async fn hold(
    shared: &Shared,
    ctx: &Context,
    candidates: &[Candidate],
    output: u64,
    fee: u64,
) -> Result<Hold, GatewayError> {
    let (Some(ledger), Some(received)) = (&shared.ledger, &ctx.received) else {
        return Err(GatewayError::internal());
    };
    let bound = received.body.prompt_bound();
    match ask(shared, ctx, candidates, (bound, output), fee).await {
        Ok(hold) => Ok(hold),
        // The bound is many times what it is for most prompts; an exact count may fit.
        Err(refusal) if depends_on_prompt(&refusal) => {
            let model = &candidates[0].upstream_model;
            match count::prompt(&shared.aside, model, &received.body, bound).await {
                Ok(exact) if exact < bound => {
                    ask(shared, ctx, candidates, (exact, output), fee).await
                }
                _ => Err(refusal),
            }
            .map_err(|refusal| {
                ledger.refused(&refusal);
                refused(refusal)
            })
        }
        Err(refusal) => {
            ledger.refused(&refusal);
            Err(refused(refusal))
        }
    }
}

/// How many tokens the answer will have, as far as earlier ones tell.
fn expected_output(shared: &Shared, ctx: &Context, candidates: &[Candidate]) -> u64 {
    match (&shared.ledger, &ctx.caller, &ctx.received, ctx.endpoint) {
        (_, _, _, Some(Endpoint::Generate(Surface::Embeddings))) => 0,
        (Some(ledger), Some(caller), Some(received), _) => ledger.estimates.expected_output(
            &caller.key.id,
            &candidates[0].upstream_model,
            received.body.max_output_tokens(),
        ),
        _ => 0,
    }
}

async fn ask(
    shared: &Shared,
    ctx: &Context,
    candidates: &[Candidate],
    (prompt, output): (u64, u64),
    fee: u64,
) -> Result<Hold, Refusal> {
    let (Some(ledger), Some(caller), Some(endpoint)) = (&shared.ledger, &ctx.caller, ctx.endpoint)
    else {
        return Err(Refusal::BankAway);
    };
    let first = &candidates[0];
    let usage = Usage {
        input: prompt,
        output,
        ..Usage::default()
    };
    // Whichever candidate serves it.
    let estimate = candidates
        .iter()
        .filter_map(|candidate| quote(candidate, &usage, fee))
        .max()
        .unwrap_or(NanoUsd::ZERO);
    let ask = Ask {
        account: &caller.key.account,
        access_key: &caller.key.id,
        request_id: &ctx.request_id,
        surface: endpoint.surface(),
        provider: &first.provider.id,
        model: &first.upstream_model,
        estimate,
        prompt_tokens: prompt,
        tokens: usage.total(),
        limits: &caller.key.limits,
    };
    ledger.till.admit(&ask, clock::now()).await
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
