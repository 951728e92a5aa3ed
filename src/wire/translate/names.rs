//! Names and ids that another provider accepts.
//!
//! Invariant: the same name always becomes the same name, so that a call and its result keep agreeing from
//! turn to turn, and a name that is acceptable stays as it is.

/// Longest id of a tool call.
const MAX_ID: usize = 64;

/// Longest name of a tool: OpenAI's limit, which is the lower one.
const MAX_NAME: usize = 64;

/// A tool call's id in the characters that Anthropic accepts (`^[a-zA-Z0-9_-]+$`), at most 64 of them.
pub(super) fn call_id(id: &str) -> String {
    accepted(id, MAX_ID, "call")
}

/// A tool's name in the characters that both accept (`^[a-zA-Z0-9_-]{1,64}$`). A tool in a group is called
/// `group__tool`.
pub(super) fn tool(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(group) if !group.is_empty() => accepted(&format!("{group}__{name}"), MAX_NAME, "tool"),
        _ => accepted(name, MAX_NAME, "tool"),
    }
}

/// A tool call's id of exactly nine letters and digits, as Mistral wants it.
pub(super) fn nine_letters(id: &str) -> String {
    use sha2::Digest as _;
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let hash = sha2::Sha256::digest(id.as_bytes());
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    hash.iter().take(9).map(letter).collect()
}

/// The answer's id with another surface's prefix.
pub(super) fn answer_id(prefix: &str, id: &str) -> String {
    let bare = ["chatcmpl-", "msg_", "resp_", "gen-"]
        .iter()
        .find_map(|known| id.strip_prefix(known))
        .unwrap_or(id);
    if bare.is_empty() {
        return format!("{prefix}tollgate");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let plain: String = bare
        .chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .take(128)
        .collect();
    format!("{prefix}{plain}")
}

/// `text` if it is short and plain, else what is plain of it and a checksum of the whole.
fn accepted(text: &str, most: usize, empty: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() {
        return empty.to_owned();
    }
    if text.len() <= most && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let plain: String = text
        .bytes()
        .map(|byte| {
            if is_plain(byte) {
                char::from(byte)
            } else {
                '_'
            }
        })
        .take(most - 9)
        .collect();
    format!("{plain}_{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay() {
        assert_eq!(call_id("call_abc-1"), "call_abc-1");
        assert_eq!(tool(None, "get_weather"), "get_weather");
        assert_eq!(tool(Some("mcp"), "read"), "mcp__read");
        assert_eq!(answer_id("msg_", "chatcmpl-123"), "msg_123");
    }

    proptest! {
        #[test]
        fn whatever_it_was_it_is_accepted(id in ".*") {
            for made in [call_id(&id), tool(Some(&id), &id)] {
                prop_assert!((1..=64).contains(&made.len()), "{}", made);
                prop_assert!(made.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            }
        }

        #[test]
        fn an_id_of_nine_letters_stays_and_others_become_one(id in ".*") {
            let made = nine_letters(&id);
            prop_assert!(made.len() == 9 && made.bytes().all(|b| b.is_ascii_alphanumeric()), "{}", made);
            prop_assert_eq!(nine_letters(&made), made);
        }

        #[test]
        fn names_that_differ_stay_different(a in "[a-z.:/]{1,80}", b in "[a-z.:/]{1,80}") {
            prop_assume!(a != b);
            prop_assert_ne!(call_id(&a), call_id(&b));
        }
    }
}
