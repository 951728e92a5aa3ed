//! What a gate makes of the tasks that it is given: what is kept, what leaves, what ends the attempt.

use std::time::Instant;

use bytes::Bytes;
use pingora_core::protocols::http::HttpTask;

use super::{Answer, Fault, GateState, HOLD_BYTES, Phase, Stop, across, answer};
use tollgate_wire::report::StreamFailure;

/// The most that is held of a stream that is to leave when it is whole.
pub const HOLD_WHOLE: usize = 8 << 20;

impl GateState {
    /// The answer has come to its end, or to the event with which its protocol ends.
    pub(super) fn at_end(&self) -> bool {
        let said = |answer: &Answer| match answer {
            Answer::Stream { observer, .. } => observer.complete() && observer.usage_final(),
            _ => false,
        };
        self.ended || self.answer.as_ref().is_some_and(said)
    }

    /// What comes last may be the last piece of a document, which its reader knows from its announced length before
    /// we know it from the connection.
    pub(super) fn may_be_last(&self) -> bool {
        let document = matches!(self.answer, Some(Answer::Whole(_)));
        document && self.phase == Phase::Committed && !self.ended
    }

    /// A comment may stand here: the client streams, and no event is half written.
    pub(super) fn may_comment(&self) -> bool {
        match (self.phase, &self.answer) {
            (Phase::Opened, _) => true,
            (
                Phase::Committed,
                Some(Answer::Stream {
                    observer,
                    translator,
                    ..
                }),
            ) => translator.is_some() || observer.at_boundary(),
            _ => false,
        }
    }

    /// One task through the observer; `None` if nothing of it shall leave.
    pub(super) fn take_in(
        &mut self,
        task: HttpTask,
        now: Instant,
    ) -> Result<Option<HttpTask>, Stop> {
        match task {
            HttpTask::Header(header, end) => {
                // Informational answers are between the gateway and its upstream.
                if header.status.is_informational() {
                    return Ok(None);
                }
                let kept = if end { self.conclude()? } else { Bytes::new() };
                if end && matches!(self.answer, Some(Answer::Gathered(_))) {
                    // It had no body, and will have one.
                    self.held.push(HttpTask::Header(header, false));
                    let rest = self.finish(None, now)?;
                    return Ok(Some(HttpTask::Body(rest, true)));
                }
                debug_assert!(
                    kept.is_empty(),
                    "an error without a body has nothing to keep"
                );
                if end {
                    self.finish(None, now)?;
                }
                Ok(Some(HttpTask::Header(header, end)))
            }
            HttpTask::Body(data, end) => {
                let data = self.plain(data.unwrap_or_default())?;
                let data = self.look(data, now)?;
                let data = if end {
                    self.finish(Some(data), now)?
                } else {
                    Some(data)
                };
                match data {
                    Some(data) if data.is_empty() && !end => Ok(None),
                    data => Ok(Some(HttpTask::Body(data, end))),
                }
            }
            HttpTask::Trailer(_) | HttpTask::Done => {
                if self.ended {
                    return Ok(Some(HttpTask::Done));
                }
                let rest = self.finish(None, now)?;
                Ok(Some(HttpTask::Body(rest, true)))
            }
            HttpTask::UpgradedBody(..) => Err(Stop::Fault(Fault::Truncated)),
            HttpTask::Failed(error) => {
                self.unread = Some(
                    self.line
                        .as_ref()
                        .is_some_and(|line| line.is_unread(&error)),
                );
                Err(Stop::Upstream(error))
            }
        }
    }

    /// A piece of the answer as it would be if its provider had not compressed it.
    fn plain(&mut self, data: Bytes) -> Result<Bytes, Stop> {
        let data = match &mut self.undoing {
            Some(undoing) => undoing
                .push(&data)
                .map_err(|_| Stop::Fault(Fault::Answer(StreamFailure::Malformed)))?,
            None => data,
        };
        if let Some(left) = &mut self.left {
            left.read += data.len();
        }
        Ok(data)
    }

