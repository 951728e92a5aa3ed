//! What all resources have in common: whose they are, who made them and when, what clients say and see of that.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::Context;
use crate::admin::error::ApiError;
use crate::admin::patch::Patch;
use crate::resource::Meta;
use crate::{Control, DECLARED, DEFAULT_ACCOUNT, Document, View};
use tollgate_base::Timestamp;
use tollgate_base::clock;

/// Longest wait for what other replicas have changed.
const REFRESH: Duration = Duration::from_secs(2);

/// A resource that is referred to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ref {
    /// Resource identifier.
    id: String,
    /// URI for locating the resource.
    uri: String,
}

/// What clients see of every resource.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    /// Unique identifier.
    id: String,
    /// URI of this resource.
    uri: String,
    /// User-friendly label.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Human-readable description.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Arbitrary user-defined metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    /// Timestamp when it was created; of what the configuration file declares, when that was loaded.
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// Timestamp when it was last updated.
    #[schemars(extend("format" = "date-time"))]
    updated_at: String,
    /// The API key that created it; `yaml` is the configuration file, whose resources are read-only here.
    created_by: Ref,
    /// The API key that last updated it.
    last_updated_by: Ref,
}

/// What people and programs say of a resource.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Labels {
    /// User-friendly label.
    #[schemars(length(max = 255))]
    name: Patch<String>,
    /// Human-readable description.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Arbitrary user-defined metadata.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
}

impl Labels {
    /// Applies what was sent.
    pub(super) fn apply(&self, meta: &mut Meta) {
        self.name.clone().apply(&mut meta.name);
        self.description.clone().apply(&mut meta.description);
        self.metadata.clone().apply(&mut meta.metadata);
    }
}

/// RFC 3339, UTC, with milliseconds.
pub(super) fn time(unix_ms: u64) -> String {
    Timestamp(UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string()
}

/// The last second that RFC 3339 can say (Unix time).
const LAST: u64 = 253_402_300_799;

/// A Unix time (s); `None` if it is out of the calendar's range.
pub(super) fn second(seconds: u64) -> Option<String> {
    (seconds <= LAST).then(|| time(seconds * 1_000))
}

impl Context {
    /// The control plane.
    pub(super) fn control(&self) -> &Arc<Control> {
        self.state.control()
    }

    /// A new resource's beginnings: made now, by the caller, in the acting account.
    pub(super) fn meta(&self) -> Meta {
        let now = clock::wall_ms();
        Meta {
            account: self.account.to_string(),
            created_at: now,
            updated_at: now,
            created_by: self.caller.id.clone(),
            last_updated_by: self.caller.id.clone(),
            ..Meta::default()
        }
    }

    /// Notes on a resource that the caller changes it now.
    pub(super) fn touch(&self, meta: &mut Meta) {
        meta.updated_at = clock::wall_ms();
        meta.last_updated_by = self.caller.id.clone();
    }

    /// What clients see of every resource, of one that is called `name`.
    pub(super) fn head(&self, id: &str, uri: String, name: Option<String>, meta: &Meta) -> Head {
        let by = |id: &String| Ref {
            uri: match id.as_str() {
                DECLARED => self.uri(&["docs"]),
                id => self.uri(&["api-keys", id]),
            },
            id: id.clone(),
        };
        Head {
            id: id.to_owned(),
            uri,
            name,
            description: meta.description.clone(),
            metadata: meta.metadata.clone(),
            created_at: time(meta.created_at),
            updated_at: time(meta.updated_at),
            created_by: by(&meta.created_by),
            last_updated_by: by(&meta.last_updated_by),
        }
    }

    /// The account, where it is worth saying: to whoever may act for several, if it is not `default`.
    pub(super) fn other_account(&self, meta: &Meta) -> Option<String> {
        let told = self.caller.account.is_none() && meta.account != DEFAULT_ACCOUNT;
        told.then(|| meta.account.clone())
    }

    /// Whether a resource is the acting account's.
    pub(super) fn owns(&self, meta: &Meta) -> bool {
        *meta.account == *self.account
    }

    /// Hears of what other replicas have changed. If the store is away, what is known is shown.
    pub(super) async fn refresh(&self) {
        // One catches up at a time: while the store is silent, each waits for all before it.
        match tokio::time::timeout(REFRESH, self.control().catch_up()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::debug!("admin API: shown as last known: {error}"),
            Err(_) => log::debug!("admin API: shown as last known: the store is slow"),
        }
    }

    /// Sees that this gateway can read the document with this id, if there is one. Whose it is cannot be read either.
    ///
    /// # Errors
    /// 503.
    pub(super) fn readable<T: Document>(&self, view: View<'_>, id: &str) -> Result<(), ApiError> {
        let own = self.caller.account.is_none() || *self.account == *id;
        if own && view.is_unreadable::<T>(id) {
            return Err(ApiError::unreadable(T::KIND));
        }
        Ok(())
    }
}
