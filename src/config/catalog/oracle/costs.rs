//! What random usage costs, by our tariffs and by theirs.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use genai_prices::{PriceRequest, UsageKey};

use super::PROVIDERS;
use crate::catalog::built_in::origins;
use crate::catalog::{Catalog, Model};
use tollgate_ledger::cost::Terms;
use tollgate_ledger::tariff::{Holds, Prices};
use tollgate_wire::report::{Context, Dimension, Unit, Usage};

/// Random usages of each model.
const EACH: usize = 24;

/// A usage of a model, and how and when it was served.
struct Case<'a> {
    provider: &'a str,
    model: &'a Model,
    usage: Usage,
    served: Context,
    at: u64,
    /// The units whose prices are from `extra-prices.tsv`.
    extra: &'a [&'static str],
}

/// Why we charge something else than the oracle.
struct Exception {
    reason: &'static str,
    covers: fn(&Case<'_>) -> bool,
}

const EXCEPTIONS: [Exception; 11] = [
    Exception {
        reason: "Anthropic's fast mode, which the oracle does not know",
        covers: |case| case.served.get(Dimension::Speed).is_some(),
    },
    Exception {
        reason: "Anthropic's inference in the US, which the oracle does not know",
        covers: |case| case.served.get(Dimension::InferenceGeo).is_some(),
    },
    Exception {
        reason: "images that OpenAI's models make by a tool, which the oracle has no price for",
        covers: |case| case.extra(&[Unit::InputImage, Unit::OutputImage]),
    },
    Exception {
        reason: "what has no price is charged at the dearest known, by the oracle as usual or not at all",
        covers: |case| case.assumed(),
    },
    Exception {
        reason: "OpenAI's containers, which the oracle has no price for",
        covers: |case| case.extra(&[Unit::CodeContainer]),
    },
    Exception {
        reason: "OpenAI's searches, which the oracle has for other models only",
        covers: |case| case.extra(&[Unit::WebSearch, Unit::FileSearch]),
    },
    Exception {
        reason: "cache writes for an hour without a price are twice input, by the oracle as those for minutes",
        covers: |case| case.usage[Unit::CacheWrite1h] > 0 && !case.prices_unit(Unit::CacheWrite1h),
    },
    Exception {
        reason: "the hours of DeepSeek's Flash hold at today's prices, on days before them as well",
        covers: |case| case.before("deepseek-v4-flash", "2026-09-10"),
    },
    Exception {
        reason: "the hours of DeepSeek's Pro hold at today's prices, on days before them as well",
        covers: |case| case.before("deepseek-v4-pro", "2026-08-17"),
    },
    Exception {
        reason: "DeepSeek's weekends, which the oracle cannot tell from other days",
        covers: |case| case.is_weekend(),
    },
    Exception {
        reason: "twelfths of a dollar are rounded to six decimals",
        covers: |case| {
            let gemini = case.model.id.starts_with("google/gemini-");
            case.provider == "openrouter" && gemini && case.usage[Unit::CacheWrite] > 0
        },
    },
];

/// The place of what must never be less than the oracle's.
const ASSUMED: usize = 3;

fn day(text: &str) -> u64 {
    match text.parse() {
        Ok(Holds::From(start)) => start,
        other => panic!("{text}: {other:?}"),
    }
}

impl Case<'_> {
    fn prices(&self) -> &Prices {
        &self.model.prices
    }

    /// Whether the model has a price for a unit, at any time and however it is served.
    fn prices_unit(&self, unit: Unit) -> bool {
        all_units(self.prices()).contains(&unit)
    }

    /// Whether there is any of these units, and its price is from `extra-prices.tsv`.
    fn extra(&self, units: &[Unit]) -> bool {
        let priced = |unit: &&Unit| self.usage[**unit] > 0 && self.extra.contains(&unit.name());
        units.iter().find(priced).is_some()
    }

    fn before(&self, model: &str, since: &str) -> bool {
        self.provider == "deepseek" && *self.model.id == *model && self.at < day(since)
    }

    fn is_weekend(&self) -> bool {
        let peaks = ["deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"];
        // Counted from a Monday.
        let weekday = (self.at / 86_400 + 3) % 7;
        self.provider == "deepseek" && peaks.contains(&&*self.model.id) && weekday >= 5
    }

    fn assumed(&self) -> bool {
        let prompt = self.usage.input();
        self.usage.units().any(|(unit, _)| {
            let found = self.prices().find(unit, &self.served, prompt, self.at);
            found.is_some_and(|found| found.assumed)
        })
    }

    /// US dollars.
    #[expect(clippy::cast_precision_loss, reason = "the oracle has floats")]
    fn ours(&self) -> f64 {
        let terms = Terms {
            prices: Some(self.prices()),
            at: self.at,
            fee: 0,
        };
        let cost = terms
            .cost(&self.usage, &self.served)
            .expect("it has prices");
        cost.0 as f64 / 1e9
    }

