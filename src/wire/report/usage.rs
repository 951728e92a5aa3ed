//! What an answer is billed by, in one model for every dialect.

use std::ops::{Index, IndexMut};

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something that providers bill, each defined once: no token is counted by two of them.
///
/// The numbers are stored (in journals and usage events): a unit is only ever added, at the end. Their order also says
/// what counts tokens: a new unit of tokens has to be named in [`Unit::is_tokens`], and in `Unit::is_prompt` if it is
/// of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unit {
    /// Prompt tokens that none of the other units counts: text, and whatever a provider does not count apart from it.
    Input = 0,
    /// Prompt tokens read from the provider's cache, but for audio and images.
    CachedRead = 1,
    /// Prompt tokens written to the provider's cache, to be kept for minutes.
    CacheWrite = 2,
    /// Prompt tokens written to the provider's cache, to be kept for an hour.
    CacheWrite1h = 3,
    /// Prompt tokens of audio, not read from a cache.
    InputAudio = 4,
    /// Prompt tokens of images, not read from a cache.
    InputImage = 5,
    /// Prompt tokens of video.
    InputVideo = 6,
    /// Prompt tokens of audio read from the provider's cache.
    CachedAudio = 7,
    /// Prompt tokens of images read from the provider's cache.
    CachedImage = 8,
    /// Answer tokens that none of the other units counts: text and tool calls.
    Output = 9,
    /// Answer tokens spent on reasoning.
    Reasoning = 10,
    /// Answer tokens of audio.
    OutputAudio = 11,
    /// Answer tokens of images.
    OutputImage = 12,
    /// Answer tokens of video.
    OutputVideo = 13,
    /// Answer tokens of citations, where a provider counts them apart.
    Citation = 14,
    /// Searches of the web that the provider did.
    WebSearch = 15,
    /// Searches of stored files that the provider did.
    FileSearch = 16,
    /// Containers that the provider ran code in.
    CodeContainer = 17,
    /// Requests, where a provider bills each of them.
    Request = 18,
}

/// How many units there are.
const UNITS: usize = 19;

impl Unit {
    /// All units, in the order of their numbers.
    pub const ALL: [Unit; UNITS] = [
        Unit::Input,
        Unit::CachedRead,
        Unit::CacheWrite,
        Unit::CacheWrite1h,
        Unit::InputAudio,
        Unit::InputImage,
        Unit::InputVideo,
        Unit::CachedAudio,
        Unit::CachedImage,
        Unit::Output,
        Unit::Reasoning,
        Unit::OutputAudio,
        Unit::OutputImage,
        Unit::OutputVideo,
        Unit::Citation,
        Unit::WebSearch,
        Unit::FileSearch,
        Unit::CodeContainer,
        Unit::Request,
    ];

    /// Returns its name in configurations, usage events and exports.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Input => "input",
            Unit::CachedRead => "cached_read",
            Unit::CacheWrite => "cache_write",
            Unit::CacheWrite1h => "cache_write_1h",
            Unit::InputAudio => "input_audio",
            Unit::InputImage => "input_image",
            Unit::InputVideo => "input_video",
            Unit::CachedAudio => "cached_audio",
            Unit::CachedImage => "cached_image",
            Unit::Output => "output",
            Unit::Reasoning => "reasoning",
            Unit::OutputAudio => "output_audio",
            Unit::OutputImage => "output_image",
            Unit::OutputVideo => "output_video",
            Unit::Citation => "citation",
            Unit::WebSearch => "web_search",
            Unit::FileSearch => "file_search",
            Unit::CodeContainer => "code_container",
            Unit::Request => "request",
        }
    }

    /// Returns the unit with this name.
    pub fn named(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Returns whether it counts tokens of the prompt.
    pub(crate) const fn is_prompt(self) -> bool {
        (self as u8) < Unit::Output as u8
    }

    /// Returns whether it counts tokens of the answer.
    pub const fn is_answer(self) -> bool {
        !self.is_prompt() && self.is_tokens()
    }

    /// Returns whether it counts tokens. Those are priced by the million, everything else by the thousand.
    pub const fn is_tokens(self) -> bool {
        (self as u8) < Unit::WebSearch as u8
    }
}

