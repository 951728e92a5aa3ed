//! What operators were alerted to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credits::bank_error;
use super::resource::time;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Query;
use crate::admin::operation::{Operation, Scope, Tag, get};
use crate::admin::page::{PageQuery, Paged, page};
use tollgate_alerts::{AlertStore, Stored};
use tollgate_store::StoreError;

/// Alerts that are read at once.
const CHUNK: usize = 200;

/// Alerts that are looked through for one page, at most: after that it ends early.
const MOST: usize = 10_000;

const TAG: Tag = Tag {
    name: "Alerts",
    description: "What operators were alerted to, and whether it was delivered. Read-only.",
    one: "an alert",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/alerts", "ListAlerts")
            .tag(&TAG)
            .summary("List alerts")
            .description(
                "Newest first, the last 10,000; of all accounts, or of the one that is named. An API key for one account sees \
                 the alerts about that account, without their deliveries. With filters, a page may have fewer alerts than \
                 `limit`, or none, and still lead on.",
            )
            .scope(Scope::Every)
            .errors(&[Code::NotImplemented])
            .handler(list),
    ]
}

page! { "A page of alerts." AlertList { alerts: ListedAlert } }

/// Something that operators were alerted to.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ListedAlert {
    /// Unique identifier of this alert, which it carries wherever it is sent.
    id: String,
    /// Where it stands in the list.
    position: String,
    /// When it was raised.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What it is about, as in `alerts.channels[].events`: `budget`.
    event: String,
    /// The account whose matter it is; absent if it is the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// What it is about, as in `key:app/budget_per_month`.
    subject: String,
    /// What has happened, in one line.
    title: String,
    /// More of it, and what can be done.
    text: String,
    /// Figures, by name.
    facts: BTreeMap<String, String>,
    /// What became of it, by channel. Absent for an API key for one account.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<AlertDelivery>>,
}

/// An alert's way to one channel.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AlertDelivery {
    /// The channel's id.
    channel: String,
    /// `waiting` (to be sent, perhaps again), `sent` or `given-up`.
    state: &'static str,
    /// How often it was tried.
    tries: u32,
    /// What was said when it was not taken last; empty if nothing was.
    said: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AlertQuery {
    /// Returns alerts older than the one at this position.
    before: Option<u64>,
    /// Maximum number of items to return. Defaults to 100 and may not exceed 100.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u8>,
    /// Only alerts about this, as in `budget`.
    #[schemars(length(max = 100))]
    event: Option<String>,
}

async fn list(context: Context, Query(query): Query<AlertQuery>) -> Result<AlertList, ApiError> {
    let store = context.state.alerts().ok_or_else(|| {
        ApiError::not_implemented(
            "this gateway has no store, so no alert is kept; set `ledger.credits` to other than off, or \
             `alerts.channels`, before the start",
        )
    })?;
    let (only, scoped) = (context.only.as_deref(), context.caller.account.is_some());
    let wanted = |one: &Stored| {
        let account = one.alert.account.as_deref();
        let event = query.event.as_deref();
        only.is_none_or(|only| account == Some(only))
            && event.is_none_or(|event| one.alert.event == event)
    };
    let (found, next) = read(store, &query, wanted).await.map_err(bank_error)?;
    let paged = Paged {
        items: found.into_iter().map(|one| shown(one, scoped)).collect(),
        uri: context.here(),
        next_page_uri: next.map(|next| context.here_with("before", &next.to_string())),
    };
    Ok(paged.into())
}

/// A page, and where the next one begins.
async fn read(
    store: &AlertStore,
    query: &AlertQuery,
    wanted: impl Fn(&Stored) -> bool,
) -> Result<(Vec<Stored>, Option<u64>), StoreError> {
    let limit = PageQuery {
        before_id: None,
        limit: query.limit,
    }
    .limit();
    let (mut before, mut found) = (query.before, Vec::new());
    for _ in 0..MOST / CHUNK {
        let some = store.list(before, CHUNK).await?;
        let last = some.len() < CHUNK;
        for one in some {
            if found.len() == limit {
                return Ok((found, before));
            }
            before = Some(one.number);
            if wanted(&one) {
                found.push(one);
            }
        }
        if last {
            return Ok((found, None));
        }
    }
    Ok((found, before))
}

fn shown(stored: Stored, scoped: bool) -> ListedAlert {
    let Stored {
        number,
        at_ms,
        alert,
        deliveries,
    } = stored;
    let deliveries = deliveries.into_iter().map(|one| AlertDelivery {
        state: one.state.name(),
        channel: one.channel,
        tries: one.tries,
        said: one.said,
    });
    ListedAlert {
        id: alert.id,
        position: number.to_string(),
        at: time(at_ms),
        event: alert.event,
        account_id: alert.account,
        subject: alert.subject,
        title: alert.title,
        text: alert.text,
        facts: alert.facts,
        deliveries: (!scoped).then(|| deliveries.collect()),
    }
}
