//! Which line each value of a YAML file is on.
//!
//! serde_yaml forgets where values stood, so a second parser's events are followed for their lines only; what
//! the values are is serde_yaml's to say. A value that came by alias or merge key has its nearest ancestor's line.

use std::collections::{BTreeMap, HashMap, HashSet};

use saphyr_parser::{Event, Parser};

use super::place::{Place, Seg};

/// How deep values may be nested; as many as serde_yaml takes. Each place repeats all that is around it.
const DEEPEST: usize = 128;
/// How many values aliases may stand for in all: a few kilobytes of them could stand for gigabytes.
const MOST_REPEATED: usize = 100_000;

/// Lines, counted from 1, and the text of scalars as it stands in the file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    nodes: BTreeMap<Place, Node>,
    /// Keys that were written a second time in the same mapping: where, and on which line.
    pub duplicates: Vec<(Place, usize)>,
}

#[derive(Debug)]
struct Node {
    line: usize,
    raw: Option<String>,
}

/// A collection that is open while events arrive.
enum Open {
    List {
        place: Place,
        next: usize,
    },
    /// `key` is set between a key and its value; a key that is no scalar has no place.
    Mapping {
        place: Place,
        key: Option<Option<Place>>,
        seen: HashSet<String>,
    },
}

/// Counts what aliases stand for.
#[derive(Default)]
struct Aliases {
    /// Values so far, those that aliases stand for included.
    values: usize,
    /// The open collections: their anchors, and `values` before them.
    open: Vec<(usize, usize)>,
    /// How many values an anchor stands for.
    sizes: HashMap<usize, usize>,
    repeated: usize,
}

impl Aliases {
    /// Follows an event; how many values all aliases so far stand for.
    fn repeated(&mut self, event: &Event<'_>) -> usize {
        match event {
            Event::Scalar(_, _, anchor, _) => {
                self.values = self.values.saturating_add(1);
                self.sizes.insert(*anchor, 1);
            }
            Event::Alias(anchor) => {
                let size = self.sizes.get(anchor).copied().unwrap_or(1);
                self.values = self.values.saturating_add(size);
                self.repeated = self.repeated.saturating_add(size);
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                self.open.push((*anchor, self.values));
                self.values = self.values.saturating_add(1);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((anchor, before)) = self.open.pop() {
                    self.sizes.insert(anchor, self.values - before);
                }
            }
            _ => {}
        }
        self.repeated
    }
}

impl Lines {
    /// Indexes a file's first document.
    ///
    /// # Errors
    ///
    /// When it is not YAML: the line, and what is wrong.
    pub(super) fn of(text: &str) -> Result<Lines, (usize, String)> {
        let mut lines = Lines::default();
        let mut stack: Vec<Open> = Vec::new();
        let mut aliases = Aliases::default();
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| (error.marker().line(), error.info().to_owned()))?;
            let line = span.start.line();
            if stack.len() > DEEPEST {
                return Err((line, format!("nested more than {DEEPEST} deep")));
            }
            if aliases.repeated(&event) > MOST_REPEATED {
                let info = format!("its aliases stand for more than {MOST_REPEATED} values");
                return Err((line, info));
            }
            match event {
                Event::Scalar(raw, ..) => {
                    if lines.is_key(&mut stack, &raw, line) {
                        continue;
                    }
                    if let Some(place) = place_of_value(&mut stack) {
                        lines
                            .nodes
                            .entry(place)
                            .or_insert(Node { line, raw: None })
                            .raw = Some(raw.into_owned());
                    }
                }
                Event::Alias(_) => drop(lines.value(&mut stack, line)),
                Event::SequenceStart(..) => {
                    let place = lines.value(&mut stack, line);
                    stack.push(Open::List { place, next: 0 });
                }
                Event::MappingStart(..) => {
                    let place = lines.value(&mut stack, line);
                    stack.push(Open::Mapping {
                        place,
                        key: None,
                        seen: HashSet::new(),
                    });
                }
                Event::SequenceEnd | Event::MappingEnd => drop(stack.pop()),
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        Ok(lines)
    }

