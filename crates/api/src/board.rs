//! What live calls look like, kept up from their actions. The call tasks write, requests read.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use segue_acd::Language;
use segue_call::{Action, CallId};

use crate::{
    desk::{CallFound, CallQuery, CallsFound},
    snapshot::{CallOutline, CallSnapshot},
};

/// The live calls. Holds as many as the gateway does, so its limit is the gateway's.
#[derive(Debug, Default)]
pub struct Board {
    calls: Mutex<BTreeMap<CallId, CallSnapshot>>,
}

impl Board {
    /// Puts a call on the board. `at` is since the Unix epoch; `caller` is the number, empty if withheld.
    pub fn open(&self, id: CallId, at: Duration, caller: String, language: Language) {
        self.calls().insert(id.clone(), CallSnapshot::new(id, at, caller, language));
    }

    /// Notes what a call does, at a time since the Unix epoch. Every action may be shown; those that change no
    /// picture, and those of a call that is not on the board, are passed over.
    pub fn see(&self, call: &CallId, at: Duration, action: &Action) {
        if let Some(snapshot) = self.calls().get_mut(call) {
            snapshot.see(at, action);
        }
    }

    /// Notes the bot's own confidence in 0..=1.
    pub fn confidence(&self, call: &CallId, confidence: f32) {
        if let Some(snapshot) = self.calls().get_mut(call) {
            snapshot.bot_confidence = Some(confidence);
        }
    }

    /// Takes a call off the board and gives its last picture.
    pub fn close(&self, call: &CallId) -> Option<CallSnapshot> {
        self.calls().remove(call)
    }

    /// The picture of one live call.
    #[must_use]
    pub fn call(&self, call: &CallId) -> Option<CallSnapshot> {
        self.calls().get(call).cloned()
    }

    /// How many calls are on the board.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls().is_empty()
    }

    /// The live calls that a query wants, newest first.
    #[must_use]
    pub fn list(&self, query: &CallQuery) -> CallsFound {
        let mut calls: Vec<CallOutline> = self
            .calls()
            .values()
            .map(|call| &call.outline)
            .filter(|call| query.wants(call))
            .cloned()
            .collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.place()));
        let limit = query.limit.max(1) as usize;
        let more = calls.len() > limit;
        calls.truncate(limit);
        CallsFound { calls, more }
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<CallId, CallSnapshot>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallQuery {
    /// Whether a call belongs into the listing.
    #[must_use]
    pub fn wants(&self, call: &CallOutline) -> bool {
        self.ended.is_none_or(|ended| ended == call.ended.is_some())
            && self.handoff.is_none_or(|state| call.handoff == Some(state))
            && self.agent.as_ref().is_none_or(|agent| call.agent.as_ref() == Some(agent))
            && self.before.as_ref().is_none_or(|before| call.place() < *before)
    }
}

impl CallOutline {
    /// The call's place in the listing.
    #[must_use]
    pub fn place(&self) -> CallFound {
        CallFound { started: self.started, id: self.id.clone() }
    }
}
