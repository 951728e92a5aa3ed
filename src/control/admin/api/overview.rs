//! Usage by day, or by the hour.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::credits::bank_error;
use super::resource::time;
use super::usage::{TAG, page_error, window};
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Query;
use crate::admin::operation::{Needs, Operation, get};
use tollgate_config::catalog::Catalog;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Day, Rollup};
use tollgate_ledger::cost::cache_savings;
use tollgate_ledger::events::dollars;
use tollgate_ledger::events::totals::{Hours, by_hour};
use tollgate_wire::tags::{LONGEST_NAME, is_name};

const DAY_MS: u64 = 86_400_000;
/// Nanoseconds.
const HOUR: i128 = 3_600_000_000_000;
/// Most hours of a window by the hour.
const HOURS: i128 = 48;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/usage/overview", "GetAIGatewayUsageOverview")
            .tag(&TAG)
            .summary("AI Gateway usage overview")
            .description(
                "Daily cost, requests and errors, and their totals. Days are UTC, and count whole: the day that \
                 `startTime` is in and the day that `endTime` is in, too (of an `endTime` at midnight, the day before). \
                 Days are kept for ever, also when their events are gone. With `interval=hour`, the same by the hour, of 48 \
                 hours at most, as the events tell it: if there are more than 50,000, only the last hours are told, and \
                 `toldFrom` says from when. With `interval=total`, one bucket each for the whole window. \
                 By the values of a tag, days and all of the window \
                 are told, of the tags that configurations list: 1,000 values a day, then `other`; what had no such tag \
                 is in buckets without a key.",
            )
            .needs(Needs::Usage)
            .errors(&[Code::NotImplemented])
            .handler(overview),
    ]
}

/// Usage by day or by the hour, and in all.
#[derive(Debug, Serialize, JsonSchema)]
struct AIGatewayUsageOverview {
    /// URI of this overview resource.
    uri: String,
    /// Series ordered by day, or hour, then group key.
    buckets: Vec<AIGatewayUsageOverviewBucket>,
    totals: AIGatewayUsageOverviewTotals,
    /// The first hour that is told, if there are more events than can be added up by the hour.
    #[serde(rename = "toldFrom", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    told_from: Option<String>,
}

/// One day, or hour, of one provider, access key, model or value of a tag.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AIGatewayUsageOverviewBucket {
    /// Start of the UTC day, or hour; with `interval=total` of the first day.
    #[schemars(extend("format" = "date-time"))]
    bucket_start: String,
    /// Provider ID, access key ID, `provider:model` or the value of a tag, depending on groupBy. Empty for what had no such
    /// tag.
    group_key: String,
    /// Cost in US dollars as a decimal string, summed over all attempts.
    cost: String,
    /// Final-attempt request count.
    requests: u64,
    /// Errored final-attempt count.
    errors: u64,
    #[serde(flatten)]
    tokens: Option<Tokens>,
}

/// What `extended=true` adds: tokens of final attempts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    /// Input tokens, cached ones included. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    /// Of them, those read from a provider's cache. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_tokens: Option<u64>,
    /// Output tokens, reasoning included. Only with `extended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    /// What tokens read from providers' caches saved, less what those written to them cost more, in US dollars as a decimal
    /// string: at the standard prices of each day, of the models whose prices are known. Only with `extended`, and not by
    /// the values of a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_savings: Option<String>,
}

