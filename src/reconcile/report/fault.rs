//! Why a report is not read.

use std::fmt;

/// What is wrong with a report, and where: as compilers say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The field (`data[0].results[1].amount.currency`) or the column.
    pub field: Option<String>,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(field) = &self.field {
            write!(f, " {field}:")?;
        }
        write!(f, " {}", self.what)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// About a whole file.
    pub(super) fn of(file: &str, what: impl Into<String>) -> Fault {
        Fault {
            file: file.to_owned(),
            line: None,
            field: None,
            what: what.into(),
        }
    }
}

/// Text from a report, short enough and plain enough to be shown.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", short.escape_debug())
}
