//! The store on SQLite: put to what every store must do, and to what can befall a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect has failed"
)]

mod conformance;

use std::{path::Path, time::Duration};

use conformance::{call, event, keep, opened};
use segue_call::Event;
use segue_store::{Refused, Store, StoreConfig, StoreError, Writer};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// An open store, with the task that writes.
struct Opened {
    store: Store,
    _writer: JoinSet<()>,
    folder: TempDir,
}

async fn open() -> Opened {
    open_with(StoreConfig::default()).await
}

async fn open_with(config: StoreConfig) -> Opened {
    let folder = TempDir::new().unwrap();
    let (store, writer) = Store::open(folder.path().join("segue.db"), config).await.unwrap();
    Opened { store, _writer: running(writer), folder }
}

fn running(writer: Writer) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run());
    tasks
}

impl Opened {
    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("segue.db")
    }
}

async fn foreign_connection(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

conformance! { open:
    writing {
        a_kept_promise_can_be_read_at_once,
        a_kept_promise_keeps_what_was_appended_before_it,
        promises_that_come_together_share_commits,
        appended_lines_become_durable_by_themselves,
        a_line_under_a_used_number_is_refused_and_changes_nothing,
        a_used_number_among_many_lines_costs_none_of_the_others,
        a_line_that_is_too_long_is_refused,
        flush_waits_for_what_was_appended,
        a_closed_store_takes_nothing_and_has_lost_nothing,
        missing_lines_can_be_told,
    }
    listing {
        an_event_comes_back_exactly_as_it_was,
        a_transcript_has_the_final_words_alone,
        a_handoff_is_kept_with_its_brief_and_its_times,
        a_call_is_read_with_its_start_its_policy_and_its_record,
        calls_are_listed_newest_first_in_pages,
        a_listing_can_be_narrowed,
        the_agent_who_took_the_call_is_the_one_who_is_kept,
        a_lost_call_is_ended_once,
        old_calls_can_be_forgotten_and_no_others,
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_file_is_refused_and_the_first_goes_on() {
    let first = open().await;
    let second = Store::open(first.path(), StoreConfig::default()).await;
    assert_eq!(second.err(), Some(StoreError::InUse { path: first.path() }));
    first.store.promise(opened("a")).await.unwrap();
    first.store.close().await.unwrap();
    let mut tasks = first._writer;
    tasks.join_next().await;
    let (again, writer) =
        Store::open(first.folder.path().join("segue.db"), StoreConfig::default()).await.unwrap();
    let _tasks = running(writer);
    assert!(again.call(&call("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_reader_sees_what_a_running_gateway_writes_and_can_write_nothing() {
    let writing = open().await;
    let reading = Store::open_to_read(writing.path(), StoreConfig::default()).await.unwrap();
    writing.store.promise(opened("a")).await.unwrap();
    assert!(reading.call(&call("a")).await.unwrap().is_some());
    assert_eq!(reading.append(opened("b")), Err(Refused::Closed));
    assert_eq!(reading.promise(opened("b")).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_appends_and_keeps_room_for_promises() {
    let folder = TempDir::new().unwrap();
    let config = StoreConfig {
        queue_max: 10,
        queue_reserved: 4,
        promise_wait_max: Duration::from_millis(50),
        ..StoreConfig::default()
    };
    let (store, writer) = Store::open(folder.path().join("segue.db"), config).await.unwrap();
    // Nobody writes yet: the queue fills.
    let taken = (0..10).filter(|seq| store.append(event("a", *seq, Event::Alarm)).is_ok()).count();
    assert_eq!(taken, 6);
    assert_eq!(store.append(event("a", 6, Event::Alarm)), Err(Refused::Full));
    assert_eq!(store.promise(opened("b")).await, Err(StoreError::TooSlow));
    let health = store.health();
    assert_eq!((health.refused, health.queued), (5, 7));
    assert!(health.queued_bytes > 0);
    // The disk recovers: what was taken is written, the late promise too.
    let _tasks = running(writer);
    store.flush().await.unwrap();
    assert_eq!(store.events(&call("a"), 0).await.unwrap().len(), 6);
    assert!(store.call(&call("b")).await.unwrap().is_some());
    assert_eq!(store.health().queued_bytes, 0);
}

#[tokio::test]
async fn bytes_in_the_queue_are_limited_too() {
    let folder = TempDir::new().unwrap();
    let config = StoreConfig { queue_bytes_max: 1_000, ..StoreConfig::default() };
    let (store, _writer) = Store::open(folder.path().join("segue.db"), config).await.unwrap();
    let taken = (0..100).filter(|seq| store.append(event("a", *seq, Event::Alarm)).is_ok()).count();
    assert_eq!(taken, 3);
    assert_eq!(store.health().refused, 97);
}

#[tokio::test]
async fn a_database_that_another_program_holds_fails_a_promise_and_recovers() {
    let config = StoreConfig { busy_wait_max: Duration::from_millis(20), ..StoreConfig::default() };
    let opened_store = open_with(config).await;
    let store = &opened_store.store;
    let mut other = foreign_connection(&opened_store.path()).await;
    let hold = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(store.promise(opened("a")).await, Err(StoreError::Locked));
    assert_eq!(store.health().trouble, Some(StoreError::Locked));
    assert_eq!(store.health().failed, 1);
    hold.rollback().await.unwrap();
    store.promise(opened("a")).await.unwrap();
    assert_eq!(store.health().trouble, None);
}

#[tokio::test]
async fn a_file_of_another_program_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.db");
    let mut other = foreign_connection(&path).await;
    sqlx::query("CREATE TABLE theirs (x)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Store::open(&path, StoreConfig::default()).await.err();
    assert_eq!(refused, Some(StoreError::Foreign { path: path.clone() }));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let refused = Store::open_to_read(&path, StoreConfig::default()).await.err();
    assert_eq!(refused, Some(StoreError::Foreign { path }));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segue.db");
    std::fs::write(&path, "this is no database, but it is long enough to look for a header in it".repeat(50))
        .unwrap();
    let refused = Store::open(&path, StoreConfig::default()).await.err();
    assert!(matches!(refused, Some(StoreError::Damaged(_))), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_both_numbers() {
    let first = open().await;
    first.store.close().await.unwrap();
    let (path, mut tasks) = (first.path(), first._writer);
    tasks.join_next().await;
    let mut other = foreign_connection(&path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'later', 1, x'00', 0)",
    )
    .execute(&mut other)
    .await
    .unwrap();
    other.close().await.unwrap();
    let newer = StoreError::Newer { path: path.clone(), found: 99, known: 1 };
    assert_eq!(Store::open(&path, StoreConfig::default()).await.err(), Some(newer.clone()));
    assert_eq!(Store::open_to_read(&path, StoreConfig::default()).await.err(), Some(newer));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let refused = Store::open("/nonexistent/segue.db", StoreConfig::default()).await.err().unwrap();
    assert!(refused.to_string().contains("/nonexistent/segue.db"), "{refused}");
    let refused = Store::open_to_read("/nonexistent/segue.db", StoreConfig::default()).await.err().unwrap();
    assert!(refused.to_string().contains("no such file"), "{refused}");
}

#[tokio::test]
async fn a_damaged_line_is_named_and_the_others_can_be_read() {
    let opened_store = open().await;
    let store = &opened_store.store;
    keep(store, vec![opened("a"), event("a", 1, Event::Alarm), event("b", 1, Event::Alarm)]).await;
    let mut other = foreign_connection(&opened_store.path()).await;
    sqlx::query("UPDATE log SET body = '{\"event\":\"unheard_of\"}' WHERE call = 'a' AND seq = 1")
        .execute(&mut other)
        .await
        .unwrap();
    let error = store.events(&call("a"), 0).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { seq: 1, .. }), "{error}");
    assert_eq!(store.events(&call("b"), 0).await.unwrap().len(), 1);
}
