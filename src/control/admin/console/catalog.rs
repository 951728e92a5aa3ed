//! The catalog: models, and what they cost.

use maud::{Markup, html};
use serde_json::Value;

use super::format::{count, list as items, text, texts};
use super::forms::Form;
use super::view::{self, facts};
use super::visit::{self, Answered, Visit};

const HERE: &str = "/console/catalog";

/// Members of prices that are no unit's.
const NO_UNITS: [&str; 6] = ["tiers", "source", "variants", "periods", "when", "holds"];

pub(super) async fn list(visit: &Visit) -> Answered {
    let pairs = [
        ("search", visit.asked("search")),
        ("provider", visit.asked("provider")),
        ("beforeId", visit.asked("beforeId")),
        ("limit", "50"),
    ];
    let answer = visit.get("/catalog/models", &pairs).await?;
    let models = items(&answer, "models");
    let columns = [
        ("Model", ""),
        ("Name", "wide"),
        ("Context", "n wide"),
        ("Input", "n"),
        ("Cached", "n wide"),
        ("Output", "n"),
        ("Prices from", "wide"),
    ];
    let main = html! {
        (search(visit))
        @if models.is_empty() {
            (view::empty("No model is like this", &html! { p { "Models outside the catalog can be called as " code { "provider:model" } " where the provider lets them pass." } }))
        } @else {
            (view::table("Models; prices in US dollars per million tokens", &columns, &html! {
                @for model in models {
                    @let prices = &model["prices"];
                    tr {
                        th scope="row" { a href=(visit.to(&visit::page("catalog", text(model, "id")), &[])) { (text(model, "id")) } }
                        td.wide { (text(model, "displayName")) }
                        td.n.wide { (limit(&model["contextWindow"])) }
                        td.n { (price(prices, "input")) }
                        td.n.wide { (price(prices, "cachedRead")) }
                        td.n { (price(prices, "output")) }
                        td.wide { (text(prices, "source")) }
                    }
                }
            }))
        }
        (view::paging(visit, &answer))
    };
    Ok(view::shown(visit, "Catalog", main).await)
}

fn search(visit: &Visit) -> Markup {
    let begin = ["search", "provider"].map(|name| (name, visit.asked(name).to_owned()));
    let form = Form::new(visit, None, &begin);
    let is_narrow = begin.iter().any(|(_, value)| !value.is_empty());
    html! {
        form.filters method="get" action=(HERE) role="search" {
            @if let Some(account) = visit.account() { input type="hidden" name="account" value=(account); }
            (form.line("search", "Model", "", false))
            (form.line("provider", "Provider", "", false))
            div.buttons {
                button.primary type="submit" { "Search" }
                @if is_narrow { a.button href=(visit.to(HERE, &[])) { "Show all" } }
            }
        }
    }
}

fn limit(value: &Value) -> String {
    value.as_u64().map_or_else(|| "?".to_owned(), count)
}

fn price<'a>(prices: &'a Value, unit: &str) -> &'a str {
    prices[unit].as_str().unwrap_or("–")
}

pub(super) async fn show(visit: &Visit, id: &str) -> Answered {
    let model = visit
        .get(&visit::resource("catalog/models", id), &[])
        .await?;
    let prices = &model["prices"];
    let aliases = texts(&model, "aliases");
    let source = text(prices, "source");
    let main = html! {
        (facts(&[
            ("Id", html! { code { (text(&model, "id")) } }),
            ("Name", html! { (text(&model, "displayName")) }),
            ("Also called", html! { @if aliases.is_empty() { "–" } @else { (aliases.join(", ")) } }),
            ("APIs", html! { (texts(&model, "surfaces").join(", ")) }),
            ("Reads and makes", html! { (texts(&model, "modalities").join(", ")) }),
            ("Context window", html! { (limit(&model["contextWindow"])) " tokens" }),
            ("Longest answer", html! { (limit(&model["maxOutputTokens"])) " tokens" }),
            ("Prices from", html! { @if source.is_empty() { "nowhere: they are not known" } @else { (source) } }),
        ]))
        (rates("Prices now", prices))
        p.quiet { "Of what is no token, as searches and containers, the price is of a thousand." }
        @for variant in items(prices, "variants") { (rates(&when("Served as", variant), variant)) }
        @for period in items(prices, "periods") { (rates(&when("At other times:", period), period)) }
    };
    Ok(view::shown(visit, text(&model, "id"), main).await)
}

fn when(word: &str, prices: &Value) -> String {
    let (when, holds) = (text(prices, "when"), text(prices, "holds"));
    match holds {
        "" => format!("{word} {when}"),
        hours if hours.contains(':') => format!("{word} {when}, at {hours}"),
        day => format!("{word} {when}, from {day} on"),
    }
}

fn rates(caption: &str, prices: &Value) -> Markup {
    let units = |prices: &Value| -> Vec<(String, String)> {
        let members = prices.as_object().into_iter().flatten();
        let units = members.filter(|(name, _)| !NO_UNITS.contains(&&***name));
        let units =
            units.filter_map(|(name, price)| Some((name.clone(), price.as_str()?.to_owned())));
        units.collect()
    };
    let usual = units(prices);
    html! {
        @if usual.is_empty() {
            p.quiet { (caption) ": none are known. What has no price is refused on a managed key." }
        } @else {
            (view::table(caption, &[("Unit", ""), ("US dollars a million", "n")], &html! {
                @for (unit, price) in &usual { tr { th scope="row" { (words(unit)) } td.n { (price) } } }
                @for tier in items(prices, "tiers") {
                    @for (unit, price) in units(tier) {
                        tr { th scope="row" { (words(&unit)) ", prompts above " (limit(&tier["above"])) " tokens" } td.n { (price) } }
                    }
                }
            }))
        }
    }
}

/// A unit's name in words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
