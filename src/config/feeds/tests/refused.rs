//! What is refused, as a whole or of one model.

use super::*;

#[test]
fn a_feed_of_ours_says_prices_and_refers_to_nothing() {
    let with = |more: &str| {
        format!("providers:\n  - id: house\n    models:\n      - id: m\n        {more}\n")
    };
    for (feed, told) in [
        (
            with("prices: { input: 1e-30 }"),
            "line 5: providers[0].models[0].prices.input: ",
        ),
        (
            with("prices: { input: -1 }"),
            "line 5: providers[0].models[0].prices.input: ",
        ),
        (
            with("prices: { input: .nan }"),
            "line 5: providers[0].models[0].prices.input: ",
        ),
        (
            with("prices: { input: 1e308 }"),
            "line 5: providers[0].models[0].prices.input: ",
        ),
        (
            with("prices: { input: 2000000 }"),
            "providers[0].models[0].prices.input: too large",
        ),
        (
            with("prices: { inptu: 1 }"),
            "line 5: providers[0].models[0].prices.inptu: ",
        ),
        (
            with("prices: { input: 1, input: 2 }"),
            "line 5: providers[0].models[0].prices.input: this key stands here twice",
        ),
        (
            with("aliases: [gpt-4o]"),
            "line 5: providers[0].models[0].aliases: a feed has prices",
        ),
        (
            "providers: [{ id: house, base_url: 'https://evil.example' }]".to_owned(),
            "providers[0].base_url: a feed has prices",
        ),
        (
            "providers: [{ id: house, keys: [{ id: k, value: 'file:/etc/passwd' }] }]".to_owned(),
            "providers[0].keys: a feed has prices",
        ),
        (
            "access_keys: []\nproviders: []".to_owned(),
            "line 1: access_keys: a feed has prices",
        ),
        (
            "include: ['/etc/*.yaml']".to_owned(),
            "line 1: include: a feed has prices",
        ),
        (
            "providers: [{ id: '${HOME}', models: [{ id: m, prices: { input: 1 } }] }]".to_owned(),
            "none of its 1 models is known",
        ),
        ("a: &a [x, x]\nb: &b [*a, *a]\n".to_owned(), "unknown field"),
        ("- 1".to_owned(), ""),
        ("\u{0}".to_owned(), ""),
        (
            with("prices: { input: 1 }") + &with("prices: { input: 1 }"),
            "stands here twice",
        ),
        (
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            "",
        ),
        (" ".repeat(LARGEST_OWN + 1), "larger than 4 MiB"),
    ] {
        let fault = try_read(PriceFormat::Tollgate, &feed).expect_err(&feed[..feed.len().min(200)]);
        assert!(fault.contains(told), "{told}: {fault}");
        assert!(fault.len() < 2_000 && !fault.contains("root:"), "{fault}");
    }
}

