//! The replicas that are there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::resource::time;
use crate::admin::Context;
use crate::admin::error::ApiError;
use crate::admin::fleet::{LEASE, Replica};
use crate::admin::operation::{Operation, Scope, Tag, get};
use tollgate_base::clock;

const TAG: Tag = Tag {
    name: "Fleet",
    description: "The gateways that share this one's store.",
    one: "a gateway",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/fleet", "ListFleet")
            .tag(&TAG)
            .summary("List the gateways of the fleet")
            .description(
                "Each says every 5 seconds how it is, and is no longer listed 20 seconds after the last time. With a bank of SQLite, \
                 and while Redis is away, this one alone.",
            )
            .scope(Scope::AllAccounts)
            .handler(list),
    ]
}

/// The gateways that are there.
#[derive(Debug, Serialize, JsonSchema)]
struct FleetList {
    /// By their hosts and ids.
    gateways: Vec<FleetGateway>,
    /// URI of this list resource.
    uri: String,
}

/// A gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FleetGateway {
    /// Unique; with a journal, what stands before its dot outlives restarts.
    id: String,
    /// What its machine is called.
    host: String,
    /// The version of its program.
    version: String,
    /// `ready`, `not-ready`, or `stopping` while its last requests are finished.
    state: String,
    /// Requests under way.
    in_flight: u64,
    /// The revision of the stored resources that it serves; 0 before the first, and without a store.
    revision: u64,
    /// When it was last heard of.
    #[schemars(extend("format" = "date-time"))]
    heard_at: String,
    /// When it was started.
    #[schemars(extend("format" = "date-time"))]
    started_at: String,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// When it last read the stored resources; absent if it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    read_at: Option<String>,
    /// Records of its journal that the bank has not acknowledged yet; absent without a ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal_records: Option<u64>,
    /// Whether it is the one that answers.
    answers: bool,
}

async fn list(context: Context) -> Result<FleetList, ApiError> {
    let own = context.state.process().replica();
    let mut all: BTreeMap<String, (u64, Replica)> = BTreeMap::new();
    if let Some(fleet) = context.state.fleet() {
        match fleet.list().await {
            Ok(leases) => all.extend(leases.into_iter().map(|lease| {
                let heard_ms = lease.until_ms.saturating_sub(clock::millis(LEASE));
                let said = serde_json::from_str(&lease.said).unwrap_or_default();
                (lease.name, (heard_ms, said))
            })),
            // This replica is there all the same.
            Err(error) => log::debug!("admin API: the fleet is not known: {error}"),
        }
    }
    let own_id = own.id.clone();
    all.insert(own_id.clone(), (clock::wall_ms(), own));
    let shown = |(id, (heard_ms, said)): (String, (u64, Replica))| FleetGateway {
        answers: id == own_id,
        id,
        host: said.host,
        version: said.version,
        state: said.state,
        in_flight: said.in_flight,
        revision: said.revision,
        heard_at: time(heard_ms),
        started_at: time(said.started_ms),
        reason: said.reason,
        read_at: (said.read_ms > 0).then(|| time(said.read_ms)),
        journal_records: said.journal_records,
    };
    let mut gateways: Vec<FleetGateway> = all.into_iter().map(shown).collect();
    gateways.sort_by(|one, other| (&one.host, &one.id).cmp(&(&other.host, &other.id)));
    Ok(FleetList {
        gateways,
        uri: context.here(),
    })
}
