//! Text with its JSON and URL escapes read, of ASCII characters only, and where each character stood.

/// Text without its escapes, and where it was.
pub(super) struct Decoded {
    /// The characters.
    pub(super) text: Vec<u8>,
    /// Where each of them began, and where the last one ended.
    pub(super) at: Vec<usize>,
    /// Where an escape begins that the end of the text cuts.
    pub(super) cut: Option<usize>,
}

/// Reads escapes: `\u00XX` and `\/`, also behind more than one backslash as inside of JSON in JSON, and `%XX`, whose `%`
/// may be written as `%25`.
pub(super) fn decode(source: &[u8]) -> Decoded {
    let mut decoded = Decoded {
        text: Vec::with_capacity(source.len()),
        at: Vec::with_capacity(source.len() + 1),
        cut: None,
    };
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let escape = match byte {
            b'\\' => backslash(&source[at..]),
            b'%' => percent(&source[at..]),
            _ => Escape::None,
        };
        let (byte, length) = match escape {
            Escape::None => (byte, 1),
            Escape::Of(byte, length) => (byte, length),
            Escape::Cut => {
                decoded.cut = Some(at);
                break;
            }
        };
        decoded.text.push(byte);
        decoded.at.push(at);
        at += length;
    }
    decoded.at.push(at);
    decoded
}

enum Escape {
    /// It is none, or one of another character.
    None,
    /// The character, and the length of the escape.
    Of(u8, usize),
    /// It is not over.
    Cut,
}

/// The longest run of backslashes, or of `25`, that is looked at: more are no escape that anybody reads.
const LONGEST_RUN: usize = 4;

fn backslash(text: &[u8]) -> Escape {
    let run = text.iter().take_while(|byte| **byte == b'\\').count();
    if run > LONGEST_RUN {
        return Escape::None;
    }
    match text.get(run..) {
        None | Some([]) => Escape::Cut,
        Some([b'/', ..]) => Escape::Of(b'/', run + 1),
        Some([b'u', b'0', b'0', digits @ ..]) if digits.len() >= 2 => match byte(&digits[..2]) {
            Some(byte) => Escape::Of(byte, run + 5),
            None => Escape::None,
        },
        Some([b'u'] | [b'u', b'0'] | [b'u', b'0', b'0', ..]) => Escape::Cut,
        Some(_) => Escape::None,
    }
}

fn percent(text: &[u8]) -> Escape {
    let mut at = 1;
    while text[at..].starts_with(b"25") && at / 2 < LONGEST_RUN {
        at += 2;
    }
    match &text[at..] {
        [] => Escape::Cut,
        [digit] if digit.is_ascii_hexdigit() => Escape::Cut,
        [high, low, ..] => match byte(&[*high, *low]) {
            Some(byte) => Escape::Of(byte, at + 2),
            None if at > 1 => Escape::Of(b'%', 3),
            None => Escape::None,
        },
        [_] => Escape::None,
    }
}

/// Two hexadecimal digits.
pub(super) fn byte(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}
