//! The one writer: gathers lines, commits them together, answers the promises among them.
//!
//! A commit that fails loses its appended lines (counted) and fails its promises with the reason; the next commit
//! starts on a fresh connection. Nothing here can stop a call.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
};

use segue_call::{Entry, HandoffState};
use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    config::StoreConfig,
    error::StoreError,
    line::{Effect, Row},
    query::word,
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
        for (index, (row, _, _)) in lines.iter().enumerate() {
            if insert(&mut transaction, row).await? {
                apply(&mut transaction, row).await?;
            } else {
                tracing::error!(call = %row.call, seq = row.seq, "a line of this number is already stored");
                duplicates.push(index);
            }
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

/// Adds a line to the log; false if its number is taken.
async fn insert(connection: &mut SqliteConnection, row: &Row) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO log (call, seq, at_ns, kind, actions, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (call, seq) DO NOTHING",
    )
    .bind(&row.call.0)
    .bind(row.seq)
    .bind(row.at_ns)
    .bind(row.kind)
    .bind(row.actions.as_deref())
    .bind(&row.body)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn apply(connection: &mut SqliteConnection, row: &Row) -> Result<(), StoreError> {
    match &row.effect {
        Effect::None => {}
        Effect::Opened(policy) => {
            sqlx::query("INSERT INTO policies (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
                .bind(policy.hash())
                .bind(policy.body())
                .execute(&mut *connection)
                .await?;
            sqlx::query(
                "INSERT INTO calls (call, opened_ns, opened_seq, policy) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (call) DO NOTHING",
            )
            .bind(&row.call.0)
            .bind(row.at_ns)
            .bind(row.seq)
            .bind(policy.hash())
            .execute(connection)
            .await?;
        }
        Effect::Entry(entry) => apply_entry(connection, row, entry).await?,
        Effect::Lost => {
            sqlx::query(
                "UPDATE calls SET ended_ns = max(?2, opened_ns), ended_by = 'us' WHERE call = ?1 AND ended_ns IS NULL",
            )
            .bind(&row.call.0)
            .bind(row.at_ns)
            .execute(connection)
            .await?;
        }
    }
    Ok(())
}

async fn apply_entry(connection: &mut SqliteConnection, row: &Row, entry: &Entry) -> Result<(), StoreError> {
    match entry {
        Entry::HandoffOpened { handoff, decision, .. } => {
            sqlx::query(
                "INSERT INTO handoffs (call, handoff, state, opened_ns, opened_seq) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (call, handoff) DO NOTHING",
            )
            .bind(&row.call.0)
            .bind(handoff)
            .bind(word(&HandoffState::Requested)?)
            .bind(row.at_ns)
            .bind(row.seq)
            .execute(&mut *connection)
            .await?;
            sqlx::query("UPDATE calls SET handoffs = max(handoffs, ?2), handoff_code = ?3 WHERE call = ?1")
                .bind(&row.call.0)
                .bind(handoff)
                .bind(&decision.primary.code)
                .execute(&mut *connection)
                .await?;
            state(connection, row, *handoff, HandoffState::Requested).await
        }
        Entry::Ticket { handoff, queue, since } => {
            sqlx::query("UPDATE handoffs SET queue = ?3, since_ns = ?4 WHERE call = ?1 AND handoff = ?2")
                .bind(&row.call.0)
                .bind(handoff)
                .bind(&queue.0)
                .bind(crate::line::nanoseconds(*since)?)
                .execute(&mut *connection)
                .await?;
            state(connection, row, *handoff, HandoffState::Queued).await
        }
        Entry::BriefDelivered { handoff, agent, .. } => {
            // The first delivery to the agent in question counts; a rewritten brief does not move the time.
            sqlx::query(
                "UPDATE handoffs SET delivered_ns = CASE WHEN agent = ?3 THEN coalesce(delivered_ns, ?4) ELSE ?4 END,
                 agent = ?3 WHERE call = ?1 AND handoff = ?2",
            )
            .bind(&row.call.0)
            .bind(handoff)
            .bind(&agent.0)
            .bind(row.at_ns)
            .execute(&mut *connection)
            .await?;
            state(connection, row, *handoff, HandoffState::Offered).await
        }
        Entry::Accepted { handoff, agent } => {
            sqlx::query("UPDATE handoffs SET accepted_ns = ?3, agent = ?4 WHERE call = ?1 AND handoff = ?2")
                .bind(&row.call.0)
                .bind(handoff)
                .bind(row.at_ns)
                .bind(&agent.0)
                .execute(&mut *connection)
                .await?;
            state(connection, row, *handoff, HandoffState::Accepted).await
        }
        Entry::Bridged { handoff, agent } => {
            sqlx::query("UPDATE handoffs SET bridged_ns = ?3, agent = ?4 WHERE call = ?1 AND handoff = ?2")
                .bind(&row.call.0)
                .bind(handoff)
                .bind(row.at_ns)
                .bind(&agent.0)
                .execute(&mut *connection)
                .await?;
            sqlx::query("UPDATE calls SET agent = ?2 WHERE call = ?1")
                .bind(&row.call.0)
                .bind(&agent.0)
                .execute(&mut *connection)
                .await?;
            state(connection, row, *handoff, HandoffState::Bridged).await
        }
        Entry::HandoffClosed { handoff, state: last } => {
            sqlx::query("UPDATE handoffs SET closed_ns = ?3 WHERE call = ?1 AND handoff = ?2")
                .bind(&row.call.0)
                .bind(handoff)
                .bind(row.at_ns)
                .execute(&mut *connection)
                .await?;
            state(connection, row, *handoff, *last).await
        }
        Entry::CallRecord(record) => {
            sqlx::query(
                "UPDATE calls SET ended_ns = ?2, ended_by = ?3, utterances = ?4, record_seq = ?5 WHERE call = ?1",
            )
            .bind(&row.call.0)
            .bind(crate::line::nanoseconds(record.ended)?)
            .bind(word(&record.ended_by)?)
            .bind(record.utterances)
            .bind(row.seq)
            .execute(connection)
            .await?;
            Ok(())
        }
    }
}

/// Notes the state of a handoff, in its own row and in the call's.
async fn state(
    connection: &mut SqliteConnection,
    row: &Row,
    handoff: u32,
    state: HandoffState,
) -> Result<(), StoreError> {
    let state = word(&state)?;
    sqlx::query("UPDATE handoffs SET state = ?3 WHERE call = ?1 AND handoff = ?2")
        .bind(&row.call.0)
        .bind(handoff)
        .bind(&state)
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE calls SET handoff_state = ?3 WHERE call = ?1 AND handoffs = ?2")
        .bind(&row.call.0)
        .bind(handoff)
        .bind(&state)
        .execute(connection)
        .await?;
    Ok(())
}
