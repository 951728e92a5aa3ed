//! `tollgate catalog`.

use std::io::{self, Write};
use std::process::ExitCode;

use tollgate::config;

use super::{List, Listed};

/// Lists what is known, with what a configuration adds.
pub fn run(list: &List) -> io::Result<ExitCode> {
    if let Some(path) = &list.config
        && let Err(faults) = config::load(path, &config::environment)
    {
        writeln!(io::stderr(), "{faults}")?;
        return Ok(ExitCode::FAILURE);
    }
    let what = match list.what {
        Listed::Providers => "providers",
        Listed::Models => "models",
    };
    // The catalog prints its own tables; until it does, nothing is listed.
    writeln!(io::stderr(), "tollgate: the catalog has no {what} to list")?;
    Ok(ExitCode::FAILURE)
}
