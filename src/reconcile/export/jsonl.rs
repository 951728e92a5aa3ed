//! An object an attempt, one a line: the fields of the admin API's usage events, with exact amounts and all units.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::csv::{answer, is_read, prompt, source};
use super::{Entry, time};
use crate::decimal::show_usd;
use crate::unit::Unit;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    id: &'a str,
    event_time: String,
    request_id: &'a str,
    account: &'a str,
    access_key_id: &'a str,
    surface: &'a str,
    provider: &'a str,
    provider_display_name: &'a str,
    model: &'a str,
    model_display_name: &'a str,
    variant: Option<&'a str>,
    attempt_number: u32,
    is_final_attempt: bool,
    status_code: u16,
    outcome: &'a str,
    is_streaming: bool,
    key_source: &'static str,
    provider_key_id: Option<&'a str>,
    input_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    units: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<&'a str, &'a str>,
    model_cost: String,
    fee: String,
    total_cost: String,
    estimated: bool,
    orphaned: bool,
    assumed: bool,
    latency_ms: u64,
}

pub(super) fn line(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let used = entry.parts.iter().filter(|part| part.quantity > 0);
    let object = Object {
        id: entry.id,
        event_time: time(entry.at_ms),
        request_id: entry.request_id,
        account: entry.account,
        access_key_id: entry.access_key,
        surface: entry.surface,
        provider: entry.provider,
        provider_display_name: entry.provider_name,
        model: entry.model,
        model_display_name: entry.model_name,
        variant: entry.variant,
        attempt_number: entry.attempt,
        is_final_attempt: entry.is_final,
        status_code: entry.status,
        outcome: entry.outcome,
        is_streaming: entry.streaming,
        key_source: source(entry),
        provider_key_id: entry.provider_key,
        input_tokens: prompt(entry),
        cache_read_tokens: entry.sum(is_read),
        cache_write_tokens: entry.sum(Unit::is_cache_write),
        output_tokens: answer(entry),
        reasoning_tokens: entry.sum(|unit| unit == Unit::Reasoning),
        units: used.map(|part| (part.unit.name(), part.quantity)).collect(),
        tags: entry.tags.iter().copied().collect(),
        model_cost: show_usd(entry.cost),
        fee: show_usd(entry.fee),
        total_cost: show_usd(entry.cost + entry.fee),
        estimated: entry.estimated,
        orphaned: entry.orphaned,
        assumed: entry.assumed,
        latency_ms: entry.latency_ms,
    };
    serde_json::to_writer(&mut *out, &object)?;
    out.write_all(b"\n")
}
