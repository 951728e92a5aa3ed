//! A request in a candidate's own words: its model, the limits that hold, and nothing that it does not take.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::aside::{Aside, LARGE};
use super::translation::{Carried, most_output, target};
use tollgate_config::access::AccessKey;
use tollgate_config::catalog::Provider;
use tollgate_failover::Candidate;
use tollgate_wire::request::{Edit, RequestBody};
use tollgate_wire::translate;
use tollgate_wire::translate::Reply;
use tollgate_wire::{Endpoint, Surface};

/// A request in the candidate's own words.
pub struct Worded {
    /// Where it is sent.
    pub endpoint: Endpoint,
    /// What is sent.
    pub body: Bytes,
    /// Whether its usage chunk must be taken out again.
    pub strip_usage: bool,
    /// What the way back needs, if it crosses to another API.
    pub reply: Option<Box<Reply>>,
    /// The client's fields that are left out.
    pub dropped: Vec<String>,
}

/// The same as [`worded`], away from the proxy's threads where a large body may have to be read and written anew; one that
/// is carried was. `None` if it panics.
pub async fn worded_aside(
    aside: &Aside,
    client: &RequestBody,
    key: &Arc<AccessKey>,
    candidate: &Candidate,
    carried: Option<Carried>,
) -> Option<Worded> {
    if carried.is_some() || client.bytes().len() <= LARGE {
        return Some(worded(client, key, candidate, carried));
    }
    let (client, key, candidate) = (client.clone(), key.clone(), candidate.clone());
    let work = move || worded(&client, &key, &candidate, None);
    Box::pin(aside.run(work)).await.ok()
}

/// Puts the request into the candidate's words; `carried` is what crosses to another of its APIs than the client's.
fn worded(
    client: &RequestBody,
    key: &AccessKey,
    candidate: &Candidate,
    carried: Option<Carried>,
) -> Worded {
    let Some(carried) = carried else {
        let endpoint = client.endpoint();
        let adapted = adapted(client, candidate);
        let (body, dropped) = adapted.unzip();
        let mut dropped = dropped.unwrap_or_default();
        let rendered = render(body.as_ref().unwrap_or(client), key, candidate);
        dropped.extend(rendered.stripped);
        return Worded {
            endpoint,
            body: rendered.body,
            strip_usage: rendered.asks && !client.wants_usage_chunk(),
            reply: None,
            dropped,
        };
    };
    let rendered = render(&carried.body, key, candidate);
    let mut dropped = carried.dropped;
    for name in rendered.stripped {
        if !dropped.contains(&name) && !is_added(client, &name) {
            dropped.push(name);
        }
    }
    Worded {
        endpoint: Endpoint::Generate(carried.surface),
        body: rendered.body,
        strip_usage: false, // the translation reads it
        reply: Some(Box::new(carried.reply)),
        dropped,
    }
}

/// Whether a member of a translated body is the translation's own, so that the client misses nothing without it.
fn is_added(client: &RequestBody, name: &str) -> bool {
    match name {
        "stream_options" | "store" | "include" | "prompt_cache_key" => !client.can_strip(name),
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
            client.max_output_tokens().is_none()
        }
        _ => false,
    }
}

/// The body as the candidate takes it and what that cost, if its own API's words have to be changed at all.
fn adapted(body: &RequestBody, candidate: &Candidate) -> Option<(RequestBody, Vec<String>)> {
    let target = target(candidate, None);
    let (surface, second) = (body.endpoint().surface(), candidate.model_index > 0);
    let adapted = translate::adapted(surface, body.bytes(), &target, second)?;
    let body = RequestBody::parse(body.endpoint(), adapted.body.into()).ok()?;
    Some((body, adapted.dropped))
}

/// A body with the candidate's edits.
struct Rendered {
    body: Bytes,
    /// Whether usage is asked for in it.
    asks: bool,
    /// The members that it lost because the candidate does not take them, each once.
    stripped: Vec<String>,
}

