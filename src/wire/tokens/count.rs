//! Our own count of tokens, where the provider reports none.
//!
//! A text is counted in segments of 1 to 4 KiB, cut where the tokenizer cuts as well, so that the sum
//! over segments is the count of the whole. Both the count of a whole text and the incremental
//! [`Counter`] cut by the same rule, which looks only at what precedes the cut and one character
//! after it; so they are always equal. A run of 4 KiB without such a place (base64, a wall of spaces)
//! is cut where it is, which costs at most a few tokens in a thousand, and bounds the time and memory
//! that merging one piece takes.
//!
//! Where it is safe to cut: after a letter and before an ASCII character that is neither a letter
//! nor an apostrophe, or before CJK punctuation. In the patterns of cl100k_base and o200k_base a
//! piece that holds letters ends with its letters or a contraction (`'s`), and no pattern looks back.

use tiktoken::CoreBpe;

use crate::report::floor_boundary;

/// Segments are cut at the first safe place after this many bytes.
const SEGMENT: usize = 1 << 10;

/// Segments without a safe place are cut after at most this many bytes.
const LONGEST: usize = 4 << 10;

/// A tokenizer's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `cl100k_base`: GPT-4, GPT-3.5 and the text embedding models.
    Cl100k,
    /// `o200k_base`: GPT-4o and later, the o-series; gpt-oss, whose `o200k_harmony` is the same but
    /// for special tokens; and the estimate for all other models, whose tokenizers are not public.
    O200k,
}

impl Encoding {
    /// Returns the encoding of a model id, with or without a provider's prefix (`openai:`, `openai/`) and
    /// that of a fine-tuned model (`ft:`). An unknown model has [`Encoding::O200k`].
    pub fn of_model(model: &str) -> Encoding {
        let name = model.rsplit('/').next().unwrap_or(model);
        let parts = || name.split(':');
        let cl100k = |part: &str| {
            let part = part.to_ascii_lowercase();
            // Azure writes gpt-35. Their later siblings begin alike: gpt-4o, gpt-4.1, gpt-4.5.
            part == "gpt-4"
                || [
                    "gpt-4-",
                    "gpt-3.5",
                    "gpt-35",
                    "text-embedding-",
                    "davinci-002",
                    "babbage-002",
                ]
                .iter()
                .any(|family| part.starts_with(family))
        };
        if parts().any(cl100k) {
            Encoding::Cl100k
        } else {
            Encoding::O200k
        }
    }

    /// The vocabulary, which takes 6 or 12 MB and some tens of milliseconds the first time: never on a thread that many wait for.
    fn vocabulary(self) -> Option<&'static CoreBpe> {
        tiktoken::get_encoding(match self {
            Encoding::Cl100k => "cl100k_base",
            Encoding::O200k => "o200k_base",
        })
    }

    /// Returns the tokens of a text. Names of special tokens in it (`<|endoftext|>`) are counted as plain text.
    pub fn count(self, text: &str) -> u64 {
        let mut rest = text;
        let mut total = 0;
        while let Some(cut) = cut(rest) {
            let (segment, after) = rest.split_at(cut);
            total += self.segment(segment);
            rest = after;
        }
        total + self.segment(rest)
    }

    /// Tokens of a text of at most [`LONGEST`] bytes.
    fn segment(self, text: &str) -> u64 {
        match self.vocabulary() {
            Some(vocabulary) => vocabulary.count(text) as u64,
            None => text.len().div_ceil(4) as u64,
        }
    }
}

/// Returns the tokens of a text as the model's own tokenizer counts them, or the estimate of [`Encoding::O200k`].
pub fn count(model: &str, text: &str) -> u64 {
    Encoding::of_model(model).count(text)
}

/// Counts a text that arrives in pieces; the total equals the count of the whole text. Holds at most
/// 4 KiB of it between pushes.
#[derive(Clone, Debug)]
pub struct Counter {
    encoding: Encoding,
    counted: u64,
    rest: String,
}

impl Counter {
    /// Returns a counter at zero.
    pub fn new(encoding: Encoding) -> Counter {
        Counter {
            encoding,
            counted: 0,
            rest: String::new(),
        }
    }

    /// Adds the next piece of the text.
    pub fn push(&mut self, text: &str) {
        self.rest.push_str(text);
        let mut done = 0;
        while let Some(cut) = cut(&self.rest[done..]) {
            self.counted += self.encoding.segment(&self.rest[done..done + cut]);
            done += cut;
        }
        self.rest.drain(..done);
    }

    /// Returns the tokens of everything pushed so far.
    pub fn total(&self) -> u64 {
        self.counted + self.encoding.segment(&self.rest)
    }
}

/// Where the first segment of `text` ends; `None` while more text could still move its end.
fn cut(text: &str) -> Option<usize> {
    let from = floor_boundary(text, SEGMENT);
    if text.len() <= from {
        return None;
    }
    let to = floor_boundary(text, LONGEST);
    let mut before = text[..from].chars().next_back()?;
    for (at, after) in text[from..].char_indices() {
        let at = from + at;
        if at >= to {
            break;
        }
        if is_letter(before) && starts_piece(after) {
            return Some(at);
        }
        before = after;
    }
    // One byte more than the longest segment shows that its last character is whole.
    (text.len() > LONGEST).then_some(to)
}

/// A letter by the patterns' `\p{L}`. Some of the letters only: those we are sure of.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ' | 'А'..='я' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='鿋' | '가'..='힣')
}

/// Whether no piece that ends in a letter can go on with `c`.
fn starts_piece(c: char) -> bool {
    (c.is_ascii() && !c.is_ascii_alphabetic() && c != '\'')
        || matches!(c, '、' | '。' | '，' | '！' | '？' | '：' | '；')
}

#[cfg(test)]
mod tests;
