//! One model at one provider with one key, as gateways say it that name a provider by a word.

use tollgate_config::Fault;
use tollgate_config::foreign::Node;

use super::Note;
use super::plan::{Details, Route};
use super::values::{Values, is_no_key};
use super::vendors::{self, Vendor};

/// What is said of a target.
pub struct Target<'t, 'f> {
    /// Where it stands.
    pub at: &'t Node<'f>,
    /// The provider, by its prefix in [`vendors::vendor`].
    pub prefix: &'t str,
    /// The key, or a reference to it.
    pub key: Option<Node<'f>>,
    /// A key that is somewhere else, by a name that is kept to itself.
    pub kept: Option<&'t str>,
    /// The address that it is moved to.
    pub base: Option<Node<'f>>,
    /// The same, made of what else is said.
    pub address: Option<String>,
    /// What goes upstream; `None` is what the client asked for.
    pub model: Option<&'t str>,
}

/// Why there is no route.
pub enum Without {
    /// It has no counterpart: a remark.
    Remark(Note),
    /// It cannot be understood.
    Fault(Fault),
}

impl Target<'_, '_> {
    /// Makes a route of it, with remarks made before.
    ///
    /// # Errors
    /// Why there is none.
    pub fn route(&self, values: &mut Values, mut notes: Vec<Note>) -> Result<Route, Without> {
        let left_out =
            |why: &str| Without::Remark(Note::at(self.at.line(), format!("left out: {why}")));
        let Some((vendor, usual)) = vendors::vendor(self.prefix) else {
            return Err(left_out(
                "its provider has no API of OpenAI's or Anthropic's here",
            ));
        };
        let base = match &self.base {
            Some(node) => Some(values.base(node, &mut notes).map_err(Without::Fault)?),
            None => self.address.clone(),
        };
        let Some(mut endpoint) = vendors::endpoint(&vendor, base.as_deref()) else {
            return Err(left_out("the address of its provider is not said"));
        };
        let text = self.key.as_ref().and_then(Node::text).unwrap_or_default();
        // A vendor's usual key goes to nobody else's address.
        let moved =
            base.is_some() && endpoint.base_url.is_some() && !matches!(vendor, Vendor::Azure);
        let local = moved || matches!(vendor, Vendor::Local(..) | Vendor::Own(_));
        endpoint.keyless = local && self.kept.is_none() && (text.is_empty() || is_no_key(text));
        let variables = match (values.variable(text), self.kept) {
            _ if endpoint.keyless => Vec::new(),
            (Some(variable), _) => vec![variable],
            (None, Some(kept)) => {
                let variable = values.literal(kept, &endpoint.name);
                let words = format!(
                    "its key is not in the file: put it into the environment variable {variable}"
                );
                notes.push(Note::at(self.at.line(), words));
                vec![variable]
            }
            (None, None) if text.is_empty() || is_no_key(text) => vec![usual.to_owned()],
            (None, None) => {
                let line = self.key.as_ref().map_or(self.at.line(), Node::line);
                vec![values.moved(text, &endpoint.name, line, &mut notes)]
            }
        };
        Ok(Route {
            endpoint,
            model: self.model.map(|model| values.text(model)),
            variables,
            details: Details::default(),
            notes,
        })
    }
}
