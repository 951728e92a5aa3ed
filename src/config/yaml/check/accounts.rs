//! Accounts, and the credits they are given.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Checker;
use crate::DEFAULT_ACCOUNT;
use crate::yaml::expiry::Expiry;
use crate::yaml::place::Place;
use crate::yaml::types;
use crate::yaml::units::Span;
use crate::yaml::valid::Account;
use tollgate_ledger::HOUSE;
use tollgate_ledger::bank::NewGrant;

const LONGEST: Duration = NewGrant::LONGEST;
const LONGEST_ID: usize = NewGrant::LONGEST_ID;
const WEIGHTS: RangeInclusive<u32> = 1..=1000;

impl Checker<'_> {
    /// All accounts, the one that always exists included.
    pub(super) fn accounts(&mut self, accounts: &[types::Account]) -> Vec<Account> {
        let top = Place::top("accounts");
        self.unique(
            "account",
            accounts
                .iter()
                .enumerate()
                .map(|(i, account)| (top.index(i).key("id"), &*account.id)),
        );
        let mut all = Vec::new();
        for (i, account) in accounts.iter().enumerate() {
            let place = top.index(i);
            let (at, what) = (place.key("id"), "an account's id");
            if account.id.contains('/') {
                self.kept_id(&at, what, &account.id);
            } else {
                self.stored_id(&at, what, &account.id);
            }
            if account.id == HOUSE {
                let hint = Some("choose another id".to_owned());
                self.fault(
                    &at,
                    "`house` is who pays for failed attempts with managed keys",
                    hint,
                );
            }
            if account
                .weight
                .is_some_and(|weight| !WEIGHTS.contains(&weight))
            {
                self.fault(&place.key("weight"), "is not between 1 and 1000", None);
            }
            all.push(Account {
                spec: account.clone(),
                grants: self.grants(&place.key("grants"), &account.grants),
            });
        }
        if !all.iter().any(|account| account.spec.id == DEFAULT_ACCOUNT) {
            let default = Account {
                spec: types::Account {
                    id: DEFAULT_ACCOUNT.to_owned(),
                    ..types::Account::default()
                },
                grants: Vec::new(),
            };
            all.insert(0, default);
        }
        all
    }

    fn grants(&mut self, place: &Place, grants: &[types::Grant]) -> Vec<NewGrant> {
        let ids = grants
            .iter()
            .enumerate()
            .map(|(i, grant)| (place.index(i).key("id"), &*grant.id));
        self.unique("grant", ids);
        let mut all = Vec::new();
        for (i, grant) in grants.iter().enumerate() {
            let place = place.index(i);
            self.stored_id(&place.key("id"), "a grant's id", &grant.id);
            let Some(usd) = grant.usd else {
                let hint = Some("add it, as in `usd: 5.00`".to_owned());
                self.fault(&place, "`usd` is missing", hint);
                continue;
            };
            let amount = self.dollars(&place.key("usd"), usd);
            let expires_after = grant.expires_after.unwrap_or(Expiry::DEFAULT).duration();
            let at = place.key("expires_after");
            if expires_after.is_some_and(|time| time.is_zero()) {
                self.fault(&at, "must be more than 0", None);
            } else if expires_after.is_some_and(|time| time > LONGEST) {
                let hint = Some("write `never`".to_owned());
                self.fault(&at, format!("more than {}", Span(LONGEST)), hint);
            }
            all.push(NewGrant {
                id: grant.id.clone(),
                amount,
                expires_after,
                note: grant.note.clone().unwrap_or_default(),
            });
        }
        all
    }

    /// An id under which the admin API keeps something, besides what the YAML says.
    pub(super) fn kept_id(&mut self, place: &Place, what: &str, id: &str) {
        if id.contains(|c: char| c.is_control() || c == '/') {
            let hint = Some("use no `/` and no control characters".to_owned());
            self.fault(place, format!("this cannot be {what}"), hint);
        }
    }

    /// An id that a bank keeps. Braces would mean something to a Redis Cluster.
    pub(super) fn stored_id(&mut self, place: &Place, what: &str, id: &str) {
        let strange = |c: char| c.is_control() || matches!(c, '{' | '}');
        if id.len() > LONGEST_ID || id.contains(strange) {
            let hint = Some(format!(
                "use at most {LONGEST_ID} bytes, without braces and control characters"
            ));
            self.fault(place, format!("this cannot be {what}"), hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[test]
    fn ids_that_the_admin_api_cannot_use_are_refused() {
        for (yaml, path) in [
            ("accounts: [{ id: a/b }]", "accounts[0].id"),
            ("accounts: [{ id: house }]", "accounts[0].id"),
            ("accounts: [{ id: a, weight: 0 }]", "accounts[0].weight"),
            ("accounts: [{ id: a, weight: 1001 }]", "accounts[0].weight"),
            (
                "providers: [{ id: openai, keys: [{ id: a/b, value: x }] }]",
                "providers[0].keys[0].id",
            ),
        ] {
            let faults = parse(yaml, &|_| None).unwrap_err().faults;
            let paths: Vec<&str> = faults.iter().map(|fault| &*fault.path).collect();
            assert_eq!(paths, [path], "{faults:?}");
        }
        let grants = "accounts: [{ id: 'a b', grants: [{ id: invoice/1, usd: 5 }] }]";
        assert!(parse(grants, &|_| None).is_ok(), "a bank keeps these");
    }
}
