//! Deterministic simulation: thousands of callers, bots and agents, and everything that can go wrong between them,
//! around the real call control and the real distributor.
//!
//! There is no clock, no socket and no thread: time is a number, chance is a seed, and the edges of the house are
//! played by `edge` and `people`. Rules watch every step (`rules`, `switchboard`). The first broken rule ends
//! the run, which is then made again with the broken call's events and actions written down.

mod coverage;
mod edge;
mod people;
mod random;
mod report;
mod rules;
mod scenario;
mod switchboard;
mod timeline;
mod world;

pub use coverage::Coverage;
pub use report::{Broken, Report};
pub use scenario::Scenario;

/// Simulates a number of calls. The same arguments give the same run on every machine.
///
/// # Errors
/// The first rule that was broken, with the call's last events and actions.
pub fn run(scenario: Scenario, seed: u64, calls: usize) -> Result<Report, Box<Broken>> {
    world::simulate(scenario, seed, calls, None).map_err(|broken| {
        // The same world once more, with a pen.
        let written = world::simulate(scenario, seed, calls, Some(broken.call));
        written.err().unwrap_or(broken)
    })
}
