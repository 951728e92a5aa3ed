//! Every fault before commit × HTTP version of the client × wire to the provider × size of the body: the
//! next candidate answers, it got the body byte for byte, and the client's connection lives on.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;

use super::payload::Payload;
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Reading, Wire};
use crate::common::gateway::{Gateway, provider, provider_at};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_answer, chat_role, chat_word, openai_error};
use crate::common::sse;

const SMALL: usize = 300;
/// Many times a connection's window, and what the proxy itself keeps of a body.
const LARGE: usize = 2 << 20;
/// More than the kernel's buffers take from a sender, too: it is still being sent when its provider fails.
const LARGEST: usize = 20 << 20;
/// Tells a combination's requests apart; headers that the gateway does not know travel upstream.
const MARK: &str = "x-test-combination";

/// One way to fail.
struct Fault {
    name: &'static str,
    how: How,
    /// Whether the request asks for a stream; `None`: now so, now so.
    stream: Option<bool>,
    /// Whether the connection survives, so that the request must have been seen exactly once.
    seen: bool,
}

enum How {
    /// Nobody listens.
    Refused,
    /// The host's name does not resolve.
    NoSuchHost,
    /// The certificate is from an authority that the gateway has not heard of.
    Untrusted,
    /// Somebody listens.
    Fake(Reading, Script),
}

fn faults() -> Vec<Fault> {
    let fault = |name, stream, seen, how| Fault {
        name,
        how,
        stream,
        seen,
    };
    let whole = |script| How::Fake(Reading::Whole, script);
    let status = |name, status| fault(name, None, true, whole(Script::error(status, name)));
    let headers: &[(&str, &str)] = &[("content-type", "application/json")];
    let answer = chat_answer("half of this never arrives").to_string();
    let half = answer[..answer.len() / 2].to_owned();
    let declared = Script::new()
        .length()
        .head(200, headers)
        .data(half.clone())
        .wait(20)
        .cut();
    // The length that was promised counts what comes after the cut.
    let declared = declared.data(answer[answer.len() / 2..].to_owned());
    let error_event = format!("data: {}\n\n", openai_error("overloaded"));
    let context = "This model's maximum context length is 8192 tokens";
    vec![
        fault("refused", None, false, How::Refused),
        fault("dns", None, false, How::NoSuchHost),
        fault("untrusted", None, false, How::Untrusted),
        fault(
            "reset-at-accept",
            None,
            false,
            How::Fake(Reading::Nothing, Script::new()),
        ),
        fault(
            "reset-after-reading",
            None,
            false,
            whole(Script::new().reset()),
        ),
        fault(
            "closed-after-reading",
            None,
            false,
            whole(Script::new().cut()),
        ),
        fault(
            "stream-reset",
            None,
            false,
            whole(Script::new().then(Act::ResetStream)),
        ),
        fault(
            "429-unread",
            None,
            false,
            How::Fake(Reading::Head, Script::error(429, "not even read")),
        ),
        status("401", 401),
        status("402", 402),
        status("403", 403),
        status("408", 408),
        status("409", 409),
        status("429", 429),
        fault(
            "429-after",
            None,
            true,
            whole(Script::error_with(429, "later", &[("retry-after", "7")])),
        ),
        status("500", 500),
        status("503", 503),
        status("529", 529),
        fault(
            "400-context",
            None,
            true,
            whole(Script::error(400, context)),
        ),
        fault("silent", None, true, whole(Script::new().silence())),
        fault("stall", Some(true), true, whole(Script::sse().silence())),
        fault(
            "stall-after-role",
            Some(true),
            true,
            whole(Script::sse().data(chat_role()).silence()),
        ),
        fault(
            "slow-token",
            Some(true),
            true,
            whole(Script::sse().wait(5_000).data(chat_word("late"))),
        ),
        fault(
            "error-event",
            Some(true),
            true,
            whole(Script::sse().data(error_event)),
        ),
        fault(
            "cut-early",
            Some(true),
            false,
            whole(Script::sse().data(chat_role()).wait(20).cut()),
        ),
        fault(
            "reset-early",
            Some(true),
            false,
            whole(Script::sse().wait(20).reset()),
        ),
        fault("empty-stream", Some(true), true, whole(Script::sse())),
        fault(
            "not-json",
            Some(false),
            true,
            whole(
                Script::new()
                    .length()
                    .head(200, &[])
                    .data("<html>captive portal</html>"),
            ),
        ),
        fault(
            "whole-stall",
            Some(false),
            true,
            whole(
                Script::new()
                    .head(200, headers)
                    .data(half.clone())
                    .silence(),
            ),
        ),
        fault(
            "whole-cut",
            Some(false),
            false,
            whole(Script::new().head(200, headers).data(half).wait(20).cut()),
        ),
        fault("whole-short", Some(false), false, whole(declared)),
    ]
}

/// The size of a large body for a fault. The largest are for who does not read them, and for one who does; there is none for
/// what is said when a body was read, be it large or small: one of these stands for all.
fn large(fault: &Fault) -> Option<usize> {
    match (&fault.how, fault.name) {
        (How::Fake(Reading::Head | Reading::Nothing, _), _) | (_, "500") => Some(LARGEST),
        (How::Refused | How::NoSuchHost | How::Untrusted, _) => Some(LARGE),
        (_, "reset-after-reading" | "closed-after-reading" | "stream-reset") => Some(LARGE),
        (_, "429" | "silent" | "cut-early" | "whole-cut") => Some(LARGE),
        _ => None,
    }
}

fn small(_: &Fault) -> Option<usize> {
    Some(SMALL)
}

