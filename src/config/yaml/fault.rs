//! What is wrong with a configuration, as a compiler would say it: file, line, path, what, and what to do.

use std::fmt::{self, Write};
use std::path::PathBuf;

use super::sources::Sources;
use tollgate_base::without_credentials;

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
    /// One line, whatever the file says: a fault may quote it, but for what looks like a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = OneLine(f);
        write!(out, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, "{line}:")?;
        }
        if !self.path.is_empty() {
            write!(out, " {}:", without_credentials(&self.path))?;
        }
        write!(out, " {}", without_credentials(&self.message))?;
        if let Some(hint) = &self.hint {
            write!(out, "; {}", without_credentials(hint))?;
        }
        Ok(())
    }
}

/// Escapes what would end the line or speak to the terminal.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            write!(self.0, "{}", part[plain.len()..].escape_default())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_whatever_it_quotes() {
        let fault = Fault {
            file: "a.yaml".into(),
            line: Some(3),
            path: "providers[0].b\tc".into(),
            message: "`two\r\nlines\u{1b}[31m` é".into(),
            hint: Some("\n".into()),
        };
        assert_eq!(
            fault.to_string(),
            r"a.yaml:3: providers[0].b\tc: `two\r\nlines\u{1b}[31m` é; \n"
        );
        let told = Fault {
            path: "providers[0].sk-proj-hunter2".into(),
            message: "`tg-app-g1-hunter2` is not a choice".into(),
            hint: Some("did you mean `sk-proj-hunter2`?".into()),
            ..fault
        };
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
}
