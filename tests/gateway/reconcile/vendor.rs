//! A provider that bills by its own published tariff, in its own way (floats, like many), and exports what it billed.
//!
//! What it is asked says what it will count: `use 1200 400 90` is a prompt of 1,200 tokens, 400 of them from its cache,
//! and an answer of 90. `fail` makes the key `…-1` answer 500, `hurry` makes it serve the tier `priority` at twice the
//! price, `leave` lets a stream pause before its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_base::clock;

use super::answers::Counted;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::script::Script;

const DAY: u64 = 86_400;

/// How long a stream pauses whose client is to leave (ms).
const PAUSE: u64 = 100;

/// US dollars per million tokens, as the price list has them.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    pub input: f64,
    pub cached: f64,
    pub output: f64,
}

/// The price list.
pub const TARIFF: [(&str, Price); 3] = [
    (
        "acme-large-2026-08-06",
        Price {
            input: 2.5,
            cached: 1.25,
            output: 10.0,
        },
    ),
    (
        "acme-small",
        Price {
            input: 0.15,
            cached: 0.075,
            output: 0.6,
        },
    ),
    (
        "claudia-4-20260514",
        Price {
            input: 3.0,
            cached: 0.3,
            output: 15.0,
        },
    ),
];

/// An answer that it billed.
#[derive(Clone, Debug)]
pub struct Served {
    pub at: u64,
    pub model: String,
    /// Its own id of the key.
    pub key: String,
    pub tier: &'static str,
    pub fresh: u64,
    pub cached: u64,
    pub output: u64,
}

/// The provider's side: what it served.
#[derive(Clone, Default)]
pub struct Vendor {
    served: Arc<Mutex<Vec<Served>>>,
}

/// How it bills what it served: faults are planted here.
#[derive(Clone, Copy)]
pub struct Billing {
    /// Changes a price.
    pub price: fn(&Served, Price) -> Price,
    /// The tier that it says it served.
    pub tier: fn(usize, &Served) -> &'static str,
}

impl Billing {
    /// By its price list.
    pub const HONEST: Billing = Billing {
        price: |_, price| price,
        tier: |_, served| served.tier,
    };
}

/// What a day, a model, a key and a tier come to.
#[derive(Clone, Debug, Default)]
struct Sum {
    requests: u64,
    fresh: u64,
    cached: u64,
    output: u64,
    /// US dollars: prompt, cached, answer.
    cost: [f64; 3],
}

