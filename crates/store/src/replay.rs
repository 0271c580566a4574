//! Replays a call from its log: the same events at the same times must lead to the same decisions.
//!
//! The log holds a digest of the actions that followed each event, so a difference is found at the very event where
//! it begins. With another policy the first difference is the answer to "what would have happened".

use std::{iter, sync::Arc, time::Duration};

use segue_call::{Action, Call, CallId, CallStart, Event, Policy};
use segue_trigger::{RuleSet, Rules};
use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    line::ActionDigest,
    query::{StoredEvent, unreadable},
    store::Store,
};

/// The rules of a call, as they are written down in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// How the call is controlled.
    pub policy: Policy,
    /// What fires a handoff.
    pub rules: Rules,
}

/// What a replay showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Events that were given to the call.
    pub events: usize,
    /// Actions that it took.
    pub actions: usize,
    /// Where its decisions were others than those stored, in order; empty if they were the same.
    pub differences: Vec<Difference>,
}

impl Replay {
    /// Whether every decision was the same.
    #[must_use]
    pub fn same(&self) -> bool {
        self.differences.is_empty()
    }
}

/// An event after which the call did something else than it once did.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The line's number in the call.
    pub seq: u64,
    /// When it happened, since the Unix epoch.
    pub at: Duration,
    /// The event.
    pub event: Event,
    /// The digest of what was done then.
    pub then: ActionDigest,
    /// What is done now.
    pub now: Vec<Action>,
}

/// Gives stored events to a call, one by one, and compares what it does with what it did.
///
/// `drive` hands one event to the call, as of the given time, and takes every action that follows.
pub fn replay(
    events: impl IntoIterator<Item = StoredEvent>,
    mut drive: impl FnMut(Duration, Event) -> Vec<Action>,
) -> Replay {
    let mut outcome = Replay { events: 0, actions: 0, differences: Vec::new() };
    for StoredEvent { seq, at, event, actions: then } in events {
        let now = drive(at, event.clone());
        outcome.events += 1;
        outcome.actions += now.len();
        if ActionDigest::of(&now) != then {
            outcome.differences.push(Difference { seq, at, event, then, now });
        }
    }
    outcome
}

impl Store {
    /// Replays a call with the rules it followed, or with others; `None` if it is not in the log. A call that lost
    /// lines ([`Store::holes`]) is replayed up to the first hole: beyond it nothing is sure.
    ///
    /// # Errors
    /// What the database says, or [`StoreError::Unreadable`] if the call or its rules cannot be made again.
    pub async fn replay(&self, call: &CallId, with: Option<Followed>) -> Result<Option<Replay>, StoreError> {
        let Some(stored) = self.call(call).await? else { return Ok(None) };
        let unreadable = |why: String| unreadable(call, stored.opened_seq, why);
        let start: CallStart =
            serde_json::from_value(stored.start).map_err(|error| unreadable(error.to_string()))?;
        let Followed { policy, rules } = match with {
            Some(followed) => followed,
            None => serde_json::from_value(stored.policy).map_err(|error| unreadable(error.to_string()))?,
        };
        let rules = RuleSet::new(&rules).map_err(|error| unreadable(error.to_string()))?;
        let (at, mut again) = (start.at, Call::new(start, Arc::new(policy), Arc::new(rules)));
        let first: Vec<Action> = iter::from_fn(|| again.poll_action()).collect();
        let mut events = self.events(call, 0).await?;
        if let Some((missing, _)) = self.holes(call).await?.first() {
            events.retain(|event| event.seq < *missing);
        }
        let mut outcome = replay(events, |now, event| {
            again.handle(now, event);
            iter::from_fn(|| again.poll_action()).collect()
        });
        outcome.actions += first.len();
        if ActionDigest::of(&first) != stored.actions {
            // What a call does at its door follows no event; an alarm stands for it.
            let (seq, event, then) = (stored.opened_seq, Event::Alarm, stored.actions);
            outcome.differences.insert(0, Difference { seq, at, event, then, now: first });
        }
        Ok(Some(outcome))
    }
}
