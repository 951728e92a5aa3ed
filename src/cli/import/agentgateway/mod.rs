//! agentgateway's file: models by their names (`llm`), or HTTP routes to AI backends (`binds`, `routes`).
//!
//! Facts: <https://agentgateway.dev/docs/standalone/latest/>, its schema at <https://agentgateway.dev/schema/config>.

mod models;
mod routes;

use std::collections::BTreeMap;

use tollgate_config::Faults;
use tollgate_config::foreign::{Foreign, Node};
use tollgate_config::units::Span;

use super::plan::Route;
use super::reader::Reader;
use super::target::Target;
use super::values::whole_answer;
use super::{Import, Note};

/// Reads a configuration.
///
/// # Errors
///
/// Everything in it that cannot be read, with its line.
pub fn read(foreign: &Foreign) -> Result<Import, Faults> {
    let top = foreign.top();
    let mut reader = Reader::new("$");
    if top.get("apiVersion").is_some() {
        let hint = "give the file of `agentgateway -f`; a resource's `spec` has another form";
        reader
            .faults
            .push(top.fault("this is a resource of Kubernetes", hint));
    } else if !["llm", "binds", "routes"]
        .iter()
        .any(|name| top.get(name).is_some())
    {
        let hint = "give the file of `agentgateway -f`, which has `llm`, `binds` or `routes`";
        reader.faults.push(top.fault(
            "this is no configuration of agentgateway's for models",
            hint,
        ));
    }
    for (section, node) in top.members() {
        match section {
            "llm" => reader.models(&node),
            "routes" => reader.routes(&node),
            "binds" => {
                let binds = node.items();
                for listener in binds.iter().flat_map(|bind| bind.items_of("listeners")) {
                    if let Some(routes) = listener.get("routes") {
                        reader.routes(&routes);
                    }
                }
                reader.note(&node, "`binds`: ports and certificates are said in `proxy`");
            }
            "gateways" => reader.note(
                &node,
                "`gateways`: ports and certificates are said in `proxy`",
            ),
            "config" | "frontendPolicies" | "ui" | "services" | "workloads" => {
                reader.note(&node, format!("`{section}` has no counterpart"));
            }
            "mcp" | "backends" => {
                reader.note(
                    &node,
                    format!("`{section}`: only what serves models is taken over"),
                );
            }
            _ => reader.note(&node, format!("`{section}` has no counterpart")),
        }
    }
    reader.done("agentgateway", "agentgateway")
}

/// What is said of one provider, wherever it stands.
struct Said<'t, 'f> {
    at: &'t Node<'f>,
    /// A word, or an object with one member.
    provider: Option<Node<'f>>,
    key: Option<Node<'f>>,
    base: Option<Node<'f>>,
    /// An address without its scheme, and whether TLS is spoken there.
    host: Option<(String, bool)>,
    model: Option<&'t str>,
    timeouts: BTreeMap<&'static str, String>,
    notes: Vec<Note>,
}

impl Reader {
    /// Adds what serves all models of a provider.
    fn add_open(&mut self, route: Route) {
        self.add(&format!("{}/*", route.endpoint.name), route);
    }

    /// Makes a route of what is said; without one it is remarked why.
    fn entry(&mut self, said: Said<'_, '_>) -> Option<Route> {
        let (word, own) = match &said.provider {
            None => (String::new(), None),
            Some(node) => match node.text() {
                Some(word) => (word.to_owned(), None),
                None => {
                    let one = node.members().into_iter().next();
                    one.map(|(word, own)| (word.to_owned(), Some(own)))
                        .unwrap_or_default()
                }
            },
        };
        let text = |name: &str| own.as_ref().and_then(|own| own.text_of(name));
        let param = |name: &str| said.at.get("params")?.text_of(name);
        let resource = text("resourceName").or_else(|| param("azureResourceName"));
        let kind = text("resourceType").or_else(|| param("azureResourceType"));
        let address = match (&said.host, resource) {
            (Some((host, true)), _) => Some(format!("https://{host}")),
            (Some((host, false)), _) => Some(format!("http://{host}")),
            (None, Some(resource)) if kind == Some("foundry") => {
                Some(format!("https://{resource}-resource.services.ai.azure.com"))
            }
            (None, Some(resource)) => Some(format!("https://{resource}.openai.azure.com")),
            (None, None) => None,
        };
        let model = text("model").or(said.model);
        let target = Target {
            at: said.at,
            prefix: prefix(&word, own.as_ref()),
            key: said.key.clone(),
            kept: None,
            base: said.base.clone(),
            address,
            model,
        };
        let mut route = self.route(&target, said.notes)?;
        route.endpoint.timeouts = said.timeouts;
        Some(route)
    }

