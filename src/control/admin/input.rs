//! What handlers take out of a request: the path's id, the query, the body.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::error::ApiError;
use super::schema::{Shape, shape, shape_in_place};
use super::validate::Checker;

/// What a handler takes out of a request.
#[derive(Clone, Copy, Default)]
pub(crate) struct Takes {
    pub(super) id: bool,
    pub(super) query: Option<Shape>,
    pub(super) body: Option<Shape>,
}

/// What an operation's request is checked with.
pub(super) struct Checks {
    pub(super) query: Checker,
    pub(super) body: Checker,
    /// For debug builds: answers must be what the document says.
    pub(super) answer: Checker,
}

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
