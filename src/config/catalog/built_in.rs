//! The facts that are compiled in, read from the tables in `facts/`.
//!
//! `models.tsv` and `prices.tsv` are derived from reference files by `make catalog`; `providers.tsv` has the providers;
//! `aliases.tsv` and `rules.tsv` add, with their sources, other ids of models, their surfaces, the parameters they refuse
//! and whether they reason. Surfaces follow from the modality where no rule says otherwise: what makes embeddings is offered on
//! `openai/embeddings` alone, anything else on all of its provider's surfaces but that one and the legacy
//! `openai/completions`.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use super::base_url::BaseUrl;
use super::model::Model;
use super::provider::Provider;
use super::resolve::Catalog;
use super::timeouts::TimeoutOverrides;
use crate::catalog::{Auth, Modality};
use tollgate_ledger::tariff::{Holds, Period, Source, Variant};
use tollgate_wire::Surface;
use tollgate_wire::capabilities::Capabilities;
use tollgate_wire::report::Context;
use tollgate_wire::vendor::Vendor;

/// The tables, as text.
#[derive(Clone, Copy)]
struct Tables<'a> {
    providers: &'a str,
    models: &'a str,
    prices: &'a str,
    sources: &'a str,
    aliases: &'a str,
    rules: &'a str,
}

const TABLES: Tables<'static> = Tables {
    providers: include_str!("facts/providers.tsv"),
    models: include_str!("facts/models.tsv"),
    prices: include_str!("facts/prices.tsv"),
    sources: include_str!("facts/sources.tsv"),
    aliases: include_str!("facts/aliases.tsv"),
    rules: include_str!("facts/rules.tsv"),
};

/// What a catalog is made of.
type Parts = (Vec<Arc<Provider>>, Arc<HashSet<(Arc<str>, String)>>);

/// Read once: the models are shared by all catalogs.
static BUILT_IN: LazyLock<Parts> = LazyLock::new(|| match read(TABLES) {
    Ok(parts) => parts,
    // The tables are part of the program, and a test reads them.
    Err(fault) => unreachable!("the built-in catalog is sound: {fault}"),
});

impl Catalog {
    /// Returns the built-in providers and models.
    pub fn built_in() -> Catalog {
        let (providers, wire_aliases) = &*BUILT_IN;
        Catalog::of(providers.clone(), wire_aliases.clone())
    }
}

/// A built-in model, as it is without feeds and configuration.
pub(super) fn model(provider: &str, model: &str) -> Option<&'static Model> {
    let found = BUILT_IN.0.iter().find(|known| *known.id == *provider)?;
    let model = found.models.iter().find(|known| *known.id == *model)?;
    Some(model)
}

/// Where a figure of the built-in catalog comes from, and from which day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// A publication, or an address.
    pub what: &'static str,
    /// `2026-11-23`
    pub date: &'static str,
}

/// Where the built-in prices of a model come from, row by row in the order of its periods and then its variants: the
/// origin of each figure by its unit's name, and first, under no name, that of the others.
pub(super) fn origins(provider: &str, model: &str) -> Vec<Vec<(&'static str, Origin)>> {
    let rows = rows::<6>(TABLES.prices).unwrap_or_default();
    let own = rows
        .into_iter()
        .filter(|row| row[0] == provider && row[1] == model);
    own.map(|[.., source]| {
        let named = source.split(' ').flat_map(|part| {
            let (source, units) = part.split_once(':').unwrap_or((part, ""));
            let origin = origin(TABLES.sources, source);
            units
                .split(',')
                .filter_map(move |unit| origin.map(|it| (unit, it)))
        });
        named.collect()
    })
    .collect()
}

/// The day from which the newest built-in facts are, as in `2026-11-23`.
pub fn built_in_date() -> &'static str {
    let rows = rows::<3>(TABLES.sources).unwrap_or_default().into_iter();
    rows.map(|[_, _, date]| date).max().unwrap_or_default()
}

fn origin(sources: &'static str, source: &str) -> Option<Origin> {
    let mut all = rows::<3>(sources).unwrap_or_default().into_iter();
    let found = all.find(|[name, ..]| *name == source);
    found.map(|[_, what, date]| Origin { what, date })
}

