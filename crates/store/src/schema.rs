//! Opening the database file: one gateway a file, our own files only, no newer schema than we know.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{config::StoreConfig, error::StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// `Segu` in ASCII, in the header of every database of ours (`PRAGMA application_id`).
const APPLICATION: i64 = 0x5365_6775;

/// Holds the file against other gateways while it lives. The system lets go when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Hold {
    _file: File,
}

pub(crate) fn hold(path: &Path) -> Result<Hold, StoreError> {
    let open_error =
        |error: std::io::Error| StoreError::Open { path: path.to_owned(), why: error.to_string() };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(open_error)?;
    match file.try_lock() {
        Ok(()) => Ok(Hold { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(open_error(error)),
    }
}

/// Opens the writer's connection, making or migrating the database.
pub(crate) async fn prepare(path: &Path, config: &StoreConfig) -> Result<SqliteConnection, StoreError> {
    let opened = |error: sqlx::Error| {
        let error = StoreError::from(error);
        if let StoreError::Database(why) = error {
            StoreError::Open { path: path.to_owned(), why }
        } else {
            error
        }
    };
    let mut connection =
        bare_options(path, config).create_if_missing(true).connect().await.map_err(opened)?;
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await?;
    if application != APPLICATION && (application != 0 || tables != 0) {
        connection.close().await?;
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    // Set before the first table: a crash in between leaves an empty file that is already ours.
    sqlx::query("PRAGMA application_id = 1399154549").execute(&mut connection).await?;
    connection.close().await?;
    let mut connection = writer(path, config).await?;
    MIGRATIONS.run(&mut connection).await.map_err(|error| migration_error(path, error))?;
    Ok(connection)
}

/// Opens the writer's connection to a database that is there already.
pub(crate) async fn writer(path: &Path, config: &StoreConfig) -> Result<SqliteConnection, StoreError> {
    Ok(writer_options(path, config).connect().await?)
}

pub(crate) fn readers(path: &Path, config: &StoreConfig) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(config.readers.max(1))
        .min_connections(0)
        .acquire_timeout(config.read_wait_max)
        .connect_lazy_with(bare_options(path, config).read_only(true))
}

/// Checks that a database that is only read is one of ours and not newer than this program.
pub(crate) async fn check_readable(path: &Path, readers: &SqlitePool) -> Result<(), StoreError> {
    if !path.is_file() {
        return Err(StoreError::Open { path: path.to_owned(), why: "there is no such file".to_owned() });
    }
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(readers).await?;
    if application != APPLICATION {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(readers)
        .await?;
    if found > newest() {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: newest() });
    }
    Ok(())
}

fn bare_options(path: &Path, config: &StoreConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(config.busy_wait_max)
        .disable_statement_logging()
}

fn writer_options(path: &Path, config: &StoreConfig) -> SqliteConnectOptions {
    bare_options(path, config)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", "67108864")
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn migration_error(path: &Path, error: MigrateError) -> StoreError {
    if let MigrateError::VersionMissing(found) = error
        && found > newest()
    {
        return StoreError::Newer { path: path.to_owned(), found, known: newest() };
    }
    if let MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) = error {
        return inner.into();
    }
    StoreError::Damaged(error.to_string())
}
