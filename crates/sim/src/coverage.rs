//! What a simulation reached: every state, refusal, failure and end, counted. A rule that was never tried proves
//! nothing, so tests ask this table for the rows they need.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
};

use segue_acd::Notice;
use segue_call::{Action, AttemptId, Entry, Event, Milestone};

use crate::rules::Watch;

/// How often each thing happened, by words such as `state Queued` or `dial failure Busy`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    rows: BTreeMap<String, u64>,
}

impl Coverage {
    /// How often something happened.
    #[must_use]
    pub fn count(&self, row: &str) -> u64 {
        self.rows.get(row).copied().unwrap_or(0)
    }

    /// Adds another table to this one.
    pub fn add(&mut self, other: &Self) {
        for (row, count) in &other.rows {
            *self.rows.entry(row.clone()).or_default() += count;
        }
    }

    pub(crate) fn reached(&mut self, kind: &'static str, what: &dyn Debug) {
        *self.rows.entry(format!("{kind} {what:?}")).or_default() += 1;
    }

    /// Takes an event that a call is about to be given.
    pub(crate) fn event(&mut self, event: &Event, watch: &Watch) {
        match event {
            Event::Answered { attempt } if watch.ears.was_hung_up(*attempt) => {
                self.reached("late news", &"answered after the hang-up");
            }
            Event::Played { playback, .. } if !watch.ears.plays(*playback) => {
                self.reached("late news", &"end of a prompt that plays no more");
            }
            Event::Notice(Notice::Reserved { reservation, .. }) if watch.ledger.is_over(*reservation) => {
                self.reached("late news", &"reservation that is over");
            }
            Event::Ended { attempt: AttemptId::CALLER, cause, .. } => {
                self.reached("caller left in phase", &watch.phase());
                self.reached("caller left by", cause);
                if let Some(state) = watch.handoffs.state() {
                    self.reached("caller left in state", &state);
                }
            }
            Event::Ended { cause, declared, .. } => {
                self.reached("leg ended by", cause);
                if declared.is_some() {
                    self.reached("bot", &"declared and left");
                }
            }
            Event::Dead { attempt, .. } => {
                if watch.ears.is_up(*attempt) {
                    self.reached("fell silent in phase", &(watch.ears.party(*attempt), watch.phase()));
                }
            }
            Event::BotDeclared(_) => self.reached("bot", &"declared and stayed"),
            Event::Failed { failure, .. } => self.reached("dial failure", failure),
            Event::Played { how, .. } => self.reached("played", how),
            Event::AgentChose { attempt, choice } => {
                let when =
                    if watch.ears.is_up(*attempt) { "choice on screen" } else { "choice while it rings" };
                self.reached(when, choice);
            }
            Event::Key { attempt, key } if *attempt != AttemptId::CALLER => self.reached("agent key", key),
            Event::Key { key, .. } => self.reached("caller key", key),
            Event::Notice(Notice::Unqueued { why, .. }) => self.reached("unqueued", why),
            Event::Recalled { .. } => self.reached("recalled in state", &watch.handoffs.state()),
            Event::Shutdown => {
                self.reached("shutdown in phase", &watch.phase());
                self.reached("shutdown in state", &watch.handoffs.state());
            }
            Event::Asked(_) => self.reached("asked in phase", &watch.phase()),
            Event::Held { held, .. } => self.reached("held", held),
            Event::Customer(_) => self.reached("customer found in phase", &watch.phase()),
            Event::Alarm
            | Event::Referred { .. }
            | Event::Transferred { .. }
            | Event::Ringing { .. }
            | Event::Answered { .. }
            | Event::Heard(_)
            | Event::Voice(_)
            | Event::Language { .. }
            | Event::Notice(Notice::Waiting { .. } | Notice::Reserved { .. }) => {}
        }
    }

    /// Takes an action that a call gave.
    pub(crate) fn action(&mut self, action: &Action) {
        match action {
            Action::Publish(Milestone::Phase { phase }) => self.reached("phase", phase),
            Action::Publish(Milestone::Handoff { state, .. }) => self.reached("state", state),
            Action::Publish(Milestone::Decided(decision)) => self.reached("decided", &decision.primary.code),
            Action::AgentRefused { refusal, .. } => self.reached("refusal", refusal),
            Action::HangUp { why, .. } => self.reached("hang up", why),
            Action::Promise(Entry::CallRecord(record)) => {
                self.reached("ended by", &record.ended_by);
                let bridges = record.handoffs.iter().filter(|handoff| handoff.bridged.is_some()).count();
                self.reached("bridges in a call", &bridges.min(3));
                self.reached("handoffs in a call", &record.handoffs.len().min(5));
            }
            Action::AnswerCaller
            | Action::RefuseCaller { .. }
            | Action::Dial { .. }
            | Action::Wire { .. }
            | Action::Play { .. }
            | Action::StopPlay { .. }
            | Action::Prepare { .. }
            | Action::Enqueue { .. }
            | Action::Withdraw { .. }
            | Action::AgentTook { .. }
            | Action::AgentFree { .. }
            | Action::AgentMoved { .. }
            | Action::ShowBrief { .. }
            | Action::Promise(_)
            | Action::Note(_)
            | Action::Publish(_)
            | Action::Finished => {}
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(row, count)| writeln!(f, "{count:>8}  {row}"))
    }
}
