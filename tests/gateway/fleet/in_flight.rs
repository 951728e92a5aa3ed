//! A request keeps the snapshot it began with.

use tollgate_ledger::NanoUsd;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::{Script, chat_role, chat_stop, chat_usage, chat_word};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_key_is_deleted_ends_as_it_would_have_and_is_charged() {
    const WORDS: usize = 100;
    let redis = Process::start(&[]);
    let mut script = Script::sse().data(chat_role());
    for _ in 0..WORDS {
        script = script.data(chat_word("hello ")).wait(20);
    }
    let script = script
        .data(chat_stop())
        .data(chat_usage())
        .data("data: [DONE]\n\n");
    let fake = Fake::start(Wire::H1, script).await;
    // Nano-dollars for each token are thousands.
    let fee = json!({"ledger": {"processing_fee": 1}});
    let start = || replica(&redis).config(fee.clone()).fake("f", &fake).start();
    let (one, other) = (start().await, start().await);
    let (id, token) = create(&one).await;
    let mut request = Request::chat(&["m"], true).without("authorization");
    request = request.header("authorization", &format!("Bearer {token}"));
    let mut streams = Vec::new();
    // Whether the key is known is asked for with what costs nothing.
    let models = Request::get("/v1/models").without("authorization");
    let models = models.header("authorization", &format!("Bearer {token}"));
    for gateway in [&one, &other] {
        until(gateway.address, &models, 200, clock::now(), "known").await;
        let mut client = Client::connect(Version::H1, gateway.address).await;
        let head = client.begin(&request).await.unwrap();
        let first = client.read_until("hello").await;
        streams.push((client, head, first));
    }
    delete(&one, &id).await;
    let began = clock::now();
    for gateway in [&one, &other] {
        until(gateway.address, &models, 401, began, "deleted").await;
    }
    for (mut client, head, mut body) in streams {
        let answer = client.finish(head, began).await;
        assert!(answer.clean);
        assert!(
            answer.to_head > Duration::ZERO,
            "it went on after the key was gone"
        );
        body.extend_from_slice(&answer.body);
        let text = String::from_utf8(body).unwrap();
        assert_eq!(text.matches("hello").count(), WORDS);
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    }
    let bank = bank(&one);
    let end = clock::now() + crate::common::PATIENCE;
    // Each is 7 tokens and 3.
    let cost = NanoUsd(2 * 10_000);
    while bank.books("default").await.unwrap().spent != cost {
        let spent = bank.books("default").await.unwrap().spent;
        assert!(clock::now() < end, "{spent} is charged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        bank.books("default").await.unwrap().faults(),
        Vec::<String>::new()
    );
}
