//! A new process of the program takes over from this one.

use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::operation::{Operation, Scope, Tag, post};

const TAG: Tag = Tag {
    name: "Upgrade",
    description: "A new process of the program takes over from the one that runs, and no client notices.",
    one: "an upgrade",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        post("/upgrade", "UpgradeGateway")
            .tag(&TAG)
            .summary("Have a new process take over")
            .description(
                "Starts the program as this process was started, from the same path, which may be another version by now, \
                 with the configuration as it is by now. Answers once the new process serves, a minute later at most; this \
                 one then ends with its last answer, or when `proxy.drain` has passed. If the new one does not come up, \
                 nothing changes, and the message says why.",
            )
            .status(http::StatusCode::OK)
            .scope(Scope::AllAccounts)
            .errors(&[Code::Conflict])
            .handler(upgrade),
    ]
}

/// Who has taken over.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Upgraded {
    /// The new process.
    process_id: u32,
}

async fn upgrade(context: Context) -> Result<Upgraded, ApiError> {
    let process = context.state.process_handle();
    let upgraded = tokio::task::spawn_blocking(move || process.upgrade());
    let upgraded = upgraded.await.map_err(ApiError::internal)?;
    let process_id = upgraded.map_err(ApiError::conflict)?;
    Ok(Upgraded { process_id })
}
