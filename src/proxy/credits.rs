//! Before anything goes upstream: what the request may cost is set aside, or the request is refused.

use std::sync::Arc;
use std::time::Instant;

use super::aside::Aside;
use super::bill::{About, Bill, quote};
use super::context::Caller;
use super::count;
use super::refusals::refused;
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_config::access::{AccessKey, Configuration, least};
use tollgate_failover::Candidate;
use tollgate_ledger::bank::{Limit, Measure};
use tollgate_ledger::cost::priced;
use tollgate_ledger::estimate::Answers;
use tollgate_ledger::till::{Ask, Hold, Refusal};
use tollgate_ledger::{KeyKind, Ledger, NanoUsd};
use tollgate_wire::report::{Context, Dimension, Unit, Usage};
use tollgate_wire::request::{Asked, Extra, Paid, RequestBody};
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Returns what the request orders besides text, if anybody asks: it has a price, the caller's configuration says what
/// may be ordered, or others share the keys.
pub fn asked(shared: &Shared, caller: &Caller, body: &RequestBody) -> Asked {
    let configuration = caller.key.configuration.as_deref();
    let restricted = configuration.is_some_and(|configuration| configuration.options.is_some())
        || caller.key.max_input_tokens().is_some();
    if shared.ledger.is_some() || restricted || caller.snapshot.has_several_accounts() {
        body.asked()
    } else {
        Asked::default()
    }
}

/// Drops candidates that credits cannot pay at this time (Unix time, s): whose price is not known, or the price of something
/// that the request orders besides text. At least one stays.
///
/// # Errors
/// A refusal if there is none that can be paid, or the caller's configuration does not allow what is ordered.
pub fn payable(
    shared: &Shared,
    caller: &Caller,
    body: &RequestBody,
    asked: &Asked,
    candidates: &mut Vec<Candidate>,
    at: u64,
) -> Result<(), GatewayError> {
    let Endpoint::Generate(surface) = body.endpoint() else {
        return Ok(());
    };
    let configuration = caller.key.configuration.as_deref();
    let besides = |extra: &&Extra| !matches!(extra.what, Paid::Kept | Paid::Route);
    for extra in asked.extras.iter().filter(besides) {
        let option = extra.what.option();
        let value = Dimension::named(option).and_then(|dimension| asked.context.get(dimension));
        if configuration.is_some_and(|configuration| !configuration.allows_option(option, value)) {
            return Err(GatewayError::option_not_allowed(option, &extra.param));
        }
    }
    let foreign = foreign(caller, asked);
    if shared.ledger.is_none() && foreign.is_none() {
        return Ok(());
    }
    let answers = surface != Surface::Embeddings;
    let mut first = None;
    candidates.retain(|candidate| {
        let foreign = foreign.as_ref().filter(|_| candidate.key.shared).cloned();
        let unpayable = || {
            shared.ledger.as_ref()?;
            unpayable(candidate, configuration, surface, asked, answers, at)
        };
        let refused = foreign.or_else(unpayable);
        let payable = refused.is_none();
        first = first.take().or(refused);
        payable
    });
    match first {
        Some(refusal) if candidates.is_empty() => Err(refusal),
        _ => Ok(()),
    }
}

/// Why the request must not use a key that accounts share, if there are any to share it: it refers to what may be
/// another's, or takes another route than is paid for.
fn foreign(caller: &Caller, asked: &Asked) -> Option<GatewayError> {
    let configuration = caller.key.configuration.as_deref();
    let refused = |extra: &&Extra| {
        let option = extra.what.option();
        matches!(extra.what, Paid::Kept | Paid::Route)
            && !configuration.is_some_and(|configuration| configuration.lists_option(option))
    };
    let extra = asked.extras.iter().find(refused)?;
    caller
        .snapshot
        .has_several_accounts()
        .then(|| match extra.what {
            Paid::Route => GatewayError::route_refused(&extra.param),
            _ => GatewayError::kept_refused(&extra.param),
        })
}

/// Returns why credits cannot pay a candidate of a request that orders nothing but text.
pub fn unpriced(
    candidate: &Candidate,
    configuration: Option<&Configuration>,
    surface: Surface,
) -> Option<GatewayError> {
    let (asked, answers) = (Asked::default(), surface != Surface::Embeddings);
    unpayable(candidate, configuration, surface, &asked, answers, now())
}

