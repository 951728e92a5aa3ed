//! In whose name an account's messages are counted, and what the bank has of them: what it has forgotten, what
//! somebody else has reported in this name, what is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::recover::Forgotten;
use super::{AccountCache, AccountState, Next, Outgoing};
use crate::NanoUsd;
use crate::bank::{Exchange, Holder, Mark, Reply, Verdict};
use crate::journal::{Journal, Record};

/// How far an account's messages have come, in one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    holder: Holder,
    /// The last message's number.
    number: u64,
    /// Its mark.
    mark: Mark,
    /// All that was charged in this name, less what is known to be lost.
    total: NanoUsd,
}

/// A message's place in its chain: the chain before it, and its own mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    before: Mark,
    after: Chain,
}

impl Chain {
    fn new((holder, nonce): (Holder, u64)) -> Chain {
        Chain {
            holder,
            number: 0,
            mark: Mark::first(nonce),
            total: NanoUsd::ZERO,
        }
    }

    /// In whose name.
    pub(super) fn holder(&self) -> Holder {
        self.holder
    }

    /// The next message's place: what distinguishes its charges from others, and what they add up to.
    pub(super) fn stamp(&self, content: u64, spent: NanoUsd) -> Stamp {
        let number = self.number + 1;
        let after = Chain {
            number,
            mark: self.mark.then(number, content),
            total: self.total + spent,
            ..*self
        };
        Stamp {
            before: self.mark,
            after,
        }
    }
}

impl Stamp {
    /// With this message in it.
    pub(super) fn chain(&self) -> Chain {
        self.after
    }

    /// How the journal marks it.
    pub(super) fn record<'a>(&self, account: &'a str) -> Record<'a> {
        Record::Told {
            account,
            replica: self.after.holder.replica,
            number: self.after.number,
            marks: (self.before.number(), self.after.mark.number()),
            total: self.after.total.0,
        }
    }

    /// A message with this place that says nothing.
    pub(super) fn empty(&self, account: Arc<str>, lease: Duration) -> Exchange {
        Exchange {
            before: self.before,
            mark: self.after.mark,
            ..Exchange::empty(account, self.after.holder, self.after.number, lease)
        }
    }
}

impl AccountCache {
    /// The first and the last of the messages that the bank has forgotten, if it has.
    pub(crate) fn gap(&self) -> Option<(u64, u64)> {
        self.state.lock().gap
    }

    /// Adds what cannot be charged any more to what is lost.
    pub(crate) fn lose(&self, amount: NanoUsd) {
        self.state.lock().lost += amount;
    }

    /// What the journal has of the messages that the bank has forgotten, to be sent again; `None` if it could not be
    /// read, and will be again.
    pub(in crate::till) fn repeat(&self, forgotten: Option<Forgotten>) {
        let mut state = self.state.lock();
        state.in_flight = false;
        state.gap = None;
        let Some(Forgotten { messages, complete }) = forgotten else {
            return;
        };
        let outgoing = messages.into_iter().map(|(exchange, content)| Outgoing {
            exchange,
            content,
            releases: Vec::new(),
        });
        let before = state.outbox.len();
        for outgoing in outgoing.rev() {
            state.outbox.push_front(outgoing);
        }
        let found = state.outbox.len() > before;
        if !found && !complete {
            return;
        }
        // What is missing before the first one cannot be had.
        match state.outbox.front_mut() {
            Some(first) => first.exchange.oldest = first.exchange.number,
            None => state.stale = true,
        }
    }
}

impl AccountState {
    /// This account's chain; it begins with the first question about it.
    pub(super) fn chain(&mut self, journal: &Journal) -> Chain {
        *self.chain.get_or_insert_with(|| Chain::new(journal.name()))
    }

    /// A message that no bank applies, whatever it has: its answer says whether the bank has all that it was sent.
    /// Asked on another connection, which may lead to another server, and when nothing was said for half a lease.
    pub(super) fn question(
        &self,
        account: &Arc<str>,
        connection: Option<u64>,
        lease: Duration,
        now: Instant,
    ) -> Option<Exchange> {
        let (chain, (heard, before)) = (self.chain?, self.heard?);
        let due = connection != before || now >= heard + lease / 2;
        if connection.is_none() || !due || chain.number == 0 {
            return None;
        }
        // One number is left out, and could be asked for.
        let after = Chain {
            number: chain.number + 2,
            ..chain
        };
        let stamp = Stamp {
            before: chain.mark,
            after,
        };
        Some(stamp.empty(account.clone(), lease))
    }

