//! Which files a configuration was read from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The files that a configuration depends on, and the directories whose listing it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// YAML files, credentials by `file:`, certificates; some may not exist.
    pub files: BTreeSet<PathBuf>,
    /// Directories that an include pattern was matched in.
    pub directories: BTreeSet<PathBuf>,
}

impl Sources {
    /// Every directory in which a change may change the configuration.
    pub fn watched(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().map(|file| match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => Path::new(".").to_path_buf(),
        });
        parents.chain(self.directories.iter().cloned()).collect()
    }
}
