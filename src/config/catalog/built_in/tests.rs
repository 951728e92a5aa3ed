use super::*;
use tollgate_wire::Endpoint;

fn model(provider: &str, id: &str) -> Arc<Model> {
    let catalog = Catalog::built_in();
    catalog
        .provider(provider)
        .expect(provider)
        .model(id)
        .expect(id)
        .clone()
}

#[test]
fn every_fact_is_there() {
    read(PROVIDERS, MODELS, ALIASES, RULES).expect("the tables are sound");
    let catalog = Catalog::built_in();
    let counts: Vec<(&str, usize)> = catalog
        .providers()
        .iter()
        .map(|provider| (&*provider.id, provider.models.len()))
        .collect();
    let expected = [
        ("openai", 41),
        ("anthropic", 11),
        ("google", 11),
        ("deepseek", 2),
        ("groq", 7),
        ("moonshotai", 4),
        ("z-ai", 14),
        ("openrouter", 0),
        ("hyperbolic", 0),
        ("inceptionlabs", 0),
        ("inference-net", 0),
    ];
    assert_eq!(counts, expected);
    assert_eq!(
        counts.iter().map(|(_, models)| models).sum::<usize>(),
        rows::<10>(MODELS).expect("sound").len()
    );
}

#[test]
fn names_are_unique_within_a_provider() {
    for provider in Catalog::built_in().providers() {
        let names = provider.models.iter().flat_map(|model| {
            std::iter::once(&*model.id).chain(model.aliases.iter().map(String::as_str))
        });
        let mut names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{}", provider.id);
    }
}

/// What it costs as usual; nothing if no price is known.
fn usual(provider: &str, id: &str) -> String {
    let prices = model(provider, id).prices.clone();
    prices
        .standard
        .first()
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
            "input=0.05 cached_read=0.005 output=0.4",
        ),
        ("openai", "o1-pro", "input=150 output=600"),
        (
            "anthropic",
            "claude-opus-4-1",
            "input=15 cached_read=1.5 cache_write=18.75 output=75",
        ),
        ("openai", "text-embedding-3-small", "input=0.02"),
        (
            "openai",
            "gpt-5.6-luna",
            "input=0.2;>272000:0.4 cached_read=0.02;>272000:0.04 cache_write=0.25;>272000:0.5 output=1.2;>272000:1.8",
        ),
    ] {
        assert_eq!(usual(provider, id), expected, "{provider}:{id}");
    }
}

#[test]
fn every_provider_is_called_where_it_listens() {
    let catalog = Catalog::built_in();
    for (id, surface, url) in [
        (
            "openai",
            Surface::Responses,
            "https://api.openai.com/v1/responses",
        ),
        (
            "anthropic",
            Surface::Messages,
            "https://api.anthropic.com/v1/messages",
        ),
        (
            "google",
            Surface::Embeddings,
            "https://generativelanguage.googleapis.com/v1beta/openai/embeddings",
        ),
        (
            "deepseek",
            Surface::ChatCompletions,
            "https://api.deepseek.com/v1/chat/completions",
        ),
        (
            "groq",
            Surface::Responses,
            "https://api.groq.com/openai/v1/responses",
        ),
        (
            "moonshotai",
            Surface::ChatCompletions,
            "https://api.moonshot.ai/v1/chat/completions",
        ),
        (
            "z-ai",
            Surface::ChatCompletions,
            "https://api.z.ai/api/paas/v4/chat/completions",
        ),
        (
            "openrouter",
            Surface::Responses,
            "https://openrouter.ai/api/v1/responses",
        ),
        (
            "hyperbolic",
            Surface::ChatCompletions,
            "https://api.hyperbolic.xyz/v1/chat/completions",
        ),
        (
            "inceptionlabs",
            Surface::ChatCompletions,
            "https://api.inceptionlabs.ai/v1/chat/completions",
        ),
        (
            "inference-net",
            Surface::ChatCompletions,
            "https://api.inference.net/v1/chat/completions",
        ),
    ] {
        let provider = catalog.provider(id).expect(id);
        assert!(
            provider.surfaces.contains(&surface),
            "{id} offers {}",
            surface.name()
        );
        let path = provider
            .base_url
            .join(Endpoint::Generate(surface).upstream_path(), None);
        assert_eq!(
            format!("https://{}{path}", provider.base_url.authority),
            url
        );
    }
}