fn render(body: &RequestBody, key: &AccessKey, candidate: &Candidate) -> Rendered {
    let model = candidate.model.as_deref();
    let provider = &candidate.provider;
    let unlisted = unlisted(provider, body);
    let strip: Vec<&str> = provider
        .unsupported_parameters
        .iter()
        .chain(model.into_iter().flat_map(|m| &m.unsupported_parameters))
        .map(String::as_str)
        .chain(unlisted.iter().map(|name| &**name))
        .collect();
    let chunked = matches!(
        body.endpoint(),
        Endpoint::Generate(Surface::ChatCompletions | Surface::Completions)
    );
    let ask = chunked && body.stream() && !strip.contains(&"stream_options");
    let rendered = body.render(&Edit {
        model: &candidate.upstream_model,
        strip: &strip,
        max_output_tokens: most_output(key, candidate),
        limit: key.max_output_tokens().and(limit_name(body, candidate)),
        include_usage: ask,
    });
    let mut stripped: Vec<String> = Vec::new();
    for name in strip {
        if body.can_strip(name) && !stripped.iter().any(|known| known == name) {
            stripped.push(name.to_owned());
        }
    }
    Rendered {
        body: rendered,
        asks: ask,
        stripped,
    }
}

/// How the body says how long its answer may be, if that is how the candidate takes it.
fn limit_name(body: &RequestBody, candidate: &Candidate) -> Option<&'static str> {
    match body.endpoint() {
        Endpoint::Generate(Surface::ChatCompletions) if target(candidate, None).openai => {
            Some("max_completion_tokens")
        }
        Endpoint::Generate(Surface::Responses) => Some("max_output_tokens"),
        Endpoint::Generate(Surface::Embeddings) | Endpoint::CountTokens => None,
        Endpoint::Generate(_) => Some("max_tokens"),
    }
}

/// The fields of the body that are not among those that the provider takes.
fn unlisted<'a>(provider: &Provider, body: &'a RequestBody) -> Vec<Cow<'a, str>> {
    if provider.supported_parameters.is_empty() {
        return Vec::new();
    }
    let surface = body.endpoint().surface();
    body.other_names()
        .filter(|name| !provider.takes(surface, name))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;
    use crate::proxy::aside::Room;
    use tollgate_config::access::{AccountSettings, Snapshot};

    fn candidate() -> Candidate {
        let yaml =
            "providers: [{ id: p, base_url: 'http://127.0.0.1:1', keys: [{ id: k, value: x }] }]";
        let config = Arc::new(tollgate_config::parse(yaml, &|_| None).unwrap());
        let snapshot = Snapshot::build(config.clone(), config.catalog.clone(), 1);
        Candidate {
            provider: snapshot.catalog.provider("p").unwrap().clone(),
            model: None,
            upstream_model: "other".into(),
            key: snapshot.provider_key("k").unwrap().clone(),
            surface: Surface::ChatCompletions,
            model_index: 0,
        }
    }

    fn chat(length: usize) -> RequestBody {
        let text = "x".repeat(length);
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        RequestBody::parse(Endpoint::Generate(Surface::ChatCompletions), body.into()).unwrap()
    }

    /// The proxy's threads have other requests to serve.
    #[tokio::test]
    async fn a_large_body_is_put_into_words_aside() {
        let defaults = tollgate_config::parse("", &|_| None).unwrap();
        let key = Arc::new(AccessKey {
            id: "a".into(),
            name: None,
            account: "a".into(),
            settings: AccountSettings::common(&defaults).into(),
            configuration: None,
            digest: [0; 32],
            former: None,
            limits: Arc::from([]),
            newer: false,
            used: Default::default(),
        });
        let room = Room::open(1).unwrap();
        let aside = room.of(&key.account);
        let (end, held) = mpsc::channel::<()>();
        let mut busy = Box::pin(aside.run(move || held.recv().ok()));
        assert!(busy.as_mut().now_or_never().is_none());
        let (small, large, candidate) = (chat(10), chat(LARGE), candidate());
        let at_once = worded_aside(&aside, &small, &key, &candidate, None).now_or_never();
        assert!(at_once.flatten().is_some());
        let mut later = Box::pin(worded_aside(&aside, &large, &key, &candidate, None));
        assert!(later.as_mut().now_or_never().is_none());
        drop(end);
        let body = later.await.unwrap().body;
        assert!(body.starts_with(br#"{"model":"other""#) && body.len() > LARGE);
    }
}
