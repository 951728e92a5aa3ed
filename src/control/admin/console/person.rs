//! Somebody who has signed in by an identity provider, and what they may do: decided anew for each request, by the
//! configuration in force.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Caller;
use tollgate_base::Secret;
use tollgate_config::Oidc;
use tollgate_config::secrets::Role;

/// Most groups of a person that are looked at.
const MOST: usize = 1_000;
/// Longest ID token that is kept, in bytes.
const LONGEST_TOKEN: usize = 4_096;
/// What stands before a subject, so that it is no API key's id.
const BY: &str = "oidc:";

/// Somebody whom an identity provider knows.
#[derive(Clone, Debug)]
pub(super) struct Person {
    issuer: String,
    client_id: String,
    /// As the audit log names them.
    id: String,
    /// E-mail address, or else what the provider calls them.
    name: Option<String>,
    groups: Vec<String>,
    /// Their ID token, by which the provider knows whom to sign out.
    token: Option<Secret>,
}

/// What somebody is for one request.
pub(super) struct Acting {
    pub(super) caller: Caller,
    /// The accounts that they may choose from, if not from all.
    pub(super) accounts: Vec<Arc<str>>,
}

impl Person {
    pub(super) fn new(
        oidc: &Oidc,
        subject: &str,
        name: Option<String>,
        groups: Vec<String>,
    ) -> Person {
        Person {
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            id: format!("{BY}{}", plain(subject)),
            name: name.map(|name| plain(&name)),
            groups,
            token: None,
        }
    }

    /// The same with their ID token, unless it is too long for an address.
    pub(super) fn with_token(mut self, token: String) -> Person {
        self.token = (token.len() <= LONGEST_TOKEN).then(|| Secret::new(token));
        self
    }

    /// Their ID token, if it is kept.
    pub(super) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// For people.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// The groups that the provider names.
    pub(super) fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether both are the same one.
    pub(super) fn is(&self, other: &Person) -> bool {
        (&self.issuer, &self.id) == (&other.issuer, &other.id)
    }

    /// What they may do for the account that they ask for; `None`: nothing for any.
    pub(super) fn acting(&self, oidc: &Oidc, asked: Option<&str>) -> Option<Acting> {
        if (&self.issuer, &self.client_id) != (&oidc.issuer, &oidc.client_id) {
            return None;
        }
        let all = oidc.roles.iter();
        let held = all.filter(|role| self.groups.contains(&role.group));
        let widest = |account: Option<&str>| {
            let roles = held
                .clone()
                .filter(|role| role.account.as_deref() == account);
            let roles: Vec<Role> = roles.map(|role| role.role).collect();
            Role::ALL.into_iter().find(|role| roles.contains(role))
        };
        let mut accounts: Vec<Arc<str>> = Vec::new();
        for account in held.clone().filter_map(|role| role.account.as_deref()) {
            if !accounts.iter().any(|known| **known == *account) {
                accounts.push(account.into());
            }
        }
        let of_all = widest(None);
        let is_own = |asked: &&str| accounts.iter().any(|own| **own == **asked);
        let own: Option<Arc<str>> = match asked.filter(is_own) {
            Some(asked) => Some(asked.into()),
            // Whoever asks for another one's is told that it is another one's.
            None => accounts.first().cloned().filter(|_| of_all.is_none()),
        };
        let of_own = own.as_deref().and_then(|own| widest(Some(own)));
        let (role, account) = match (of_all, of_own) {
            (Some(all), Some(role)) if place(role) < place(all) => (role, own),
            (Some(all), _) => (all, None),
            (None, role) => (role?, own),
        };
        if of_all.is_some() && account.is_some() {
            accounts.push(crate::DEFAULT_ACCOUNT.into());
        }
        let caller = Caller {
            id: self.id.clone(),
            name: self.name.clone(),
            role: Some(role),
            account,
        };
        Some(Acting { caller, accounts })
    }
}

