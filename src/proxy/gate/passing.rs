//! What becomes of what a provider said, before it leaves.

use bytes::Bytes;
use pingora_core::protocols::http::HttpTask;

use super::{Answer, Fault, GateState, Phase, Stop, form};
use tollgate_wire::report::StreamFailure;

impl GateState {
    /// The provider said within the answer that it failed: the client has read of it, and what follows is no answer.
    pub(super) fn has_failed(&self) -> bool {
        let told = matches!(
            self.fault,
            Some(Fault::Answer(StreamFailure::ErrorEvent { .. }))
        );
        told && self.phase == Phase::Committed && matches!(self.answer, Some(Answer::Stream { .. }))
    }

    /// The one place where what a provider said leaves: without its credential. `None` if nothing is left of it yet.
    pub(super) fn masked(&mut self, task: HttpTask) -> Option<HttpTask> {
        let (data, end, masking) = match (task, &mut self.masking) {
            (HttpTask::Body(data, end), Some(masking)) => (data, end, masking),
            (task, _) => return Some(task),
        };
        let mut data = masking.push(data.unwrap_or_default());
        if end {
            let rest = masking.finish();
            if !rest.is_empty() {
                data = [data, rest].concat().into();
            }
        }
        let data = Some(data).filter(|data| !data.is_empty());
        (end || data.is_some()).then_some(HttpTask::Body(data, end))
    }

    /// It is known what the answer is: what of its body has come.
    pub(super) fn seen(&mut self, (answer, body): (Option<Answer>, Bytes)) -> Result<Bytes, Stop> {
        let malformed = || Stop::Fault(Fault::Answer(StreamFailure::Malformed));
        let answer = answer.ok_or_else(malformed)?;
        form::relabel(&mut self.held, &answer);
        self.answer = Some(answer);
        Ok(body)
    }
}
