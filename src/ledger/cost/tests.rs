mod laws;

use super::*;
use crate::tariff::{Days, Period, Rate, Rates, Variant};
use tollgate_wire::report::Dimension;

fn rates(text: &str) -> Rates {
    text.parse().unwrap()
}

fn flat(text: &str) -> Prices {
    Prices::flat(rates(text))
}

fn usage([input, cached_read, cache_write, output]: [u64; 4]) -> Usage {
    Usage::of(input, cached_read, cache_write, output, output / 2)
}

fn units(units: &[(Unit, u64)]) -> Usage {
    let mut usage = Usage::default();
    for (unit, quantity) in units {
        usage[*unit] = *quantity;
    }
    usage
}

fn terms(prices: Option<&Prices>, fee: u64) -> Terms<'_> {
    Terms { prices, at: 0, fee }
}

fn cost(usage: &Usage, prices: Option<&Prices>, fee: u64) -> Result<NanoUsd, UnknownPrice> {
    terms(prices, fee).cost(usage, &Context::STANDARD)
}

fn served(text: &str) -> Context {
    text.parse().unwrap()
}

/// 0.05 USD per million tokens.
const FEE: u64 = 50_000;

const SONNET: &str = "input=3 cached_read=0.3 cache_write=3.75 output=15";

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
    let sonnet = flat(SONNET);
    let uncached = flat("input=3 output=15");
    let oss = flat("input=0.075 cached_read=0.0375 output=0.3");
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
    let prices = flat(
        "input=0.0375;>128000:0.075;>500000:0.1 cached_read=0.01;>128000:0.02 output=0.15;>128000:0.3",
    );
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
fn every_unit_has_its_own_rate_or_a_published_stand_in() {
    let full = flat(
        "input=1 cached_read=2 cache_write=3 cache_write_1h=4 input_audio=5 input_image=6 input_video=7 \
         cached_audio=8 cached_image=9 output=10 reasoning=11 output_audio=12 output_image=13 output_video=14 \
         citation=15 web_search=16 file_search=17 code_container=18 request=19",
    );
    for (unit, own) in Unit::ALL.into_iter().zip(1u64..) {
        let found = full.find(unit, &Context::STANDARD, 0, 0).unwrap();
        let micro = if unit.is_tokens() {
            1_000_000
        } else {
            1_000_000_000
        };
        assert_eq!(
            (found.pico, found.assumed),
            (own * micro, false),
            "{unit:?}"
        );
    }
    let sonnet = flat(SONNET);
    for (unit, price) in [
        (Unit::CacheWrite1h, 6_000_000),
        (Unit::InputImage, 3_000_000),
        (Unit::InputVideo, 3_000_000),
        (Unit::CachedImage, 300_000),
        (Unit::Reasoning, 15_000_000),
        (Unit::Citation, 15_000_000),
    ] {
        let found = sonnet.find(unit, &Context::STANDARD, 0, 0).unwrap();
        assert_eq!((found.pico, found.assumed), (price, false), "{unit:?}");
    }
    // Sound has another price than text wherever it has one, and so has a search.
    for (unit, price) in [
        (Unit::InputAudio, 15_000_000),
        (Unit::CachedAudio, 15_000_000),
        (Unit::OutputAudio, 15_000_000),
        (Unit::OutputImage, 15_000_000),
        (Unit::WebSearch, 35_000_000_000),
    ] {
        let found = sonnet.find(unit, &Context::STANDARD, 0, 0).unwrap();
        assert_eq!((found.pico, found.assumed), (price, true), "{unit:?}");
    }
}

fn variants(standard: &str, variants: &[(&str, Holds, &str)]) -> Prices {
    let variant = |(when, holds, text): &(&str, Holds, &str)| Variant {
        when: served(when),
        holds: *holds,
        rates: rates(text),
    };
    Prices {
        variants: variants.iter().map(variant).collect(),
        ..flat(standard)
    }
}

