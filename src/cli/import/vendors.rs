//! What LiteLLM's provider prefixes stand for, and where those providers are.
//!
//! Facts: <https://docs.litellm.ai/docs/providers>, and each provider's own page about its OpenAI-compatible API.

use super::plan::Endpoint;

/// What a prefix stands for.
pub enum Vendor {
    /// A built-in provider, by its id.
    BuiltIn(&'static str),
    /// One with OpenAI's API at a known address: what it is called, where it is, whose rules it follows.
    Hosted(&'static str, &'static str, Option<&'static str>),
    /// A program that one runs oneself: what it is called, where it is by default, what follows a bare address.
    Local(&'static str, Option<&'static str>),
    /// Azure, by the resource's address.
    Azure,
    /// Whatever speaks OpenAI's API at `api_base`; another LiteLLM, if it is true.
    Own(bool),
}

/// Returns what a prefix stands for, and the variable that LiteLLM reads its key from; `None` if there is no
/// counterpart.
pub fn vendor(prefix: &str) -> Option<(Vendor, &'static str)> {
    use Vendor::{Azure, BuiltIn, Hosted, Local, Own};
    Some(match prefix {
        "openai" | "text-completion-openai" => (BuiltIn("openai"), "OPENAI_API_KEY"),
        "anthropic" | "anthropic_text" => (BuiltIn("anthropic"), "ANTHROPIC_API_KEY"),
        "gemini" => (BuiltIn("google"), "GEMINI_API_KEY"),
        "deepseek" => (BuiltIn("deepseek"), "DEEPSEEK_API_KEY"),
        "groq" => (BuiltIn("groq"), "GROQ_API_KEY"),
        "moonshot" => (BuiltIn("moonshotai"), "MOONSHOT_API_KEY"),
        "zai" => (BuiltIn("z-ai"), "ZAI_API_KEY"),
        "openrouter" => (BuiltIn("openrouter"), "OPENROUTER_API_KEY"),
        "hyperbolic" => (BuiltIn("hyperbolic"), "HYPERBOLIC_API_KEY"),
        "mistral" => (
            Hosted("mistral", "https://api.mistral.ai/v1", Some("mistral")),
            "MISTRAL_API_KEY",
        ),
        "together_ai" => (
            Hosted("together", "https://api.together.xyz/v1", None),
            "TOGETHERAI_API_KEY",
        ),
        "fireworks_ai" => (
            Hosted("fireworks", "https://api.fireworks.ai/inference/v1", None),
            "FIREWORKS_AI_API_KEY",
        ),
        "xai" => (Hosted("xai", "https://api.x.ai/v1", None), "XAI_API_KEY"),
        "cerebras" => (
            Hosted("cerebras", "https://api.cerebras.ai/v1", None),
            "CEREBRAS_API_KEY",
        ),
        "sambanova" => (
            Hosted("sambanova", "https://api.sambanova.ai/v1", None),
            "SAMBANOVA_API_KEY",
        ),
        "nvidia_nim" => (
            Hosted("nvidia", "https://integrate.api.nvidia.com/v1", None),
            "NVIDIA_NIM_API_KEY",
        ),
        "deepinfra" => (
            Hosted("deepinfra", "https://api.deepinfra.com/v1/openai", None),
            "DEEPINFRA_API_KEY",
        ),
        "dashscope" => (
            Hosted(
                "dashscope",
                "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
                None,
            ),
            "DASHSCOPE_API_KEY",
        ),
        "cohere" | "cohere_chat" => (
            Hosted("cohere", "https://api.cohere.ai/compatibility/v1", None),
            "COHERE_API_KEY",
        ),
        "ollama" | "ollama_chat" => (
            Local("ollama", Some("http://localhost:11434")),
            "OLLAMA_API_KEY",
        ),
        "hosted_vllm" | "vllm" => (Local("vllm", None), "HOSTED_VLLM_API_KEY"),
        "lm_studio" => (Local("lm-studio", None), "LM_STUDIO_API_KEY"),
        "llamafile" => (Local("llamafile", None), "LLAMAFILE_API_KEY"),
        "xinference" => (Local("xinference", None), "XINFERENCE_API_KEY"),
        "azure" | "azure_text" => (Azure, "AZURE_API_KEY"),
        "openai_like" | "custom_openai" | "custom" => (Own(false), "OPENAI_LIKE_API_KEY"),
        "litellm_proxy" => (Own(true), "LITELLM_PROXY_API_KEY"),
        _ => return None,
    })
}

/// OpenAI's API, as far as a server may have it; what it has not, it says itself.
pub const OPENAI: [&str; 3] = [
    "openai/chat-completions",
    "openai/completions",
    "openai/embeddings",
];

/// What Azure offers below `/openai/v1`.
const AZURE: [&str; 4] = [OPENAI[0], OPENAI[1], OPENAI[2], "openai/responses"];

/// Returns where a deployment is: its vendor's endpoint, moved to `base` (as the YAML says it) if one is given. `None`
/// if one is needed.
pub fn endpoint(vendor: &Vendor, base: Option<&str>) -> Option<Endpoint> {
    let own = |name: &str, base: &str| Endpoint {
        name: name.to_owned(),
        base_url: Some(base.to_owned()),
        surfaces: OPENAI.to_vec(),
        ..Endpoint::default()
    };
    Some(match (vendor, base) {
        (Vendor::BuiltIn(id), base) => match base.filter(|base| !is_own(id, base)) {
            None => Endpoint {
                name: (*id).to_owned(),
                ..Endpoint::default()
            },
            Some(base) if *id == "anthropic" => Endpoint {
                surfaces: vec!["anthropic/messages"],
                ..own(&called(base, "anthropic-compatible"), base)
            },
            Some(base) => own(&called(base, "openai-compatible"), base),
        },
        (Vendor::Hosted(name, home, vendor), base) => Endpoint {
            vendor: vendor.map(str::to_owned),
            ..own(name, base.unwrap_or(home))
        },
        (Vendor::Local("ollama", home), base) => {
            let base = base.or(*home)?.trim_end_matches('/');
            let base = base.trim_end_matches("/v1").trim_end_matches("/api");
            own("ollama", &format!("{base}/v1"))
        }
        (Vendor::Local(name, home), base) => own(name, base.or(*home)?),
        (Vendor::Azure, base) => {
            let base = base?.trim_end_matches('/');
            let base = base.split("/openai").next().unwrap_or(base);
            Endpoint {
                auth: Some("api-key"),
                vendor: Some("openai".to_owned()),
                surfaces: AZURE.to_vec(),
                ..own("azure", &format!("{base}/openai/v1"))
            }
        }
        (Vendor::Own(litellm), base) => {
            let base = base?;
            Endpoint {
                chat_extensions: *litellm,
                ..own(&called(base, "openai-compatible"), base)
            }
        }
    })
}

/// Whether an address is the built-in provider's own.
fn is_own(id: &str, base: &str) -> bool {
    let host = match id {
        "openai" => "api.openai.com",
        "anthropic" => "api.anthropic.com",
        "google" => "generativelanguage.googleapis.com",
        "deepseek" => "api.deepseek.com",
        "groq" => "api.groq.com",
        "moonshotai" => "api.moonshot.ai",
        "z-ai" => "api.z.ai",
        "openrouter" => "openrouter.ai",
        "hyperbolic" => "api.hyperbolic.xyz",
        _ => return false,
    };
    let rest = base.strip_prefix("https://").unwrap_or_default();
    rest.split('/').next() == Some(host)
}

/// What a provider at an address is called: by its host's name, if it has one.
fn called(base: &str, otherwise: &str) -> String {
    let rest = base.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
    let named = host.bytes().any(|b| b.is_ascii_alphabetic()) && host != "localhost";
    if !named || host.contains('$') {
        return otherwise.to_owned();
    }
    let slug: String = host
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(40)
        .collect();
    match slug.trim_matches('-') {
        "" => otherwise.to_owned(),
        slug => slug.to_owned(),
    }
}
