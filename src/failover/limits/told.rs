//! Limits as replicas tell each other of them, in one line.
//!
//! `requests 59 60 1000 steadily;tokens 12 - - at-once`: the unit, what is left, as much as there can be, milliseconds to the
//! reset, how it comes back. What is not known is `-`, and what cannot be read is passed over.

use std::time::Duration;

use super::{LATEST, Limit, Limits, MOST, Refill, Unit};

impl Limits {
    /// Returns the line that says them.
    pub fn told(&self) -> String {
        let mut line = String::new();
        let shown = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        for (unit, limit) in Unit::ALL.iter().zip(&self.0) {
            let Some(limit) = limit else { continue };
            let reset = limit.reset.map(|reset| reset.as_millis());
            let (most, reset) = (
                shown(limit.most),
                shown(reset.and_then(|ms| ms.try_into().ok())),
            );
            let refill = match limit.refill {
                Refill::Steadily => "steadily",
                Refill::AtOnce => "at-once",
            };
            let words = [unit.name(), &limit.left.to_string(), &most, &reset, refill];
            line.push_str(&words.join(" "));
            line.push(';');
        }
        line
    }

    /// Returns what a line says.
    pub fn heard(line: &str) -> Limits {
        let mut limits = Limits::default();
        for said in line.split(';') {
            if let Some((unit, limit)) = one(said) {
                limits.0[unit as usize] = Some(limit);
            }
        }
        limits
    }
}

fn one(said: &str) -> Option<(Unit, Limit)> {
    let words: Vec<&str> = said.split(' ').collect();
    let &[unit, left, most, reset, refill] = words.as_slice() else {
        return None;
    };
    let number = |word: &str| word.parse::<u64>().ok();
    let reset = number(reset).map(|ms| Duration::from_millis(ms).min(LATEST));
    let limit = Limit {
        most: number(most).map(|most| most.clamp(1, MOST)),
        left: number(left)?.min(MOST),
        reset,
        refill: match refill {
            "steadily" => Refill::Steadily,
            "at-once" => Refill::AtOnce,
            _ => return None,
        },
    };
    let unit = Unit::ALL.into_iter().find(|known| known.name() == unit)?;
    Some((unit, limit))
}
