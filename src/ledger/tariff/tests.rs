use super::*;

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
