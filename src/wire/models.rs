//! Bodies of `GET /v1/models` and `GET /v1/models/{id}`, in the caller's shape.
//!
//! The catalog does not know when models were made, so `created` is the Unix epoch, as Anthropic's
//! reference says for an unknown release date.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::request::BadRequest;

/// A model that a key may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// What a client writes as `model`.
    pub id: &'a str,
    /// The provider's id.
    pub provider: &'a str,
    /// For people.
    pub display_name: &'a str,
    /// Tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// Tokens of the longest answer.
    pub max_output_tokens: Option<u64>,
}

/// Which part of Anthropic's list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Most entries, 1 to 1000.
    pub limit: usize,
    /// Only what follows this id.
    pub after_id: Option<String>,
    /// Only what precedes this id.
    pub before_id: Option<String>,
}

impl Page {
    /// Reads `limit`, `after_id` and `before_id` from a query string (without the question mark);
    /// other parameters are ignored. Without a limit, 20.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] naming the parameter that is out of range, or both ids at once.
    pub fn of_query(query: &str) -> Result<Page, BadRequest> {
        let mut page = Page {
            limit: 20,
            after_id: None,
            before_id: None,
        };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "limit" => {
                    page.limit = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=1000).contains(n))
                        .ok_or_else(|| {
                            BadRequest::param(
                                "limit",
                                "Invalid 'limit': expected an integer from 1 to 1000.",
                            )
                        })?;
                }
                "after_id" => page.after_id = Some(decode(value)),
                "before_id" => page.before_id = Some(decode(value)),
                _ => {}
            }
        }
        if page.after_id.is_some() && page.before_id.is_some() {
            return Err(BadRequest::param(
                "before_id",
                "Give 'after_id' or 'before_id', not both.",
            ));
        }
        Ok(page)
    }
}

/// Returns the id in a path `/v1/models/{id}`, percent-decoded. Ids may contain slashes.
pub fn id_of_path(path: &str) -> Option<String> {
    let id = path.strip_prefix("/v1/models/")?;
    (!id.is_empty()).then(|| decode(id))
}

/// Returns every model in OpenAI's shape.
pub fn openai_list<'a>(models: impl IntoIterator<Item = Listed<'a>>) -> Bytes {
    let data: Vec<Value> = models.into_iter().map(openai_value).collect();
    Bytes::from(json!({ "object": "list", "data": data }).to_string())
}

/// Returns one model in OpenAI's shape.
pub fn openai_one(model: Listed<'_>) -> Bytes {
    Bytes::from(openai_value(model).to_string())
}

/// Returns a page of models in Anthropic's shape.
///
/// # Errors
///
/// [`BadRequest`] when `after_id` or `before_id` is not among the models.
pub fn anthropic_list<'a>(
    models: impl IntoIterator<Item = Listed<'a>>,
    page: &Page,
) -> Result<Bytes, BadRequest> {
    let models: Vec<Listed<'a>> = models.into_iter().collect();
    let place = |param: &'static str, id: &str| {
        models
            .iter()
            .position(|model| model.id == id)
            .ok_or_else(|| {
                BadRequest::param(
                    param,
                    format!("Invalid '{param}': it is not the id of a listed model."),
                )
            })
    };
    // Going backwards, `has_more` speaks of what precedes the page.
    let (from, to, has_more) = match (&page.after_id, &page.before_id) {
        (_, Some(id)) => {
            let to = place("before_id", id)?;
            let from = to.saturating_sub(page.limit);
            (from, to, from > 0)
        }
        (after, None) => {
            let from = after
                .as_deref()
                .map_or(Ok(0), |id| place("after_id", id).map(|at| at + 1))?;
            let to = from.saturating_add(page.limit).min(models.len());
            (from, to, to < models.len())
        }
    };
    let shown = models.get(from..to).unwrap_or_default();
    let data: Vec<Value> = shown.iter().copied().map(anthropic_value).collect();
    let body = json!({
        "data": data,
        "has_more": has_more,
        "first_id": shown.first().map(|model| model.id),
        "last_id": shown.last().map(|model| model.id),
    });
    Ok(Bytes::from(body.to_string()))
}

