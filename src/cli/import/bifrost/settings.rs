//! The sections beside the providers: what has a counterpart, and a remark for what has none.

use tollgate_config::foreign::Node;

use super::super::{Note, Settings};

/// The sections beside the providers.
pub fn read(top: &Node<'_>, settings: &mut Settings) {
    for (section, node) in top.members() {
        match section {
            "providers" | "$schema" | "version" => {}
            "client" => client(&node, settings),
            "governance" => governance(&node, settings),
            "encryption_key" => note(
                settings,
                &node,
                "`encryption_key`: credentials are sealed with TOLLGATE_MASTER_KEY",
            ),
            "config_store" | "logs_store" => note(
                settings,
                &node,
                format!(
                    "`{section}`: money, keys and usage are kept in SQLite or Redis (`ledger.bank`); what is only in that store must be made anew"
                ),
            ),
            _ => note(settings, &node, format!("`{section}` has no counterpart")),
        }
    }
}

fn client(client: &Node<'_>, settings: &mut Settings) {
    let mut lost = Vec::new();
    for (name, value) in client.members() {
        match name {
            "max_request_body_size_mb" => {
                if let Some(size) = value.value().as_u64().filter(|size| *size > 0) {
                    settings.proxy.insert("max_body", format!("{size}MiB"));
                }
            }
            "allowed_origins" => {
                let items = value.items();
                let origins: Vec<String> = items
                    .iter()
                    .filter_map(Node::text)
                    .map(|origin| serde_json::Value::from(origin).to_string())
                    .collect();
                if !origins.is_empty() {
                    settings
                        .proxy
                        .insert("cors", format!("{{ origins: [{}] }}", origins.join(", ")));
                }
            }
            _ => lost.push(format!("`{name}`")),
        }
    }
    if !lost.is_empty() {
        note(
            settings,
            client,
            format!("`client` says without a counterpart: {}", lost.join(", ")),
        );
    }
}

/// Callers: their keys cannot be taken over, since only digests of ours are kept.
fn governance(governance: &Node<'_>, settings: &mut Settings) {
    for (name, value) in governance.members() {
        match name {
            "virtual_keys" => {
                for key in value.items() {
                    let id = ["name", "id"].iter().find_map(|name| key.get(name)?.text());
                    let words = format!(
                        "the virtual key `{}` must be made anew (`tollgate key new`), with a configuration of its own where it allows less, and `limits` where it has a budget or a rate limit",
                        id.unwrap_or("without a name")
                    );
                    note(settings, &key, words);
                }
            }
            "budgets" | "rate_limits" => note(
                settings,
                &value,
                format!(
                    "`{name}` are `limits` of access keys and configurations, for a minute, a day, a month or in total"
                ),
            ),
            "auth_config" => note(
                settings,
                &value,
                "`auth_config`: the admin API is called with API keys; the first one is TOLLGATE_ADMIN_KEY",
            ),
            _ => note(
                settings,
                &value,
                format!("`governance.{name}` has no counterpart"),
            ),
        }
    }
}

fn note(settings: &mut Settings, node: &Node<'_>, words: impl Into<String>) {
    settings.notes.push(Note::at(node.line(), words));
}
