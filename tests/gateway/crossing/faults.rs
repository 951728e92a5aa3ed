//! Every fault before commit at a candidate of another API: the next one answers, in the client's words.

use futures::StreamExt;
use serde_json::json;

use super::api::{Api, Said};
use super::{offering, well};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Reading, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::{Act, Script};

/// Name, whether the client streams (`None`: both), how the provider reads, what it does.
type Fault = (&'static str, Option<bool>, Reading, Script);

fn faults(api: Api) -> Vec<Fault> {
    let whole = |name, stream, script| (name, stream, Reading::Whole, script);
    let json_head: &[(&str, &str)] = &[("content-type", "application/json")];
    let document = api.whole().to_string();
    let half = document[..document.len() / 2].to_owned();
    let short = Script::new()
        .length()
        .head(200, json_head)
        .data(half.clone())
        .wait(20)
        .cut()
        .data(document[document.len() / 2..].to_owned());
    let mut list = vec![
        ("reset-at-accept", None, Reading::Nothing, Script::new()),
        (
            "429-unread",
            None,
            Reading::Head,
            Script::error(429, "not even read"),
        ),
        whole("reset", None, Script::new().reset()),
        whole("closed", None, Script::new().cut()),
        whole("stream-reset", None, Script::new().then(Act::ResetStream)),
        whole("silent", None, Script::new().silence()),
        whole("stall", Some(true), Script::sse().silence()),
        whole(
            "stall-after-prelude",
            Some(true),
            Script::sse().data(api.prelude()).silence(),
        ),
        whole(
            "error-event",
            Some(true),
            Script::sse().data(api.error_event("no")),
        ),
        whole(
            "error-after-prelude",
            Some(true),
            Script::sse().data(api.prelude() + &api.error_event("no")),
        ),
        whole(
            "cut-early",
            Some(true),
            Script::sse().data(api.prelude()).wait(20).cut(),
        ),
        whole("reset-early", Some(true), Script::sse().wait(20).reset()),
        whole("empty-stream", Some(true), Script::sse()),
        whole(
            "prelude-only",
            Some(true),
            Script::sse().data(api.prelude()),
        ),
        whole(
            "malformed-event",
            Some(true),
            Script::sse().data("data: {\"half\n\n"),
        ),
        whole(
            "malformed-after-content",
            Some(true),
            Script::sse().data(api.start() + "data: {\"half\n\n"),
        ),
        whole(
            "not-json",
            Some(false),
            Script::new()
                .length()
                .head(200, &[])
                .data("<html>portal</html>"),
        ),
        whole(
            "no-answer",
            Some(false),
            Script::json(200, &json!({"hello": "world"})),
        ),
        whole(
            "no-body",
            Some(false),
            Script::new().length().head(200, json_head),
        ),
        whole(
            "error-inside",
            Some(false),
            Script::json(200, &api.error("no")),
        ),
        whole(
            "whole-stall",
            Some(false),
            Script::new()
                .head(200, json_head)
                .data(half.clone())
                .silence(),
        ),
        whole(
            "whole-cut",
            Some(false),
            Script::new().head(200, json_head).data(half).wait(20).cut(),
        ),
        whole("whole-short", Some(false), short),
    ];
    for status in [
        302, 400, 401, 402, 403, 404, 408, 409, 413, 422, 425, 429, 500, 503, 529,
    ] {
        list.push(whole(
            "status",
            None,
            Script::json(status, &api.error("no")),
        ));
    }
    list
}

async fn run(wire: Wire, version: Version) {
    let mut builder = Gateway::builder().tls();
    let mut fakes = Vec::new();
    let good = Fake::answering(wire, well).await;
    let unhurried = json!({"per_request": "50s", "stream_idle": "50s"});
    for api in Api::ALL {
        let mut entry = offering(&format!("good-{}", api.name()), &good, &[api]);
        entry["timeouts"] = unhurried.clone();
        builder = builder.provider(entry);
    }
    // A provider of its own for each, so that what one does to its key's health is its own affair.
    for client in Api::ALL {
        for bad in Api::ALL {
            for (index, (name, stream, reading, script)) in faults(bad).into_iter().enumerate() {
                // Faults of the client's own API are tested elsewhere; here some are, before one of another API.
                let some = ["closed", "silent", "error-event", "whole-cut", "429-unread"];
                if client == bad && !some.contains(&name) {
                    continue;
                }
                let id = format!("{}-{name}-{index}-{}", client.name(), bad.name());
                let waits = name.contains("stall") || name == "silent";
                let fake = Fake::with(wire, reading, move |_| script.clone()).await;
                let mut entry = offering(&id, &fake, &[bad]);
                if !waits {
                    entry["timeouts"] = unhurried.clone();
                }
                builder = builder.provider(entry);
                fakes.push((client, id, bad, stream, fake));
            }
        }
    }
    let waiting = json!({"timeouts": {"per_request": "700ms", "total": "100s", "hold": "90s"}});
    let gateway = builder.config(waiting).start().await;
    let cases = fakes.iter().enumerate();
    let checks = cases.map(|(index, (client, id, bad, stream, _))| {
        let client = *client;
        let gateway = &gateway;
        async move {
            let stream = stream.unwrap_or((index + client as usize).is_multiple_of(2));
            // One of the two candidates at least is of another API.
            let next = match Api::ALL[index % 3] {
                next if next == client && *bad == client => Api::ALL[(index + 1) % 3],
                next => next,
            };
            let next = format!("good-{}", next.name());
            let request = client.request(&[&format!("{id}:m"), &format!("{next}:m")], stream);
            let mut connection = Client::connect(version, gateway.at(version)).await;
            let case = format!("{client:?}, {id}, {next}, stream: {stream}");
            let answer = match connection.try_ask(&request).await {
                Ok(answer) => answer,
                Err(why) => return Some(format!("{case}: {why}")),
            };
            let right = answer.status() == 200
                && answer.clean
                && answer.header("x-tollgate-provider") == Some(&*next)
                && answer.header("x-tollgate-attempts") == Some("2")
                && client.said(&answer, stream) == Said::good(client)
                && (!stream || client.ended(&answer));
            if !right {
                return Some(format!(
                    "{case}: {} {:?} {}",
                    answer.status(),
                    answer.head.headers,
                    answer.text()
                ));
            }
            // The client's connection lives on.
            let again = client.request(&[&format!("{next}:m")], false);
            match connection.try_ask(&again).await {
                Ok(answer) if answer.status() == 200 => None,
                Ok(answer) => Some(format!("{case}, again: {}", answer.text())),
                Err(why) => Some(format!("{case}, again: {why}")),
            }
        }
    });
    let failed: Vec<String> = futures::stream::iter(checks)
        .buffer_unordered(12)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_candidate_answers_over_http1() {
    run(Wire::H1, Version::H1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_candidate_answers_over_http2() {
    run(Wire::TlsH2, Version::H2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_candidate_answers_over_tls_from_http1() {
    run(Wire::H1, Version::TlsH2).await;
}
