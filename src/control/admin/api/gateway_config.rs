//! The gateway configuration: timeouts and token limits of all of an account's requests. There is always one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::Action;
use crate::admin::Context;
use crate::admin::error::ApiError;
use crate::admin::go_duration;
use crate::admin::input::Body;
use crate::admin::operation::{Operation, Tag, get, patch};
use crate::admin::patch::Patch;
use crate::resource::{Cap, Held, Open, Settings};

use std::time::Duration;

const TAG: Tag = Tag {
    name: "AI Gateway Configuration",
    description: "Timeouts and token limits of all of an account's requests.",
    one: "a gateway configuration",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/gateway-config", "GetAIGatewayConfig")
            .tag(&TAG)
            .summary("Get the AI Gateway configuration")
            .description("What the account has not set is as the configuration file says for all.")
            .handler(show),
        patch("/gateway-config", "UpdateAIGatewayConfig")
            .tag(&TAG)
            .summary("Update the AI Gateway configuration")
            .description(
                "Omit a field to leave it unchanged. null clears the metadata, and makes a timeout or a token limit what \
                 the operator has set. An API key for one account stays inside that; one for all accounts sets it for \
                 the account, and with null to what the configuration file says for all.",
            )
            .handler(update),
    ]
}

/// An account's gateway configuration.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AIGatewayConfig {
    /// Unique identifier of the account this configuration belongs to.
    account_id: String,
    /// URI of this AI Gateway Configuration API resource.
    uri: String,
    /// From a request to the start of its answer, over all attempts (Go duration string, e.g. `30s`, `1m0s`).
    total_timeout: String,
    /// From the start of an attempt to the start of its answer (Go duration string).
    per_request_timeout: String,
    /// Requests with more prompt tokens are refused; null if there is no limit.
    max_input_tokens: Option<u64>,
    /// A request's own limit of answer tokens is lowered to this; null if there is no limit.
    max_output_tokens: Option<u64>,
    /// Arbitrary user-defined metadata; null when no value is stored.
    metadata: Option<String>,
}

/// Changes to an account's gateway configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AIGatewayConfigUpdate {
    /// Total timeout for a request (Go duration string, at most `24h`); null for the operator's.
    total_timeout: Patch<String>,
    /// Timeout for an individual upstream request (Go duration string), not above the total one; null for the
    /// operator's.
    per_request_timeout: Patch<String>,
    /// Maximum number of input tokens allowed per request; null for the operator's.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    max_input_tokens: Patch<u64>,
    /// Maximum number of output tokens allowed per request; null for the operator's.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    max_output_tokens: Patch<u64>,
    /// Arbitrary user-defined metadata; null clears it.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
}

async fn show(context: Context) -> Result<AIGatewayConfig, ApiError> {
    context.refresh().await;
    let own = context.look(|view| {
        context.readable::<Settings>(view, &context.account)?;
        Ok(view.get::<Settings>(&context.account))
    })?;
    let own = own.map(|found| found.resource).unwrap_or_default();
    Ok(shown(&context, &own))
}