    /// A piece of the answer; what of it is for the client.
    pub(super) fn look(&mut self, data: Bytes, now: Instant) -> Result<Bytes, Stop> {
        if data.is_empty() {
            return Ok(data);
        }
        self.alive_at.get_or_insert(now);
        let data = match &mut self.answer {
            Some(Answer::Unseen(unseen)) => match unseen.push(&data) {
                Some(seen) => self.seen(seen)?,
                None => return Ok(Bytes::new()),
            },
            Some(Answer::Judged(judged)) => match judged.push(&data) {
                true => self.conclude()?,
                false => return Ok(Bytes::new()),
            },
            _ => data,
        };
        self.held_bytes += data.len();
        let committed = self.phase == Phase::Committed;
        let seen = match &mut self.answer {
            Some(answer) => answer.push(data, committed, self.limits.whole, &mut self.numbers)?,
            None => answer::untouched(data),
        };
        if let Some(failure) = seen.failure {
            self.fault = Some(Fault::Answer(failure));
        }
        if matches!(self.answer, Some(Answer::Gathered(_))) {
            self.held_bytes = 0; // it is held however long it is
        }
        if !committed && (seen.content && !self.is_withheld() || self.held_bytes > self.most_held())
        {
            self.commit(now)?;
        }
        Ok(seen.out)
    }

    /// The answer has come to its end; `last` is its last piece.
    pub(super) fn finish(
        &mut self,
        last: Option<Bytes>,
        now: Instant,
    ) -> Result<Option<Bytes>, Stop> {
        let kept = self.conclude()?;
        let kept = self.look(kept, now)?;
        if let Some(Answer::Unseen(unseen)) = &mut self.answer {
            // Blanks are nothing.
            let seen = unseen.finish();
            self.seen(seen)?;
        }
        let committed = self.phase == Phase::Committed;
        let has_failed = matches!(self.fault, Some(Fault::Answer(_)));
        let tail = match &mut self.answer {
            Some(answer) => answer.finish(committed, has_failed, self.limits.whole),
            None => Ok(Bytes::new()),
        };
        // What was cut off, or has to be translated first, has not ended.
        let goes_on = matches!(
            tail,
            Err(Stop::Fault(Fault::Truncated) | Stop::Translate(_))
        );
        self.ended = !goes_on;
        let tail = tail?;
        if let Some(Answer::Gathered(gathered)) = &self.answer {
            across::announce(&mut self.held, &gathered.content_type(), tail.len());
        }
        self.commit(now)?;
        let has_last = last.is_some();
        let mut parts: Vec<Bytes> = last.into_iter().chain([kept, tail]).collect();
        parts.retain(|part| !part.is_empty());
        Ok(match parts.len() {
            0 => has_last.then(Bytes::new),
            1 => parts.pop(),
            _ => Some(parts.concat().into()),
        })
    }

    /// Whether the answer is a stream that leaves when it is whole, and is not.
    pub(super) fn is_withheld(&self) -> bool {
        match &self.answer {
            Some(Answer::Stream { observer, .. }) => self.limits.whole && !observer.complete(),
            _ => false,
        }
    }

    pub(super) fn most_held(&self) -> usize {
        match &self.answer {
            Some(Answer::Stream { .. }) if self.limits.whole => HOLD_WHOLE,
            _ => HOLD_BYTES,
        }
    }

    /// The law of the machine: after this, never another attempt. What is no stream fails the attempt instead once its
    /// client was promised events: it would read an error as one of them, and a clean end after it.
    pub(super) fn commit(&mut self, now: Instant) -> Result<(), Stop> {
        if self.phase == Phase::Committed {
            return Ok(());
        }
        if self.phase == Phase::Opened {
            let answer = self.answer.as_ref();
            if answer.is_some_and(|answer| !answer.is_events()) {
                return Err(Stop::Fault(Fault::Refused));
            }
            // The client already has a head.
            self.held
                .retain(|task| !matches!(task, HttpTask::Header(..)));
        }
        self.phase = Phase::Committed;
        self.committed_at = Some(now);
        Ok(())
    }
}
