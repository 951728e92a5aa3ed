//! The YAML of what was imported.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_config::catalog::{BaseUrl, Catalog};

use super::plan::{Details, Endpoint, Model, Provider};
use super::{Import, Note};

/// A configuration as text.
pub struct Written {
    pub text: String,
    /// How many remarks are in it.
    pub notes: usize,
    /// The variables of the environment that it refers to.
    pub variables: Vec<String>,
}

/// Longest line of a comment.
const WIDTH: usize = 110;

/// Writes a configuration: valid, if what the file says can be said.
pub fn yaml(import: &Import, providers: &[Provider], file: &str) -> Written {
    let mut out = Out::default();
    let file: String = file.chars().filter(|c| !c.is_control()).collect();
    out.comment(
        0,
        &format!(
            "Imported from {file} ({}). Lines in comments are that file's.",
            import.gateway
        ),
    );
    out.notes(0, &import.settings.notes);
    out.text.push('\n');
    out.settings(import);
    let managed: BTreeSet<&str> = providers
        .iter()
        .filter(|provider| import.settings.budget.is_some() && is_priced(provider))
        .map(|provider| provider.id.as_str())
        .collect();
    out.text.push_str(if providers.is_empty() {
        "providers: []\n"
    } else {
        "providers:\n"
    });
    for provider in providers {
        out.provider(
            provider,
            managed.contains(provider.id.as_str()),
            import.settings.budget.is_some(),
        );
    }
    out.configuration(import, providers, &managed);
    out.comment(0, &format!(
        "What applications send: `tollgate key new --id app --configuration {}` prints an entry for each.",
        import.configuration
    ));
    out.text.push_str("access_keys: []\n");
    Written {
        variables: variables(&out.text),
        notes: out.notes,
        text: out.text,
    }
}

/// Every `${NAME` of a text, once.
fn variables(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let references = lines.flat_map(|line| line.split("${").skip(1));
    let names = references.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether each of a provider's models has a price, so that credits can pay it.
fn is_priced(provider: &Provider) -> bool {
    let catalog = Catalog::built_in();
    let known = provider
        .built_in
        .then(|| catalog.provider(&provider.id))
        .flatten();
    let priced = |model: &Model| {
        let known = known.and_then(|known| known.model(&model.id));
        !model.details.prices.is_empty()
            || known.is_some_and(|known| !known.prices.standard.is_empty())
    };
    provider.open.is_none() && !provider.endpoint.keyless && provider.models.iter().all(priced)
}

/// Text as it is written: a JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list<'t>(items: impl IntoIterator<Item = &'t String>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// Names as they are: a dollar sign begins no reference.
fn escaped(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.replace('$', "$$")).collect()
}

fn flow(members: &BTreeMap<&'static str, String>) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    format!("{{ {} }}", members.join(", "))
}

/// A provider's key of a variable, as it is called.
fn key_id(provider: &Provider, variable: &str) -> String {
    let at = provider
        .variables
        .iter()
        .position(|other| other == variable);
    format!("{}-key-{}", provider.id, at.unwrap_or_default() + 1)
}

#[derive(Default)]
struct Out {
    text: String,
    notes: usize,
}

impl Out {
    fn line(&mut self, indent: usize, line: &str) {
        self.text.push_str(&format!("{:indent$}{line}\n", ""));
    }

    /// A comment in lines of a bounded length.
    fn comment(&mut self, indent: usize, words: &str) {
        let mut line = String::from("#");
        for word in words.split_whitespace() {
            if line.chars().count() + word.chars().count() + indent >= WIDTH && line.len() > 1 {
                self.line(indent, &line);
                line = String::from("#  ");
            }
            line.push(' ');
            line.extend(word.chars().filter(|c| !c.is_control()));
        }
        self.line(indent, &line);
    }

    fn notes(&mut self, indent: usize, notes: &[Note]) {
        self.notes += notes.len();
        for note in notes {
            match note.line {
                Some(line) => self.comment(indent, &format!("line {line}: {}", note.words)),
                None => self.comment(indent, &note.words),
            }
        }
    }

    fn settings(&mut self, import: &Import) {
        let settings = &import.settings;
        self.comment(
            0,
            "Requests are counted, and none is refused for want of prepaid credits.",
        );
        self.line(0, "ledger: { credits: metered, processing_fee: 0 }");
        for (section, members) in [("proxy", &settings.proxy), ("timeouts", &settings.timeouts)] {
            if !members.is_empty() {
                self.line(0, &format!("{section}: {}", flow(members)));
            }
        }
        if let Some(retries) = settings.retries {
            self.line(0, &format!("retry: {{ same: {retries} }}"));
        }
        self.text.push('\n');
    }

