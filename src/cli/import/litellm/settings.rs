//! The sections beside `model_list`: what has a counterpart, and a remark for each thing that has none.

use tollgate_config::foreign::Node;
use tollgate_config::units::Usd;

use super::super::reader::Reader;
use super::super::values::{seconds, with_total};

/// What is there instead of a setting.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["master_key"],
        "the admin API's first key is the environment variable TOLLGATE_ADMIN_KEY; applications get keys of their own",
    ),
    (
        &[
            "database_url",
            "store_model_in_db",
            "use_prisma_migrate",
            "database_connection_pool_limit",
            "proxy_batch_write_at",
        ],
        "money and keys are kept in SQLite or Redis (`ledger.bank`); keys, teams and models in LiteLLM's database must be made anew",
    ),
    (
        &[
            "redis_host",
            "redis_port",
            "redis_password",
            "redis_url",
            "redis_db",
            "redis_startup_nodes",
        ],
        "several gateways share limits, cool-downs and credits by `ledger: { bank: redis, redis: { url: … } }`",
    ),
    (
        &[
            "cache",
            "cache_params",
            "cache_responses",
            "enable_redis_auth_cache",
        ],
        "answers are not cached",
    ),
    (
        &[
            "callbacks",
            "success_callback",
            "failure_callback",
            "service_callbacks",
            "alerting",
            "alerting_threshold",
            "alert_to_webhook_url",
            "alerting_args",
        ],
        "usage events, /metrics and the access log tell what happens; deploy/prometheus has alerts",
    ),
    (
        &[
            "set_verbose",
            "json_logs",
            "debug",
            "detailed_debug",
            "log_level",
        ],
        "TOLLGATE_LOG says how much is logged; bodies never are",
    ),
    (
        &["routing_strategy", "routing_strategy_args"],
        "candidates are tried in the order of the file, by `order` and then the heaviest `weight`; what fails cools down",
    ),
    (
        &[
            "allowed_fails",
            "allowed_fails_policy",
            "cooldown_time",
            "disable_cooldowns",
            "enable_cooldowns",
            "retry_after",
            "retry_policy",
            "max_retries",
        ],
        "what cools down, and for how long, follows the error and `Retry-After`",
    ),
    (
        &[
            "enable_pre_call_checks",
            "optional_pre_call_checks",
            "context_window_fallback_dict",
        ],
        "a model that refuses a prompt as too long is followed by the next one",
    ),
    (
        &["custom_auth", "enable_jwt_auth", "litellm_jwtauth"],
        "callers are known by access keys alone",
    ),
];

/// What needs no remark: it is read elsewhere, or is how it is here.
const SILENT: &[&str] = &[
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "default_fallbacks",
    "model_group_alias",
    "drop_params",
    "telemetry",
    "request_timeout",
    "timeout",
    "stream_timeout",
    "num_retries",
    "max_budget",
    "budget_duration",
    "max_request_size_mb",
    "global_max_parallel_requests",
    "turn_off_message_logging",
];

/// Reads all sections but the models.
pub fn read(top: &Node<'_>, reader: &mut Reader) {
    let sections = ["litellm_settings", "router_settings", "general_settings"];
    for (section, node) in top.members() {
        match section {
            "model_list" | "credential_list" => {}
            "environment_variables" => {
                let names: Vec<&str> = node.members().iter().map(|(name, _)| *name).collect();
                if !names.is_empty() {
                    let words = format!(
                        "set in the environment what stands under `environment_variables`: {}",
                        names.join(", ")
                    );
                    reader.note(&node, words);
                }
            }
            _ if sections.contains(&section) => section_of(section, &node, reader),
            _ => reader.note(&node, format!("`{section}` has no counterpart")),
        }
    }
    with_total(&mut reader.settings.timeouts);
}

fn section_of(section: &str, node: &Node<'_>, reader: &mut Reader) {
    let mut said: Vec<usize> = Vec::new();
    let mut lost: Vec<String> = Vec::new();
    for (name, value) in node.members() {
        match name {
            // The router's own wins over the library's.
            "request_timeout" | "timeout" => {
                if let Some(span) = seconds(value.value()) {
                    let timeouts = &mut reader.settings.timeouts;
                    timeouts.insert("whole_answer", span.clone());
                    timeouts.entry("per_request").or_insert(span);
                }
            }
            "stream_timeout" => {
                if let Some(span) = seconds(value.value()) {
                    reader.settings.timeouts.insert("per_request", span);
                }
            }
            "num_retries" => {
                let asked = value.value().as_u64().unwrap_or(0);
                let note = reader.retries(&value, "`num_retries`", asked);
                reader.settings.notes.extend(note);
            }
            "max_budget" if section == "litellm_settings" => budget(node, &value, reader),
            "max_request_size_mb" => reader.max_body(&value),
            "global_max_parallel_requests" => {
                if let Some(most) = value.value().as_u64() {
                    let proxy = &mut reader.settings.proxy;
                    proxy.insert("max_in_flight", most.to_string());
                }
            }
            _ if SILENT.contains(&name) => {}
            _ => match INSTEAD.iter().position(|(names, _)| names.contains(&name)) {
                Some(at) if said.contains(&at) => {}
                Some(at) => {
                    said.push(at);
                    reader.note(&value, format!("`{section}.{name}`: {}", INSTEAD[at].1));
                }
                None => lost.push(format!("`{name}`")),
            },
        }
    }
    if !lost.is_empty() {
        let words = format!(
            "`{section}` says without a counterpart: {}",
            lost.join(", ")
        );
        reader.note(node, words);
    }
}

/// `max_budget` for `budget_duration`, of the whole proxy.
fn budget(section: &Node<'_>, value: &Node<'_>, reader: &mut Reader) {
    let text = match value.text() {
        Some(text) => text.to_owned(),
        None => value.value().to_string(),
    };
    let Some(usd) = text.parse::<Usd>().ok().filter(|usd| usd.micros() > 0) else {
        let words = "`max_budget` is no amount of dollars that can be limited";
        return reader.note(value, words);
    };
    let per = match section.text_of("budget_duration") {
        None => "total",
        Some("1d" | "24h") => "day",
        Some("7d" | "1w") => "week",
        Some("30d" | "1mo" | "31d") => "month",
        Some(other) => {
            let words = format!(
                "there is no budget for `{}`: the one below is for a month",
                super::short(other)
            );
            reader.note(value, words);
            "month"
        }
    };
    if matches!(per, "week" | "month") {
        let words = "weeks and months of budgets are the calendar's, UTC";
        reader.note(value, words);
    }
    reader.settings.budget = Some((usd.to_string(), per));
}
