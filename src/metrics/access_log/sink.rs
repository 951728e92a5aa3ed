//! Where log lines end up: standard output, a file, nowhere.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where requests are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to, and opened anew on request.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// An open target.
pub(super) enum Sink {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Sink {
    /// Opens a target; `None` where there is nothing to write to.
    pub fn open(target: &Target) -> io::Result<Option<Sink>> {
        Ok(match target {
            Target::Off => None,
            Target::Stdout => Some(Sink::Stdout),
            Target::File(path) => Some(Sink::File {
                path: path.clone(),
                file: append(path)?,
            }),
        })
    }

    /// Opens a file anew; on failure the old one stays.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Sink::File { path, file } = self {
            *file = append(path)?;
        }
        Ok(())
    }

    /// Writes whole lines.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Sink::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Sink::File { file, .. } => file.write_all(lines),
        }
    }

    /// For messages.
    pub fn name(&self) -> String {
        match self {
            Sink::Stdout => "standard output".to_owned(),
            Sink::File { path, .. } => path.display().to_string(),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("access log {}: {error}", path.display()),
            )
        })
}
