//! What is counted here: a prompt's tokens, and what an answer used whose provider does not say.

use std::sync::Arc;

use super::aside::{Aside, Undone};
use super::bill::Bill;
use tollgate_failover::Candidate;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::{Encoding, Observer, PromptCounter, Settled};
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Returns our own count of a prompt's tokens, or a figure over `enough` as soon as it is known to be over.
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

/// Returns the same for a request that was not let in yet.
///
/// # Errors
/// A refusal while as much of its account's work waits as may.
pub async fn before(
    aside: &Aside,
    model: &Arc<str>,
    body: &RequestBody,
    enough: u64,
) -> Result<u64, GatewayError> {
    aside.has_room()?;
    let counted = prompt(aside, model, body, enough).await;
    counted.map_err(|_| GatewayError::internal())
}

/// Returns our own count of what an answer used. Without one, `bill` costs its hold.
pub async fn answer(
    aside: &Aside,
    bill: &Bill,
    observer: Observer,
    candidate: &Candidate,
    body: &RequestBody,
) -> (Option<Observer>, Option<Settled>) {
    let (model, body) = (candidate.upstream_model.clone(), body.clone());
    let count = move || {
        let settled = Settled::of(&observer, &model, || prompt_tokens(&model, &body, u64::MAX));
        (observer, settled)
    };
    counted(aside, bill, count).await.unzip()
}

/// A count of what is owed. What it panics at must not be free.
async fn counted<T: Send + 'static>(
    aside: &Aside,
    bill: &Bill,
    count: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let counted = aside.run(count).await;
    if counted.is_err() {
        bill.costs_its_hold();
    }
    counted.ok()
}

/// Returns what the provider reported; estimated while it said that more would come. A failed attempt costs nothing,
/// unless its provider reported usage all the same.
pub fn reported(observer: &Observer) -> Option<Settled> {
    observer.usage().map(|usage| Settled {
        usage,
        served: observer.served().clone(),
        passes: observer.passes(),
        estimated: !observer.usage_final(),
    })
}

/// Slow: some ten milliseconds a megabyte.
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt as _;

    use super::*;
    use crate::proxy::aside::Room;
    use crate::proxy::bill::About;
    use tollgate_ledger::events::EventIds;
    use tollgate_wire::error::Code;

    #[tokio::test]
    async fn who_has_much_waiting_is_not_counted_for_before_it_is_let_in() {
        let room = Room::open(1).unwrap();
        let aside = room.of(&"a".into());
        let (end, held) = mpsc::channel::<()>();
        let mut works = Box::pin(aside.run(move || held.recv().ok()));
        assert!(works.as_mut().now_or_never().is_none());
        let body = r#"{"model":"m","messages":[{"role":"user","content":"one two"}]}"#;
        let endpoint = Endpoint::Generate(Surface::ChatCompletions);
        let body = RequestBody::parse(endpoint, body.into()).unwrap();
        let model = "m".into();
        let mut waiting = Vec::new();
        let refused = loop {
            let mut count = Box::pin(before(&aside, &model, &body, u64::MAX));
            if let Some(counted) = count.as_mut().now_or_never() {
                break counted.unwrap_err();
            }
            waiting.push(count);
            assert!(waiting.len() < 1_000, "all of them wait");
        };
        assert_eq!(refused.code, Code::Overloaded);
        // What was let in is counted all the same.
        let mut counted = Box::pin(prompt(&aside, &model, &body, u64::MAX));
        assert!(counted.as_mut().now_or_never().is_none());
        drop((end, waiting));
        assert!(counted.await.unwrap() > 0);
        assert!(before(&aside, &model, &body, u64::MAX).await.is_ok());
    }

    fn bill() -> Bill {
        let about = About {
            request_id: "r".into(),
            access_key: "k".into(),
            account: "a".into(),
            tags: None,
            tags_listed: false,
            surface: Surface::ChatCompletions,
            streams: false,
            answers: 1,
            prompts: 1,
            searches: 0,
            container_gb: 1,
            fee: 0,
            at: 0,
            ids: Arc::new(EventIds::new(1)),
        };
        Bill::free(about, None)
    }

    /// It was free.
    #[tokio::test]
    async fn an_answer_whose_count_panics_costs_its_hold() {
        let room = Room::open(1).unwrap();
        let aside = room.of(&"a".into());
        let (good, bad) = (bill(), bill());
        assert_eq!(counted(&aside, &good, || 7).await, Some(7));
        assert!(!good.is_blind());
        let panics = || -> u64 { panic!("on purpose") };
        assert_eq!(counted(&aside, &bad, panics).await, None);
        assert!(bad.is_blind());
    }
}
