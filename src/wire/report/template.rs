//! A shortcut for streams whose events differ in one text only.
//!
//! In a stream of deltas, event after event is the same JSON around another text. Once such an event
//! has been read in full, the next one that has the same bytes before and after its text needs no
//! reading: its text is all that it says.
//!
//! Invariant: a match finds exactly what reading in full would. It holds because every other effect
//! of an event (model, finish reason, usage, content seen) is the same when the same bytes are read
//! again, and because an event is learnt only if this text is all that it added. Two things that no reader looks
//! at may differ too: the number that OpenAI's Responses give their events, and the padding they add.

/// Events longer than this, in bytes, are not learnt: it bounds the memory an open stream keeps.
const LONGEST: usize = 2 << 10;

/// How many events are learnt in a row without a match before the shortcut is given up.
const PATIENCE: u8 = 16;

/// OpenAI pads its events with a random text under this key, so it may differ too.
const PADDING: &[u8] = b"\"obfuscation\":\"";

/// OpenAI's Responses number their events under this key. These bytes are a key wherever they are: in a text the second
/// quote would be escaped.
const NUMBER: &[u8] = b"\"sequence_number\":";

/// The most digits of such a number: whatever they are, it is one that JSON readers take.
const DIGITS: usize = 18;

/// What surrounds the text of the event learnt last.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// Up to the event's number if it has one, else up to the text.
    before: Vec<u8>,
    /// From the number's end on, up to the text.
    between: Option<Vec<u8>>,
    /// From the text's closing quote on, up to the padding if there is any.
    after: Vec<u8>,
    /// From the padding's closing quote on.
    end: Option<Vec<u8>>,
    misses: u8,
}

impl Template {
    /// The text of an event that is otherwise the one learnt. Texts with escapes never match.
    pub(crate) fn text<'a>(&mut self, data: &'a [u8]) -> Option<&'a str> {
        if self.before.is_empty() {
            return None;
        }
        let rest = data.strip_prefix(&*self.before)?;
        let rest = match &self.between {
            None => rest,
            Some(between) => number_end(rest)?.strip_prefix(&**between)?,
        };
        let (text, rest) = plain_text(rest)?;
        let rest = rest.strip_prefix(&*self.after)?;
        let same = match &self.end {
            None => rest.is_empty(),
            Some(end) => plain_text(rest)?.1 == &**end,
        };
        if same {
            self.misses = 0;
        }
        same.then_some(text)
    }

    /// Learns an event, which has been read in full, by where the text lies that is all it added.
    pub(crate) fn learn(&mut self, data: &[u8], at: usize, len: usize) {
        let (Some(before), Some(after)) = (data.get(..at), data.get(at + len..)) else {
            return;
        };
        if self.misses == PATIENCE || data.len() > LONGEST || before.is_empty() {
            *self = Template {
                misses: self.misses,
                ..Template::default()
            };
            return;
        }
        self.misses += 1;
        let padding = memchr::memmem::find(after, PADDING).map(|at| at + PADDING.len());
        let (after, end) = match padding.and_then(|at| Some((at, plain_text(after.get(at..)?)?.1)))
        {
            Some((at, end)) => (&after[..at], Some(end)),
            None => (after, None),
        };
        let number = memchr::memmem::find(before, NUMBER).map(|at| at + NUMBER.len());
        let numbered = number.and_then(|at| {
            let between = number_end(before.get(at..)?)?;
            between.starts_with(b",").then_some((at, between))
        });
        let (before, between) = match numbered {
            Some((at, between)) => (&before[..at], Some(between)),
            None => (before, None),
        };
        self.before.clear();
        self.before.extend_from_slice(before);
        self.between = between.map(<[u8]>::to_vec);
        self.after.clear();
        self.after.extend_from_slice(after);
        self.end = end.map(<[u8]>::to_vec);
    }
}

/// What follows the whole number that `bytes` begin with; `None` if there is none, or a longer one than is understood.
fn number_end(bytes: &[u8]) -> Option<&[u8]> {
    let most = &bytes[..bytes.len().min(DIGITS)];
    let len = most.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_one = len == 1 || (len > 1 && bytes[0] != b'0');
    is_one.then(|| &bytes[len..])
}

