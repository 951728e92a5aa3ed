//! One request of somebody who is signed in: who, for which account, and what was asked or sent.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::Markup;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::api::{Api, Fault, From};
use crate::admin::auth;
use crate::admin::context::escaped;
use crate::admin::operation::Needs;
use crate::admin::query;
use crate::admin::state::Process;
use tollgate_ledger::HOUSE;

/// The parameters that say where in a list a page begins.
pub(super) const CURSORS: [&str; 3] = ["cursor", "beforeId", "before"];

/// What a page comes to.
pub(super) enum Answer {
    /// A page.
    Page(StatusCode, Markup),
    /// Another page is to be asked for.
    See(String),
    /// Something that is no page.
    Other(Response),
}

/// What a page comes to, or why it does not.
pub(super) type Answered = Result<Answer, Fault>;

/// A request of somebody who is signed in.
pub(super) struct Visit {
    pub(super) api: Api,
    pub(super) from: From,
    /// The accounts that are chosen from, if not all.
    pub(super) accounts: Vec<Arc<str>>,
    /// What the session's forms carry.
    pub(super) form_token: String,
    /// The request's path.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) form: Vec<(String, String)>,
    /// Where applications reach the proxy, as in `http://127.0.0.1:8080`.
    pub(super) proxy: String,
    /// The process around the console.
    pub(super) process: Arc<dyn Process>,
    /// How many more chats may be under way.
    pub(super) chats: Arc<Semaphore>,
}

impl Visit {
    /// A parameter of the query; empty if it is not there.
    pub(super) fn asked(&self, name: &str) -> &str {
        query::first(&self.query, name).unwrap_or_default()
    }

    /// A field of the form; empty if it is not there.
    pub(super) fn sent(&self, name: &str) -> &str {
        query::first(&self.form, name).unwrap_or_default().trim()
    }

    /// What was sent in these fields, as a body; nothing of those that were left empty.
    pub(super) fn body<'n>(&self, fields: impl IntoIterator<Item = &'n str>) -> Map<String, Value> {
        let sent = fields.into_iter().map(|name| (name, self.sent(name)));
        sent.filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect()
    }

    /// The account that is acted for, where the caller may choose one.
    pub(super) fn account(&self) -> Option<&str> {
        Some(self.asked("account")).filter(|account| !account.is_empty())
    }

    /// Whether the caller's role allows it.
    pub(super) fn may(&self, needs: Needs) -> bool {
        auth::allow(&self.from.caller, needs).is_ok()
    }

    /// Whether the caller may change something of the account: nobody may of what the gateway itself pays for.
    pub(super) fn may_change(&self) -> bool {
        self.may(Needs::Write) && self.account() != Some(HOUSE)
    }

    /// Whether the caller may act for all accounts.
    pub(super) fn is_for_all(&self) -> bool {
        self.from.caller.account.is_none()
    }

    /// Asks the API for what is nobody's in particular.
    pub(super) async fn get(&self, path: &str, pairs: &[(&str, &str)]) -> Result<Value, Fault> {
        let pairs = given(pairs);
        self.api
            .call(&self.from, Method::GET, (path, &pairs), None)
            .await
    }

    /// Asks the API for what is the account's.
    pub(super) async fn own(&self, path: &str, pairs: &[(&str, &str)]) -> Result<Value, Fault> {
        self.get(path, &self.for_account(pairs)).await
    }

    /// Has the API change what is the account's.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let pairs = self.for_account(&[]);
        self.api
            .call(&self.from, method, (path, &pairs), body)
            .await
    }

    /// Has the API change what is nobody's in particular.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        self.api.call(&self.from, method, (path, &[]), body).await
    }

    fn for_account<'a>(&'a self, pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let account = self.account().map(|account| ("accountId", account));
        pairs.iter().copied().chain(account).collect()
    }

    /// A page of the console, for the same account.
    pub(super) fn to(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let account = self.account().map(|account| ("account", account));
        target(path, pairs.iter().copied().chain(account))
    }

    /// This page with another value of a parameter, and without a place in its list.
    pub(super) fn here_with(&self, name: &str, value: &str) -> String {
        let others = self
            .query
            .iter()
            .filter(|(other, _)| other != name && other != "done" && !CURSORS.contains(&&**other));
        let others = others.map(|(name, value)| (&**name, &**value));
        target(&self.path, others.chain([(name, value)]))
    }

    /// The next page of a list, by the answer's `nextPageUri`.
    pub(super) fn next(&self, answer: &Value) -> Option<String> {
        let (name, value) = cursor(answer)?;
        Some(self.here_with(name, &value))
    }
}

/// The parameter that leads to the next page of a list, and its value.
pub(super) fn cursor(answer: &Value) -> Option<(&'static str, String)> {
    let (_, next) = answer["nextPageUri"].as_str()?.split_once('?')?;
    let pairs = query::pairs(next).ok()?;
    CURSORS
        .into_iter()
        .find_map(|name| Some((name, query::first(&pairs, name)?.to_owned())))
}

/// The parameters that have a value.
fn given<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given.copied().collect()
}

fn target<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut target = path.to_owned();
    for (place, (name, value)) in pairs.filter(|(_, value)| !value.is_empty()).enumerate() {
        target.push(if place == 0 { '?' } else { '&' });
        target.extend([&escaped(name), "=", &escaped(value)]);
    }
    target
}

/// A page about one thing.
pub(super) fn page(section: &str, id: &str) -> String {
    format!("/console/{section}/{}", escaped(id))
}

/// A resource of the API, by the id that stands in a page's path.
pub(super) fn resource(segment: &str, id: &str) -> String {
    format!("/{segment}/{}", escaped(id))
}
