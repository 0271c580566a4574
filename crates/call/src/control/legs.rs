//! Which legs exist, beside the caller's, and what their attempts are called.

use std::time::Duration;

use crate::party::{AttemptId, Party};

/// One leg that we dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leg {
    /// There is none.
    #[default]
    Down,
    /// It was dialled and has not answered.
    Dialling(AttemptId),
    /// It is up.
    Up {
        attempt: AttemptId,
        /// When it answered.
        since: Duration,
    },
}

impl Leg {
    pub(crate) fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::Down => None,
            Self::Dialling(attempt) | Self::Up { attempt, .. } => Some(attempt),
        }
    }

    pub(crate) fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// The legs of a call.
#[derive(Clone, Debug)]
pub(crate) struct Legs {
    pub(crate) caller_up: bool,
    pub(crate) bot: Leg,
    pub(crate) agent: Leg,
    last: AttemptId,
}

impl Legs {
    /// The caller's leg is there from the beginning.
    pub(crate) fn new() -> Self {
        Self { caller_up: true, bot: Leg::Down, agent: Leg::Down, last: AttemptId::CALLER }
    }

    /// A new attempt for the bot's or the agent's leg.
    pub(crate) fn dial(&mut self, party: Party) -> AttemptId {
        let attempt = AttemptId(self.last.0.saturating_add(1));
        self.last = attempt;
        if let Some(leg) = self.leg_mut(party) {
            *leg = Leg::Dialling(attempt);
        }
        attempt
    }

    /// Whose leg an attempt is now. `None` for attempts that are over.
    pub(crate) fn party(&self, attempt: AttemptId) -> Option<Party> {
        if attempt == AttemptId::CALLER && self.caller_up {
            Some(Party::Caller)
        } else if self.bot.attempt() == Some(attempt) {
            Some(Party::Bot)
        } else if self.agent.attempt() == Some(attempt) {
            Some(Party::Agent)
        } else {
            None
        }
    }

    pub(crate) fn is_up(&self, party: Party) -> bool {
        match party {
            Party::Caller => self.caller_up,
            Party::Bot => self.bot.is_up(),
            Party::Agent => self.agent.is_up(),
        }
    }

    /// Whether we dialled this once, whatever became of it.
    pub(crate) fn dialled_once(&self, attempt: AttemptId) -> bool {
        attempt > AttemptId::CALLER && attempt <= self.last
    }

    /// The bot's or the agent's leg.
    pub(crate) fn leg_mut(&mut self, party: Party) -> Option<&mut Leg> {
        match party {
            Party::Caller => None,
            Party::Bot => Some(&mut self.bot),
            Party::Agent => Some(&mut self.agent),
        }
    }
}
