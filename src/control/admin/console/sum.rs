//! What buckets of usage come to together, exactly.

use serde_json::Value;

use super::format::{number, text};

/// Decimal places of a cost.
const PLACES: usize = 5;

/// What a day, a provider, a model or a key comes to.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
    /// In units of the last decimal place.
    pub(super) cost: i64,
}

impl Sum {
    pub(super) fn add(&mut self, bucket: &Value) {
        for (sum, name) in [
            (&mut self.requests, "requests"),
            (&mut self.errors, "errors"),
            (&mut self.input, "inputTokens"),
            (&mut self.cached, "cacheReadTokens"),
            (&mut self.output, "outputTokens"),
        ] {
            *sum = sum.saturating_add(number(bucket, name));
        }
        self.cost = self.cost.saturating_add(units(text(bucket, "cost")));
    }

    pub(super) fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// US dollars, an exact decimal.
    pub(super) fn cost(&self) -> String {
        let (sign, units) = (
            if self.cost < 0 { "-" } else { "" },
            self.cost.unsigned_abs(),
        );
        let one = 10_u64.pow(5);
        format!("{sign}{}.{:05}", units / one, units % one)
    }
}

/// A decimal in units of its last place.
fn units(decimal: &str) -> i64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction = fraction.chars().chain(std::iter::repeat('0')).take(PLACES);
    let digits: String = whole.chars().chain(fraction).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sums_of_costs_are_exact() {
        let mut sum = Sum::default();
        for cost in ["0.00001", "12.5", "-0.00002", "3"] {
            sum.add(&json!({"cost": cost, "requests": 1}));
        }
        assert_eq!((sum.requests, sum.cost()), (4, "15.49999".to_owned()));
    }
}
