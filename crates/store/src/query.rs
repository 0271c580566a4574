//! What can be asked of the log: calls newest first, one call, its transcript, its handoffs, its events.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use segue_acd::{AgentId, Language, QueueId};
use segue_call::{Brief, CallId, CallRecord, EndedBy, Entry, Event, HandoffState};
use segue_trigger::{Decision, Utterance};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    line::{ActionDigest, nanoseconds, time},
    store::Store,
};

/// Which calls to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Only those that have ended, or only those that have not.
    pub ended: Option<bool>,
    /// Only those whose last handoff is in this state.
    pub handoff: Option<HandoffState>,
    /// Only those that this agent was bridged to.
    pub agent: Option<AgentId>,
    /// Only those that began at this time or later, since the Unix epoch.
    pub since: Option<Duration>,
    /// Only those after this place in the listing, which is older.
    pub before: Option<Cursor>,
    /// How many, at most; 0 means as many as a page may hold.
    pub limit: u32,
}

/// A place in the listing of calls: between this call and the next older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the call began.
    pub opened: Duration,
    /// The call.
    pub call: CallId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.opened.as_nanos(), self.call)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (opened, call) = text.split_once('.').ok_or("a cursor is a number, a dot and a call id")?;
        let opened = opened.parse::<i64>().map_err(|_| "a cursor begins with a number")?;
        Ok(Self { opened: time(opened), call: CallId(call.to_owned()) })
    }
}

/// One page of calls.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    /// Newest first.
    pub calls: Vec<CallSummary>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// One call in a few words.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSummary {
    /// Which call.
    pub call: CallId,
    /// When it began, since the Unix epoch.
    pub opened: Duration,
    /// When it ended.
    pub ended: Option<Duration>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// Final utterances; known when the call has ended.
    pub utterances: Option<u32>,
    /// How many handoffs it had.
    pub handoffs: u32,
    /// Where the last handoff is, as far as it has been promised.
    pub handoff: Option<HandoffState>,
    /// The last handoff's primary reason, such as `explicit_request`.
    pub reason: Option<String>,
    /// The agent it was bridged to.
    pub agent: Option<AgentId>,
    /// The caller's number; empty if withheld.
    pub caller: String,
    /// The language the caller was spoken to in.
    pub language: Option<Language>,
}

/// One call as it was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCall {
    /// In a few words.
    pub summary: CallSummary,
    /// The number of the line that opened it.
    pub opened_seq: u64,
    /// What the call was made from, as JSON (`CallStart`).
    pub start: serde_json::Value,
    /// The rules it followed, as JSON ([`Followed`](crate::Followed)).
    pub policy: serde_json::Value,
    /// The hash of those rules.
    pub policy_hash: String,
    /// The digest of what the call did before anything happened to it.
    pub actions: ActionDigest,
    /// The sum of the call, when it has ended.
    pub record: Option<CallRecord>,
}

/// One handoff as it was kept. Times are since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredHandoff {
    /// Its number in the call, from 1.
    pub handoff: u32,
    /// Where it is, as far as it has been promised.
    pub state: HandoffState,
    /// When it was opened.
    pub opened: Duration,
    /// What fired.
    pub decision: Decision,
    /// The brief as it was when the handoff was opened.
    pub brief: Brief,
    /// The queue it waited in.
    pub queue: Option<QueueId>,
    /// When its wait began.
    pub since: Option<Duration>,
    /// The agent who was asked last.
    pub agent: Option<AgentId>,
    /// When the brief reached that agent.
    pub delivered: Option<Duration>,
    /// When the agent accepted.
    pub accepted: Option<Duration>,
    /// When the bridge closed.
    pub bridged: Option<Duration>,
    /// When the handoff was over.
    pub closed: Option<Duration>,
}

/// One event as it was kept, with what the call did about it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The line's number in the call.
    pub seq: u64,
    /// When it happened, since the Unix epoch.
    pub at: Duration,
    /// What happened.
    pub event: Event,
    /// The digest of the actions that followed.
    pub actions: ActionDigest,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Calls in the log.
    pub calls: u64,
    /// Calls that have not ended.
    pub open: u64,
}

