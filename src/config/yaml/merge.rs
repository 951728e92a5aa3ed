//! A file and what it includes, as one document that remembers where each part came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::document::{Document, beside};
use super::fault::Fault;
use super::glob;
use super::place::{Place, Seg};
use super::sources::Sources;

/// All files together.
#[derive(Default)]
pub(super) struct Merged {
    /// The files, in the order they were read; the first is the one that includes the others.
    pub documents: Vec<Document>,
    /// Everything they say.
    pub value: Value,
    pub sources: Sources,
    /// Where parts came from: a place in `value` → document, place there. What is absent is in the first one.
    origins: BTreeMap<Place, (usize, Place)>,
    canonical: Vec<PathBuf>,
}

impl Merged {
    /// Reads a file (or what is given as its text) and what it includes.
    pub(super) fn read(
        file: &Path,
        text: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Merged {
        let mut merged = Merged {
            value: Value::Object(Map::new()),
            ..Merged::default()
        };
        merged.add(file, text, env);
        merged
    }

    fn add(&mut self, file: &Path, text: Option<&str>, env: &dyn Fn(&str) -> Option<String>) {
        self.canonical.push(canonical(file));
        self.sources.files.insert(file.to_path_buf());
        let mut document = Document::read(file, text, env);
        self.sources.files.append(&mut document.credential_files);
        let value = document.value.take();
        let number = self.documents.len();
        self.documents.push(document);

        let mut includes = Vec::new();
        if let Value::Object(fields) = value {
            for (key, field) in fields {
                match (key.as_str(), field) {
                    ("include", Value::Array(list)) => includes = list,
                    (_, field) => self.merge(&Place::top(&key), field, number),
                }
            }
        }
        for (i, pattern) in includes.iter().enumerate() {
            self.include(
                number,
                &Place::top("include").index(i),
                pattern.as_str().unwrap_or_default(),
                env,
            );
        }
    }

    fn include(
        &mut self,
        number: usize,
        place: &Place,
        pattern: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) {
        let path = beside(&self.documents[number].file, Path::new(pattern));
        let files = if glob::is_pattern(pattern) {
            glob::matches(&path, &mut self.sources.directories)
        } else if path.is_file() {
            vec![path]
        } else {
            self.sources.files.insert(path);
            let document = &mut self.documents[number];
            document.lost_ids = true;
            let hint =
                "a path is relative to this file; a pattern with `*` may match nothing".to_owned();
            return document.fault(place, format!("there is no file `{pattern}`"), Some(hint));
        };
        for file in files {
            if self.canonical.contains(&canonical(&file)) {
                let message = format!(
                    "`{}` is included a second time, or includes itself",
                    file.display()
                );
                self.documents[number].fault(
                    place,
                    message,
                    Some("include each file once".to_owned()),
                );
            } else {
                self.add(&file, None, env);
            }
        }
    }

    /// Puts a value into the whole: lists at the top are appended, mappings are joined field by field, and
    /// everything else can be said once.
    fn merge(&mut self, place: &Place, incoming: Value, number: usize) {
        let at_top = place.0.len() == 1;
        match (place.find(&mut self.value), incoming) {
            (None, Value::Array(list)) if at_top => {
                self.origins.insert(place.clone(), (number, place.clone()));
                self.origins
                    .extend((0..list.len()).map(|i| (place.index(i), (number, place.index(i)))));
                self.set(place, Value::Array(list));
            }
            (Some(Value::Array(present)), Value::Array(list)) if at_top => {
                let start = present.len();
                self.origins.extend(
                    (0..list.len()).map(|i| (place.index(start + i), (number, place.index(i)))),
                );
                present.extend(list);
            }
            (None, Value::Object(fields)) => {
                self.origins.insert(place.clone(), (number, place.clone()));
                self.set(place, Value::Object(Map::new()));
                for (key, field) in fields {
                    self.merge(&place.key(&key), field, number);
                }
            }
            (Some(Value::Object(_)), Value::Object(fields)) => {
                for (key, field) in fields {
                    self.merge(&place.key(&key), field, number);
                }
            }
            (None, incoming) => {
                self.origins.insert(place.clone(), (number, place.clone()));
                self.set(place, incoming);
            }
            (Some(_), _) => {
                let message = format!("this is already set at {}", self.locate(place));
                self.documents[number].fault(
                    place,
                    message,
                    Some("set it in one file only".to_owned()),
                );
            }
        }
    }

    fn set(&mut self, place: &Place, value: Value) {
        let parent = place.parent().unwrap_or_default();
        if let (Some(Seg::Key(key)), Some(Value::Object(map))) =
            (place.0.last(), parent.find(&mut self.value))
        {
            map.insert(key.clone(), value);
        }
    }

    /// Which document a place came from, and where in it.
    fn origin(&self, place: &Place) -> (usize, Place) {
        let mut at = place.clone();
        loop {
            if let Some((number, there)) = self.origins.get(&at) {
                let rest = place.0[at.0.len()..].iter().cloned();
                return (
                    *number,
                    Place(there.0.iter().cloned().chain(rest).collect()),
                );
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return (0, place.clone()),
            }
        }
    }

    /// The file that says what is at a place, and where it is in there.
    pub(super) fn at(&self, place: &Place) -> (&Path, String) {
        let (number, there) = self.origin(place);
        (&self.documents[number].file, there.to_string())
    }

    /// The file that says what is at a place.
    pub(super) fn file_of(&self, place: &Place) -> &Path {
        &self.documents[self.origin(place).0].file
    }

    /// A fault at a place of the whole; `None` where one was already found: there, around it, or at one of its
    /// own fields (a misspelled field is why another is missing).
    pub(super) fn about(
        &self,
        place: &Place,
        message: String,
        hint: Option<String>,
    ) -> Option<Fault> {
        let (number, there) = self.origin(place);
        let document = &self.documents[number];
        (!document.faulty.explains(&there)).then(|| document.about(&there, message, hint))
    }

    /// A place's file and line, for people.
    pub(super) fn locate(&self, place: &Place) -> String {
        let (number, there) = self.origin(place);
        let document = &self.documents[number];
        let line = document
            .lines
            .line(&there)
            .map_or_else(String::new, |line| format!(":{line}"));
        format!("{}{line}", document.file.display())
    }

    /// Whether some ids may be unknown because of a fault, so that a missing one proves nothing.
    pub(super) fn lost_ids(&self) -> bool {
        self.documents.iter().any(|document| document.lost_ids)
    }
}

/// One name for one file. A file that cannot be resolved is reported when it is read.
fn canonical(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_path_buf())
}
