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
mod find;
mod hearing;
mod listening;
mod mark;
mod measure;
mod options;
mod plane;
mod process;
mod relay;
mod report;
mod rest;
mod run;
mod schedule;
mod scores;
mod screen;
mod show;
mod sound;
mod summary;
mod sys;
mod timeline;
mod tones;
mod track;
mod verdict;
mod words;

pub use options::LoadArgs;
pub use words::LoadError;

use find::Search;
use options::{ApiArgs, LoadCommand, RelayArgs, RunArgs, Scenario};
use report::Report;
use run::{Order, Outcome, Watcher};
use schedule::Profile;
use summary::{Rest, Summary};
use tokio_util::sync::CancellationToken;
use verdict::{Thresholds, Verdict};

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
        LoadCommand::Pairs(args) => calls(args, Scenario::Pairs),
        LoadCommand::Relay(args) => relay(args),
        LoadCommand::Rest(args) => rest(args),
    }
}

fn calls(args: &RunArgs, scenario: Scenario) -> Result<u8, LoadError> {
    let order = Order::new(args, scenario)?;
    pin(args.media.core)?;
    if args.shape.profile == Profile::FindLimit {
        return find_limit(args, &order);
    }
    let outcome = watch(&order, args.report.plain)?;
    let summary = Summary::new(&order, &outcome, &args.thresholds);
    show::summary(&summary);
    Report::new(&order, &outcome, &summary, &args.report.title).write(&args.report)?;
    Ok(summary.verdict.exit_code())
}

fn watch(order: &Order, plain: bool) -> Result<Outcome, LoadError> {
    let mut screen = if plain { None } else { screen::Screen::open() };
    let watcher: &mut dyn Watcher = match &mut screen {
        Some(screen) => screen,
        None => &mut show::Plain,
    };
    run::run(order, watcher)
}

/// Run after run, until the most calls are known; the report is that of the best one.
fn find_limit(args: &RunArgs, order: &Order) -> Result<u8, LoadError> {
    let limits = Thresholds {
        max_loss: args.thresholds.max_loss.or(Some(0.1)),
        max_delay_p99: args.thresholds.max_delay_p99.or(Some(20.0)),
        max_failed: args.thresholds.max_failed.or(Some(0.1)),
        ..args.thresholds.clone()
    };
    let mut search = Search::new(args.shape.calls.unwrap_or(500), args.shape.most);
    let mut best: Option<(u32, Order, Outcome, Summary)> = None;
    while let Some(calls) = search.next() {
        let order = order.with_calls(calls);
        let outcome = watch(&order, true)?;
        let summary = Summary::under_full_load(&order, &outcome, &limits);
        let holds = summary.verdict == Verdict::Passed;
        show::summary(&summary);
        show::say(&format!("\n{calls} calls: {}\n", if holds { "holds" } else { "too many" }));
        search.tell(calls, holds);
        if holds && best.as_ref().is_none_or(|(most, ..)| calls > *most) {
            best = Some((calls, order, outcome, summary));
        } else if summary.verdict == Verdict::TesterTooSlow {
            show::say("The search ends here: from this many calls on, it is the tester that is measured.");
            break;
        }
    }
    show::say(&format!("limit       {} calls at one time hold", search.found()));
    let Some((_, order, outcome, summary)) = best else { return Ok(1) };
    Report::new(&order, &outcome, &summary, &args.report.title).write(&args.report)?;
    Ok(0)
}

fn relay(args: &RelayArgs) -> Result<u8, LoadError> {
    pin(args.core)?;
    let listen = options::target(&args.listen.to_string(), false)?;
    relay::run(listen, args.calls, args.design, options::seconds("--time", args.time)?)?;
    Ok(0)
}

fn rest(args: &ApiArgs) -> Result<u8, LoadError> {
    pin(args.core)?;
    let time = options::seconds("--time", args.time)?;
    let api = args.rest.api.clone().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let asked = rest::RestArgs { api: Some(api), ..args.rest.clone() };
    let Some(plan) = asked.plan(time, args.i_own_this_target)? else { return Ok(2) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LoadError::Option(error.to_string()))?;
    let scores = runtime.block_on(rest::run(plan, CancellationToken::new()));
    let answers = Rest::of(&scores, time.as_secs_f64());
    show::requests(&answers);
    let checks = answers.judge(Some(args.max_api_p99));
    let verdict = Verdict::of(&checks, answers.times.count, false);
    show::verdict(verdict, &checks);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&answers)
            .map_err(|error| LoadError::Option(format!("the report has no JSON form: {error}")))?;
        report::write(path, &text)?;
    }
    Ok(verdict.exit_code())
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
