//! Rates as people write them: US dollars for a million tokens, or for a thousand of what is no token.

use tollgate_wire::report::Unit;

/// The most that a token may cost: one US dollar. Nothing is near, so more is a slip of the pen.
const MOST_PER_TOKEN: u64 = 1_000_000_000_000;

/// The most that a search, a container or a request may cost: a thousand US dollars.
const MOST_EACH: u64 = 1_000_000_000_000_000;

/// Pico-dollars of one unit, of a price as price lists have it: US dollars per million tokens, or per thousand of
/// what is no token. A plain decimal (`0.0375`): no sign, no exponent, at most six decimals that are not zero.
///
/// # Errors
/// Says what is wrong with the text.
pub(crate) fn parse_rate(unit: Unit, text: &str) -> Result<u64, String> {
    rate_of(unit, parse_price(text)?)
}

/// Pico-dollars of one unit, of a price in micro-dollars per million tokens, or per thousand of what is no token.
///
/// # Errors
/// When nothing costs so much.
pub fn rate_of(unit: Unit, micros: u64) -> Result<u64, String> {
    let (pico, most, per) = if unit.is_tokens() {
        (Some(micros), MOST_PER_TOKEN, "million tokens")
    } else {
        (micros.checked_mul(1_000), MOST_EACH, "thousand")
    };
    pico.filter(|pico| *pico <= most).ok_or_else(|| {
        let most = most
            / if unit.is_tokens() {
                1_000_000
            } else {
                1_000_000_000
            };
        format!("too large a price: at most {most} US dollars per {per}")
    })
}

/// Returns the price of a unit as price lists have it: the inverse of `parse_rate`.
pub fn show_rate(unit: Unit, pico: u64) -> String {
    if unit.is_tokens() {
        return show_price(pico);
    }
    let (micros, rest) = (pico / 1_000, pico % 1_000);
    let text = show_price(micros);
    match rest {
        0 => text,
        // More exact than a price list: what is stored was made by somebody else.
        _ => format!("{}.{:09}", pico / 1_000_000_000, pico % 1_000_000_000),
    }
}

/// Pico-dollars per token of a price in US dollars per million tokens, written as a plain decimal
/// (`0.0375`): no sign, no exponent, at most six decimals that are not zero.
///
/// # Errors
/// Says what is wrong with the text.
fn parse_price(text: &str) -> Result<u64, String> {
    let fault = |what: &str| {
        format!("{what}: `{text}`; write US dollars per million tokens, such as 0.0375")
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty()
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit())
    {
        return Err(fault("not a price"));
    }
    if fraction.len() > 6 {
        return Err(fault("more than six decimals"));
    }
    let digits = format!("{whole}{fraction:0<6}");
    digits.parse().map_err(|_| fault("too large a price"))
}

/// US dollars per million tokens, with no more decimals than it needs: the inverse of [`parse_price`].
fn show_price(pico_per_token: u64) -> String {
    let text = format!(
        "{}.{:06}",
        pico_per_token / 1_000_000,
        pico_per_token % 1_000_000
    );
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_text_is_exact() {
        for (text, pico) in [
            ("0.0375", 37_500),
            ("0.3", 300_000),
            ("0.006", 6_000),
            ("0", 0),
            ("180", 180_000_000),
            ("22.50", 22_500_000),
            ("0.000001", 1),
            ("0.0000010", 1),
        ] {
            assert_eq!(parse_price(text), Ok(pico), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_price_is_refused() {
        for text in [
            "",
            ".",
            ".5",
            "-1",
            "+1",
            "1e3",
            "0.0000001",
            "1,5",
            " 1",
            "1.2.3",
            "99999999999999999999",
            "٣",
        ] {
            assert!(parse_price(text).is_err(), "{text:?} must be refused");
        }
    }

    proptest! {
        #[test]
        fn showing_and_parsing_are_inverse(pico in 0..=MOST_PER_TOKEN, which in 0..Unit::ALL.len()) {
            let unit = Unit::ALL[which];
            let pico = if unit.is_tokens() { pico } else { pico * 1_000 };
            prop_assert_eq!(parse_rate(unit, &show_rate(unit, pico)), Ok(pico));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            parse_price(&text).ok();
        }
    }
}
