//! What makes a provider believe that a thought is its model's own.
//!
//! Anthropic signs thinking, OpenAI encrypts it, Google signs calls, OpenRouter passes on what any of them gave; none
//! believes another's. So that it survives being carried by a client of another dialect, it travels *sealed*: marked as
//! whose it is, in the opaque field that the client's dialect has for such things. Invariant: [`Proof::open`] of
//! [`Proof::seal`] is the same proof, and what a provider made itself is never taken for a seal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

/// How every seal begins. No provider's own text does: a point is no character of base64.
pub(super) const MARK: &str = "tollgate.";

/// Whose a thought is, and what makes them believe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// Nobody's: it came in words only.
    #[default]
    None,
    /// Anthropic's signature.
    Signature(String),
    /// Anthropic's `redacted_thinking`, which has no words.
    Redacted(String),
    /// OpenAI's reasoning item.
    Encrypted {
        /// The item's id.
        id: String,
        /// Its `encrypted_content`; empty if it was not asked for.
        content: String,
    },
    /// A chat provider's `reasoning_details`, words included: a JSON list.
    Details(String),
    /// A chat provider's `extra_content`, as Google's signature of a call: a JSON object.
    Extra {
        /// The id of the call that it belongs to; `None` if it is the message's own. In a stream it is the next call's.
        call: Option<String>,
        /// The object.
        content: String,
    },
}

impl Proof {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Proof::None => 0,
            Proof::Signature(text) | Proof::Redacted(text) | Proof::Details(text) => text.len(),
            Proof::Encrypted { id, content } => id.len() + content.len(),
            Proof::Extra { call, content } => call.as_ref().map_or(0, String::len) + content.len(),
        }
    }

    /// As opaque text for the field of another dialect.
    pub(crate) fn seal(&self) -> String {
        match self {
            Proof::None => format!("{MARK}n"),
            Proof::Signature(text) => format!("{MARK}s.{}", BASE64.encode(text)),
            Proof::Redacted(text) => format!("{MARK}r.{}", BASE64.encode(text)),
            Proof::Encrypted { id, content } => {
                format!("{MARK}e.{}.{}", BASE64.encode(id), BASE64.encode(content))
            }
            Proof::Details(list) => format!("{MARK}d.{}", BASE64.encode(list)),
            Proof::Extra {
                call: None,
                content,
            } => format!("{MARK}m.{}", BASE64.encode(content)),
            Proof::Extra {
                call: Some(call),
                content,
            } => {
                format!("{MARK}x.{}.{}", BASE64.encode(call), BASE64.encode(content))
            }
        }
    }

    /// What a seal says; `None` for any other text.
    pub(crate) fn open(text: &str) -> Option<Proof> {
        let rest = text.strip_prefix(MARK)?;
        let decode = |text: &str| {
            let bytes = BASE64.decode(text).ok()?;
            String::from_utf8(bytes).ok()
        };
        let mut parts = rest.split('.');
        let kind = parts.next()?;
        let proof = match kind {
            "n" => Proof::None,
            "s" => Proof::Signature(decode(parts.next()?)?),
            "r" => Proof::Redacted(decode(parts.next()?)?),
            "e" => Proof::Encrypted {
                id: decode(parts.next()?)?,
                content: decode(parts.next()?)?,
            },
            "d" => Proof::Details(decode(parts.next()?)?),
            "m" => Proof::Extra {
                call: None,
                content: decode(parts.next()?)?,
            },
            "x" => Proof::Extra {
                call: Some(decode(parts.next()?)?),
                content: decode(parts.next()?)?,
            },
            _ => return None,
        };
        parts.next().is_none().then_some(proof)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sealed_can_be_opened(a in ".*", b in ".*") {
            let proofs = [
                Proof::None,
                Proof::Signature(a.clone()),
                Proof::Redacted(b.clone()),
                Proof::Details(a.clone()),
                Proof::Extra { call: Some(a.clone()), content: b.clone() },
                Proof::Extra { call: None, content: b.clone() },
                Proof::Encrypted { id: a, content: b },
            ];
            for proof in proofs {
                prop_assert_eq!(Proof::open(&proof.seal()), Some(proof));
            }
        }

        #[test]
        fn a_providers_own_text_is_no_seal(text in "[A-Za-z0-9+/=_-]*") {
            prop_assert_eq!(Proof::open(&text), None);
        }
    }
}
