//! Steps over JSON that is already known to be valid (and over anything else without a panic).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The index after the closing quote of the string whose content begins at `at`; the end of `json` if
/// it is never closed.
pub(super) fn after_string(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        let hit = at + found;
        if json[hit] == b'"' {
            return hit + 1;
        }
        at = hit + 2;
    }
    json.len()
}

/// The index after the array or object whose opening bracket is at `at`.
pub(super) fn after_container(json: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = after_string(json, at),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    json.len()
}

/// What a JSON string, quotes included, says. One that says nothing in Unicode (a lone surrogate is
/// valid JSON) is given as it is written.
pub(super) fn unescape(string: &[u8]) -> Cow<'_, str> {
    let inner = string
        .get(1..string.len().saturating_sub(1))
        .unwrap_or_default();
    if memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    match serde_json::from_slice::<String>(string) {
        Ok(text) => Cow::Owned(text),
        Err(_) => String::from_utf8_lossy(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_over_strings_and_containers() {
        assert_eq!(
            after_string(br#""a\"b" ,"#, 1),
            6,
            "an escaped quote is inside"
        );
        assert_eq!(
            after_string(br#""\\" ,"#, 1),
            4,
            "an escaped backslash is not an escape"
        );
        assert_eq!(
            after_string(br#""open\"#, 1),
            6,
            "a string without an end ends with the input"
        );
        let json = br#"[{"a":["]"]},"}"] ,1"#;
        assert_eq!(&json[..after_container(json, 0)], br#"[{"a":["]"]},"}"]"#);
        assert_eq!(
            after_container(b"[[", 0),
            2,
            "a container without an end ends with the input"
        );
    }

    #[test]
    fn unescapes_or_leaves_alone() {
        assert_eq!(unescape(br#""plain""#), "plain");
        assert_eq!(unescape(br#""mod\u0065l""#), "model");
        assert_eq!(
            unescape(br#""\ud800x""#),
            r"\ud800x",
            "a lone surrogate stays as written"
        );
        assert_eq!(unescape(b"\""), "");
    }
}
