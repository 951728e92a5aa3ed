mod prices;

use super::*;
use crate::catalog::Auth;
use crate::catalog::Provider;
use tollgate_ledger::tariff::Prices;
use tollgate_wire::Surface;
use tollgate_wire::report::Unit;

fn declared(yaml: &str) -> Vec<types::Provider> {
    crate::from_yaml(yaml).expect(yaml)
}

fn read(path: &Path) -> Result<String, String> {
    match path.to_str() {
        Some("/ca.pem") => Ok("-----BEGIN CERTIFICATE-----\nMIIB\n".to_owned()),
        Some("/empty.pem") => Ok(String::new()),
        _ => Err(format!("{} cannot be read", path.display())),
    }
}

fn laid(yaml: &str) -> Catalog {
    Catalog::built_in()
        .with(&declared(yaml), read)
        .unwrap_or_else(|faults| panic!("{yaml}: {faults:?}"))
}

fn provider(catalog: &Catalog, id: &str) -> Provider {
    Provider::clone(catalog.provider(id).expect(id))
}

fn prices(catalog: &Catalog, provider: &str, model: &str) -> Prices {
    catalog
        .provider(provider)
        .expect(provider)
        .model(model)
        .expect(model)
        .prices
        .clone()
}

#[test]
fn nothing_declared_changes_nothing() {
    let (before, after) = (Catalog::built_in(), laid("[]"));
    assert_eq!(
        format!("{:?}", before.providers()),
        format!("{:?}", after.providers())
    );
}

#[test]
fn keys_alone_change_nothing_but_the_order() {
    let catalog = laid("[{id: groq, keys: [{id: k, value: v}]}]");
    let ids: Vec<&str> = catalog
        .providers()
        .iter()
        .map(|provider| &*provider.id)
        .collect();
    assert_eq!(ids[..3], ["groq", "openai", "anthropic"]);
    assert_eq!(ids.len(), 11);
    let (before, after) = (
        provider(&Catalog::built_in(), "groq"),
        provider(&catalog, "groq"),
    );
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
}

#[test]
fn a_custom_provider_has_sensible_defaults() {
    let catalog = laid(
        "[{id: my-vllm, base_url: 'http://127.0.0.1:8000', models: [{id: llama3.2, context_window: 131072, aliases: [Llama]}]}]",
    );
    let custom = provider(&catalog, "my-vllm");
    assert_eq!(&*custom.display_name, "my-vllm");
    assert_eq!(custom.base_url.to_string(), "http://127.0.0.1:8000/v1");
    assert_eq!(custom.surfaces, [Surface::ChatCompletions]);
    assert!(custom.passthrough && !custom.built_in && custom.managed_keys_possible);
    let model = custom.model("LLAMA").expect("by its alias, in any case");
    assert_eq!(
        (&*model.id, model.context_window, &model.prices),
        ("llama3.2", Some(131_072), &Prices::default())
    );
    assert_eq!(
        catalog.providers()[0].id.as_ref(),
        "my-vllm",
        "what the YAML declares comes first"
    );
}

#[test]
fn a_built_in_provider_changes_where_the_yaml_speaks() {
    let catalog = laid(
        "[{id: openai, display_name: Ours, base_url: 'https://proxy.example/openai?tenant=a', auth: api-key, \
           headers: {X-Team: a}, forward_headers: [OpenAI-Organization, x-of-], ca: /ca.pem, passthrough: false, unsupported_parameters: [logit_bias], \
           timeouts: {per_request: 5s}}]",
    );
    let openai = provider(&catalog, "openai");
    assert_eq!(&*openai.display_name, "Ours");
    assert_eq!(
        openai.base_url.join("/embeddings", None),
        "/openai/embeddings?tenant=a"
    );
    assert_eq!(openai.auth, Some(Auth::ApiKey));
    assert_eq!(openai.headers, [("x-team".to_owned(), "a".to_owned())]);
    assert_eq!(openai.forward_headers, ["openai-organization", "x-of-"]);
    assert!(
        openai
            .ca
            .as_deref()
            .is_some_and(|pem| pem.contains("CERTIFICATE"))
    );
    assert!(!openai.passthrough && openai.built_in);
    assert_eq!(
        openai.timeouts.per_request,
        Some(std::time::Duration::from_secs(5))
    );
    assert_eq!(
        openai.models.len(),
        provider(&Catalog::built_in(), "openai").models.len()
    );
    let pro = catalog.resolve("o3").expect("known");
    let parameters: Vec<&str> = pro[0].unsupported_parameters().collect();
    assert!(
        parameters.contains(&"logit_bias") && parameters.contains(&"temperature"),
        "{parameters:?}"
    );
}

