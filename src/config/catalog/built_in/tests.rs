use super::*;
use tollgate_wire::Endpoint;

mod prices;

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
    read(TABLES).expect("the tables are sound");
    let catalog = Catalog::built_in();
    let counts: Vec<(&str, usize)> = catalog
        .providers()
        .iter()
        .map(|provider| (&*provider.id, provider.models.len()))
        .collect();
    let expected = [
        ("openai", 75),
        ("anthropic", 28),
        ("google", 32),
        ("deepseek", 5),
        ("groq", 37),
        ("moonshotai", 16),
        ("z-ai", 21),
        ("openrouter", 713),
        ("hyperbolic", 12),
        ("inceptionlabs", 2),
        ("inference-net", 8),
    ];
    assert_eq!(counts, expected);
    let models = catalog
        .providers()
        .iter()
        .flat_map(|provider| &provider.models);
    let (mut periods, mut variants) = (0, 0);
    for model in models {
        periods += model.prices.standard.len();
        variants += model.prices.variants.len();
    }
    assert_eq!(
        periods + variants,
        rows::<6>(TABLES.prices).expect("sound").len()
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
            let legacy = matches!(
                &*model.id,
                "gpt-3.5-turbo-instruct" | "babbage-002" | "davinci-002"
            );
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
fn capabilities_are_known_where_somebody_looked() {
    use crate::catalog::{Budget, Effort, Thoughts};
    let of = |provider, id| model(provider, id).capabilities;
    let gpt = of("openai", "gpt-5.5");
    assert_eq!(
        (gpt.reasoning, gpt.temperature, gpt.tools),
        (Some(true), Some(false), Some(true))
    );
    let efforts: Vec<&str> = gpt.efforts.unwrap().iter().map(Effort::name).collect();
    assert_eq!(efforts, ["none", "low", "medium", "high", "xhigh"]);
    let opus = of("anthropic", "claude-opus-4-5");
    assert_eq!(
        opus.budget,
        Some(Budget {
            least: Some(1024),
            most: None
        })
    );
    assert_eq!(opus.structured_output, None, "not known");
    assert!(
        opus.reads.unwrap().contains(Modality::File)
            && !opus.makes.unwrap().contains(Modality::Image)
    );
    assert_eq!(
        of("deepseek", "deepseek-v4-pro").thoughts,
        Some(Thoughts::Content)
    );
    assert_eq!(of("openai", "gpt-4o").reasoning, Some(false));
    assert_eq!(
        of("openai", "gpt-6-sol"),
        Capabilities::default(),
        "nothing is known, nothing is forbidden"
    );
}

/// A row of models.tsv with these cells behind its id.
fn row(provider: &str, cells: &[(usize, &str)]) -> String {
    let mut row = [""; 18];
    (row[0], row[1], row[2]) = (provider, "m", "M");
    for (place, cell) in cells {
        row[*place] = cell;
    }
    row.join("\t")
}

#[test]
fn unsound_tables_are_told_apart() {
    let header = "# comment\nh\n";
    let empty = Tables {
        models: header,
        prices: header,
        aliases: header,
        rules: header,
        ..TABLES
    };
    let good = row("openai", &[(5, "text"), (16, "yes")]);
    for (models, fault) in [
        ("openai\tm".to_owned(), "columns"),
        (row("nobody", &[]), "no provider"),
        (row("openai", &[(3, "x")]), "invalid digit"),
        (row("openai", &[(5, "smell")]), "modality"),
        (row("openai", &[(6, "smell")]), "modality"),
        (row("openai", &[(8, "maybe")]), "neither yes nor no"),
        (row("openai", &[(10, "utmost")]), "effort"),
        (row("openai", &[(11, "1024")]), "budget"),
        (row("openai", &[(15, "words")]), "thoughts"),
        (format!("{good}\n{good}"), "two models openai:m"),
    ] {
        let models = format!("{header}{models}");
        let tables = Tables {
            models: &models,
            ..empty
        };
        let told = read(tables).expect_err(&models);
        assert!(told.contains(fault), "{models:?}: {told}");
    }
    let models = format!("{header}{good}");
    for (prices, fault) in [
        ("openai\tm\t\t\tinput=1;5\tcatalog", "a tier that is no"),
        ("openai\tm\t\t\tinput=1e3\tcatalog", "not a price"),
        ("openai\tm\t\ttomorrow\tinput=1\tcatalog", "neither a day"),
        (
            "openai\tm\tfast\t\tinput=1\tcatalog",
            "is not `dimension=value`",
        ),
        ("openai\tm\t\t\tinput=1\trumour", "no source `rumour`"),
        ("openai\tn\t\t\tinput=1\tcatalog", "no model openai:n"),
    ] {
        let prices = format!("{header}{prices}");
        let tables = Tables {
            models: &models,
            prices: &prices,
            ..empty
        };
        let told = read(tables).expect_err(&prices);
        assert!(told.contains(fault), "{prices:?}: {told}");
    }
}