impl Store {
    /// Lists calls, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn calls(&self, filter: &CallFilter) -> Result<CallPage, StoreError> {
        let page_max = self.config.page_max.max(1);
        let limit = if filter.limit == 0 { page_max } else { filter.limit.min(page_max) };
        let before = filter.before.as_ref();
        let rows = sqlx::query(
            "SELECT calls.*, opened.body ->> '$.caller.number' AS caller, opened.body ->> '$.language' AS language
             FROM calls
             JOIN log AS opened ON opened.call = calls.call AND opened.seq = calls.opened_seq
             WHERE (?1 IS NULL OR (ended_ns IS NOT NULL) = ?1)
               AND (?2 IS NULL OR handoff_state = ?2)
               AND (?3 IS NULL OR agent = ?3)
               AND opened_ns >= ?4
               AND (opened_ns, calls.call) < (?5, ?6)
             ORDER BY opened_ns DESC, calls.call DESC LIMIT ?7",
        )
        .bind(filter.ended)
        .bind(filter.handoff.as_ref().map(word).transpose()?)
        .bind(filter.agent.as_ref().map(|agent| agent.0.as_str()))
        .bind(filter.since.map(nanoseconds).transpose()?.unwrap_or(0))
        .bind(before.map(|cursor| nanoseconds(cursor.opened)).transpose()?.unwrap_or(i64::MAX))
        .bind(before.map_or("\u{10ffff}", |cursor| cursor.call.0.as_str()))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await?;
        let mut calls = rows.iter().map(summary).collect::<Result<Vec<_>, _>>()?;
        let more = calls.len() > limit as usize;
        calls.truncate(limit as usize);
        let next =
            calls.last().filter(|_| more).map(|last| Cursor { opened: last.opened, call: last.call.clone() });
        Ok(CallPage { calls, next })
    }

    /// Reads one call; `None` if it is not in the log.
    ///
    /// # Errors
    /// What the database says, or [`StoreError::Unreadable`].
    pub async fn call(&self, call: &CallId) -> Result<Option<StoredCall>, StoreError> {
        let row = sqlx::query(
            "SELECT calls.*, policies.body AS policy_body, opened.body AS start_body,
                    opened.body ->> '$.caller.number' AS caller, opened.body ->> '$.language' AS language,
                    opened.actions AS start_actions, record.body AS record_body
             FROM calls
             JOIN policies ON policies.hash = calls.policy
             JOIN log AS opened ON opened.call = calls.call AND opened.seq = calls.opened_seq
             LEFT JOIN log AS record ON record.call = calls.call AND record.seq = calls.record_seq
             WHERE calls.call = ?1",
        )
        .bind(&call.0)
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let opened_seq = whole(row.try_get("opened_seq")?);
        let actions: &str = row.try_get("start_actions")?;
        let record: Option<String> = row.try_get("record_body")?;
        let record = match record {
            None => None,
            Some(body) => {
                let seq = whole(row.try_get("record_seq")?);
                let Entry::CallRecord(record) = read(call, seq, &body)? else {
                    return Err(unreadable(call, seq, "it is not the sum of a call".to_owned()));
                };
                Some(record)
            }
        };
        Ok(Some(StoredCall {
            summary: summary(&row)?,
            opened_seq,
            start: read(call, opened_seq, row.try_get("start_body")?)?,
            policy: read(call, opened_seq, row.try_get("policy_body")?)?,
            policy_hash: row.try_get("policy")?,
            actions: actions.parse().map_err(|why| unreadable(call, opened_seq, why))?,
            record,
        }))
    }

    /// Reads every final utterance of a call, in the order in which it became final.
    ///
    /// # Errors
    /// What the database says, or [`StoreError::Unreadable`].
    pub async fn transcript(&self, call: &CallId) -> Result<Vec<Utterance>, StoreError> {
        let rows = sqlx::query("SELECT seq, body FROM log WHERE call = ?1 AND kind = 'heard' ORDER BY seq")
            .bind(&call.0)
            .fetch_all(&self.readers)
            .await?;
        let mut utterances = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Event::Heard(utterance) = read(call, whole(row.try_get("seq")?), row.try_get("body")?)? {
                utterances.push(utterance);
            }
        }
        Ok(utterances)
    }

    /// Reads the handoffs of a call, in order.
    ///
    /// # Errors
    /// What the database says, or [`StoreError::Unreadable`].
    pub async fn handoffs(&self, call: &CallId) -> Result<Vec<StoredHandoff>, StoreError> {
        let rows = sqlx::query(
            "SELECT handoffs.*, log.body FROM handoffs
             JOIN log ON log.call = handoffs.call AND log.seq = handoffs.opened_seq
             WHERE handoffs.call = ?1 ORDER BY handoff",
        )
        .bind(&call.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| stored_handoff(call, row)).collect()
    }

    /// Reads everything the call wanted kept, in order: line number, time since the Unix epoch, entry.
    ///
    /// # Errors
    /// What the database says, or [`StoreError::Unreadable`].
    pub async fn entries(&self, call: &CallId) -> Result<Vec<(u64, Duration, Entry)>, StoreError> {
        let rows =
            sqlx::query("SELECT seq, at_ns, body FROM log WHERE call = ?1 AND kind = 'entry' ORDER BY seq")
                .bind(&call.0)
                .fetch_all(&self.readers)
                .await?;
        rows.iter()
            .map(|row| {
                let seq = whole(row.try_get("seq")?);
                Ok((seq, time(row.try_get("at_ns")?), read(call, seq, row.try_get("body")?)?))
            })
            .collect()
    }

    /// Reads the events of a call from a line number on, in order, exactly as they were stored.
    ///
    /// # Errors
    /// What the database says, or [`StoreError::Unreadable`].
    pub async fn events(&self, call: &CallId, from_seq: u64) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at_ns, actions, body FROM log
             WHERE call = ?1 AND seq >= ?2 AND kind IN ('event', 'heard') ORDER BY seq",
        )
        .bind(&call.0)
        .bind(i64::try_from(from_seq).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let seq = whole(row.try_get("seq")?);
                let actions: &str = row.try_get("actions")?;
                let actions = actions.parse().map_err(|why| unreadable(call, seq, why))?;
                let event = read(call, seq, row.try_get("body")?)?;
                Ok(StoredEvent { seq, at: time(row.try_get("at_ns")?), event, actions })
            })
            .collect()
    }

    /// Finds line numbers of a call that are missing, as (first, last) of each hole: lines that were refused.
    ///
    /// # Errors
    /// What the database says.
    pub async fn holes(&self, call: &CallId) -> Result<Vec<(u64, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, before FROM (SELECT seq, lag(seq, 1, seq - 1) OVER (ORDER BY seq) AS before
             FROM log WHERE call = ?1) WHERE seq > before + 1 ORDER BY seq",
        )
        .bind(&call.0)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| Ok((whole(row.try_get("before")?) + 1, whole(row.try_get("seq")?) - 1)))
            .collect()
    }

    /// Counts calls.
    ///
    /// # Errors
    /// What the database says.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let row = sqlx::query(
            "SELECT count(*) AS calls, count(*) FILTER (WHERE ended_ns IS NULL) AS open FROM calls",
        )
        .fetch_one(&self.readers)
        .await?;
        Ok(Counts { calls: whole(row.try_get("calls")?), open: whole(row.try_get("open")?) })
    }
}

