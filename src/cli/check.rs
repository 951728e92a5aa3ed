//! `tollgate check`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use tollgate_config::{Config, Faults};

/// Prints warnings and faults to standard error, or one line about what is valid to standard output.
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

/// One line a fault, and how many there are.
pub fn report(path: &Path, faults: &Faults) -> io::Result<ExitCode> {
    let mut err = io::stderr().lock();
    let count = faults.faults.len();
    let noun = if count == 1 { "fault" } else { "faults" };
    writeln!(err, "{faults}")?;
    writeln!(err, "{}: {count} {noun}", path.display())?;
    Ok(ExitCode::FAILURE)
}

fn summary(config: &Config) -> String {
    let keys: usize = config
        .providers
        .iter()
        .map(|one| one.keys.len() + one.managed_keys.len())
        .sum();
    [
        (config.providers.len(), "provider"),
        (keys, "provider key"),
        (config.configurations.len(), "configuration"),
        (config.access_keys.len(), "access key"),
    ]
    .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
    .join(", ")
}
