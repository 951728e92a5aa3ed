//! One YAML file: read, parsed, its references resolved, its shape checked.
//!
//! What is misshapen is taken out after it was reported, so that one fault does not hide the next.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::fault::Fault;
use super::lines::Lines;
use super::parse::{from_yaml, parse};
use super::place::{Faulty, Place, Seg};
use super::reference::{ReferenceError, expand};
use super::{shape, sources};

/// What looks up a variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A file's content, well-shaped, and what was wrong with it.
pub(super) struct Document {
    pub file: PathBuf,
    /// A mapping with the shape of [`super::types::File`], as far as its fields were well-shaped.
    pub value: Value,
    pub lines: Lines,
    /// Places where a fault was found or something was taken out: further faults there would be noise.
    pub faulty: Faulty,
    pub faults: Vec<Fault>,
    /// Whether something was taken out that may have had an id.
    pub lost_ids: bool,
    /// Files that credentials were read from.
    pub credential_files: BTreeSet<PathBuf>,
}

impl Document {
    /// Reads `file`, or what is given as its text. Whatever is wrong with it is in `faults`.
    pub(super) fn read(
        file: &Path,
        text: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Document {
        let mut document = Document::empty(file);
        match text.map_or_else(
            || sources::read_text(file).map(Cow::Owned),
            |text| Ok(Cow::Borrowed(text)),
        ) {
            Ok(text) => document.parse(&text, Some(env)),
            Err(error) => {
                document.lost_ids = true;
                document.faults.push(Fault {
                    file: file.to_path_buf(),
                    line: None,
                    path: String::new(),
                    message: format!("cannot be read: {error}"),
                    hint: (error.kind() == io::ErrorKind::NotFound)
                        .then(|| "give the path of a configuration with `--config`".to_owned()),
                });
            }
        }
        document
    }

    /// Reads the text of somebody who may refer to nothing: neither to the environment nor to files.
    pub(super) fn of_stranger(text: &str) -> Document {
        let mut document = Document::empty(Path::new(""));
        document.parse(text, None);
        document
    }

    fn empty(file: &Path) -> Document {
        Document {
            file: file.to_path_buf(),
            value: Value::Object(Map::new()),
            lines: Lines::default(),
            faulty: Faulty::default(),
            faults: Vec::new(),
            lost_ids: false,
            credential_files: BTreeSet::new(),
        }
    }

    /// Reads a file of another program, whose shape is not ours to check and whose references mean something else.
    pub(super) fn of_another(file: &Path, text: &str) -> Document {
        let mut document = Document::empty(file);
        if let Some(value) = document.content(text) {
            document.value = value;
        }
        document
    }

    fn parse(&mut self, text: &str, env: Option<Environment<'_>>) {
        let Some(mut value) = self.content(text) else {
            self.lost_ids = true;
            return;
        };
        shape::complete_lists(&mut value);
        let mut referred = BTreeSet::new();
        if let Some(env) = env {
            self.resolve(&mut value, &Place::default(), env, &mut referred);
        }
        self.check_shape(&mut value, &referred);
        self.value = value;
    }

    /// Reads a text; `None` if what is wrong with it leaves nothing to go by.
    fn content(&mut self, text: &str) -> Option<Value> {
        let parsed = parse(text);
        self.lines = parsed.lines;
        for (place, line, message, hint) in parsed.faults {
            let fault = self.about(&place, message, hint.map(str::to_owned));
            self.faulty.insert(place);
            self.faults.push(Fault {
                line: Some(line),
                ..fault
            });
        }
        parsed.value
    }

    /// Notes a fault at a place.
    pub(super) fn fault(&mut self, place: &Place, message: String, hint: Option<String>) {
        self.faulty.insert(place.clone());
        self.faults.push(self.about(place, message, hint));
    }

    /// A fault at a place, without noting it.
    pub(super) fn about(&self, place: &Place, message: String, hint: Option<String>) -> Fault {
        Fault {
            file: self.file.clone(),
            line: self.lines.line(place),
            path: place.to_string(),
            message,
            hint,
        }
    }

    /// Resolves references in every text, and notes where there were some.
    fn resolve(
        &mut self,
        value: &mut Value,
        place: &Place,
        env: &dyn Fn(&str) -> Option<String>,
        referred: &mut BTreeSet<Place>,
    ) {
        match value {
            Value::Array(list) => {
                for (i, item) in list.iter_mut().enumerate() {
                    self.resolve(item, &place.index(i), env, referred);
                }
            }
            Value::Object(map) => {
                for (key, item) in map.iter_mut() {
                    self.resolve(item, &place.key(key), env, referred);
                }
            }
            Value::String(text) => match expand(text, env) {
                Err(ReferenceError::Unset(name)) if is_credential(place) => {
                    let hint = format!(
                        "set it, or write `${{{name}:-}}` to leave the key out while it is not set"
                    );
                    self.fault(place, ReferenceError::Unset(name).to_string(), Some(hint));
                }
                Err(error) => self.fault(place, error.to_string(), Some(error.hint())),
                Ok(expanded) => {
                    if expanded.referred {
                        referred.insert(place.clone());
                    }
                    *text = expanded.text;
                    if is_credential(place) {
                        self.resolve_credential(text, place, expanded.optional);
                    }
                }
            },
            _ => {}
        }
    }

    /// Reads a credential's file. One that is optional and absent stays empty; [`super::check`] leaves it out.
    fn resolve_credential(&mut self, text: &mut String, place: &Place, optional: bool) {
        if let Some(file) = text.strip_prefix("file:") {
            let file = beside(&self.file, Path::new(file));
            let content = sources::read_text(&file);
            self.credential_files.insert(file.clone());
            match content {
                Ok(content) => {
                    *text = content
                        .strip_suffix('\n')
                        .map_or(&*content, |line| line.strip_suffix('\r').unwrap_or(line))
                        .to_owned()
                }
                Err(error) => {
                    return self.fault(
                        place,
                        format!("the file `{}` cannot be read: {error}", file.display()),
                        None,
                    );
                }
            }
        }
        if text.is_empty() && !optional {
            self.fault(
                place,
                "the credential is empty".to_owned(),
                Some(
                    "set it, or write `${NAME:-}` to leave the key out while `NAME` is empty"
                        .to_owned(),
                ),
            );
        } else if text.chars().any(char::is_control) {
            self.fault(
                place,
                "the credential contains a line break or another control character".to_owned(),
                None,
            );
        }
    }

    fn check_shape(&mut self, value: &mut Value, referred: &BTreeSet<Place>) {
        let raw = |lines: &Lines, place: &Place| lines.raw(place).map(str::to_owned);
        let mut found = shape::faults(value, &|place| raw(&self.lines, place));
        // A reference brings text; where a number or a truth value belongs, its text is read as YAML.
        let mut converted = false;
        for misshape in found
            .iter()
            .filter(|misshape| misshape.scalar_as_text && referred.contains(&misshape.place))
        {
            if let Some(at @ Value::String(_)) = misshape.place.find(value)
                && let Ok(scalar @ (Value::Number(_) | Value::Bool(_))) =
                    from_yaml(at.as_str().unwrap_or_default())
            {
                *at = scalar;
                converted = true;
            }
        }
        if converted {
            found = shape::faults(value, &|place| raw(&self.lines, place));
        }
        for misshape in found {
            if let Some(pruned) = shape::prune(value, &misshape) {
                let holds_ids = [
                    "id",
                    "include",
                    "accounts",
                    "budgets",
                    "providers",
                    "keys",
                    "managed_keys",
                    "configurations",
                    "access_keys",
                ];
                self.lost_ids |= match pruned.0.last() {
                    Some(Seg::Key(key)) => holds_ids.contains(&key.as_str()),
                    Some(Seg::Index(_)) | None => true,
                };
                self.faulty.insert(pruned);
            }
            self.fault(&misshape.place, misshape.message, misshape.hint);
        }
        if !value.is_object() {
            self.lost_ids = true;
            *value = Value::Object(Map::new());
        }
    }
}

/// A path that a file mentions is relative to that file.
pub(super) fn beside(file: &Path, mentioned: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(mentioned)
}

/// `providers[].keys[].value`, `providers[].managed_keys[].value`, `ledger.redis.password`, `secrets.master_key`,
/// `secrets.previous_keys[]`, `admin.oidc.client_secret`, `telemetry.traces.headers.*` and `telemetry.metrics.headers.*`.
fn is_credential(place: &Place) -> bool {
    use Seg::{Index, Key};
    match &place.0[..] {
        [Key(providers), Index(_), Key(keys), Index(_), Key(value)] => {
            providers == "providers"
                && (keys == "keys" || keys == "managed_keys")
                && value == "value"
        }
        [Key(section), Key(part), Key(secret)] => {
            let known = [
                ["ledger", "redis", "password"],
                ["admin", "oidc", "client_secret"],
            ];
            known.contains(&[section, part, secret].map(String::as_str))
        }
        [Key(telemetry), Key(signal), Key(headers), Key(_)] => {
            telemetry == "telemetry"
                && (signal == "traces" || signal == "metrics")
                && headers == "headers"
        }
        [Key(secrets), Key(key)] => secrets == "secrets" && key == "master_key",
        [Key(secrets), Key(keys), Index(_)] => secrets == "secrets" && keys == "previous_keys",
        _ => false,
    }
}

#[cfg(test)]
mod tests;