#[test]
fn what_is_about_one_api_is_said_of_a_provider_that_has_it() {
    let catalog = laid(
        "[{id: litellm, base_url: 'http://localhost:4000', chat_extensions: true}, \
        {id: openai, websocket: true}]",
    );
    assert!(provider(&catalog, "litellm").chat_extensions);
    assert!(!provider(&catalog, "openai").chat_extensions, "the default");
    assert!(provider(&catalog, "openai").websocket);
    assert!(!provider(&catalog, "litellm").websocket, "the default");
    for name in ["chat_extensions", "websocket"] {
        let yaml = format!(
            "[{{id: a, base_url: 'https://h', surfaces: [anthropic/messages], {name}: true}}]"
        );
        let faults = Catalog::built_in()
            .with(&declared(&yaml), read)
            .expect_err("it has Anthropic's API only");
        assert_eq!(faults[0].path, format!("providers[0].{name}"));
    }
    for value in ["often", "1", "[true]", "{}"] {
        let yaml = format!("{{id: a, chat_extensions: {value}}}");
        let read = crate::from_yaml::<crate::yaml::types::Provider>(&yaml);
        assert!(read.is_err(), "{value}");
    }
}

#[test]
fn what_is_said_of_capabilities_is_laid_over_what_is_known() {
    use crate::catalog::{Effort, Thoughts, Vendor};
    let catalog = laid(
        "[{id: deepseek, models: [{id: deepseek-v4-pro, capabilities: {efforts: [low, max]}}]}, \
          {id: mine, base_url: 'https://h', vendor: mistral, models: [{id: m, capabilities: {reasoning: false}}]}]",
    );
    let (deepseek, mine) = (provider(&catalog, "deepseek"), provider(&catalog, "mine"));
    let known = deepseek
        .model("deepseek-v4-pro")
        .expect("known")
        .capabilities;
    assert_eq!(
        known.thoughts,
        Some(Thoughts::Content),
        "as the catalog says"
    );
    let efforts = known.efforts.expect("said");
    assert!(efforts.contains(Effort::Max) && !efforts.contains(Effort::High));
    assert_eq!(
        (deepseek.vendor, mine.vendor),
        (Some(Vendor::Deepseek), Some(Vendor::Mistral))
    );
    assert_eq!(
        mine.model("m").expect("said").capabilities.reasoning,
        Some(false)
    );
    let yaml = "[{id: mine, base_url: 'https://h', models: [{id: m, capabilities: {reasoning: false, efforts: [low]}}, \
                  {id: n, capabilities: {efforts: []}}]}]";
    let faults = Catalog::built_in()
        .with(&declared(yaml), read)
        .expect_err("neither makes sense");
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    let at = |n: u8| format!("providers[0].models[{n}].capabilities.efforts");
    assert_eq!(paths, [at(0), at(1)]);
}

