//! The built-in prices and the readers of usage against an oracle: the crate `genai-prices`, which others wrote from the
//! providers' pages, with its own arithmetic. Where they differ, the reason is in the code here; a reason that no longer
//! is one fails.

mod answers;
mod bodies;
mod costs;

/// What the oracle calls our providers; those that it does not have are not here.
const PROVIDERS: [(&str, &str); 9] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google", "google"),
    ("deepseek", "deepseek"),
    ("groq", "groq"),
    ("moonshotai", "moonshotai"),
    ("z-ai", "zai"),
    ("openrouter", "openrouter"),
    ("hyperbolic", "huggingface_hyperbolic"),
];
