use super::*;
use crate::yaml::types;

fn shown(catalog: &Catalog, id: &str, json: bool) -> String {
    let found = catalog.resolve(id).expect(id).remove(0);
    show(catalog, &found.provider, &found.model.expect(id), json)
}

#[test]
fn a_model_is_shown_with_the_origin_of_each_figure() {
    insta::assert_snapshot!(shown(&Catalog::built_in(), "claude-opus-4-6", false));
    insta::assert_snapshot!(shown(&Catalog::built_in(), "deepseek-v4-flash", false));
}

#[test]
fn what_is_not_known_is_said_to_be_so() {
    let text = shown(&Catalog::built_in(), "z-ai:glm-5-turbo", false);
    assert!(text.contains("No price is known"), "{text}");
    let text = shown(&Catalog::built_in(), "openai:gpt-6-sol", false);
    for line in ["longest answer    not known", "tools             not known"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let text = shown(&Catalog::built_in(), "openrouter:openai/gpt-5", false);
    assert!(
        text.contains("called            openrouter:openai/gpt-5\n"),
        "not by its id alone: {text}"
    );
}

#[test]
fn every_built_in_figure_has_an_origin() {
    let catalog = Catalog::built_in();
    for provider in catalog.providers() {
        for model in &provider.models {
            for figure in figures(&catalog, provider, model) {
                let what = format!("{}:{} {}", provider.id, model.id, figure.unit.name());
                assert!(
                    !figure.from.starts_with("catalog "),
                    "{what}: {}",
                    figure.from
                );
                assert!(figure.from.contains(", 2026-"), "{what}: {}", figure.from);
            }
        }
    }
}

#[test]
fn declared_prices_come_from_the_configuration() {
    let yaml = "[{id: openai, models: [{id: gpt-4o, prices: {input: 3}}]}]";
    let declared: Vec<types::Provider> = crate::from_yaml(yaml).unwrap();
    let catalog = Catalog::built_in()
        .with(&declared, |_| Err("no files here".to_owned()))
        .unwrap();
    let json: Value = serde_json::from_str(&shown(&catalog, "gpt-4o", true)).unwrap();
    let figures = json["figures"].as_array().unwrap();
    let mut others = figures.iter().skip(1);
    assert!(
        others.all(|figure| figure["from"].as_str().unwrap().contains(", 2026-")),
        "what it does not name comes from where it came from: {json}"
    );
    assert_eq!(
        figures[0],
        json!({
            "when": "standard", "holds": "", "unit": "input", "above": null, "usd": "3", "from": "configuration",
        })
    );
}

#[test]
fn it_is_said_where_a_bare_id_goes() {
    let yaml =
        "providers: [{ id: mine, base_url: 'http://127.0.0.1:1', models: [{ id: gpt-4o }] }]";
    let catalog = crate::yaml::parse(yaml, &|_| None).unwrap().catalog.clone();
    let text = shown(&catalog, "gpt-4o", false);
    assert!(
        text.contains("bare id goes to   mine, openai, then providers of the API\n"),
        "{text}"
    );
    assert!(!shown(&Catalog::built_in(), "gpt-4o", false).contains("bare id goes to"));
}

#[test]
fn json_has_capabilities_and_every_figure() {
    let json: Value = serde_json::from_str(&shown(&Catalog::built_in(), "gpt-5.5", true)).unwrap();
    assert_eq!(
        json["capabilities"]["efforts"],
        json!(["none", "low", "medium", "high", "xhigh"])
    );
    assert_eq!(json["capabilities"]["budget"], Value::Null);
    let figure = |when: &str, unit: &str, above: Value| {
        let all = json["figures"].as_array().unwrap().iter();
        let found =
            all.filter(|it| it["when"] == when && it["unit"] == unit && it["above"] == above);
        found
            .map(|it| (it["usd"].clone(), it["from"].clone()))
            .collect::<Vec<_>>()
    };
    let listed = json!("the providers' price lists, 2026-11-23");
    assert_eq!(
        figure("standard", "input", json!(272_000)),
        [(json!("10"), listed)]
    );
    let genai = json!("genai-prices 0.2.1 (MIT), 2026-10-26");
    assert_eq!(
        figure("service_tier=priority", "output", Value::Null),
        [(json!("75"), genai)]
    );
}

#[test]
fn numbers_are_grouped() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1_000, "1,000"),
        (1_050_000, "1,050,000"),
    ] {
        assert_eq!(grouped(number), text);
    }
}
