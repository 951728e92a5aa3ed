//! Messages for callers that may not call what they ask for.

use std::fmt::Display;

use super::super::{Code, GatewayError};
use super::{push, suggest};
use crate::Surface;
use crate::translate::Refusal;

impl GatewayError {
    /// 401: nothing was sent as a key.
    pub fn key_missing() -> Self {
        Self::new(
            Code::Unauthorized,
            "Incorrect API key provided: none. Send an access key as `Authorization: Bearer tg-...` or \
             `x-api-key: tg-...`.",
        )
    }

    /// 401: what was sent is malformed, unknown or deleted; it does not say which, and never echoes it.
    pub fn key_incorrect() -> Self {
        Self::new(
            Code::Unauthorized,
            "Incorrect API key provided. Send an access key of this gateway; `tollgate key new` makes one.",
        )
    }

    /// 503: the access key may be one that this replica has not read yet.
    pub fn keys_not_read() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The gateway has just started and cannot read its access keys yet. Try again shortly.",
        )
    }

    /// 503: what the access key is held to only a newer gateway understands.
    pub fn key_of_newer() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The access key is held to limits that this gateway does not understand, because a newer one has written \
             them. Try again shortly.",
        )
    }

    /// 400: there is no credential for a provider.
    pub fn provider_key_missing(provider: &str) -> Self {
        Self::new(
            Code::ProviderKeyMissing,
            format!(
                "provider key missing: there is no credential for the provider `{provider}`. Add one under \
                 `providers` in the configuration, or call another provider's model."
            ),
        )
        .with_param("model")
    }

    /// 422: the configuration does not allow the provider.
    pub fn provider_not_allowed(provider: &str, model: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "provider not allowed: this access key's configuration does not allow the provider \
                 `{provider}`, which `{model}` asks for. `GET /v1/models` lists what it may call."
            ),
        )
        .with_param("model")
    }

    /// 422: the configuration does not allow the model.
    pub fn model_not_allowed(model: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "model not allowed: this access key's configuration does not allow the model `{model}`. \
                 `GET /v1/models` lists what it may call."
            ),
        )
        .with_param("model")
    }

    /// 422: the model is not in the catalog; `nearest` are ids that come close, best first.
    pub fn model_unknown<S: Display>(model: &str, nearest: &[S]) -> Self {
        let mut message = format!("model unknown: `{model}` is not in the catalog.");
        suggest(&mut message, nearest);
        message.push_str(" A model outside the catalog is called as `provider:model`.");
        Self::new(Code::ModelUnknown, message).with_param("model")
    }

    /// 422: the model is not in the catalog, and its provider takes no others; `nearest` are ids that come close,
    /// best first.
    pub fn model_not_passed_through<S: Display>(
        model: &str,
        provider: &str,
        nearest: &[S],
    ) -> Self {
        let mut message = format!(
            "model unknown: `{model}` is not in the catalog, and `{provider}` takes no other models."
        );
        suggest(&mut message, nearest);
        Self::new(Code::ModelUnknown, message).with_param("model")
    }

    /// 404 for `GET /v1/models/{id}`: no such model, or not for this key.
    pub fn model_not_listed(model: &str) -> Self {
        Self::new(
            Code::UnknownPath,
            format!("The model `{model}` does not exist or this access key may not call it."),
        )
        .with_param("model")
    }

    /// 422: nobody who has the model offers the API that was called.
    pub fn surface_unavailable(
        model: &str,
        provider: &str,
        called: Surface,
        offered: &[Surface],
    ) -> Self {
        let mut message = format!(
            "surface not available: `{provider}` does not offer `{called}` for `{model}`",
            called = called.name()
        );
        for (n, surface) in offered.iter().enumerate() {
            let lead = if n == 0 { "; it offers " } else { ", " };
            push(&mut message, format_args!("{lead}`{}`", surface.name()));
        }
        message.push_str(". Call the model through an API that it has.");
        Self::new(Code::SurfaceUnavailable, message).with_param("model")
    }

    /// 422: the field cannot be said in the API of any provider that has the model, and leaving it out would
    /// change what is asked for.
    pub fn not_carried(refusal: &Refusal, called: Surface) -> Self {
        Self::new(
            Code::NotCarried,
            format!(
                "{refusal}. Leave it out, or call a model that its provider offers through `{called}`.",
                called = called.name()
            ),
        )
        .with_param(refusal.field.clone())
    }

    /// 422: the configuration does not allow what the request orders besides text.
    pub fn option_not_allowed(option: &str, param: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "option not allowed: this access key's configuration does not allow `{option}`, which `{param}` orders. \
                 Leave it out, or ask the operator to list it under `access.options`."
            ),
        )
        .with_param(param)
    }

    /// 400: the tags that the client sent are none; `what` says what to do.
    pub fn bad_tags(what: &str) -> Self {
        Self::new(
            Code::InvalidBody,
            format!("Bad `x-tollgate-tags`: {what}, as in `feature=search,customer=42`."),
        )
    }

    /// 400: each request must have a tag, since each of its values has a budget.
    pub fn tag_missing(name: &str) -> Self {
        Self::bad_tags(&format!(
            "send the tag `{name}`, each of whose values has a budget"
        ))
    }

    /// 422: the configuration does not allow a tag.
    pub fn tag_not_allowed(name: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "tag not allowed: this access key's configuration does not allow the tag `{name}`. Leave it out of \
                 `x-tollgate-tags`, or ask the operator to list it under `access.tags`."
            ),
        )
    }

    /// 422: what the provider keeps under a key that accounts share is not known to be the caller's.
    pub fn kept_refused(param: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "`{param}` refers to what the provider keeps, or calls others, in the name of a key that other accounts \
                 share. Send the whole conversation instead, use a provider key of your own, or ask the operator to list \
                 `provider_state` under `access.options`."
            ),
        )
        .with_param(param)
    }

    /// 422: the operator pays for another route than the one whose price is known.
    pub fn route_refused(param: &str) -> Self {
        Self::new(
            Code::NotAllowed,
            format!(
                "`{param}` changes the route to the model, and what it costs, with a key that the operator pays for. Leave \
                 it out, use a provider key of your own, or ask the operator to list `provider_routing` under \
                 `access.options`."
            ),
        )
        .with_param(param)
    }
}
