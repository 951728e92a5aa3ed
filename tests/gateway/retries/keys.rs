//! Keys that are none, too many keys, and answers that are too long.

use super::*;
use tollgate_store::Database;

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let fake = Fake::good(Wire::H1, TEXT).await;
    let gateway = gateway(&fake).start().await;
    let longest = "k".repeat(255);
    let twice = keyed("b", keyed("a", chat(false)));
    let bad = ["", "a b", "\u{e9}", &"k".repeat(256)].map(|key| keyed(key, chat(false)));
    for request in bad.iter().chain([&twice]) {
        let answer = ask(&gateway, request).await;
        let (status, code) = (answer.status(), answer.code());
        assert_eq!(
            (status, &*code),
            (400, "ERR_TOLLGATE_3801"),
            "{:?}",
            request.headers
        );
    }
    assert_eq!(fake.count(), 0);
    for key in [
        &*longest,
        "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
        "../{}';--",
    ] {
        for expected in [None, Some("replayed")] {
            let answer = ask(&gateway, &keyed(key, chat(false))).await;
            assert_eq!((answer.status(), how(&answer)), (200, expected), "{key}");
        }
    }
    assert_eq!(fake.count(), 3);
}

#[tokio::test]
async fn the_oldest_answers_go_first() {
    let fake = Fake::good(Wire::H1, TEXT).await;
    let most = json!({"kept_answers": {"most": 20}});
    let gateway = gateway(&fake).config(most).start().await;
    let mut client = Client::connect(Version::H2, gateway.address).await;
    for n in 0..200 {
        let answer = client.ask(&keyed(&format!("k{n}"), chat(false))).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    let Database::Sqlite(worker) = gateway.database() else {
        panic!("another bank")
    };
    let count = worker.read(|at| {
        let count = "SELECT count(*) FROM claims";
        at.connection
            .query_row(count, [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(count.await, Ok(20));
    for (key, expected) in [("k199", Some("replayed")), ("k0", None)] {
        let answer = client.ask(&keyed(key, chat(false))).await;
        assert_eq!(how(&answer), expected, "{key}");
    }
}

/// It was charged, and is not again.
#[tokio::test]
async fn an_answer_that_is_too_long_is_not_kept() {
    let fake = Fake::start(
        Wire::H1,
        Script::json(200, &chat_answer(&"x".repeat(9 << 20))),
    )
    .await;
    let gateway = gateway(&fake).start().await;
    let request = keyed("k", chat(false));
    let first = ask(&gateway, &request).await;
    assert!(first.clean && first.body.len() > 9 << 20);
    assert!(eventually(PATIENCE, || gateway.access_log().len() == 1).await);
    let again = ask(&gateway, &request).await;
    assert_eq!((again.status(), &*again.code()), (409, "ERR_TOLLGATE_3828"));
    assert_eq!((again.header("retry-after"), fake.count()), (None, 1));
    charged(&gateway, 1).await;
}
