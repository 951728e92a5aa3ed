//! What a gateway says at one moment, and what happened between two.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_base::clock;

use crate::cli::resources::call::{Answer, Client};
use crate::cli::samples::{Sample, samples};
use crate::cli::table;

/// The shortest time that a rate is told of.
const SHORTEST: Duration = Duration::from_millis(1);

/// One reading.
pub struct Look {
    /// When it began.
    pub at: Instant,
    /// Unix time, s.
    time: u64,
    /// What `/readyz` says, if it is not ready.
    unready: Option<String>,
    metrics: String,
    /// Today's usage by access key.
    usage: Option<Value>,
    /// Why there is no such usage.
    without: Option<String>,
}

impl Look {
    /// Asks the gateway.
    ///
    /// # Errors
    /// When it cannot be reached, or does not tell its metrics.
    pub fn take(client: &Client) -> Result<Look, String> {
        let (at, time) = (clock::now(), clock::unix().as_secs());
        let (status, metrics) = client.text("/metrics")?;
        if !status.is_success() {
            return Err(format!(
                "{} answers {status} to /metrics: set TOLLGATE_ADMIN_KEY, or give --key, of any role for all accounts",
                client.url()
            ));
        }
        let (status, words) = client.text("/readyz")?;
        let (usage, without) = if client.has_key() {
            let query = [
                ("startTime", format!("{}T00:00:00Z", table::date(time))),
                ("groupBy", "accessKey".to_owned()),
                ("extended", "true".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value));
            match client.call("GET", "/usage/overview", None, &query, None) {
                Ok(Answer::Value(usage)) => (Some(usage), None),
                Ok(Answer::Refused(words)) => (None, Some(words)),
                Ok(Answer::Nothing) => (None, None),
                Err(words) => return Err(words),
            }
        } else {
            let words = "set TOLLGATE_ADMIN_KEY, or give --key, to see access keys";
            (None, Some(words.to_owned()))
        };
        Ok(Look {
            at,
            time,
            unready: (!status.is_success()).then_some(words),
            metrics,
            usage,
            without,
        })
    }
}

/// The metrics of two readings.
struct Both<'t> {
    first: Vec<Sample<'t>>,
    second: Vec<Sample<'t>>,
    seconds: f64,
}

