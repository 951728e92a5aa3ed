//! Takes out what may be a credential, where a text quotes what somebody wrote where none belongs.

use std::borrow::Cow;

/// What the credentials of well-known makers begin with.
const BEGINNINGS: [&str; 14] = [
    "sk-",
    "sk_",
    "rk-",
    "gsk_",
    "xai-",
    "pplx-",
    "hf_",
    "r8_",
    "ghp_",
    "github_pat_",
    "AIza",
    "eyJ",
    "AKIA",
    "fw_",
];

/// A word of such a beginning that is as long as this is no other word.
const SHORTEST: usize = 12;

/// So many letters and digits in a row, with some of both, are no word that people make.
const RUN: usize = 20;

/// What our own tokens have before their secret.
const OWN: &str = "-g1-";

/// Returns the text with `***` in the place of every word that looks like a credential: by its beginning, as one of our
/// tokens, or by 20 letters and digits in a row. Words end at white space and at what separates parts of paths, URLs
/// and YAML.
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    let words = text.split(separates);
    if !words.into_iter().any(is_credential) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(separates) {
        let word = part.trim_end_matches(separates);
        shown.push_str(if is_credential(word) { "***" } else { word });
        shown.push_str(&part[word.len()..]);
    }
    shown.into()
}

fn separates(letter: char) -> bool {
    letter.is_whitespace() || "/:=?&,;\"'`()[]{}<>|.!*@#$%".contains(letter)
}

fn is_credential(word: &str) -> bool {
    word.len() >= SHORTEST
        && (word.contains(OWN)
            || BEGINNINGS.iter().any(|start| word.starts_with(start))
            || has_long_run(word))
}

fn has_long_run(word: &str) -> bool {
    let mut runs = word.split(|letter: char| !letter.is_ascii_alphanumeric());
    runs.any(|run| {
        let is_digit = |byte: u8| byte.is_ascii_digit();
        run.len() >= RUN && run.bytes().any(is_digit) && !run.bytes().all(is_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_not_shown() {
        for (text, shown) in [
            (
                "`sk-proj-hunter2hunter2` is not a choice",
                "`***` is not a choice",
            ),
            (
                "providers[0].sk-ant-api03-abc: unknown field",
                "providers[0].***: unknown field",
            ),
            ("/v1/models/tg-app-g1-abcdef", "/v1/models/***"),
            ("/v1/gsk_0123456789", "/v1/***"),
            ("Bearer abcdef0123456789abcd!", "Bearer ***!"),
            ("https://u:0123456789abcdefghij@h/x", "https://u:***@h/x"),
            ("AIzaSyA-abcdefgh", "***"),
            ("the tag `!sk-proj-hunter2hunter2`", "the tag `!***`"),
            ("*sk-proj-hunter2hunter2", "****"),
        ] {
            assert_eq!(without_credentials(text), shown, "{text}");
        }
    }

    #[test]
    fn what_people_write_is_shown() {
        for text in [
            "",
            "`claude-haiku-4-5-20251001` is not a choice here",
            "/v1/chat/completions",
            "/v1/models/meta-llama/llama-4-maverick-17b-128e-instruct-fp8",
            "providers[12].models[3].max_output_tokens: unknown field",
            "http://127.0.0.1:8080/v1",
            "TOLLGATE_MASTER_KEY_PREVIOUS, key 2",
            "sk-short",
            "internationalizationwithoutnumbers",
        ] {
            assert!(
                matches!(without_credentials(text), Cow::Borrowed(_)),
                "{text}"
            );
        }
    }
}
