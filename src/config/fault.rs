//! What is wrong with a configuration, as a compiler would say it: file, line, path, what, and what to do.

use std::fmt;
use std::path::PathBuf;

use super::sources::Sources;

/// One thing that is wrong, or (among a configuration's warnings) probably not meant. Never shows a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file it is in.
    pub file: PathBuf,
    /// Its line, counted from 1; `None` when the fault is the file itself.
    pub line: Option<usize>,
    /// Where in the YAML, as `providers[1].base_url`; empty for the whole document.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do, as in "did you mean `base_url`?".
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order of files and lines. Never empty.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The faults; at least one.
    pub faults: Vec<Fault>,
    /// What was read all the same, so that a watcher notices the repair.
    pub sources: Sources,
}

impl fmt::Display for Faults {
    /// One fault a line, without a final line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