/// Runs every fault that has a body of some size over both upstream wires, for one HTTP version of the client; one that
/// is silent is waited for so long.
async fn run(version: Version, size: fn(&Fault) -> Option<usize>, waiting: &str, at_once: usize) {
    let mut fakes = Vec::new();
    let mut builder = Gateway::builder().tls();
    let unhurried = json!({"per_request": "50s", "stream_idle": "50s"});
    for (wire, wire_name) in [(Wire::H1, "h1"), (Wire::TlsH2, "h2")] {
        let good = Arc::new(Fake::good(wire, "the good one").await);
        let mut entry = provider(&format!("good-{wire_name}"), &good);
        entry["timeouts"] = unhurried.clone();
        builder = builder.provider(entry);
        for fault in faults() {
            let Some(size) = size(&fault) else { continue };
            let id = format!("{}-{wire_name}", fault.name);
            let (fake, mut entry) = match &fault.how {
                How::Refused => (None, provider_at(&id, &Fake::refused())),
                How::NoSuchHost => (None, provider_at(&id, "https://nonexistent.invalid/v1")),
                How::Untrusted => {
                    let fake = Fake::good(Wire::TlsH2, "never asked").await;
                    let entry = provider_at(&id, &fake.base_url());
                    (Some(fake), entry)
                }
                How::Fake(reading, script) => {
                    let script = script.clone();
                    let fake = Fake::with(wire, *reading, move |_| script.clone()).await;
                    let entry = provider(&id, &fake);
                    (Some(fake), entry)
                }
            };
            let waits = matches!(
                fault.name,
                "silent" | "stall" | "stall-after-role" | "slow-token" | "whole-stall"
            );
            if !waits {
                // On a busy machine, a large body may take longer than a short timeout.
                entry["timeouts"] = unhurried.clone();
            }
            builder = builder.provider(entry);
            fakes.push((
                id,
                format!("good-{wire_name}"),
                (fault, size),
                fake,
                Arc::clone(&good),
            ));
        }
    }
    let builder = builder
        .config(json!({"timeouts": {"per_request": waiting, "total": "100s", "hold": "90s"}}));
    let gateway = builder.start().await;
    let combinations =
        fakes
            .iter()
            .enumerate()
            .map(|(index, (id, good_id, (fault, size), fake, good))| {
                let stream = fault.stream.unwrap_or(index % 2 == 0);
                let gateway = &gateway;
                async move {
                    let outcome = combination(
                        gateway,
                        version,
                        *size,
                        stream,
                        (id, good_id),
                        fault,
                        (fake.as_ref(), good),
                    )
                    .await;
                    outcome
                        .err()
                        .map(|why| format!("{id} (stream: {stream}): {why}"))
                }
            });
    let failed: Vec<String> = futures::stream::iter(combinations)
        .buffer_unordered(at_once)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} of {} failed:\n{}",
        failed.len(),
        fakes.len(),
        failed.join("\n")
    );
}

async fn combination(
    gateway: &Gateway,
    version: Version,
    size: usize,
    stream: bool,
    (id, good_id): (&str, &str),
    fault: &Fault,
    (fake, good): (Option<&Fake>, &Fake),
) -> Result<(), String> {
    let payload = Payload::new(size, stream);
    let models = [format!("{id}:m"), format!("{good_id}:m")];
    let body = payload.sent([&models[0], &models[1]]);
    let request = Request::post("/v1/chat/completions", body).header(MARK, id);
    let mut client = Client::connect(version, gateway.at(version)).await;
    let answer = client.try_ask(&request).await?;
    let text = |answer: &crate::common::client::Answer| match stream {
        true => sse::chat_text(&answer.body),
        false => answer.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    };
    let same = |what: &str, is: &str, should: &str| match is == should {
        true => Ok(()),
        false => Err(format!(
            "{what} is {is:?}, not {should:?}; {} {}",
            answer.status(),
            answer.text()
        )),
    };
    same("the status", &answer.status().to_string(), "200")?;
    same("the text", &text(&answer), "the good one")?;
    same("a clean end", &answer.clean.to_string(), "true")?;
    same(
        "x-tollgate-provider",
        answer.header("x-tollgate-provider").unwrap_or("absent"),
        good_id,
    )?;
    same(
        "x-tollgate-attempts",
        answer.header("x-tollgate-attempts").unwrap_or("absent"),
        "2",
    )?;

    let arrived = good.take_with(MARK, id);
    same(
        "number of requests at the good candidate",
        &arrived.len().to_string(),
        "1",
    )?;
    payload
        .check(&arrived[0].body)
        .map_err(|why| format!("at the good candidate, {why}"))?;
    if let (Some(fake), How::Fake(reading, _)) = (fake, &fault.how) {
        let arrived = fake.take_with(MARK, id);
        if arrived.len() > 1 || (fault.seen && arrived.is_empty()) {
            return Err(format!(
                "the faulty candidate was asked {} times",
                arrived.len()
            ));
        }
        if let (Reading::Whole, Some(seen)) = (reading, arrived.first()) {
            payload
                .check(&seen.body)
                .map_err(|why| format!("at the faulty candidate, {why}"))?;
        }
    }

    let again = Request::chat(&[&models[1]], false);
    let again = client
        .try_ask(&again)
        .await
        .map_err(|why| format!("no second request on the connection: {why}"))?;
    same("the second status", &again.status().to_string(), "200")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_over_http1() {
    run(Version::H1, small, "700ms", 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_over_http2() {
    run(Version::H2, small, "700ms", 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_over_http1_with_tls() {
    run(Version::TlsH1, small, "700ms", 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_over_http2_with_tls() {
    run(Version::TlsH2, small, "700ms", 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_over_http1() {
    run(Version::H1, large, "2s", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_over_http2() {
    run(Version::H2, large, "2s", 4).await;
}