/// Serializes as the number.
impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        let known = Unit::ALL.get(usize::from(number)).copied();
        known.ok_or_else(|| serde::de::Error::custom("a unit that this version does not know"))
    }
}

/// How much of each unit an answer used.
///
/// Units do not overlap, so the whole prompt ([`Usage::input`], cached parts included) and the whole answer
/// ([`Usage::output`], reasoning included) are sums of them. Sums saturate; no provider reports so much.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage([u64; UNITS]);

impl Usage {
    /// Makes a usage of five figures, in tokens: the whole prompt, what of it was read from and written to a cache, the
    /// whole answer, and what of it was reasoning. Parts that are more than their whole are cut to it.
    pub const fn of(
        input: u64,
        cached_read: u64,
        cache_write: u64,
        output: u64,
        reasoning: u64,
    ) -> Usage {
        // `u64::min` cannot be called in a const fn.
        const fn least(one: u64, other: u64) -> u64 {
            if one < other { one } else { other }
        }
        let read = least(cached_read, input);
        let write = least(cache_write, input - read);
        let thought = least(reasoning, output);
        let mut units = [0; UNITS];
        units[Unit::CachedRead as usize] = read;
        units[Unit::CacheWrite as usize] = write;
        units[Unit::Input as usize] = input - read - write;
        units[Unit::Reasoning as usize] = thought;
        units[Unit::Output as usize] = output - thought;
        Usage(units)
    }

    /// Makes a usage of a prompt and its answer of which nothing else is known.
    pub const fn tokens(input: u64, output: u64) -> Usage {
        Usage::of(input, 0, 0, output, 0)
    }

    /// Returns the tokens of the whole prompt, cached ones included.
    pub fn input(&self) -> u64 {
        sum(&self.0[..Unit::Output as usize])
    }

    /// Returns the prompt tokens that the provider read from its cache.
    pub fn cached_read(&self) -> u64 {
        sum(&[Unit::CachedRead, Unit::CachedAudio, Unit::CachedImage].map(|unit| self[unit]))
    }

    /// Returns the prompt tokens that the provider wrote to its cache, for however long.
    pub fn cache_write(&self) -> u64 {
        sum(&[Unit::CacheWrite, Unit::CacheWrite1h].map(|unit| self[unit]))
    }

    /// Returns the tokens of the whole answer, reasoning included.
    pub fn output(&self) -> u64 {
        sum(&self.0[Unit::Output as usize..Unit::WebSearch as usize])
    }

    /// Returns the answer tokens spent on reasoning.
    pub fn reasoning(&self) -> u64 {
        self[Unit::Reasoning]
    }

    /// Returns the tokens of prompt and answer, which the processing fee is charged on.
    pub fn total(&self) -> u64 {
        self.input().saturating_add(self.output())
    }

    /// Returns the five figures that the published API shows, in the order of [`Usage::of`].
    pub fn figures(&self) -> [u64; 5] {
        [
            self.input(),
            self.cached_read(),
            self.cache_write(),
            self.output(),
            self.reasoning(),
        ]
    }

    /// Returns each unit whose quantity is above 0, in the order of their numbers.
    pub fn units(&self) -> impl Iterator<Item = (Unit, u64)> + '_ {
        Unit::ALL
            .iter()
            .zip(&self.0)
            .filter(|(_, quantity)| **quantity > 0)
            .map(|(unit, quantity)| (*unit, *quantity))
    }

    /// Makes the whole prompt this long: what is missing is added to [`Unit::Input`]; what is too much is taken from
    /// that first, then from its other units.
    pub(crate) fn set_input(&mut self, tokens: u64) {
        self.set_whole(tokens, self.input(), Unit::Input, Unit::is_prompt);
    }

    /// Makes the whole answer this long, as [`Usage::set_input`] does with the prompt, by [`Unit::Output`].
    pub(crate) fn set_output(&mut self, tokens: u64) {
        self.set_whole(tokens, self.output(), Unit::Output, Unit::is_answer);
    }

    /// Adds what another answer used.
    pub fn add(&mut self, other: &Usage) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    fn set_whole(&mut self, tokens: u64, whole: u64, plain: Unit, counts: impl Fn(Unit) -> bool) {
        if tokens >= whole {
            self[plain] = self[plain].saturating_add(tokens - whole);
            return;
        }
        let mut over = whole - tokens;
        let parts = Unit::ALL.into_iter().filter(|unit| counts(*unit));
        for unit in std::iter::once(plain).chain(parts) {
            let less = over.min(self[unit]);
            self[unit] -= less;
            over -= less;
        }
    }
}

