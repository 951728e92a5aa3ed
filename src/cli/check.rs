//! `tollgate check`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use tollgate::config::{self, Config};

/// Prints warnings and faults to standard error, or one line about what is valid to standard output.
pub fn run(path: &Path) -> io::Result<ExitCode> {
    let mut err = io::stderr().lock();
    match config::load(path, &config::environment) {
        Ok(config) => {
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
        Err(faults) => {
            writeln!(err, "{faults}")?;
            let count = faults.faults.len();
            writeln!(
                err,
                "{}: {count} {}",
                path.display(),
                if count == 1 { "fault" } else { "faults" }
            )?;
            Ok(ExitCode::FAILURE)
        }
    }
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
