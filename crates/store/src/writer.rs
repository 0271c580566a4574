//! The one writer: gathers lines, commits them together, answers the promises among them.
//!
//! A commit that fails loses its appended lines (counted) and fails its promises with the reason; the next commit
//! starts on a fresh connection. Nothing here can stop a call.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
};

use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    config::StoreConfig,
    effect::{TOGETHER, apply, insert, insert_together},
    error::StoreError,
    line::Row,
    schema::{self, Hold},
    store::{Counters, Weight},
};

/// Who waits for an answer.
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What handles tell the writer.
#[derive(Debug)]
pub(crate) enum Message {
    Line(Row, Weight),
    Promise(Row, Weight, Reply<()>),
    Flush(Reply<()>),
    Close(Reply<()>),
    Forget { before_ns: i64, calls_max: u32, reply: Reply<u64> },
}

/// Lines that are committed together, and what to do after the commit.
#[derive(Debug, Default)]
struct Group {
    lines: Vec<(Row, Weight, Option<Reply<()>>)>,
    /// Why the group was ended before its time.
    then: Option<Message>,
}

/// The part of the store that writes. Whoever opened the store owns it and runs it.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    config: Arc<StoreConfig>,
    connection: Option<SqliteConnection>,
    receiver: mpsc::Receiver<Message>,
    counters: Arc<Counters>,
    _hold: Hold,
}

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        config: Arc<StoreConfig>,
        (hold, connection): (Hold, SqliteConnection),
        receiver: mpsc::Receiver<Message>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { path, config, connection: Some(connection), receiver, counters, _hold: hold }
    }

    /// Writes until every handle is gone or [`Store::close`](crate::Store::close) is called. Must be driven by a task
    /// of its own: promises wait for it.
    pub async fn run(mut self) {
        while let Some(first) = self.receiver.recv().await {
            let group = self.gather(first).await;
            let outcome = self.store(group.lines).await;
            match group.then {
                None | Some(Message::Line(..) | Message::Promise(..)) => {}
                Some(Message::Flush(reply)) => answer(reply, outcome),
                Some(Message::Forget { before_ns, calls_max, reply }) => {
                    answer(reply, self.forget(before_ns, calls_max).await);
                }
                Some(Message::Close(reply)) => {
                    // What was handed over between the wish to close and now is still written.
                    self.receiver.close();
                    answer(reply, outcome.and(self.drain().await));
                    break;
                }
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the event log did not close cleanly; nothing that was promised is lost");
        }
    }

    /// Waits for company for the first line: until the group is full, its time is over, or somebody waits for it.
    async fn gather(&mut self, first: Message) -> Group {
        let mut group = Group::default();
        let deadline = Instant::now() + self.config.group_wait;
        let mut urgent = group.take(first);
        while group.then.is_none() && group.lines.len() < self.config.group_max {
            let next = if urgent {
                self.receiver.try_recv().ok()
            } else {
                tokio::select! {
                    next = self.receiver.recv() => next,
                    () = sleep_until(deadline) => None,
                }
            };
            let Some(next) = next else { break };
            urgent |= group.take(next);
        }
        group
    }

    async fn drain(&mut self) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        while let Some(first) = self.receiver.recv().await {
            let group = self.gather(first).await;
            outcome = outcome.and(self.store(group.lines).await);
            match group.then {
                None | Some(Message::Line(..) | Message::Promise(..)) => {}
                Some(Message::Flush(reply) | Message::Close(reply)) => answer(reply, outcome.clone()),
                Some(Message::Forget { reply, .. }) => answer(reply, Err(StoreError::Closed)),
            }
        }
        outcome
    }

    async fn store(&mut self, lines: Vec<(Row, Weight, Option<Reply<()>>)>) -> Result<(), StoreError> {
        if lines.is_empty() {
            return self
                .counters
                .trouble
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
                .map_or(Ok(()), Err);
        }
        let outcome = self.commit(&lines).await;
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        match &outcome {
            Ok(duplicates) => {
                self.counters.stored.fetch_add(count - u64::try_from(duplicates.len()).unwrap_or(0), Relaxed);
                self.counters.commits.fetch_add(1, Relaxed);
            }
            Err(error) => {
                tracing::error!(%error, lines = count, "a group of lines could not be stored");
                self.counters.failed.fetch_add(count, Relaxed);
                self.connection = None;
            }
        }
        *self.counters.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            outcome.as_ref().err().cloned();
        for (index, (row, weight, reply)) in lines.into_iter().enumerate() {
            drop(weight);
            let Some(reply) = reply else { continue };
            let kept = match &outcome {
                Ok(duplicates) if duplicates.contains(&index) => {
                    Err(StoreError::Duplicate { call: row.call, seq: u64::try_from(row.seq).unwrap_or(0) })
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.clone()),
            };
            answer(reply, kept);
        }
        outcome.map(|_| ())
    }

    /// Commits a group. Gives the places of the lines that were there already; they changed nothing.
    async fn commit(&mut self, lines: &[(Row, Weight, Option<Reply<()>>)]) -> Result<Vec<usize>, StoreError> {
        let connection = self.connected().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let mut duplicates = Vec::new();
        let mut done = 0;
        while let Some((row, _, _)) = lines.get(done) {
            let many = lines
                .get(done..done + TOGETHER)
                .filter(|many| many.iter().all(|(row, _, _)| row.stands_alone()));
            if let Some(many) = many
                && insert_together(&mut transaction, many.iter().map(|(row, _, _)| row)).await?
            {
                done += TOGETHER;
                continue;
            }
            if insert(&mut transaction, row).await? {
                apply(&mut transaction, row).await?;
            } else {
                tracing::error!(call = %row.call, seq = row.seq, "a line of this number is already stored");
                duplicates.push(done);
            }
            done += 1;
        }
        transaction.commit().await?;
        Ok(duplicates)
    }

    async fn connected(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::writer(&self.path, &self.config).await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn forget(&mut self, before_ns: i64, calls_max: u32) -> Result<u64, StoreError> {
        let connection = self.connected().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("CREATE TEMP TABLE IF NOT EXISTS gone (call TEXT PRIMARY KEY)")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM gone").execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO gone SELECT call FROM calls WHERE ended_ns < ?1 ORDER BY ended_ns LIMIT ?2")
            .bind(before_ns)
            .bind(calls_max)
            .execute(&mut *transaction)
            .await?;
        for statement in [
            "DELETE FROM log WHERE call IN (SELECT call FROM gone)",
            "DELETE FROM handoffs WHERE call IN (SELECT call FROM gone)",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        let calls = sqlx::query("DELETE FROM calls WHERE call IN (SELECT call FROM gone)")
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        sqlx::query("DELETE FROM policies WHERE hash NOT IN (SELECT policy FROM calls)")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(calls)
    }
}

