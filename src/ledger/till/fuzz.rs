//! What must hold for whatever records a journal has.

use std::time::Duration;

use super::history::{Gaps, History};
use crate::bank::{Holder, Mark};
use crate::journal::OwnedRecord;

const LEASE: Duration = Duration::from_secs(60);

/// What an earlier life left to report is the same however often it is made up, each message is one that a bank takes
/// or refuses, and so is what a bank has forgotten.
pub(crate) fn replayed(holder: Holder, nonce: u64, records: &[OwnedRecord]) {
    let all = || records.iter().cloned().map(Ok);
    let rests = || {
        let read = History::read(holder, Mark::first(nonce), None, all());
        let mut history = read.unwrap_or_else(|error| panic!("{error}"));
        history.orphan();
        history.counts();
        history.rests(LEASE)
    };
    let mut gaps = Gaps::new();
    for (rest, again) in rests().into_iter().zip(rests()) {
        assert_eq!(rest.messages, again.messages, "charged once");
        assert!(rest.messages.last().is_some_and(|last| last.close));
        for message in &rest.messages {
            drop(message.check());
        }
        gaps.insert(rest.account().to_string(), (1, rest.highest));
        drop(again.in_another_name());
    }
    let forgotten = History::forgotten(holder, all(), &gaps, LEASE);
    let mut forgotten = forgotten.unwrap_or_else(|error| panic!("{error}"));
    for mut rest in rests() {
        if let Some(forgotten) = forgotten.remove(&**rest.account()) {
            rest.repeat(forgotten);
        }
    }
}