#[test]
fn an_alias_declared_as_a_model_becomes_one() {
    let catalog = laid("[{id: openai, models: [{id: gpt-4o-2024-08-06, prices: {input: 7}}]}]");
    let resolved = catalog.resolve("gpt-4o-2024-08-06").expect("known");
    let model = resolved[0].model.as_ref().expect("in the catalog");
    assert_eq!(
        (
            &*model.id,
            model.prices.standard[0].rates.price(Unit::Input, 0),
            model.prices.standard[0].rates.price(Unit::Output, 0)
        ),
        ("gpt-4o-2024-08-06", Some(7_000_000), Some(10_000_000))
    );
    assert!(
        !catalog
            .provider("openai")
            .expect("known")
            .model("gpt-4o")
            .expect("known")
            .has_alias("gpt-4o-2024-08-06")
    );
}

#[test]
fn an_alias_of_the_yaml_never_goes_upstream() {
    let catalog = laid("[{id: openai, models: [{id: gpt-4o, aliases: [Fast]}]}]");
    let resolved = catalog.resolve("fast").expect("an alias");
    assert_eq!(&*resolved[0].upstream_id, "gpt-4o");
    let resolved = catalog
        .resolve("gpt-4o-2024-08-06")
        .expect("an alias of the provider's");
    assert_eq!(&*resolved[0].upstream_id, "gpt-4o-2024-08-06");
}

#[test]
fn models_follow_the_surfaces_of_their_provider() {
    let catalog = laid(
        "[{id: openai, surfaces: [openai/chat-completions]}, {id: google, surfaces: [openai/chat-completions, openai/responses]}]",
    );
    let at = |model: &str| catalog.resolve(model).expect(model)[0].surfaces().to_vec();
    assert_eq!(at("gpt-4o"), [Surface::ChatCompletions]);
    assert_eq!(at("o1-pro"), [], "it was on openai/responses only");
    assert_eq!(
        at("gemini-2.5-pro"),
        [Surface::ChatCompletions, Surface::Responses]
    );
    assert_eq!(at("gemini-embedding-001"), []);
}

#[test]
fn every_fault_is_reported_at_once_with_its_path() {
    let yaml = "
- { id: opnai }
- { id: 'a:b', base_url: 'https://u:p@h' }
- { id: openai, base_url: 'http://8.8.8.8/v1', ca: /absent.pem, surfaces: [] }
- { id: openai }
- { id: meta, base_url: 'http://169.254.169.254/latest' }
- id: ok
  base_url: https://h
  ca: /empty.pem
  headers: { Host: x, 'bad name': x, X-Ok: \"a\\nb\" }
  forward_headers: [Authorization, Host, 'x y', '-', x-fine]
  unsupported_parameters: [model]
  models:
    - { id: a, aliases: [b, A], context_window: 0, surfaces: [openai/embeddings] }
    - { id: B, aliases: ['x y'], prices: { tiers: [{ above: 1 }, { above: 1 }] } }
    - { id: b }
    - { id: '' }
";
    let faults = Catalog::built_in()
        .with(&declared(yaml), read)
        .expect_err("all of this is wrong");
    let found: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    for path in [
        "providers[0]",
        "providers[1].id",
        "providers[1].base_url",
        "providers[2].base_url",
        "providers[2].ca",
        "providers[2].surfaces",
        "providers[3].id",
        "providers[4].base_url",
        "providers[5].ca",
        "providers[5].headers.Host",
        "providers[5].headers.bad name",
        "providers[5].headers.X-Ok",
        "providers[5].forward_headers[0]",
        "providers[5].forward_headers[1]",
        "providers[5].forward_headers[2]",
        "providers[5].forward_headers[3]",
        "providers[5].unsupported_parameters[0]",
        "providers[5].models[0].aliases[0]",
        "providers[5].models[0].context_window",
        "providers[5].models[0].surfaces[0]",
        "providers[5].models[1].aliases[0]",
        "providers[5].models[1].prices.tiers[1].above",
        "providers[5].models[2].id",
        "providers[5].models[3].id",
    ] {
        assert!(found.contains(&path), "{path} is missing in {faults:#?}");
    }
    assert_eq!(found.len(), 24, "{faults:#?}");
    assert!(
        faults[0].message.contains("did you mean `openai`?"),
        "{}",
        faults[0].message
    );
}
