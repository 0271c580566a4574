//! What a line changes in the tables: itself in the log, and the rows of its call and its handoff.

use std::sync::LazyLock;

use segue_call::{CallRecord, Entry, HandoffState};
use sqlx::SqliteConnection;

use crate::{
    error::StoreError,
    line::{Effect, Row, nanoseconds},
    query::word,
};

/// Lines that are added by one statement: most of the cost of a line is the way to the database and back.
pub(crate) const TOGETHER: usize = 16;

static INSERT_TOGETHER: LazyLock<String> = LazyLock::new(|| {
    let values = ["(?, ?, ?, ?, ?, ?)"; TOGETHER].join(", ");
    format!("INSERT INTO log (call, seq, at_ns, kind, actions, body) VALUES {values}")
});

/// Adds [`TOGETHER`] lines to the log; false if the number of one is taken, and then none is added.
pub(crate) async fn insert_together<'a>(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<bool, StoreError> {
    let sql: &'static str = INSERT_TOGETHER.as_str();
    let mut query = sqlx::query(sql);
    for row in rows {
        query = query
            .bind(&row.call.0)
            .bind(row.seq)
            .bind(row.at_ns)
            .bind(row.kind)
            .bind(row.actions.as_deref())
            .bind(&row.body);
    }
    match query.execute(connection).await {
        Ok(_) => Ok(true),
        Err(error) if error.as_database_error().is_some_and(|inner| inner.is_unique_violation()) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Adds a line to the log; false if its number is taken.
pub(crate) async fn insert(connection: &mut SqliteConnection, row: &Row) -> Result<bool, StoreError> {
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

pub(crate) async fn apply(connection: &mut SqliteConnection, row: &Row) -> Result<(), StoreError> {
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
            open_handoff(connection, row, *handoff, &decision.primary.code).await?;
            state(connection, row, *handoff, HandoffState::Requested).await
        }
        Entry::Ticket { handoff, queue, since } => {
            sqlx::query("UPDATE handoffs SET queue = ?3, since_ns = ?4 WHERE call = ?1 AND handoff = ?2")
                .bind(&row.call.0)
                .bind(handoff)
                .bind(&queue.0)
                .bind(nanoseconds(*since)?)
                .execute(&mut *connection)
                .await?;
            state(connection, row, *handoff, HandoffState::Queued).await
        }
        Entry::BriefDelivered { handoff, agent, .. } => {
            // The first delivery to the agent in question counts; a rewritten brief does not move the time.
            let statement =
                "UPDATE handoffs SET delivered_ns = CASE WHEN agent = ?3 THEN coalesce(delivered_ns, ?4) ELSE ?4 END,
                 agent = ?3 WHERE call = ?1 AND handoff = ?2";
            with_agent(connection, row, statement, (*handoff, &agent.0)).await?;
            state(connection, row, *handoff, HandoffState::Offered).await
        }
        Entry::Accepted { handoff, agent } => {
            let statement =
                "UPDATE handoffs SET agent = ?3, accepted_ns = ?4 WHERE call = ?1 AND handoff = ?2";
            with_agent(connection, row, statement, (*handoff, &agent.0)).await?;
            state(connection, row, *handoff, HandoffState::Accepted).await
        }
        Entry::Bridged { handoff, agent } => {
            let statement =
                "UPDATE handoffs SET agent = ?3, bridged_ns = ?4 WHERE call = ?1 AND handoff = ?2";
            with_agent(connection, row, statement, (*handoff, &agent.0)).await?;
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
        Entry::LegMeasured(_) | Entry::Echo { .. } | Entry::TranscriptGap(_) => Ok(()),
        Entry::CallRecord(record) => end_call(connection, row, record).await,
    }
}

async fn end_call(
    connection: &mut SqliteConnection,
    row: &Row,
    record: &CallRecord,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE calls SET ended_ns = ?2, ended_by = ?3, utterances = ?4, record_seq = ?5 WHERE call = ?1",
    )
    .bind(&row.call.0)
    .bind(nanoseconds(record.ended)?)
    .bind(word(&record.ended_by)?)
    .bind(record.utterances)
    .bind(row.seq)
    .execute(connection)
    .await?;
    Ok(())
}

async fn open_handoff(
    connection: &mut SqliteConnection,
    row: &Row,
    handoff: u32,
    code: &str,
) -> Result<(), StoreError> {
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
        .bind(code)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes when an agent did something: ?3 is the agent, ?4 the time.
async fn with_agent(
    connection: &mut SqliteConnection,
    row: &Row,
    statement: &'static str,
    (handoff, agent): (u32, &str),
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(&row.call.0)
        .bind(handoff)
        .bind(agent)
        .bind(row.at_ns)
        .execute(connection)
        .await?;
    Ok(())
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
