//! Limits: of one request, and over time.

use std::collections::BTreeSet;

use super::Checker;
use crate::yaml::place::Place;
use crate::yaml::types;
use tollgate_ledger::NanoUsd;

impl Checker<'_> {
    pub(super) fn token_limits(&mut self, place: &Place, limits: &types::TokenLimits) {
        for (key, limit) in [
            ("max_input_tokens", limits.max_input_tokens),
            ("max_output_tokens", limits.max_output_tokens),
        ] {
            self.not_zero(&place.key(key), limit);
        }
    }

    /// Limits over time; what passes fits an `i64`, and the floats that Redis counts in.
    pub(super) fn rate_limits(&mut self, place: &Place, limits: &types::RateLimits) {
        let most = NanoUsd::MOST.0.unsigned_abs();
        for (key, limit) in [
            ("requests_per_minute", limits.requests_per_minute),
            ("tokens_per_minute", limits.tokens_per_minute),
            ("concurrent_requests", limits.concurrent_requests),
        ] {
            self.not_zero(&place.key(key), limit);
            if limit.is_some_and(|limit| limit > most) {
                let hint = Some("leave it out for no limit".to_owned());
                self.fault(&place.key(key), format!("more than {most}"), hint);
            }
        }
        let place = place.key("budget");
        let mut seen = BTreeSet::new();
        for (i, budget) in limits.budget.list().iter().enumerate() {
            let place = match limits.budget {
                types::Budgets::One(_) => place.clone(),
                types::Budgets::List(_) => place.index(i),
            };
            match budget.usd {
                Some(usd) => drop(self.dollars(&place.key("usd"), usd)),
                None => {
                    let hint = Some("add it, as in `{ usd: 20, per: day }`".to_owned());
                    self.fault(&place, "`usd` is missing", hint);
                }
            }
            if budget.per.is_none() {
                let hint = Some("write `per: day`, `per: month` or `per: total`".to_owned());
                self.fault(&place, "`per` is missing", hint);
            } else if !seen.insert(budget.per) {
                let hint = Some("keep the smaller one".to_owned());
                self.fault(&place, "a second budget for the same time", hint);
            }
        }
    }

    /// Says so where something relies on a ledger that is off.
    pub(super) fn nothing_is_counted(&mut self, file: &types::File) {
        let hint = || Some("write `ledger: { credits: metered }` to count".to_owned());
        let configurations = Place::top("configurations");
        let keys = Place::top("access_keys");
        let own = file.access_keys.iter().enumerate();
        let own = own.map(|(i, key)| (keys.index(i), key.limits.clone()));
        let shared = file.configurations.iter().enumerate();
        let shared = shared.map(|(i, one)| (configurations.index(i), one.limits.rates()));
        for (place, limits) in shared.chain(own) {
            if limits != types::RateLimits::default() {
                let message =
                    "with `ledger.credits: off` nothing is counted, so only token limits hold";
                self.warn(&place.key("limits"), message, hint());
            }
        }
        let accounts = Place::top("accounts");
        for (i, account) in file.accounts.iter().enumerate() {
            if !account.grants.is_empty() {
                let message = "with `ledger.credits: off` no credits are given";
                self.warn(&accounts.index(i).key("grants"), message, hint());
            }
        }
    }

    fn not_zero(&mut self, place: &Place, limit: Option<u64>) {
        if limit == Some(0) {
            let hint = Some("leave it out for no limit".to_owned());
            self.fault(place, "a limit of 0 refuses every request", hint);
        }
    }
}