type Sums = BTreeMap<(u64, String, String, &'static str), Sum>;

impl Vendor {
    /// A vendor, and where it answers.
    pub async fn start() -> (Vendor, Fake) {
        let vendor = Vendor::default();
        let own = vendor.clone();
        let fake = Fake::answering(Wire::H1, move |seen| own.answer(seen)).await;
        (vendor, fake)
    }

    /// How many answers it billed.
    pub fn count(&self) -> usize {
        self.served.lock().len()
    }

    fn answer(&self, seen: &Seen) -> Script {
        let body = seen.json();
        let bearer = seen
            .header("authorization")
            .map(|value| value.replace("Bearer ", ""));
        let key = bearer
            .or_else(|| seen.header("x-api-key").map(str::to_owned))
            .unwrap_or_default();
        let text = body["messages"][0]["content"].to_string();
        if text.contains("fail") && key.ends_with("-1") {
            return Script::error(500, "on purpose");
        }
        let numbers: Vec<u64> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [input, cached, output] = numbers[..] else {
            return Script::error(400, "say what to count");
        };
        let is_message = seen.path.ends_with("/messages");
        let tier = if text.contains("hurry") && !is_message {
            "priority"
        } else {
            "default"
        };
        self.served.lock().push(Served {
            at: clock::unix().as_secs(),
            model: dated(body["model"].as_str().unwrap()),
            key: format!("id_{}", key.to_lowercase()),
            tier,
            fresh: input - cached,
            cached,
            output,
        });
        let counted = Counted {
            stream: body["stream"] == true,
            model: &body["model"],
            tier,
            input,
            cached,
            output,
            pause: if text.contains("leave") { PAUSE } else { 0 },
        };
        if is_message {
            counted.message()
        } else {
            counted.chat()
        }
    }

    /// Of the models whose names begin so: each of its APIs has its own.
    fn sums(&self, billing: Billing, models: &str) -> Sums {
        let mut sums = Sums::new();
        for (number, served) in self.served.lock().iter().enumerate() {
            if !served.model.starts_with(models) {
                continue;
            }
            let listed = TARIFF
                .iter()
                .find(|(model, _)| *model == served.model)
                .unwrap()
                .1;
            let price = (billing.price)(served, listed);
            let tier = (billing.tier)(number, served);
            let factor = if tier == "priority" { 2.0 } else { 1.0 };
            let day = served.at / DAY * DAY;
            let what = (day, served.model.clone(), served.key.clone(), tier);
            let sum = sums.entry(what).or_default();
            sum.requests += 1;
            sum.fresh += served.fresh;
            sum.cached += served.cached;
            sum.output += served.output;
            for (cost, (tokens, rate)) in sum.cost.iter_mut().zip([
                (served.fresh, price.input),
                (served.cached, price.cached),
                (served.output, price.output),
            ]) {
                *cost += tokens as f64 / 1e6 * rate * factor;
            }
        }
        sums
    }

    /// Pages of costs and of usage as OpenAI's API answers them, for days (Unix time, s) of which the last is not in it.
    pub fn openai(&self, billing: Billing, (from, to): (u64, u64)) -> [Value; 2] {
        let sums = self.sums(billing, "acme");
        let page = |results: &dyn Fn(u64) -> Vec<Value>| {
            let buckets: Vec<Value> = days(from, to)
                .map(|day| {
                    json!({"object": "bucket", "start_time": day, "end_time": day + DAY, "results": results(day)})
                })
                .collect();
            json!({"object": "page", "data": buckets, "has_more": false, "next_page": null})
        };
        let costs = page(&|day| {
            let of_day = sums.iter().filter(|((at, ..), _)| *at == day);
            let each = of_day.flat_map(|((_, model, key, _), sum)| {
                ["input", "cached input", "output"]
                    .into_iter()
                    .zip(sum.cost)
                    .map(move |(item, cost)| {
                        json!({"object": "organization.costs.result", "amount": {"value": cost, "currency": "usd"},
                            "line_item": format!("{model}, {item}"), "project_id": "proj_x", "api_key_id": key})
                    })
            });
            // A day, a model and a key may have several tiers.
            let mut by_item: BTreeMap<String, Value> = BTreeMap::new();
            for one in each {
                let item = format!("{}{}", one["line_item"], one["api_key_id"]);
                let cost = one["amount"]["value"].as_f64().unwrap();
                let sum = by_item.entry(item).or_insert_with(|| {
                    let mut none = one.clone();
                    none["amount"]["value"] = json!(0.0);
                    none
                });
                sum["amount"]["value"] = json!(sum["amount"]["value"].as_f64().unwrap() + cost);
            }
            by_item.into_values().collect()
        });
        let usage = page(&|day| {
            let of_day = sums.iter().filter(|((at, ..), _)| *at == day);
            of_day
                .map(|((_, model, key, tier), sum)| {
                    json!({"object": "organization.usage.completions.result", "input_tokens": sum.fresh + sum.cached,
                        "input_cached_tokens": sum.cached, "output_tokens": sum.output, "input_audio_tokens": 0,
                        "output_audio_tokens": 0, "num_model_requests": sum.requests, "project_id": "proj_x",
                        "user_id": null, "api_key_id": key, "model": model, "batch": false, "service_tier": tier})
                })
                .collect()
        });
        [costs, usage]
    }

    /// Pages of costs and of usage as Anthropic's API answers them.
    pub fn anthropic(&self, billing: Billing, (from, to): (u64, u64)) -> [Value; 2] {
        let sums = self.sums(billing, "claudia");
        let page = |results: &dyn Fn(u64) -> Vec<Value>| {
            let buckets: Vec<Value> = days(from, to)
                .map(|day| {
                    json!({"starting_at": rfc3339(day), "ending_at": rfc3339(day + DAY), "results": results(day)})
                })
                .collect();
            json!({"data": buckets, "has_more": false, "next_page": null})
        };
        let costs = page(&|day| {
            let mut cents: BTreeMap<(String, usize), f64> = BTreeMap::new();
            for ((_, model, ..), sum) in sums.iter().filter(|((at, ..), _)| *at == day) {
                for (place, cost) in sum.cost.into_iter().enumerate() {
                    *cents.entry((model.clone(), place)).or_default() += cost * 100.0;
                }
            }
            let kinds = [
                "uncached_input_tokens",
                "cache_read_input_tokens",
                "output_tokens",
            ];
            cents
                .into_iter()
                .map(|((model, place), cents)| {
                    json!({"currency": "USD", "amount": format!("{cents:.9}"), "workspace_id": null,
                        "description": format!("{model} Usage"), "cost_type": "tokens", "context_window": "0-200k",
                        "model": model, "service_tier": "standard", "token_type": kinds[place]})
                })
                .collect()
        });
        let usage = page(&|day| {
            let of_day = sums.iter().filter(|((at, ..), _)| *at == day);
            of_day
                .map(|((_, model, key, tier), sum)| {
                    let tier = if *tier == "default" { "standard" } else { tier };
                    json!({"uncached_input_tokens": sum.fresh, "cache_read_input_tokens": sum.cached,
                        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
                        "output_tokens": sum.output, "server_tool_use": {"web_search_requests": 0},
                        "api_key_id": key, "workspace_id": null, "model": model, "service_tier": tier,
                        "context_window": "0-200k"})
                })
                .collect()
        });
        [costs, usage]
    }
}

fn days(from: u64, to: u64) -> impl Iterator<Item = u64> {
    (from..to).step_by(usize::try_from(DAY).unwrap())
}

fn rfc3339(seconds: u64) -> String {
    let (year, month, day) = tollgate_base::time::civil(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}T00:00:00Z")
}

/// The model that an alias is answered by.
fn dated(model: &str) -> String {
    let listed = TARIFF.iter().find(|(name, _)| name.starts_with(model));
    listed.map_or(model, |(name, _)| name).to_owned()
}
