//! The tokens of a prompt, estimated.

use super::Encoding;

/// Tokens of a prompt whose texts `each` hands over one by one, of `messages` messages.
pub fn estimate_prompt(encoding: Encoding, messages: u64, each: impl FnOnce(&mut dyn FnMut(&str))) -> u64 {
    let _ = (encoding, messages);
    each(&mut |_| ());
    0
}