fn read(tables: Tables<'_>) -> Result<Parts, String> {
    let mut all = read_providers(tables.providers)?;
    let mut parsed = Parsed::default();
    let mut wire_aliases = HashSet::new();
    for row in rows::<18>(tables.models)? {
        let (provider, id) = (row[0], row[1]);
        let offered = all.iter().find(|other| *other.id == *provider);
        let offered = &offered
            .ok_or_else(|| format!("no provider {provider}"))?
            .surfaces;
        let mut model =
            read_model(row, offered).map_err(|fault| format!("{provider}:{id}: {fault}"))?;
        for snapshot in row[17].split_whitespace() {
            model.aliases.push(snapshot.to_owned());
            wire_aliases.insert((Arc::from(provider), snapshot.to_ascii_lowercase()));
        }
        parsed.add(provider, id, model)?;
    }
    read_prices(tables, &mut parsed)?;
    for [provider, id, surfaces, parameters, reasoning, _source] in rows(tables.rules)? {
        let model = parsed.find(provider, id)?;
        if !surfaces.is_empty() {
            model.surfaces = Some(surfaces.split(' ').map(surface).collect::<Result<_, _>>()?);
        }
        model.unsupported_parameters = parameters.split_whitespace().map(str::to_owned).collect();
        match reasoning {
            "" => {}
            "no" => model.capabilities.reasoning = Some(false),
            efforts => {
                model.capabilities.reasoning = Some(true);
                model.capabilities.efforts = known(efforts)?;
            }
        }
    }
    for [provider, id, alias, _source] in rows(tables.aliases)? {
        parsed.find(provider, id)?.aliases.push(alias.to_owned());
        wire_aliases.insert((Arc::from(provider), alias.to_ascii_lowercase()));
    }
    for (provider, mut model) in parsed.models {
        model.prices.standard.shrink_to_fit();
        model.prices.variants.shrink_to_fit();
        model.aliases.shrink_to_fit();
        if let Some(owner) = all.iter_mut().find(|other| *other.id == *provider) {
            owner.models.push(Arc::new(model));
        }
    }
    Ok((
        all.into_iter().map(Arc::new).collect(),
        Arc::new(wire_aliases),
    ))
}

fn read_providers(table: &str) -> Result<Vec<Provider>, String> {
    let read = |row: [&str; 9]| {
        let [
            id,
            display_name,
            base_url,
            auth,
            surfaces,
            managed,
            vendor,
            parameters,
            _website,
        ] = row;
        Ok(Provider {
            id: Arc::from(id),
            display_name: display_name.into(),
            base_url: BaseUrl::parse(base_url)?,
            auth: match auth {
                "bearer" => Some(Auth::Bearer),
                "x-api-key + anthropic-version" => None,
                _ => return Err(format!("unknown auth `{auth}`")),
            },
            surfaces: surfaces.split(' ').map(surface).collect::<Result<_, _>>()?,
            headers: Vec::new(),
            forward_headers: Vec::new(),
            error_rules: Vec::new(),
            ca: None,
            passthrough: true,
            chat_extensions: false,
            websocket: false,
            vendor: match vendor {
                "" => None,
                name => {
                    Some(Vendor::named(name).ok_or_else(|| format!("unknown vendor `{name}`"))?)
                }
            },
            unsupported_parameters: parameters.split_whitespace().map(str::to_owned).collect(),
            supported_parameters: Vec::new(),
            public_only: false,
            owner: None,
            timeouts: TimeoutOverrides::default(),
            built_in: true,
            managed_keys_possible: managed == "yes",
            models: Vec::new(),
        })
    };
    rows(table)?.into_iter().map(read).collect()
}

fn read_model(row: [&str; 18], offered: &[Surface]) -> Result<Model, String> {
    let [
        _provider,
        id,
        display_name,
        window,
        output,
        modalities,
        reads,
        makes,
        reasoning,
        toggle,
        efforts,
        budget,
        temperature,
        tools,
        structured_output,
        thoughts,
        bare,
        _snapshots,
    ] = row;
    let modalities = modalities
        .split(',')
        .filter(|name| !name.is_empty())
        .map(Modality::named)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Model {
        display_name: display_name.into(),
        context_window: known(window)?,
        max_output_tokens: known(output)?,
        surfaces: usual_surfaces(offered, &modalities),
        modalities,
        capabilities: Capabilities {
            reads: known(reads)?,
            makes: known(makes)?,
            reasoning: yes(reasoning)?,
            toggle: yes(toggle)?,
            efforts: known(efforts)?,
            budget: known(budget)?,
            temperature: yes(temperature)?,
            tools: yes(tools)?,
            structured_output: yes(structured_output)?,
            thoughts: known(thoughts)?,
        },
        bare: yes(bare)?.unwrap_or(true),
        ..Model::new(id)
    })
}

