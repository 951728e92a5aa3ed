//! Which line each value of a YAML file is on.

use std::collections::BTreeMap;

use super::place::{Place, Seg};

/// Lines, counted from 1, and the text of scalars as it stands in the file.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<Place, (usize, Option<String>)>);

impl Lines {
    /// Notes a value; its line is its key's, if that was noted.
    pub(super) fn add(&mut self, place: &Place, line: usize, raw: Option<String>) {
        self.0.entry(place.clone()).or_insert((line, None)).1 = raw;
    }

    /// The line of a place, or of the nearest thing that contains it.
    pub(super) fn line(&self, place: &Place) -> Option<usize> {
        match self.0.get(place) {
            Some((line, _)) => Some(*line),
            None => self.line(&place.parent()?),
        }
    }

    /// A scalar's text as it stands in the file, before references were resolved.
    pub(super) fn raw(&self, place: &Place) -> Option<&str> {
        let (_, raw) = match self.0.get(place) {
            // What was written without a list around it.
            None if place.0.last() == Some(&Seg::Index(0)) => self.0.get(&place.parent()?),
            noted => noted,
        }?;
        raw.as_deref()
    }
}
