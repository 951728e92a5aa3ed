//! What a provider's headers say of a key's limits: how much there is of what, what is left of it, and when it is full again.
//!
//! | headers | of what | filled |
//! | --- | --- | --- |
//! | `anthropic-ratelimit-{requests,input-tokens,output-tokens,tokens}-*` (Anthropic) | each | steadily: "fully replenished" |
//! | `x-ratelimit-*-{requests,tokens,project-tokens}` (OpenAI, Azure, Groq, xAI, SambaNova and most others) | each | steadily: "to its initial state" |
//! | the same with `-minute`, `-hour`, `-day` behind it (Cerebras; SambaNova's `requests-day`) | each | steadily: a token bucket |
//! | `x-ratelimit-*-tokens-{prompt,generated}` (Fireworks) | prompts, answers | steadily |
//! | `x-ratelimit-*-req-minute` (Mistral; tokens as Cerebras) | requests | at once, within a minute |
//! | `x-ratelimit-*` (OpenRouter, Together), `ratelimit-*` (IETF draft) | requests | at once, at the reset |
//! | `x-tokenlimit-*` (Together) | tokens | the same |
//!
//! Google, DeepSeek, Z.ai and Moonshot tell nothing of the kind (Moonshot a wait, with its 429). Not read is what refuses only
//! some of a key's requests, or none: `anthropic-priority-*`, `anthropic-fast-*`, `anthropic-ratelimit-unified-*`.
//! Where an answer tells of several buckets of one unit, the one with the least left counts.
//!
//! A reset is a duration as Go writes it (`6m0s`, `20ms`), bare seconds, an RFC 3339 time, or a Unix time (s or ms).
//!
//! Invariant: no header makes a reset negative, and none can panic; what cannot be read is passed over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod told;

use super::times::{go_duration, quantity, rfc3339};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens of prompts and answers together.
    Tokens,
    /// Tokens of prompts.
    Input,
    /// Tokens of answers.
    Output,
}

/// How many units there are.
pub(crate) const UNITS: usize = 4;

impl Unit {
    /// Each.
    pub const ALL: [Unit; UNITS] = [Unit::Requests, Unit::Tokens, Unit::Input, Unit::Output];

    /// Returns its name: `requests`, `tokens`, `input-tokens` or `output-tokens`.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Requests => "requests",
            Unit::Tokens => "tokens",
            Unit::Input => "input-tokens",
            Unit::Output => "output-tokens",
        }
    }
}

/// How what was used comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Evenly, as into a token bucket that is full at the reset.
    Steadily,
    /// All of it at the reset, as with a window.
    AtOnce,
}

/// What headers say of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As much as there can be, if that is said; never 0.
    pub most: Option<u64>,
    /// What is left.
    pub left: u64,
    /// From the answer to the reset, if that is said.
    pub reset: Option<Duration>,
    /// How it comes back.
    pub refill: Refill,
}

/// What an answer's headers say, by unit; the provider may say nothing of some of them, or of any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub [Option<Limit>; UNITS]);

/// The headers of one bucket.
pub(crate) struct Bucket {
    unit: Unit,
    refill: Refill,
    pub(crate) left: &'static str,
    most: &'static str,
    pub(crate) reset: &'static str,
}

