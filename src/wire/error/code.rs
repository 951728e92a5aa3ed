//! The table.

use http::StatusCode;

/// What kind of error. Each has one stable code and one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The only candidate could not be reached.
    Unreachable,
    /// The request body is not JSON, or a member that routing reads has the wrong type.
    InvalidBody,
    /// No credentials for the provider.
    ProviderKeyMissing,
    /// The configuration does not allow the provider or the model.
    NotAllowed,
    /// The model is not in the catalog and has no provider prefix.
    ModelUnknown,
    /// No provider of the model offers the surface that was called.
    SurfaceUnavailable,
    /// The price of a model that credits would have to pay is not known.
    PriceUnknown,
    /// What the request asks for cannot be said in the API of any provider that has the model.
    NotCarried,
    /// All candidates failed.
    AllFailed,
    /// The total timeout passed.
    TimedOut,
    /// The input or the body is too large.
    TooLarge,
    /// A limit or a budget is reached.
    LimitReached,
    /// Credits are held by requests in flight.
    CreditsHeld,
    /// The bank is unreachable.
    BankUnreachable,
    /// Unknown path.
    UnknownPath,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// An upgrade to what is not spoken: use `POST`.
    UpgradeRequired,
    /// The request's head is too large.
    HeadTooLarge,
    /// The request body's content encoding is not understood, or its content is broken.
    UnsupportedEncoding,
    /// The client was too slow to send its request.
    RequestTimeout,
    /// What the client sent is not HTTP.
    Malformed,
    /// The request's target is too long.
    TargetTooLong,
    /// What the idempotency key stands for is under way, or cannot be answered again.
    IdempotencyInUse,
    /// The idempotency key stands for another request.
    IdempotencyReused,
    /// As many requests as the gateway accepts at once are under way.
    Overloaded,
    /// The gateway is shutting down.
    ShuttingDown,
    /// The provider's answer broke off after it had begun.
    StreamBroken,
    /// The provider fell silent after its answer had begun.
    StreamIdle,
    /// The gateway's own fault.
    Internal,
    /// Out of credits.
    OutOfCredits,
    /// The access key is missing, malformed, unknown or deleted.
    Unauthorized,
}

