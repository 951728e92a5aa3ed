//! FOCUS 1.2, the FinOps Open Cost and Usage Specification (<https://focus.finops.org/focus-specification/v1-2/>).
//!
//! A row is a charge: one for each unit that an attempt used, and one for the gateway's fee. All 21 columns that are
//! mandatory are there, and those conditional ones that apply; columns of ours come last and begin with `x_`. The account
//! is billed by the gateway's operator, so that the account is the billing account, the operator issues the invoice, and
//! the provider is who made the model available. `ListCost` and `ContractedCost` are price × quantity to the pico-dollar;
//! `BilledCost` and `EffectiveCost` of the last row of an attempt also have what rounding the whole of it to nano-dollars
//! made, so that they add up to what the ledger charged. An event that does not say its rates is one row without unit
//! prices. What cost nothing and used nothing is no charge.

use std::io::{self, Write};

use tollgate_ledger::NanoUsd;

use super::{Entry, Part, line, time};
use crate::day::{DAY, day_of};
use crate::decimal::{fixed, show_picos};
use crate::unit::Unit;

/// The operator's part.
const GATEWAY: &str = "Tollgate";

/// What tokens are counted in.
const TOKENS: &str = "Tokens";

/// Pico-dollars in a nano-dollar.
const PICOS: i128 = 1_000;

/// The headings: FOCUS's in alphabetical order, then ours.
const HEADINGS: [&str; 43] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_Attempt",
    "x_Estimated",
    "x_EventId",
    "x_KeySource",
    "x_Model",
    "x_Outcome",
    "x_Provider",
    "x_RequestId",
    "x_Variant",
];

pub(super) fn head(out: &mut impl Write) -> io::Result<()> {
    line(out, HEADINGS.into_iter())
}

/// A charge.
struct Charge<'a> {
    /// Pico-dollars of price × quantity.
    listed: i128,
    /// Pico-dollars that are billed.
    billed: i128,
    description: String,
    provider: &'a str,
    service: &'a str,
    sku: String,
    meter: &'static str,
    unit: &'static str,
    quantity: u64,
    /// Pico-dollars for one.
    rate: Option<u64>,
    variant: &'a str,
}

pub(super) fn rows(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<u64> {
    let mut charges = charges(entry);
    // What rounding made stands with the last charge.
    let billed: i128 = charges.iter().map(|charge| charge.billed).sum();
    let whole = i128::from((entry.cost + entry.fee).0) * PICOS;
    if let Some(last) = charges.last_mut() {
        last.billed += whole - billed;
    }
    for charge in &charges {
        row(out, entry, charge)?;
    }
    Ok(u64::try_from(charges.len()).unwrap_or(u64::MAX))
}

fn charges<'a>(entry: &Entry<'a>) -> Vec<Charge<'a>> {
    let used: Vec<&Part> = entry
        .parts
        .iter()
        .filter(|part| part.quantity > 0)
        .collect();
    let priced = entry.managed && !used.is_empty() && used.iter().all(|part| part.rate.is_some());
    let mut charges = Vec::new();
    if priced {
        charges.extend(used.iter().map(|part| of_unit(entry, part)));
    } else if entry.cost != NanoUsd::ZERO || !used.is_empty() {
        charges.push(whole(entry));
    }
    if entry.fee != NanoUsd::ZERO {
        charges.push(fee(entry));
    }
    charges
}

fn of_unit<'a>(entry: &Entry<'a>, part: &Part) -> Charge<'a> {
    let rate = part.rate.unwrap_or(0);
    let cost = i128::from(part.quantity) * i128::from(rate);
    Charge {
        listed: cost,
        billed: cost,
        description: format!("{}: {}", entry.model_name, part.unit.words()),
        provider: entry.provider_name,
        service: entry.model_name,
        sku: format!("{}/{}/{}", entry.provider, entry.model, part.unit.name()),
        meter: part.unit.words(),
        unit: if part.unit.is_tokens() {
            TOKENS
        } else {
            counted(part.unit)
        },
        quantity: part.quantity,
        rate: part.rate,
        variant: entry.variant.unwrap_or_default(),
    }
}

/// All of the model's part, of an event that does not say its rates; on a user's own key its provider bills the owner.
fn whole<'a>(entry: &Entry<'a>) -> Charge<'a> {
    let cost = i128::from(entry.cost.0) * PICOS;
    Charge {
        listed: cost,
        billed: cost,
        description: format!("{}: tokens", entry.model_name),
        provider: entry.provider_name,
        service: entry.model_name,
        sku: format!("{}/{}", entry.provider, entry.model),
        meter: "tokens",
        unit: TOKENS,
        quantity: entry.tokens(),
        rate: None,
        variant: entry.variant.unwrap_or_default(),
    }
}

