//! What configurations, providers and access keys say, as it is stored: the members are called as in the YAML, and
//! are types of their own, because the YAML refuses what it does not know.
//!
//! Invariant: no member is ever renamed, and none changes its type; a new one is absent or `null` until somebody sets
//! it. So every version reads what the one before and the one after write.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

mod steps;

pub(crate) use steps::{Step, StepKind};

pub(crate) use super::form::Form;
use super::form::forms;
use super::newer::{Open, Rest};
use tollgate_config::catalog::{Auth, Effort, ErrorRule, Modality, Thoughts, Vendor};
use tollgate_config::types;
use tollgate_config::types::{Commit, Per, Priority, StopOn, UnitPrices, Weekday, Zone};
use tollgate_config::units::{Span, Usd};
use tollgate_wire::Surface;

forms! {
    /// What a configuration says.
    Configuration = types::Configuration {
        id: String,
        name: Option<String>,
        access: Access,
        router: Router,
        failover: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_hints: Option<bool>,
        #[serde(skip_serializing_if = "Retry::says_nothing")]
        retry: Retry,
        #[serde(skip_serializing_if = "Option::is_none")]
        hedge: Option<Hedge>,
        #[serde(skip_serializing_if = "Option::is_none")]
        commit: Option<Open<Commit>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        stop_on: Vec<Open<StopOn>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<Open<Priority>>,
        #[serde(skip_serializing_if = "Idempotency::says_nothing")]
        idempotency: Idempotency,
        timeouts: Timeouts,
        limits: Limits,
    }

    /// Allow lists.
    Access = types::Access {
        providers: AllowList,
        models: AllowList,
        #[serde(skip_serializing_if = "AllowList::says_nothing")]
        options: AllowList,
        #[serde(skip_serializing_if = "AllowList::says_nothing")]
        tags: AllowList,
    }

    /// A list of what is allowed.
    AllowList = types::AllowList {
        allow: Option<Vec<String>>,
    }

    /// Which credentials serve.
    Router = types::Router {
        rules: Vec<Rule>,
    }

    /// A routing rule. One that is for neither is for something else, and matches nothing here. One without steps that
    /// are known serves nothing: its credentials are not replaced by others.
    Rule = types::Rule {
        provider: Option<String>,
        model: Option<String>,
        steps: Vec<Step>,
    }

    /// Whether a candidate is tried again.
    Retry = types::Retry {
        same: Option<u32>,
        most: Option<Span>,
    }

    /// When the next candidate is begun beside one that is slow to answer.
    Hedge = types::Hedge {
        at_least: Option<Span>,
        budget_percent: Option<u32>,
    }

    /// Which requests that are sent again are answered again.
    Idempotency = types::Idempotency {
        store: Option<Span>,
        join_retries: Option<bool>,
    }

    /// How long things may take.
    Timeouts = types::Timeouts {
        per_request: Option<Span>,
        #[serde(skip_serializing_if = "Option::is_none")]
        whole_answer: Option<Span>,
        total: Option<Span>,
        stream_idle: Option<Span>,
        hold: Option<Span>,
        keepalive: Option<Span>,
        #[serde(skip_serializing_if = "Option::is_none")]
        queue: Option<Span>,
    }

    /// What a configuration limits.
    Limits = types::Limits {
        max_input_tokens: Option<u64>,
        max_output_tokens: Option<u64>,
        requests_per_minute: Option<u64>,
        tokens_per_minute: Option<u64>,
        concurrent_requests: Option<u64>,
        budget: Budgets,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        tags: BTreeMap<String, Budgets>,
    }

    /// What an access key limits.
    RateLimits = types::RateLimits {
        requests_per_minute: Option<u64>,
        tokens_per_minute: Option<u64>,
        concurrent_requests: Option<u64>,
        budget: Budgets,
    }

    /// What may be charged in a time.
    Budget = types::Budget {
        usd: Option<Usd>,
        per: Option<Open<Per>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time_zone: Option<Open<Zone>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        week_starts: Option<Open<Weekday>>,
    }

    /// What a custom provider is; its keys are resources of their own.
    Provider = types::Provider {
        id: String,
        display_name: Option<String>,
        base_url: Option<String>,
        auth: Option<Open<Auth>>,
        surfaces: Option<Vec<Open<Surface>>>,
        headers: BTreeMap<String, Open<String>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        forward_headers: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        error_rules: Vec<Open<ErrorRule>>,
        ca: Option<PathBuf>,
        passthrough: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        vendor: Option<Open<Vendor>>,
        chat_extensions: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        websocket: Option<bool>,
        unsupported_parameters: Vec<String>,
        timeouts: Timeouts,
        models: Vec<Model>,
    }

    /// A model. One whose surfaces are all unknown is not in this gateway's catalog.
    Model = types::Model, if is_offered {
        id: String,
        display_name: Option<String>,
        aliases: Vec<String>,
        context_window: Option<u64>,
        max_output_tokens: Option<u64>,
        modalities: Option<Vec<Open<Modality>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        capabilities: Option<Capabilities>,
        prices: Option<Prices>,
        surfaces: Option<Vec<Open<Surface>>>,
        unsupported_parameters: Vec<String>,
        timeouts: Timeouts,
    }

    /// What a model can do and takes. A word that is not known here says nothing.
    Capabilities = types::Capabilities {
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        toggle: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        efforts: Option<Vec<Open<Effort>>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thoughts: Option<Open<Thoughts>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        temperature: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        structured_output: Option<bool>,
    }

    /// What a model costs. With a tier, a variant or a period that is not understood, all of it is unknown, which is never zero: credits do
    /// not pay for the model then. A price of something else is a price that this gateway never asks for.
    Prices = types::Prices, if are_understood {
        #[serde(flatten)]
        units: UnitPrices,
        tiers: Vec<PriceTier>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        variants: Vec<PriceVariant>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        periods: Vec<PricePeriod>,
    }

    /// Prices of long prompts.
    PriceTier = types::PriceTier {
        above: Option<u64>,
        #[serde(flatten)]
        units: UnitPrices,
    }

    /// Prices of what is served otherwise.
    PriceVariant = types::PriceVariant {
        when: BTreeMap<String, String>,
        prices: Prices,
    }

    /// Prices that do not hold always.
    PricePeriod = types::PricePeriod {
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        daily: Option<String>,
        prices: Prices,
    }
}

