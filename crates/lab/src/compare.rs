//! Two sets of rules over the same calls: which calls they treat differently.

use serde::Serialize;

use crate::{
    case::Case,
    run::{Fire, Run},
};

/// A call that two sets of rules treat differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The call.
    pub id: String,
    /// Whether it needed a human, if it is known.
    pub needed: Option<bool>,
    /// What the first rules did.
    pub before: Option<Fire>,
    /// What the others do.
    pub after: Option<Fire>,
}

/// What changed over all calls. Keeps the first changes only.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Calls with another outcome: handed over or not, by another rule, or in another turn.
    pub changed: u64,
    /// Calls that only the others hand over.
    pub gained: u64,
    /// Calls that only the first hand over.
    pub lost: u64,
    /// Of all changes, those for the better: a needed handoff gained, a needless one lost.
    pub better: u64,
    /// Of all changes, those for the worse.
    pub worse: u64,
    /// The first of them.
    pub calls: Vec<Change>,
}

impl Comparison {
    /// Compares what both made of a call.
    pub fn add(&mut self, case: &Case, before: &Run, after: &Run) {
        let (before, after) = (&before.handoff, &after.handoff);
        let outcome = |fire: &Option<Fire>| fire.as_ref().map(|fire| (fire.rule.clone(), fire.turn));
        if outcome(before) == outcome(after) {
            return;
        }
        let needed = case.label.as_ref().map(|label| label.handoff);
        self.changed += 1;
        let (gained, lost) = (before.is_none(), after.is_none());
        self.gained += u64::from(gained);
        self.lost += u64::from(lost);
        let better = (gained && needed == Some(true)) || (lost && needed == Some(false));
        let worse = (gained && needed == Some(false)) || (lost && needed == Some(true));
        self.better += u64::from(better);
        self.worse += u64::from(worse);
        if self.calls.len() < KEPT {
            let change = Change { id: case.id.clone(), needed, before: before.clone(), after: after.clone() };
            self.calls.push(change);
        }
    }
}

/// So many changed calls are shown one by one.
const KEPT: usize = 1_000;