fn fee<'a>(entry: &Entry<'a>) -> Charge<'a> {
    let listed = match entry.fee_rate {
        Some(rate) => i128::from(entry.tokens()) * i128::from(rate),
        None => i128::from(entry.fee.0) * PICOS,
    };
    Charge {
        listed,
        billed: listed,
        description: "Processing fee".to_owned(),
        provider: GATEWAY,
        service: GATEWAY,
        sku: "tollgate/processing-fee".to_owned(),
        meter: "tokens",
        unit: TOKENS,
        quantity: entry.tokens(),
        rate: entry.fee_rate,
        variant: "",
    }
}

/// A unit of counting, capitalized as FOCUS demands.
fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::WebSearch | Unit::FileSearch => "Searches",
        Unit::CodeContainer => "Containers",
        Unit::Request => "Requests",
        Unit::Image => "Images",
        Unit::Character => "Characters",
        Unit::Second => "Seconds",
        Unit::Byte => "B",
        _ => "Units",
    }
}

fn row(out: &mut impl Write, entry: &Entry<'_>, charge: &Charge<'_>) -> io::Result<()> {
    let (from, to) = month(entry.at_ms / 1_000);
    let second = entry.at_ms / 1_000;
    let (began, ended) = (moment(second), moment(second.saturating_add(1)));
    let billed = show_picos(charge.billed);
    let listed = show_picos(charge.listed);
    let quantity = charge.quantity.to_string();
    // Providers' price lists are for a million tokens, and for a thousand of everything else.
    let digits = if charge.unit == TOKENS { 6 } else { 3 };
    let per = format!("1{} {}", "0".repeat(digits), charge.unit);
    let unit_price = charge
        .rate
        .map(|picos| fixed(i128::from(picos), 12 - digits))
        .unwrap_or_default();
    let (pricing_quantity, pricing_unit) = match charge.rate {
        Some(_) => (fixed(i128::from(charge.quantity), digits), per.as_str()),
        None => (quantity.clone(), charge.unit),
    };
    let tier = if charge.variant.is_empty() {
        "standard"
    } else {
        charge.variant
    };
    let sku_price = format!("{}/{tier}", charge.sku);
    let attempt = entry.attempt.to_string();
    let cells = [
        billed.as_str(),
        entry.account,
        entry.account,
        "USD",
        &to,
        &from,
        "Usage",
        "",
        &charge.description,
        "Usage-Based",
        &ended,
        &began,
        &quantity,
        charge.unit,
        &listed,
        &unit_price,
        &billed,
        GATEWAY,
        &listed,
        &unit_price,
        "Standard",
        &pricing_quantity,
        pricing_unit,
        charge.provider,
        charge.provider,
        "AI and Machine Learning",
        charge.service,
        "Generative AI",
        &charge.sku,
        charge.meter,
        &sku_price,
        entry.access_key,
        entry.access_key,
        &tags(entry),
        &attempt,
        if entry.estimated || entry.orphaned || entry.assumed {
            "true"
        } else {
            "false"
        },
        entry.id,
        super::csv::source(entry),
        entry.model,
        entry.outcome,
        entry.provider,
        entry.request_id,
        entry.variant.unwrap_or_default(),
    ];
    line(out, cells.into_iter())
}

/// A JSON object, as FOCUS writes keys and values; empty without tags.
fn tags(entry: &Entry<'_>) -> String {
    let tags: serde_json::Map<String, serde_json::Value> = (entry.tags.iter())
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    match tags.is_empty() {
        true => String::new(),
        false => serde_json::Value::from(tags).to_string(),
    }
}

/// `2026-11-29T05:06:07Z`.
fn moment(seconds: u64) -> String {
    let text = time(seconds.saturating_mul(1_000));
    text.get(..19).unwrap_or_default().to_owned() + "Z"
}

/// The calendar month of a Unix time (s): its first moment, and the next one's.
fn month(seconds: u64) -> (String, String) {
    let (year, month, _) = tollgate_base::time::civil(u64::from(day_of(seconds).0));
    let (next_year, next) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    let first = |year: u64, month: u64| {
        let days = tollgate_base::time::days(year, month, 1);
        moment(u64::try_from(days).unwrap_or(0).saturating_mul(DAY))
    };
    (first(year, month), first(next_year, next))
}
