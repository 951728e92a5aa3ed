//! How programs use an access key.

use maud::{Markup, html};

/// A key in curl, the SDKs and the coding agents. `proxy`: where applications reach the gateway.
pub(super) fn snippets(proxy: &str, token: &str) -> Markup {
    let all = [
        (
            "curl",
            format!(
                "curl {proxy}/v1/chat/completions \\\n  -H 'Authorization: Bearer {token}' \\\n  -H 'Content-Type: \
                 application/json' \\\n  -d '{{\"model\": \"openai:gpt-4o\", \"messages\": [{{\"role\": \"user\", \
                 \"content\": \"Hello\"}}]}}'"
            ),
        ),
        (
            "OpenAI SDK (Python)",
            format!(
                "from openai import OpenAI\n\nclient = OpenAI(\n    base_url=\"{proxy}/v1\",\n    api_key=\"{token}\",\n)"
            ),
        ),
        (
            "Anthropic SDK (Python)",
            format!(
                "from anthropic import Anthropic\n\nclient = Anthropic(\n    base_url=\"{proxy}\",\n    api_key=\"{token}\",\n)"
            ),
        ),
        (
            "Claude Code",
            format!(
                "export ANTHROPIC_BASE_URL={proxy}\nexport ANTHROPIC_AUTH_TOKEN='{token}'\nclaude"
            ),
        ),
        (
            "Codex",
            format!(
                "# ~/.codex/config.toml\nmodel_provider = \"tollgate\"\n\n[model_providers.tollgate]\nname = \"Tollgate\"\n\
                 base_url = \"{proxy}/v1\"\nenv_key = \"TOLLGATE_KEY\"\nwire_api = \"responses\"\n\n# in the shell\n\
                 export TOLLGATE_KEY='{token}'"
            ),
        ),
    ];
    html! {
        @for (place, (what, text)) in all.iter().enumerate() {
            details open[place == 0] {
                summary { (what) }
                pre tabindex="0" { (text) }
            }
        }
    }
}