/// Why credits cannot pay a candidate. A user key's provider bills its owner.
fn unpayable(
    candidate: &Candidate,
    configuration: Option<&Configuration>,
    surface: Surface,
    asked: &Asked,
    answers: bool,
    at: u64,
) -> Option<GatewayError> {
    if candidate.key.kind == KeyKind::User {
        return None;
    }
    let name = &candidate.upstream_model;
    let prices = match &candidate.model {
        Some(model) if priced(&model.prices, answers).is_ok() => &model.prices,
        _ => return Some(GatewayError::price_unknown(name)),
    };
    let unpriced = |extra: &&Extra| match &extra.what {
        // What an API has no place for is not ordered there.
        Paid::Unit(_) | Paid::Tool if candidate.surface.dialect() != surface.dialect() => false,
        Paid::Unit(unit) => {
            let found = prices.find(*unit, &Context::STANDARD, 0, at);
            found.is_none_or(|found| found.assumed)
        }
        Paid::Served(dimension) => {
            let mut fitting = prices.variants_at(&asked.context, at);
            !fitting.any(|variant| variant.when.get(*dimension).is_some())
        }
        Paid::Tool | Paid::Background => {
            let option = extra.what.option();
            !configuration.is_some_and(|configuration| configuration.lists_option(option))
        }
        // Whoever may not was refused before.
        Paid::Kept | Paid::Route => false,
    };
    let extra = asked.extras.iter().find(unpriced)?;
    Some(match extra.what {
        Paid::Background => GatewayError::background_refused(&extra.param),
        _ => GatewayError::option_unpriced(extra.what.option(), &extra.param, name),
    })
}

/// Returns how many tokens an answer of a candidate will have, as far as earlier ones show; `most` is the longest that is
/// allowed, `at` is Unix time, s.
pub fn expected(
    ledger: &Ledger,
    key: &AccessKey,
    candidate: &Candidate,
    most: Option<u64>,
    at: u64,
) -> u64 {
    let answers = Answers {
        account: &key.account,
        access_key: &key.id,
        provider: &candidate.provider.id,
        model: candidate.known_model(),
    };
    ledger.estimates.expected_output(&answers, most, at)
}

/// Unix time, s.
pub fn now() -> u64 {
    clock::unix_ms(clock::wall()) / 1_000
}

/// Opens the bill of a request that is admitted at a time (Unix time, s), and may have a name by which it may be sent again.
///
/// # Errors
/// A refusal if the credits do not suffice or a limit is reached.
pub async fn open(
    shared: &Shared,
    caller: &Caller,
    request_id: &Arc<str>,
    body: &RequestBody,
    asked: Asked,
    candidates: &[Candidate],
    (at, named): (u64, bool),
) -> Result<Bill, GatewayError> {
    let fee = caller.snapshot.config.ledger.processing_fee;
    let about = About {
        request_id: request_id.clone(),
        access_key: caller.key.id.clone(),
        account: caller.key.account.clone(),
        tags: caller.tags.text().cloned(),
        tags_listed: (caller.key.configuration.as_ref()).is_some_and(|own| own.tags.is_some()),
        surface: body.endpoint().surface(),
        streams: body.stream(),
        answers: asked.answers,
        prompts: asked.prompts,
        searches: asked.searches(),
        container_gb: asked.container_gb,
        fee,
        at,
        ids: shared.event_ids.clone(),
    };
    let (Endpoint::Generate(surface), Some(ledger)) = (body.endpoint(), &shared.ledger) else {
        let till = shared.ledger.as_ref().map(|ledger| ledger.till.clone());
        return Ok(Bill::free(about, till));
    };
    let key = &*caller.key;
    let mut order = Order {
        ledger,
        caller,
        limits: key.limits_of(&caller.tags),
        key,
        request_id,
        surface,
        candidates,
        asked,
        most: least(body.max_output_tokens(), key.max_output_tokens()),
        fee,
        at,
        named,
        covered: 0,
    };
    order.covered = candidates.first().map_or(0, |first| order.foreseen(first));
    let hold = order.hold(&caller.aside, body).await?;
    Ok(Bill::new(about, hold, order.covered))
}

/// What a request asks credits for.
struct Order<'a> {
    ledger: &'a Ledger,
    caller: &'a Caller,
    limits: Arc<[Limit]>,
    key: &'a AccessKey,
    request_id: &'a Arc<str>,
    surface: Surface,
    candidates: &'a [Candidate],
    /// What it orders besides text.
    asked: Asked,
    /// Tokens of the longest answer that it allows.
    most: Option<u64>,
    /// Pico-dollars per token.
    fee: u64,
    /// When it is admitted (Unix time, s).
    at: u64,
    /// Whether it has a name by which it may be sent again.
    named: bool,
    /// What the first candidate's answers are expected to have, tokens.
    covered: u64,
}

/// The longest answer of a model whose limits are not known.
const LONGEST: u64 = 32_768;

/// Searches of one request, at most, about; a container is one.
const SEARCHES: u64 = 10;

