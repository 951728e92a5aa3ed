//! The facts that are compiled in.

use super::resolve::Catalog;

impl Catalog {
    /// The built-in providers and models.
    pub fn built_in() -> Catalog {
        Catalog::of(Vec::new(), Default::default())
    }
}
