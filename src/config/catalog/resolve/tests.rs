use proptest::prelude::*;

use super::*;
use crate::yaml::types;

fn with(yaml: &str) -> Catalog {
    let declared: Vec<types::Provider> = crate::from_yaml(yaml).expect(yaml);
    Catalog::built_in()
        .with(&declared, |_| Err("no files here".to_owned()))
        .expect(yaml)
}

/// `provider > upstream id`, with `?` behind a model that passes through.
fn told(catalog: &Catalog, requested: &str) -> Vec<String> {
    let resolved = catalog
        .resolve(requested)
        .unwrap_or_else(|unknown| panic!("{requested}: {unknown}"));
    let tell = |one: &Resolved| {
        let mark = if one.model.is_some() { "" } else { "?" };
        format!("{} > {}{mark}", one.provider.id, one.upstream_id)
    };
    resolved.iter().map(tell).collect()
}

#[test]
fn ids_resolve_as_the_rules_say() {
    let catalog = Catalog::built_in();
    for (requested, expected) in [
        // Bare ids and aliases, in any case.
        ("gpt-4o", "openai > gpt-4o"),
        ("GPT-4o", "openai > gpt-4o"),
        ("claude-opus-5", "anthropic > claude-opus-5"),
        ("glm-4-32b-0414-128k", "z-ai > glm-4-32b-0414-128k"),
        // A snapshot goes up as the provider spells it.
        ("gpt-4o-2024-08-06", "openai > gpt-4o-2024-08-06"),
        (
            "Claude-Haiku-4-5-20251001",
            "anthropic > claude-haiku-4-5-20251001",
        ),
        // An explicit provider.
        ("openai:gpt-4o", "openai > gpt-4o"),
        ("openai:GPT-4O", "openai > gpt-4o"),
        ("openai:gpt-4o-2024-08-06", "openai > gpt-4o-2024-08-06"),
        ("openai/gpt-4o", "openai > gpt-4o"),
        // What the catalog does not have passes through as it is written.
        ("openai:GPT-7", "openai > GPT-7?"),
        ("openai/gpt-7", "openai > gpt-7?"),
        ("anthropic:gpt-4o", "anthropic > gpt-4o?"),
        (
            "openrouter:anthropic/claude-sonnet-4.5:beta",
            "openrouter > anthropic/claude-sonnet-4.5:beta?",
        ),
        (
            "openrouter/deepseek/deepseek-r1:free",
            "openrouter > deepseek/deepseek-r1:free",
        ),
        ("openai::", "openai > :?"),
        ("openai:openai:gpt-4o", "openai > openai:gpt-4o?"),
        ("openai:openai/gpt-4o", "openai > openai/gpt-4o?"),
        ("openai:/", "openai > /?"),
        ("openai/ft:gpt-4o:acme::x", "openai > ft:gpt-4o:acme::x?"),
        // An exact bare id wins over a provider before a slash, but not over one before a colon.
        ("openai/gpt-oss-20b", "groq > openai/gpt-oss-20b"),
        ("OpenAI/GPT-OSS-20B", "groq > openai/gpt-oss-20b"),
        ("groq:openai/gpt-oss-20b", "groq > openai/gpt-oss-20b"),
        ("groq/openai/gpt-oss-20b", "groq > openai/gpt-oss-20b"),
        ("openai:gpt-oss-20b", "openai > gpt-oss-20b?"),
        ("openai/gpt-oss-21b", "openai > gpt-oss-21b?"),
        // An id that begins with its own provider's.
        ("groq/compound", "groq > groq/compound"),
        ("groq:Compound", "groq > groq/compound"),
        ("groq:groq/compound", "groq > groq/compound"),
        ("openrouter/auto", "openrouter > openrouter/auto"),
        ("openrouter/openrouter/auto", "openrouter > openrouter/auto"),
        ("openrouter:groq/compound", "openrouter > groq/compound?"),
        (
            "meta-llama/llama-3.3-70b-versatile",
            "groq > meta-llama/llama-3.3-70b-versatile",
        ),
    ] {
        assert_eq!(told(&catalog, requested), [expected], "{requested}");
    }
}

