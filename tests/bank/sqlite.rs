//! The SQLite bank, in a folder of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tollgate::ledger::bank::sqlite::{Options, SqliteBank, Synchronous};
use tollgate::ledger::bank::{Access, Bank};

use crate::contract::Store;

#[async_trait]
impl Store for tempfile::TempDir {
    async fn fresh() -> Self {
        tempfile::tempdir().unwrap()
    }

    async fn open(&self) -> Arc<dyn Bank> {
        open(self, Access::Gateway)
    }

    async fn beside(&self, _open: &Arc<dyn Bank>) -> Arc<dyn Bank> {
        open(self, Access::Command)
    }
}

fn open(folder: &tempfile::TempDir, access: Access) -> Arc<dyn Bank> {
    let options = Options {
        access,
        timeout: Duration::from_secs(10),
        synchronous: Synchronous::Normal,
    };
    Arc::new(SqliteBank::open(&folder.path().join("bank.db"), options).unwrap())
}
