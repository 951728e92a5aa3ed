//! Which files a configuration was read from.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest file that is read; `/dev/zero` is longer.
const LONGEST: usize = 16 << 20;

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

/// A file's content.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file)?.take(limit).read_to_end(&mut content)?;
    if content.len() > LONGEST {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok(content)
}

/// A file's content as text.
pub(super) fn read_text(file: &Path) -> io::Result<String> {
    String::from_utf8(read(file)?).map_err(|_| io::Error::other("it is not UTF-8"))
}
