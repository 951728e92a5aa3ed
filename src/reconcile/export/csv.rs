//! A row an attempt.

use std::io::{self, Write};

use super::{Entry, line, time};
use crate::decimal::show_usd;
use crate::unit::Unit;

/// The headings. Columns are only added, at the end.
const HEADINGS: [&str; 31] = [
    "time",
    "id",
    "request_id",
    "account",
    "access_key",
    "surface",
    "provider",
    "model",
    "variant",
    "attempt",
    "final",
    "status",
    "outcome",
    "streaming",
    "key_source",
    "provider_key",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "units",
    "model_usd",
    "fee_usd",
    "total_usd",
    "estimated",
    "orphaned",
    "assumed",
    "latency_ms",
    "model_name",
    "tags",
];

pub(super) fn head(out: &mut impl Write) -> io::Result<()> {
    line(out, HEADINGS.into_iter())
}

pub(super) fn row(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let flag = |flag: bool| if flag { "true" } else { "false" };
    let units = entry.parts.iter().filter(|part| part.quantity > 0);
    let units: Vec<String> = units
        .map(|part| format!("{}={}", part.unit.name(), part.quantity))
        .collect();
    let tags: Vec<String> = (entry.tags.iter())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let cells = [
        &time(entry.at_ms),
        entry.id,
        entry.request_id,
        entry.account,
        entry.access_key,
        entry.surface,
        entry.provider,
        entry.model,
        entry.variant.unwrap_or_default(),
        &entry.attempt.to_string(),
        flag(entry.is_final),
        &entry.status.to_string(),
        entry.outcome,
        flag(entry.streaming),
        source(entry),
        entry.provider_key.unwrap_or_default(),
        &prompt(entry).to_string(),
        &entry.sum(is_read).to_string(),
        &entry.sum(Unit::is_cache_write).to_string(),
        &answer(entry).to_string(),
        &entry.sum(|unit| unit == Unit::Reasoning).to_string(),
        &units.join(" "),
        &show_usd(entry.cost),
        &show_usd(entry.fee),
        &show_usd(entry.cost + entry.fee),
        flag(entry.estimated),
        flag(entry.orphaned),
        flag(entry.assumed),
        &entry.latency_ms.to_string(),
        entry.model_name,
        &tags.join(" "),
    ];
    line(out, cells.into_iter())
}

/// Who pays the provider.
pub(super) fn source(entry: &Entry<'_>) -> &'static str {
    if entry.managed { "managed" } else { "user" }
}

/// The whole prompt.
pub(super) fn prompt(entry: &Entry<'_>) -> u64 {
    entry.tokens().saturating_sub(answer(entry))
}

/// The whole answer.
pub(super) fn answer(entry: &Entry<'_>) -> u64 {
    entry.sum(|unit| {
        matches!(
            unit,
            Unit::Output
                | Unit::Reasoning
                | Unit::OutputAudio
                | Unit::OutputImage
                | Unit::OutputVideo
                | Unit::Citation
        )
    })
}

/// What came from a cache.
pub(super) fn is_read(unit: Unit) -> bool {
    matches!(
        unit,
        Unit::CachedRead | Unit::CachedAudio | Unit::CachedImage
    )
}
