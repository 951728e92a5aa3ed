//! JSON whose numbers stay text, and whose every value knows where it stands.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::fault::{Fault, shown};
use crate::decimal;

/// A file and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The line on which a piece of the text begins.
    fn line(&self, piece: &str) -> usize {
        let at = piece
            .as_ptr()
            .addr()
            .wrapping_sub(self.text.as_ptr().addr());
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) source: Source<'a>,
    /// Where in its document; empty for the whole of it.
    path: String,
    raw: &'a str,
}

/// The documents of a file: one, or several after each other, or a list of them.
pub(super) fn documents(source: Source<'_>) -> Result<Vec<Node<'_>>, Fault> {
    let stream = serde_json::Deserializer::from_str(source.text).into_iter::<&RawValue>();
    let mut found = Vec::new();
    for value in stream {
        let value = value.map_err(|error| Fault {
            line: Some(error.line()),
            ..Fault::of(source.name, format!("this is not JSON: {error}"))
        })?;
        let node = Node {
            source,
            path: String::new(),
            raw: value.get(),
        };
        if node.raw.starts_with('[') {
            found.extend(node.items()?);
        } else {
            found.push(node);
        }
    }
    Ok(found)
}

impl<'a> Node<'a> {
    /// What is wrong with it.
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault {
            file: self.source.name.to_owned(),
            line: Some(self.source.line(self.raw)),
            field: (!self.path.is_empty()).then(|| self.path.clone()),
            what: what.into(),
        }
    }

    /// The line on which it begins.
    pub(super) fn line(&self) -> usize {
        self.source.line(self.raw)
    }

    /// An object's fields.
    pub(super) fn fields(&self) -> Result<Fields<'a>, Fault> {
        let map: BTreeMap<String, &'a RawValue> = serde_json::from_str(self.raw)
            .map_err(|_| self.fault(format!("expected an object, not {}", shown(self.raw))))?;
        Ok(Fields {
            node: self.clone(),
            map,
        })
    }

    /// An array's items.
    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, Fault> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.raw)
            .map_err(|_| self.fault(format!("expected a list, not {}", shown(self.raw))))?;
        let items = items.into_iter().enumerate();
        let nodes = items.map(|(place, item)| Node {
            source: self.source,
            path: format!("{}[{place}]", self.path),
            raw: item.get(),
        });
        Ok(nodes.collect())
    }

    /// A text, or a number as it is written.
    pub(super) fn text(&self) -> Result<String, Fault> {
        let first = self.raw.as_bytes().first();
        if first.is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-') {
            return Ok(self.raw.to_owned());
        }
        serde_json::from_str(self.raw)
            .map_err(|_| self.fault(format!("expected a text, not {}", shown(self.raw))))
    }

    /// A whole number of at least 0.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        let text = self.text()?;
        decimal::whole(&text).map_err(|wrong| self.fault(wrong.said(&text)))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Result<bool, Fault> {
        match self.raw {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(self.fault(format!("expected true or false, not {}", shown(other)))),
        }
    }
}

/// An object. A field that is `null` is as good as one that is not there.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) node: Node<'a>,
    map: BTreeMap<String, &'a RawValue>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let raw = self.map.get(name)?.get();
        let path = if self.node.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.node.path)
        };
        (raw != "null").then_some(Node {
            source: self.node.source,
            path,
            raw,
        })
    }

    pub(super) fn required(&self, name: &str) -> Result<Node<'a>, Fault> {
        self.get(name)
            .ok_or_else(|| self.node.fault(format!("`{name}` is missing")))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        self.get(name).map(|node| node.text()).transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, Fault> {
        self.get(name).map(|node| node.count()).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.get(name).map(|node| node.flag()).transpose()
    }

    /// Whether it has one of this name, `null` or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Fields with numbers above 0 that are not among those that are known.
    pub(super) fn strangers(&self, known: &[&str]) -> Vec<&str> {
        let strange = self.map.iter().filter(|(name, raw)| {
            let number = decimal::whole(raw.get()).is_ok_and(|number| number > 0);
            number && !known.contains(&name.as_str())
        });
        strange.map(|(name, _)| name.as_str()).collect()
    }

    /// What it is about, apart from its figures: texts and flags by their names.
    pub(super) fn identity(&self, figures: &[&str]) -> String {
        let words = self.map.iter().filter(|(name, raw)| {
            raw.get().starts_with(['"', 't', 'f']) && !figures.contains(&name.as_str())
        });
        words.fold(String::new(), |all, (name, raw)| {
            all + name + "=" + raw.get() + ";"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source {
            name: "x.json",
            text,
        }
    }

    #[test]
    fn every_value_knows_its_line_and_its_path() {
        let text = "{\n \"a\": [\n  {\"b\": 1},\n  {\"b\": \"x\"}\n ]\n}";
        let whole = documents(source(text)).unwrap().remove(0);
        let items = whole
            .fields()
            .unwrap()
            .required("a")
            .unwrap()
            .items()
            .unwrap();
        assert_eq!(items[0].fields().unwrap().count("b"), Ok(Some(1)));
        let fault = items[1].fields().unwrap().count("b").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "x.json:4: a[1].b: expected a decimal number, not `x`"
        );
        let fault = whole.fields().unwrap().required("c").unwrap_err();
        assert_eq!(fault.to_string(), "x.json:1: `c` is missing");
    }

    #[test]
    fn a_file_may_hold_several_documents() {
        for text in ["{} {}", "{}\n{}\n", "[{}, {}]"] {
            assert_eq!(documents(source(text)).unwrap().len(), 2, "{text}");
        }
        let fault = documents(source("{}\n{,")).unwrap_err();
        assert!(
            fault.to_string().starts_with("x.json:2: this is not JSON"),
            "{fault}"
        );
    }

    #[test]
    fn numbers_stay_text() {
        let text = r#"{"a": 0.003835980000000000000000000000, "b": null, "c": 1e-05}"#;
        let all = documents(source(text)).unwrap().remove(0).fields().unwrap();
        assert_eq!(
            all.text("a").unwrap().as_deref(),
            Some("0.003835980000000000000000000000")
        );
        assert_eq!(all.text("b"), Ok(None));
        assert_eq!(all.text("c").unwrap().as_deref(), Some("1e-05"));
    }
}
