//! One model of the catalog, as `tollgate catalog show` prints it: all that is known, and where each figure is from.

use serde_json::{Value, json};

use super::built_in::{Origin, model as known, origins};
use super::columns::aligned;
use super::feeds::{Entry, Name};
use super::json::{model_json, names, offered};
use super::model::Model;
use super::provider::Provider;
use super::resolve::Catalog;
use super::table::needs_key;
use tollgate_ledger::tariff::{Holds, Prices, Rates, show_rate};
use tollgate_wire::Surface;
use tollgate_wire::capabilities::{Capabilities, Modalities};
use tollgate_wire::modality::Modality;
use tollgate_wire::reasoning::{Effort, Thoughts};
use tollgate_wire::report::{Context, Unit};

/// Returns all that `catalog` knows of a model that `provider` serves, as text for people or as JSON for programs.
pub fn show(catalog: &Catalog, provider: &Provider, model: &Model, json: bool) -> String {
    let figures = figures(catalog, provider, model);
    if json {
        let mut value = model_json((provider, model));
        value["figures"] = figures.iter().map(Figure::json).collect();
        return format!("{value:#}\n");
    }
    let mut text = format!("{}:{}\n\n", provider.id, model.id);
    let order = bare_order(catalog, model);
    for (name, value) in facts(provider, model).into_iter().chain(order) {
        text.push_str(&format!("  {name:<18}{value}\n"));
    }
    text.push('\n');
    if figures.is_empty() {
        text.push_str("No price is known: with a managed key it cannot be called.\n");
        return text;
    }
    let mut sources: Vec<&str> = Vec::new();
    for figure in &figures {
        if !sources.contains(&figure.from.as_str()) {
            sources.push(&figure.from);
        }
    }
    text.push_str(&prices_table(&figures, &sources));
    text.push_str(
        "\nPrices are US dollars per million tokens, and per thousand of what is no token. The last usual price that\n\
         holds counts; of those that are served otherwise, the first one that fits and holds. They come from\n\n",
    );
    for (number, source) in (1..).zip(&sources) {
        text.push_str(&format!("  [{number}] {source}\n"));
    }
    text
}

/// What is known besides prices, by name.
fn facts(provider: &Provider, model: &Model) -> Vec<(&'static str, String)> {
    let tokens = |known: Option<u64>| {
        known.map_or_else(unknown, |tokens| format!("{} tokens", grouped(tokens)))
    };
    let list = |all: &[&str]| match all {
        [] => "none".to_owned(),
        _ => all.join(", "),
    };
    let surfaces: Vec<&str> = offered(provider, model)
        .iter()
        .map(|one: &Surface| one.name())
        .collect();
    let aliases: Vec<&str> = model.aliases.iter().map(String::as_str).collect();
    let refused = provider
        .unsupported_parameters
        .iter()
        .chain(&model.unsupported_parameters);
    let refused: Vec<&str> = refused.map(String::as_str).collect();
    let mut facts = vec![
        ("name", model.display_name.to_string()),
        ("called", called(provider, model)),
        ("aliases", list(&aliases)),
        ("context window", tokens(model.context_window)),
        ("longest answer", tokens(model.max_output_tokens)),
    ];
    if model.capabilities.reads.is_none() && model.capabilities.makes.is_none() {
        facts.push((
            "reads or makes",
            match &model.modalities[..] {
                [] => unknown(),
                all => names(all).join(", "),
            },
        ));
    }
    facts.extend(abilities(&model.capabilities));
    facts.push(("surfaces", list(&surfaces)));
    facts.push(("fields left out", list(&refused)));
    facts.push(("provider key", needs_key(provider).to_owned()));
    facts
}

fn called(provider: &Provider, model: &Model) -> String {
    match model.bare {
        true => format!("{} or {}:{}", model.id, provider.id, model.id),
        false => format!("{}:{}", provider.id, model.id),
    }
}

/// Where the bare id goes, if several have it. What is made at run time is known to gateways only.
fn bare_order(catalog: &Catalog, model: &Model) -> Option<(&'static str, String)> {
    let order = catalog.bare(&model.id, |_| true);
    let ids: Vec<&str> = order.iter().map(|provider| &*provider.id).collect();
    let order = format!("{}, then providers of the API", ids.join(", "));
    (model.bare && ids.len() > 1).then_some(("bare id goes to", order))
}

