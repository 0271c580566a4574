//! What a simulation has to say: numbers if every rule held, a story if one did not.

use std::{fmt, time::Duration};

use crate::{coverage::Coverage, scenario::Scenario};

/// The sum of a run in which every rule held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which world.
    pub scenario: Scenario,
    /// Which chance.
    pub seed: u64,
    /// How many calls were made.
    pub calls: usize,
    /// How many events the calls were given.
    pub events: u64,
    /// How many actions the calls gave.
    pub actions: u64,
    /// Handoffs that were opened.
    pub handoffs: u64,
    /// Handoffs that came to a bridge.
    pub bridges: u64,
    /// How much time passed in that world.
    pub lasted: Duration,
    /// What was reached.
    pub coverage: Coverage,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which world.
    pub scenario: Scenario,
    /// Which chance.
    pub seed: u64,
    /// How many calls there were to be.
    pub calls: usize,
    /// Which call broke it; where the fault is the distributor's, the call it concerns.
    pub call: usize,
    /// When, since the run began.
    pub at: Duration,
    /// What was seen.
    pub rule: String,
    /// The call's last events (`>`) and actions (`<`).
    pub history: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, calls, call, .. } = self;
        writeln!(
            f,
            "{scenario:?}, seed {seed}, call {call} of {calls}, {:.3} s: {}",
            self.at.as_secs_f64(),
            self.rule
        )?;
        for line in &self.history {
            writeln!(f, "    {line}")?;
        }
        write!(
            f,
            "  to keep it: add to REGRESSIONS in crates/sim/tests/simulation.rs\n    (Scenario::{scenario:?}, {seed}, {calls}),"
        )
    }
}

impl std::error::Error for Broken {}
