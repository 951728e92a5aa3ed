//! Where something is in a document: `providers[1].base_url`.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// One step down into a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seg {
    Key(String),
    Index(usize),
}

/// A path from the top of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub Vec<Seg>);

impl Place {
    /// A field of the document itself.
    pub(super) fn top(key: &str) -> Place {
        Place::default().key(key)
    }

    /// A field of the mapping at this place.
    pub(super) fn key(&self, key: &str) -> Place {
        self.with(Seg::Key(key.to_owned()))
    }

    /// An element of the list at this place.
    pub(super) fn index(&self, index: usize) -> Place {
        self.with(Seg::Index(index))
    }

    fn with(&self, seg: Seg) -> Place {
        let mut segs = self.0.clone();
        segs.push(seg);
        Place(segs)
    }

    /// What contains this place; `None` at the top.
    pub(super) fn parent(&self) -> Option<Place> {
        let (_, rest) = self.0.split_last()?;
        Some(Place(rest.to_vec()))
    }

    /// Reads what [`fmt::Display`] writes. A key that itself contains a dot or bracket reads as several steps.
    pub(super) fn parse(path: &str) -> Place {
        path.split('.').fold(Place::default(), |place, step| {
            let (key, indices) = step.split_once('[').unwrap_or((step, ""));
            let indices = indices
                .split('[')
                .filter_map(|index| index.trim_end_matches(']').parse().ok());
            indices.fold(place.key(key), |place, index| place.index(index))
        })
    }

    /// Reads a JSON pointer, with the document it points into to distinguish indices from keys.
    pub(super) fn from_pointer(pointer: &str, document: &Value) -> Place {
        let mut place = Place::default();
        let mut at = Some(document);
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            match (at, part.parse::<usize>()) {
                (Some(Value::Array(list)), Ok(index)) => {
                    at = list.get(index);
                    place = place.index(index);
                }
                _ => {
                    at = at.and_then(|value| value.get(&part));
                    place = place.key(&part);
                }
            }
        }
        place
    }

    /// The value at this place.
    pub(super) fn find<'v>(&self, document: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(document, |at, seg| match seg {
            Seg::Key(key) => at.get_mut(key.as_str()),
            Seg::Index(index) => at.get_mut(*index),
        })
    }

    /// Takes the value at this place out of the document, so that what remains can still be examined. Indices
    /// of other values must not move, so a list's element takes its whole list with it. What was taken out.
    pub(super) fn prune(&self, document: &mut Value) -> Option<Place> {
        let mut place = self.clone();
        loop {
            let parent = place.parent()?;
            if let (Some(Seg::Key(key)), Some(Value::Object(map))) =
                (place.0.last(), parent.find(document))
            {
                map.shift_remove(key)?;
                return Some(place);
            }
            place = parent;
        }
    }
}

/// Places where something is wrong. A question costs no more for their number: a list of thousands that
/// are wrong is asked about thousands of times.
#[derive(Debug, Default)]
pub(super) struct Faulty {
    places: BTreeSet<Place>,
    parents: BTreeSet<Place>,
}

impl Faulty {
    /// Adds a place.
    pub(super) fn insert(&mut self, place: Place) {
        self.parents.extend(place.parent());
        self.places.insert(place);
    }

    /// Whether a further fault at `place` would be noise: one is there, around it, or at one of its own fields.
    pub(super) fn explains(&self, place: &Place) -> bool {
        let mut around = std::iter::successors(Some(place.clone()), Place::parent);
        self.parents.contains(place) || around.any(|at| self.places.contains(&at))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, seg) in self.0.iter().enumerate() {
            match seg {
                Seg::Index(index) => write!(f, "[{index}]")?,
                Seg::Key(key) if i == 0 => f.write_str(key)?,
                Seg::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}
