use super::*;
use serde_json::json;

#[test]
fn the_table_is_aligned_and_says_what_is_unknown() {
    let text = table(&Catalog::built_in(), Kind::Models, Some("GROQ:"), false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 37, "{text}");
    let surfaces = lines[0].find("SURFACES").expect("a column");
    assert!(
        lines
            .iter()
            .skip(1)
            .all(|line| line[surfaces..].starts_with("chat-completions responses")),
        "{text}"
    );
    let guessed = lines
        .iter()
        .find(|line| line.contains("meta-llama/llama-3.1-8b-instant"))
        .expect("listed");
    assert_eq!(
        guessed
            .split_whitespace()
            .filter(|cell| *cell == "?")
            .count(),
        4,
        "unknown, not zero: {guessed}"
    );
    assert!(text.contains("0.0375"), "{text}");
}

#[test]
fn tiers_are_marked() {
    let text = table(
        &Catalog::built_in(),
        Kind::Models,
        Some("gpt-5.5-pro"),
        false,
    );
    assert!(text.contains(" 30* ") && text.contains(" 180* "), "{text}");
    assert!(text.contains("* is not always the same"), "{text}");
}

#[test]
fn what_held_before_is_no_other_price() {
    let row = |id: &str| {
        let text = table(&Catalog::built_in(), Kind::Models, Some(id), false);
        text.lines().nth(1).unwrap_or_default().to_owned()
    };
    for (id, cell) in [
        ("openai:o3-pro", " 20 "),
        ("anthropic:claude-opus-4-6", " 5 "),
        ("deepseek:deepseek-v4-flash", " 0.3* "),
    ] {
        assert!(row(id).contains(cell), "{id}: {}", row(id));
    }
    let text = table(&Catalog::built_in(), Kind::Models, Some("gpt-4o"), false);
    assert!(!text.contains('*'), "{text}");
}

#[test]
fn filters_match_ids_providers_and_aliases() {
    let catalog = Catalog::built_in();
    let count = |kind, filter| {
        let json: Vec<Value> =
            serde_json::from_str(&table(&catalog, kind, filter, true)).expect("JSON");
        json.len()
    };
    assert_eq!(count(Kind::Providers, None), 11);
    assert_eq!(count(Kind::Providers, Some("anthro")), 1);
    assert_eq!(count(Kind::Models, None), 949);
    assert_eq!(count(Kind::Models, Some("anthropic:")), 28);
    assert_eq!(count(Kind::Models, Some("gpt-4-0613")), 1, "by an alias");
    assert_eq!(count(Kind::Models, Some("no such")), 0);
    assert_eq!(
        table(&catalog, Kind::Models, Some("no such"), false),
        "no model matches\n"
    );
}

#[test]
fn json_keeps_prices_exact() {
    let text = table(
        &Catalog::built_in(),
        Kind::Models,
        Some("groq:openai/gpt-oss-20b"),
        true,
    );
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let prices = &json[0]["usd_per_million_tokens"];
    assert_eq!(
        (&prices["cached_read"], &prices["cache_write"]),
        (&json!("0.0375"), &Value::Null)
    );
    assert_eq!(
        json[0]["surfaces"],
        json!(["openai/chat-completions", "openai/responses"])
    );
}
