//! What a request costs. Pure.
//!
//! ```text
//! fee on (input + output)                                   every request
//! + input not cached × its price + cached read × its price
//!   + cache write × its price + output × its price          a managed key's, at the prices of the prompt's tier
//! ```
//!
//! The sum is one of whole pico-dollars (10⁻¹² USD), exact in 128 bits, and is rounded to nano-dollars once, half
//! up. Invariant: an unknown price is never zero. The one that may stand in for another is that of input for its
//! cached parts, as providers without a cache tariff bill them (and as the configuration's `prices` promise):
//! reading from a cache is never dearer than that.

use crate::NanoUsd;
use crate::tariff::{Prices, Rates};
use tollgate_wire::report::Usage;

/// Pico-dollars in a nano-dollar.
const PICOS: u128 = 1_000;

/// A price that is needed is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price of the model's {0} tokens is not known")]
pub struct UnknownPrice(
    /// Which: `input` or `output`.
    pub &'static str,
);

/// What a request with this usage is charged: at least 0, at most [`NanoUsd::MOST`], whatever a provider reports.
///
/// `prices` are the model's for a managed key, and `None` for a user's own, which its provider bills.
/// `fee_pico_per_token` is charged on the whole prompt and the whole answer. Of a report whose cached parts exceed
/// its prompt, no more than the prompt counts.
///
/// # Errors
/// When there are tokens of a kind whose price is not known.
pub fn cost(
    usage: &Usage,
    prices: Option<&Prices>,
    fee_pico_per_token: u64,
) -> Result<NanoUsd, UnknownPrice> {
    let tokens = u128::from(usage.input) + u128::from(usage.output);
    let fee = tokens.saturating_mul(u128::from(fee_pico_per_token));
    let model = match prices {
        Some(prices) => model_price(usage, prices.rates_for(usage.input))?,
        None => 0,
    };
    let nanos = fee.saturating_add(model).saturating_add(PICOS / 2) / PICOS;
    let nanos = i64::try_from(nanos).map_or(NanoUsd::MOST, NanoUsd);
    Ok(nanos.min(NanoUsd::MOST))
}

/// Pico-dollars.
fn model_price(usage: &Usage, rates: &Rates) -> Result<u128, UnknownPrice> {
    let read = usage.cached_read.min(usage.input);
    let write = usage.cache_write.min(usage.input - read);
    let plain = usage.input - read - write;
    let of = |tokens: u64, rate: Option<u64>, kind| match (tokens, rate) {
        (0, _) => Ok(0),
        // The product of two 64-bit numbers fits.
        (tokens, Some(rate)) => Ok(u128::from(tokens) * u128::from(rate)),
        (_, None) => Err(UnknownPrice(kind)),
    };
    let parts = [
        of(plain, rates.input, "input")?,
        of(read, rates.cached_read.or(rates.input), "input")?,
        of(write, rates.cache_write.or(rates.input), "input")?,
        of(usage.output, rates.output, "output")?,
    ];
    Ok(parts.into_iter().fold(0, u128::saturating_add))
}

