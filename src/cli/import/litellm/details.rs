//! Times, prices and limits of one model.

use serde_json::{Number, Value};
use tollgate_config::foreign::Node;
use tollgate_config::units::Usd;

use super::super::Note;
use super::super::plan::Details;
use super::super::values::{seconds, with_total};

/// Times, prices and limits of one model.
pub fn details(params: &Node<'_>, info: Option<&Node<'_>>, notes: &mut Vec<Note>) -> Details {
    let mut details = Details::default();
    let span = |name: &str| params.get(name).and_then(|value| seconds(value.value()));
    let (timeout, streamed) = (span("timeout"), span("stream_timeout"));
    if let Some(span) = &timeout {
        details.timeouts.insert("whole_answer", span.clone());
    }
    if let Some(span) = streamed.or(timeout) {
        details.timeouts.insert("per_request", span);
    }
    with_total(&mut details.timeouts);
    for (theirs, ours) in [
        ("input_cost_per_token", "input"),
        ("output_cost_per_token", "output"),
        ("cache_read_input_token_cost", "cached_read"),
        ("cache_creation_input_token_cost", "cache_write"),
    ] {
        let Some(node) = params.get(theirs).or_else(|| info?.get(theirs)) else {
            continue;
        };
        match per_million(node.value()) {
            Some(price) => drop(details.prices.insert(ours, price)),
            None => notes.push(Note::at(
                node.line(),
                format!("`{theirs}` is no price that can be charged"),
            )),
        }
    }
    let most = info.and_then(|info| info.get("max_output_tokens")?.value().as_u64());
    details.max_output_tokens = most.filter(|most| *most > 0);
    for name in ["drop_params", "additional_drop_params"] {
        let list = params.items_of(name);
        let fields = list.iter().filter_map(|field| field.text());
        // Those below the top level are named by a path.
        details.unsupported.extend(
            fields
                .filter(|field| !field.contains(['[', '.']))
                .map(|field| field.replace('$', "$$")),
        );
    }
    details
}

/// Dollars a token as dollars per million, exactly.
fn per_million(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => Number::to_string(number),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let usd: Usd = format!("{mantissa}e{}", exponent.checked_add(6)?)
        .parse()
        .ok()?;
    Some(usd.to_string())
}