#[test]
fn keys_travel_as_the_surface_expects() {
    let catalog = Catalog::built_in();
    let anthropic = catalog.provider("anthropic").expect("known");
    assert_eq!(anthropic.auth_on(Surface::Messages), Auth::XApiKey);
    assert_eq!(anthropic.auth_on(Surface::ChatCompletions), Auth::Bearer);
    assert_eq!(
        catalog
            .provider("groq")
            .expect("known")
            .auth_on(Surface::Responses),
        Auth::Bearer
    );
}

#[test]
fn models_are_offered_where_they_work() {
    let catalog = Catalog::built_in();
    for provider in catalog.providers() {
        for model in &provider.models {
            let resolved = catalog.resolve_at(provider, &model.id).expect("known");
            let embeds = model.modalities.contains(&Modality::Embedding);
            assert_eq!(resolved.offers(Surface::Embeddings), embeds, "{}", model.id);
            assert!(!resolved.surfaces().is_empty(), "{}", model.id);
            assert!(
                resolved
                    .surfaces()
                    .iter()
                    .all(|surface| provider.surfaces.contains(surface)),
                "{}",
                model.id
            );
            let legacy = &*model.id == "gpt-3.5-turbo-instruct";
            assert_eq!(
                resolved.offers(Surface::Completions),
                legacy,
                "{}",
                model.id
            );
        }
    }
    assert_eq!(
        model("openai", "o1-pro").surfaces,
        Some(vec![Surface::Responses])
    );
    assert_eq!(
        model("openai", "gpt-4o").surfaces,
        Some(vec![Surface::ChatCompletions, Surface::Responses])
    );
    assert_eq!(
        model("anthropic", "claude-opus-5").surfaces,
        None,
        "all of its provider's"
    );
}

#[test]
fn only_refused_parameters_are_declared() {
    assert!(
        model("openai", "o3")
            .unsupported_parameters
            .contains(&"temperature".to_owned())
    );
    assert!(model("openai", "gpt-4o").unsupported_parameters.is_empty());
    assert_eq!(
        model("anthropic", "claude-opus-5").unsupported_parameters,
        ["temperature", "top_p", "top_k"]
    );
    for provider in Catalog::built_in().providers() {
        for model in &provider.models {
            let limit = |parameter: &String| parameter.starts_with("max_");
            assert!(
                !model.unsupported_parameters.iter().any(limit),
                "{}: a removed limit is no limit",
                model.id
            );
        }
    }
}

#[test]
fn a_model_that_answers_no_tokens_has_no_output_limit() {
    assert_eq!(
        model("google", "gemini-embedding-001").max_output_tokens,
        None
    );
    assert_eq!(model("openai", "gpt-4").max_output_tokens, Some(8192));
}

#[test]
fn unsound_tables_are_told_apart() {
    let header = "# comment\nh\n";
    for (models, fault) in [
        ("openai\tm", "columns"),
        ("nobody\tm\tM\t1\t1\ttext\t\t\t\t", "no provider"),
        ("openai\tm\tM\tx\t1\ttext\t\t\t\t", "no number"),
        ("openai\tm\tM\t1\t1\tsmell\t\t\t\t", "modality"),
        ("openai\tm\tM\t1\t1\ttext\t1;5\t\t\t", "a tier that is no"),
        ("openai\tm\tM\t1\t1\ttext\t1e3\t\t\t", "not a price"),
    ] {
        let told = read(PROVIDERS, &format!("{header}{models}"), header, header).expect_err(models);
        assert!(told.contains(fault), "{models:?}: {told}");
    }
}