fn sum(quantities: &[u64]) -> u64 {
    let all = quantities.iter();
    all.fold(0, |sum, quantity| sum.saturating_add(*quantity))
}

impl Index<Unit> for Usage {
    type Output = u64;
    fn index(&self, unit: Unit) -> &u64 {
        &self.0[unit as usize]
    }
}

impl IndexMut<Unit> for Usage {
    fn index_mut(&mut self, unit: Unit) -> &mut u64 {
        &mut self.0[unit as usize]
    }
}

/// Shows the units whose quantity is above 0, by name.
impl std::fmt::Debug for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = self.units().map(|(unit, quantity)| (unit.name(), quantity));
        f.debug_map().entries(named).finish()
    }
}

/// Serializes as a list of pairs, a unit's number and its quantity; units of quantity 0 are left out, so that a unit
/// added later takes no room where it is not used.
impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.units().count()))?;
        for (unit, quantity) in self.units() {
            list.serialize_element(&(unit, quantity))?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Units;
        impl<'de> Visitor<'de> for Units {
            type Value = Usage;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of units and quantities")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Usage, A::Error> {
                let mut usage = Usage::default();
                while let Some((unit, quantity)) = list.next_element::<(Unit, u64)>()? {
                    usage[unit] = quantity;
                }
                Ok(usage)
            }
        }
        deserializer.deserialize_seq(Units)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_usage() -> impl Strategy<Value = Usage> {
        prop::collection::vec(0u64..1_000_000, UNITS).prop_map(|quantities| {
            let mut usage = Usage::default();
            usage.0.copy_from_slice(&quantities);
            usage
        })
    }

    #[test]
    fn units_are_numbered_in_their_order_and_named_once() {
        for (number, unit) in Unit::ALL.into_iter().enumerate() {
            assert_eq!(unit as usize, number, "{unit:?}");
            assert_eq!(Unit::named(unit.name()), Some(unit));
        }
        assert_eq!(Unit::named("tokens"), None);
    }

    #[test]
    fn parts_count_for_no_more_than_their_wholes() {
        let usage = Usage::of(10, 8, 5, 3, 7);
        assert_eq!(
            (usage.input(), usage.cached_read(), usage.cache_write()),
            (10, 8, 2)
        );
        assert_eq!((usage.output(), usage.reasoning()), (3, 3));
    }

    proptest! {
        #[test]
        fn every_unit_of_tokens_is_in_one_whole(usage in any_usage()) {
            let tokens = usage.units().filter(|(unit, _)| unit.is_tokens()).map(|(_, quantity)| quantity).sum::<u64>();
            prop_assert_eq!(usage.total(), tokens);
        }

        #[test]
        fn a_whole_can_be_set(mut usage in any_usage(), input in 0u64..20_000_000, output in 0u64..20_000_000) {
            let before = usage;
            usage.set_input(input);
            usage.set_output(output);
            prop_assert_eq!((usage.input(), usage.output()), (input, output));
            for unit in Unit::ALL {
                let grown = usage[unit] > before[unit];
                prop_assert!(!grown || matches!(unit, Unit::Input | Unit::Output), "{unit:?}");
                prop_assert!(unit.is_tokens() || usage[unit] == before[unit], "{unit:?}");
            }
        }

        #[test]
        fn what_is_written_is_read(usage in any_usage()) {
            let json = serde_json::to_string(&usage).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usage>(&json).unwrap(), usage);
        }
    }
}
