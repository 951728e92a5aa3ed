//! Header names that the `http` crate has no constant for. Each is checked once, at compile time, where a
//! name in quotes is checked at every use.

use http::HeaderName;

/// Which version of Anthropic's API is meant.
pub static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The key that Azure's providers want.
pub static API_KEY: HeaderName = HeaderName::from_static("api-key");
/// What a client names a request by, to send it again.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Which betas of OpenAI's API are meant.
pub static OPENAI_BETA: HeaderName = HeaderName::from_static("openai-beta");
/// Where Anthropic's SDKs read the request's id.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// How long the request took, and how much of that the gateway.
pub static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// The key as Anthropic's clients send it.
pub static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The request's id.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How often an SDK has sent a request before.
pub static X_STAINLESS_RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");
/// How many attempts were made.
pub static X_TOLLGATE_ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
/// What is left of the smallest budget of the request, US dollars.
pub static X_TOLLGATE_BUDGET_REMAINING: HeaderName =
    HeaderName::from_static("x-tollgate-budget-remaining");
/// When a client wants its answer to begin to leave: `first` or `whole`.
pub static X_TOLLGATE_COMMIT: HeaderName = HeaderName::from_static("x-tollgate-commit");
/// What the answer is charged, US dollars.
pub static X_TOLLGATE_COST: HeaderName = HeaderName::from_static("x-tollgate-cost");
/// Fields of the request that the provider's API has no place for.
pub static X_TOLLGATE_DROPPED: HeaderName = HeaderName::from_static("x-tollgate-dropped");
/// Whether a client declines failover.
pub static X_TOLLGATE_FAILOVER: HeaderName = HeaderName::from_static("x-tollgate-failover");
/// Whose answer it is: another request's that is under way (`joined`), or was (`replayed`).
pub static X_TOLLGATE_IDEMPOTENCY: HeaderName = HeaderName::from_static("x-tollgate-idempotency");
/// The model that answers, as its provider knows it.
pub static X_TOLLGATE_MODEL: HeaderName = HeaderName::from_static("x-tollgate-model");
/// Whether nobody waits for the answer: `batch`.
pub static X_TOLLGATE_PRIORITY: HeaderName = HeaderName::from_static("x-tollgate-priority");
/// The provider that answers.
pub static X_TOLLGATE_PROVIDER: HeaderName = HeaderName::from_static("x-tollgate-provider");
/// What a client calls the conversation, so that its turns meet their prompt cache.
pub static X_TOLLGATE_SESSION: HeaderName = HeaderName::from_static("x-tollgate-session");
/// After which refusal a client wants no other model: `content_filter` or `none`.
pub static X_TOLLGATE_STOP_ON: HeaderName = HeaderName::from_static("x-tollgate-stop-on");
/// What a client says that its request is for.
pub static X_TOLLGATE_TAGS: HeaderName = HeaderName::from_static("x-tollgate-tags");
