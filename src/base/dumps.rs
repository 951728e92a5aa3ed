//! Files of this process's memory, which would hold keys.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Sees that the system writes no core dump of this process, whatever becomes of it.
///
/// # Errors
/// When the system refuses it.
pub fn forbid_core_dumps() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(setrlimit(Resource::Core, none)?)
}
