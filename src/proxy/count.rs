//! What is counted here: a prompt's tokens, and what an answer used whose provider does not say.

use std::sync::Arc;

use super::aside::{Aside, Undone};
use tollgate_failover::Candidate;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::{Encoding, Observer, PromptCounter, Settled};
use tollgate_wire::{Endpoint, Surface};

/// Our own count of a prompt's tokens, or a figure over `enough` as soon as it is known to be over.
///
/// # Errors
/// If the count panics.
pub async fn prompt(
    aside: &Aside,
    model: &Arc<str>,
    body: &RequestBody,
    enough: u64,
) -> Result<u64, Undone> {
    let (model, body) = (model.clone(), body.clone());
    aside
        .run(move || prompt_tokens(&model, &body, enough))
        .await
}

/// Our own count of what an answer used.
pub async fn answer(
    aside: &Aside,
    observer: Observer,
    candidate: &Candidate,
    body: &RequestBody,
) -> (Option<Observer>, Option<Settled>) {
    let (model, body) = (candidate.upstream_model.clone(), body.clone());
    let count = move || {
        let settled = Settled::of(&observer, &model, || prompt_tokens(&model, &body, u64::MAX));
        (observer, settled)
    };
    match aside.run(count).await {
        Ok((observer, settled)) => (Some(observer), Some(settled)),
        Err(_) => (None, None),
    }
}

/// What the provider reported; estimated while it said that more would come. A failed attempt costs nothing,
/// unless its provider reported usage all the same.
pub fn reported(observer: &Observer) -> Option<Settled> {
    observer.usage().map(|usage| Settled {
        usage,
        served: observer.served().clone(),
        passes: observer.passes(),
        estimated: !observer.usage_final(),
    })
}

/// Slow: tens of megabytes a second.
fn prompt_tokens(model: &str, body: &RequestBody, enough: u64) -> u64 {
    let messages = match body.endpoint() {
        Endpoint::Generate(Surface::Completions | Surface::Embeddings) => 0,
        Endpoint::Generate(_) | Endpoint::CountTokens => 1,
    };
    let mut counter = PromptCounter::new(Encoding::of_model(model), messages).until_over(enough);
    let known = body.prompt_text(&mut |text| counter.push(text));
    counter.add(known);
    counter.total()
}
