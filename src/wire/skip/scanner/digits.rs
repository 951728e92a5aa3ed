//! Numbers that come in pieces.

/// What of a number is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    Minus,
    Zero,
    Whole,
    Dot,
    Fraction,
    E,
    Sign,
    Power,
}

impl Digits {
    /// Behind a number's first byte.
    pub(super) fn first(byte: u8) -> Digits {
        match byte {
            b'-' => Digits::Minus,
            b'0' => Digits::Zero,
            _ => Digits::Whole,
        }
    }

    /// Goes on at `at`: the index after the number or the piece; `None` if it is no number.
    pub(super) fn feed(&mut self, piece: &[u8], mut at: usize) -> Option<usize> {
        use Digits::{Dot, E, Fraction, Minus, Power, Sign, Whole, Zero};
        loop {
            if let Whole | Fraction | Power = self {
                while piece.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
            }
            let Some(&byte) = piece.get(at) else {
                return Some(at);
            };
            *self = match (*self, byte) {
                (Minus, b'1'..=b'9') => Whole,
                (Minus, b'0') => Zero,
                (Zero | Whole, b'.') => Dot,
                (Dot, b'0'..=b'9') => Fraction,
                (Zero | Whole | Fraction, b'e' | b'E') => E,
                (E, b'+' | b'-') => Sign,
                (E | Sign, b'0'..=b'9') => Power,
                (digits, _) => return digits.may_end().then_some(at),
            };
            at += 1;
        }
    }

    /// Whether a number may end here.
    pub(super) fn may_end(self) -> bool {
        use Digits::{Fraction, Power, Whole, Zero};
        matches!(self, Zero | Whole | Fraction | Power)
    }
}