/// The JSON text that `bytes` begin with, up to its closing quote, and the rest from that quote on;
/// `None` if it has escapes or is no valid text.
fn plain_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = bytes.split_at(memchr::memchr2(b'"', b'\\', bytes)?);
    let plain = rest.first() == Some(&b'"') && text.iter().all(|&byte| byte >= b' ');
    Some((std::str::from_utf8(text).ok().filter(|_| plain)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] = br#"{"id":"a","delta":{"content":"one"},"usage":null}"#;

    fn learnt(event: &[u8]) -> Template {
        let mut template = Template::default();
        let at = memchr::memmem::find(event, b"one").expect("the text");
        template.learn(event, at, 3);
        template
    }

    #[test]
    fn only_another_text_matches() {
        let mut template = learnt(EVENT);
        for (event, want) in [
            (
                r#"{"id":"a","delta":{"content":"two é"},"usage":null}"#,
                Some("two é"),
            ),
            (
                r#"{"id":"a","delta":{"content":""},"usage":null}"#,
                Some(""),
            ),
            (r#"{"id":"b","delta":{"content":"two"},"usage":null}"#, None),
            (r#"{"id":"a","delta":{"content":"two"},"usage":{}}"#, None),
            (
                r#"{"id":"a","delta":{"content":"two"},"usage":null} "#,
                None,
            ),
            (
                r#"{"id":"a","delta":{"content":"a\nb"},"usage":null}"#,
                None,
            ),
            (
                r#"{"id":"a","delta":{"content":"a","content":"b"},"usage":null}"#,
                None,
            ),
            (
                "{\"id\":\"a\",\"delta\":{\"content\":\"raw\nline\"},\"usage\":null}",
                None,
            ),
            (r#"{"id":"a","delta":{"content":"tw"#, None),
        ] {
            assert_eq!(template.text(event.as_bytes()), want, "{event}");
        }
    }

    #[test]
    fn padding_may_differ() {
        let mut template = learnt(br#"{"delta":"one","obfuscation":"xyz","n":1}"#);
        assert_eq!(
            template.text(br#"{"delta":"two","obfuscation":"q","n":1}"#),
            Some("two"),
            "other padding"
        );
        assert_eq!(
            template.text(br#"{"delta":"two","obfuscation":"q","n":2}"#),
            None,
            "another figure after it"
        );
        assert_eq!(
            template.text(br#"{"delta":"two","obfuscation":"q\"","n":1}"#),
            None,
            "an escape"
        );
    }

    #[test]
    fn numbers_may_differ() {
        let event =
            br#"{"type":"t","sequence_number":9,"item":"i","delta":"one","obfuscation":"x"}"#;
        let mut template = learnt(event);
        for (number, item, matches) in [
            ("10", "i", true),
            ("0", "i", true),
            ("123456789012345678", "i", true),
            ("1234567890123456789", "i", false),
            ("", "i", false),
            ("007", "i", false),
            ("-1", "i", false),
            ("1.5", "i", false),
            ("1e9", "i", false),
            ("null", "i", false),
            ("10", "j", false),
        ] {
            let event = format!(
                r#"{{"type":"t","sequence_number":{number},"item":"{item}","delta":"two","obfuscation":""}}"#
            );
            let text = template.text(event.as_bytes());
            assert_eq!(text, matches.then_some("two"), "{event}");
        }
    }

    #[test]
    fn only_whole_numbers_under_their_key_may_differ() {
        for [learn, other] in [
            ["1.5", "2.5"],
            ["null", "1"],
            ["1 ", "2 "],
            [r#"1}"#, r#"2}"#],
        ] {
            let event =
                |number, text| format!(r#"{{"n":{{"sequence_number":{number},"delta":"{text}"}}"#);
            let mut template = learnt(event(learn, "one").as_bytes());
            assert_eq!(template.text(event(learn, "two").as_bytes()), Some("two"));
            assert_eq!(
                template.text(event(other, "two").as_bytes()),
                None,
                "{other}"
            );
        }
        let said = |number| format!(r#"{{"item":"\"sequence_number\":{number},","delta":"one"}}"#);
        let mut template = learnt(said(1).as_bytes());
        assert_eq!(template.text(said(2).as_bytes()), None, "inside a text");
    }

    #[test]
    fn streams_that_never_repeat_are_given_up() {
        let mut template = Template::default();
        for _ in 0..=PATIENCE {
            template.learn(EVENT, 30, 3);
        }
        assert!(template.before.is_empty(), "nothing is learnt any more");
    }
}