#[test]
fn what_names_nothing_is_unknown() {
    let catalog = Catalog::built_in();
    for requested in [
        "",
        ":",
        "/",
        "openai",
        "openai:",
        "openai/",
        ":gpt-4o",
        "/gpt-4o",
        "nobody:gpt-4o",
        "nobody/gpt-4o",
        "OpenAI:gpt-7",
        "gpt-4o ",
        "deepseek-r1:free",
        "gpt-4ö",
    ] {
        match catalog.resolve(requested) {
            Err(Unknown::Model { nearest }) => {
                assert!(nearest.len() <= 3, "{requested}: {nearest:?}")
            }
            other => panic!("{requested}: {other:?}"),
        }
    }
    let unknown = catalog.resolve("gpt-4o-mni").expect_err("a typing mistake");
    assert_eq!(unknown.nearest()[0], "gpt-4o-mini");
    let text = unknown.to_string();
    assert!(
        text.starts_with("model unknown: ") && text.contains("did you mean gpt-4o-mini"),
        "{text}"
    );
}

#[test]
fn a_provider_may_refuse_what_the_catalog_does_not_know() {
    let catalog = with("[{id: openai, passthrough: false}]");
    assert_eq!(told(&catalog, "openai:gpt-4o"), ["openai > gpt-4o"]);
    for requested in ["openai:gpt-4o-mni", "openai/gpt-4o-mni"] {
        let unknown = catalog.resolve(requested).expect_err(requested);
        assert!(
            matches!(&unknown, Unknown::NotPassedThrough { provider, .. } if &**provider == "openai"),
            "{unknown:?}"
        );
        assert_eq!(unknown.nearest()[0], "openai:gpt-4o-mini");
    }
}

#[test]
fn every_provider_of_a_bare_id_answers_in_the_catalogs_order() {
    let catalog = with(
        "[{id: zz, base_url: 'https://z', models: [{id: GPT-4o}]}, \
          {id: aa, base_url: 'https://a', models: [{id: mine, aliases: [gpt-4o, 'llama3.2:1b']}]}]",
    );
    assert_eq!(
        told(&catalog, "gpt-4o"),
        ["zz > GPT-4o", "aa > mine", "openai > gpt-4o"]
    );
    assert_eq!(told(&catalog, "openai:gpt-4o"), ["openai > gpt-4o"]);
    assert_eq!(told(&catalog, "aa/gpt-4o"), ["aa > mine"]);
    assert_eq!(
        told(&catalog, "Llama3.2:1B"),
        ["aa > mine"],
        "a colon inside a bare id"
    );
}

#[test]
fn long_ids_are_found_in_any_case() {
    let id = "m".repeat(300);
    let catalog = with(&format!(
        "[{{id: x, base_url: 'https://x', models: [{{id: {id}}}]}}]"
    ));
    assert_eq!(
        told(&catalog, &id.to_ascii_uppercase()),
        [format!("x > {id}")]
    );
}