async fn update(
    context: Context,
    Body(body): Body<AIGatewayConfigUpdate>,
) -> Result<AIGatewayConfig, ApiError> {
    let mut faults = Faults::default();
    let total = timeout(&mut faults, "totalTimeout", body.total_timeout.clone());
    let per_request = timeout(
        &mut faults,
        "perRequestTimeout",
        body.per_request_timeout.clone(),
    );
    faults.none()?;
    let at_fault = match per_request {
        Patch::Absent => "totalTimeout",
        _ => "perRequestTimeout",
    };
    let config = context.control().config();
    let actor = context.actor();
    let operates = context.may_manage().is_ok();
    context
        .change(|view, draft| {
            let old = view.get::<Settings>(&context.account);
            let mut new = match &old {
                Some(old) => (*old.resource).clone(),
                None => Settings {
                    meta: context.meta(),
                    ..Settings::default()
                },
            };
            if operates {
                let operator = &mut new.operator;
                total.clone().apply(&mut operator.total_timeout);
                per_request.clone().apply(&mut operator.per_request_timeout);
                let (input, output) = (&body.max_input_tokens, &body.max_output_tokens);
                input.clone().apply(&mut operator.max_input_tokens);
                output.clone().apply(&mut operator.max_output_tokens);
            } else {
                inside(&body, (&total, &per_request), &new.bounds(&config))?;
            }
            // The operator's word is the last one, and the account's own is all that older gateways know.
            total.clone().apply(&mut new.total_timeout);
            per_request.clone().apply(&mut new.per_request_timeout);
            cap(&body.max_input_tokens, &mut new.max_input_tokens);
            cap(&body.max_output_tokens, &mut new.max_output_tokens);
            body.metadata.clone().apply(&mut new.meta.metadata);
            let held = new.held(&config);
            // What is above the total is no longer than that; who asks for it gets an error.
            let asks = !matches!((&total, &per_request), (Patch::Absent, Patch::Absent));
            if asks && held.per_request > held.total {
                return Err(ApiError::invalid(
                    at_fault,
                    format!(
                        "perRequestTimeout ({}) must not be more than totalTimeout ({})",
                        go_duration::show(held.per_request),
                        go_duration::show(held.total)
                    ),
                ));
            }
            context.touch(&mut new.meta);
            match &old {
                Some(old) => draft.update(
                    &actor,
                    Action::Update,
                    &context.account,
                    &*old.resource,
                    &new,
                ),
                None => draft.create(&actor, &context.account, &new),
            }
            Ok(())
        })
        .await?;
    show(context).await
}

fn timeout(faults: &mut Faults, field: &str, sent: Patch<String>) -> Patch<u64> {
    let read = |text: String| {
        let time = go_duration::timeout(&text)?;
        u64::try_from(time.as_millis()).map_err(|_| "is too long")
    };
    sent.try_map(read).unwrap_or_else(|what| {
        faults.at(field, what);
        Patch::Absent
    })
}

fn cap(sent: &Patch<u64>, cap: &mut Open<Cap>) {
    match sent {
        Patch::Absent => {}
        Patch::Null => *cap = Cap::Default.into(),
        Patch::Value(tokens) => *cap = Cap::from(*tokens).into(),
    }
}

/// Whether an account stays inside what the operator has set.
fn inside(
    body: &AIGatewayConfigUpdate,
    (total, per_request): (&Patch<u64>, &Patch<u64>),
    bounds: &Held,
) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    for (field, sent, most) in [
        ("totalTimeout", total, bounds.total),
        ("perRequestTimeout", per_request, bounds.per_request),
    ] {
        if let Patch::Value(ms) = sent
            && Duration::from_millis(*ms) > most
        {
            let most = go_duration::show(most);
            faults.at(
                field,
                format!("must not be more than {most}: the operator has set that"),
            );
        }
    }
    for (field, sent, most) in [
        (
            "maxInputTokens",
            &body.max_input_tokens,
            bounds.max_input_tokens,
        ),
        (
            "maxOutputTokens",
            &body.max_output_tokens,
            bounds.max_output_tokens,
        ),
    ] {
        if let (Patch::Value(tokens), Some(most)) = (sent, most)
            && *tokens > most
        {
            faults.at(
                field,
                format!("must not be more than {most}: the operator has set that"),
            );
        }
    }
    faults.none()
}

fn shown(context: &Context, own: &Settings) -> AIGatewayConfig {
    let held = own.held(&context.control().config());
    AIGatewayConfig {
        account_id: context.account.to_string(),
        uri: context.uri(&["gateway-config"]),
        total_timeout: go_duration::show(held.total),
        per_request_timeout: go_duration::show(held.per_request),
        max_input_tokens: held.max_input_tokens,
        max_output_tokens: held.max_output_tokens,
        metadata: own.meta.metadata.clone(),
    }
}