fn summary(row: &SqliteRow) -> Result<CallSummary, StoreError> {
    let call = CallId(row.try_get("call")?);
    let seq = whole(row.try_get("opened_seq")?);
    let ended: Option<i64> = row.try_get("ended_ns")?;
    Ok(CallSummary {
        opened: time(row.try_get("opened_ns")?),
        ended: ended.map(time),
        ended_by: from_word(&call, seq, row.try_get("ended_by")?)?,
        utterances: row.try_get("utterances")?,
        handoffs: row.try_get("handoffs")?,
        handoff: from_word(&call, seq, row.try_get("handoff_state")?)?,
        reason: row.try_get("handoff_code")?,
        agent: row.try_get::<Option<String>, _>("agent")?.map(AgentId),
        caller: row.try_get::<Option<String>, _>("caller")?.unwrap_or_default(),
        language: row.try_get::<Option<String>, _>("language")?.map(Language),
        call,
    })
}

fn stored_handoff(call: &CallId, row: &SqliteRow) -> Result<StoredHandoff, StoreError> {
    let seq = whole(row.try_get("opened_seq")?);
    let moment = |name: &str| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(name)?.map(time));
    let Entry::HandoffOpened { handoff, decision, brief } = read(call, seq, row.try_get("body")?)? else {
        return Err(unreadable(call, seq, "it is not the opening of a handoff".to_owned()));
    };
    let state = from_word(call, seq, row.try_get("state")?)?;
    Ok(StoredHandoff {
        handoff,
        state: state.ok_or_else(|| unreadable(call, seq, "a handoff without a state".to_owned()))?,
        opened: time(row.try_get("opened_ns")?),
        decision,
        brief: Arc::unwrap_or_clone(brief),
        queue: row.try_get::<Option<String>, _>("queue")?.map(QueueId),
        since: moment("since_ns")?,
        agent: row.try_get::<Option<String>, _>("agent")?.map(AgentId),
        delivered: moment("delivered_ns")?,
        accepted: moment("accepted_ns")?,
        bridged: moment("bridged_ns")?,
        closed: moment("closed_ns")?,
    })
}

/// The one word that stands for a plain enum's variant, as serde writes it.
pub(crate) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(StoreError::Unwritable(format!("{other} is not one word"))),
        Err(error) => Err(StoreError::Unwritable(error.to_string())),
    }
}

fn from_word<T: DeserializeOwned>(
    call: &CallId,
    seq: u64,
    word: Option<String>,
) -> Result<Option<T>, StoreError> {
    word.map(|word| serde_json::from_value(serde_json::Value::String(word)))
        .transpose()
        .map_err(|error| unreadable(call, seq, error.to_string()))
}

pub(crate) fn read<T: DeserializeOwned>(call: &CallId, seq: u64, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| unreadable(call, seq, error.to_string()))
}

pub(crate) fn unreadable(call: &CallId, seq: u64, why: String) -> StoreError {
    StoreError::Unreadable { call: call.clone(), seq, why }
}

fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
