//! What a model can do and takes, as far as it is known.
//!
//! The invariant: what is not known is `None`, and forbids nothing.

use std::str::FromStr;

use crate::modality::Modality;
use crate::reasoning::{Budget, Efforts, Thoughts};

/// What a model can do and takes; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What it reads.
    pub reads: Option<Modalities>,
    /// What it makes.
    pub makes: Option<Modalities>,
    /// Whether it can reason before it answers.
    pub reasoning: Option<bool>,
    /// Whether its reasoning can be turned off.
    pub toggle: Option<bool>,
    /// The efforts of reasoning that it takes.
    pub efforts: Option<Efforts>,
    /// The tokens of reasoning that it may be given.
    pub budget: Option<Budget>,
    /// Whether it takes `temperature`.
    pub temperature: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it takes a schema for its answer.
    pub structured_output: Option<bool>,
    /// Where it wants its own thoughts back in later turns.
    pub thoughts: Option<Thoughts>,
}

/// Modalities, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modalities(u8);

impl Modalities {
    /// Returns whether a modality is among them.
    pub const fn contains(self, modality: Modality) -> bool {
        self.0 & (1 << modality as u8) != 0
    }

    /// They, in the order of [`Modality::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Modality> {
        Modality::ALL
            .into_iter()
            .filter(move |modality| self.contains(*modality))
    }
}

/// `text,image`
impl FromStr for Modalities {
    type Err = String;

    fn from_str(text: &str) -> Result<Modalities, String> {
        let mut modalities = Modalities::default();
        for name in text.split(',') {
            modalities.0 |= 1 << Modality::named(name)? as u8;
        }
        Ok(modalities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modalities_are_a_set() {
        let modalities: Modalities = "file,text".parse().unwrap();
        let all: Vec<Modality> = modalities.iter().collect();
        assert_eq!(all, [Modality::Text, Modality::File]);
        assert!("smell".parse::<Modalities>().is_err());
    }
}