impl Configuration {
    /// Whether this gateway knows all that it forbids. If not, it must not serve: an unknown limit would be none.
    pub(crate) fn is_understood(&self) -> bool {
        let Access {
            providers,
            models,
            options,
            tags,
            rest,
        } = &self.access;
        let lists = [providers, models, options, tags].map(|list| &list.rest);
        rest.is_silent()
            && lists.into_iter().all(Rest::is_silent)
            && self.limits.rates().are_understood()
            && self.limits.tags.values().all(Budgets::are_understood)
    }
}

impl Retry {
    fn says_nothing(&self) -> bool {
        *self == Retry::default()
    }
}

impl Idempotency {
    fn says_nothing(&self) -> bool {
        *self == Idempotency::default()
    }
}

impl AllowList {
    fn says_nothing(&self) -> bool {
        *self == AllowList::default()
    }
}

impl Limits {
    /// The part that is counted over time.
    pub(crate) fn rates(&self) -> RateLimits {
        RateLimits {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            concurrent_requests: self.concurrent_requests,
            budget: self.budget.clone(),
            rest: self.rest.clone(),
        }
    }
}

impl RateLimits {
    /// Whether this gateway knows all of them. If not, it must not serve: an unknown limit would be none.
    pub(crate) fn are_understood(&self) -> bool {
        self.rest.is_silent() && self.budget.are_understood()
    }
}

impl Provider {
    /// Whether this gateway knows how to call it: how the key travels, and one of its surfaces.
    pub(crate) fn is_callable(&self) -> bool {
        !matches!(self.auth, Some(Open::Newer(_))) && is_offered(self.surfaces.as_deref())
    }

    /// What a catalog is made of. One that is not callable has the surface that nobody has to name, because a catalog
    /// wants one: it is to be taken away again.
    pub(crate) fn laid(&self) -> types::Provider {
        let mut laid = self.read().unwrap_or_default();
        if !self.is_callable() {
            laid.surfaces = None;
            let models = laid.models.iter_mut();
            models.for_each(|model| model.surfaces = None);
        }
        laid
    }
}

impl Model {
    fn is_offered(&self) -> bool {
        is_offered(self.surfaces.as_deref())
    }
}

fn is_offered(surfaces: Option<&[Open<Surface>]>) -> bool {
    surfaces.is_none_or(|all| all.is_empty() || all.iter().any(|one| one.known().is_some()))
}

impl Prices {
    fn are_understood(&self) -> bool {
        let mut tiers = self.tiers.iter();
        let inner = self
            .variants
            .iter()
            .map(|variant| (&variant.prices, &variant.rest));
        let inner = inner.chain(
            self.periods
                .iter()
                .map(|period| (&period.prices, &period.rest)),
        );
        tiers.all(|tier| tier.above.is_some() && tier.rest.is_silent())
            && inner
                .into_iter()
                .all(|(prices, rest)| prices.are_understood() && rest.is_silent())
    }
}

/// A tier's threshold; one without is not understood.
impl Form<u64> for Option<u64> {
    fn of(yaml: &u64) -> Self {
        Some(*yaml)
    }

    fn read(&self) -> Option<u64> {
        *self
    }
}

/// One budget, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Budgets {
    /// Several.
    List(Vec<Budget>),
    /// One.
    One(Box<Budget>),
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets::List(Vec::new())
    }
}

impl Budgets {
    /// All of them.
    pub(crate) fn list(&self) -> &[Budget] {
        match self {
            Budgets::List(list) => list,
            Budgets::One(budget) => std::slice::from_ref(budget),
        }
    }

    fn are_understood(&self) -> bool {
        let known = |budget: &Budget| {
            matches!(budget.per, Some(Open::Known(_)))
                && !matches!(budget.time_zone, Some(Open::Newer(_)))
                && !matches!(budget.week_starts, Some(Open::Newer(_)))
        };
        let mut all = self.list().iter();
        all.all(|budget| budget.usd.is_some() && known(budget) && budget.rest.is_silent())
    }
}

impl Form<types::Budgets> for Budgets {
    fn of(yaml: &types::Budgets) -> Self {
        Budgets::List(yaml.list().iter().map(Budget::of).collect())
    }

    fn read(&self) -> Option<types::Budgets> {
        let all = self.list().iter().filter_map(Budget::read);
        Some(types::Budgets::List(all.collect()))
    }
}
