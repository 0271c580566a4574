//! What happened to the calls: counters and times of an interval, which add up to those of a run.

use std::collections::BTreeMap;

use crate::measure::Times;

/// Signalling and conversations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// Calls whose moment has come.
    pub(crate) begun: u64,
    /// Calls that were answered.
    pub(crate) answered: u64,
    /// Calls that went as planned to their end.
    pub(crate) succeeded: u64,
    /// Calls that did not, by the reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Calls that the tester itself could not begin: no leg was free.
    pub(crate) not_begun: u64,
    /// From a call's scheduled moment to its 200.
    pub(crate) setup: Times,
    /// From a call's scheduled moment to the first marked sound at the caller's ear.
    pub(crate) first_sound: Times,
    /// How late calls were begun by the tester.
    pub(crate) begun_late: Times,
    /// The longest silence of each caller, from the answer to the hang-up.
    pub(crate) dead_air: Times,
    /// Incoming calls answered as bot.
    pub(crate) bot_calls: u64,
    /// What was told that nobody could expect, by what it was.
    pub(crate) unexpected: BTreeMap<String, u64>,
    /// Pairs of which one heard somebody who did not hear them.
    pub(crate) crossed: u64,
    /// Handoffs.
    pub(crate) handoffs: Handoffs,
}

/// Handoffs, each time measured from the moment it should be measured from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handoffs {
    /// Keys 0 whose moment has come.
    pub(crate) asked: u64,
    /// Handoffs whose caller and agent heard each other.
    pub(crate) bridged: u64,
    /// Agents who were rung while they were in a call: must be 0.
    pub(crate) double_assigned: u64,
    /// Agents who heard a caller before they had accepted: must be 0.
    pub(crate) leaked: u64,
    /// From the scheduled key 0 to other sound than the bot's at the caller's ear.
    pub(crate) announced: Times,
    /// From the scheduled key 0 to the INVITE at the agent.
    pub(crate) rung: Times,
    /// From the agent's 200 to the whisper at their ear.
    pub(crate) whispered: Times,
    /// From the first packet of the agent's key 1 to both hearing each other.
    pub(crate) bridged_after: Times,
}

impl Scores {
    /// Adds another interval.
    pub(crate) fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.answered += other.answered;
        self.succeeded += other.succeeded;
        self.not_begun += other.not_begun;
        self.bot_calls += other.bot_calls;
        self.crossed += other.crossed;
        for (reason, count) in &other.failed {
            *self.failed.entry(reason.clone()).or_default() += count;
        }
        for (what, count) in &other.unexpected {
            *self.unexpected.entry(what.clone()).or_default() += count;
        }
        self.setup.add(&other.setup);
        self.first_sound.add(&other.first_sound);
        self.begun_late.add(&other.begun_late);
        self.dead_air.add(&other.dead_air);
        self.handoffs.add(&other.handoffs);
    }

    /// Counts a failed call.
    pub(crate) fn fail(&mut self, reason: impl Into<String>) {
        count(&mut self.failed, reason.into());
    }

    /// Counts something that nobody could expect.
    pub(crate) fn surprise(&mut self, what: impl Into<String>) {
        count(&mut self.unexpected, what.into());
    }

    /// Calls that failed, for whatever reason.
    #[must_use]
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// Different reasons that are told apart; more are counted together.
const REASONS_MAX: usize = 64;

fn count(counts: &mut BTreeMap<String, u64>, what: String) {
    let what =
        if counts.len() < REASONS_MAX || counts.contains_key(&what) { what } else { "other".to_owned() };
    *counts.entry(what).or_default() += 1;
}

impl Handoffs {
    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.bridged += other.bridged;
        self.double_assigned += other.double_assigned;
        self.leaked += other.leaked;
        self.announced.add(&other.announced);
        self.rung.add(&other.rung);
        self.whispered.add(&other.whispered);
        self.bridged_after.add(&other.bridged_after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_up_to_a_limit() {
        let mut scores = Scores::default();
        for number in 0..200 {
            scores.fail(format!("reason {number}"));
            scores.fail("busy");
        }
        assert_eq!(scores.failures(), 400);
        assert!(scores.failed.len() <= REASONS_MAX + 1);
        assert_eq!(scores.failed["busy"], 200);
    }

    #[test]
    fn scores_add_up() {
        let mut one = Scores { begun: 2, ..Scores::default() };
        one.fail("busy");
        one.handoffs.asked = 1;
        let mut all = one.clone();
        all.add(&one);
        assert_eq!((all.begun, all.failures(), all.handoffs.asked), (4, 2, 2));
    }
}