    /// What an answer says of the message that is under way.
    pub(super) fn verdict(&mut self, reply: &Reply, journal: &Journal) -> Verdict {
        let chain = self.chain(journal);
        match self.outbox.front() {
            Some(Outgoing { exchange, .. }) => {
                let last = self.outbox.iter().find(|l| l.exchange.number == reply.last);
                let sent = last.map_or(exchange, |outgoing| &outgoing.exchange);
                reply.verdict((sent.number, sent.mark), chain.number)
            }
            // A question.
            None if reply.last < chain.number => Verdict::Behind,
            None => reply.verdict((chain.number, chain.mark), chain.number),
        }
    }

    /// The bank has forgotten messages that it had acknowledged.
    pub(super) fn fall_behind(&mut self, account: &str, reply: &Reply) -> Next {
        let first = self
            .outbox
            .front()
            .map(|outgoing| outgoing.exchange.number - 1);
        let last = first.unwrap_or(self.chain.map_or(0, |chain| chain.number));
        log::warn!(
            "account `{account}`: the bank has this gateway's messages up to {} of {last}: it was restored, or a replica took over. They are told again, as far as the journal has them; what else it has forgotten, as grants made since, is to be made again",
            reply.last
        );
        self.gap = Some((reply.last + 1, last));
        Next::Remind
    }

    /// Somebody else speaks in this account's name: it takes another one, and reports in it what the bank does not
    /// have.
    pub(super) fn rename(&mut self, account: &str, reply: &Reply, journal: &Journal) -> Next {
        let old = self.chain(journal);
        let waiting = self.outbox.len() as u64;
        let after = old.number - waiting;
        let renamed = journal.rename(old.holder).and_then(|(holder, nonce)| {
            let record = Record::Renamed {
                account,
                replica: holder.replica,
                nonce,
                after,
            };
            let segment = journal.append(&record);
            journal.release(segment.map_err(|error| journal.unwritten(error))?, 1);
            Ok((holder, nonce))
        });
        let name = match renamed {
            Ok(name) => name,
            Err(error) => {
                log::error!(
                    "account `{account}`: somebody else uses the name of this gateway, and it cannot take another one yet: {error}"
                );
                return Next::Rest;
            }
        };
        let mut chain = Chain::new(name);
        for outgoing in &mut self.outbox {
            let stamp = chain.stamp(outgoing.content, outgoing.exchange.spent);
            chain = stamp.chain();
            let exchange = &mut outgoing.exchange;
            (exchange.holder, exchange.number) = (chain.holder, chain.number);
            (exchange.before, exchange.mark) = (stamp.before, chain.mark);
            exchange.oldest = 1;
        }
        let theirs = (reply.charged - (old.total - chain.total)).or_zero();
        log::error!(
            "account `{account}`: another gateway speaks in the name of this one ({}), and has charged {theirs} in it that this one did not. `{}` is a copy of its journal's directory, or the other way round, or the machine was cloned while it ran. This gateway goes on as {} and charges all that it has served; what both have recorded before they parted, no more than that amount, may be charged twice. Give each gateway a journal (`ledger.journal`) of its own that begins empty",
            old.holder,
            journal.dir().display(),
            chain.holder
        );
        self.chain = Some(chain);
        // It was lent to the old name.
        self.lose_allotment();
        Next::Write
    }

    /// Another life of this replica has begun since: this directory was copied. Nothing is mixed up by that, as each life
    /// has a name of its own; the next one gets that of another replica.
    pub(super) fn notice_newer(&mut self, account: &str, reply: &Reply, journal: &Journal) {
        let own = self.chain(journal).holder;
        if reply.newest <= own.epoch || journal.name().0 != own {
            return;
        }
        match journal.rename(own) {
            Ok((other, _)) => log::error!(
                "account `{account}`: another gateway has been started from a copy of this one's journal directory `{}` (it is {:016x}.{}, this one {own}). Both are charged for what they serve. This one is known as {:016x} from its next start on. Give each gateway a journal (`ledger.journal`) of its own that begins empty",
                journal.dir().display(),
                own.replica,
                reply.newest,
                other.replica
            ),
            Err(error) => log::error!(
                "this gateway's journal directory was copied, and it cannot take another name: {error}"
            ),
        }
    }

    /// The bank has all that it was sent, or can be sent: what it has not charged of it is lost.
    pub(super) fn balance(&mut self, account: &str, reply: &Reply, journal: &Journal) {
        let mut chain = self.chain(journal);
        let lost = (chain.total - reply.charged).or_zero();
        if lost > NanoUsd::ZERO {
            report_lost(account, chain.holder, lost);
            self.lost += lost;
            chain.total -= lost;
            self.chain = Some(chain);
        }
    }
}

/// Says what cannot be charged any more.
pub(in crate::till) fn report_lost(account: &str, holder: Holder, lost: NanoUsd) {
    log::error!(
        "account `{account}`: {lost} that {holder} had charged are lost: the bank has forgotten them, and the journal does not have them any more"
    );
}