/// Whether any request to a model can be priced, before its tokens are known: a managed request to one that cannot
/// is refused. `answers` is whether the answer has tokens of its own, as all have but embeddings.
///
/// # Errors
/// Which price is missing, for a prompt of whatever length.
pub fn priced(prices: &Prices, answers: bool) -> Result<(), UnknownPrice> {
    let mut all = std::iter::once(&prices.base).chain(prices.tiers.iter().map(|(_, rates)| rates));
    all.try_for_each(|rates| match (rates.input, rates.output) {
        (None, _) => Err(UnknownPrice("input")),
        (_, None) if answers => Err(UnknownPrice("output")),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// US dollars per million tokens as they are written in a catalog; empty is unknown.
    fn rates(input: &str, cached_read: &str, cache_write: &str, output: &str) -> Rates {
        let price = |text: &str| {
            let pico = crate::tariff::parse_price(text);
            (!text.is_empty()).then(|| pico.unwrap())
        };
        Rates {
            input: price(input),
            cached_read: price(cached_read),
            cache_write: price(cache_write),
            output: price(output),
        }
    }

    fn flat(base: Rates) -> Prices {
        Prices {
            base,
            tiers: Vec::new(),
        }
    }

    fn usage([input, cached_read, cache_write, output]: [u64; 4]) -> Usage {
        Usage {
            input,
            cached_read,
            cache_write,
            output,
            reasoning: output / 2,
        }
    }

    /// 0.05 USD per million tokens.
    const FEE: u64 = 50_000;

    #[test]
    fn the_fee_is_charged_on_prompt_and_answer() {
        for (tokens, fee, nanos) in [
            ([0, 0, 0, 0], FEE, 0),
            // 1,000,000 tokens cost 5 cents.
            ([900_000, 500_000, 0, 100_000], FEE, 50_000_000),
            // 12 tokens: 600,000 pico-dollars.
            ([10, 0, 0, 2], FEE, 600),
            ([10, 0, 0, 2], 0, 0),
            // 3 × 100 = 300 pico-dollars, which is less than half a nano-dollar; 5 × 100 is half of one.
            ([2, 0, 0, 1], 100, 0),
            ([4, 0, 0, 1], 100, 1),
        ] {
            let cost = cost(&usage(tokens), None, fee);
            assert_eq!(cost, Ok(NanoUsd(nanos)), "{tokens:?} at {fee}");
        }
    }

    #[test]
    fn a_managed_key_adds_the_models_price() {
        let sonnet = flat(rates("3", "0.3", "3.75", "15"));
        let uncached = flat(rates("3", "", "", "15"));
        let oss = flat(rates("0.075", "0.0375", "", "0.3"));
        for (name, prices, tokens, fee, nanos) in [
            (
                "a million of each",
                &sonnet,
                [1_000_000, 0, 0, 1_000_000],
                0,
                18_000_000_000,
            ),
            // 100 × 0.0375 USD per million is 3,750,000 pico-dollars.
            ("exactly $0.0375", &oss, [100, 100, 0, 0], 0, 3_750),
            // 1 × 37,500 pico-dollars is 37.5 nano-dollars, rounded half up.
            ("half up", &oss, [1, 1, 0, 0], 0, 38),
            // 700 × 3 + 200 × 0.3 + 100 × 3.75 + 50 × 15 = 3,285 USD per million, and the fee on 1,050 tokens.
            (
                "cached parts",
                &sonnet,
                [1_000, 200, 100, 50],
                FEE,
                3_285_000 + 52_500,
            ),
            (
                "no cache tariff: as input",
                &uncached,
                [1_000, 200, 100, 0],
                0,
                3_000_000,
            ),
            (
                "a cache that is larger than its prompt",
                &sonnet,
                [100, 150, 50, 0],
                0,
                30_000,
            ),
            (
                "one after which no prompt is left",
                &sonnet,
                [100, 60, 60, 0],
                0,
                18_000 + 150_000,
            ),
        ] {
            let cost = cost(&usage(tokens), Some(prices), fee);
            assert_eq!(cost, Ok(NanoUsd(nanos)), "{name}");
        }
    }

    #[test]
    fn a_tier_prices_the_whole_request_by_its_whole_prompt() {
        // Groq's and Google's way: 0.0375 to 128,000 tokens and 0.075 above; the answer's price rises, too.
        let prices = Prices {
            base: rates("0.0375", "0.01", "", "0.15"),
            tiers: vec![
                (128_000, rates("0.075", "0.02", "", "0.3")),
                (500_000, rates("0.1", "0.02", "", "0.3")),
            ],
        };
        for (tokens, nanos) in [
            // 128,000 × 37,500 + 10 × 150,000 pico-dollars.
            ([128_000, 0, 0, 10], 4_800_000 + 1_500),
            // 128,001 × 75,000 + 10 × 300,000: all of it, and not what is above the threshold alone.
            ([128_001, 0, 0, 10], 9_600_075 + 3_000),
            // Cached tokens count towards the tier: 28,001 × 75,000 + 100,000 × 20,000.
            ([128_001, 100_000, 0, 0], 2_100_075 + 2_000_000),
            ([500_001, 0, 0, 0], 50_000_100),
        ] {
            let cost = cost(&usage(tokens), Some(&prices), 0);
            assert_eq!(cost, Ok(NanoUsd(nanos)), "{tokens:?}");
        }
    }

    #[test]
    fn an_unknown_price_is_never_zero() {
        for (name, prices, tokens, missing, is_priced) in [
            (
                "nothing known",
                rates("", "", "", ""),
                [1, 0, 0, 0],
                Some("input"),
                false,
            ),
            (
                "no input",
                rates("", "0.1", "", "2"),
                [1, 0, 0, 0],
                Some("input"),
                false,
            ),
            (
                "no cache write, no input",
                rates("", "0.1", "", "2"),
                [2, 1, 1, 0],
                Some("input"),
                false,
            ),
            (
                "no output",
                rates("1", "", "", ""),
                [1, 0, 0, 1],
                Some("output"),
                false,
            ),
            (
                "an embedding has no output",
                rates("1", "", "", ""),
                [1, 0, 0, 0],
                None,
                false,
            ),
            (
                "free is known",
                rates("0", "", "", "0"),
                [9, 3, 3, 9],
                None,
                true,
            ),
            (
                "nothing used",
                rates("", "", "", ""),
                [0, 0, 0, 0],
                None,
                false,
            ),
        ] {
            let prices = flat(prices);
            let cost = cost(&usage(tokens), Some(&prices), FEE);
            assert_eq!(cost.err(), missing.map(UnknownPrice), "{name}");
            assert_eq!(priced(&prices, true).is_ok(), is_priced, "{name}");
        }
        assert_eq!(priced(&flat(rates("1", "", "", "")), false), Ok(()));
        let gap = Prices {
            base: rates("1", "", "", "1"),
            tiers: vec![(10, rates("2", "", "", ""))],
        };
        assert_eq!(priced(&gap, true), Err(UnknownPrice("output")), "a tier's");
        let message = UnknownPrice("output").to_string();
        assert_eq!(
            message,
            "the price of the model's output tokens is not known"
        );
    }

    #[test]
    fn absurd_reports_cost_the_most_and_overflow_nothing() {
        let most = usage([u64::MAX, u64::MAX, u64::MAX, u64::MAX]);
        let rate = Some(u64::MAX);
        let dear = flat(Rates {
            input: rate,
            cached_read: rate,
            cache_write: rate,
            output: rate,
        });
        for prices in [None, Some(&dear)] {
            for fee in [1, u64::MAX] {
                let cost = cost(&most, prices, fee);
                assert_eq!(cost, Ok(NanoUsd::MOST), "{prices:?} {fee}");
            }
        }
    }

    fn any_prices() -> impl Strategy<Value = Prices> {
        let rate = || 0u64..200_000_000;
        let rates = (
            rate(),
            proptest::option::of(rate()),
            proptest::option::of(rate()),
            rate(),
        );
        rates.prop_map(|(input, cached_read, cache_write, output)| {
            flat(Rates {
                input: Some(input),
                cached_read,
                cache_write,
                output: Some(output),
            })
        })
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        let part = || 0u64..3_000_000;
        (part(), part(), part(), part()).prop_map(|(plain, read, write, output)| {
            usage([plain + read + write, read, write, output])
        })
    }

    fn charged(usage: &Usage, prices: &Prices, fee: u64) -> i64 {
        cost(usage, Some(prices), fee).unwrap().0
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less(usage in any_usage(), prices in any_prices(), fee in 0u64..1_000_000, more in 0u64..1_000_000) {
            let before = charged(&usage, &prices, fee);
            prop_assert!(before >= 0, "never negative");
            for longer in [
                Usage { input: usage.input + more, ..usage },
                Usage { output: usage.output + more, ..usage },
                Usage { input: usage.input + more, cached_read: usage.cached_read + more, ..usage },
                Usage { input: usage.input + more, cache_write: usage.cache_write + more, ..usage },
            ] {
                prop_assert!(charged(&longer, &prices, fee) >= before, "{longer:?}");
            }
        }

        #[test]
        fn two_requests_cost_as_much_as_both_but_for_one_rounding(one in any_usage(), two in any_usage(), prices in any_prices(), fee in 0u64..1_000_000) {
            let both = Usage {
                input: one.input + two.input,
                cached_read: one.cached_read + two.cached_read,
                cache_write: one.cache_write + two.cache_write,
                output: one.output + two.output,
                reasoning: 0,
            };
            let apart = charged(&one, &prices, fee) + charged(&two, &prices, fee);
            prop_assert!((apart - charged(&both, &prices, fee)).abs() <= 1);
        }

        #[test]
        fn nothing_overflows(tokens: [u64; 4], rates: [Option<u64>; 4], fee: u64) {
            let [input, cached_read, cache_write, output] = rates;
            let prices = flat(Rates { input, cached_read, cache_write, output });
            if let Ok(cost) = cost(&usage(tokens), Some(&prices), fee) {
                prop_assert!((NanoUsd::ZERO..=NanoUsd::MOST).contains(&cost));
            }
        }
    }
}