    /// Takes a scalar as the key of the innermost mapping, if it waits for one.
    fn is_key(&mut self, stack: &mut [Open], raw: &str, line: usize) -> bool {
        let Some(Open::Mapping {
            place,
            key: key @ None,
            seen,
        }) = stack.last_mut()
        else {
            return false;
        };
        let own = place.key(raw);
        if !seen.insert(raw.to_owned()) {
            self.duplicates.push((own.clone(), line));
        }
        self.nodes
            .entry(own.clone())
            .or_insert(Node { line, raw: None });
        *key = Some(Some(own));
        true
    }

    /// The place of a value that is no scalar; a key that is no scalar takes its mapping's.
    fn value(&mut self, stack: &mut [Open], line: usize) -> Place {
        if let Some(Open::Mapping {
            place,
            key: key @ None,
            ..
        }) = stack.last_mut()
        {
            *key = Some(None);
            return place.clone();
        }
        let place = place_of_value(stack).unwrap_or_default();
        self.nodes
            .entry(place.clone())
            .or_insert(Node { line, raw: None });
        place
    }

    /// The line of a place, or of the nearest thing that contains it.
    pub(super) fn line(&self, place: &Place) -> Option<usize> {
        match self.nodes.get(place) {
            Some(node) => Some(node.line),
            None => self.line(&place.parent()?),
        }
    }

    /// A scalar's text as it stands in the file, before references were resolved.
    pub(super) fn raw(&self, place: &Place) -> Option<&str> {
        let node = match self.nodes.get(place) {
            Some(node) => Some(node),
            // What was written without a list around it.
            None if place.0.last() == Some(&Seg::Index(0)) => self.nodes.get(&place.parent()?),
            None => None,
        };
        node?.raw.as_deref()
    }
}

/// Moves the innermost collection past its next value, and says where that value is.
fn place_of_value(stack: &mut [Open]) -> Option<Place> {
    match stack.last_mut()? {
        Open::List { place, next } => {
            *next += 1;
            Some(place.index(*next - 1))
        }
        Open::Mapping { key, .. } => key.take().flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line() {
        let text = "# comment\nproxy:\n  listen:\n    - a\n    - b\nproviders:\n  - id: x\n    keys: [{ id: k,\n      value: v }]\n  - { id: y }\nbase: &b\n  q: 1\nother:\n  <<: *b\n  z: 2\n? [odd, key]\n: 1\nlast: 3\n";
        let lines = Lines::of(text).unwrap();
        for (pointer, line) in [
            ("/proxy", 2),
            ("/proxy/listen", 3),
            ("/proxy/listen/1", 5),
            ("/providers/0", 7),
            ("/providers/0/keys/0/value", 9),
            ("/providers/1/id", 10),
            ("/providers/1/nothing", 10),
            ("/other/z", 15),
            ("/last", 18),
        ] {
            let document = serde_json::json!({ "proxy": { "listen": [1, 2] }, "providers": [{ "keys": [{}] }, {}] });
            assert_eq!(
                lines.line(&Place::from_pointer(pointer, &document)),
                Some(line),
                "{pointer}"
            );
        }
        assert_eq!(lines.raw(&Place::top("last")), Some("3"));
    }

    #[test]
    fn duplicate_keys_and_syntax_errors_have_lines() {
        let lines = Lines::of("a: 1\nb: { c: 1, c: 2 }\na: 3\n").unwrap();
        let found: Vec<_> = lines
            .duplicates
            .iter()
            .map(|(place, line)| (place.to_string(), *line))
            .collect();
        assert_eq!(found, [("b.c".to_owned(), 2), ("a".to_owned(), 3)]);
        assert_eq!(Lines::of("a: 1\nb: [1\nc: 2\n").unwrap_err().0, 3);
    }

    #[test]
    fn what_would_take_gigabytes_is_refused() {
        let deep = Lines::of(&"- ".repeat(30_000)).unwrap_err();
        assert_eq!(deep, (1, "nested more than 128 deep".to_owned()));
        assert!(Lines::of(&format!("{}{}", "[".repeat(100), "]".repeat(100))).is_ok());
        // Each line is ten of the one before.
        let mut text = "- &a0 x\n".to_owned();
        for i in 0..9 {
            text += &format!("- &a{} [{}]\n", i + 1, format!("*a{i},").repeat(10));
            let told = Lines::of(&text);
            assert_eq!(told.is_ok(), i < 4, "{i}: {told:?}");
        }
    }
}
