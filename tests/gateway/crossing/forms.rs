//! An answer of the other form than the one that was asked for, or that its head names: the client gets what it asked for.

use super::api::{Api, Said};
use super::{ask, offering};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::{Act, Script};

/// The same answer under another content type.
fn labelled(mut script: Script, label: &str) -> Script {
    for act in &mut script.acts {
        if let Act::Head(_, headers) = act {
            headers.retain(|(name, _)| name != "content-type");
            headers.push(("content-type".to_owned(), label.to_owned()));
        }
    }
    script
}

#[tokio::test]
async fn the_client_reads_the_form_that_it_asked_for() {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for provider in Api::ALL {
        for is_stream in [false, true] {
            for (at, label) in ["application/json", "text/event-stream", "text/plain"]
                .iter()
                .enumerate()
            {
                let script = labelled(provider.answer(is_stream), label);
                let fake = Fake::start(Wire::H1, script).await;
                let id = format!("{}-{is_stream}-{at}", provider.name());
                builder = builder.provider(offering(&id, &fake, &[provider]));
                fakes.push((id, fake));
            }
        }
    }
    let gateway = builder.start().await;
    for (id, fake) in &fakes {
        let mut asked = 0;
        for client in Api::ALL {
            for stream in [false, true] {
                let answer = ask(&gateway, &client.request(&[&format!("{id}:m")], stream)).await;
                let case = format!("{client:?} of {id}, stream {stream}: {}", answer.text());
                asked += 1;
                assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
                let right = if stream {
                    "text/event-stream"
                } else {
                    "application/json"
                };
                assert_eq!(answer.header("content-type"), Some(right), "{case}");
                assert_eq!(client.said(&answer, stream), Said::good(client), "{case}");
                assert!(!stream || client.ended(&answer), "{case}");
                assert_eq!(fake.count(), asked, "paid once; {case}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_become_the_other_form_is_no_answer() {
    let cut = Api::Chat.start();
    let broken = Fake::start(Wire::H1, Script::sse().data(cut)).await;
    let failing = Fake::start(
        Wire::H1,
        Script::sse().data(Api::Chat.start() + &Api::Chat.error_event("no")),
    )
    .await;
    let good = Fake::start(Wire::H1, Api::Chat.answer(false)).await;
    let gateway = Gateway::builder()
        .provider(offering("broken", &broken, &[Api::Chat]))
        .provider(offering("failing", &failing, &[Api::Chat]))
        .provider(offering("good", &good, &[Api::Chat]))
        .start()
        .await;
    for client in [Api::Chat, Api::Messages] {
        for bad in ["broken:m", "failing:m"] {
            let answer = ask(&gateway, &client.request(&[bad, "good:m"], false)).await;
            let case = format!("{client:?}, {bad}: {}", answer.text());
            assert_eq!(answer.status(), 200, "{case}");
            assert_eq!(answer.header("x-tollgate-provider"), Some("good"), "{case}");
        }
    }
}
