//! `GET /v1/models` and `GET /v1/models/{id}`, in OpenAI's shape, and in Anthropic's for who speaks it.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::error::{self, Failure};
use super::model::Model;
use tollgate_wire::Dialect;

/// All models.
pub(super) async fn all(headers: HeaderMap) -> Response {
    let dialect = dialect(&headers);
    let data: Vec<Value> = Model::ALL
        .iter()
        .map(|(_, id, what)| entry(dialect, id, what))
        .collect();
    let list = match dialect {
        Dialect::OpenAi => json!({"object": "list", "data": data}),
        Dialect::Anthropic => {
            let id = |entry: Option<&Value>| entry.map(|entry| entry["id"].clone());
            json!({"first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data})
        }
    };
    super::json(StatusCode::OK, &list)
}

/// One model.
pub(super) async fn one(headers: HeaderMap, Path(wanted): Path<String>) -> Response {
    let dialect = dialect(&headers);
    match Model::ALL.iter().find(|(_, id, _)| *id == wanted) {
        Some((_, id, what)) => super::json(StatusCode::OK, &entry(dialect, id, what)),
        None => error::response(dialect, &Failure::unknown_model(&wanted)),
    }
}

fn dialect(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

fn entry(dialect: Dialect, id: &str, what: &str) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"id": id, "object": "model", "created": 0, "owned_by": "demo", "description": what})
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": id, "display_name": what, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}
