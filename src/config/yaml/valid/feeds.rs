//! Where prices come from besides the built-in catalog: resolved and checked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::yaml::types::PriceFormat;
use tollgate_base::Secret;

/// Price feeds, and where their last good prices are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceFeeds {
    /// In the order in which they are laid, the lowest first; at most 16, their ids are unique.
    pub feeds: Vec<PriceFeed>,
    /// Relative paths are relative to the working directory.
    pub directory: PathBuf,
    /// Ids of the feeds of which something is kept that could not be read when this configuration was loaded: they
    /// are not among the catalog's prices. A warning says why.
    pub unread: Vec<Arc<str>>,
}

impl Default for PriceFeeds {
    fn default() -> Self {
        PriceFeeds {
            feeds: Vec::new(),
            directory: "data/feeds".into(),
            unread: Vec::new(),
        }
    }
}

impl PriceFeeds {
    /// Returns where the last good prices of a feed are kept.
    pub fn kept(&self, feed: &str) -> PathBuf {
        self.directory.join(format!("{feed}.tsv"))
    }
}

/// A list of prices that somebody publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceFeed {
    /// As a provider's id is: lower-case letters, digits, `-`, `_` and `.`.
    pub id: Arc<str>,
    /// Where it is.
    pub origin: Origin,
    /// How it is written.
    pub format: PriceFormat,
    /// How often it is read: 1 min to 30 days.
    pub refresh: Duration,
    /// The providers whose prices are taken from it; `None` is all that are known.
    pub providers: Option<Vec<String>>,
}

/// Where a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A regular file.
    File(PathBuf),
    /// A well-formed address: https, or http.
    Url {
        /// The whole of it, which may hold a credential.
        url: Secret,
        /// For people: without its query.
        shown: String,
    },
}

/// As far as it may be shown.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => Path::display(path).fmt(f),
            Origin::Url { shown, .. } => f.write_str(shown),
        }
    }
}
