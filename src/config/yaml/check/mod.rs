//! What types and schema cannot say: whether ids exist, addresses parse, files hold what they should.
//!
//! Every check names the place it is about and goes on, so that all faults are found in one go.

mod accounts;
mod admin;
mod alerts;
mod callers;
mod feeds;
mod idempotency;
mod ledger;
mod limits;
mod listeners;
mod oidc;
mod providers;
mod secrets;
mod telemetry;
mod tls;

pub use providers::is_private_name;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::fault::Fault;
use super::merge::Merged;
use super::nearest::did_you_mean_or_list;
use super::place::Place;
use super::sources::{self, Sources};
use super::types;
use super::valid::{Config, Retry};
use crate::catalog::Catalog;
use crate::yaml::OverlayFault;
use crate::yaml::demo::{self, DEMO_PROVIDER};

/// Collects what checks find.
pub(super) struct Checker<'a> {
    merged: &'a Merged,
    /// What settings that are not written may default to.
    env: &'a dyn Fn(&str) -> Option<String>,
    /// What is known without being configured.
    built_in: Catalog,
    /// Whether unknown ids prove nothing.
    pub lost_ids: bool,
    /// What could not be deserialized and was taken out; that it is absent is no fault.
    pub pruned: Vec<Place>,
    pub faults: Vec<Fault>,
    pub warnings: Vec<Fault>,
    pub sources: Sources,
}

