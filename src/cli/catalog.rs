//! `tollgate catalog`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use tollgate_config::catalog::{Catalog, Kind, table};

use super::{List, Listed, check};

/// Lists what is known, with what a configuration adds.
pub fn run(list: &List) -> io::Result<ExitCode> {
    let catalog = match &list.config {
        None => Arc::new(Catalog::built_in()),
        Some(path) => match tollgate_config::load(path, &tollgate_config::environment) {
            Ok(config) => config.catalog,
            Err(faults) => return check::report(path, &faults),
        },
    };
    let kind = match list.what {
        Listed::Providers => Kind::Providers,
        Listed::Models => Kind::Models,
    };
    let listed = table(&catalog, kind, list.filter.as_deref(), list.json);
    writeln!(io::stdout(), "{}", listed.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