/// One line of the table.
struct Row(&'static str, StatusCode, &'static str, &'static str);

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Code; 31] = [
        Code::Unreachable,
        Code::InvalidBody,
        Code::ProviderKeyMissing,
        Code::NotAllowed,
        Code::ModelUnknown,
        Code::SurfaceUnavailable,
        Code::PriceUnknown,
        Code::AllFailed,
        Code::NotCarried,
        Code::TimedOut,
        Code::TooLarge,
        Code::LimitReached,
        Code::CreditsHeld,
        Code::BankUnreachable,
        Code::UnknownPath,
        Code::MethodNotAllowed,
        Code::UpgradeRequired,
        Code::HeadTooLarge,
        Code::UnsupportedEncoding,
        Code::RequestTimeout,
        Code::Malformed,
        Code::TargetTooLong,
        Code::IdempotencyInUse,
        Code::IdempotencyReused,
        Code::Overloaded,
        Code::ShuttingDown,
        Code::StreamBroken,
        Code::StreamIdle,
        Code::Internal,
        Code::OutOfCredits,
        Code::Unauthorized,
    ];

    /// Code, status, OpenAI's `type`, Anthropic's `type`. A type follows the status, because SDKs choose
    /// their exception classes by the status and their texts by the type.
    #[rustfmt::skip]
    fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Code::Unreachable         => Row("ERR_TOLLGATE_3800", S::BAD_GATEWAY, "server_error", "api_error"),
            Code::InvalidBody         => Row("ERR_TOLLGATE_3801", S::BAD_REQUEST, "invalid_request_error", "invalid_request_error"),
            Code::ProviderKeyMissing  => Row("ERR_TOLLGATE_3802", S::BAD_REQUEST, "invalid_request_error", "invalid_request_error"),
            Code::NotAllowed          => Row("ERR_TOLLGATE_3803", S::UNPROCESSABLE_ENTITY, "invalid_request_error", "invalid_request_error"),
            Code::ModelUnknown        => Row("ERR_TOLLGATE_3804", S::UNPROCESSABLE_ENTITY, "invalid_request_error", "invalid_request_error"),
            Code::SurfaceUnavailable  => Row("ERR_TOLLGATE_3805", S::UNPROCESSABLE_ENTITY, "invalid_request_error", "invalid_request_error"),
            Code::PriceUnknown        => Row("ERR_TOLLGATE_3806", S::UNPROCESSABLE_ENTITY, "invalid_request_error", "invalid_request_error"),
            Code::AllFailed           => Row("ERR_TOLLGATE_3807", S::SERVICE_UNAVAILABLE, "server_error", "api_error"),
            Code::NotCarried          => Row("ERR_TOLLGATE_3808", S::UNPROCESSABLE_ENTITY, "invalid_request_error", "invalid_request_error"),
            Code::TimedOut            => Row("ERR_TOLLGATE_3810", S::GATEWAY_TIMEOUT, "server_error", "timeout_error"),
            Code::TooLarge            => Row("ERR_TOLLGATE_3811", S::PAYLOAD_TOO_LARGE, "invalid_request_error", "request_too_large"),
            Code::LimitReached        => Row("ERR_TOLLGATE_3812", S::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_error"),
            Code::CreditsHeld         => Row("ERR_TOLLGATE_3813", S::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_error"),
            Code::BankUnreachable     => Row("ERR_TOLLGATE_3814", S::SERVICE_UNAVAILABLE, "server_error", "api_error"),
            Code::UnknownPath         => Row("ERR_TOLLGATE_3820", S::NOT_FOUND, "invalid_request_error", "not_found_error"),
            Code::MethodNotAllowed    => Row("ERR_TOLLGATE_3821", S::METHOD_NOT_ALLOWED, "invalid_request_error", "invalid_request_error"),
            Code::UpgradeRequired     => Row("ERR_TOLLGATE_3822", S::UPGRADE_REQUIRED, "invalid_request_error", "invalid_request_error"),
            Code::HeadTooLarge        => Row("ERR_TOLLGATE_3823", S::REQUEST_HEADER_FIELDS_TOO_LARGE, "invalid_request_error", "invalid_request_error"),
            Code::UnsupportedEncoding => Row("ERR_TOLLGATE_3824", S::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", "invalid_request_error"),
            Code::RequestTimeout      => Row("ERR_TOLLGATE_3825", S::REQUEST_TIMEOUT, "invalid_request_error", "timeout_error"),
            Code::Malformed           => Row("ERR_TOLLGATE_3826", S::BAD_REQUEST, "invalid_request_error", "invalid_request_error"),
            Code::TargetTooLong       => Row("ERR_TOLLGATE_3827", S::URI_TOO_LONG, "invalid_request_error", "invalid_request_error"),
            Code::IdempotencyInUse    => Row("ERR_TOLLGATE_3828", S::CONFLICT, "invalid_request_error", "invalid_request_error"),
            Code::IdempotencyReused   => Row("ERR_TOLLGATE_3829", S::UNPROCESSABLE_ENTITY, "invalid_request_error", "invalid_request_error"),
            Code::Overloaded          => Row("ERR_TOLLGATE_3830", S::SERVICE_UNAVAILABLE, "server_error", "overloaded_error"),
            Code::ShuttingDown        => Row("ERR_TOLLGATE_3831", S::SERVICE_UNAVAILABLE, "server_error", "overloaded_error"),
            Code::StreamBroken        => Row("ERR_TOLLGATE_3832", S::BAD_GATEWAY, "server_error", "api_error"),
            Code::StreamIdle          => Row("ERR_TOLLGATE_3833", S::GATEWAY_TIMEOUT, "server_error", "timeout_error"),
            Code::Internal            => Row("ERR_TOLLGATE_3899", S::INTERNAL_SERVER_ERROR, "server_error", "api_error"),
            Code::OutOfCredits        => Row("ERR_TOLLGATE_4026", S::FORBIDDEN, "insufficient_quota", "permission_error"),
            Code::Unauthorized        => Row("ERR_TOLLGATE_27007", S::UNAUTHORIZED, "authentication_error", "authentication_error"),
        }
    }

    /// Returns the stable code, for example `ERR_TOLLGATE_3807`.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Returns the HTTP status.
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// OpenAI's `error.type`.
    pub(crate) fn openai_type(self) -> &'static str {
        self.row().2
    }

    /// Anthropic's `error.type`.
    pub(crate) fn anthropic_type(self) -> &'static str {
        self.row().3
    }
}
