//! Providers that are left in the middle of an answer.

use super::*;
use crate::common::script::{Act, Script};
use talk::forever;

/// What a provider does after its client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Silence,
    Words,
    Pings,
    End,
    Cut,
    Reset,
    Failure,
}

impl Then {
    pub const ALL: [Then; 7] = [
        Then::Silence,
        Then::Words,
        Then::Pings,
        Then::End,
        Then::Cut,
        Then::Reset,
        Then::Failure,
    ];

    /// Once the gate is open.
    pub fn after(self, start: Script, talk: Talk, gate: Gate) -> Script {
        let start = start.then(Act::Gate(gate));
        match self {
            Then::Silence => start.silence(),
            Then::Words => start.then(forever(talk.more(), 20)),
            Then::Pings => start.then(forever(talk.ping(), 20)),
            Then::End => start,
            Then::Cut => start.cut(),
            Then::Reset => start.then(Act::ResetStream),
            Then::Failure => start.data(talk.failure()).silence(),
        }
    }

    /// What ends the reading, and whether the answer may have gone on then.
    pub fn ends(self) -> (&'static str, bool) {
        match self {
            Then::Silence | Then::Words | Then::Pings => ("time", true),
            Then::End => ("no_usage", true),
            Then::Cut | Then::Reset | Then::Failure => ("broken", false),
        }
    }

    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A gateway, and behind it a provider of every API, named after it, that begins with so many words and then, when
/// the request's gate is open, does this.
pub struct House {
    pub gateway: Gateway,
    pub fakes: Vec<Fake>,
    pub gates: Gates,
}

impl House {
    pub async fn new(wire: Wire, words: usize, then: Then, more: Value) -> House {
        let gates = Gates::default();
        let mut builder = Gateway::builder().config(settings("20s")).config(more);
        let mut fakes = Vec::new();
        for talk in Talk::ALL {
            let gates = gates.clone();
            let fake = Fake::answering(wire, move |seen| {
                let start = Script::sse().data(talk.start(words));
                then.after(start, talk, gates.of(seen))
            });
            let fake = fake.await;
            builder = builder.provider(managed(talk.name(), &fake, talk));
            fakes.push(fake);
        }
        House {
            gateway: builder.start().await,
            fakes,
            gates,
        }
    }

    /// Leaves an answer that has begun, and lets its provider go on; what was held for it.
    pub async fn left(&self, version: Version, request: &Request) -> i64 {
        let held = left(&self.gateway, version, request).await;
        let mut headers = request.headers.iter();
        let (_, id) = headers.find(|(name, _)| name == "x-request-id").unwrap();
        self.gates.open(id);
        held
    }
}

pub fn grace(grace: &str) -> Value {
    json!({"ledger": {"usage_grace": grace}})
}

/// Leaves an answer that has begun; what was held for it, beside what was held before.
pub async fn left(gateway: &Gateway, version: Version, request: &Request) -> i64 {
    let before = held(gateway);
    let client = begun(version, gateway, request).await;
    let held = held(gateway) - before;
    leave(client).await;
    held
}
