//! What a model can do and takes, as far as it is known.
//!
//! The invariant: what is not known is `None`, and forbids nothing.

use std::fmt;
use std::str::FromStr;

use super::modality::Modality;

/// What a model can do and takes; `None` is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What it reads.
    pub reads: Option<Modalities>,
    /// What it makes.
    pub makes: Option<Modalities>,
    /// Whether it can reason before it answers.
    pub reasoning: Option<bool>,
    /// Whether it can be told not to reason.
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

/// How much a model is to reason, in the words of the providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Effort {
    None,
    Default,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// All of them, rising.
    pub const ALL: [Effort; 8] = [
        Effort::None,
        Effort::Default,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::Xhigh,
        Effort::Max,
    ];

    /// As requests have it.
    pub const fn name(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Default => "default",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Xhigh => "xhigh",
            Effort::Max => "max",
        }
    }
}

/// Efforts, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Efforts(u8);

impl Efforts {
    /// Whether an effort is among them.
    pub const fn contains(self, effort: Effort) -> bool {
        self.0 & (1 << effort as u8) != 0
    }

    /// They, rising.
    pub fn iter(self) -> impl Iterator<Item = Effort> {
        Effort::ALL
            .into_iter()
            .filter(move |effort| self.contains(*effort))
    }
}

/// `low,medium,high`
impl FromStr for Efforts {
    type Err = String;

    fn from_str(text: &str) -> Result<Efforts, String> {
        let mut efforts = Efforts::default();
        for name in text.split(',') {
            let known = Effort::ALL.into_iter().find(|effort| effort.name() == name);
            let effort = known.ok_or_else(|| format!("unknown effort `{name}`"))?;
            efforts.0 |= 1 << effort as u8;
        }
        Ok(efforts)
    }
}

/// Modalities, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modalities(u8);

impl Modalities {
    /// Whether a modality is among them.
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

/// Tokens of reasoning that a request may allow; a bound that is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The least.
    pub least: Option<u32>,
    /// The most.
    pub most: Option<u32>,
}

/// `1024-63999`, `1024-`, or `-`
impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Budget, String> {
        let fault = || format!("`{text}` is no budget, as in 1024-63999");
        let (least, most) = text.split_once('-').ok_or_else(fault)?;
        let bound = |text: &str| match text {
            "" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| fault()),
        };
        Ok(Budget {
            least: bound(least)?,
            most: bound(most)?,
        })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |bound: Option<u32>| bound.map(|tokens| tokens.to_string()).unwrap_or_default();
        write!(f, "{}-{}", bound(self.least), bound(self.most))
    }
}

/// The field of an assistant's message in which a model wants its own thoughts back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoughts {
    /// `reasoning_content`: a text.
    Content,
    /// `reasoning_details`: a list.
    Details,
}

impl Thoughts {
    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Thoughts::Content => "reasoning_content",
            Thoughts::Details => "reasoning_details",
        }
    }
}

impl FromStr for Thoughts {
    type Err = String;

    fn from_str(text: &str) -> Result<Thoughts, String> {
        let known = [Thoughts::Content, Thoughts::Details];
        let found = known.into_iter().find(|field| field.name() == text);
        found.ok_or_else(|| format!("unknown field of thoughts `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_and_modalities_are_sets() {
        let efforts: Efforts = "high,low".parse().unwrap();
        let names: Vec<&str> = efforts.iter().map(Effort::name).collect();
        assert_eq!(names, ["low", "high"]);
        assert!(!efforts.contains(Effort::Medium));
        assert!("lowest".parse::<Efforts>().is_err());
        let modalities: Modalities = "file,text".parse().unwrap();
        let all: Vec<Modality> = modalities.iter().collect();
        assert_eq!(all, [Modality::Text, Modality::File]);
        assert!("smell".parse::<Modalities>().is_err());
    }

    #[test]
    fn a_budget_has_bounds_as_far_as_they_are_known() {
        for text in ["1024-63999", "1024-", "-"] {
            assert_eq!(text.parse::<Budget>().unwrap().to_string(), text);
        }
        for text in ["", "1024", "a-b", "1-2-3", "-1-5"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }
}
