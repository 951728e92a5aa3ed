//! Price feeds of others: read, compared with what holds, and taken in or held back. Pure; no I/O.
//!
//! ```text
//!   bytes ─ read: a format ─► prices of models that are known here ─ take ─► Kept ─ laid over the catalog by the next load
//!                                                                     │
//!                                   what holds (catalog, earlier feeds, what is kept) ──► what changes, what is held back
//! ```
//!
//! The invariants: what cannot be understood of a model changes nothing about it; no price is taken that is more than ten
//! times another one, or that makes something free or no longer free; nothing but prices is ever taken.

mod genai;
mod json;
mod litellm;
mod models_dev;
mod number;
mod take;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Name, sound};
use crate::yaml::feed;
use crate::yaml::types::PriceFormat;
use json::quoted;
use tollgate_ledger::tariff::Prices;

pub use take::{Change, Taken, take};

/// The largest feed (bytes).
pub const LARGEST: usize = 64 << 20;

/// The largest feed of our own format, which is parsed as a whole (bytes).
const LARGEST_OWN: usize = 4 << 20;

/// The most models of a feed.
const MODELS: usize = 100_000;

/// What a feed says of the models that are known here.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Their prices.
    pub models: BTreeMap<Name, Prices>,
    /// Models whose prices cannot be understood, and why.
    pub faulty: BTreeMap<Name, String>,
}

/// Reads a feed: of the models that `catalog` knows, and of these `providers` only if some are named.
///
/// # Errors
/// When it is larger than [`LARGEST`], no UTF-8, not of this format, or has no sound price of any model that is known
/// here: says where, and what is wrong.
pub fn read(
    format: PriceFormat,
    bytes: &[u8],
    catalog: &Catalog,
    providers: Option<&[String]>,
) -> Result<Read, String> {
    if bytes.len() > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let text = str::from_utf8(bytes).map_err(|fault| {
        let line = bytes[..fault.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("line {line}: it is not UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let wanted = Wanted::of(catalog, providers);
    let mut found = Found::default();
    match format {
        PriceFormat::GenaiPrices => genai::read(text, &wanted, &mut found)?,
        PriceFormat::Litellm => litellm::read(text, &wanted, &mut found)?,
        PriceFormat::ModelsDev => models_dev::read(text, &wanted, &mut found)?,
        PriceFormat::Tollgate => own(text, &wanted, &mut found)?,
    }
    let Found { read, seen } = found;
    match (read.models.is_empty(), read.faulty.first_key_value()) {
        (true, Some((name, fault))) => Err(format!(
            "none of its prices can be understood; {name}: {fault}"
        )),
        (true, None) => Err(format!(
            "none of its {seen} models is known here: is it of the format `{}`?",
            format.name()
        )),
        (false, _) => Ok(read),
    }
}

fn own(text: &str, wanted: &Wanted<'_>, found: &mut Found) -> Result<(), String> {
    if text.len() > LARGEST_OWN {
        let most = LARGEST_OWN >> 20;
        return Err(format!(
            "it is larger than {most} MiB, the most for the format `tollgate`"
        ));
    }
    for (provider, model, prices) in feed::read(text)? {
        found.count()?;
        if let Some(name) = wanted.provider(&provider).and_then(|one| one.model(&model)) {
            if found.read.models.contains_key(&name) {
                return Err(format!("{name}: it stands there twice"));
            }
            found.put(name, Ok(prices));
        }
    }
    Ok(())
}

/// What was found so far.
#[derive(Default)]
struct Found {
    read: Read,
    seen: usize,
}

impl Found {
    /// Counts a model, whether it is known here or not.
    fn count(&mut self) -> Result<(), String> {
        self.seen += 1;
        match self.seen > MODELS {
            true => Err(format!("it has more than {MODELS} models")),
            false => Ok(()),
        }
    }

    /// Notes what a feed says of a model, or why that is not understood.
    fn put(&mut self, name: Name, prices: Result<Prices, String>) {
        let checked = prices.and_then(|mut prices| sound(&mut prices).map(|()| prices));
        match checked {
            Ok(prices) => drop(self.read.models.insert(name, prices)),
            Err(fault) => drop(self.read.faulty.insert(name, fault)),
        }
    }
}

/// The models that prices are looked for of.
struct Wanted<'a> {
    providers: Vec<Known<'a>>,
}

/// A provider, and its models by their ids in lower case.
struct Known<'a> {
    id: &'a Arc<str>,
    models: BTreeMap<String, &'a Arc<str>>,
}

impl<'a> Wanted<'a> {
    fn of(catalog: &'a Catalog, providers: Option<&[String]>) -> Wanted<'a> {
        let may = |id: &str| providers.is_none_or(|listed| listed.iter().any(|one| one == id));
        let all = catalog
            .providers()
            .iter()
            .filter(|provider| may(&provider.id));
        let known = all.map(|provider| Known {
            id: &provider.id,
            models: (provider.models.iter())
                .map(|model| (model.id.to_ascii_lowercase(), &model.id))
                .collect(),
        });
        Wanted {
            providers: known.collect(),
        }
    }

    /// A provider by our id.
    fn provider(&self, id: &str) -> Option<&Known<'a>> {
        self.providers.iter().find(|provider| **provider.id == *id)
    }

    /// The provider that others call so: what `elsewhere` says it is called, if that is not its id.
    fn called(&self, name: &str, elsewhere: &[(&str, &str)]) -> Option<&Known<'a>> {
        let mut other = elsewhere.iter();
        match other.find(|(_, theirs)| *theirs == name) {
            Some((ours, _)) => self.provider(ours),
            // Ours with this id is called otherwise there, so it is another one.
            None if elsewhere.iter().any(|(ours, _)| *ours == name) => None,
            None => self.provider(name),
        }
    }
}

impl Known<'_> {
    fn model(&self, id: &str) -> Option<Name> {
        let model = self.models.get(&id.to_ascii_lowercase())?;
        Some(self.name(model))
    }

    fn name(&self, model: &Arc<str>) -> Name {
        Name::of(self.id, model)
    }
}

/// What is said of a member, with its name in front.
fn at<T>(name: &str, what: Result<T, String>) -> Result<T, String> {
    what.map_err(|fault| format!("{}: {fault}", quoted(name)))
}