impl Group {
    /// Takes a message in; true if somebody waits for the commit.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Line(row, weight) => {
                self.lines.push((row, weight, None));
                false
            }
            Message::Promise(row, weight, reply) => {
                self.lines.push((row, weight, Some(reply)));
                true
            }
            other @ (Message::Flush(_) | Message::Close(_) | Message::Forget { .. }) => {
                self.then = Some(other);
                true
            }
        }
    }
}

fn answer<T>(reply: Reply<T>, outcome: Result<T, StoreError>) {
    if reply.send(outcome).is_err() {
        tracing::debug!("nobody waits for this line any more");
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use segue_call::{CallId, Event};
    use tokio::task::JoinSet;

    use super::*;
    use crate::{ActionDigest, LogLine, Store, What};

    fn line(seq: u64, bytes: usize) -> LogLine {
        let event = Event::Customer([("note".to_owned(), "x".repeat(bytes))].into());
        let what = What::Event { event, actions: ActionDigest::of(&[]) };
        LogLine { call: CallId("a".to_owned()), seq, at: Duration::ZERO, what }
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_promise_loses_the_group_and_is_survived() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut writer) =
            Store::open(folder.path().join("segue.db"), StoreConfig::default()).await.unwrap();
        // SQLite keeps to this limit as it keeps to the end of a disk, with the same error.
        let connection = writer.connection.as_mut().unwrap();
        sqlx::query("PRAGMA max_page_count = 20").execute(connection).await.unwrap();
        let counters = Arc::clone(&writer.counters);
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        store.append(line(0, 10)).unwrap();
        assert_eq!(store.promise(line(1, 500_000)).await, Err(StoreError::DiskFull));
        assert_eq!(counters.failed.load(Relaxed), 2, "the group is one: its appended line is lost too");
        assert_eq!(store.health().trouble, Some(StoreError::DiskFull));
        // The next group starts on a fresh connection, where there is room again.
        assert_eq!(store.promise(line(2, 500_000)).await, Ok(()));
        assert_eq!(store.health().trouble, None);
        let call = CallId("a".to_owned());
        assert_eq!(
            store.events(&call, 0).await.unwrap().iter().map(|kept| kept.seq).collect::<Vec<_>>(),
            [2]
        );
    }
}
