//! Where no usage comes, an answer that was left costs what was held for it, or what was counted if that is more.

use super::*;
use house::{House, Then, grace, left};

/// Leaves an answer of every API after so many words, and does not ask for more than so many tokens.
async fn costs_the_larger(wire: Wire, then: Then, (words, most): (usize, u64)) {
    let (label, blind) = then.ends();
    let short = if label == "time" { "300ms" } else { "20s" };
    let house = House::new(wire, words, then, grace(short)).await;
    let (gateway, bank) = (&house.gateway, bank(&house.gateway));
    let mut left_so = Vec::new();
    for (index, (client, provider)) in Talk::pairs().into_iter().enumerate() {
        let version = [Version::H1, Version::H2][index % 2];
        let id = format!("{}-{}-{}", client.name(), provider.name(), then.name());
        let request = client.request(provider, true, most, &id);
        let held = left(gateway, version, &request).await;
        if label != "time" {
            read_on(gateway, 1).await;
        }
        house.gates.open(&id);
        settled(gateway).await;
        assert_eq!(ended(gateway, label), index + 1, "{id}");
        left_so.push((id, held));
    }
    let all = told_of(&bank, left_so.iter().map(|(id, _)| id.as_str())).await;
    let mut spent = 0;
    for (id, held) in left_so {
        let told = &all[&id];
        let case = format!("{id} from {wire:?}, {words} words: {told:?}, {held} held");
        let counted = told.price();
        assert!(
            told.output >= i64::try_from(words).unwrap() && told.input > 0,
            "{case}"
        );
        assert_eq!(counted > held, words > MOST, "{case}");
        let due = if blind { counted.max(held) } else { counted };
        assert_eq!((told.cost, told.estimated), (due, true), "{case}");
        assert_eq!(told.outcome, "client_gone", "{case}");
        spent += due;
    }
    at_rest(gateway).await;
    books(gateway, NanoUsd(spent)).await;
}

/// More words than these cost more than what is held for a short answer.
const MOST: usize = 100;

/// A short answer that may be long, and a long one that was to be short.
const LENGTHS: [(usize, u64); 2] = [(1, 1_000), (1_500, 1)];

async fn all_cost_the_larger(wire: Wire, thens: &[Then], lengths: &[(usize, u64)]) {
    let cases = thens.iter().flat_map(|then| {
        let lengths = lengths.iter();
        lengths.map(|length| costs_the_larger(wire, *then, *length))
    });
    futures::future::join_all(cases).await;
}

#[tokio::test]
async fn a_provider_that_never_reports_is_paid_at_least_what_was_held() {
    all_cost_the_larger(Wire::H1, &[Then::Silence, Then::End], &LENGTHS).await;
}

#[tokio::test]
async fn a_provider_that_goes_on_for_ever_is_not_read_for_ever() {
    all_cost_the_larger(Wire::H1, &[Then::Words, Then::Pings], &LENGTHS).await;
}

#[tokio::test]
async fn what_the_provider_breaks_off_costs_what_came() {
    let breaks = [Then::Cut, Then::Reset, Then::Failure];
    all_cost_the_larger(Wire::H1, &breaks, &LENGTHS).await;
}

#[tokio::test]
async fn over_http2_it_is_the_same() {
    all_cost_the_larger(Wire::TlsH2, &Then::ALL, &LENGTHS[..1]).await;
}