/// Reads the prices into the models, in the table's order: what is usual by day and hour, then variants.
fn read_prices<'a>(tables: Tables<'a>, parsed: &mut Parsed<'a>) -> Result<(), String> {
    let mut sources = HashMap::new();
    for [name, _what, date] in rows::<3>(tables.sources)? {
        sources.insert(name, (Arc::from(format!("catalog {date}")), date));
    }
    let (_, today) = sources.get("catalog").ok_or("no source `catalog`")?;
    let today: Holds = today.parse()?;
    for [provider, id, when, holds, rates, source] in rows(tables.prices)? {
        let fault = |fault: String| format!("{provider}:{id}: {fault}");
        let model = parsed.find(provider, id)?;
        let source = source.split(' ').next().unwrap_or_default();
        let (source, _) = sources
            .get(source)
            .ok_or_else(|| fault(format!("no source `{source}`")))?;
        let when: Context = when.parse().map_err(fault)?;
        let holds: Holds = holds.parse().map_err(fault)?;
        let rates = rates.parse().map_err(fault)?;
        if when.is_standard() {
            if model.prices.standard.is_empty() || holds_by(holds, today) {
                model.prices.source = Source(Arc::clone(source));
            }
            model.prices.standard.push(Period { holds, rates });
        } else {
            model.prices.variants.push(Variant { when, holds, rates });
        }
    }
    Ok(())
}

/// Whether it holds on a day, at any hour.
fn holds_by(holds: Holds, day: Holds) -> bool {
    match (holds, day) {
        (Holds::From(start), Holds::From(day)) => start <= day,
        (holds, _) => holds == Holds::Always,
    }
}

/// Models as they are read, in the tables' order.
#[derive(Default)]
struct Parsed<'a> {
    models: Vec<(&'a str, Model)>,
    places: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> Parsed<'a> {
    fn add(&mut self, provider: &'a str, id: &'a str, model: Model) -> Result<(), String> {
        let place = self.models.len();
        if self.places.insert((provider, id), place).is_some() {
            return Err(format!("two models {provider}:{id}"));
        }
        self.models.push((provider, model));
        Ok(())
    }

    fn find(&mut self, provider: &'a str, id: &'a str) -> Result<&mut Model, String> {
        let place = self.places.get(&(provider, id));
        let model = place.and_then(|place| self.models.get_mut(*place));
        model
            .map(|(_, model)| model)
            .ok_or_else(|| format!("no model {provider}:{id}"))
    }
}

/// The rows of a table below its header, comments left out.
fn rows<const N: usize>(table: &str) -> Result<Vec<[&str; N]>, String> {
    let lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .skip(1);
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            <[&str; N]>::try_from(columns)
                .map_err(|columns| format!("{} columns, not {N}: {line}", columns.len()))
        })
        .collect()
}

/// What a cell says; nothing if it is empty.
fn known<T: FromStr>(cell: &str) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    if cell.is_empty() {
        return Ok(None);
    }
    let read = cell.parse().map(Some);
    read.map_err(|fault| format!("`{cell}`: {fault}"))
}

fn yes(cell: &str) -> Result<Option<bool>, String> {
    match cell {
        "" => Ok(None),
        "yes" => Ok(Some(true)),
        "no" => Ok(Some(false)),
        _ => Err(format!("`{cell}` is neither yes nor no")),
    }
}

fn surface(name: &str) -> Result<Surface, String> {
    let found = Surface::ALL
        .into_iter()
        .find(|surface| surface.name() == name);
    found.ok_or_else(|| format!("unknown surface `{name}`"))
}

/// The surfaces of a model for which no rule names any; `None` if they are all of its provider's.
fn usual_surfaces(offered: &[Surface], modalities: &[Modality]) -> Option<Vec<Surface>> {
    let embeds = modalities.contains(&Modality::Embedding);
    let usual = |surface: &Surface| match surface {
        Surface::Embeddings => embeds,
        Surface::Completions => false,
        _ => !embeds,
    };
    let own: Vec<Surface> = offered.iter().copied().filter(usual).collect();
    (own != offered).then_some(own)
}

#[cfg(test)]
mod tests;
