use super::*;

/// 2026-11-23, 02:00.
const DAY: u64 = 1_795_399_200;

/// What it costs as usual; nothing if no price is known.
fn usual(provider: &str, id: &str) -> String {
    let prices = model(provider, id).prices.clone();
    prices
        .standard_at(DAY)
        .map(|period| period.rates.to_string())
        .unwrap_or_default()
}

#[test]
fn prices_are_exact() {
    for (provider, id, expected) in [
        (
            "groq",
            "openai/gpt-oss-20b",
            "input=0.075 cached_read=0.0375 output=0.3",
        ),
        ("groq", "meta-llama/llama-3.1-8b-instant", ""),
        (
            "deepseek",
            "deepseek-v4-flash",
            "input=0.3 cached_read=0.006 output=1.2",
        ),
        (
            "openai",
            "gpt-5-nano",
            "input=0.05 cached_read=0.005 input_image=10 output=0.4 output_image=40 web_search=10 file_search=2.5 \
             code_container=30",
        ),
        ("openai", "o1-pro", "input=150 output=600"),
        (
            "anthropic",
            "claude-opus-4-1",
            "input=15 cached_read=1.5 cache_write=18.75 cache_write_1h=30 output=75 web_search=10",
        ),
        ("openai", "text-embedding-3-small", "input=0.02"),
        (
            "openai",
            "gpt-5.6-luna",
            "input=0.2;>272000:0.4 cached_read=0.02;>272000:0.04 cache_write=0.25;>272000:0.5 input_image=10 \
             output=1.2;>272000:1.8 output_image=40 web_search=10 file_search=2.5 code_container=30",
        ),
        ("z-ai", "glm-5-turbo", ""),
        (
            "inceptionlabs",
            "mercury-2",
            "input=0.25 cached_read=0.025 output=0.75",
        ),
    ] {
        assert_eq!(usual(provider, id), expected, "{provider}:{id}");
    }
}

#[test]
fn every_price_of_the_list_of_the_day_holds() {
    // What the providers' price lists said on 2026-11-23, in `catalog.tsv`'s own columns, of every kind of row.
    for (provider, id, input, read, write, output) in [
        (
            "openai",
            "gpt-5.5",
            "5;>272000:10",
            "0.5;>272000:1",
            "",
            "30;>272000:45",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            "3;>200000:6",
            "0.3;>200000:0.6",
            "3.75;>200000:7.5",
            "15;>200000:22.5",
        ),
        ("google", "gemini-3.6-flash", "0.75", "0.075", "", "3.75"),
        ("deepseek", "deepseek-v4-pro", "1.32", "0.044", "", "3.96"),
        ("moonshotai", "kimi-k3", "3", "0.3", "3", "15"),
        ("groq", "openai/gpt-oss-120b", "0.15", "0.075", "", "0.6"),
    ] {
        let usual = format!(" {} ", usual(provider, id));
        for (unit, price) in [
            ("input", input),
            ("cached_read", read),
            ("cache_write", write),
            ("output", output),
        ] {
            let listed = format!(" {unit}={price} ");
            assert!(
                price.is_empty() || usual.contains(&listed),
                "{provider}:{id}:{listed}in{usual}"
            );
        }
    }
}

#[test]
fn prices_say_from_which_day_they_are() {
    for (provider, id, source) in [
        ("openai", "gpt-5.5", "catalog 2026-11-23"),
        ("deepseek", "deepseek-v4-flash", "catalog 2026-11-23"),
        ("anthropic", "claude-opus-5-5", "catalog 2026-10-26"),
        ("inceptionlabs", "mercury-2", "catalog 2026-07-02"),
    ] {
        assert_eq!(
            &*model(provider, id).prices.source.0,
            source,
            "{provider}:{id}"
        );
    }
}

#[test]
fn what_can_be_ordered_has_a_price() {
    use tollgate_wire::report::Unit;
    let at = |provider: &str, id: &str, unit, when: &str| {
        let when: Context = when.parse().expect(when);
        let found = model(provider, id)
            .prices
            .find(unit, &when, 1_000, DAY)
            .expect(id);
        (found.pico, found.assumed)
    };
    for (provider, id, unit, when, pico) in [
        (
            "anthropic",
            "claude-opus-5-5",
            Unit::Output,
            "speed=fast",
            40_000_000,
        ),
        (
            "anthropic",
            "claude-opus-5-5",
            Unit::Output,
            "inference_geo=us",
            22_000_000,
        ),
        (
            "anthropic",
            "claude-opus-5-5",
            Unit::CacheWrite1h,
            "speed=fast inference_geo=us",
            17_600_000,
        ),
        (
            "anthropic",
            "claude-opus-5-5",
            Unit::WebSearch,
            "speed=fast",
            10_000_000_000,
        ),
        (
            "anthropic",
            "claude-sonnet-4-6",
            Unit::Input,
            "inference_geo=us processing=batch",
            1_650_000,
        ),
        (
            "openai",
            "gpt-5.5",
            Unit::Output,
            "service_tier=priority",
            75_000_000,
        ),
        (
            "openai",
            "gpt-5.5",
            Unit::CodeContainer,
            "standard",
            30_000_000_000,
        ),
        (
            "openai",
            "gpt-5.3-codex",
            Unit::WebSearch,
            "standard",
            10_000_000_000,
        ),
        ("openai", "gpt-5", Unit::OutputImage, "standard", 40_000_000),
        (
            "google",
            "gemini-2.5-flash",
            Unit::InputAudio,
            "standard",
            1_000_000,
        ),
    ] {
        assert_eq!(
            at(provider, id, unit, when),
            (pico, false),
            "{provider}:{id} {} {when}",
            unit.name()
        );
    }
    let (_, assumed) = at(
        "anthropic",
        "claude-haiku-4-5",
        Unit::Output,
        "inference_geo=us",
    );
    assert!(
        assumed,
        "Haiku 4.5 is not served there, so no price is known"
    );
}

#[test]
fn hours_and_days_have_prices_of_their_own() {
    let input = |provider: &str, id: &str, at| {
        let prices = model(provider, id).prices.clone();
        prices
            .find(
                tollgate_wire::report::Unit::Input,
                &Context::STANDARD,
                1,
                at,
            )
            .unwrap()
            .pico
    };
    const HOUR: u64 = 3_600;
    // Peak hours are 01:00 to 04:00 and 06:00 to 10:00.
    for (hour, pico) in [
        (0, 150_000),
        (1, 300_000),
        (3, 300_000),
        (4, 150_000),
        (6, 300_000),
        (10, 150_000),
    ] {
        let at = DAY - 2 * HOUR + hour * HOUR;
        assert_eq!(
            input("deepseek", "deepseek-v4-flash", at),
            pico,
            "at {hour}:00"
        );
        assert_eq!(
            input("deepseek", "deepseek-flash", at),
            pico,
            "at {hour}:00"
        );
    }
    // The introductory price ends with the year.
    let new_year = 1_798_761_600;
    assert_eq!(input("google", "gemini-3.6-flash", new_year - 1), 750_000);
    assert_eq!(input("google", "gemini-3.6-flash", new_year), 1_500_000);
}