    fn theirs(&self) -> Option<f64> {
        let usage = translated(&self.usage);
        let provider = PROVIDERS.iter().find(|(ours, _)| *ours == self.provider)?.1;
        let mut request = PriceRequest::new(&self.model.id, &usage)
            .with_provider_id(provider)
            .with_timestamp(UNIX_EPOCH + Duration::from_secs(self.at));
        for (dimension, value) in self.served.iter() {
            request = request.with_price_context(dimension.name(), value);
        }
        match genai_prices::calculate(&request) {
            Ok(price) => Some(price.total_price),
            Err(error) if error.kind() == genai_prices::ErrorKind::ModelNotFound => None,
            Err(error) => panic!("{self}: {error}"),
        }
    }
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (usage, served, at) = (&self.usage, &self.served, self.at);
        write!(
            f,
            "{}:{} {served} at {at} {usage:?}",
            self.provider, self.model.id
        )
    }
}

/// The oracle's names: a whole contains its parts, which may overlap.
#[expect(clippy::cast_precision_loss, reason = "the oracle has floats")]
pub(super) fn translated(usage: &Usage) -> genai_prices::Usage {
    let of = |units: &[Unit]| units.iter().map(|unit| usage[*unit]).sum::<u64>() as f64;
    genai_prices::Usage::from([
        (UsageKey::INPUT_TOKENS, usage.input() as f64),
        (UsageKey::CACHE_READ_TOKENS, usage.cached_read() as f64),
        (UsageKey::CACHE_WRITE_TOKENS, usage.cache_write() as f64),
        (UsageKey::CACHE_WRITE_1H_TOKENS, of(&[Unit::CacheWrite1h])),
        (
            UsageKey::INPUT_AUDIO_TOKENS,
            of(&[Unit::InputAudio, Unit::CachedAudio]),
        ),
        (
            UsageKey::INPUT_IMAGE_TOKENS,
            of(&[Unit::InputImage, Unit::CachedImage]),
        ),
        (UsageKey::INPUT_VIDEO_TOKENS, of(&[Unit::InputVideo])),
        (UsageKey::CACHE_AUDIO_READ_TOKENS, of(&[Unit::CachedAudio])),
        (UsageKey::CACHE_IMAGE_READ_TOKENS, of(&[Unit::CachedImage])),
        (UsageKey::OUTPUT_TOKENS, usage.output() as f64),
        (UsageKey::OUTPUT_REASONING_TOKENS, of(&[Unit::Reasoning])),
        (UsageKey::OUTPUT_AUDIO_TOKENS, of(&[Unit::OutputAudio])),
        (UsageKey::OUTPUT_IMAGE_TOKENS, of(&[Unit::OutputImage])),
        (UsageKey::OUTPUT_VIDEO_TOKENS, of(&[Unit::OutputVideo])),
        (UsageKey::OUTPUT_CITATION_TOKENS, of(&[Unit::Citation])),
        (UsageKey::WEB_SEARCHES, of(&[Unit::WebSearch])),
        (UsageKey::STORAGE_SEARCHES, of(&[Unit::FileSearch])),
        (UsageKey::CODE_EXECUTIONS, of(&[Unit::CodeContainer])),
    ])
}

fn all_units(prices: &Prices) -> Vec<Unit> {
    let standard = prices.standard.iter().map(|period| &period.rates);
    let variants = prices.variants.iter().map(|variant| &variant.rates);
    let units = standard.chain(variants).flat_map(|rates| rates.iter());
    let mut units: Vec<Unit> = units.map(|(unit, _)| unit).collect();
    units.sort_unstable();
    units.dedup();
    units
}

/// The units whose prices are from pages that `sources.tsv` names, not from the reference files.
fn extra(provider: &str, model: &str) -> Vec<&'static str> {
    if !matches!(provider, "openai" | "anthropic") {
        return Vec::new();
    }
    let rows = origins(provider, model).into_iter().flatten();
    let extra = rows.filter(|(_, origin)| origin.what.starts_with("https://"));
    extra.map(|(unit, _)| unit).collect()
}

