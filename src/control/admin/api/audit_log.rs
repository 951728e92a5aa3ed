//! Who changed what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::credits::bank_error;
use super::resource::time;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::Query;
use crate::admin::operation::{Operation, Scope, Tag, get};
use crate::admin::page::{PageQuery, Paged, page};
use crate::resource::{ApiKey, Open};
use crate::store::{Entry, Store};
use crate::{Action, Actor, Audited, Document};
use tollgate_store::StoreError;

/// Entries that are read at once.
const CHUNK: usize = 200;

/// Entries that are looked through for one page, at most: after that it ends early.
const MOST: usize = 10_000;

const TAG: Tag = Tag {
    name: "Audit log",
    description: "Who changed what over the admin API, and when. Read-only.",
    one: "an entry of the audit log",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/audit-log", "ListAuditLog")
            .tag(&TAG)
            .summary("List the audit log")
            .description(
                "Newest first, for as long as `admin.audit_retention` says; of all accounts, or of the one that is named. An API key for one account sees that \
                 account. With filters, a page may have fewer entries than `limit`, or none, and still lead on. Of a resource of more than \
                 16 KiB each member above 1 KiB is kept as its `bytes` and its `sha256` only.",
            )
            .scope(Scope::Every)
            .errors(&[Code::NotImplemented])
            .handler(list),
    ]
}

page! { "A page of the audit log." AuditLog { audit_log: AuditEntry } }

/// One change of one resource.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AuditEntry {
    /// Unique identifier of this entry; opaque.
    id: String,
    /// When it was changed.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// Who changed it.
    actor: Actor,
    /// What was done.
    action: Open<Action>,
    /// The kind of resource, as in `access-key`.
    kind: String,
    /// The resource.
    resource_id: String,
    /// Whose it is.
    account_id: String,
    /// What it was, without secrets; null if it was not there.
    before: Value,
    /// What it is, without secrets; null if it is not there any more.
    after: Value,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AuditQuery {
    /// Returns entries older than the one with this id.
    #[schemars(length(max = 100))]
    before: Option<String>,
    /// Maximum number of items to return. Defaults to 100 and may not exceed 100.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u8>,
    /// Only changes of this kind of resource, as in `access-key`.
    #[schemars(length(max = 100))]
    kind: Option<String>,
    /// Only changes of the resource with this id.
    #[schemars(length(max = 200))]
    resource_id: Option<String>,
    /// Only changes by the API key with this id.
    #[schemars(length(max = 200))]
    actor_id: Option<String>,
}

impl AuditQuery {
    fn takes(&self, reader: Reader<'_>, entry: &Audited) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.kind, &entry.kind)
            && is(&self.resource_id, &entry.id)
            && is(&self.actor_id, &entry.actor.id)
            && reader.may_see(entry)
    }
}

/// Who reads.
#[derive(Clone, Copy)]
struct Reader<'a> {
    /// The one account whose entries are shown.
    only: Option<&'a str>,
    /// Whether the caller may act for one account only.
    scoped: bool,
}

impl Reader<'_> {
    fn may_see(self, entry: &Audited) -> bool {
        // API keys for all accounts are kept with `default`, whose own callers do not see them elsewhere either.
        let for_all = || {
            let scoped = |key: &Value| !key["scope"].is_null();
            entry.kind == ApiKey::KIND && !scoped(&entry.before) && !scoped(&entry.after)
        };
        self.only.is_none_or(|account| account == entry.account) && !(self.scoped && for_all())
    }
}

async fn list(context: Context, Query(query): Query<AuditQuery>) -> Result<AuditLog, ApiError> {
    let store = context.control().store().cloned().ok_or_else(|| {
        ApiError::not_implemented(
            "this gateway has no store, so nothing is changed over the admin API",
        )
    })?;
    let reader = Reader {
        only: context.only.as_deref(),
        scoped: context.caller.account.is_some(),
    };
    let (items, next) = read(&*store, &query, reader)
        .await
        .map_err(|error| match error {
            StoreError::Refused(_) => ApiError::invalid("before", "must be the id of an entry"),
            error => bank_error(error),
        })?;
    let paged = Paged {
        items,
        uri: context.here(),
        next_page_uri: next.map(|position| context.here_with("before", &position)),
    };
    Ok(paged.into())
}

/// A page, and where the next one begins.
async fn read(
    store: &dyn Store,
    query: &AuditQuery,
    reader: Reader<'_>,
) -> Result<(Vec<AuditEntry>, Option<String>), StoreError> {
    let limit = PageQuery {
        before_id: None,
        limit: query.limit,
    }
    .limit();
    let mut before = query.before.clone();
    let mut found = Vec::new();
    for _ in 0..MOST / CHUNK {
        let entries = store.audit(before.as_deref(), CHUNK).await?;
        let last = entries.len() < CHUNK;
        for entry in entries {
            if found.len() == limit {
                return Ok((found, before));
            }
            before = Some(entry.position.clone());
            found.extend(shown(entry, query, reader));
        }
        if last {
            return Ok((found, None));
        }
    }
    Ok((found, before))
}

/// The entry, if it is wanted.
fn shown(entry: Entry, query: &AuditQuery, reader: Reader<'_>) -> Option<AuditEntry> {
    let audited: Audited = match serde_json::from_str(&entry.body) {
        Ok(audited) => audited,
        Err(error) => {
            // Of a newer program, perhaps; the text may show more than the entry's own reader would.
            let (position, line) = (&entry.position, error.line());
            log::warn!("the entry {position} of the audit log cannot be read, at its line {line}");
            return None;
        }
    };
    query.takes(reader, &audited).then(|| AuditEntry {
        id: entry.position,
        at: time(entry.at_ms),
        actor: audited.actor,
        action: audited.action,
        kind: audited.kind,
        resource_id: audited.id,
        account_id: audited.account,
        before: audited.before,
        after: audited.after,
    })
}
