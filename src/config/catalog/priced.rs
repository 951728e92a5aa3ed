//! A catalog with the prices of feeds laid over its own.

use std::sync::Arc;

use super::feeds::{Layer, Layers, Name};
use super::model::Model;
use super::provider::Provider;
use super::resolve::Catalog;

impl Catalog {
    /// This catalog with the prices of feeds laid over its own, the first feed lowest. Models that are declared later
    /// get what the feeds say of them too.
    pub fn priced(&self, layers: Vec<Layer>) -> Catalog {
        let layers = Layers::of(layers);
        let providers = self.providers().iter().map(|provider| {
            let named = |model: &Arc<Model>| layers.name(&Name::of(&provider.id, &model.id));
            if !provider.models.iter().any(named) {
                return provider.clone();
            }
            let mut provider = Provider::clone(provider);
            for model in &mut provider.models {
                if layers.name(&Name::of(&provider.id, &model.id)) {
                    let own = Arc::make_mut(model);
                    layers.lay(&provider.id, &own.id, &mut own.prices);
                }
            }
            Arc::new(provider)
        });
        let mut catalog = Catalog::of(providers.collect(), self.wire_aliases().clone());
        catalog.set_feeds(layers.clone());
        catalog
    }
}