/// All buckets together; the cost is exact before it is rounded to five places.
#[derive(Debug, Serialize, JsonSchema)]
struct AIGatewayUsageOverviewTotals {
    /// Total cost over the window in US dollars as a decimal string.
    cost: String,
    /// Total final-attempt request count over the window.
    requests: u64,
    /// Total errored final-attempt count over the window.
    errors: u64,
    #[serde(flatten)]
    tokens: Option<Tokens>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OverviewQuery {
    /// Start of the window as an RFC3339 timestamp. Inclusive.
    #[schemars(extend("format" = "date-time"))]
    start_time: String,
    /// End of the window as an RFC3339 timestamp. Defaults to now.
    #[schemars(extend("format" = "date-time"))]
    end_time: Option<String>,
    /// Dimension to break the series down by; a tag by its name, as in `tag:customer`. Defaults to provider.
    group_by: Option<GroupBy>,
    /// How long a bucket is; `total` is all of the window. Defaults to day.
    interval: Option<Interval>,
    /// When true, buckets and totals have tokens, too. Defaults to false.
    extended: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum GroupBy {
    #[default]
    Provider,
    AccessKey,
    Model,
    /// The values of the tag with this name.
    Tag(String),
}

/// What the name of a tag has in front.
const OF_TAG: &str = "tag:";

impl TryFrom<String> for GroupBy {
    type Error = &'static str;

    fn try_from(text: String) -> Result<GroupBy, Self::Error> {
        match (&*text, text.strip_prefix(OF_TAG)) {
            ("provider", _) => Ok(GroupBy::Provider),
            ("accessKey", _) => Ok(GroupBy::AccessKey),
            ("model", _) => Ok(GroupBy::Model),
            (_, Some(name)) if is_name(name) => Ok(GroupBy::Tag(name.to_owned())),
            _ => Err("not one of provider, accessKey, model and tag:<name>"),
        }
    }
}

impl GroupBy {
    /// Returns the name of the tag by whose values it is.
    fn tag(&self) -> Option<&str> {
        match self {
            GroupBy::Tag(name) => Some(name),
            _ => None,
        }
    }
}

impl JsonSchema for GroupBy {
    fn schema_name() -> Cow<'static, str> {
        "GroupBy".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "anyOf": [
                {"enum": ["provider", "accessKey", "model"]},
                {"pattern": format!("^{OF_TAG}[a-z0-9_.-]{{1,{LONGEST_NAME}}}$")},
            ],
            "patternErrorMessage": "must be one of provider, accessKey, model, or a tag as in tag:customer",
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
enum Interval {
    #[default]
    Day,
    Hour,
    Total,
}

/// What was used in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    cost: NanoUsd,
    requests: u64,
    errors: u64,
    input: u64,
    cached_read: u64,
    output: u64,
    saved: NanoUsd,
}

impl Total {
    fn add(&mut self, rollup: &Rollup, saved: NanoUsd) {
        self.cost += rollup.cost;
        self.requests = self.requests.saturating_add(rollup.requests);
        self.errors = self.errors.saturating_add(rollup.failed);
        self.input = self.input.saturating_add(rollup.input);
        self.cached_read = self.cached_read.saturating_add(rollup.cached_read);
        self.output = self.output.saturating_add(rollup.output);
        self.saved = NanoUsd(self.saved.0.saturating_add(saved.0));
    }

    /// Leaves what is not a part, as far as there is any.
    fn subtract(&mut self, part: &Total) {
        self.cost = (self.cost - part.cost).or_zero();
        self.requests = self.requests.saturating_sub(part.requests);
        self.errors = self.errors.saturating_sub(part.errors);
        self.input = self.input.saturating_sub(part.input);
        self.cached_read = self.cached_read.saturating_sub(part.cached_read);
        self.output = self.output.saturating_sub(part.output);
    }

    fn tokens(&self, saved: bool) -> Tokens {
        Tokens {
            input_tokens: Some(self.input),
            cache_read_tokens: Some(self.cached_read),
            output_tokens: Some(self.output),
            cache_savings: saved.then(|| dollars(self.saved.0)),
        }
    }
}

async fn overview(
    context: Context,
    Query(query): Query<OverviewQuery>,
) -> Result<AIGatewayUsageOverview, ApiError> {
    let bank = context.ledger()?;
    let (start, end) = window(&query.start_time, query.end_time.as_deref())?;
    let interval = query.interval.unwrap_or_default();
    let by = query.group_by.unwrap_or_default();
    let (tag, by_key) = (by.tag().map(str::to_owned), by == GroupBy::AccessKey);
    if tag.is_some() && interval == Interval::Hour {
        let why = "must be day or total where groupBy is a tag: values are added up by day";
        return Err(ApiError::invalid("interval", why));
    }
    let extended = query.extended == Some(true);
    let catalog = extended.then(|| context.state.catalog());
    let mut sums = Sums::new(by, catalog.as_deref());
    let told_from = match interval {
        Interval::Day | Interval::Total => {
            let (first, last) = whole_days(start, end);
            let begun = |day: Day| match interval {
                Interval::Total => u64::from(first.0) * DAY_MS,
                _ => u64::from(day.0) * DAY_MS,
            };
            if let Some(last) = last {
                let account = &context.account;
                let all = match by_key {
                    true => bank.rollups(account, first, last).await,
                    false => bank.rollups_by_model(account, first, last).await,
                };
                for rollup in all.map_err(bank_error)? {
                    sums.add(begun(rollup.day), &rollup);
                }
                if let Some(name) = &tag {
                    let parts = bank.tag_rollups(account, name, first, last).await;
                    for part in parts.map_err(bank_error)? {
                        sums.divide(begun(part.day), &part);
                    }
                }
            }
            None
        }
        Interval::Hour => {
            if end - start > HOURS * HOUR {
                let why = "must be at most 48 hours before endTime, with interval=hour";
                return Err(ApiError::invalid("startTime", why));
            }
            let ms = |nanos: i128| u64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(0);
            let (first, last) = (ms(start), ms(end));
            let hours = by_hour(&*bank, &context.account, first, last, by_key).await;
            let Hours { used, from_ms } = hours.map_err(page_error)?;
            used.iter()
                .for_each(|(begun, rollup)| sums.add(*begun, rollup));
            from_ms
        }
    };
    Ok(sums.divided().shown(context.here(), told_from))
}

/// When a bucket begins (Unix time, ms), and what it is of: a provider, an access key or the value of a tag, or a provider and a
/// model.
type Group = (u64, [Arc<str>; 2]);

/// What is added up.
struct Sums<'a> {
    by: GroupBy,
    /// Whose prices say what caches saved, if that and tokens are told.
    catalog: Option<&'a Catalog>,
    none: Arc<str>,
    buckets: HashMap<Group, Total>,
    total: Total,
}

impl<'a> Sums<'a> {
    fn new(by: GroupBy, catalog: Option<&'a Catalog>) -> Sums<'a> {
        Sums {
            by,
            catalog,
            none: "".into(),
            buckets: HashMap::new(),
            total: Total::default(),
        }
    }

    /// Adds what was used, to the bucket that begins at this time.
    fn add(&mut self, begun: u64, rollup: &Rollup) {
        let group = match &self.by {
            GroupBy::Provider => [&rollup.provider, &self.none],
            GroupBy::AccessKey => [&rollup.access_key, &self.none],
            GroupBy::Model => [&rollup.provider, &rollup.model],
            GroupBy::Tag(_) => [&self.none, &self.none],
        };
        let saved = self.catalog.map(|catalog| saved(catalog, rollup));
        let saved = saved.unwrap_or_default();
        self.total.add(rollup, saved);
        let bucket = self.buckets.entry((begun, group.map(Arc::clone)));
        bucket.or_default().add(rollup, saved);
    }

    /// Divides the bucket that begins at this time: so much of it has a value of the tag.
    fn divide(&mut self, begun: u64, part: &Rollup) {
        let value = part.tag.split_once('=').map_or("", |(_, value)| value);
        let of = |value: Arc<str>| (begun, [value, self.none.clone()]);
        let (rest, own) = (of(self.none.clone()), of(value.into()));
        let mut used = Total::default();
        used.add(part, NanoUsd::ZERO);
        if let Some(rest) = self.buckets.get_mut(&rest) {
            rest.subtract(&used);
        }
        let bucket = self.buckets.entry(own).or_default();
        bucket.add(part, NanoUsd::ZERO);
    }

    /// Leaves out what had no such tag, where that is nothing.
    fn divided(mut self) -> Sums<'a> {
        if self.by.tag().is_some() {
            self.buckets.retain(|(_, [value, _]), total| {
                !value.is_empty() || total.requests > 0 || total.cost > NanoUsd::ZERO
            });
        }
        self
    }