const fn bucket(unit: Unit, refill: Refill, [left, most, reset]: [&'static str; 3]) -> Bucket {
    Bucket {
        unit,
        refill,
        left,
        most,
        reset,
    }
}

/// What the names of all have in common, and the length of the shortest.
const COMMON: &str = "limit-";
const SHORTEST: usize = "ratelimit-reset".len();

/// The names of what is left, of the most and of the reset, with what stands before and behind those words.
macro_rules! names {
    ($before:literal, $after:literal) => {
        [
            concat!($before, "remaining", $after),
            concat!($before, "limit", $after),
            concat!($before, "reset", $after),
        ]
    };
    ($of:literal) => {
        names!("x-ratelimit-", $of)
    };
}

/// The same as Anthropic has them.
macro_rules! anthropic {
    ($of:literal) => {
        [
            concat!("anthropic-ratelimit-", $of, "-remaining"),
            concat!("anthropic-ratelimit-", $of, "-limit"),
            concat!("anthropic-ratelimit-", $of, "-reset"),
        ]
    };
}

/// All that are known.
pub(crate) const BUCKETS: [Bucket; 19] = {
    use Refill::{AtOnce, Steadily};
    use Unit::{Input, Output, Requests, Tokens};
    [
        bucket(Requests, Steadily, anthropic!("requests")),
        bucket(Input, Steadily, anthropic!("input-tokens")),
        bucket(Output, Steadily, anthropic!("output-tokens")),
        bucket(Tokens, Steadily, anthropic!("tokens")),
        bucket(Requests, Steadily, names!("-requests")),
        bucket(Tokens, Steadily, names!("-tokens")),
        bucket(Tokens, Steadily, names!("-project-tokens")),
        bucket(Requests, Steadily, names!("-requests-minute")),
        bucket(Requests, Steadily, names!("-requests-hour")),
        bucket(Requests, Steadily, names!("-requests-day")),
        bucket(Tokens, Steadily, names!("-tokens-minute")),
        bucket(Tokens, Steadily, names!("-tokens-hour")),
        bucket(Tokens, Steadily, names!("-tokens-day")),
        bucket(Input, Steadily, names!("-tokens-prompt")),
        bucket(Output, Steadily, names!("-tokens-generated")),
        bucket(Requests, AtOnce, names!("-req-minute")),
        bucket(Requests, AtOnce, names!("")),
        bucket(Tokens, AtOnce, names!("x-tokenlimit-", "")),
        bucket(Requests, AtOnce, names!("ratelimit-", "")),
    ]
};

/// No reset is later than a day: that is the longest that providers count in.
const LATEST: Duration = Duration::from_secs(86_400);

/// More of anything than a provider allows in a day.
const MOST: u64 = 1 << 40;

impl Limits {
    /// Returns whether a header, by its name, may be one of those that are read: most answers have none, and are not asked for
    /// each.
    pub fn may_have(name: &str) -> bool {
        name.len() >= SHORTEST && name.contains(COMMON)
    }

    /// Returns what the headers of an answer say. `header` is asked for names in lower case; `wall` is the current
    /// wall-clock time.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, wall: SystemTime) -> Limits {
        let header = |name: &str| header(name).map(str::trim);
        let count = |name: &str| Some(quantity(header(name)?)?.as_secs().min(MOST));
        let mut limits = Limits::default();
        for bucket in &BUCKETS {
            let place = &mut limits.0[bucket.unit as usize];
            let Some(left) = count(bucket.left) else {
                continue;
            };
            if place.is_some_and(|scarcer: Limit| scarcer.left <= left) {
                continue;
            }
            let most = count(bucket.most);
            // Where there is no limit, some say 0.
            if most == Some(0) {
                continue;
            }
            let reset = header(bucket.reset).and_then(|text| reset(text, wall));
            *place = Some(Limit {
                most,
                left,
                reset: reset.map(|wait| wait.min(LATEST)),
                refill: bucket.refill,
            });
        }
        // Anthropic repeats as tokens whichever of the other two is nearer to its end.
        if limits.0[Unit::Input as usize].is_some() {
            limits.0[Unit::Tokens as usize] = None;
        }
        limits
    }

    /// Returns whether they say nothing.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// How long it is until a reset; zero for one that has passed.
pub(crate) fn reset(text: &str, wall: SystemTime) -> Option<Duration> {
    let until = |time: SystemTime| time.duration_since(wall).unwrap_or(Duration::ZERO);
    if let Some(number) = quantity(text) {
        let unix = match number.as_secs() {
            0..1_000_000_000 => return Some(number),
            1_000_000_000..1_000_000_000_000 => number,
            _ => number / 1000,
        };
        return UNIX_EPOCH.checked_add(unix).map(until);
    }
    go_duration(text).or_else(|| rfc3339(text).map(until))
}

#[cfg(test)]
mod tests;
