//! The trigger lab: past calls go in, with what should have happened to them; out comes what the rules would have
//! done, how often they were right, and how early.
//!
//! A call is read, run and counted before the next one is read, so memory stays flat however many there are.

mod case;
mod compare;
mod run;
mod score;

pub use case::{Case, CaseError, Cases, Label, Turn};
pub use compare::{Change, Comparison};
pub use run::{Bench, Fire, Run};
pub use score::{Costs, RuleScore, Score, Summary};
