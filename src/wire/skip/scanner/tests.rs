//! However JSON is cut, the scanner says of it what serde_json says, and tells the same of what is in it.

use proptest::prelude::*;
use serde_json::Value;

use super::super::tests::{serde_accepts, tokens, valid};
use super::*;

/// Everything that was reported, with places in the whole document.
#[derive(Debug, Default, PartialEq)]
struct Recorder {
    all: Vec<(char, String, usize, usize)>,
    before: usize,
    passes_over: bool,
}

impl Look for Recorder {
    fn key(&mut self, key: &[u8], levels: &[bool]) {
        let key = String::from_utf8_lossy(key).into_owned();
        self.all.push(('k', key, 0, levels.len()));
    }

    fn begin(&mut self, piece: &[u8], at: usize, levels: &[bool]) -> bool {
        let first = char::from(piece[at]).to_string();
        self.all.push(('b', first, self.before + at, levels.len()));
        // Some are passed over, which ones depends on the document only.
        !self.passes_over || !(self.before + at).is_multiple_of(3)
    }

    fn end(&mut self, _: &[u8], at: usize, levels: &[bool]) {
        let at = self.before + at;
        self.all.push(('e', String::new(), at, levels.len()));
    }
}

fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Result<bool, Stop>, Recorder) {
    scan_into(Recorder::default(), pieces)
}

fn scan_over<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Result<bool, Stop>, Recorder) {
    let told = Recorder {
        passes_over: true,
        ..Recorder::default()
    };
    scan_into(told, pieces)
}

fn scan_into<'a>(
    mut told: Recorder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<bool, Stop>, Recorder) {
    let mut scanner = Scanner::new();
    for piece in pieces {
        if let Err(stop) = scanner.feed(piece, &mut told) {
            return (Err(stop), told);
        }
        told.before += piece.len();
    }
    (Ok(scanner.is_whole()), told)
}

fn accepts(json: &str) -> bool {
    scan([json.as_bytes()]).0 == Ok(true)
}

#[test]
fn deep_json_is_looked_into_and_deeper_json_is_none_of_ours() {
    let nested = |levels: usize| "[{\"a\":".repeat(levels / 2) + "1" + &"}]".repeat(levels / 2);
    assert!(accepts(&nested(MAX_LEVELS)));
    assert!(accepts(&format!("[{}[]]", "[],".repeat(MAX_LEVELS))));
    let deeper = format!("[{}]", nested(MAX_LEVELS));
    assert_eq!(scan([deeper.as_bytes()]).0, Err(Stop::Depth));
}

#[test]
fn long_keys_are_told_as_empty_ones() {
    for (length, told) in [(LONGEST_KEY, LONGEST_KEY), (LONGEST_KEY + 1, 0), (5000, 0)] {
        let json = format!("{{\"{}\":1}}", "k".repeat(length));
        for size in [1, 7, 6000] {
            let (whole, seen) = scan(json.as_bytes().chunks(size));
            assert_eq!(whole, Ok(true));
            assert_eq!(seen.all[1].1.len(), told, "{length} in {size}");
        }
    }
}

/// The document's values as a reader that builds them finds them, with the depth of each.
fn values(value: &Value, depth: usize, out: &mut Vec<(char, usize)>) {
    out.push(('b', depth));
    match value {
        Value::Array(all) => all.iter().for_each(|value| values(value, depth + 1, out)),
        Value::Object(all) => all.iter().for_each(|(_, value)| {
            out.push(('k', depth + 1));
            values(value, depth + 1, out);
        }),
        _ => {}
    }
    out.push(('e', depth));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_serde_json_on_tokens(json in tokens(), size in 1usize..6) {
        let (whole, told) = scan([json.as_bytes()]);
        prop_assert_eq!(whole == Ok(true), serde_accepts(&json), "{:?}", json);
        let (pieces, split) = scan(json.as_bytes().chunks(size));
        prop_assert_eq!(whole == Ok(true), pieces == Ok(true), "{:?}", json);
        prop_assert_eq!(told.all, split.all, "{:?}", json);
        let (over, told) = scan_over([json.as_bytes()]);
        let (pieces, split) = scan_over(json.as_bytes().chunks(size));
        prop_assert_eq!(whole == Ok(true), over == Ok(true), "{:?}", json);
        prop_assert_eq!(over == Ok(true), pieces == Ok(true), "{:?}", json);
        prop_assert_eq!(told.all, split.all, "{:?}", json);
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_json(
        json in valid(), at in any::<prop::sample::Index>(), cut in 0usize..3, put in tokens(), size in 1usize..40,
    ) {
        prop_assert!(accepts(&json), "{:?}", json);
        let mut chars: Vec<char> = json.chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, put.chars().take(3));
        let json: String = chars.into_iter().collect();
        let (whole, told) = scan([json.as_bytes()]);
        prop_assert_eq!(whole == Ok(true), serde_accepts(&json), "{:?}", json);
        let (pieces, split) = scan(json.as_bytes().chunks(size));
        prop_assert_eq!((whole, told.all), (pieces, split.all), "{:?}", json);
        let (over, told) = scan_over([json.as_bytes()]);
        let (pieces, split) = scan_over(json.as_bytes().chunks(size));
        prop_assert_eq!(whole, over, "{:?}", json);
        prop_assert_eq!((over, told.all), (pieces, split.all), "{:?}", json);
    }

    #[test]
    fn tells_every_value_once(json in valid()) {
        // Duplicate keys and lone halves of characters are none of a reader's that builds.
        let mut number = 0;
        let json = json.split("\"k\"").map(str::to_owned).reduce(|all, next| {
            number += 1;
            format!("{all}\"k{number}\"{next}")
        });
        let json = json.unwrap_or_default();
        if let Ok(value) = serde_json::from_str::<Value>(&json) {
            let mut want = Vec::new();
            values(&value, 0, &mut want);
            let (_, told) = scan([json.as_bytes()]);
            let mut seen: Vec<(char, usize)> = told.all.iter().map(|(what, .., depth)| (*what, *depth)).collect();
            if want.len() == 2 && seen.len() == 1 {
                seen.push(('e', 0)); // a lone number ends with the document
            }
            prop_assert_eq!(seen, want, "{:?}", json);
        }
    }
}
