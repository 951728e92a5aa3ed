//! Custom tools, which take free text, towards providers that know only JSON: they are sent as functions of
//! one text, `{"input": "..."}`, and the text is taken out of the arguments again as it comes.

use serde_json::{Value, json};

/// The schema of the function that stands for a custom tool.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The tool's input, as plain text."}},
        "required": ["input"],
        "additionalProperties": false,
    })
}

/// What to say to the model of a custom tool: its description and its grammar, which nothing else can carry.
pub(super) fn description(own: Option<&str>, format: Option<&Value>) -> Option<String> {
    let grammar = format.and_then(|format| {
        let definition = format.get("definition")?.as_str()?;
        let syntax = format.get("syntax")?.as_str()?;
        Some(format!(
            "The input must follow this {syntax} grammar:\n{definition}"
        ))
    });
    match (own, grammar) {
        (Some(own), Some(grammar)) => Some(format!("{own}\n\n{grammar}")),
        (own, grammar) => own.map(str::to_owned).or(grammar),
    }
}

/// Free text as the arguments of the function.
pub(super) fn wrap(text: &str) -> String {
    json!({ "input": text }).to_string()
}

/// The free text in the arguments of the function.
pub(super) fn unwrap(arguments: &str) -> String {
    let mut text = String::new();
    Unwrap::default().feed(arguments, &mut text);
    text
}

/// Takes the text out of arguments that come in fragments.
#[derive(Debug, Default)]
pub(super) struct Unwrap {
    state: Position,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Position {
    /// Before the text's opening quote; how many quotes have been seen.
    #[default]
    Head,
    Key,
    Colon,
    Text,
    Escape,
    /// In an escape of four hexadecimal digits: those so far, their count, and the high surrogate before it.
    Unicode(u32, u8, Option<u32>),
    /// After a high surrogate: a backslash is expected.
    Low(u32),
    LowEscape(u32),
    Done,
}

impl Unwrap {
    /// Appends what `fragment` adds to the text.
    pub(super) fn feed(&mut self, fragment: &str, text: &mut String) {
        for c in fragment.chars() {
            self.step(c, text);
        }
    }

    fn step(&mut self, c: char, text: &mut String) {
        self.state = match std::mem::take(&mut self.state) {
            Position::Head if c == '"' => Position::Key,
            Position::Head => Position::Head,
            Position::Key if c == '"' => Position::Colon,
            Position::Key => Position::Key,
            Position::Colon if c == '"' => Position::Text,
            Position::Colon => Position::Colon,
            Position::Text => match c {
                '"' => Position::Done,
                '\\' => Position::Escape,
                c => {
                    text.push(c);
                    Position::Text
                }
            },
            Position::Escape if c == 'u' => Position::Unicode(0, 0, None),
            Position::Escape => {
                text.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    c => c,
                });
                Position::Text
            }
            Position::Unicode(code, digits, high) => {
                let code = code * 16 + c.to_digit(16).unwrap_or(0);
                if digits < 3 {
                    Position::Unicode(code, digits + 1, high)
                } else {
                    unit(code, high, text)
                }
            }
            Position::Low(high) if c == '\\' => Position::LowEscape(high),
            Position::Low(_) => {
                text.push(char::REPLACEMENT_CHARACTER);
                self.state = Position::Text;
                return self.step(c, text);
            }
            Position::LowEscape(high) if c == 'u' => Position::Unicode(0, 0, Some(high)),
            Position::LowEscape(_) => {
                text.push(char::REPLACEMENT_CHARACTER);
                self.state = Position::Escape;
                return self.step(c, text);
            }
            Position::Done => Position::Done,
        };
    }
}

/// One unit of UTF-16.
fn unit(code: u32, high: Option<u32>, text: &mut String) -> Position {
    let whole = match high {
        Some(high) if (0xdc00..0xe000).contains(&code) => {
            0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00)
        }
        Some(_) => {
            text.push(char::REPLACEMENT_CHARACTER);
            return unit(code, None, text);
        }
        None if (0xd800..0xdc00).contains(&code) => return Position::Low(code),
        None => code,
    };
    text.push(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
    Position::Text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_wrapped_comes_out_however_it_is_split(text in ".*", cut in any::<prop::sample::Index>()) {
            let ascii: String = wrap(&text).chars().map(|c| {
                let mut units = [0; 2];
                if c.is_ascii() {
                    c.to_string()
                } else {
                    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
            }).collect();
            for arguments in [wrap(&text), ascii] {
                prop_assert_eq!(&unwrap(&arguments), &text);
                let chars: Vec<char> = arguments.chars().collect();
                let at = cut.index(chars.len());
                let (mut unwrap, mut out) = (Unwrap::default(), String::new());
                unwrap.feed(&chars[..at].iter().collect::<String>(), &mut out);
                unwrap.feed(&chars[at..].iter().collect::<String>(), &mut out);
                prop_assert_eq!(&out, &text);
            }
        }
    }
}
