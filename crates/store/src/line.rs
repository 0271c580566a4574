//! One line of the log: what happened in which call and when, and the digest by which a replay is compared.

use std::{fmt, io, str::FromStr, sync::Arc, time::Duration};

use segue_call::{Action, CallId, Entry, Event};
use segue_trigger::Stage;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::StoreError;

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Whose line.
    pub call: CallId,
    /// Its number in the call. Numbers rise by one; a hole tells that lines were refused.
    pub seq: u64,
    /// When it happened, since the Unix epoch.
    pub at: Duration,
    /// What happened.
    pub what: What,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The call began. Should be promised: without it the call is in no listing and cannot be replayed.
    Opened {
        /// What the call was made from, as JSON (`CallStart`).
        start: serde_json::Value,
        /// The rules it follows.
        policy: Arc<PolicyText>,
        /// A digest of what the call did before anything happened to it.
        actions: ActionDigest,
    },
    /// Something happened to the call.
    Event {
        /// What.
        event: Event,
        /// What the call did about it, or only a digest of it.
        actions: ActionDigest,
    },
    /// The call itself wants something kept.
    Entry(Entry),
    /// The call was found unfinished after a restart and could not be taken up again.
    Lost,
}

/// The policy of calls, written down once and shared by every call that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    hash: String,
    body: String,
}

impl PolicyText {
    /// Writes a policy down.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] if it has no JSON form.
    pub fn new(policy: &impl Serialize) -> Result<Arc<Self>, StoreError> {
        let body =
            serde_json::to_string(policy).map_err(|error| StoreError::Unwritable(error.to_string()))?;
        Ok(Arc::new(Self { hash: hex::encode(Sha256::digest(body.as_bytes())), body }))
    }

    /// The SHA-256 of the text, in hex: equal policies have equal hashes.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The policy as JSON.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// A fingerprint of the actions that followed one event: their number and the SHA-256 of their JSON.
///
/// Two equal digests mean the same decisions, in the same order, with the same words and numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ActionDigest {
    actions: u32,
    sum: [u8; 16],
}

impl ActionDigest {
    /// Digests the actions of one event, in order.
    #[must_use]
    pub fn of(actions: &[Action]) -> Self {
        let mut sum = Sum(Sha256::new());
        for action in actions {
            if let Err(error) = serde_json::to_writer(&mut sum, action) {
                // No action has a form that JSON lacks; if one ever does, its error is as telling as its text.
                sum.0.update(error.to_string());
            }
            sum.0.update([b'\n']);
        }
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(sum.0.finalize()) {
            *to = from;
        }
        Self { actions: u32::try_from(actions.len()).unwrap_or(u32::MAX), sum: short }
    }

    /// How many actions there were.
    #[must_use]
    pub fn actions(&self) -> u32 {
        self.actions
    }
}

impl fmt::Display for ActionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.actions, hex::encode(self.sum))
    }
}

impl fmt::Debug for ActionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActionDigest({self})")
    }
}

impl FromStr for ActionDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (actions, sum) = text.split_once(':').ok_or("no colon in the digest")?;
        let mut short = [0; 16];
        hex::decode_to_slice(sum, &mut short).map_err(|error| error.to_string())?;
        Ok(Self { actions: actions.parse().map_err(|_| "no number in the digest")?, sum: short })
    }
}

struct Sum(Sha256);

impl io::Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line in the form of the table `log`, with what else it changes.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) call: CallId,
    pub(crate) seq: i64,
    pub(crate) at_ns: i64,
    pub(crate) kind: &'static str,
    pub(crate) actions: Option<String>,
    pub(crate) body: String,
    pub(crate) effect: Effect,
}

/// What a line changes beside the log.
#[derive(Debug)]
pub(crate) enum Effect {
    None,
    Opened(Arc<PolicyText>),
    Entry(Box<Entry>),
    Lost,
}

impl Row {
    pub(crate) fn new(line: LogLine, bytes_max: usize) -> Result<Self, StoreError> {
        let (kind, actions, body, effect) = match line.what {
            What::Opened { start, policy, actions } => {
                ("opened", Some(actions.to_string()), json(&start)?, Effect::Opened(policy))
            }
            What::Event { event, actions } => {
                (event_kind(&event), Some(actions.to_string()), json(&event)?, Effect::None)
            }
            What::Entry(entry @ (Entry::LegMeasured(_) | Entry::Echo { .. } | Entry::TranscriptGap(_))) => {
                ("entry", None, json(&entry)?, Effect::None)
            }
            What::Entry(entry) => ("entry", None, json(&entry)?, Effect::Entry(Box::new(entry))),
            What::Lost => ("lost", None, "null".to_owned(), Effect::Lost),
        };
        if body.len() > bytes_max {
            return Err(StoreError::TooLong { bytes: body.len(), max: bytes_max });
        }
        let seq = i64::try_from(line.seq)
            .map_err(|_| StoreError::Unwritable(format!("line number {}", line.seq)))?;
        Ok(Self { call: line.call, seq, at_ns: nanoseconds(line.at)?, kind, actions, body, effect })
    }

    /// Whether the line changes nothing but the log.
    pub(crate) fn stands_alone(&self) -> bool {
        matches!(self.effect, Effect::None)
    }

    /// What the line weighs in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + 256
    }
}

/// A final utterance has a kind of its own, so that a transcript is read without the partials.
fn event_kind(event: &Event) -> &'static str {
    if matches!(event, Event::Heard(utterance) if utterance.stage != Stage::Partial) {
        "heard"
    } else {
        "event"
    }
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unwritable(error.to_string()))
}

pub(crate) fn nanoseconds(at: Duration) -> Result<i64, StoreError> {
    i64::try_from(at.as_nanos()).map_err(|_| StoreError::Unwritable(format!("a time of {at:?} after 1970")))
}

/// Reads a time of the database; one before 1970 cannot have been written by us and reads as 1970.
pub(crate) fn time(at_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(at_ns).unwrap_or(0))
}
