//! A configuration of another program: YAML of any shape, with the line of everything in it.
//!
//! Nothing in it is resolved or checked: what its texts refer to is that program's.

use std::path::Path;

use serde_json::Value;

use super::document::Document;
use super::fault::{Fault, Faults};
use super::place::Place;
use super::sources;

/// A file of another program.
pub struct Foreign(Document);

/// A value of such a file, and where it is.
#[derive(Clone)]
pub struct Node<'f> {
    document: &'f Document,
    place: Place,
    value: &'f Value,
}

impl Foreign {
    /// Reads a YAML file (JSON is YAML).
    ///
    /// # Errors
    ///
    /// That it cannot be read, or is no YAML, with its line and every key that stands twice.
    pub fn read(file: &Path) -> Result<Foreign, Faults> {
        let read = sources::read_text(file).map_err(|error| {
            let message = format!("cannot be read: {error}");
            let hint = Some("give the path of the file to import".to_owned());
            let path = String::new();
            let (file, line) = (file.to_path_buf(), None);
            Faults {
                faults: vec![Fault {
                    file,
                    line,
                    path,
                    message,
                    hint,
                }],
                sources: sources::Sources::default(),
            }
        });
        let document = Document::of_another(file, &read?);
        if document.faults.is_empty() {
            return Ok(Foreign(document));
        }
        Err(Faults {
            faults: document.faults,
            sources: sources::Sources::default(),
        })
    }

    /// Returns the whole document.
    pub fn top(&self) -> Node<'_> {
        Node {
            document: &self.0,
            place: Place::default(),
            value: &self.0.value,
        }
    }
}

impl<'f> Node<'f> {
    /// Returns the value as JSON.
    pub fn value(&self) -> &'f Value {
        self.value
    }

    /// Returns the text that it is, if it is one.
    pub fn text(&self) -> Option<&'f str> {
        self.value.as_str()
    }

    /// Returns the member with this name, if it is a mapping that has one with a value.
    pub fn get(&self, name: &str) -> Option<Node<'f>> {
        let value = self.value.get(name)?;
        Some(self.at(self.place.key(name), value))
    }

    /// Returns the members of a mapping, in their order; none of anything else.
    pub fn members(&self) -> Vec<(&'f str, Node<'f>)> {
        let members = self.value.as_object().into_iter().flatten();
        members
            .map(|(name, value)| (name.as_str(), self.at(self.place.key(name), value)))
            .collect()
    }

    /// Returns the elements of a list, in their order; none of anything else.
    pub fn items(&self) -> Vec<Node<'f>> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(i, value)| self.at(self.place.index(i), value))
            .collect()
    }

    /// Returns the text of the member with this name, if it has one that is text.
    pub fn text_of(&self, name: &str) -> Option<&'f str> {
        self.value.get(name)?.as_str()
    }

    /// Returns the number of the member with this name, if it has one that is a number.
    pub fn number_of(&self, name: &str) -> Option<f64> {
        self.value.get(name)?.as_f64()
    }

    /// Returns the elements of the member with this name, in their order; none if it is no list.
    pub fn items_of(&self, name: &str) -> Vec<Node<'f>> {
        self.get(name).map_or_else(Vec::new, |list| list.items())
    }

    fn at(&self, place: Place, value: &'f Value) -> Node<'f> {
        Node {
            document: self.document,
            place,
            value,
        }
    }

    /// Returns the line where it begins, from 1.
    pub fn line(&self) -> usize {
        self.document.lines.line(&self.place).unwrap_or(1)
    }

    /// Returns where it is, as `model_list[1].model_name`.
    pub fn path(&self) -> String {
        self.place.to_string()
    }

    /// Returns a fault at this place.
    pub fn fault(&self, message: impl Into<String>, hint: &str) -> Fault {
        let hint = Some(hint.to_owned());
        self.document.about(&self.place, message.into(), hint)
    }
}
