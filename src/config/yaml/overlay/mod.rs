//! What the YAML declares, laid over the built-in facts.
//!
//! The invariant: only what the YAML names changes, and the result keeps the catalog's own invariants or
//! there is no result but every fault at once, each with its path.

mod models;
mod prices;
mod providers;

pub use providers::is_provider_id;

use std::path::Path;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::catalog::Provider;
use crate::yaml::types;
use tollgate_ledger::tariff::Prices;
use tollgate_wire::Surface;

/// One fault of what the YAML declares about providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayFault {
    /// Where, for example `providers[1].models[0].prices.tiers[0].above`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<OverlayFault>);

impl Faults {
    fn at(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(OverlayFault {
            path: path.into(),
            message: message.into(),
        });
    }
}

impl Catalog {
    /// This catalog with `declared` laid over it: built-in providers changed where the YAML says so, custom
    /// ones added. Providers that the YAML declares come first, in its order. `read_file` gives the text of
    /// a `ca` file, or says why it cannot be read.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn with(
        &self,
        declared: &[types::Provider],
        read_file: impl Fn(&Path) -> Result<String, String>,
    ) -> Result<Catalog, Vec<OverlayFault>> {
        let laid = self.laid(declared, read_file)?;
        Ok(self.made_of(laid.into_iter().chain(self.untouched(declared))))
    }

    /// Returns the same with providers that were [`made`](Catalog::made) at run time, and come after all others: a bare
    /// id that others have goes to those first.
    pub fn with_last(&self, made: Vec<Arc<Provider>>) -> Catalog {
        self.made_of(self.providers().iter().cloned().chain(made))
    }

    /// Returns a provider that is made at run time, as this catalog has it.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn made(&self, spec: &types::Provider) -> Result<Provider, Vec<OverlayFault>> {
        let no_files =
            |_: &Path| Err("a provider that is made at run time has no files".to_owned());
        let mut faults = Faults::default();
        let made = providers::lay(self, spec, "providers[0]", &no_files, &mut faults);
        made.filter(|_| faults.0.is_empty()).ok_or(faults.0)
    }

    fn made_of(&self, providers: impl Iterator<Item = Arc<Provider>>) -> Catalog {
        let mut catalog = Catalog::of(providers.collect(), self.wire_aliases().clone());
        catalog.set_feeds(self.feeds().clone());
        catalog
    }

    fn untouched(&self, declared: &[types::Provider]) -> impl Iterator<Item = Arc<Provider>> {
        let known = self.providers().iter();
        let is_untouched = |known: &&Arc<Provider>| declared.iter().all(|one| *one.id != *known.id);
        known.filter(is_untouched).cloned()
    }

    fn laid(
        &self,
        declared: &[types::Provider],
        read_file: impl Fn(&Path) -> Result<String, String>,
    ) -> Result<Vec<Arc<Provider>>, Vec<OverlayFault>> {
        let mut faults = Faults::default();
        let mut providers = Vec::with_capacity(declared.len());
        for (position, provider) in declared.iter().enumerate() {
            let path = format!("providers[{position}]");
            if let Some(other) = declared
                .iter()
                .take(position)
                .position(|other| other.id == provider.id)
            {
                let message = format!(
                    "`{}` is declared already as providers[{other}]: merge the two",
                    provider.id
                );
                faults.at(format!("{path}.id"), message);
                continue;
            }
            providers.extend(
                providers::lay(self, provider, &path, &read_file, &mut faults).map(Arc::new),
            );
        }
        match faults.0.is_empty() {
            true => Ok(providers),
            false => Err(faults.0),
        }
    }
}

/// The prices that are `declared` at `path`, of a model of which nothing is known.
///
/// # Errors
/// Every fault at once.
pub(super) fn tariff(declared: &types::Prices, path: &str) -> Result<Prices, Vec<OverlayFault>> {
    let mut faults = Faults::default();
    let mut prices = Prices::default();
    prices::lay(&mut prices, declared, path, &mut faults);
    prices.standard.retain(|period| !period.rates.is_empty());
    prices.variants.retain(|variant| !variant.rates.is_empty());
    match faults.0.is_empty() {
        true => Ok(prices),
        false => Err(faults.0),
    }
}

fn deduplicated(surfaces: &[Surface]) -> Vec<Surface> {
    let mut once: Vec<Surface> = Vec::with_capacity(surfaces.len());
    for surface in surfaces {
        if !once.contains(surface) {
            once.push(*surface);
        }
    }
    once
}

/// `known`, and what of `declared` is new.
fn added_parameters(
    known: &[String],
    declared: &[String],
    path: &str,
    faults: &mut Faults,
) -> Vec<String> {
    let mut all = known.to_vec();
    for (position, parameter) in declared.iter().enumerate() {
        if parameter.is_empty() || parameter == "model" {
            let message = "name a request field that can be removed; `model` cannot";
            faults.at(
                format!("{path}.unsupported_parameters[{position}]"),
                message,
            );
        } else if !all.contains(parameter) {
            all.push(parameter.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests;
