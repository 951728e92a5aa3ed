//! The facts that are compiled in, read from the tables in `facts/`.
//!
//! `providers.tsv` and `models.tsv` are facts as providers publish them; `aliases.tsv` and `rules.tsv` add,
//! with their sources, other ids of models, their surfaces and the parameters they refuse. Surfaces follow
//! from the modality where no rule says otherwise: what makes embeddings is offered on
//! `openai/embeddings` alone, anything else on all of its provider's surfaces but that one and the legacy
//! `openai/completions`.

use std::collections::HashSet;
use std::sync::Arc;

use super::base_url::BaseUrl;
use super::model::Model;
use super::provider::Provider;
use super::resolve::Catalog;
use super::timeouts::TimeoutOverrides;
use crate::catalog::{Auth, Modality};
use tollgate_ledger::tariff::Prices;
use tollgate_wire::Surface;

const PROVIDERS: &str = include_str!("facts/providers.tsv");
const MODELS: &str = include_str!("facts/models.tsv");
const ALIASES: &str = include_str!("facts/aliases.tsv");
const RULES: &str = include_str!("facts/rules.tsv");

impl Catalog {
    /// The built-in providers and models.
    pub fn built_in() -> Catalog {
        match read(PROVIDERS, MODELS, ALIASES, RULES) {
            Ok(catalog) => catalog,
            // The tables are part of the program, and a test reads them.
            Err(fault) => unreachable!("the built-in catalog is sound: {fault}"),
        }
    }
}

fn read(providers: &str, models: &str, aliases: &str, rules: &str) -> Result<Catalog, String> {
    let mut all = Vec::new();
    for [
        id,
        display_name,
        base_url,
        auth,
        surfaces,
        managed,
        _website,
    ] in rows(providers)?
    {
        all.push(Provider {
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
            ca: None,
            passthrough: true,
            chat_extensions: false,
            unsupported_parameters: Vec::new(),
            supported_parameters: Vec::new(),
            public_only: false,
            owner: None,
            timeouts: TimeoutOverrides::default(),
            built_in: true,
            managed_keys_possible: managed == "yes",
            models: Vec::new(),
        });
    }
    let mut parsed = Vec::new();
    for [
        provider,
        id,
        display_name,
        window,
        output,
        modalities,
        input,
        read,
        write,
        answer,
    ] in rows(models)?
    {
        let modalities = modalities
            .split(',')
            .map(modality)
            .collect::<Result<Vec<_>, _>>()?;
        let offered = &all
            .iter()
            .find(|other| *other.id == *provider)
            .ok_or_else(|| format!("no provider {provider}"))?
            .surfaces;
        let model = Model {
            display_name: display_name.into(),
            context_window: tokens(window)?,
            max_output_tokens: tokens(output)?,
            surfaces: usual_surfaces(offered, &modalities),
            modalities,
            prices: prices([input, read, write, answer])
                .map_err(|fault| format!("{id}: {fault}"))?,
            ..Model::new(id)
        };
        parsed.push((provider, model));
    }
    for [provider, id, surfaces, parameters, _source] in rows(rules)? {
        let model = find(&mut parsed, provider, id)?;
        if !surfaces.is_empty() {
            model.surfaces = Some(surfaces.split(' ').map(surface).collect::<Result<_, _>>()?);
        }
        model.unsupported_parameters = parameters.split_whitespace().map(str::to_owned).collect();
    }
    let mut wire_aliases = HashSet::new();
    for [provider, id, alias, _source] in rows(aliases)? {
        find(&mut parsed, provider, id)?
            .aliases
            .push(alias.to_owned());
        wire_aliases.insert((Arc::from(provider), alias.to_ascii_lowercase()));
    }
    for (provider, model) in parsed {
        if let Some(owner) = all.iter_mut().find(|other| *other.id == *provider) {
            owner.models.push(Arc::new(model));
        }
    }
    Ok(Catalog::of(
        all.into_iter().map(Arc::new).collect(),
        Arc::new(wire_aliases),
    ))
}

fn find<'a>(
    parsed: &'a mut [(&str, Model)],
    provider: &str,
    id: &str,
) -> Result<&'a mut Model, String> {
    let found = parsed
        .iter_mut()
        .find(|(other, model)| *other == provider && *model.id == *id);
    found
        .map(|(_, model)| model)
        .ok_or_else(|| format!("no model {provider}:{id}"))
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

/// A number of tokens; none at all says nothing.
fn tokens(text: &str) -> Result<Option<u64>, String> {
    let number: u64 = text
        .parse()
        .map_err(|_| format!("`{text}` is no number of tokens"))?;
    Ok((number > 0).then_some(number))
}

fn surface(name: &str) -> Result<Surface, String> {
    let found = Surface::ALL
        .into_iter()
        .find(|surface| surface.name() == name);
    found.ok_or_else(|| format!("unknown surface `{name}`"))
}

fn modality(name: &str) -> Result<Modality, String> {
    Ok(match name {
        "text" => Modality::Text,
        "image" => Modality::Image,
        "audio" => Modality::Audio,
        "video" => Modality::Video,
        "file" => Modality::File,
        "embedding" => Modality::Embedding,
        _ => return Err(format!("unknown modality `{name}`")),
    })
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

/// The prices in the four columns: input, cached read, cache write, output.
fn prices(cells: [&str; 4]) -> Result<Prices, String> {
    let named = ["input", "cached_read", "cache_write", "output"]
        .into_iter()
        .zip(cells);
    let known = named.filter(|(_, cell)| !cell.is_empty());
    let text: String = known
        .map(|(name, cell)| format!("{name}={cell} "))
        .collect();
    if text.is_empty() {
        return Ok(Prices::default());
    }
    Ok(Prices::flat(text.parse()?))
}

#[cfg(test)]
mod tests;