/// Returns one model in Anthropic's shape.
pub fn anthropic_one(model: Listed<'_>) -> Bytes {
    Bytes::from(anthropic_value(model).to_string())
}

fn openai_value(model: Listed<'_>) -> Value {
    json!({
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": model.provider,
        "display_name": model.display_name,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
    })
}

fn anthropic_value(model: Listed<'_>) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": model.provider,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
    })
}

/// Undoes percent-encoding; what is not a valid escape, or not UTF-8 afterwards, stays as it is.
fn decode(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 5] = ["gpt-4o", "meta/llama:70b", "claude-x", "d", "e"];

    fn models() -> impl Iterator<Item = Listed<'static>> {
        IDS.into_iter().map(|id| Listed {
            id,
            provider: "house",
            display_name: "A model",
            context_window: Some(128_000),
            max_output_tokens: None,
        })
    }

    fn value(body: Bytes) -> Value {
        serde_json::from_slice(&body).expect("JSON")
    }

    fn page(query: &str) -> Value {
        let page = Page::of_query(query).expect("a good query");
        value(anthropic_list(models(), &page).expect("a page"))
    }

    fn ids(list: &Value) -> Vec<&str> {
        list["data"]
            .as_array()
            .expect("data")
            .iter()
            .filter_map(|model| model["id"].as_str())
            .collect()
    }

    #[test]
    fn shapes() {
        insta::assert_json_snapshot!("openai_list", value(openai_list(models().take(2))));
        insta::assert_json_snapshot!(
            "openai_one",
            models().next().map(|model| value(openai_one(model)))
        );
        insta::assert_json_snapshot!("anthropic_list", page("limit=2"));
        insta::assert_json_snapshot!(
            "anthropic_one",
            models().next().map(|model| value(anthropic_one(model)))
        );
    }

    #[test]
    fn pages() {
        // query, ids, has_more
        let cases: [(&str, &[&str], bool); 9] = [
            ("", &IDS, false),
            ("beta=true&limit=1000", &IDS, false),
            ("limit=2", &IDS[..2], true),
            ("limit=2&after_id=meta%2Fllama%3a70b", &IDS[2..4], true),
            ("limit=3&after_id=meta/llama:70b", &IDS[2..], false),
            ("after_id=e", &[], false),
            ("limit=2&before_id=d", &IDS[1..3], true),
            ("before_id=d", &IDS[..3], false),
            ("before_id=gpt-4o", &[], false),
        ];
        for (query, want, has_more) in cases {
            let list = page(query);
            assert_eq!(ids(&list), want, "{query}");
            assert_eq!(list["has_more"], has_more, "{query}");
            assert_eq!(list["first_id"].as_str(), want.first().copied(), "{query}");
            assert_eq!(list["last_id"].as_str(), want.last().copied(), "{query}");
        }
    }

    #[test]
    fn pages_that_cannot_be() {
        for (query, param) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("after_id=d&before_id=e", "before_id"),
        ] {
            assert_eq!(
                Page::of_query(query).expect_err(query).param,
                Some(param),
                "{query}"
            );
        }
        for (query, param) in [("after_id=nope", "after_id"), ("before_id=", "before_id")] {
            let page = Page::of_query(query).expect(query);
            assert_eq!(
                anthropic_list(models(), &page).expect_err(query).param,
                Some(param),
                "{query}"
            );
        }
        assert!(
            anthropic_list([], &Page::of_query("").expect("no query")).is_ok(),
            "an empty list is a list"
        );
    }

    #[test]
    fn ids_in_paths() {
        let cases = [
            ("/v1/models/gpt-4o", Some("gpt-4o")),
            ("/v1/models/meta/llama:70b", Some("meta/llama:70b")),
            ("/v1/models/meta%2Fllama%3A70b", Some("meta/llama:70b")),
            ("/v1/models/100%", Some("100%")),
            ("/v1/models/%zz%4", Some("%zz%4")),
            ("/v1/models/%ff", Some("%ff")),
            ("/v1/models/", None),
            ("/v1/models", None),
        ];
        for (path, id) in cases {
            assert_eq!(id_of_path(path).as_deref(), id, "{path}");
        }
    }
}
