//! The data of genai-prices: providers with models, and rules of which ids a model answers to.
//!
//! As `.ci/catalog` reads it for the built-in prices: a model's price is that of the first entry whose rule its id
//! satisfies. What of a rule is not understood decides nothing: then the price is not known.

use fancy_regex::{Regex, RegexBuilder};

use super::json::Json;
use super::number::{Per, set};
use super::{Found, Wanted, at};
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, Variant};
use tollgate_wire::report::{Context, Dimension, Unit};

/// What our providers are called there, where that is not their id.
const PROVIDERS: [(&str, &str); 2] = [("z-ai", "zai"), ("hyperbolic", "huggingface_hyperbolic")];

/// The most rules of a feed, at the providers that are looked for.
const RULES: usize = 20_000;

/// The most levels of rules inside each other.
const DEPTH: usize = 8;

/// The longest pattern (bytes), the most steps back that one may take, and how many rules it counts for.
const PATTERN: (usize, usize, usize) = (256, 1_000, 20);

/// What is billed, by its name there. What is not here is of APIs that this gateway does not have.
const UNITS: [(&str, Unit); 18] = [
    ("input_mtok", Unit::Input),
    ("cache_read_mtok", Unit::CachedRead),
    ("cache_write_mtok", Unit::CacheWrite),
    ("cache_write_1h_mtok", Unit::CacheWrite1h),
    ("input_audio_mtok", Unit::InputAudio),
    ("input_image_mtok", Unit::InputImage),
    ("input_video_mtok", Unit::InputVideo),
    ("cache_audio_read_mtok", Unit::CachedAudio),
    ("cache_image_read_mtok", Unit::CachedImage),
    ("output_mtok", Unit::Output),
    ("output_reasoning_mtok", Unit::Reasoning),
    ("output_audio_mtok", Unit::OutputAudio),
    ("output_image_mtok", Unit::OutputImage),
    ("output_video_mtok", Unit::OutputVideo),
    ("output_citation_mtok", Unit::Citation),
    ("web_searches_kcount", Unit::WebSearch),
    ("storage_searches_kcount", Unit::FileSearch),
    ("requests_kcount", Unit::Request),
];

pub(super) fn read(text: &str, wanted: &Wanted<'_>, found: &mut Found) -> Result<(), String> {
    let mut left = RULES;
    Json::parse(text)?.elements(|provider| {
        let id = provider
            .member("id")?
            .ok_or("a provider has no `id`")?
            .text()?;
        let Some(known) = wanted.called(&id, &PROVIDERS) else {
            return Ok(());
        };
        let models = provider.member("models")?;
        let models = models.ok_or_else(|| format!("the provider {id} has no `models`"))?;
        let mut entries = Vec::new();
        models.elements(|model| {
            found.count()?;
            let rule = rule(model, &mut left);
            if left == 0 {
                return Err(format!("it has more than {RULES} rules"));
            }
            entries.push((rule, model));
            Ok(())
        })?;
        for (lower, model) in &known.models {
            let decides = |(rule, entry): &(Result<Rule, String>, Json<'_>)| match rule {
                Ok(rule) => match rule.matches(lower, model) {
                    Some(true) => Some(prices(*entry)),
                    Some(false) => None,
                    None => Some(Err("match: a pattern takes too long".to_owned())),
                },
                // It could be the one.
                Err(fault) => Some(Err(format!("match: {fault}"))),
            };
            match entries.iter().find_map(decides) {
                // It has no price in units of ours.
                Some(Ok(prices)) if prices.standard.is_empty() && prices.variants.is_empty() => {}
                Some(prices) => found.put(known.name(model), prices),
                None => {}
            }
        }
        Ok(())
    })
}

fn rule(model: Json<'_>, left: &mut usize) -> Result<Rule, String> {
    let rule = model.member("match")?.ok_or("it is missing")?;
    Rule::read(rule, left, 0)
}

/// Which ids a model answers to; case does not count, but for patterns.
enum Rule {
    Any(Vec<Rule>),
    All(Vec<Rule>),
    Equals(String),
    Starts(String),
    Ends(String),
    Contains(String),
    Pattern(Box<Regex>),
}

impl Rule {
    fn read(json: Json<'_>, left: &mut usize, depth: usize) -> Result<Rule, String> {
        *left = left.saturating_sub(1);
        if *left == 0 || depth == DEPTH {
            return Err("too many rules inside each other".to_owned());
        }
        let mut rule = None;
        json.members(|operation, argument| {
            if rule.is_some() {
                return Err("a rule has one operation".to_owned());
            }
            let lower = || argument.text().map(|text| text.to_ascii_lowercase());
            let mut list = || {
                let mut rules = Vec::new();
                argument.elements(|one| {
                    rules.push(Rule::read(one, left, depth + 1)?);
                    Ok(())
                })?;
                Ok::<_, String>(rules)
            };
            rule = Some(match operation {
                "or" => Rule::Any(list()?),
                "and" => Rule::All(list()?),
                "equals" => Rule::Equals(lower()?),
                "starts_with" => Rule::Starts(lower()?),
                "ends_with" => Rule::Ends(lower()?),
                "contains" => Rule::Contains(lower()?),
                "regex" => {
                    *left = left.saturating_sub(PATTERN.2);
                    Rule::Pattern(Box::new(pattern(&argument.text()?)?))
                }
                _ => return Err("this operation is not known".to_owned()),
            });
            Ok(())
        })?;
        rule.ok_or_else(|| "a rule has one operation".to_owned())
    }

