use async_trait::async_trait;
use parking_lot::Mutex;
use tollgate_config::types;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Books, Exchange, NewGrant, Reply};
use tollgate_store::Access;

use super::*;

/// Is away for one account, has lost another's books, and notes who of the rest was given something.
#[derive(Default)]
struct Fickle(Mutex<Vec<String>>);

#[async_trait]
impl CreditStore for Fickle {
    async fn exchange(&self, _: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
        Vec::new()
    }

    async fn grant(&self, account: &str, _: &NewGrant) -> Result<bool, StoreError> {
        match account {
            "away" => Err(StoreError::Away("away".to_owned())),
            "spoilt" => Err(StoreError::Corrupt("spoilt".to_owned())),
            _ => {
                self.0.lock().push(account.to_owned());
                Ok(true)
            }
        }
    }

    async fn books(&self, _: &str) -> Result<Books, StoreError> {
        Ok(Books::default())
    }
}

fn change(accounts: &[&str]) -> Change {
    let with_grant = |id: &&str| Account {
        spec: types::Account {
            id: (*id).to_owned(),
            ..types::Account::default()
        },
        grants: vec![NewGrant {
            id: "welcome".to_owned(),
            amount: NanoUsd::DOLLAR,
            expires_after: None,
            note: String::new(),
        }],
    };
    Change {
        accounts: accounts.iter().map(with_grant).collect(),
        retention: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn one_account_without_books_does_not_keep_the_others_waiting() {
    let bank = Fickle::default();
    give(&bank, &change(&["a", "spoilt", "b"]).accounts).await;
    assert_eq!(*bank.0.lock(), ["a", "b"]);
}

#[tokio::test]
async fn only_the_newest_configuration_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let settings = tollgate_config::Ledger {
        bank: tollgate_config::BankChoice::Sqlite {
            path: dir.path().join("tollgate.db"),
        },
        ..Default::default()
    };
    let bank = Arc::new(Fickle::default());
    let working = Working {
        credits: bank.clone(),
        database: database::open(&settings, Access::Gateway).unwrap(),
    };
    let (changes, changed) = mpsc::unbounded_channel();
    let keep = tokio::spawn(keep(working, change(&["away", "first"]), changed));
    // It waits for a bank that is away when the next ones come.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for accounts in [&["second"], &["third"]] {
        assert!(changes.send(change(accounts)).is_ok());
    }
    for _ in 0..500 {
        if !bank.0.lock().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*bank.0.lock(), ["third"]);
    drop(changes);
    keep.await.unwrap();
}
