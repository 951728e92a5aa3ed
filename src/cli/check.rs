//! `tollgate check`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use tollgate_config::{Config, Faults};

use super::ended;
use super::table::many;

/// Prints the faults to standard error. If there are none, prints warnings there, and one line about what is valid to
/// standard output.
pub fn run(path: &Path) -> io::Result<ExitCode> {
    match tollgate_config::load(path, &tollgate_config::environment) {
        Ok(config) => {
            let mut err = io::stderr().lock();
            for warning in &config.warnings {
                writeln!(err, "warning: {warning}")?;
            }
            writeln!(
                io::stdout(),
                "{}: valid: {}",
                path.display(),
                summary(&config)
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => report(path, &faults),
    }
}

/// Prints one line for each fault to standard error, and how many there are; returns exit code 1.
pub fn report(path: &Path, faults: &Faults) -> io::Result<ExitCode> {
    let mut err = io::stderr().lock();
    let count = many(faults.faults.len(), "fault");
    let written =
        writeln!(err, "{faults}").and_then(|()| writeln!(err, "{}: {count}", path.display()));
    ended(written, ExitCode::FAILURE)
}

/// Returns how many of each kind there are, as in `1 provider, 2 provider keys, …`.
fn summary(config: &Config) -> String {
    let keys: usize = config
        .providers
        .iter()
        .map(|provider| provider.keys.len() + provider.managed_keys.len())
        .sum();
    [
        (config.providers.len(), "provider"),
        (keys, "provider key"),
        (config.configurations.len(), "configuration"),
        (config.access_keys.len(), "access key"),
    ]
    .map(|(count, what)| many(count, what))
    .join(", ")
}