#[test]
fn what_is_served_decides_and_what_has_no_price_is_assumed() {
    let prices = variants(
        "input=5;>272000:10 output=30 web_search=10",
        &[
            (
                "speed=fast inference_geo=us",
                Holds::Always,
                "input=11 output=66",
            ),
            (
                "service_tier=priority",
                Holds::Always,
                "input=12.5 output=75",
            ),
            ("service_tier=flex", Holds::Always, "input=2.5 output=15"),
            ("speed=fast", Holds::Always, "input=10 output=60"),
        ],
    );
    let million = units(&[
        (Unit::Input, 200_000),
        (Unit::Output, 100_000),
        (Unit::WebSearch, 10),
    ]);
    for (as_what, millis, assumed) in [
        ("standard", 1_000 + 3_000 + 100, false),
        ("service_tier=priority", 2_500 + 7_500 + 100, false),
        ("service_tier=flex", 500 + 1_500 + 100, false),
        ("speed=fast", 2_000 + 6_000 + 100, false),
        ("speed=fast inference_geo=us", 2_200 + 6_600 + 100, false),
        // The dearest input is 12.5, and answers 75; US inference costs 1.1 times the standard at most, which is less.
        ("inference_geo=us", 2_500 + 7_500 + 100, true),
        ("service_tier=scale", 2_500 + 7_500 + 100, true),
    ] {
        let bill = terms(Some(&prices), 0)
            .bill(&million, &served(as_what))
            .unwrap();
        assert_eq!(
            (bill.cost, bill.assumed),
            (NanoUsd(millis * 1_000_000), assumed),
            "{as_what}"
        );
    }
    // Without any variant, what a way of serving costs at most elsewhere is the least that is assumed.
    let plain = flat(SONNET);
    let tokens = units(&[(Unit::Input, 1_000_000)]);
    for (as_what, dollars) in [
        ("service_tier=priority", 7_500),
        ("speed=fast", 18_000),
        ("inference_geo=us", 3_300),
        ("service_tier=flex", 3_000),
        ("processing=batch", 3_000),
        ("service_tier=unheard-of", 7_500),
    ] {
        let bill = terms(Some(&plain), 0)
            .bill(&tokens, &served(as_what))
            .unwrap();
        assert_eq!(
            (bill.cost, bill.assumed),
            (NanoUsd(dollars * 1_000_000), true),
            "{as_what}"
        );
    }
}

#[test]
fn a_hold_is_for_the_dearest_that_may_be_served() {
    let prices = variants(
        "input=5 output=30",
        &[
            ("service_tier=priority", Holds::Always, "input=10"),
            ("service_tier=flex", Holds::Always, "input=1"),
        ],
    );
    let tokens = units(&[(Unit::Input, 1_000_000)]);
    for (asked, dollars) in [
        ("standard", 5),
        ("service_tier=priority", 10),
        ("service_tier=flex", 5),
    ] {
        let most = terms(Some(&prices), 0).most(&tokens, &served(asked));
        assert_eq!(most, Ok(NanoUsd(dollars * 1_000_000_000)), "{asked}");
    }
}

#[test]
fn prices_change_with_the_day_and_the_hour() {
    const DAY: u64 = 86_400;
    let period = |holds, text| Period {
        holds,
        rates: rates(text),
    };
    let prices = Prices {
        standard: vec![
            period(Holds::Always, "input=1 output=1"),
            period(Holds::From(10 * DAY), "input=2 output=2"),
            period(Holds::Daily(3_600, 7_200, Days::ALL), "input=4 output=4"),
            period(
                Holds::Daily(23 * 3_600, 1_800, Days::ALL),
                "input=8 output=8",
            ),
        ],
        ..Prices::default()
    };
    let tokens = units(&[(Unit::Input, 1_000_000)]);
    for (at, dollars, since) in [
        (9 * DAY + 7_200, 1, 0),
        (10 * DAY - 3_601, 1, 0),
        (10 * DAY + 1_800, 2, 10 * DAY),
        (10 * DAY + 3_600, 4, 0),
        (10 * DAY + 7_199, 4, 0),
        (10 * DAY + 23 * 3_600, 8, 0),
        (11 * DAY + 1_799, 8, 0),
    ] {
        let terms = Terms {
            prices: Some(&prices),
            at,
            fee: 0,
        };
        let bill = terms.bill(&tokens, &Context::STANDARD).unwrap();
        assert_eq!(
            (bill.cost, bill.sheet.since),
            (NanoUsd(dollars * 1_000_000_000), since),
            "at {at}"
        );
    }
    let later = Prices {
        standard: vec![period(Holds::From(10 * DAY), "input=2 output=2")],
        ..Prices::default()
    };
    assert_eq!(
        cost(&tokens, Some(&later), 0),
        Ok(NanoUsd(2_000_000_000)),
        "before the first price, the first price"
    );
}

