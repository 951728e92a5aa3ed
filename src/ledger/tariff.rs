//! What tokens cost, in pico-dollars (10⁻¹² USD) per token, exactly: no floats.
//!
//! The invariant: an unknown price is `None`, never zero. One US dollar per million tokens is 10⁶ pico-dollars
//! per token, so six decimals of a price per million are exact.

/// Prices in pico-dollars (10⁻¹² USD) per token. `None` is unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// For prompts that no tier covers.
    pub base: Rates,
    /// For long prompts, by rising `above`; the last one that the prompt exceeds prices the whole request.
    pub tiers: Vec<(u64, Rates)>,
}

/// Pico-dollars per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens.
    pub input: Option<u64>,
    /// Prompt tokens read from the provider's cache.
    pub cached_read: Option<u64>,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: Option<u64>,
    /// Answer tokens.
    pub output: Option<u64>,
}

impl Prices {
    /// The rates of a whole request whose prompt, cached tokens included, has `prompt_tokens` tokens.
    /// A tier holds *above* its threshold: a prompt of exactly that length is not in it.
    pub fn rates_for(&self, prompt_tokens: u64) -> &Rates {
        let reached = self
            .tiers
            .iter()
            .rev()
            .find(|(above, _)| prompt_tokens > *above);
        reached.map_or(&self.base, |(_, rates)| rates)
    }
}

/// Pico-dollars per token of a price in US dollars per million tokens, written as a plain decimal
/// (`0.0375`): no sign, no exponent, at most six decimals that are not zero.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse_price(text: &str) -> Result<u64, String> {
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
pub fn show_price(pico_per_token: u64) -> String {
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

    #[test]
    fn a_tier_holds_above_its_threshold() {
        let rates = |input| Rates {
            input: Some(input),
            ..Rates::default()
        };
        let prices = Prices {
            base: rates(1),
            tiers: vec![(100, rates(2)), (200, rates(3))],
        };
        for (tokens, input) in [
            (0, 1),
            (100, 1),
            (101, 2),
            (200, 2),
            (201, 3),
            (u64::MAX, 3),
        ] {
            assert_eq!(
                prices.rates_for(tokens).input,
                Some(input),
                "{tokens} tokens"
            );
        }
    }

    proptest! {
        #[test]
        fn showing_and_parsing_are_inverse(pico: u64) {
            prop_assert_eq!(parse_price(&show_price(pico)), Ok(pico));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            parse_price(&text).ok();
        }
    }
}
