//! The laws of counting: increments equal the whole, and the whole is the tokenizer's own count.

use proptest::prelude::*;

use super::*;

/// By the crate that is a port of OpenAI's own.
fn by_tiktoken(encoding: Encoding, text: &str) -> u64 {
    let reference = match encoding {
        Encoding::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        Encoding::O200k => tiktoken_rs::o200k_base_singleton(),
    };
    reference.encode_ordinary(text).len() as u64
}

#[test]
fn families() {
    for (model, want) in [
        ("gpt-4", Encoding::Cl100k),
        ("gpt-4-turbo", Encoding::Cl100k),
        ("gpt-4-0613", Encoding::Cl100k),
        ("openai:gpt-3.5-turbo", Encoding::Cl100k),
        ("ft:gpt-3.5-turbo-0125:org::id", Encoding::Cl100k),
        ("gpt-35-turbo", Encoding::Cl100k),
        ("openai/text-embedding-3-small", Encoding::Cl100k),
        ("gpt-4o-mini", Encoding::O200k),
        ("gpt-4.1", Encoding::O200k),
        ("gpt-5.2-codex", Encoding::O200k),
        ("o3", Encoding::O200k),
        ("groq:openai/gpt-oss-20b", Encoding::O200k),
        ("claude-opus-5", Encoding::O200k),
        ("gemini-embedding-001", Encoding::O200k),
        ("", Encoding::O200k),
    ] {
        assert_eq!(Encoding::of_model(model), want, "{model}");
    }
}

#[test]
fn known_counts() {
    // Source: the examples of OpenAI's cookbook on tiktoken.
    assert_eq!(count("gpt-4", "antidisestablishmentarianism"), 6, "cl100k");
    assert_eq!(count("gpt-4o", "antidisestablishmentarianism"), 6, "o200k");
    assert_eq!(count("gpt-4", "お誕生日おめでとう"), 9, "cl100k");
    assert_eq!(count("gpt-4o", "お誕生日おめでとう"), 8, "o200k");
    assert_eq!(
        count("gpt-4o", "<|endoftext|>"),
        by_tiktoken(Encoding::O200k, "<|endoftext|>"),
        "plain text"
    );
}

#[test]
fn walls_of_one_character_are_counted_in_bounded_pieces() {
    for c in [
        " ", "a", "A", "\n", "=", "1", "漢", "'", " \n", "\u{300}", "🙂",
    ] {
        let wall = c.repeat(50_000 / c.len());
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            let counted = encoding.count(&wall);
            assert!(counted > 0, "{c:?} is counted");
            assert!(
                counted <= wall.len() as u64,
                "{c:?} has at most a token a byte"
            );
        }
    }
}

/// Text as models write it: words, code, numbers, several scripts, contractions, odd spaces.
fn text(most: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "the ", "quick ", "Brown", " fox", "'s", "'LL ", "don't ", ".", ", ", "\n", "\n\n", "  ", "    ", "\t", "\r\n",
            "fn main() {", "let x = 1234567;", "}\n", "// ", "/", "\n/", "a\n", "{\"key\":\"value\"}", "https://a.b/c?d=e",
            "3.14159", "漢字", "かな。", "今天，天气", "한국어 ", "Привет ", "è", "naïve ", "e\u{301}", "🙂", "👩‍👩‍👧", "\u{a0}",
            "ÀB", "Ⅷ", "ʻ", "हिन्दी ", "ไทย", "'", "s", "-", "__init__", "A", "aB", "<|endoftext|>", "١٢٣",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => any::<char>().prop_map(String::from),
    ];
    // Long s, of which case folding makes a contraction's, is the one letter where the two tokenizers differ.
    let known = |pieces: Vec<String>| pieces.concat().replace('ſ', "s");
    prop::collection::vec(piece, 0..most).prop_map(known)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn increments_equal_the_whole(text in text(1200), step in 1_usize..3000) {
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            let mut counter = Counter::new(encoding);
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(floor_boundary(rest, step + 3));
                counter.push(piece);
                prop_assert!(counter.rest.len() <= LONGEST, "memory is bounded");
                rest = after;
            }
            prop_assert_eq!(counter.total(), encoding.count(&text));
        }
    }

    #[test]
    fn the_whole_is_the_tokenizers_own_count(text in text(1200)) {
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            prop_assert_eq!(encoding.count(&text), by_tiktoken(encoding, &text));
        }
    }

    /// Cuts at every safe place, not only the ones that segments use.
    #[test]
    fn every_safe_place_is_safe(text in text(60)) {
        let mut chars = text.char_indices().peekable();
        while let Some((_, before)) = chars.next() {
            let Some(&(at, after)) = chars.peek() else { break };
            if is_letter(before) && starts_piece(after) {
                for encoding in [Encoding::Cl100k, Encoding::O200k] {
                    let parts = by_tiktoken(encoding, &text[..at]) + by_tiktoken(encoding, &text[at..]);
                    prop_assert_eq!(parts, by_tiktoken(encoding, &text), "cut at {} of {:?}", at, text);
                }
            }
        }
    }
}
