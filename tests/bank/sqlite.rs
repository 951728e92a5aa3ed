//! The SQLite bank, in a folder of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Database};

use crate::contract::{Opened, Store};

#[async_trait]
impl Store for tempfile::TempDir {
    async fn fresh() -> Self {
        tempfile::tempdir().unwrap()
    }

    async fn open(&self) -> Opened {
        open(self, Access::Gateway)
    }

    async fn beside(&self) -> Opened {
        open(self, Access::Command)
    }
}

fn open(folder: &tempfile::TempDir, access: Access) -> Opened {
    let options = Options {
        access,
        timeout: Duration::from_secs(10),
        synchronous: Synchronous::Normal,
    };
    let worker = Worker::open(&folder.path().join("bank.db"), options).unwrap();
    Opened::on(&Database::Sqlite(Arc::new(worker)))
}
