//! How a model reasons: how hard it can be asked to, and where it wants its thoughts back.
//!
//! The invariant: what is not known forbids nothing.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a model is to reason, in the words of the providers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
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

    /// Returns the effort of a name; `None` if there is none of it.
    pub fn named(name: &str) -> Option<Effort> {
        Effort::ALL.into_iter().find(|effort| effort.name() == name)
    }
}

/// Efforts, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Efforts(u8);

impl Efforts {
    /// Returns whether an effort is among them.
    pub const fn contains(self, effort: Effort) -> bool {
        self.0 & (1 << effort as u8) != 0
    }

    /// They, rising.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Effort> {
        Effort::ALL
            .into_iter()
            .filter(move |effort| self.contains(*effort))
    }

    /// Returns the one among them that comes nearest to `wanted`: itself, or the next below it at which the model
    /// reasons, or the least; `None` if there are none.
    pub fn nearest(self, wanted: Effort) -> Option<Effort> {
        if self.contains(wanted) {
            return Some(wanted);
        }
        let below = self.iter().rev().find(|effort| *effort < wanted);
        let reasons = below.filter(|effort| *effort > Effort::Default);
        let least = || self.iter().find(|effort| *effort > Effort::Default);
        reasons.or_else(least).or_else(|| self.iter().next_back())
    }
}

impl FromIterator<Effort> for Efforts {
    fn from_iter<T: IntoIterator<Item = Effort>>(efforts: T) -> Efforts {
        let bits = efforts.into_iter().map(|effort| 1 << effort as u8);
        Efforts(bits.fold(0, |all, bit| all | bit))
    }
}

/// `low,medium,high`
impl FromStr for Efforts {
    type Err = String;

    fn from_str(text: &str) -> Result<Efforts, String> {
        let named =
            |name: &str| Effort::named(name).ok_or_else(|| format!("unknown effort `{name}`"));
        text.split(',').map(named).collect()
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

/// Where in an assistant's chat message a model wants its own thoughts back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Thoughts {
    /// Nowhere: a message with thoughts is refused.
    #[serde(rename = "none")]
    Nowhere,
    /// In `reasoning_content`: a text.
    #[serde(rename = "reasoning_content")]
    Content,
    /// In `reasoning`: a text.
    #[serde(rename = "reasoning")]
    Words,
    /// In `reasoning_details`: a list, with what makes them believed.
    #[serde(rename = "reasoning_details")]
    Details,
    /// In `extra_content` of a call: no words, only Google's signature.
    #[serde(rename = "thought_signature")]
    Signature,
}

impl Thoughts {
    /// All of them.
    pub const ALL: [Thoughts; 5] = [
        Thoughts::Nowhere,
        Thoughts::Content,
        Thoughts::Words,
        Thoughts::Details,
        Thoughts::Signature,
    ];

    /// Returns the field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Thoughts::Nowhere => "none",
            Thoughts::Content => "reasoning_content",
            Thoughts::Words => "reasoning",
            Thoughts::Details => "reasoning_details",
            Thoughts::Signature => "thought_signature",
        }
    }
}

impl FromStr for Thoughts {
    type Err = String;

    fn from_str(text: &str) -> Result<Thoughts, String> {
        let found = Thoughts::ALL.into_iter().find(|field| field.name() == text);
        found.ok_or_else(|| format!("unknown field of thoughts `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_are_a_set() {
        let efforts: Efforts = "high,low".parse().unwrap();
        let names: Vec<&str> = efforts.iter().map(Effort::name).collect();
        assert_eq!(names, ["low", "high"]);
        assert!(!efforts.contains(Effort::Medium));
        assert!("lowest".parse::<Efforts>().is_err());
    }

    #[test]
    fn an_effort_that_is_not_taken_has_a_nearest_one_that_is() {
        for (taken, wanted, nearest) in [
            ("low,high", Effort::High, Effort::High),
            ("low,high", Effort::Medium, Effort::Low),
            ("low,high", Effort::Max, Effort::High),
            ("high,max", Effort::Low, Effort::High),
            ("none,low", Effort::None, Effort::None),
            ("low,medium", Effort::None, Effort::Low),
            ("none,high", Effort::Low, Effort::High),
            ("none,default", Effort::High, Effort::Default),
        ] {
            let efforts: Efforts = taken.parse().unwrap();
            assert_eq!(
                efforts.nearest(wanted),
                Some(nearest),
                "{taken}: {wanted:?}"
            );
        }
        assert_eq!(Efforts::default().nearest(Effort::Low), None);
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
