//! Thousands of calls in four worlds: no rule is broken, and everything that the rules are about was reached.
//!
//! A seed that fails prints its story; once mended, it becomes a line in [`REGRESSIONS`].
#![allow(clippy::panic, reason = "a test that cannot go on fails")]

use std::ops::Range;

use segue_sim::{Coverage, Report, Scenario, run};

/// Runs that once broke a rule: scenario, seed, calls. A change of behaviour changes what a seed leads to, so a mended
/// fault also has a story in `crates/call/tests`.
const REGRESSIONS: &[(Scenario, u64, usize)] = &[
    // A reservation that was told again, after its agent had refused, was taken for a new one.
    (Scenario::Faulty, 25, 250),
    (Scenario::Faulty, 34, 250),
];

/// The sum of several runs.
struct Sum {
    coverage: Coverage,
    handoffs: u64,
    bridges: u64,
}

fn simulate(scenario: Scenario, seeds: Range<u64>, calls: usize) -> Sum {
    let mut sum = Sum { coverage: Coverage::default(), handoffs: 0, bridges: 0 };
    for seed in seeds {
        let report = held(scenario, seed, calls);
        sum.coverage.add(&report.coverage);
        sum.handoffs += report.handoffs;
        sum.bridges += report.bridges;
    }
    sum
}

fn held(scenario: Scenario, seed: u64, calls: usize) -> Report {
    run(scenario, seed, calls).unwrap_or_else(|broken| panic!("\n{broken}\n"))
}

fn reached(coverage: &Coverage, rows: &[&str]) {
    let missing: Vec<_> = rows.iter().filter(|row| coverage.count(row) == 0).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}\n{coverage}");
}

#[test]
fn in_a_kind_world_every_handoff_is_bridged_unless_the_caller_leaves() {
    let Sum { coverage, handoffs, bridges } = simulate(Scenario::Kind, 0..4, 500);
    assert_eq!(bridges + coverage.count("state Canceled"), handoffs, "\n{coverage}");
    assert_eq!(coverage.count("state Completed"), bridges);
    reached(
        &coverage,
        &[
            "bridges in a call 1",
            "decided \"explicit_request\"",
            "decided \"dtmf_zero\"",
            "decided \"billing_dispute\"",
            "decided \"vip\"",
        ],
    );
}

#[test]
fn in_a_busy_world_rules_hold_and_agents_refuse_in_every_polite_way() {
    let Sum { coverage, handoffs, bridges } = simulate(Scenario::Busy, 0..4, 500);
    assert!(bridges * 3 > handoffs, "{bridges} bridges of {handoffs} handoffs");
    reached(
        &coverage,
        &[
            "refusal Declined",
            "refusal NoAnswer",
            "refusal Busy",
            "refusal HungUp",
            "choice while it rings Decline",
            "choice on screen Accept",
            "choice on screen Decline",
            "choice on screen Repeat",
            "agent key '1'",
            "agent key '2'",
            "agent key '*'",
        ],
    );
}

#[test]
fn in_a_swamped_world_nobody_is_left_without_an_answer() {
    let Sum { coverage, .. } = simulate(Scenario::Swamped, 0..4, 300);
    reached(
        &coverage,
        &[
            "unqueued QueueFull",
            "unqueued EverybodyAway",
            "unqueued Closed",
            "unqueued UnknownQueue",
            "state Rejected",
            "handoffs in a call 5",
        ],
    );
}

#[test]
fn in_a_faulty_world_rules_hold_whatever_breaks() {
    let Sum { coverage, .. } = simulate(Scenario::Faulty, 0..5, 500);
    reached(&coverage, STATES);
    reached(&coverage, ENDS);
    reached(&coverage, FAULTS);
    reached(&coverage, INTERFERENCE);
}

