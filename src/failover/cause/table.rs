//! What providers say when a key is at fault, and some of what is not.

use tollgate_config::catalog::ErrorCause as Cause;

/// What a provider says, and what it means.
pub(super) struct Row {
    /// `None`: with any status.
    pub status: Option<u16>,
    pub words: Words,
    pub cause: Cause,
}

pub(super) enum Words {
    /// One of the error's codes.
    Code(&'static str),
    /// The beginning of its message, see [`super::beginning`].
    Begins(&'static str),
}

const fn code(code: &'static str, cause: Cause) -> Row {
    Row {
        status: None,
        words: Words::Code(code),
        cause,
    }
}

const fn begins(text: &'static str, cause: Cause) -> Row {
    Row {
        status: None,
        words: Words::Begins(text),
        cause,
    }
}

const fn only(status: u16, row: Row) -> Row {
    Row {
        status: Some(status),
        ..row
    }
}

/// By provider, with where it is documented or was reported. All rows hold for all providers: gateways pass on what
/// others say, and one API is served under many names.
pub(super) const TABLE: &[(&str, &[Row])] = &[
    // platform.openai.com/docs/guides/error-codes; simonw/llm#494
    (
        "openai",
        &[
            code("insufficient_quota", Cause::Credit),
            code("billing_not_active", Cause::Credit),
            code("billing_hard_limit_reached", Cause::Credit),
            code("invalid_api_key", Cause::Key),
            code("account_deactivated", Cause::Key),
            code("access_terminated", Cause::Key),
            code("model_not_found", Cause::Model),
            code("content_policy_violation", Cause::Filter),
            code("content_filter", Cause::Filter),
            code("moderation_blocked", Cause::Filter),
            begins("Your organization must be verified to ", Cause::Model),
            // It is longer than a whole minute's tokens: others are not.
            only(429, begins("Request too large for ", Cause::Request)),
            begins(
                "Project `*` does not have access to model `{model}`",
                Cause::Model,
            ),
            begins(
                "The model `{model}` does not exist or you do not have access to it",
                Cause::Model,
            ),
        ],
    ),
    // docs.anthropic.com/en/api/errors; anthropics/claude-code#66314, #2127, #44863; Wei-Shaw/sub2api#1586
    (
        "anthropic",
        &[
            begins("Your credit balance is too low", Cause::Credit),
            begins(
                "You have reached your specified API usage limits",
                Cause::Credit,
            ),
            begins(
                "You have reached your specified workspace API usage limits",
                Cause::Credit,
            ),
            begins("This organization has been disabled", Cause::Key),
            begins(
                "This credential is only authorized for use with ",
                Cause::Key,
            ),
            only(404, begins("model: {model}", Cause::Model)),
            only(
                429,
                begins(
                    "Extra usage is required for long context requests",
                    Cause::Request,
                ),
            ),
            only(
                429,
                begins(
                    "Usage credits are required for long context requests",
                    Cause::Request,
                ),
            ),
        ],
    ),
    // google.api.ErrorReason; ai.google.dev/gemini-api/docs/troubleshooting; theopenco/llmgateway#3297
    (
        "google",
        &[
            code("API_KEY_INVALID", Cause::Key),
            code("API_KEY_SERVICE_BLOCKED", Cause::Key),
            code("API_KEY_HTTP_REFERRER_BLOCKED", Cause::Key),
            code("API_KEY_IP_ADDRESS_BLOCKED", Cause::Key),
            code("ACCOUNT_STATE_INVALID", Cause::Key),
            code("CONSUMER_INVALID", Cause::Key),
            code("CONSUMER_SUSPENDED", Cause::Key),
            code("GCP_SUSPENDED", Cause::Key),
            code("SERVICE_DISABLED", Cause::Key),
            code("USER_PROJECT_DENIED", Cause::Key),
            code("BILLING_DISABLED", Cause::Credit),
            begins("API key not valid.", Cause::Key),
            begins("API key expired.", Cause::Key),
            begins("API Key not found.", Cause::Key),
            // Keys of projects without billing only.
            begins("User location is not supported for the API use", Cause::Key),
        ],
    ),
    // docs.x.ai; continuedev/continue#10373, #12670; Wei-Shaw/sub2api#4069
    (
        "xai",
        &[
            begins("Incorrect API key provided", Cause::Key),
            begins("Your newly created team", Cause::Credit),
            begins(
                "Your team * has either used all available credits",
                Cause::Credit,
            ),
            begins("You have run out of credits", Cause::Credit),
        ],
    ),
    // console.groq.com/docs/errors; open-ace/open-ace#2003
    (
        "groq",
        &[
            only(413, code("rate_limit_exceeded", Cause::Limit)),
            code("organization_restricted", Cause::Key),
            code("model_permission_blocked_org", Cause::Model),
            code("model_permission_blocked_project", Cause::Model),
        ],
    ),
    // openrouter.ai/docs/api/reference/errors-and-debugging
    (
        "openrouter",
        &[
            begins("Key limit exceeded", Cause::Credit),
            only(
                402,
                begins(
                    "This request requires more credits, or fewer max_tokens. You requested up to * tokens, but can only afford 0.",
                    Cause::Credit,
                ),
            ),
            // The request's own `max_tokens` is what cannot be afforded.
            only(
                402,
                begins(
                    "This request requires more credits, or fewer max_tokens",
                    Cause::Request,
                ),
            ),
        ],
    ),
    // api-docs.deepseek.com/quick_start/error_codes
    ("deepseek", &[begins("Insufficient Balance", Cause::Credit)]),
    // platform.moonshot.ai/docs/api/chat
    (
        "moonshot",
        &[
            code("exceeded_current_quota_error", Cause::Credit),
            begins(
                "Not found the model {model} or Permission denied",
                Cause::Model,
            ),
        ],
    ),
    // alibabacloud.com/help/en/model-studio/error-code
    (
        "alibaba",
        &[
            code("Arrearage", Cause::Credit),
            code("InvalidApiKey", Cause::Key),
            code("Model.AccessDenied", Cause::Model),
            code("AccessDenied.Unpurchased", Cause::Model),
            code("data_inspection_failed", Cause::Filter),
            code("DataInspectionFailed", Cause::Filter),
        ],
    ),
    // volcengine.com/docs/82379/1299023
    ("volcengine", &[code("AccountOverdueError", Cause::Credit)]),
    // docs.z.ai/api-reference/api-code; tashfeenahmed/freellmapi#285
    (
        "zai",
        &[
            code("1113", Cause::Credit),
            code("1301", Cause::Filter),
            begins(
                "Model {model} is not available for this API key",
                Cause::Model,
            ),
            // It may know the model by another name than it is asked by.
            begins("Model * is not available for this API key", Cause::Model),
        ],
    ),
    // learn.microsoft.com/azure/ai-services/openai/how-to/troubleshooting
    ("azure", &[code("DeploymentNotFound", Cause::Model)]),
];
