//! Replays a call from its log: the same events at the same times must lead to the same decisions.
//!
//! The log holds a digest of the actions that followed each event, so a difference is found at the very event where
//! it begins. With another policy the first difference is the answer to "what would have happened".

use std::time::Duration;

use segue_call::{Action, Event};

use crate::{line::ActionDigest, query::StoredEvent};

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