impl Both<'_> {
    /// What a metric is now, added up over the samples that are meant; `None` if the gateway has none of them.
    fn now(&self, name: &str, meant: impl Fn(&Sample<'_>) -> bool) -> Option<f64> {
        sum(&self.second, name, meant)
    }

    /// By how much a counter has grown. One that is less than before has begun anew, with its process.
    fn grown(&self, name: &str, meant: impl Fn(&Sample<'_>) -> bool) -> f64 {
        let now = sum(&self.second, name, &meant).unwrap_or_default();
        let before = sum(&self.first, name, &meant).unwrap_or_default();
        if now < before { now } else { now - before }
    }

    /// The same each second.
    fn rate(&self, name: &str, meant: impl Fn(&Sample<'_>) -> bool) -> f64 {
        self.grown(name, meant) / self.seconds
    }

    /// Below which value (ms) this share of what a histogram of seconds has seen between the readings is; by the line
    /// between the bounds of its bucket, as Prometheus has it. `None` if it has seen nothing.
    fn quantile(&self, name: &str, share: f64, meant: impl Fn(&Sample<'_>) -> bool) -> Option<f64> {
        let series = format!("{name}_bucket");
        let bounds: BTreeSet<&str> = self
            .second
            .iter()
            .filter(|sample| sample.name == series)
            .map(|sample| sample.label("le"))
            .collect();
        let mut buckets: Vec<(f64, f64)> = bounds
            .into_iter()
            .filter_map(|bound| {
                let here = |sample: &Sample<'_>| sample.label("le") == bound && meant(sample);
                Some((bound.parse().ok()?, self.grown(&series, here)))
            })
            .collect();
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let all = buckets
            .last()
            .map(|(_, count)| *count)
            .filter(|all| *all > 0.0)?;
        let wanted = all * share;
        let (mut below, mut counted) = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= wanted {
                let part = (wanted - counted) / (count - counted).max(f64::MIN_POSITIVE);
                let seconds = if bound.is_finite() {
                    below + (bound - below) * part
                } else {
                    below
                };
                return Some(seconds * 1000.0);
            }
            (below, counted) = (bound, count);
        }
        None
    }

    fn percentiles(&self, name: &str, meant: impl Fn(&Sample<'_>) -> bool) -> Value {
        json!({
            "medianMs": self.quantile(name, 0.5, &meant),
            "p95Ms": self.quantile(name, 0.95, &meant),
        })
    }
}

fn sum(samples: &[Sample<'_>], name: &str, meant: impl Fn(&Sample<'_>) -> bool) -> Option<f64> {
    samples
        .iter()
        .filter(|sample| sample.name == name && meant(sample))
        .map(|sample| sample.value)
        .reduce(|one, other| one + other)
}

/// What is seen with two readings, as `--json` prints it: rates a second between them, and what is now. What the gateway does
/// not say is `null`.
pub fn compare(first: &Look, second: &Look) -> Value {
    let both = Both {
        first: samples(&first.metrics),
        second: samples(&second.metrics),
        seconds: (second.at - first.at).max(SHORTEST).as_secs_f64(),
    };
    let all = |_: &Sample<'_>| true;
    let status = |class: &'static str| move |sample: &Sample<'_>| sample.label("status") == class;
    let kind = |kind: &'static str| move |sample: &Sample<'_>| sample.label("kind") == kind;
    let credits = |term: &'static str| {
        both.now("tollgate_ledger_credits_usd", move |sample| {
            sample.label("term") == term
        })
    };
    let version = both
        .second
        .iter()
        .find(|sample| sample.name == "tollgate_build_info")
        .map(|sample| sample.label("version"));
    let usage = second.usage.as_ref();
    json!({
        "time": table::time(second.time),
        "seconds": both.seconds,
        "version": version,
        "unready": second.unready,
        "requests": {
            "perSecond": both.rate("tollgate_requests_total", all),
            "clientErrorsPerSecond": both.rate("tollgate_requests_total", status("4xx")),
            "serverErrorsPerSecond": both.rate("tollgate_requests_total", status("5xx")),
            "underWay": both.now("tollgate_requests_in_flight", all),
            "websockets": both.now("tollgate_websockets_open", all),
        },
        "latency": both.percentiles("tollgate_request_duration_seconds", all),
        "firstToken": both.percentiles("tollgate_time_to_first_token_seconds", all),
        "tokens": {
            "inputPerSecond": both.rate("tollgate_tokens_total", kind("input")),
            "outputPerSecond": both.rate("tollgate_tokens_total", kind("output")),
        },
        "money": {
            "usdPerMinute": both.rate("tollgate_cost_usd_total", all) * 60.0,
            "usdToday": usage.map(|usage| usage["totals"]["cost"].clone()),
            "freeUsd": credits("free"),
            "lentUsd": credits("floats"),
            "heldUsd": credits("held"),
            "holds": both.now("tollgate_ledger_holds", all),
        },
        "providers": providers(&both),
        "accessKeys": usage.map(|usage| access_keys(first.usage.as_ref(), usage, both.seconds)),
        "withoutAccessKeys": second.without,
        "notes": notes(&both),
    })
}

/// Those that were asked since the gateway's start, or have something to say; the busiest first.
fn providers(both: &Both<'_>) -> Vec<Value> {
    let names: BTreeSet<&str> = both
        .second
        .iter()
        .filter(|sample| match sample.name {
            "tollgate_attempts_total" | "tollgate_keys_cooling" => sample.value > 0.0,
            "tollgate_breaker_state" => sample.value > 0.0 && sample.label("state") != "closed",
            _ => false,
        })
        .map(|sample| sample.label("provider"))
        .collect();
    let mut rows: Vec<(f64, Value)> = names
        .into_iter()
        .map(|name| {
            let its = |sample: &Sample<'_>| sample.label("provider") == name;
            let rate = both.rate("tollgate_attempts_total", its);
            let failed = both.rate("tollgate_attempts_total", |sample| {
                its(sample) && sample.label("outcome") != "ok"
            });
            let state = both.second.iter().find(|sample| {
                sample.name == "tollgate_breaker_state" && its(sample) && sample.value > 0.0
            });
            let row = json!({
                "provider": name,
                "breaker": state.map(|sample| sample.label("state")),
                "attemptsPerSecond": rate,
                "failedPerSecond": failed,
                "latency": both.percentiles("tollgate_request_duration_seconds", its),
                "keysCooling": both.now("tollgate_keys_cooling", its),
                "outputTokensPerSecond": both.rate("tollgate_tokens_total", |sample| {
                    its(sample) && sample.label("kind") == "output"
                }),
                "usdPerMinute": both.rate("tollgate_cost_usd_total", its) * 60.0,
            });
            (rate, row)
        })
        .collect();
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Today's access keys; the busiest first, then those of the most requests.
fn access_keys(first: Option<&Value>, second: &Value, seconds: f64) -> Vec<Value> {
    let buckets = |usage: Option<&Value>| -> BTreeMap<String, Value> {
        let all = usage.and_then(|usage| usage["buckets"].as_array());
        // Of two days around midnight, the later one.
        all.into_iter()
            .flatten()
            .filter_map(|bucket| Some((bucket["groupKey"].as_str()?.to_owned(), bucket.clone())))
            .collect()
    };
    let before = buckets(first);
    let mut rows: Vec<(f64, u64, Value)> = buckets(Some(second))
        .into_iter()
        .map(|(id, now)| {
            let requests = now["requests"].as_u64().unwrap_or_default();
            let earlier = before
                .get(&id)
                .filter(|was| was["bucketStart"] == now["bucketStart"]);
            let earlier = earlier.and_then(|was| was["requests"].as_u64());
            let new = requests.saturating_sub(earlier.unwrap_or(0));
            let rate = f64::from(u32::try_from(new).unwrap_or(u32::MAX)) / seconds;
            let row = json!({
                "accessKey": id,
                "requestsPerSecond": rate,
                "requests": requests,
                "errors": now["errors"],
                "inputTokens": now["inputTokens"],
                "outputTokens": now["outputTokens"],
                "usd": now["cost"],
            });
            (rate, requests, row)
        })
        .collect();
    rows.sort_by(|one, other| other.0.total_cmp(&one.0).then(other.1.cmp(&one.1)));
    rows.into_iter().map(|(_, _, row)| row).collect()
}

/// What somebody should look at.
fn notes(both: &Both<'_>) -> Vec<String> {
    let all = |_: &Sample<'_>| true;
    let is = |name, bad: fn(f64) -> bool| both.now(name, all).is_some_and(bad);
    let above: fn(f64) -> bool = |value| value > 0.0;
    let other: fn(f64) -> bool = |value| value != 1.0;
    let notes = [
        (
            is("tollgate_ledger_accounts_unbalanced", above),
            "books do not balance",
        ),
        (
            is("tollgate_ledger_lost_usd", above),
            "the bank has forgotten charges",
        ),
        (
            is("tollgate_ledger_accounts_away", above),
            "the bank is away",
        ),
        (
            is("tollgate_ledger_journal_ready", other),
            "the journal cannot be written",
        ),
        (
            is("tollgate_config_last_reload_successful", other),
            "the last configuration was refused",
        ),
    ];
    notes
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, words)| words.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(metrics: &str, seconds: u64) -> Look {
        Look {
            at: clock::now() + Duration::from_secs(seconds),
            time: 1_767_225_600 + seconds,
            unready: None,
            metrics: metrics.to_owned(),
            usage: None,
            without: None,
        }
    }

    #[test]
    fn two_readings_make_rates_and_percentiles() {
        let first = "tollgate_requests_total{provider=\"p\",status=\"2xx\"} 10
tollgate_request_duration_seconds_bucket{provider=\"p\",le=\"0.1\"} 10
tollgate_request_duration_seconds_bucket{provider=\"p\",le=\"0.3\"} 10
tollgate_request_duration_seconds_bucket{provider=\"p\",le=\"+Inf\"} 10
tollgate_cost_usd_total{provider=\"p\"} 5
tollgate_attempts_total{provider=\"p\",outcome=\"ok\"} 10
";
        let second = "tollgate_requests_total{provider=\"p\",status=\"2xx\"} 30
tollgate_request_duration_seconds_bucket{provider=\"p\",le=\"0.1\"} 20
tollgate_request_duration_seconds_bucket{provider=\"p\",le=\"0.3\"} 30
tollgate_request_duration_seconds_bucket{provider=\"p\",le=\"+Inf\"} 30
tollgate_cost_usd_total{provider=\"p\"} 2
tollgate_attempts_total{provider=\"p\",outcome=\"ok\"} 20
tollgate_attempts_total{provider=\"p\",outcome=\"http_503\"} 10
tollgate_ledger_journal_ready 0
";
        let view = compare(&look(first, 0), &look(second, 10));
        let near = |value: &Value, wanted: f64| {
            let value = value.as_f64().unwrap_or(f64::NAN);
            assert!(
                (value - wanted).abs() < 0.01,
                "{value} is not {wanted}: {view:#}"
            );
        };
        near(&view["requests"]["perSecond"], 2.0);
        near(&view["latency"]["medianMs"], 100.0);
        near(&view["latency"]["p95Ms"], 280.0);
        // Less than before: the gateway was started anew.
        near(&view["money"]["usdPerMinute"], 12.0);
        let provider = &view["providers"][0];
        assert_eq!(provider["provider"], "p");
        near(&provider["attemptsPerSecond"], 2.0);
        near(&provider["failedPerSecond"], 1.0);
        assert_eq!(view["firstToken"]["medianMs"], Value::Null);
        assert_eq!(view["notes"], json!(["the journal cannot be written"]));
    }
}
