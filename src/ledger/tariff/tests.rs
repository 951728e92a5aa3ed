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
    let rate = Rate {
        base: Some(1),
        tiers: vec![(100, 2), (200, 3)],
    };
    for (tokens, input) in [
        (0, 1),
        (100, 1),
        (101, 2),
        (200, 2),
        (201, 3),
        (u64::MAX, 3),
    ] {
        assert_eq!(rate.at(tokens), Some(input), "{tokens} tokens");
    }
}

#[test]
fn days_and_hours_are_read_and_nothing_that_is_none() {
    for (text, holds) in [
        ("", Holds::Always),
        ("1970-01-02", Holds::From(86_400)),
        ("2024-02-29", Holds::From(1_709_164_800)),
        ("01:00-04:30", Holds::Daily(3_600, 16_200, Days::ALL)),
        ("23:00-01:00", Holds::Daily(82_800, 3_600, Days::ALL)),
        (
            "Sat-Sun 00:00-24:00",
            Holds::Daily(0, 86_400, Days(0b110_0000)),
        ),
        (
            "Sat-Mon 00:00-24:00",
            Holds::Daily(0, 86_400, Days(0b110_0001)),
        ),
        (
            "Wed 23:00-01:00",
            Holds::Daily(82_800, 3_600, Days(0b000_0100)),
        ),
    ] {
        assert_eq!(text.parse(), Ok(holds), "{text}");
        assert_eq!(holds.to_string(), text);
    }
    for text in [
        "Sat-Sun",
        "sat 01:00-02:00",
        "Sat- 01:00-02:00",
        "Mon,Tue 01:00-02:00",
        "24:00-01:00",
        "2025-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-1-01",
        "1969-12-31",
        "24:00-01:00",
        "01:00-01:00",
        "1:00-2:00",
        "01:60-02:00",
        "tomorrow",
        "2026-10-12T00:00:00Z",
    ] {
        assert!(text.parse::<Holds>().is_err(), "{text}");
    }
}

#[test]
fn rates_are_written_as_they_are_read() {
    let text = "input=5;>272000:10 cached_read=0.5 output=30;>272000:45;>500000:60 web_search=10";
    let rates: Rates = text.parse().unwrap();
    assert_eq!(rates.to_string(), text);
    assert_eq!(
        rates.get(Unit::WebSearch),
        Some(&Rate::flat(10_000_000_000))
    );
    for (text, what) in [
        ("input", "no unit=price"),
        ("inputs=1", "no known unit"),
        ("input=1 input=2", "second price"),
        ("input=-1", "not a price"),
        ("input=1e-30", "not a price"),
        (
            "input=2000000",
            "too large a price: at most 1000000 US dollars per million",
        ),
        (
            "web_search=2000000",
            "too large a price: at most 1000000 US dollars per thousand",
        ),
        ("input=1;2", "no >tokens:price"),
        ("input=1;>5:1;>5:2", "same length"),
    ] {
        let fault = text.parse::<Rates>().unwrap_err();
        assert!(fault.contains(what), "{text}: {fault}");
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

#[test]
fn hours_after_midnight_belong_to_the_day_before() {
    // 2026-11-27 is a Friday.
    let friday = 20_784 * DAY;
    for (text, hours, expected) in [
        ("Mon-Fri 01:00-04:00", 2, true),
        ("Mon-Fri 01:00-04:00", 24 + 2, false),
        ("Mon-Fri 01:00-04:00", 3 * 24 + 2, true),
        ("Fri 23:00-02:00", 23, true),
        ("Fri 23:00-02:00", 24 + 1, true),
        ("Fri 23:00-02:00", 1, false),
        ("Fri 23:00-02:00", 24 + 23, false),
        ("Sat-Sun 00:00-24:00", 23, false),
        ("Sat-Sun 00:00-24:00", 24, true),
        ("Sat-Sun 00:00-24:00", 3 * 24 - 1, true),
        ("Sat-Sun 00:00-24:00", 3 * 24, false),
    ] {
        let holds: Holds = text.parse().unwrap();
        assert_eq!(
            holds.at(friday + hours * 3_600),
            expected,
            "{text}, {hours} hours after Friday began"
        );
    }
}
