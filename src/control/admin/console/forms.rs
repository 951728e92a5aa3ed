//! Fields of forms: each with its label, its hint, and what is wrong with what was typed.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::api::Fault;
use super::visit::Visit;

/// A form while it is filled in: what is in its fields, and what is wrong with them.
pub(super) struct Form<'a> {
    visit: &'a Visit,
    fault: Option<&'a Fault>,
    /// What its fields begin with, by their names.
    begin: Vec<(&'a str, &'a str)>,
    /// Whether they have that also when it was refused: it is sent as a query.
    is_query: bool,
}

impl<'a> Form<'a> {
    /// A form as `begin` has it, or as it was sent when it was refused.
    pub(super) fn new<N: AsRef<str>>(
        visit: &'a Visit,
        fault: Option<&'a Fault>,
        begin: &'a [(N, String)],
    ) -> Form<'a> {
        let begin = begin.iter();
        Form {
            visit,
            fault,
            begin: begin
                .map(|(name, value)| (name.as_ref(), &**value))
                .collect(),
            is_query: false,
        }
    }

    /// A form that is sent as a query: always as `begin` has it.
    pub(super) fn asked(
        visit: &'a Visit,
        fault: Option<&'a Fault>,
        begin: &'a [(&'a str, String)],
    ) -> Form<'a> {
        let is_query = true;
        Form {
            is_query,
            ..Form::new(visit, fault, begin)
        }
    }

    fn value(&self, name: &str) -> &str {
        if self.fault.is_some() && !self.is_query {
            return self.visit.sent(name);
        }
        let found = self.begin.iter().find(|(found, _)| *found == name);
        found.map_or("", |(_, value)| *value)
    }

    /// Whether a field has something in it, or something is wrong with it.
    pub(super) fn says(&self, name: &str) -> bool {
        !self.value(name).is_empty() || self.wrong(name).is_some()
    }

    /// What is wrong with a field, or with what is inside it.
    fn wrong(&self, name: &str) -> Option<&str> {
        let inside = |field: &str| {
            field == name
                || field
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        let mut details = self.fault?.details.iter();
        details
            .find(|(field, _)| inside(field))
            .map(|(_, what)| &**what)
    }

    fn field(
        &self,
        name: &str,
        label: &str,
        hint: &str,
        input: impl FnOnce(&str, Option<&str>) -> Markup,
    ) -> Markup {
        let wrong = self.wrong(name);
        let (fault, help) = (format!("{name}-fault"), format!("{name}-hint"));
        let described = [(wrong.is_some(), &fault), (!hint.is_empty(), &help)];
        let described: Vec<&str> = described
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, id)| id.as_str())
            .collect();
        html! {
            div.field {
                label for=(name) { (label) }
                (input(&described.join(" "), wrong.map(|_| "true")))
                @if let Some(wrong) = wrong { p.fault id=(fault) { (wrong) } }
                @if !hint.is_empty() { p.hint id=(help) { (hint) } }
            }
        }
    }

    /// One line. `required`: the browser asks for it, too.
    pub(super) fn line(&self, name: &str, label: &str, hint: &str, required: bool) -> Markup {
        self.field(name, label, hint, |described, invalid| html! {
            input id=(name) name=(name) type="text" value=(self.value(name)) required[required] autocomplete="off"
                aria-describedby=[some(described)] aria-invalid=[invalid] autofocus[invalid.is_some()];
        })
    }

    /// One line that is not shown while it is typed, and never again.
    pub(super) fn secret(&self, name: &str, label: &str, hint: &str) -> Markup {
        self.field(name, label, hint, |described, invalid| {
            html! {
                input id=(name) name=(name) type="password" required autocomplete="off"
                    aria-describedby=[some(described)] aria-invalid=[invalid] autofocus[invalid.is_some()];
            }
        })
    }

    /// Several lines.
    pub(super) fn lines(&self, name: &str, label: &str, hint: &str) -> Markup {
        self.field(name, label, hint, |described, invalid| {
            html! {
                textarea id=(name) name=(name) rows="5" spellcheck="false" autocomplete="off"
                    aria-describedby=[some(described)] aria-invalid=[invalid] autofocus[invalid.is_some()] { (self.value(name)) }
            }
        })
    }

    /// One of several; each with its value and its words.
    pub(super) fn choice(
        &self,
        name: &str,
        label: &str,
        hint: &str,
        choices: &[(&str, &str)],
    ) -> Markup {
        let now = self.value(name);
        self.field(name, label, hint, |described, invalid| html! {
            select id=(name) name=(name) aria-describedby=[some(described)] aria-invalid=[invalid] autofocus[invalid.is_some()] {
                @for (value, words) in choices { option value=(value) selected[*value == now] { (words) } }
            }
        })
    }

    /// What is wrong besides the fields with these names.
    pub(super) fn others(&self, names: &[&str]) -> Markup {
        let Some(fault) = self.fault else {
            return html! {};
        };
        let shown = |field: &String| {
            names.iter().any(|name| {
                field
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        html! {
            div.fault role="alert" {
                p { @if fault.details.is_empty() { (fault.msg) } @else { "Something is not valid, and nothing was changed; see the fields." } }
                @for (field, what) in fault.details.iter().filter(|(field, _)| !shown(field)) {
                    p { code { (field) } " " (what) }
                }
            }
        }
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The lines of a field of several; no empty ones.
pub(super) fn split(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

/// Puts a field's text into a body, if there is any.
pub(super) fn put(body: &mut Map<String, Value>, name: &str, text: &str) {
    if !text.is_empty() {
        body.insert(name.to_owned(), text.into());
    }
}

/// Puts a field's text into a body, as what clears the member if there is none.
pub(super) fn put_or_clear(body: &mut Map<String, Value>, name: &str, text: &str) {
    let value = if text.is_empty() {
        Value::Null
    } else {
        text.into()
    };
    body.insert(name.to_owned(), value);
}

/// A field's text as a number; as it is if it is none, so that the API says what it must be.
pub(super) fn number(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| text.into(), Value::from)
}
