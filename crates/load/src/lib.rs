//! The load tester: SIP and real media against any SIP system, judged packet by packet.
//!
//! One process plays callers, bots and agents. Arrivals follow the schedule whatever the answers are (open loop), and
//! every packet of sound says who sent it, which one it is and when it went out. How each figure is computed is in
//! `README.md`.
//!
//! ```text
//! schedule ─ moments ─► cast (callers, bots, agents) ── sip ──► target
//!                          │ orders, news                        │
//!                       plane (media threads) ◄──── marked RTP ──┘
//!                          │ intervals
//!                       run ─ rows ─► show, summary ─► verdict, exit code
//! ```

mod cast;
mod clock;
mod hearing;
mod mark;
mod measure;
mod options;
mod plane;
mod process;
mod report;
mod run;
mod schedule;
mod scores;
mod show;
mod sound;
mod summary;
mod sys;
mod timeline;
mod verdict;
mod words;

pub use options::LoadArgs;
use options::{LoadCommand, RunArgs, Scenario};
use report::Report;
use run::Order;
use summary::Summary;
pub use words::LoadError;

/// Runs the load that the command line asks for; gives the exit code: 0 if every threshold holds, 1 if one was
/// missed, 2 if nothing can be said.
///
/// # Errors
/// Nothing could be run; the text says what to do. The exit code for it is 2.
pub fn load(args: &LoadArgs) -> Result<u8, LoadError> {
    match &args.command {
        LoadCommand::Bridge(args) => calls(args, Scenario::Bridge),
        LoadCommand::Handoff(args) => calls(args, Scenario::Handoff),
        LoadCommand::Setup(args) => calls(args, Scenario::Setup),
    }
}

fn calls(args: &RunArgs, scenario: Scenario) -> Result<u8, LoadError> {
    let order = Order::new(args, scenario)?;
    pin(args.media.core)?;
    let outcome = run::run(&order, &mut show::Plain)?;
    let summary = Summary::new(&order, &outcome, &args.thresholds);
    show::summary(&summary);
    Report::new(&order, &outcome, &summary, &args.report.title).write(&args.report)?;
    Ok(summary.verdict.exit_code())
}

/// Binds the whole tester to one core: threads made later inherit it.
fn pin(core: Option<usize>) -> Result<(), LoadError> {
    let Some(core) = core else { return Ok(()) };
    let mut set = rustix::thread::CpuSet::new();
    if core >= rustix::thread::CpuSet::MAX_CPU {
        return Err(LoadError::Option(format!("--core {core}: there is no such core")));
    }
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .map_err(|error| LoadError::Option(format!("--core {core}: {error}")))
}