#[test]
fn a_faulty_model_is_left_out_and_named_with_its_field() {
    for (price, what) in [
        ("1e-30", "finer than can be charged"),
        ("1e308", "nothing costs so much"),
        ("-1", "below zero"),
        (r#""1""#, "a text stands where a number belongs"),
        ("true", "a truth value stands"),
        ("[1]", "a list stands"),
        ("5000000", "too large"),
    ] {
        // For a token, it is too large; per million, it is above a dollar for a token.
        for (format, feed) in feeds(price) {
            let what = match (format, price) {
                (PriceFormat::Litellm, "5000000") => "nothing costs so much",
                _ => what,
            };
            let read = try_read(format, &feed).unwrap();
            assert_eq!(rows(&read, "house", "n"), ["standard : input=2"]);
            let (name, fault) = read.faulty.first_key_value().expect(&feed);
            assert_eq!((read.faulty.len(), &*name.to_string()), (1, "house:m"));
            assert!(
                fault.contains("input") && fault.contains(what),
                "{format:?} {price}: {fault}"
            );
            let alone = feed.replace("\"n\"", "\"o\"").replace("house/n", "house/o");
            let told = try_read(format, &alone).unwrap_err();
            assert!(
                told.contains("none of its prices can be understood; house:m: "),
                "{told}"
            );
        }
    }
}

#[test]
fn what_is_no_feed_is_refused_as_a_whole() {
    let formats = [
        PriceFormat::GenaiPrices,
        PriceFormat::Litellm,
        PriceFormat::ModelsDev,
    ];
    for (feed, what) in [
        ("", "it is not JSON"),
        ("{", "it is not JSON: EOF while parsing an object at line 1"),
        ("\n\n<!DOCTYPE html><html>", "it is no JSON but a page"),
        ("{} {}", "it is not JSON"),
        (
            r#"{"openai": {"models": {"gpt-4o": {"cost": {"input": NaN}}}}}"#,
            "it is not JSON",
        ),
        ("{}", ""),
        ("[]", ""),
        ("7", "stands where"),
        ("null", "stands where"),
        (r#"[{"id": 5}]"#, ""),
    ] {
        for format in formats {
            let told = try_read(format, feed).expect_err(feed);
            assert!(told.contains(what) && told.len() < 300, "{feed}: {told}");
        }
    }
    let latin = read(PriceFormat::Litellm, b"{\n\"\xe9\": 1}", &catalog(), None).unwrap_err();
    assert_eq!(latin, "line 2: it is not UTF-8");
    let large = vec![b' '; LARGEST + 1];
    assert!(
        read(PriceFormat::Litellm, &large, &catalog(), None)
            .unwrap_err()
            .contains("larger than 64 MiB")
    );
    // Of another format.
    for (of, feed) in feeds("1e-6") {
        for format in formats.into_iter().filter(|format| *format != of) {
            try_read(format, &feed).expect_err(&feed);
        }
    }
    // Twice the same, wherever it counts.
    for feed in [
        r#"{"house/m": {"litellm_provider": "house"}, "house/m": {}}"#,
        r#"{"house": {"models": {}}, "house": {}}"#,
    ] {
        let told = [PriceFormat::Litellm, PriceFormat::ModelsDev]
            .map(|format| try_read(format, feed).unwrap_err());
        assert!(
            told.iter()
                .any(|told| told.contains("it stands there twice")),
            "{told:?}"
        );
    }
    let twice = r#"{"house": {"models": {"m": {"cost": {"input": 1, "input": 2}}}}}"#;
    assert!(
        try_read(PriceFormat::ModelsDev, twice)
            .unwrap_err()
            .contains("input: it stands there twice")
    );
    // Deep, and many.
    let deep = format!(
        r#"{{"a": {}1{}}}"#,
        "[".repeat(1 << 20),
        "]".repeat(1 << 20)
    );
    let deep_rule = format!(
        r#"[{{"id": "house", "models": [{{"match": {}{{"equals": "m"}}{}, "prices": {{"input_mtok": 1}}}}]}}]"#,
        r#"{"or": ["#.repeat(100),
        "]}".repeat(100)
    );
    let many: String = (0..=MODELS).map(|i| format!(r#","{i}":{{}}"#)).collect();
    let many = format!("{{{}}}", &many[1..]);
    for (format, feed, what) in [
        (PriceFormat::Litellm, &deep, "none of its 1 models"),
        (
            PriceFormat::GenaiPrices,
            &deep_rule,
            "too many rules inside each other",
        ),
        (PriceFormat::Litellm, &many, "more than 100000 models"),
    ] {
        let told = try_read(format, feed).unwrap_err();
        assert!(told.contains(what), "{what}: {told}");
    }
}

#[test]
fn a_rule_that_is_not_understood_decides_nothing() {
    for rule in [
        json!({"regex": "("}),
        json!({"regex": format!("{}$", "a".repeat(300))}),
        json!({"sounds_like": "m"}),
        json!({"equals": "m", "contains": "m"}),
        json!({}),
        json!("m"),
        json!({"or": [{"equals": "x"}, {"equals": 5}]}),
    ] {
        let feed = json!([{"id": "house", "models": [
            {"match": {"equals": "n"}, "prices": {"input_mtok": 2}},
            {"match": rule, "prices": {"input_mtok": 1}},
            {"match": {"equals": "m"}, "prices": {"input_mtok": 3}},
        ]}]);
        let read = try_read(PriceFormat::GenaiPrices, &feed.to_string()).unwrap();
        assert_eq!(read.models.len(), 1, "{feed}");
        assert!(
            read.faulty.values().next().unwrap().starts_with("match: "),
            "{read:?}"
        );
    }
    // A pattern that would take for ever.
    let feed = json!([{"id": "openrouter", "models": [
        {"match": {"regex": "^(?=(.*.*.*.*.*)*!)(a|aa|.)+\\1$"}, "prices": {"input_mtok": 1}},
    ]}]);
    try_read(PriceFormat::GenaiPrices, &feed.to_string()).expect_err("no model is matched in time");
}