impl Order<'_> {
    async fn hold(&self, aside: &Aside, body: &RequestBody) -> Result<Hold, GatewayError> {
        let (bound, now) = (body.prompt_bound(), clock::now());
        let by = self.ledger.till.deadline(now);
        let mut asked = self.ask(bound, now, by).await;
        // The bound is many times what it is for most prompts; an exact count may fit.
        if asked
            .as_ref()
            .is_err_and(|refusal| self.depends_on_prompt(refusal))
        {
            let model = &self.candidates[0].upstream_model;
            let begun = clock::now();
            match count::before(aside, model, body, bound).await {
                Ok(exact) if exact < bound => {
                    // Whoever counts does not wait for the bank meanwhile.
                    let now = clock::now();
                    let by = by + now.saturating_duration_since(begun);
                    asked = self.ask(exact, now, by).await;
                }
                Ok(_) => {}
                // Without a count nobody knows that the credits do not cover it; the others say to come again anyway.
                Err(busy) if matches!(asked, Err(Refusal::OutOfCredits { .. })) => {
                    return Err(busy);
                }
                Err(_) => {}
            }
        }
        asked.map_err(|refusal| {
            self.ledger.refused(&refusal);
            refused(refusal, self.caller, self.at)
        })
    }

    /// Tokens that a candidate's answers will have, as far as earlier ones show.
    fn expected(&self, candidate: &Candidate) -> u64 {
        match std::ptr::eq(candidate, &self.candidates[0]) {
            true => self.covered,
            false => self.foreseen(candidate),
        }
    }

    /// The same, looked up.
    fn foreseen(&self, candidate: &Candidate) -> u64 {
        if self.surface == Surface::Embeddings {
            return 0;
        }
        let one = expected(self.ledger, self.key, candidate, self.most, self.at);
        one.saturating_mul(self.asked.answers)
    }

    /// Tokens that a candidate's answers may have at most.
    fn longest(&self, candidate: &Candidate) -> u64 {
        if self.surface == Surface::Embeddings {
            return 0;
        }
        let model = candidate.model.as_deref();
        let limit = model.and_then(|model| model.max_output_tokens.or(model.context_window));
        let one = self.most.unwrap_or(u64::MAX).min(limit.unwrap_or(LONGEST));
        one.saturating_mul(self.asked.answers)
    }

    /// What usage costs, whichever candidate serves it.
    fn dearest(&self, of: impl Fn(&Candidate) -> Usage) -> NanoUsd {
        let context = &self.asked.context;
        // Keys of one model are asked for their price once.
        let distinct = self.candidates.chunk_by(Candidate::priced_as);
        let quotes =
            distinct.filter_map(|same| quote(&same[0], &of(&same[0]), context, self.fee, self.at));
        quotes.max().unwrap_or(NanoUsd::ZERO)
    }

    /// What an answer to a prompt of this many tokens is expected to cost.
    fn estimate(&self, prompt: u64) -> NanoUsd {
        self.dearest(|candidate| Usage::tokens(prompt, self.expected(candidate)))
    }

    /// Asks for a prompt of this many tokens, and waits for the bank until `by`.
    async fn ask(&self, prompt: u64, now: Instant, by: Instant) -> Result<Hold, Refusal> {
        let prompt = prompt.saturating_add(self.asked.unseen);
        let estimate = self.estimate(prompt);
        let worst = self.dearest(|candidate| {
            let mut usage = Usage::tokens(0, self.longest(candidate));
            usage[self.asked.prompt] = prompt;
            for extra in &self.asked.extras {
                match extra.what {
                    Paid::Unit(unit @ (Unit::WebSearch | Unit::FileSearch)) => {
                        usage[unit] = SEARCHES
                    }
                    Paid::Unit(unit @ Unit::CodeContainer) => {
                        usage[unit] = self.asked.container_gb;
                    }
                    // Sound and images may be all of the answer, and of the prompt.
                    Paid::Unit(unit) if unit.is_answer() => {
                        usage[unit] = std::mem::take(&mut usage[Unit::Output]);
                    }
                    Paid::Unit(unit) => usage[unit] = std::mem::take(&mut usage[self.asked.prompt]),
                    Paid::Served(_) | Paid::Tool | Paid::Background | Paid::Kept | Paid::Route => {}
                }
            }
            usage
        });
        let first = &self.candidates[0];
        // Nobody sees what an answer in the background uses: it is charged whole.
        let blind = self
            .asked
            .extras
            .iter()
            .any(|extra| extra.what == Paid::Background);
        let ask = Ask {
            account: &self.key.account,
            access_key: &self.key.id,
            request_id: self.request_id,
            surface: self.surface,
            provider: &first.provider.id,
            model: first.known_model(),
            estimate: if blind { worst.max(estimate) } else { estimate },
            worst: worst.max(estimate),
            prompt_tokens: prompt,
            tokens: prompt.saturating_add(self.covered),
            limits: &self.limits,
            named: self.named,
        };
        self.ledger.till.admit_by(&ask, now, by).await
    }

    /// Whether fewer prompt tokens could change it: counting them is not for who has nothing left.
    fn depends_on_prompt(&self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::OutOfCredits { left, .. } => self.estimate(0) <= *left,
            Refusal::Held | Refusal::Exposed { .. } => true,
            Refusal::Limit { limit, left, .. } => {
                let measure = limit.meter.measure;
                *left > 0 && (measure.is_budget() || measure == Measure::TokensPerMinute)
            }
            Refusal::TooManyLimits | Refusal::BankAway | Refusal::JournalFull => false,
        }
    }
}