/// Every phase, and every state of a handoff but `callback_scheduled`, which nothing schedules yet.
const STATES: &[&str] = &[
    "phase Connecting",
    "phase WithBot",
    "phase HandingOff",
    "phase WithAgent",
    "phase Ending",
    "phase Ended",
    "state Requested",
    "state Announced",
    "state Queued",
    "state Offered",
    "state Ringing",
    "state Briefing",
    "state Accepted",
    "state Bridged",
    "state Completed",
    "state Rejected",
    "state Failed",
    "state Canceled",
    "bridges in a call 2",
];

/// The caller's leaving in every phase and state in which time passes, and everybody else's.
const ENDS: &[&str] = &[
    "caller left in phase Some(Connecting)",
    "caller left in phase Some(WithBot)",
    "caller left in phase Some(HandingOff)",
    "caller left in phase Some(WithAgent)",
    "caller left in phase Some(Ending)",
    "caller left in state Announced",
    "caller left in state Queued",
    "caller left in state Offered",
    "caller left in state Ringing",
    "caller left in state Briefing",
    "caller left in state Accepted",
    "caller left in state Bridged",
    "caller left by Lost",
    "leg ended by HungUp",
    "leg ended by Lost",
    "leg ended by Error",
    "ended by Caller",
    "ended by Bot",
    "ended by Agent",
    "ended by Us",
    "ended by Lost",
    "fell silent in phase (Some(Caller), Some(WithAgent))",
    "fell silent in phase (Some(Bot), Some(WithBot))",
    "fell silent in phase (Some(Agent), Some(HandingOff))",
    "fell silent in phase (Some(Agent), Some(WithAgent))",
    "hang up PeerHungUp",
    "hang up Replaced",
    "hang up NotAccepted",
    "hang up NoAnswer",
    "hang up Canceled",
    "hang up Failed",
    "hang up Dead",
    "hang up ShuttingDown",
];

/// Everything that can fail. The refusal `CallGone` is not among them: a call that goes withdraws its ticket.
const FAULTS: &[&str] = &[
    "dial failure Busy",
    "dial failure Declined",
    "dial failure NoAnswer",
    "dial failure Unreachable",
    "dial failure NoCommonCodec",
    "dial failure ServerError",
    "dial failure Canceled",
    "refusal Declined",
    "refusal NoAnswer",
    "refusal Busy",
    "refusal Unreachable",
    "refusal HungUp",
    "unqueued QueueFull",
    "unqueued EverybodyAway",
    "unqueued Closed",
    "unqueued UnknownQueue",
    "unqueued Lapsed",
    "played Finished",
    "played Stopped",
    "played Failed",
    "late news \"answered after the hang-up\"",
    "late news \"end of a prompt that plays no more\"",
    "late news \"reservation that is over\"",
];

/// Others who interfere: bots, other systems, the gateway itself.
const INTERFERENCE: &[&str] = &[
    "bot \"declared and left\"",
    "bot \"declared and stayed\"",
    "decided \"explicit_request\"",
    "decided \"dtmf_zero\"",
    "decided \"billing_dispute\"",
    "decided \"vip\"",
    "decided \"bot_failed\"",
    "decided \"agent_lost\"",
    "asked in phase Some(HandingOff)",
    "recalled in state None",
    "recalled in state Some(Queued)",
    "recalled in state Some(Ringing)",
    "recalled in state Some(Briefing)",
    "recalled in state Some(Accepted)",
    "recalled in state Some(Bridged)",
    "shutdown in phase Some(Connecting)",
    "shutdown in phase Some(WithBot)",
    "shutdown in phase Some(HandingOff)",
    "shutdown in phase Some(WithAgent)",
    "customer found in phase Some(HandingOff)",
];

#[test]
fn what_was_mended_stays_mended() {
    for (scenario, seed, calls) in REGRESSIONS {
        held(*scenario, *seed, *calls);
    }
}

#[test]
fn one_seed_is_one_run() {
    for scenario in Scenario::ALL {
        assert_eq!(held(scenario, 99, 40), held(scenario, 99, 40));
        assert_ne!(held(scenario, 99, 40).events, held(scenario, 100, 40).events);
    }
}
