//! Timeouts of one scope.

use std::time::Duration;

/// Timeouts that differ from the next wider scope's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// From the start of an attempt to the first sign of life of its stream.
    pub per_request: Option<Duration>,
    /// From the start of an attempt to the end of an answer that is not streamed.
    pub whole_answer: Option<Duration>,
    /// From the request to the start of its last attempt.
    pub total: Option<Duration>,
    /// Silence inside a stream that has shown life.
    pub stream_idle: Option<Duration>,
    /// How long a streaming client waits for a status.
    pub hold: Option<Duration>,
    /// Silence before a keep-alive comment; zero is never.
    pub keepalive: Option<Duration>,
    /// Waiting for a candidate that has quota; zero is never.
    pub queue: Option<Duration>,
}

impl TimeoutOverrides {
    /// These, and where they are silent the `wider` scope's.
    #[must_use]
    pub fn over(self, wider: TimeoutOverrides) -> TimeoutOverrides {
        TimeoutOverrides {
            per_request: self.per_request.or(wider.per_request),
            whole_answer: self.whole_answer.or(wider.whole_answer),
            total: self.total.or(wider.total),
            stream_idle: self.stream_idle.or(wider.stream_idle),
            hold: self.hold.or(wider.hold),
            keepalive: self.keepalive.or(wider.keepalive),
            queue: self.queue.or(wider.queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_timeouts_win_where_they_speak() {
        let second = |n| Some(Duration::from_secs(n));
        let model = TimeoutOverrides {
            total: second(1),
            ..Default::default()
        };
        let provider = TimeoutOverrides {
            total: second(2),
            hold: second(3),
            ..Default::default()
        };
        let both = model.over(provider);
        assert_eq!(
            (both.total, both.hold, both.keepalive),
            (second(1), second(3), None)
        );
    }
}
