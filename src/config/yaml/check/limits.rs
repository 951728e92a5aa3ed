//! Limits: of one request, and over time.

use std::collections::BTreeSet;

use super::Checker;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::types::Per;
use crate::yaml::{NoLineage, lineage};
use tollgate_ledger::NanoUsd;
use tollgate_wire::tags::{LONGEST_NAME, MOST, SESSION, is_name};

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
        self.budgets_of(&place.key("budget"), &limits.budget);
    }

    /// Tags that requests may have, and what each value of some may be charged.
    pub(super) fn tags(&mut self, place: &Place, configuration: &types::Configuration) {
        let limits = place.key("limits").key("tags");
        let allow = place.key("access").key("tags").key("allow");
        let allowed = configuration.access.tags.allow.as_deref();
        let names = allowed.into_iter().flatten().enumerate();
        let named = names.map(|(i, name)| (allow.index(i), name));
        let budgets = &configuration.limits.tags;
        let limited = budgets.keys().map(|name| (limits.key(name), name));
        for (place, name) in named.chain(limited) {
            if !is_name(name) {
                let hint = format!(
                    "use lowercase letters, digits, `_`, `-` and `.`, at most {LONGEST_NAME}"
                );
                self.fault(
                    &place,
                    format!("`{name}` cannot be a tag's name"),
                    Some(hint),
                );
            }
        }
        if budgets.len() > MOST {
            let hint = Some(format!("keep {MOST} at most: a request has no more tags"));
            self.fault(&limits, "too many tags that every request needs", hint);
        }
        for (name, budgets) in budgets {
            let place = limits.key(name);
            self.budgets_of(&place, budgets);
            let for_good = |one: &types::Budget| one.per == Some(Per::Total);
            if name == SESSION && budgets.list().iter().any(for_good) {
                let hint = Some("write `per: day`, `week` or `month`".to_owned());
                self.fault(
                    &place,
                    "of each session something would be kept for good",
                    hint,
                );
            }
            if allowed.is_some_and(|allowed| !allowed.contains(name)) {
                let hint = Some("list it under `access.tags`, too".to_owned());
                self.fault(
                    &place,
                    "every request needs this tag, and none may have it",
                    hint,
                );
            }
        }
    }

    fn budgets_of(&mut self, place: &Place, budgets: &types::Budgets) {
        let mut seen = BTreeSet::new();
        for (i, budget) in budgets.list().iter().enumerate() {
            let place = match budgets {
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
                let hint =
                    Some("write `per: day`, `week`, `month`, `quarter` or `total`".to_owned());
                self.fault(&place, "`per` is missing", hint);
            } else if !seen.insert(budget.per) {
                let hint = Some("keep the smaller one".to_owned());
                self.fault(&place, "a second budget for the same time", hint);
            }
            if budget.week_starts.is_some() && budget.per.is_some_and(|per| per != Per::Week) {
                let hint = Some("leave it out, or write `per: week`".to_owned());
                self.fault(
                    &place.key("week_starts"),
                    "this is no budget of a week",
                    hint,
                );
            }
        }
    }

    /// Budgets that keys share: each is part of one of its account, or of none.
    pub(super) fn budgets(&mut self, budgets: &[types::SharedBudget], accounts: &[&str]) {
        let top = Place::top("budgets");
        let ids = budgets.iter().enumerate();
        self.unique(
            "budget",
            ids.map(|(i, one)| (top.index(i).key("id"), &*one.id)),
        );
        for (i, budget) in budgets.iter().enumerate() {
            let place = top.index(i);
            self.stored_id(&place.key("id"), "a budget's id", &budget.id);
            self.kept_id(&place.key("id"), "a budget's id", &budget.id);
            self.known_account(&place, budget.account.as_deref(), accounts);
            self.rate_limits(&place.key("limits"), &budget.limits);
            let Some(parent) = &budget.parent else {
                continue;
            };
            let place = place.key("parent");
            self.budget_of(&place, parent, budget.account(), budgets);
            let parent_of = |id: &str| {
                let one = budgets.iter().find(|one| one.id == id);
                one.and_then(|one| one.parent.as_deref())
            };
            if let Err(fault) = lineage(&budget.id, parent_of) {
                let hint = Some(match fault {
                    NoLineage::Circle => "let one of them have no `parent`".to_owned(),
                    NoLineage::TooDeep => "leave one out".to_owned(),
                });
                self.fault(&place, fault.to_string(), hint);
            }
        }
    }

    /// A shared budget that something is part of is there, and of its account.
    pub(super) fn budget_of(
        &mut self,
        place: &Place,
        id: &str,
        account: &str,
        budgets: &[types::SharedBudget],
    ) {
        match budgets.iter().find(|one| one.id == id) {
            None => self.known(place, "budget", id, budgets.iter().map(|one| &*one.id)),
            Some(one) if one.account() != account => {
                let message = format!("`{id}` is a budget of the account `{}`", one.account());
                let hint = Some(format!("name one of the account `{account}`"));
                self.fault(place, message, hint);
            }
            Some(_) => {}
        }
    }

    /// Says so where something relies on a ledger that is off.
    pub(super) fn nothing_is_counted(&mut self, file: &types::File) {
        let hint = || Some("write `ledger: { credits: metered }` to count".to_owned());
        let configurations = Place::top("configurations");
        let (keys, budgets) = (Place::top("access_keys"), Place::top("budgets"));
        let together = file.budgets.iter().enumerate();
        let together = together.map(|(i, one)| (budgets.index(i), one.limits.clone()));
        let own = file.access_keys.iter().enumerate();
        let own = own.map(|(i, key)| (keys.index(i), key.limits.clone()));
        let shared = file.configurations.iter().enumerate();
        let shared = shared.map(|(i, one)| (configurations.index(i), one.limits.rates()));
        for (place, limits) in shared.chain(own).chain(together) {
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
