//! Opening the file: who may, and whether it is one of ours.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::explain;
use super::{Options, Synchronous};
use crate::{Access, StoreError};

/// What makes each version of the schema out of the one before; the first, out of an empty file. What is released
/// is never edited.
///
/// All so far only add tables, triggers, and columns that need not be named, so that a gateway of an older version goes on beside
/// a command of a newer one that migrates its file (restarted, it refuses). One that changed more would have to leave
/// that to a gateway.
const MIGRATIONS: [&str; 9] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
    include_str!("migrations/6.sql"),
    include_str!("migrations/7.sql"),
    include_str!("migrations/8.sql"),
    include_str!("migrations/9.sql"),
];

/// The version of the schema that this program reads and writes.
const VERSION: i64 = 9;

/// Marks a file as this program's (`TGLB`).
const APPLICATION: i64 = 0x5447_4C42;

/// Statements kept prepared: more than there are in those who use it.
pub const STATEMENTS: usize = 104;

/// The log is cut to this size (bytes) after a checkpoint.
const LOG_SIZE: i64 = 64 << 20;

/// An open database.
pub(super) struct Opened {
    pub connection: Connection,
    /// Without links, so that two names of one file share one lock.
    pub path: PathBuf,
    /// A gateway's; let go when it is dropped.
    pub lock: Option<File>,
}

/// Opens it; a gateway takes the lock, unless the one before it has handed that over.
pub(super) fn open(
    path: &Path,
    options: Options,
    handed: Option<File>,
) -> Result<Opened, StoreError> {
    let failed = |error: io::Error| {
        StoreError::Away(format!(
            "the database {} cannot be opened: {error}",
            path.display()
        ))
    };
    let path = make(path).map_err(failed)?;
    let lock = match (handed, options.access) {
        (Some(handed), _) => Some(handed),
        (None, Access::Gateway) => Some(lock(&path)?),
        (None, Access::Command) => None,
    };
    let connection = connect(&path, options)?;
    Ok(Opened {
        connection,
        path,
        lock,
    })
}

/// Makes the file, if there is none, and its folders; only its owner may read it.
fn make(path: &Path) -> io::Result<PathBuf> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    private().open(path)?;
    fs::canonicalize(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Returns where the lock of a database is, whose path is without links.
pub fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let name = lock_path(path);
    let away = |error: io::Error| {
        StoreError::Away(format!(
            "the lock {} cannot be taken: {error}",
            name.display()
        ))
    };
    let file = private().open(&name).map_err(away)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(away(error)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Refused(format!(
            "another gateway has the database {} open (it holds {}): stop it first, give this one a \
             `ledger.sqlite.path` of its own, or let several replicas share money with `ledger.bank: redis`",
            path.display(),
            name.display()
        ))),
    }
}

fn connect(path: &Path, options: Options) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(options.timeout).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let version = examine(&connection, path)?;
    prepare(&connection, options).map_err(failed)?;
    if version < VERSION {
        migrate(&mut connection, path)?;
    }
    Ok(connection)
}

/// The version of the database, 0 if it is empty yet; an error if it is not one that this program can work with.
fn examine(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let read = || {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let tables = "SELECT count(*) FROM sqlite_schema";
        Ok((
            pragma("application_id")?,
            pragma("user_version")?,
            connection.query_row(tables, [], |row| row.get::<_, i64>(0))?,
        ))
    };
    let path_shown = path.display();
    match read().map_err(|error| explain(path, &error))? {
        (APPLICATION, version @ 1..=VERSION, _) => Ok(version),
        (0, 0, 0) => Ok(0),
        (APPLICATION, version, _) if version > VERSION => Err(StoreError::Corrupt(format!(
            "the database {path_shown} was written by a newer version of Tollgate (its format is {version}, \
             this one knows {VERSION}): run that version or a newer one, or restore the backup that was made \
             before the upgrade"
        ))),
        _ => Err(StoreError::Refused(format!(
            "{path_shown} is the database of another program: set `ledger.sqlite.path` to a file of its own"
        ))),
    }
}

/// Settings of this connection, and the write-ahead log, which is the file's.
fn prepare(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    let synchronous = match options.synchronous {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    // Answers with the mode it has; changing it needs the file for a moment, without SQLite's own waiting.
    let mut patience = 50;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Err(error) if patience > 0 && is_busy(&error) => {
                patience -= 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE)?;
    connection.pragma_update(None, "trusted_schema", false)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// Makes the tables that are missing, all or none, unless another process has done so since [`examine`].
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let version = examine(&transaction, path)?;
    let make = || {
        for (migration, makes) in MIGRATIONS.iter().zip(1..) {
            if makes > version {
                transaction.execute_batch(migration)?;
            }
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)
    };
    make().and_then(|()| transaction.commit()).map_err(failed)
}

/// The time that was acted on last (Unix ms); 0 if there is none.
pub(super) fn seen(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT at FROM clock", [], |row| {
        row.get(0).map(i64::cast_unsigned)
    })
}

/// Notes it.
pub(super) fn see(connection: &Connection, at: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE clock SET at = ?1")?
        .execute([at.cast_signed()])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file of the version before there was a clock in it says of the time.
    fn migrated(inserts: &str) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.db");
        let old = Connection::open(&path).unwrap();
        MIGRATIONS[..2]
            .iter()
            .for_each(|migration| old.execute_batch(migration).unwrap());
        old.execute_batch(inserts).unwrap();
        old.pragma_update(None, "application_id", APPLICATION)
            .unwrap();
        old.pragma_update(None, "user_version", 2).unwrap();
        drop(old);
        let options = Options {
            access: Access::Command,
            timeout: Duration::from_secs(10),
            synchronous: Synchronous::Normal,
        };
        let opened = open(&path, options, None).unwrap();
        seen(&opened.connection).unwrap()
    }

    #[test]
    fn an_older_file_says_what_is_known_to_have_happened() {
        let account = "INSERT INTO accounts (number, id) VALUES (1, 'a');";
        let grant = |created: u64| {
            format!(
                "{account} INSERT INTO grants (account, id, amount, remaining, expired, created, note)
                 VALUES (1, 'g', 1, 1, 0, {created}, '');"
            )
        };
        assert_eq!(migrated(""), 0, "nothing is known");
        assert_eq!(migrated(&grant(1_700_000_000)), 1_700_000_000_000);
        let event = "INSERT INTO events (account, from_ms, to_ms, count, bytes) VALUES (1, 1, 1700000000005, 1, x'')";
        let later = format!("{} {event}", grant(1_600_000_000));
        assert_eq!(migrated(&later), 1_700_000_000_005);
        let ahead = migrated(&grant(9_000_000_000));
        let now = tollgate_base::clock::wall_ms();
        assert!(
            (now - 60_000..=now).contains(&ahead),
            "not what is yet to come: {ahead}"
        );
    }

    #[test]
    fn released_migrations_are_as_they_were() {
        use sha2::Digest as _;
        assert_eq!(MIGRATIONS.len(), usize::try_from(VERSION).unwrap());
        let released = ["d6039bb2e312f5dacb379bb097093c22be378f7a840be3ccd09cddf01b48d45e"];
        for (migration, digest) in MIGRATIONS.iter().zip(released) {
            let is = sha2::Sha256::digest(migration);
            let is: String = is.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(is, digest, "files that were made by it are there");
        }
    }
}