    /// Whether an id is meant; `None` if that takes too long to say.
    fn matches(&self, lower: &str, id: &str) -> Option<bool> {
        Some(match self {
            Rule::Any(rules) => {
                for rule in rules {
                    if rule.matches(lower, id)? {
                        return Some(true);
                    }
                }
                false
            }
            Rule::All(rules) => {
                for rule in rules {
                    if !rule.matches(lower, id)? {
                        return Some(false);
                    }
                }
                true
            }
            Rule::Equals(text) => lower == text,
            Rule::Starts(text) => lower.starts_with(text),
            Rule::Ends(text) => lower.ends_with(text),
            Rule::Contains(text) => lower.contains(text),
            Rule::Pattern(pattern) => pattern.is_match(id).ok()?,
        })
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    let (longest, steps, _) = PATTERN;
    if text.len() > longest {
        return Err(format!("a pattern is longer than {longest} bytes"));
    }
    let mut builder = RegexBuilder::new(text);
    builder.backtrack_limit(steps).delegate_size_limit(1 << 20);
    builder
        .build()
        .map_err(|_| "a pattern is not understood".to_owned())
}

/// The prices of an entry; none where all are in units that are not ours.
fn prices(entry: Json<'_>) -> Result<Prices, String> {
    let mut prices = Prices::default();
    let written = entry.member("prices")?.ok_or("`prices` is missing")?;
    if written.is_list() {
        let mut place = 0;
        written.elements(|period| {
            let name = format!("prices[{place}]");
            place += 1;
            at(&name, read_period(period, &mut prices.standard))
        })?;
    } else {
        push(
            &mut prices.standard,
            Holds::Always,
            at("prices", rates(written))?,
        );
    }
    if let Some(variants) = entry.member("price_variants")? {
        let mut place = 0;
        variants.elements(|variant| {
            let name = format!("price_variants[{place}]");
            place += 1;
            at(&name, read_variant(variant, &mut prices.variants))
        })?;
    }
    Ok(prices)
}

fn read_period(period: Json<'_>, periods: &mut Vec<Period>) -> Result<(), String> {
    let inner = period.member("prices")?.ok_or("`prices` is missing")?;
    push(periods, holds(period)?, rates(inner)?);
    Ok(())
}

fn push(periods: &mut Vec<Period>, holds: Holds, rates: Rates) {
    if !rates.is_empty() {
        periods.push(Period { holds, rates });
    }
}

fn read_variant(variant: Json<'_>, variants: &mut Vec<Variant>) -> Result<(), String> {
    let mut when = Context::default();
    let conditions = variant.member("when")?.ok_or("`when` is missing")?;
    conditions.members(|name, value| {
        let dimension = Dimension::named(name).ok_or("this dimension is not known")?;
        let value = value.text()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
        if value.len() > 32 || !value.bytes().all(plain) {
            return Err("this is no value of a dimension".to_owned());
        }
        when.set(dimension, &value);
        Ok(())
    })?;
    let inner = variant.member("prices")?.ok_or("`prices` is missing")?;
    let (holds, rates) = (holds(variant)?, rates(inner)?);
    if !when.is_standard() && !rates.is_empty() {
        variants.push(Variant { when, holds, rates });
    }
    Ok(())
}

fn rates(prices: Json<'_>) -> Result<Rates, String> {
    let mut rates = Rates::default();
    prices.members(|name, price| {
        let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == name) else {
            return Ok(());
        };
        let (unit, per) = (*unit, Per::listed(*unit));
        if price.is_null() {
            return Ok(());
        }
        if !price.is_object() {
            return set(&mut rates, unit, None, price, per);
        }
        let base = price.member("base")?.ok_or("`base` is missing")?;
        at("base", set(&mut rates, unit, None, base, per))?;
        let Some(tiers) = price.member("tiers")? else {
            return Ok(());
        };
        tiers.elements(|tier| {
            let start = tier
                .member("start")?
                .ok_or("a tier has no `start`")?
                .whole()?;
            let price = tier.member("price")?.ok_or("a tier has no `price`")?;
            at("tiers", set(&mut rates, unit, Some(start), price, per))
        })
    })?;
    Ok(rates)
}

/// When a price holds: from a day on, or at some hours, whose seconds and time zone (UTC) are cut off.
fn holds(of: Json<'_>) -> Result<Holds, String> {
    let Some(constraint) = of.member("constraint")? else {
        return Ok(Holds::Always);
    };
    let (mut day, mut from, mut to) = (None, None, None);
    let read = constraint.members(|name, value| {
        let slot = match name {
            "start_date" => &mut day,
            "start_time" => &mut from,
            "end_time" => &mut to,
            _ => return Err("this constraint is not known".to_owned()),
        };
        *slot = Some(value.text()?);
        Ok(())
    });
    at("constraint", read)?;
    let minutes = |time: String| time.get(..5).unwrap_or_default().to_owned();
    let text = match (day, from, to) {
        (Some(day), None, None) => day,
        (None, Some(from), Some(to)) => format!("{}-{}", minutes(from), minutes(to)),
        _ => return Err("constraint: it is neither a day nor two times".to_owned()),
    };
    match at("constraint", text.parse())? {
        Holds::Always => Err("constraint: it says nothing".to_owned()),
        holds => Ok(holds),
    }
}