/// Numbers that look random and are the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most.max(1)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let place = self.below(of.len() as u64);
        of.get(usize::try_from(place).ok()?)
    }

    pub(super) fn often(&mut self, of_ten: u64) -> bool {
        self.below(10) < of_ten
    }

    /// Few or many, up to a million.
    fn quantity(&mut self) -> u64 {
        let digits = u32::try_from(self.below(7)).unwrap_or_default();
        self.below(10_u64.pow(digits) + 1)
    }

    fn usage(&mut self, prices: &Prices) -> Usage {
        let mut usage = Usage::default();
        for unit in all_units(prices) {
            if self.often(7) {
                usage[unit] = if unit.is_tokens() {
                    self.quantity()
                } else {
                    self.below(20)
                };
            }
        }
        // And what has no price of its own, at most once.
        if self.often(3) {
            let others = [
                Unit::CachedRead,
                Unit::CacheWrite,
                Unit::CacheWrite1h,
                Unit::Reasoning,
                Unit::InputVideo,
                Unit::InputAudio,
                Unit::WebSearch,
            ];
            let other = self.one(&others).copied().unwrap_or(Unit::Reasoning);
            usage[other] = if other.is_tokens() {
                self.quantity()
            } else {
                self.below(20)
            };
        }
        usage[Unit::Request] = 0;
        // At a tier's threshold, and one above it.
        let standard = prices.standard.iter().map(|period| &period.rates);
        let rates = standard.chain(prices.variants.iter().map(|variant| &variant.rates));
        let thresholds: Vec<u64> = rates.flat_map(|rates| rates.thresholds()).collect();
        if self.often(6)
            && let Some(above) = self.one(&thresholds).copied()
        {
            let parts = usage.input() - usage[Unit::Input];
            usage[Unit::Input] = (above + self.below(2)).saturating_sub(parts);
        }
        usage
    }

    fn served(&mut self, prices: &Prices) -> Context {
        let known: Vec<&Context> = prices
            .variants
            .iter()
            .map(|variant| &variant.when)
            .collect();
        match self.below(10) {
            0 => Context::default().with(Dimension::ServiceTier, "unheard-of"),
            1..=5 => self
                .one(&known)
                .map_or(Context::STANDARD, |when| (*when).clone()),
            _ => Context::STANDARD,
        }
    }

    /// About a day on which some price begins or ends, or at some hour.
    fn at(&mut self, prices: &Prices) -> u64 {
        let standard = prices.standard.iter().map(|period| period.holds);
        let holds = standard.chain(prices.variants.iter().map(|variant| variant.holds));
        let mut moments: Vec<u64> = vec![day("2026-11-29"), day("2027-03-01")];
        for holds in holds {
            match holds {
                Holds::From(start) => moments.extend([start - 1, start]),
                Holds::Daily(from, to, _) => {
                    for edge in [u64::from(from), u64::from(to)] {
                        moments.extend([day("2026-11-29") + edge, day("2026-11-29") + edge - 1]);
                    }
                }
                Holds::Always => {}
            }
        }
        let moment = self.one(&moments).copied().unwrap_or_default();
        match self.often(5) {
            true => moment,
            false => moment + self.below(86_400 * 30),
        }
    }
}

#[test]
fn random_usage_costs_what_the_oracle_says() {
    let catalog = Catalog::built_in();
    let mut dice = Dice(29);
    let (mut models, mut cases) = (0, 0);
    let mut differing = [0_usize; EXCEPTIONS.len()];
    let mut wrong: Vec<String> = Vec::new();
    let mut unknown = BTreeMap::<&str, usize>::new();
    for provider in catalog.providers() {
        for model in &provider.models {
            let extra = extra(&provider.id, &model.id);
            let case = |usage, served, at| Case {
                provider: &provider.id,
                model,
                usage,
                served,
                at,
                extra: &extra,
            };
            let prices = &model.prices;
            if prices.standard.is_empty() {
                *unknown.entry("without a price").or_default() += 1;
                continue;
            }
            let one = case(Usage::tokens(1, 1), Context::STANDARD, day("2026-11-29"));
            if one.theirs().is_none() {
                *unknown
                    .entry("of which the oracle does not know")
                    .or_default() += 1;
                continue;
            }
            models += 1;
            for _ in 0..EACH {
                let case = case(dice.usage(prices), dice.served(prices), dice.at(prices));
                cases += 1;
                let (ours, theirs) = (case.ours(), case.theirs().unwrap_or(f64::NAN));
                if (ours - theirs).abs() <= 5e-9 * theirs.max(1.0) {
                    continue;
                }
                match EXCEPTIONS.iter().position(|known| (known.covers)(&case)) {
                    Some(ASSUMED) if ours < theirs => {
                        wrong.push(format!("{case}: less than {theirs}: {ours}"))
                    }
                    Some(place) => differing[place] += 1,
                    None => wrong.push(format!("{case}: {ours}, the oracle {theirs}")),
                }
            }
        }
    }
    let first: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {cases}: {first:#?}", wrong.len());
    for (exception, differing) in EXCEPTIONS.iter().zip(differing) {
        assert!(differing > 0, "no exception any more: {}", exception.reason);
    }
    assert!(
        cases >= 10_000 && models >= 800,
        "{cases} usages of {models} models; {unknown:?}"
    );
}