    /// Reads policies: those with a counterpart into `timeouts` and the settings, and a remark for each other one.
    fn policies(
        &mut self,
        policies: Option<&Node<'_>>,
        timeouts: &mut BTreeMap<&'static str, String>,
    ) {
        for (name, node) in policies.into_iter().flat_map(|policies| policies.members()) {
            match name {
                "backendAuth" | "backendTLS" | "ai" | "urlRewrite" => {}
                "timeout" => {
                    let whole = node
                        .get("requestTimeout")
                        .or_else(|| node.get("backendRequestTimeout"));
                    let text = whole.as_ref().and_then(Node::text);
                    if let Some(span) = text.filter(|text| text.parse::<Span>().is_ok()) {
                        timeouts.extend(whole_answer(span));
                    }
                }
                "retry" => {
                    let asked = node
                        .get("attempts")
                        .and_then(|attempts| attempts.value().as_u64());
                    let note = self.retries(&node, "`retry.attempts`", asked.unwrap_or(1));
                    self.settings.notes.extend(note);
                }
                "cors" => {
                    if let Some(origins) = node.get("allowOrigins") {
                        self.origins(&origins);
                    }
                }
                "localRateLimit" | "remoteRateLimit" => {
                    self.note(
                        &node,
                        format!("`{name}`: see `limits` of a configuration, or of an access key"),
                    );
                }
                "apiKey" | "jwtAuth" | "basicAuth" | "authorization" | "extAuthz" => {
                    self.note(&node, format!("`{name}`: applications send access keys"));
                }
                _ => self.note(&node, format!("the policy `{name}` has no counterpart")),
            }
        }
    }
}

/// The provider of agentgateway's by its word there.
fn prefix(word: &str, own: Option<&Node<'_>>) -> &'static str {
    const KNOWN: [(&str, &str); 17] = [
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("gemini", "gemini"),
        ("azure", "azure"),
        ("azureopenai", "azure"),
        ("cohere", "cohere"),
        ("groq", "groq"),
        ("deepseek", "deepseek"),
        ("mistral", "mistral"),
        ("openrouter", "openrouter"),
        ("ollama", "ollama"),
        ("xai", "xai"),
        ("cerebras", "cerebras"),
        ("deepinfra", "deepinfra"),
        ("togetherai", "together_ai"),
        ("together", "together_ai"),
        ("fireworks", "fireworks_ai"),
    ];
    if word == "custom" {
        let formats = own.map_or_else(Vec::new, |own| own.items_of("formats"));
        let has = |kind: &str| {
            let mut kinds = formats.iter().map(|format| format.text_of("type"));
            kinds.any(|format| format == Some(kind))
        };
        return match has("messages") && !has("completions") {
            true => "anthropic",
            false => "custom_openai",
        };
    }
    let known = KNOWN
        .iter()
        .find(|(known, _)| word.eq_ignore_ascii_case(known));
    known.map_or("", |(_, prefix)| prefix)
}

/// `host:port`, as `hostOverride` says it: in one text, or in two members.
fn host(node: &Node<'_>, tls: bool) -> Option<(String, bool)> {
    let text = match node.text() {
        Some(text) => text.to_owned(),
        None => format!(
            "{}:{}",
            node.text_of("host")?,
            node.get("port")?.value().as_u64()?
        ),
    };
    let tls = tls || text.ends_with(":443");
    Some((text, tls))
}
