//! Bounds nesting before anything parses: iterative, no stack, at most two fast passes.
//!
//! Invariant: for valid JSON the answer is exact. For anything else it may be either; the parser that
//! follows refuses that.

use memchr::memchr2_iter;

use super::scan::after_string;

/// Most levels of arrays and objects inside each other, the body's own object included.
pub const MAX_DEPTH: usize = 128;

/// Whether arrays and objects are nested more than [`MAX_DEPTH`] levels deep.
pub(super) fn too_deep(json: &[u8]) -> bool {
    // A body with few opening brackets cannot be deep, wherever they stand. This is memchr's speed for
    // the usual big body, one long string, and stops early for the others.
    if memchr2_iter(b'[', b'{', json).nth(MAX_DEPTH).is_none() {
        return false;
    }
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = after_string(json, at),
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn counts_levels_not_brackets() {
        let cases = [
            (
                "flat and long",
                format!("[{}[]]", "[],".repeat(5000)),
                false,
            ),
            ("just deep enough", nested(MAX_DEPTH), false),
            ("one too deep", nested(MAX_DEPTH + 1), true),
            (
                "objects count",
                r#"{"a":"#.repeat(129) + "1" + &"}".repeat(129),
                true,
            ),
            (
                "brackets in a string",
                format!("[\"{}\"]", "[".repeat(1000)),
                false,
            ),
            (
                "behind an escaped quote",
                format!(r#"["\"{}"]"#, "[".repeat(1000)),
                false,
            ),
            (
                "behind an escaped backslash",
                format!(r#"["\\",{}]"#, nested(128)),
                true,
            ),
            (
                "deep late",
                format!(r#"["{}",{}]"#, "[".repeat(500), nested(127)),
                false,
            ),
            ("never closed", "[".repeat(1 << 20), true),
            (
                "an unclosed string",
                format!("[{}\"", "[],".repeat(200)),
                false,
            ),
            (
                "ends in a backslash",
                format!("[{}\"\\", "[],".repeat(200)),
                false,
            ),
        ];
        for (name, json, deep) in cases {
            assert_eq!(too_deep(json.as_bytes()), deep, "{name}");
        }
    }
}
