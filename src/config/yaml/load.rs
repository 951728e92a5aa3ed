//! From a path to a valid configuration: read, merge, deserialize, check.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::check::{Checker, check};
use super::fault::{Fault, Faults};
use super::merge::Merged;
use super::place::Place;
use super::types;
use super::valid::Config;

/// Reads the configuration at `path`, with environment variables looked up by `env`.
///
/// # Errors
///
/// Every fault of every file, at once.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    finish(Merged::read(path, None, env), env)
}

/// Returns the same for text that is in no file; what it mentions is relative to the working directory.
///
/// # Errors
///
/// Every fault of the text and of what it includes, at once.
pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    finish(Merged::read(Path::new("(text)"), Some(text), env), env)
}

/// Returns where the admin listener of the configuration at `path` is, and whether it speaks TLS, whatever else is wrong
/// there.
///
/// # Errors
///
/// That the file cannot be read, or what is wrong with that listener.
pub fn admin_listener(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(SocketAddr, bool), Faults> {
    let mut merged = Merged::read(path, None, env);
    let mut value = merged.value.take();
    if let Value::Object(sections) = &mut value {
        sections.retain(|section, _| section == "admin");
    }
    let mut checker = Checker::new(&merged, env);
    let admin = deserialize(&mut value, &mut checker).admin;
    let listen = checker.admin_address(&admin);
    let Checker {
        faults, sources, ..
    } = checker;
    let documents = merged.documents.iter();
    let read = documents.flat_map(|document| document.faults.iter().cloned());
    let about = ["admin.listen", "admin.tls", "include"];
    let faults: Vec<Fault> = faults
        .into_iter()
        .chain(read)
        .filter(|fault| {
            let is_whole = fault.path.is_empty() || fault.path == "admin";
            is_whole || about.iter().any(|part| fault.path.starts_with(part))
        })
        .collect();
    if faults.is_empty() {
        return Ok((listen, admin.tls.is_some()));
    }
    Err(Faults { faults, sources })
}

fn finish(mut merged: Merged, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    let mut value = merged.value.take();
    let mut checker = Checker::new(&merged, env);
    let file = deserialize(&mut value, &mut checker);
    let config = check(&mut checker, file);
    let Checker {
        mut faults,
        warnings,
        sources,
        ..
    } = checker;
    faults.extend(
        merged
            .documents
            .iter()
            .flat_map(|document| document.faults.iter().cloned()),
    );
    if faults.is_empty() {
        return Ok(Config {
            warnings: sorted(warnings, &merged),
            sources,
            ..config
        });
    }
    Err(Faults {
        faults: sorted(faults, &merged),
        sources,
    })
}

/// In the order of files and lines.
fn sorted(mut faults: Vec<Fault>, merged: &Merged) -> Vec<Fault> {
    let order = |fault: &Fault| {
        let number = merged
            .documents
            .iter()
            .position(|document| document.file == fault.file);
        (number, fault.line, fault.path.clone())
    };
    faults.sort_by_key(order);
    faults
}

/// Deserializes what is well-shaped. What fails all the same (a price of too many decimals, a field that is
/// missing because its element was found faulty) is noted, taken out, and the rest tried again.
fn deserialize(value: &mut Value, checker: &mut Checker<'_>) -> types::File {
    loop {
        let error = match serde_path_to_error::deserialize::<_, types::File>(&*value) {
            Ok(file) => return file,
            Err(error) => error,
        };
        let place = place(error.path());
        checker.fault(&place, error.inner().to_string(), None);
        checker.lost_ids = true;
        match place.prune(value) {
            Some(pruned) => checker.pruned.push(pruned),
            None => return types::File::default(),
        }
    }
}

fn place(path: &serde_path_to_error::Path) -> Place {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(Place::default(), |place, segment| match segment {
            Segment::Seq { index } => place.index(*index),
            Segment::Map { key } => place.key(key),
            Segment::Enum { .. } | Segment::Unknown => place,
        })
}
