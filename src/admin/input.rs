//! What handlers take out of a request: the path's id, the query, the body.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::error::ApiError;
use super::operation::Takes;
use super::schema::{shape, shape_in_place};
use super::table::Checks;

/// A request whose caller may make it.
pub(crate) struct Received {
    pub(super) context: Context,
    pub(super) checks: Arc<Checks>,
    pub(super) id: String,
    pub(super) query: Value,
    pub(super) body: Value,
}

/// Something that a handler takes.
pub(crate) trait Input: Sized + Send + 'static {
    /// Notes that it is taken.
    fn describe(takes: &mut Takes);

    /// Takes it.
    ///
    /// # Errors
    ///
    /// 422 when it is not valid.
    fn take(received: &mut Received) -> Result<Self, ApiError>;
}

/// The `{id}` of the path, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Id(pub(crate) String);

impl Input for Id {
    fn describe(takes: &mut Takes) {
        takes.id = true;
    }

    fn take(received: &mut Received) -> Result<Self, ApiError> {
        Ok(Id(std::mem::take(&mut received.id)))
    }
}

/// The query parameters: the fields of a struct, which are strings, numbers, truth values, enums or lists of these.
#[derive(Clone, Debug)]
pub(crate) struct Query<Q>(pub(crate) Q);

impl<Q: DeserializeOwned + JsonSchema + Send + 'static> Input for Query<Q> {
    fn describe(takes: &mut Takes) {
        takes.query = Some(shape_in_place::<Q>());
    }

    fn take(received: &mut Received) -> Result<Self, ApiError> {
        let query = received.query.take();
        received.checks.query.read(query).map(Query)
    }
}

/// The body, which is JSON.
#[derive(Clone, Debug)]
pub(crate) struct Body<B>(pub(crate) B);

impl<B: DeserializeOwned + JsonSchema + Send + 'static> Input for Body<B> {
    fn describe(takes: &mut Takes) {
        takes.body = Some(shape::<B>());
    }

    fn take(received: &mut Received) -> Result<Self, ApiError> {
        let body = received.body.take();
        received.checks.body.read(body).map(Body)
    }
}