/// Text made of the pieces that resolution looks at.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(":".to_owned()),
        Just("/".to_owned()),
        prop::sample::select(vec![
            "openai",
            "groq",
            "OpenAI",
            "gpt-4o",
            "gpt-oss-20b",
            "openrouter"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What could be called without a provider in front when the catalog had ninety models, by provider.
const NAMED: [(&str, &str); 7] = [
    (
        "openai",
        "gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-instruct gpt-3.5-turbo-instruct-0914 gpt-4 gpt-4-0613 \
         gpt-4-turbo gpt-4-turbo-2024-04-09 gpt-4.1 gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.1-mini-2025-04-14 \
         gpt-4.1-nano gpt-4.1-nano-2025-04-14 gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-11-20 gpt-4o-mini \
         gpt-4o-mini-2024-07-18 gpt-5 gpt-5-2025-08-07 gpt-5-chat-latest gpt-5-mini gpt-5-mini-2025-08-07 \
         gpt-5-nano gpt-5-nano-2025-08-07 gpt-5-pro gpt-5-pro-2025-10-06 gpt-5.1 gpt-5.1-2025-11-13 \
         gpt-5.1-chat-latest gpt-5.2 gpt-5.2-2025-12-11 gpt-5.2-chat-latest gpt-5.2-codex gpt-5.2-pro \
         gpt-5.2-pro-2025-12-11 gpt-5.3-codex gpt-5.4 gpt-5.4-2026-03-05 gpt-5.4-mini gpt-5.4-mini-2026-03-17 \
         gpt-5.4-nano gpt-5.4-nano-2026-03-17 gpt-5.4-pro gpt-5.4-pro-2026-03-05 gpt-5.5 gpt-5.5-2026-04-23 \
         gpt-5.5-pro gpt-5.5-pro-2026-04-23 gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra o1 o1-2024-12-17 o1-pro \
         o1-pro-2025-03-19 o3 o3-2025-04-16 o3-deep-research o3-deep-research-2025-06-26 o3-mini \
         o3-mini-2025-01-31 o3-pro o3-pro-2025-06-10 o4-mini o4-mini-2025-04-16 o4-mini-deep-research \
         o4-mini-deep-research-2025-06-26 text-embedding-3-large text-embedding-3-small \
         text-embedding-ada-002",
    ),
    (
        "anthropic",
        "claude-fable-5 claude-haiku-4-5 claude-haiku-4-5-20251001 claude-opus-4-1 claude-opus-4-1-20250805 \
         claude-opus-4-5 claude-opus-4-5-20251101 claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 \
         claude-opus-5 claude-sonnet-4-5 claude-sonnet-4-5-20250929 claude-sonnet-4-6 claude-sonnet-5",
    ),
    (
        "google",
        "gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro gemini-3-flash-preview gemini-3.1-flash-lite \
         gemini-3.1-pro-preview gemini-3.1-pro-preview-customtools gemini-3.5-flash gemini-3.5-flash-lite \
         gemini-3.6-flash gemini-embedding-001",
    ),
    ("deepseek", "deepseek-v4-flash deepseek-v4-pro"),
    (
        "groq",
        "meta-llama/llama-3.1-8b-instant meta-llama/llama-3.3-70b-versatile \
         meta-llama/llama-prompt-guard-2-22m meta-llama/llama-prompt-guard-2-86m openai/gpt-oss-120b \
         openai/gpt-oss-20b openai/gpt-oss-safeguard-20b",
    ),
    (
        "moonshotai",
        "kimi-k2.6 kimi-k2.7-code kimi-k2.7-code-highspeed kimi-k3",
    ),
    (
        "z-ai",
        "glm-4-32b-0414-128k glm-4.5 glm-4.5-air glm-4.5-airx glm-4.5-flash glm-4.5-x glm-4.6 glm-4.7 \
         glm-4.7-flash glm-4.7-flashx glm-5 glm-5-turbo glm-5.1 glm-5.2",
    ),
];

#[test]
fn what_was_named_without_a_provider_names_the_same() {
    let catalog = Catalog::built_in();
    for (provider, ids) in NAMED {
        for id in ids.split(' ') {
            assert_eq!(told(&catalog, id), [format!("{provider} > {id}")], "{id}");
            let prefixed = format!("{provider}:{id}");
            assert_eq!(
                told(&catalog, &prefixed),
                [format!("{provider} > {id}")],
                "{prefixed}"
            );
        }
    }
}

#[test]
fn no_other_vendors_name_is_taken() {
    // `provider/model` of a built-in provider goes there, though OpenRouter and others have such ids.
    let catalog = Catalog::built_in();
    for provider in catalog.providers() {
        for model in &provider.models {
            let Some((vendor, rest)) = model.id.split_once('/') else {
                continue;
            };
            let Some(owner) = catalog
                .provider(vendor)
                .filter(|owner| owner.id != provider.id)
            else {
                continue;
            };
            let found = catalog.resolve(&model.id).expect("it names something");
            let by: Vec<&str> = found.iter().map(|one| &*one.provider.id).collect();
            if model.bare {
                let known = NAMED.iter().find(|(known, _)| *known == &*provider.id);
                assert!(
                    known.is_some_and(|(_, ids)| ids.split(' ').any(|id| id == &*model.id)),
                    "{}: only those that always were are bare",
                    model.id
                );
            } else if by != ["groq"] {
                assert_eq!(by, [&*owner.id], "{}", model.id);
                assert_eq!(&*found[0].upstream_id, rest, "{}", model.id);
            }
            let here = catalog
                .resolve(&format!("{}:{}", provider.id, model.id))
                .expect("known");
            assert_eq!(
                (&*here[0].provider.id, &*here[0].upstream_id),
                (&*provider.id, &*model.id)
            );
        }
    }
    for requested in [
        "mistralai/mistral-large",
        "x-ai/grok-4",
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
    ] {
        assert!(
            catalog.resolve(requested).is_err(),
            "{requested} is OpenRouter's or Hyperbolic's"
        );
    }
}

#[test]
fn a_bare_id_has_one_provider() {
    let catalog = Catalog::built_in();
    for provider in catalog.providers() {
        for model in provider.models.iter().filter(|model| model.bare) {
            let names = std::iter::once(&*model.id).chain(model.aliases.iter().map(String::as_str));
            for name in names {
                assert_eq!(told(&catalog, name), [format!("{} > {name}", provider.id)]);
            }
        }
    }
}

#[test]
fn what_the_configuration_declares_is_bare() {
    let catalog = with("[{id: openrouter, models: [{id: openai/gpt-5}, {id: mine/own}]}]");
    assert_eq!(
        told(&catalog, "openai/gpt-5"),
        ["openrouter > openai/gpt-5"]
    );
    assert_eq!(told(&catalog, "mine/own"), ["openrouter > mine/own"]);
}

proptest! {
    #[test]
    fn resolving_never_panics_and_never_answers_nothing(requested in pieces()) {
        if let Ok(resolved) = Catalog::built_in().resolve(&requested) {
            prop_assert!(!resolved.is_empty());
        }
    }

    #[test]
    fn an_explicit_provider_is_the_one_that_answers(index in 0_usize..11, model in pieces()) {
        prop_assume!(!model.is_empty());
        let catalog = Catalog::built_in();
        let provider = catalog.providers()[index].id.clone();
        let resolved = catalog.resolve(&format!("{provider}:{model}")).expect("it passes through");
        prop_assert_eq!(resolved.len(), 1);
        prop_assert_eq!(&resolved[0].provider.id, &provider);
        if resolved[0].model.is_none() {
            prop_assert_eq!(&*resolved[0].upstream_id, model.as_str());
        }
    }

    #[test]
    fn case_makes_no_difference_to_a_bare_id(place in any::<prop::sample::Index>(), flips in prop::collection::vec(any::<bool>(), 64)) {
        let catalog = Catalog::built_in();
        let models = catalog.providers().iter().flat_map(|provider| &provider.models);
        let models: Vec<_> = models.filter(|model| model.bare).collect();
        let id = &place.get(&models).id;
        let flip = |(c, up): (char, &bool)| if *up { c.to_ascii_uppercase() } else { c };
        let flipped: String = id.chars().zip(&flips).map(flip).collect();
        prop_assert_eq!(told(&catalog, &flipped), told(&catalog, id));
    }
}

#[test]
fn what_an_account_calls_its_own_hides_nothing_from_others() {
    let mut catalog = with("
- { id: theirs, base_url: 'http://127.0.0.1:1', models: [{ id: secret, aliases: [openai/gpt-4o, gpt-4o] }] }
- { id: llama3, base_url: 'http://127.0.0.1:1' }
- { id: ours, base_url: 'http://127.0.0.1:1', models: [{ id: 'llama3:8b' }] }
");
    for id in ["theirs", "llama3"] {
        catalog.change(id, |provider| provider.owner = Some("them".into()));
    }
    let among = |requested: &str, account: &str| -> Vec<String> {
        let may = |provider: &Provider| provider.owner.as_deref().is_none_or(|own| own == account);
        let found = catalog.resolve_among(requested, may).unwrap_or_default();
        found
            .iter()
            .map(|one| one.provider.id.to_string())
            .collect()
    };
    for (requested, us, them) in [
        ("openai/gpt-4o", &["openai"][..], &["theirs"][..]),
        ("gpt-4o", &["openai"][..], &["theirs", "openai"][..]),
        ("llama3:8b", &["ours"][..], &["llama3"][..]),
        ("theirs:secret", &[][..], &["theirs"][..]),
    ] {
        assert_eq!(among(requested, "us"), us, "{requested}");
        assert_eq!(among(requested, "them"), them, "{requested}");
    }
    let mine = |provider: &Provider| provider.owner.is_none();
    let unknown = catalog.resolve_among("secre", mine).unwrap_err();
    assert!(!unknown.to_string().contains("secret"), "{unknown}");
}
