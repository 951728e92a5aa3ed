//! An alert, and what tells it from others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use tollgate_base::random;
use tollgate_config::types::AlertEvent;

/// What operators are told. Stored as JSON: members may be added, and unknown ones are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Unique; the same each time that it is sent.
    pub id: String,
    /// What it is about, as in the configuration: `budget`; `test` if nothing is.
    pub event: String,
    /// Whose matter it is; `None` is the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it is about, as in `key:app/budget_per_month`.
    pub subject: String,
    /// What has happened, in one line.
    pub title: String,
    /// More of it, and what can be done.
    pub text: String,
    /// Figures for programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Alert {
    /// An alert with an id of its own.
    pub fn new(event: &str, subject: &str, title: String, text: String) -> Alert {
        let mut id = "alert-".to_owned();
        random::push_hex96(&mut id);
        Alert {
            id,
            event: event.to_owned(),
            subject: subject.to_owned(),
            title,
            text,
            ..Alert::default()
        }
    }

    /// With the account whose matter it is.
    #[must_use]
    pub fn of(mut self, account: &str) -> Alert {
        self.account = Some(account.to_owned());
        self
    }

    /// With a figure for programs.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl ToString) -> Alert {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    /// An alert that says nothing but that a channel works.
    pub fn test() -> Alert {
        Alert::new(
            "test",
            "alerts",
            "A test of Tollgate's alerts".to_owned(),
            "This channel works. Nothing has happened, and nothing need be done.".to_owned(),
        )
    }
}

/// An alert to raise, unless it was raised in its period already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What it is about.
    pub event: AlertEvent,
    /// Its name: while one of this name holds, it is not raised again. Names after the first say what need not be raised any
    /// more either, such as lower thresholds.
    pub names: Vec<String>,
    /// Until when the names hold (Unix time, ms).
    pub until_ms: u64,
    /// What is told.
    pub alert: Alert,
}
