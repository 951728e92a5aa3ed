//! The sections beside the providers: what has a counterpart, and a remark for what has none.

use tollgate_config::foreign::Node;

use super::super::reader::Reader;

/// The sections beside the providers.
pub fn read(top: &Node<'_>, reader: &mut Reader) {
    for (section, node) in top.members() {
        match section {
            "providers" | "$schema" | "version" => {}
            "client" => client(&node, reader),
            "governance" => governance(&node, reader),
            "encryption_key" => reader.note(&node,
                "`encryption_key`: credentials are sealed with TOLLGATE_MASTER_KEY",
            ),
            "config_store" | "logs_store" => reader.note(&node,
                format!(
                    "`{section}`: money, keys and usage are kept in SQLite or Redis (`ledger.bank`); what is only in that store must be made anew"
                ),
            ),
            _ => reader.note(&node, format!("`{section}` has no counterpart")),
        }
    }
}

fn client(client: &Node<'_>, reader: &mut Reader) {
    let mut lost = Vec::new();
    for (name, value) in client.members() {
        match name {
            "max_request_body_size_mb" => reader.max_body(&value),
            "allowed_origins" => reader.origins(&value),
            _ => lost.push(format!("`{name}`")),
        }
    }
    if !lost.is_empty() {
        reader.note(
            client,
            format!("`client` says without a counterpart: {}", lost.join(", ")),
        );
    }
}

/// Callers: their keys cannot be taken over, since only digests of ours are kept.
fn governance(governance: &Node<'_>, reader: &mut Reader) {
    for (name, value) in governance.members() {
        match name {
            "virtual_keys" => {
                for key in value.items() {
                    let id = ["name", "id"].iter().find_map(|name| key.text_of(name));
                    let words = format!(
                        "the virtual key `{}` must be made anew (`tollgate key new`), with a configuration of its own where it allows less, and `limits` where it has a budget or a rate limit",
                        id.unwrap_or("without a name")
                    );
                    reader.note(&key, words);
                }
            }
            "budgets" | "rate_limits" => reader.note(&value,
                format!(
                    "`{name}` are `limits` of access keys and configurations, for a minute, a day, a month or in total"
                ),
            ),
            "auth_config" => reader.note(&value,
                "`auth_config`: the admin API is called with API keys; the first one is TOLLGATE_ADMIN_KEY",
            ),
            _ => reader.note(&value,
                format!("`governance.{name}` has no counterpart"),
            ),
        }
    }
}
