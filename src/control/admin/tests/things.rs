//! A resource that only tests have, with everything that an operation can have.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::admin::input::{Body, Id, Query};
use crate::admin::operation::{Needs, Operation, Scope, Tag, delete, get, patch, post};
use crate::admin::page::{PageQuery, page};
use crate::admin::patch::Patch;

const THINGS: Tag = Tag {
    name: "Things",
    description: "Things.",
    one: "a thing",
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        get("/things", "ListThings").tag(&THINGS).handler(list),
        post("/things", "CreateThing")
            .tag(&THINGS)
            .errors(&[Code::Conflict])
            .handler(create),
        patch("/things/{id}", "UpdateThing")
            .tag(&THINGS)
            .handler(update),
        delete("/things/{id}", "DeleteThing")
            .tag(&THINGS)
            .errors(&[Code::InUse])
            .handler(remove),
        post("/things/{id}/rotate", "RotateThing")
            .tag(&THINGS)
            .status(StatusCode::OK)
            .handler(rotate),
        get("/usage-of-things", "GetUsageOfThings")
            .tag(&THINGS)
            .needs(Needs::Usage)
            .handler(usage),
        get("/everybody", "GetEverybody")
            .tag(&THINGS)
            .scope(Scope::AllAccounts)
            .handler(usage),
        get("/panics", "GetPanic")
            .tag(&THINGS)
            .scope(Scope::Shared)
            .handler(panics),
    ]
}

page! { "Things." ThingList { things: Thing } }

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Thing {
    id: String,
    uri: String,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct ThingCreate {
    #[schemars(length(min = 1, max = 5))]
    name: String,
    /// Something that the type refuses and the schema does not.
    secret: Option<std::net::Ipv4Addr>,
}

#[derive(Deserialize, JsonSchema)]
struct ThingUpdate {
    #[serde(default)]
    name: Patch<String>,
}

fn thing(context: &Context, id: String, name: Option<String>) -> Thing {
    Thing {
        uri: context.uri(&["things", &id]),
        id,
        account: context.account.to_string(),
        name,
    }
}

async fn list(context: Context, Query(query): Query<PageQuery>) -> Result<ThingList, ApiError> {
    let ids = (0..250).rev().map(|n| format!("t_{n:03}"));
    let page = context.page(&query, ids, |id| id);
    Ok(page.map(|id| thing(&context, id, None)).into())
}

async fn create(context: Context, Body(body): Body<ThingCreate>) -> Result<Thing, ApiError> {
    assert!(body.secret.is_none(), "no test sends one that is valid");
    if body.name == "taken" {
        return Err(ApiError::conflict("there is a thing of this name"));
    }
    Ok(thing(&context, "t_1".to_owned(), Some(body.name)))
}

async fn update(
    context: Context,
    Id(id): Id,
    Body(body): Body<ThingUpdate>,
) -> Result<Thing, ApiError> {
    let mut name = Some("old".to_owned());
    body.name.apply(&mut name);
    Ok(thing(&context, id, name))
}

async fn remove(_: Context, Id(id): Id) -> Result<(), ApiError> {
    match &*id {
        "used" => Err(ApiError::in_use("thing", "the other thing t_2")),
        "declared" => Err(ApiError::declared("thing")),
        "t_1" => Ok(()),
        _ => Err(ApiError::not_found("thing")),
    }
}

async fn rotate(context: Context, Id(id): Id) -> Result<Thing, ApiError> {
    context.change(|_, _| Ok(())).await?;
    Ok(thing(&context, id, None))
}

async fn usage(context: Context) -> Result<Thing, ApiError> {
    Ok(thing(&context, "usage".to_owned(), None))
}

async fn panics(_: Context) -> Result<(), ApiError> {
    panic!("with something secret in it");
}
