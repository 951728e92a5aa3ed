//! A database of the version before there were resources.

use super::*;
use crate::common::fake::{Fake, Wire};
use tollgate_ledger::NanoUsd;

/// The schema of version 1.
const OLD: &str = include_str!("../../../src/store/sqlite/migrations/1.sql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_first_version_is_migrated_with_its_money() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let fee = json!({"ledger": {"processing_fee": 1}});
    let mut gateway = managed().config(fee).fake("f", &fake).start().await;
    assert_eq!(
        ask(gateway.address, &chat(crate::common::TOKEN))
            .await
            .status(),
        200
    );
    gateway.stop().await;
    let path = gateway.path("data/tollgate.db");
    let before = bank(&gateway).books("default").await.unwrap();
    assert_eq!(before.spent, NanoUsd(10_000));

    // The same rows under the old schema, as the old program left them.
    let old = gateway.path("data/old.db");
    let database = rusqlite::Connection::open(&old).unwrap();
    database.execute_batch(OLD).unwrap();
    database
        .execute("ATTACH ?1 AS new", [path.to_str().unwrap()])
        .unwrap();
    let tables: Vec<String> = database
        .prepare(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut rows = 0;
    for table in &tables {
        database
            .execute(&format!("DELETE FROM main.{table}"), [])
            .unwrap();
        // Those of its own columns: later ones have more.
        let columns: String = database
            .query_row(
                "SELECT group_concat(name) FROM pragma_table_info(?1, 'main')",
                [table],
                |row| row.get(0),
            )
            .unwrap();
        let copy = format!("INSERT INTO main.{table} SELECT {columns} FROM new.{table}");
        rows += database.execute(&copy, []).unwrap();
    }
    let application: i64 = database
        .pragma_query_value(Some("new"), "application_id", |row| row.get(0))
        .unwrap();
    database.execute("DETACH new", []).unwrap();
    database
        .pragma_update(None, "application_id", application)
        .unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    drop(database);
    for name in ["tollgate.db-wal", "tollgate.db-shm"] {
        drop(std::fs::remove_file(gateway.path("data").join(name)));
    }
    std::fs::rename(&old, &path).unwrap();
    println!(
        "a database of version 1 with {} tables and {rows} rows",
        tables.len()
    );

    gateway.restart().await;
    let books = bank(&gateway).books("default").await.unwrap();
    assert_eq!(
        (books.spent, books.free + books.lent()),
        (before.spent, before.free + before.lent())
    );
    let (id, token) = create(&gateway).await;
    let answer = ask(gateway.address, &chat(&token)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    gateway.kill();
    gateway.restart().await;
    assert_eq!(ask(gateway.address, &chat(&token)).await.status(), 200);
    delete(&gateway, &id).await;
    gateway.stop().await;
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    let version: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert!(version > 1, "it is of version {version}");

    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", version + 1)
        .unwrap();
    let refused = gateway.command(&["run"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    for word in ["newer", "run that version", "backup"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
