//! What is read of one file, whichever gateway's it is: chains, settings, remarks, faults.

use tollgate_config::foreign::Node;
use tollgate_config::{Fault, Faults};

use super::plan::{Route, join};
use super::target::{Target, Without};
use super::values::Values;
use super::{Import, Note, Settings};

/// Most tries of the same model with the same key.
const MOST_RETRIES: u64 = 3;

/// A file that is being read. What only one gateway's file says is read by that gateway's room.
pub struct Reader {
    pub values: Values,
    pub settings: Settings,
    pub faults: Vec<Fault>,
    /// As in [`Import::chains`].
    pub chains: Vec<(String, Vec<Route>)>,
}

impl Reader {
    /// Returns a reader of files that refer to variables by this in front of their names.
    pub fn new(reference: &'static str) -> Reader {
        Reader {
            values: Values::new(reference),
            settings: Settings::default(),
            faults: Vec::new(),
            chains: Vec::new(),
        }
    }

    /// Returns what was read of a gateway's file, for access keys of this configuration.
    ///
    /// # Errors
    ///
    /// Everything that could not be read, in the order of its lines.
    pub fn done(
        mut self,
        gateway: &'static str,
        configuration: &'static str,
    ) -> Result<Import, Faults> {
        if self.faults.is_empty() {
            return Ok(Import {
                gateway,
                configuration,
                chains: self.chains,
                settings: self.settings,
            });
        }
        self.faults.sort_by_key(|fault| fault.line);
        Err(Faults {
            faults: self.faults,
            sources: Default::default(),
        })
    }

    /// Remarks something about a place, once.
    pub fn note(&mut self, node: &Node<'_>, words: impl Into<String>) {
        let note = Note::at(node.line(), words);
        if !self.settings.notes.contains(&note) {
            self.settings.notes.push(note);
        }
    }

    /// Adds what serves a name, behind what serves it already.
    pub fn add(&mut self, name: &str, route: Route) {
        match self.chains.iter_mut().find(|(known, _)| known == name) {
            Some((_, routes)) => join(routes, route),
            None => self.chains.push((name.to_owned(), vec![route])),
        }
    }

    /// Makes a route of a target; without one it is said why.
    pub fn route(&mut self, target: &Target<'_, '_>, notes: Vec<Note>) -> Option<Route> {
        match target.route(&mut self.values, notes) {
            Ok(route) => return Some(route),
            Err(Without::Remark(note)) => self.settings.notes.push(note),
            Err(Without::Fault(fault)) => self.faults.push(fault),
        }
        None
    }

    /// Takes over how often the same model is tried again, by a setting that is called `name`. All share one number: the
    /// highest. Returns what is to be remarked, if it is more than may be.
    #[must_use]
    pub fn retries(&mut self, at: &Node<'_>, name: &str, asked: u64) -> Option<Note> {
        let own = asked.min(MOST_RETRIES);
        if own > 0 {
            self.settings.retries = self.settings.retries.max(Some(own));
        }
        (asked > MOST_RETRIES).then(|| {
            let words = format!(
                "{name} is {asked}; the same model is tried again {MOST_RETRIES} times at most"
            );
            Note::at(at.line(), words)
        })
    }

    /// Takes over the size of the largest body, MiB.
    pub fn max_body(&mut self, size: &Node<'_>) {
        if let Some(size) = size.value().as_u64().filter(|size| *size > 0) {
            self.settings.proxy.insert("max_body", format!("{size}MiB"));
        }
    }

    /// Takes over the origins that browsers may call from.
    pub fn origins(&mut self, list: &Node<'_>) {
        let items = list.items();
        let origins: Vec<String> = items
            .iter()
            .filter_map(Node::text)
            .map(|origin| serde_json::Value::from(self.values.text(origin)).to_string())
            .collect();
        if !origins.is_empty() {
            let cors = format!("{{ origins: [{}] }}", origins.join(", "));
            self.settings.proxy.insert("cors", cors);
        }
    }
}

/// Puts the heaviest first; what weighs the same stays in the file's order.
pub fn heaviest_first(nodes: &mut [Node<'_>]) {
    let weight = |node: &Node<'_>| node.number_of("weight").unwrap_or(1.0);
    nodes.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
}
