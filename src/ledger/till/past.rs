//! Tells the bank what earlier lives of this replica left in their journals.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Flusher;
use super::cache::report_lost;
use super::history::{Gaps, History};
use super::recover::Rest;
use crate::NanoUsd;
use crate::bank::{Reply, Verdict};
use crate::journal::{JournalError, Life};
use tollgate_store::StoreError;

/// What has been reported as lost of a life, by account.
pub(super) type Reported = HashMap<Arc<str>, NanoUsd>;

/// How far an account's messages were sent.
enum Delivery {
    /// All of them; this is the last answer.
    Wholly(Reply),
    /// Up to one that the bank refuses.
    Refused,
    /// Up to a gap: the bank has forgotten these numbers.
    Behind(u64, u64),
    /// Somebody else has sent other ones in this name.
    Foreign(Reply),
}

impl Flusher {
    /// Reports to the bank what earlier lives of this replica left in their journals, until it has it. What is reported
    /// is sent once more a lease later, by when the bank may have forgotten it, and deleted then.
    ///
    /// The bank counts each message once, so that it does no harm to be stopped half-way.
    pub async fn settle_past(&self, lives: Vec<Life>) {
        let mut told = HashMap::new();
        for life in lives {
            let (holder, mut reported) = (life.holder(), Reported::new());
            if self.settle(&life, &mut reported).await {
                told.insert(holder, reported);
                if let Err(error) = life.set_aside() {
                    log::error!("the journal of {holder} is told and cannot be set aside: {error}");
                }
            }
        }
        tokio::time::sleep(self.till.rhythm.lease).await;
        let lives = match self.till.journal.set_aside() {
            Ok(lives) => lives,
            Err(error) => return log::error!("journals that were told are not deleted: {error}"),
        };
        for life in lives {
            let holder = life.holder();
            let mut reported = told.remove(&holder).unwrap_or_default();
            if self.settle(&life, &mut reported).await
                && let Err(error) = life.finish()
            {
                log::error!("the journal of {holder} is told and cannot be deleted: {error}");
            }
        }
    }

    /// Tells what one life left; whether the bank has all of it.
    pub(super) async fn settle(&self, life: &Life, reported: &mut Reported) -> bool {
        let holder = life.holder();
        let history = match History::of(life) {
            Ok(history) => history,
            Err(error) => {
                log::error!("the journal of {holder} is left alone: {error}");
                return false;
            }
        };
        let (charges, orphans) = history.counts();
        log::info!(
            "replaying the journal of {holder}: {charges} settlements to tell, {orphans} requests to charge at their estimates"
        );
        let mut rests = history.rests(self.till.rhythm.lease);
        let mut told = true;
        while !rests.is_empty() {
            let (mut again, mut gaps) = (Vec::new(), Gaps::new());
            for mut rest in rests {
                match self.insist(&mut rest).await {
                    Delivery::Wholly(reply) => self.balance(&rest, &reply, reported),
                    Delivery::Refused => told = false,
                    Delivery::Behind(first, last) => {
                        gaps.insert(rest.account().to_string(), (first, last));
                        again.push(rest);
                    }
                    Delivery::Foreign(reply) => again.extend(part(life, rest, &reply)),
                }
            }
            if let Err(error) = self.remember(life, gaps, &mut again) {
                log::error!("the journal of {holder} is left alone: {error}");
                return false;
            }
            rests = again;
        }
        if !told {
            log::error!(
                "the journal of {holder} is kept, for what the bank refuses; it is told again at the next start"
            );
        }
        told
    }

    /// One account's messages, in their order, each until it is applied. If the bank refuses one, those after it are not
    /// sent, either.
    async fn insist(&self, rest: &mut Rest) -> Delivery {
        let mut last = None;
        while let Some(message) = rest.next() {
            let mut pause = Duration::from_millis(100);
            let reply = loop {
                let answers = self.call(std::slice::from_ref(message)).await;
                match answers.into_iter().next() {
                    Some(Ok(reply)) => break reply,
                    Some(Err(StoreError::Refused(why))) => {
                        log::error!("account `{}`: the bank refuses: {why}", message.account);
                        return Delivery::Refused;
                    }
                    Some(Err(error)) => log::warn!(
                        "account `{}`: the bank does not answer, trying again: {error}",
                        message.account
                    ),
                    None => {}
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            };
            match reply.verdict((message.number, message.mark), rest.highest) {
                Verdict::Applied => rest.applied(&reply),
                Verdict::Behind => {
                    log::warn!(
                        "account `{}`: the bank has the messages of {} up to {} only: it was restored, or a replica took over. They are told again, as far as the journal has them",
                        message.account,
                        message.holder,
                        reply.last
                    );
                    let (first, last) = (reply.last + 1, message.number - 1);
                    if !rest.step_back(first) {
                        return Delivery::Behind(first, last);
                    }
                }
                Verdict::Foreign => return Delivery::Foreign(reply),
            }
            last = Some(reply);
        }
        last.map_or(Delivery::Refused, Delivery::Wholly)
    }

    /// Reads what the bank has forgotten of a life, for what is left of its accounts.
    fn remember(&self, life: &Life, gaps: Gaps, rests: &mut [Rest]) -> Result<(), JournalError> {
        if gaps.is_empty() {
            return Ok(());
        }
        let lease = self.till.rhythm.lease;
        let mut found = History::forgotten(life.holder(), life.records()?, &gaps, lease)?;
        for rest in rests {
            if let Some(forgotten) = found.remove(&**rest.account()) {
                rest.repeat(forgotten);
            }
        }
        Ok(())
    }

    /// What the bank has not charged, though all that there is was sent, is lost.
    fn balance(&self, rest: &Rest, reply: &Reply, reported: &mut Reported) {
        let (Some(total), Some(message)) = (rest.total, rest.messages.last()) else {
            return;
        };
        let before = reported.entry(message.account.clone()).or_default();
        let lost = (total - reply.charged).or_zero() - *before;
        if lost > NanoUsd::ZERO {
            report_lost(&message.account, message.holder, lost);
            self.till.cache(&message.account).lose(lost);
            *before += lost;
        }
    }
}

/// Somebody else has spoken in the name of an earlier life. What is left of it, to be reported in another one.
fn part(life: &Life, rest: Rest, reply: &Reply) -> Option<Rest> {
    let (account, holder) = (rest.account().clone(), life.holder());
    let total = rest.total.unwrap_or_default();
    let left = rest.in_another_name();
    let untold = left
        .as_ref()
        .and_then(|left| left.total)
        .unwrap_or_default();
    let known = total - untold;
    let twice = NanoUsd(reply.charged.0.saturating_sub(known.0))
        .or_zero()
        .min(untold);
    log::error!(
        "account `{account}`: another gateway has spoken in the name of {holder}: its journal is a copy, or the other way round, or the machine was cloned while it ran. {untold} that are recorded here are charged in another name; up to {twice} of that may be charged twice. Give each gateway a journal (`ledger.journal`) of its own that begins empty"
    );
    left
}