/// Where a role stands among all, the widest first.
fn place(role: Role) -> Option<usize> {
    Role::ALL.iter().position(|known| *known == role)
}

/// The groups that claims name: by the claim's name, or by a path of names with dots between them; `None` if there is none.
pub(super) fn groups(claims: &Map<String, Value>, claim: &str) -> Option<Vec<String>> {
    let by_path = || {
        let mut names = claim.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    };
    let found = claims.get(claim).or_else(by_path)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(match found {
        Value::Array(list) => list.iter().filter_map(text).take(MOST).collect(),
        one => text(one).into_iter().collect(),
    })
}

/// What somebody else says, on one line, and bounded.
pub(super) fn plain(said: &(impl fmt::Display + ?Sized)) -> String {
    let letters = said.to_string();
    let letters = letters.chars().filter(|letter| !letter.is_control());
    letters.take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tollgate_config::types::OidcRole;

    fn oidc(roles: &[(&str, Role, Option<&str>)]) -> Oidc {
        let roles = roles.iter().map(|(group, role, account)| OidcRole {
            group: (*group).to_owned(),
            role: *role,
            account: account.map(str::to_owned),
        });
        Oidc {
            issuer: "https://login.example".to_owned(),
            shown: "login.example".to_owned(),
            client_id: "gate".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            groups_claim: "groups".to_owned(),
            roles: roles.collect(),
            ca: None,
        }
    }

    #[test]
    fn the_widest_role_of_all_groups_holds_for_each_account() {
        let oidc = oidc(&[
            ("ops", Role::ReadOnly, None),
            ("a", Role::UsageOnly, Some("a")),
            ("a-leads", Role::Full, Some("a")),
            ("b", Role::ReadOnly, Some("b")),
        ]);
        let acting = |groups: &[&str], asked: Option<&str>| {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let person = Person::new(&oidc, "ann", None, groups);
            let acting = person.acting(&oidc, asked)?;
            let account = acting.caller.account.as_deref().map(str::to_owned);
            Some((acting.caller.role?, account, acting.accounts.len()))
        };
        let of = |account: &str| Some(account.to_owned());
        assert_eq!(acting(&[], None), None);
        assert_eq!(acting(&["c"], Some("a")), None);
        assert_eq!(acting(&["ops"], Some("x")), Some((Role::ReadOnly, None, 0)));
        let a = Some((Role::UsageOnly, of("a"), 1));
        assert_eq!(acting(&["a"], None), a);
        assert_eq!(acting(&["a"], Some("b")), a);
        let both = ["a", "b", "a-leads"];
        assert_eq!(acting(&both, None), Some((Role::Full, of("a"), 2)));
        assert_eq!(acting(&both, Some("b")), Some((Role::ReadOnly, of("b"), 2)));
        let wide = ["ops", "a-leads", "b"];
        assert_eq!(acting(&wide, None), Some((Role::ReadOnly, None, 2)));
        assert_eq!(acting(&wide, Some("a")), Some((Role::Full, of("a"), 3)));
        assert_eq!(acting(&wide, Some("b")), Some((Role::ReadOnly, None, 2)));
        let person = Person::new(&oidc, "ann\n", None, vec!["ops".to_owned()]);
        assert_eq!(person.name(), "oidc:ann");
        let moved = Oidc {
            client_id: "other".to_owned(),
            ..oidc.clone()
        };
        assert!(person.acting(&moved, None).is_none());
    }

    #[test]
    fn groups_are_found_by_name_and_by_path() {
        let claims = json!({"groups": ["a", 1, "b"], "https://x.example/g": "one", "realm": {"roles": ["r"]}});
        let found = |claim| groups(claims.as_object().unwrap(), claim);
        assert_eq!(found("groups"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(found("https://x.example/g"), Some(vec!["one".to_owned()]));
        assert_eq!(found("realm.roles"), Some(vec!["r".to_owned()]));
        for none in ["roles", "realm.none", "groups.a", ""] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
