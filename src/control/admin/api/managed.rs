//! Kinds of resources that clients make.
//!
//! A kind says what clients send and see of it, how what is sent changes it, and what stands in the way of its
//! deletion. What is sent is one type: creating wants some of its fields, and updating refuses some.

use std::borrow::Cow;
use std::future::Future;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::known::Known;
use super::resource::Head;
use super::words::Words;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::operation::{Scope, Tag};
use crate::admin::page::{PageQuery, Paged};
use crate::admin::schema::never_null;
use crate::{Actor, Draft, Tabled, View};
use tollgate_base::{clock, id};

/// A kind of resource that clients make.
pub(super) trait Managed: Tabled + Default {
    /// What clients send of it: a `Patch` for what an update may clear.
    type Sent: DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// What clients see of it, besides what they see of every kind.
    type Own: Serialize + JsonSchema + Send + 'static;
    /// A page of them.
    type List: From<Paged<Shown<Self>>> + Serialize + JsonSchema + Send + 'static;
    /// What a list can be narrowed to.
    type Filter: DeserializeOwned + JsonSchema + Send + 'static;

    /// Its group in the document.
    const TAG: &'static Tag;
    /// How it is called.
    const WORDS: &'static Words;
    /// What the schema of an answer is called.
    const SHOWN: &'static str = Self::WORDS.name;
    /// The fields that creating wants.
    const REQUIRED: &'static [&'static str] = &[];
    /// The fields that only creating takes.
    const FIXED: &'static [&'static str] = &[];
    /// Whether what is shown always has a name: [`Managed::label`].
    const IS_NAMED: bool = false;
    /// Whether it is noted when one was last used.
    const IS_USED: bool = false;
    /// Whose they are.
    const SCOPE: Scope = Scope::Account;
    /// The errors of creating, updating and deleting, besides those that all kinds have.
    const ERRORS: [&'static [Code]; 3] = [&[]; 3];

    /// A new one, before [`Managed::apply`].
    ///
    /// # Errors
    /// 403, 422 or 500.
    fn begin(context: &Context, _: &Self::Sent) -> Result<New<Self>, ApiError> {
        Ok(New::of(context))
    }

    /// Applies what was sent. What it writes besides the resource goes into the draft.
    ///
    /// # Errors
    /// 403, 409, or 422 with every fault.
    fn apply(
        &mut self,
        sent: &Self::Sent,
        change: &Change<'_, Self>,
        draft: &mut Draft,
    ) -> Result<(), ApiError>;

    /// What follows once it is stored.
    fn applied(&self, _id: &str, _sent: &Self::Sent) {}

    /// Waits for what else must allow that one is deleted.
    ///
    /// # Errors
    /// As [`Managed::leave`].
    fn may_leave(_: &Context, _id: &str) -> impl Future<Output = Result<(), ApiError>> + Send {
        async { Ok(()) }
    }

    /// Sees that nothing refers to it, and deletes what goes with it.
    ///
    /// # Errors
    /// 409.
    fn leave(&self, _: &Change<'_, Self>, _: &mut Draft) -> Result<(), ApiError> {
        Ok(())
    }

    /// What clients see of it.
    fn own(&self, context: &Context, view: View<'_>, seen: Seen) -> Self::Own;

    /// Its name, or what stands for one.
    fn label(&self, id: &str) -> String {
        self.meta().name.clone().unwrap_or_else(|| id.to_owned())
    }

    /// Whether the caller may see it.
    fn is_visible(&self, context: &Context) -> bool {
        context.owns(self.meta())
    }

    /// Sees that the caller may change it, once it may see it.
    ///
    /// # Errors
    /// 403.
    fn may_change(&self, _: &Context) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether a list that is narrowed so has it.
    fn passes(&self, _: &Self::Filter) -> bool {
        true
    }

    /// What is said of an id that the caller sees nothing of.
    fn missing(_: &Context, _id: &str) -> ApiError {
        ApiError::not_found(Self::WORDS.what)
    }
}

/// A resource that is about to be created.
pub(super) struct New<K> {
    pub(super) id: String,
    pub(super) resource: K,
    /// What is shown only this once.
    pub(super) token: Option<String>,
}

impl<K: Managed> New<K> {
    /// One that is made now, by the caller, in the acting account.
    pub(super) fn of(context: &Context) -> New<K> {
        let mut resource = K::default();
        *resource.meta_mut() = context.meta();
        New {
            id: id::new(K::PREFIX, clock::wall_ms()),
            resource,
            token: None,
        }
    }
}

/// A change while it is decided.
pub(super) struct Change<'a, K> {
    pub(super) known: Known<'a>,
    pub(super) actor: &'a Actor,
    pub(super) id: &'a str,
    /// What it was; `None` if it is new.
    pub(super) old: Option<&'a K>,
}

/// What is known of a resource beyond its document.
pub(super) struct Seen {
    pub(super) token: Option<String>,
    /// RFC 3339.
    pub(super) last_used: Option<String>,
}

/// What is sent to create one.
#[derive(Deserialize)]
#[serde(transparent, bound = "")]
pub(super) struct Create<K: Managed>(pub(super) K::Sent);

impl<K: Managed> JsonSchema for Create<K> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Create", K::WORDS.name).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = K::Sent::json_schema(generator);
        never_null(&mut schema);
        let what = format!("A new {}.", K::WORDS.what);
        schema.insert("description".to_owned(), what.into());
        if !K::REQUIRED.is_empty() {
            schema.insert("required".to_owned(), K::REQUIRED.into());
        }
        schema
    }
}

/// What is sent to update one.
#[derive(Deserialize)]
#[serde(transparent, bound = "")]
pub(super) struct Update<K: Managed>(pub(super) K::Sent);

impl<K: Managed> JsonSchema for Update<K> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Update", K::WORDS.name).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = K::Sent::json_schema(generator);
        if let Some(Value::Object(fields)) = schema.get_mut("properties") {
            fields.retain(|name, _| !K::FIXED.contains(&&**name));
        }
        let what = format!("What changes of the {}.", K::WORDS.what);
        schema.insert("description".to_owned(), what.into());
        schema
    }
}

/// A resource as clients see it.
#[derive(Serialize)]
#[serde(transparent, bound = "")]
pub(super) struct Shown<K: Managed>(Parts<K::Own>);

#[derive(Serialize, JsonSchema)]
struct Parts<T> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    own: T,
}

impl<K: Managed> Shown<K> {
    pub(super) fn new(head: Head, own: K::Own) -> Shown<K> {
        Shown(Parts { head, own })
    }
}

impl<K: Managed> JsonSchema for Shown<K> {
    fn schema_name() -> Cow<'static, str> {
        K::SHOWN.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let own = K::Own::json_schema(generator);
        let mut schema = Parts::<K::Own>::json_schema(generator);
        let about = own.get("description").cloned().unwrap_or_default();
        schema.insert("description".to_owned(), about);
        if K::IS_NAMED
            && let Some(Value::Array(required)) = schema.get_mut("required")
        {
            required.push("name".into());
        }
        schema
    }
}

/// A page of a list that may be narrowed.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListQuery<F> {
    #[serde(flatten)]
    pub(super) filter: F,
    #[serde(flatten)]
    pub(super) page: PageQuery,
}

/// A list that cannot be narrowed.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NoFilter {}
