//! Values of another gateway's file: references to the environment, keys, addresses, headers, times.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tollgate_config::Fault;
use tollgate_config::catalog::BaseUrl;
use tollgate_config::foreign::Node;
use tollgate_config::units::Span;

use super::Note;

/// Headers whose values are no secret.
const PLAIN: [&str; 7] = [
    "http-referer",
    "x-title",
    "user-agent",
    "anthropic-beta",
    "anthropic-version",
    "openai-organization",
    "openai-project",
];

/// Values that stand for no key.
const NO_KEY: [&str; 12] = [
    "none",
    "null",
    "dummy",
    "empty",
    "fake",
    "fake-key",
    "no-key",
    "not-needed",
    "na",
    "n/a",
    "anything",
    "ollama",
];

/// The values of one file.
pub struct Values {
    /// What stands before a variable's name where one is referred to.
    reference: &'static str,
    /// Keys that stand in the file, so that one key is one variable.
    literals: Vec<(String, String)>,
}

impl Values {
    /// Returns a reader of files that refer to variables by this in front of their names.
    pub fn new(reference: &'static str) -> Values {
        Values {
            reference,
            literals: Vec::new(),
        }
    }

    /// Returns text as our YAML says it: a reference to the environment, or itself.
    pub fn text(&self, value: &str) -> String {
        match self.variable(value) {
            Some(name) => format!("${{{name}}}"),
            None => value.replace('$', "$$"),
        }
    }

    /// Returns the variable that a value refers to, as it may be called here.
    pub fn variable(&self, value: &str) -> Option<String> {
        let name = value.strip_prefix(self.reference)?;
        // `${NAME}`, and `${NAME:-otherwise}`.
        let name = name
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
            .unwrap_or(name);
        let name = name.split(':').next().unwrap_or_default();
        let plain = |c: char| match c {
            c if c.is_ascii_alphanumeric() || c == '_' => c,
            _ => '_',
        };
        let name: String = name.trim().chars().map(plain).collect();
        let digit = name.bytes().next().is_none_or(|b| b.is_ascii_digit());
        Some(if digit { format!("_{name}") } else { name })
    }

    /// Returns an address as our YAML says it.
    ///
    /// # Errors
    /// That it is none, or carries a credential: a fault at its place.
    pub fn base(&self, at: &Node<'_>, notes: &mut Vec<Note>) -> Result<String, Fault> {
        let hint = "write https://host, or https://host:port/path";
        let base = at
            .text()
            .ok_or_else(|| at.fault("the address is no text", hint))?;
        if self.variable(base).is_some() {
            return Ok(self.text(base));
        }
        let (address, query) = base.split_once('?').unwrap_or((base, ""));
        if !query.is_empty() {
            notes.push(Note::at(at.line(), "the query of the address is left out"));
        }
        match BaseUrl::parse(&address.replace('$', "")) {
            Ok(_) => Ok(self.text(address)),
            Err(why) => Err(at.fault(why, "correct it, or remove the entry")),
        }
    }

    /// Returns the variable that takes the place of a key that stands in a line of the file, which is remarked.
    pub fn moved(
        &mut self,
        key: &str,
        provider: &str,
        line: usize,
        notes: &mut Vec<Note>,
    ) -> String {
        let variable = self.literal(key, provider);
        let words =
            format!("a key stands in the file: put it into the environment variable {variable}");
        notes.push(Note::at(line, words));
        variable
    }

    /// Returns the variable that takes the place of a key.
    pub fn literal(&mut self, value: &str, provider: &str) -> String {
        if let Some((_, name)) = self.literals.iter().find(|(known, _)| known == value) {
            return name.clone();
        }
        let provider = provider
            .to_ascii_uppercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let stem = format!("IMPORTED_{provider}_KEY");
        let taken = |name: &String| self.literals.iter().any(|(_, known)| known == name);
        let mut names = (1_u32..).map(|number| format!("{stem}_{number}"));
        let name = names.find(|name| !taken(name)).unwrap_or(stem);
        self.literals.push((value.to_owned(), name.clone()));
        name
    }

    /// Adds headers that go with every request: values that may be secret become references.
    pub fn headers(
        &self,
        node: &Node<'_>,
        headers: &mut BTreeMap<String, String>,
        notes: &mut Vec<Note>,
    ) {
        for (name, node) in node.members() {
            let lower = name.to_ascii_lowercase();
            let Some(value) = node.text() else { continue };
            if [
                "authorization",
                "api-key",
                "x-api-key",
                "cookie",
                "proxy-authorization",
            ]
            .contains(&&*lower)
            {
                notes.push(Note::at(
                    node.line(),
                    format!(
                        "the header `{lower}` is left out: `keys` and `auth` say what goes there"
                    ),
                ));
            } else if self.variable(value).is_some() || PLAIN.contains(&&*lower) {
                headers.insert(lower, self.text(value));
            } else {
                let variable = lower
                    .to_ascii_uppercase()
                    .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                let words = format!(
                    "the header `{lower}` takes its value from the environment variable HEADER_{variable}"
                );
                notes.push(Note::at(node.line(), words));
                headers.insert(lower, format!("${{HEADER_{variable}}}"));
            }
        }
    }
}

/// Returns whether a value stands for no key, as people write where a server wants none.
pub fn is_no_key(value: &str) -> bool {
    NO_KEY
        .iter()
        .any(|none| none.eq_ignore_ascii_case(value.trim()))
}

/// Seconds, as a number or as text, as a duration of ours.
pub fn seconds(value: &Value) -> Option<String> {
    let seconds = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    let known = seconds.is_finite() && seconds > 0.0 && seconds < 1e7;
    known.then(|| {
        let millis = Duration::from_secs_f64(seconds).as_millis().max(1);
        match millis % 1000 {
            0 => format!("{}s", millis / 1000),
            _ => format!("{millis}ms"),
        }
    })
}

/// Returns the timeouts of whole answers that take no longer than `span`.
pub fn whole_answer(span: &str) -> BTreeMap<&'static str, String> {
    let members = ["whole_answer", "per_request"].map(|name| (name, span.to_owned()));
    let mut timeouts = BTreeMap::from(members);
    with_total(&mut timeouts);
    timeouts
}

/// The time within which attempts begin must not end before the first of them has had its own.
pub fn with_total(timeouts: &mut BTreeMap<&'static str, String>) {
    let usual = Duration::from_secs(120);
    let first = timeouts.get("per_request").cloned();
    if let Some(first) = first.filter(|span| span.parse::<Span>().is_ok_and(|span| span.0 > usual))
    {
        timeouts.insert("total", first);
    }
}