fn abilities(known: &Capabilities) -> Vec<(&'static str, String)> {
    let yes = |known: Option<bool>| match known {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => unknown(),
    };
    let modalities = |known: Modalities| {
        known
            .iter()
            .map(Modality::name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let told = |known: Option<Modalities>| known.map(modalities);
    let mut all: Vec<(&str, String)> = [("reads", told(known.reads)), ("makes", told(known.makes))]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut reasoning = yes(known.reasoning);
    if known.toggle == Some(true) {
        reasoning.push_str(", can be turned off");
    }
    if let Some(efforts) = known.efforts {
        let names: Vec<&str> = efforts.iter().map(Effort::name).collect();
        reasoning.push_str(&format!("; efforts {}", names.join(", ")));
    }
    if let Some(budget) = known.budget {
        reasoning.push_str(&match (budget.least, budget.most) {
            (None, None) => "; a budget".to_owned(),
            (Some(least), None) => {
                format!("; a budget of {} tokens or more", grouped(least.into()))
            }
            (None, Some(most)) => format!("; a budget of at most {} tokens", grouped(most.into())),
            (Some(least), Some(most)) => {
                format!(
                    "; a budget of {} to {} tokens",
                    grouped(least.into()),
                    grouped(most.into())
                )
            }
        });
    }
    all.push(("reasoning", reasoning));
    if let Some(thoughts) = known.thoughts.map(Thoughts::name) {
        all.push(("thoughts go back", format!("in `{thoughts}`")));
    }
    all.push(("temperature", yes(known.temperature)));
    all.push(("tools", yes(known.tools)));
    all.push(("structured output", yes(known.structured_output)));
    all
}

fn unknown() -> String {
    "not known".to_owned()
}

/// One price.
struct Figure {
    when: Context,
    holds: Holds,
    unit: Unit,
    /// For prompts of more tokens than this.
    above: Option<u64>,
    pico: u64,
    from: String,
}

impl Figure {
    fn json(&self) -> Value {
        json!({
            "when": self.when.to_string(),
            "holds": self.holds.to_string(),
            "unit": self.unit.name(),
            "above": self.above,
            "usd": show_rate(self.unit, self.pico),
            "from": self.from,
        })
    }
}

/// Every price: of the standard by day and hour, then of variants; unit by unit, with its tiers.
fn figures(catalog: &Catalog, provider: &Provider, model: &Model) -> Vec<Figure> {
    let origins = Origins::of(catalog, provider, model);
    let mut figures = Vec::new();
    for (when, holds, rates) in rows(&model.prices) {
        for (unit, rate) in rates.iter() {
            let base = rate.base.map(|pico| (None, pico));
            let tiers = rate.tiers.iter().map(|(above, pico)| (Some(*above), *pico));
            figures.extend(base.into_iter().chain(tiers).map(|(above, pico)| {
                let mut figure = Figure {
                    when: when.clone(),
                    holds,
                    unit,
                    above,
                    pico,
                    from: String::new(),
                };
                figure.from = origins.find(&figure);
                figure
            }));
        }
    }
    figures
}

/// The layers that a model's prices are made of: what has the figure that holds is where it comes from.
struct Origins<'a> {
    /// Feeds, the topmost first, each under what it calls itself.
    feeds: Vec<(String, &'a Entry)>,
    built_in: Option<&'static Model>,
    /// Of what is built in, row by row.
    sources: Vec<Vec<(&'static str, Origin)>>,
    /// What the prices say of themselves.
    own: &'a str,
}

impl<'a> Origins<'a> {
    fn of(catalog: &'a Catalog, provider: &Provider, model: &'a Model) -> Origins<'a> {
        let name = Name::of(&provider.id, &model.id);
        Origins {
            feeds: catalog.feeds().entries(&name).collect(),
            built_in: known(&provider.id, &model.id),
            sources: origins(&provider.id, &model.id),
            own: &model.prices.source.0,
        }
    }

    fn find(&self, figure: &Figure) -> String {
        let mut feeds = self.feeds.iter();
        let feed = feeds.find(|(_, entry)| rows(&entry.prices).any(|row| figure.is_in(&row)));
        if let Some((source, _)) = feed {
            return source.clone();
        }
        let built_in = self.built_in.iter().flat_map(|model| rows(&model.prices));
        let mut built_in = built_in.zip(&self.sources);
        let origin = built_in
            .find(|(row, _)| figure.is_in(row))
            .and_then(|(_, origins)| {
                let of = |name: &str| origins.iter().find(|(unit, _)| *unit == name);
                of(figure.unit.name()).or_else(|| of(""))
            });
        match origin {
            Some((_, origin)) => format!("{}, {}", origin.what, origin.date),
            None => self.own.to_owned(),
        }
    }
}

impl Figure {
    /// Whether a row has this figure. What holds from a day on may begin a feed's prices without one.
    fn is_in(&self, (when, holds, rates): &(Context, Holds, &Rates)) -> bool {
        let same = *when == self.when && (*holds == self.holds || self.holds == Holds::Always);
        let rate = rates.get(self.unit).filter(|_| same);
        rate.is_some_and(|rate| match self.above {
            None => rate.base == Some(self.pico),
            Some(above) => rate.tiers.contains(&(above, self.pico)),
        })
    }
}

fn rows(prices: &Prices) -> impl Iterator<Item = (Context, Holds, &Rates)> {
    let standard = prices.standard.iter();
    let standard = standard.map(|period| (Context::STANDARD, period.holds, &period.rates));
    let variants = prices.variants.iter();
    standard.chain(variants.map(|variant| (variant.when.clone(), variant.holds, &variant.rates)))
}

fn prices_table(figures: &[Figure], sources: &[&str]) -> String {
    let number = |from: &str| sources.iter().position(|source| *source == from);
    let mut last = (String::new(), String::new());
    let rows = figures.iter().map(|figure| {
        let served = match figure.when.is_standard() {
            true => "usual".to_owned(),
            false => figure.when.to_string(),
        };
        let holds = match figure.holds {
            Holds::Always => "always".to_owned(),
            Holds::From(_) => format!("from {}", figure.holds),
            Holds::Daily(..) => figure.holds.to_string(),
        };
        // What is as in the line above is not said again.
        let this = (served.clone(), holds.clone());
        let again = last == this;
        last = this;
        [
            if again { String::new() } else { served },
            if again { String::new() } else { holds },
            figure.unit.name().to_owned(),
            figure
                .above
                .map_or_else(String::new, |above| format!("> {}", grouped(above))),
            show_rate(figure.unit, figure.pico),
            number(&figure.from).map_or_else(String::new, |place| format!("[{}]", place + 1)),
        ]
    });
    let head = ["SERVED", "HOLDS", "UNIT", "PROMPT", "USD", "FROM"];
    aligned(head, &rows.collect::<Vec<_>>(), &[3, 4]) + "\n"
}

/// `1,050,000`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