    fn provider(&mut self, provider: &Provider, managed: bool, counted: bool) {
        self.notes(2, &provider.notes);
        self.line(2, &format!("- id: {}", quoted(&provider.id)));
        if !provider.built_in {
            self.endpoint(&provider.endpoint);
        }
        if !provider.endpoint.headers.is_empty() {
            let headers = provider.endpoint.headers.iter();
            let headers: Vec<String> = headers
                .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)))
                .collect();
            self.line(4, &format!("headers: {{ {} }}", headers.join(", ")));
        }
        if !provider.endpoint.timeouts.is_empty() {
            self.line(
                4,
                &format!("timeouts: {}", flow(&provider.endpoint.timeouts)),
            );
        }
        if counted && !managed {
            let why = "no price is known of every model here, so the budget does not count what they cost";
            self.notes(4, &[Note::general(why)]);
        }
        if !provider.variables.is_empty() {
            self.line(4, if managed { "managed_keys:" } else { "keys:" });
            for variable in &provider.variables {
                let (id, value) = (
                    quoted(&key_id(provider, variable)),
                    quoted(&format!("${{{variable}:-}}")),
                );
                self.line(6, &format!("- {{ id: {id}, value: {value} }}"));
            }
        }
        if !provider.models.is_empty() {
            self.line(4, "models:");
        }
        for model in &provider.models {
            // What was said of the provider is not said again.
            let said = |note: &&Note| !provider.notes.contains(note);
            let notes: Vec<Note> = model.notes.iter().filter(said).cloned().collect();
            self.notes(6, &notes);
            self.line(6, &format!("- id: {}", quoted(&model.id)));
            if !model.aliases.is_empty() {
                self.line(8, &format!("aliases: {}", list(&escaped(&model.aliases))));
            }
            self.details(&model.details);
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        let catalog = Catalog::built_in();
        let known = match &endpoint.base_url {
            None => catalog.provider(&endpoint.name),
            Some(url) => {
                self.line(4, &format!("base_url: {}", quoted(url)));
                None
            }
        };
        if let Some(known) = known {
            self.line(4, &format!("base_url: {}", quoted(&url(&known.base_url))));
        }
        if endpoint.keyless {
            self.line(4, "auth: none");
        } else if let Some(auth) = endpoint.auth {
            self.line(4, &format!("auth: {auth}"));
        }
        let surfaces: Vec<String> = match known {
            Some(known) => known
                .surfaces
                .iter()
                .map(|surface| surface.name().to_owned())
                .collect(),
            None => endpoint.surfaces.iter().map(ToString::to_string).collect(),
        };
        self.line(4, &format!("surfaces: [{}]", surfaces.join(", ")));
        let vendor = match known {
            Some(known) => known.vendor.and_then(|vendor| {
                serde_json::to_value(vendor)
                    .ok()?
                    .as_str()
                    .map(str::to_owned)
            }),
            None => endpoint.vendor.clone(),
        };
        if let Some(vendor) = vendor {
            self.line(4, &format!("vendor: {vendor}"));
        }
        if endpoint.chat_extensions {
            self.line(4, "chat_extensions: true");
        }
        if let Some(known) = known
            && !known.unsupported_parameters.is_empty()
        {
            self.line(
                4,
                &format!(
                    "unsupported_parameters: {}",
                    list(&known.unsupported_parameters)
                ),
            );
        }
    }

    fn details(&mut self, details: &Details) {
        if let Some(most) = details.max_output_tokens {
            self.line(8, &format!("max_output_tokens: {most}"));
        }
        if !details.unsupported.is_empty() {
            self.line(
                8,
                &format!("unsupported_parameters: {}", list(&details.unsupported)),
            );
        }
        if !details.timeouts.is_empty() {
            self.line(8, &format!("timeouts: {}", flow(&details.timeouts)));
        }
        if !details.prices.is_empty() {
            self.line(8, &format!("prices: {}", flow(&details.prices)));
        }
    }

    /// What access keys may call, with which keys, and how much.
    fn configuration(&mut self, import: &Import, providers: &[Provider], managed: &BTreeSet<&str>) {
        self.text.push('\n');
        self.line(0, "configurations:");
        self.line(2, &format!("- id: {}", import.configuration));
        let is_open = |provider: &Provider| provider.open.is_some();
        if providers.iter().any(is_open) {
            if !providers.iter().all(is_open) {
                let why = "a list of models cannot name all of a provider's, so each provider is allowed whole";
                self.notes(4, &[Note::general(why)]);
            }
            let ids: Vec<&String> = providers.iter().map(|provider| &provider.id).collect();
            self.line(
                4,
                &format!("access: {{ providers: {{ allow: {} }} }}", list(ids)),
            );
        } else {
            self.line(4, "access:");
            self.line(6, "models:");
            let any = providers.iter().any(|provider| !provider.models.is_empty());
            self.line(8, if any { "allow:" } else { "allow: []" });
            for provider in providers {
                for model in &provider.models {
                    self.line(
                        10,
                        &format!("- {}", quoted(&format!("{}:{}", provider.id, model.id))),
                    );
                }
            }
        }
        let own = |provider: &&Provider| {
            let all = |keys: &Vec<String>| *keys == provider.variables;
            let listed = provider.models.iter().map(|model| &model.variables);
            !listed.chain(&provider.open).all(all)
        };
        let some: Vec<&Provider> = providers.iter().filter(own).collect();
        if !some.is_empty() {
            self.line(4, "router:");
            self.line(6, "rules:");
        }
        for provider in some {
            let kind = match managed.contains(provider.id.as_str()) {
                true => "managed",
                false => "user",
            };
            let steps = |variables: &[String]| {
                let ids: Vec<String> = variables
                    .iter()
                    .map(|variable| key_id(provider, variable))
                    .collect();
                format!("[{{ type: {kind}, keys: {} }}]", list(&ids))
            };
            for model in &provider.models {
                let target = quoted(&format!("{}:{}", provider.id, model.id));
                let steps = steps(&model.variables);
                self.line(8, &format!("- {{ model: {target}, steps: {steps} }}"));
            }
            if let Some(open) = &provider.open {
                let (target, steps) = (quoted(&provider.id), steps(open));
                self.line(8, &format!("- {{ provider: {target}, steps: {steps} }}"));
            }
        }
        if let Some((usd, per)) = &import.settings.budget {
            self.line(
                4,
                &format!("limits: {{ budget: {{ usd: {usd}, per: {per} }} }}"),
            );
        }
        self.text.push('\n');
    }
}

/// A built-in provider's URL as it is written.
fn url(base: &BaseUrl) -> String {
    let scheme = if base.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", base.authority, base.path)
}