    fn shown(self, uri: String, told_from: Option<u64>) -> AIGatewayUsageOverview {
        let extended = self.catalog.is_some();
        let Sums {
            by, buckets, total, ..
        } = self;
        let bucket =
            |((begun, [group, model]), total): (Group, Total)| AIGatewayUsageOverviewBucket {
                bucket_start: time(begun),
                group_key: match by {
                    GroupBy::Model => format!("{group}:{model}"),
                    _ => group.to_string(),
                },
                cost: dollars(total.cost.0),
                requests: total.requests,
                errors: total.errors,
                tokens: extended.then(|| total.tokens(by.tag().is_none())),
            };
        let mut buckets: Vec<_> = buckets.into_iter().collect();
        buckets.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        AIGatewayUsageOverview {
            uri,
            buckets: buckets.into_iter().map(bucket).collect(),
            totals: AIGatewayUsageOverviewTotals {
                cost: dollars(total.cost.0),
                requests: total.requests,
                errors: total.errors,
                tokens: extended.then(|| total.tokens(true)),
            },
            told_from: told_from.map(time),
        }
    }
}

/// What providers' caches saved; nothing where the model's prices are not known.
fn saved(catalog: &Catalog, rollup: &Rollup) -> NanoUsd {
    let provider = catalog.provider(&rollup.provider);
    let model = provider.and_then(|provider| provider.model(&rollup.model));
    let saved = model.and_then(|model| {
        let at = u64::from(rollup.day.0) * 86_400;
        cache_savings(&model.prices, rollup.cached_read, rollup.cache_write, at)
    });
    saved.unwrap_or_default()
}

/// The days that a window of time (nanoseconds) touches, both included; the last is `None` if it is before 1970.
fn whole_days(start: i128, end: i128) -> (Day, Option<Day>) {
    let day = |nanos: i128| u32::try_from(nanos.div_euclid(24 * HOUR)).ok().map(Day);
    // A window that ends with a day does not touch the next one.
    let last = if end > start { end - 1 } else { end };
    (day(start.max(0)).unwrap_or_default(), day(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_base::time::instant;

    #[test]
    fn windows_touch_whole_days() {
        for (start, end, days) in [
            ("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z", (0, Some(0))),
            ("1970-01-01T23:00:00Z", "1970-01-02T00:00:01Z", (0, Some(1))),
            ("1970-01-03T00:00:00Z", "1970-01-03T00:00:00Z", (2, Some(2))),
            (
                "1970-01-02T00:00:00+01:00",
                "1970-01-02T12:00:00Z",
                (0, Some(1)),
            ),
            ("1960-01-01T00:00:00Z", "1970-01-02T12:00:00Z", (0, Some(1))),
            ("1960-01-01T00:00:00Z", "1961-01-02T12:00:00Z", (0, None)),
        ] {
            let (start_ns, end_ns) = (instant(start).unwrap(), instant(end).unwrap());
            let (first, last) = whole_days(start_ns, end_ns);
            assert_eq!((first.0, last.map(|day| day.0)), days, "{start} to {end}");
        }
    }
}