#[test]
fn a_request_with_a_price_of_its_own_is_billed_once() {
    let prices = flat("input=1 output=1 request=5");
    let tokens = units(&[(Unit::Input, 1_000)]);
    assert_eq!(
        cost(&tokens, Some(&prices), 0),
        Ok(NanoUsd(1_000_000 + 5_000_000))
    );
    let counted = units(&[(Unit::Input, 1_000), (Unit::Request, 2)]);
    assert_eq!(
        cost(&counted, Some(&prices), 0),
        Ok(NanoUsd(1_000_000 + 10_000_000))
    );
    assert_eq!(
        cost(&Usage::default(), Some(&prices), 0),
        Ok(NanoUsd::ZERO),
        "nothing was answered"
    );
}

#[test]
fn an_unknown_price_is_never_zero() {
    for (name, prices, tokens, missing, is_priced) in [
        ("nothing known", "", [1, 0, 0, 0], Some("input"), false),
        (
            "no input: the dearest there is",
            "cached_read=0.1 output=2",
            [1, 0, 0, 0],
            None,
            false,
        ),
        ("no output: the same", "input=1", [1, 0, 0, 1], None, false),
        (
            "free is known",
            "input=0 output=0",
            [9, 3, 3, 9],
            None,
            true,
        ),
        ("nothing used", "", [0, 0, 0, 0], None, false),
    ] {
        let prices = if prices.is_empty() {
            Prices::default()
        } else {
            flat(prices)
        };
        let cost = cost(&usage(tokens), Some(&prices), 0);
        assert_eq!(cost.err(), missing.map(UnknownPrice), "{name}");
        assert!(
            missing.is_some() || tokens[0] == 0 || is_priced || cost.unwrap() > NanoUsd::ZERO,
            "{name}"
        );
        assert_eq!(priced(&prices, true).is_ok(), is_priced, "{name}");
    }
    assert_eq!(priced(&flat("input=1"), false), Ok(()));
    assert_eq!(
        priced(&flat("input=1 output=;>10:2"), true),
        Err(UnknownPrice("output")),
        "a base price"
    );
    let message = UnknownPrice("output").to_string();
    assert_eq!(
        message,
        "the price of the model's output tokens is not known"
    );
}

#[test]
fn absurd_reports_cost_the_most_and_overflow_nothing() {
    let most = units(&Unit::ALL.map(|unit| (unit, u64::MAX)));
    let mut dear = Rates::default();
    for unit in Unit::ALL {
        *dear.entry(unit) = Rate::flat(u64::MAX);
    }
    let dear = Prices::flat(dear);
    for prices in [None, Some(&dear)] {
        for fee in [1, u64::MAX] {
            let cost = cost(&most, prices, fee);
            assert_eq!(cost, Ok(NanoUsd::MOST), "{prices:?} {fee}");
        }
    }
}

#[test]
fn a_cache_saves_what_is_read_less_what_writing_cost_more() {
    let anthropic = flat("input=3 cached_read=0.3 cache_write=3.75 output=15");
    for (read, written, nanos) in [
        (1_000_000, 0, 2_700_000_000),
        (0, 1_000_000, -750_000_000),
        (1_000, 1_000, 1_950_000),
        (0, 0, 0),
    ] {
        let saved = cache_savings(&anthropic, read, written, 0);
        assert_eq!(
            saved,
            Some(NanoUsd(nanos)),
            "{read} read, {written} written"
        );
    }
    // What has no price of its own costs what the prompt does, and saves nothing.
    let plain = flat("input=3 output=15");
    assert_eq!(cache_savings(&plain, 9, 9, 0), Some(NanoUsd::ZERO));
    assert_eq!(cache_savings(&Prices::default(), 9, 9, 0), None);
    assert_eq!(cache_savings(&anthropic, u64::MAX, 0, 0), None);
}