impl<'a> Checker<'a> {
    pub(super) fn new(merged: &'a Merged, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Checker {
            merged,
            env,
            built_in: Catalog::built_in(),
            lost_ids: merged.lost_ids(),
            pruned: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
            sources: merged.sources.clone(),
        }
    }

    pub(super) fn fault(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.faults.extend(self.about(place, message.into(), hint));
    }

    fn warn(&mut self, place: &Place, message: impl Into<String>, hint: Option<String>) {
        self.warnings
            .extend(self.about(place, message.into(), hint));
    }

    fn about(&self, place: &Place, message: String, hint: Option<String>) -> Option<Fault> {
        let absent = |pruned: &Place| pruned.parent().is_some_and(|parent| parent == *place);
        if self.pruned.iter().any(absent) {
            return None;
        }
        self.merged.about(place, message, hint)
    }

    /// Checks that ids are there and that none stands twice. `what` is as in "account".
    fn unique<'i>(&mut self, what: &str, ids: impl IntoIterator<Item = (Place, &'i str)>) {
        let mut first: BTreeMap<String, Place> = BTreeMap::new();
        for (place, id) in ids {
            if id.is_empty() {
                let element = place.parent().unwrap_or_default();
                self.fault(&element, "`id` is missing", None);
            } else if let Some(first) = first.get(id) {
                let hint = Some(format!("the first one is at {}", self.merged.locate(first)));
                self.fault(&place, format!("a second {what} `{id}`"), hint);
            } else {
                first.insert(id.to_owned(), place.parent().unwrap_or_default());
            }
        }
    }

    /// Checks that an id that is referred to exists.
    fn known<'i>(
        &mut self,
        place: &Place,
        what: &str,
        id: &str,
        ids: impl IntoIterator<Item = &'i str> + Clone,
    ) {
        if !self.lost_ids && !ids.clone().into_iter().any(|known| known == id) {
            let hint = did_you_mean_or_list(id, "there are", ids);
            self.fault(place, format!("there is no {what} `{id}`"), hint);
        }
    }

    /// Checks the account that something says it belongs to, if it does.
    fn known_account(&mut self, place: &Place, account: Option<&str>, accounts: &[&str]) {
        if let Some(account) = account {
            let place = place.key("account");
            self.known(&place, "account", account, accounts.iter().copied());
        }
    }

    /// Checks a PEM file's content, which `holds` must accept; `what` is as in "a certificate". Returns the content,
    /// `None` if it was a fault.
    fn pem(
        &mut self,
        place: &Place,
        file: &Path,
        what: &str,
        holds: impl Fn(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        self.sources.files.insert(file.to_path_buf());
        match sources::read(file) {
            Err(error) => {
                self.fault(
                    place,
                    format!("the file `{}` cannot be read: {error}", file.display()),
                    None,
                );
                None
            }
            Ok(content) if holds(&content) => Some(content),
            Ok(_) => {
                let message = format!(
                    "the file `{}` does not hold {what} in PEM form",
                    file.display()
                );
                self.fault(
                    place,
                    message,
                    Some("it begins with `-----BEGIN`".to_owned()),
                );
                None
            }
        }
    }

    /// The catalog with the providers laid over it; without them if they had faults.
    fn catalog(&mut self, providers: &[types::Provider]) -> Catalog {
        let read = |file: &Path| sources::read_text(file).map_err(|error| error.to_string());
        self.built_in
            .with(providers, read)
            .unwrap_or_else(|faults| {
                self.refused(faults);
                self.built_in.clone()
            })
    }

    /// Notes what the catalog refuses, unless a check of this room has said so, with the file and the line of another
    /// place.
    fn refused(&mut self, found: Vec<OverlayFault>) {
        let known = self.faults.len();
        for OverlayFault { path, message } in found {
            let place = Place::parse(&path);
            let parent = place.parent().unwrap_or_default();
            let at = [&place, &parent].map(|place| self.merged.at(place));
            let said = |fault: &Fault| {
                let mut at = at.iter();
                at.any(|(file, path)| fault.file == *file && fault.path == *path)
            };
            if !self.faults[..known].iter().any(said) {
                self.fault(&place, message, None);
            }
        }
    }

    /// A variable of the environment; an empty one counts as not set.
    fn variable(&self, name: &str) -> Option<String> {
        let value = (self.env)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn timeouts(&mut self, place: &Place, timeouts: &types::Timeouts) {
        let never_zero = [
            ("per_request", timeouts.per_request),
            ("whole_answer", timeouts.whole_answer),
            ("total", timeouts.total),
            ("stream_idle", timeouts.stream_idle),
            ("hold", timeouts.hold),
        ];
        for (key, span) in never_zero {
            if span.is_some_and(|span| span.duration().is_zero()) {
                self.fault(&place.key(key), "must be more than 0", None);
            }
        }
        if let (Some(per_request), Some(total)) = (timeouts.per_request, timeouts.total)
            && per_request > total
        {
            let message = format!(
                "an attempt never gets its {per_request}: all of them together have {total}"
            );
            self.warn(&place.key("per_request"), message, None);
        }
    }

    /// Notes what is wrong with members of what stands at a place.
    fn members(&mut self, place: &Place, wrong: Vec<(&'static str, String)>) {
        for (member, what) in wrong {
            self.fault(&place.key(member), what, None);
        }
    }
}

/// Checks everything and builds the configuration; only if there is no fault is it valid.
pub(super) fn check(checker: &mut Checker<'_>, mut file: types::File) -> Config {
    let proxy = checker.proxy(&file.proxy);
    let demo = checker.demo(&file.demo);
    let log = checker.access_log(&file.log);
    let traces = checker.traces(&file.telemetry);
    let pushed_metrics = checker.pushed_metrics(&file.telemetry);
    let alerts = checker.alerts(&file.alerts);
    checker.distinct_listeners(&file, demo);
    checker.timeouts(&Place::top("timeouts"), &file.timeouts);
    checker.members(&Place::top("retry"), file.retry.wrong());
    checker.token_limits(&Place::top("limits"), &file.limits);
    let ledger = checker.ledger(&file.ledger);
    let accounts = checker.accounts(&file.accounts);
    let account_ids: Vec<&str> = accounts.iter().map(|account| &*account.spec.id).collect();
    let admin = checker.admin(&file.admin, &account_ids);
    let secrets = checker.secrets(&file.secrets);
    checker.providers(&mut file.providers, &account_ids, demo.is_some());
    let built_in = checker.built_in.providers().iter();
    let mut providers: Vec<String> = built_in.map(|provider| provider.id.to_string()).collect();
    let own = file.providers.iter().map(|provider| provider.id.clone());
    for id in own.chain(demo.map(|_| DEMO_PROVIDER.to_owned())) {
        if !providers.contains(&id) {
            providers.push(id);
        }
    }
    checker.configurations(&file.configurations, &file.providers, &providers);
    checker.budgets(&file.budgets, &account_ids);
    let kept_answers = checker.kept_answers(&file, &secrets);
    let access_keys = checker.access_keys(&file, &account_ids);
    if ledger.credits == types::Credits::Off {
        checker.nothing_is_counted(&file);
    }
    // Optional credentials that are absent; they have been checked, so that steps may name them.
    for provider in &mut file.providers {
        provider.keys.retain(|key| !key.value.expose().is_empty());
        provider
            .managed_keys
            .retain(|key| !key.value.expose().is_empty());
    }
    // An address that is not loopback was a fault, which the catalog would only repeat.
    if let Some(address) = demo.filter(|address| address.ip().is_loopback()) {
        file.providers.push(demo::provider(address));
    }
    let mut feeds = checker.feeds(&file.catalog, &providers);
    let layers = checker.kept(&mut feeds);
    checker.built_in = checker.built_in.priced(layers);
    let catalog = Arc::new(checker.catalog(&file.providers));
    Config {
        proxy,
        admin,
        secrets,
        timeouts: listeners::timeouts(&file.timeouts),
        log,
        traces,
        pushed_metrics,
        alerts,
        limits: file.limits,
        failover: file.failover.unwrap_or(true),
        key_selection: file.key_selection.unwrap_or_default(),
        cache_hints: file.cache_hints.unwrap_or(true),
        retry: Retry::default().with(&file.retry),
        kept_answers,
        ledger,
        accounts,
        providers: file.providers,
        catalog,
        feeds,
        configurations: file.configurations,
        budgets: file.budgets,
        access_keys,
        demo,
        warnings: Vec::new(),
        sources: Sources::default(),
    }
}
