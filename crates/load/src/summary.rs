//! What a run came to, in numbers: each with the way it is computed in `README.md`.

use serde::Serialize;

use crate::{
    clock::milliseconds,
    measure::{Interval, Times},
    rest::RestScores,
    run::{Order, Outcome},
    timeline::line_through,
    verdict::{Check, Thresholds, Verdict},
    words::Role,
};

/// A run in numbers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// What was asked.
    pub(crate) checks: Vec<Check>,
    /// Calls.
    pub(crate) calls: Calls,
    /// Sound, over the whole run.
    pub(crate) media: Media,
    /// What the target costs under full load; none without a process to watch.
    pub(crate) target: Option<Cost>,
    /// Handoffs; none in other scenarios.
    pub(crate) handoffs: Option<HandoffTimes>,
    /// The API; none if it was not loaded.
    pub(crate) rest: Option<Rest>,
    /// The tester itself.
    pub(crate) tester: Tester,
}

/// Calls.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Calls {
    /// Calls whose moment came.
    pub(crate) begun: u64,
    /// Calls that were answered.
    pub(crate) answered: u64,
    /// Calls that went as planned.
    pub(crate) succeeded: u64,
    /// Calls that did not, by the reason.
    pub(crate) failed: std::collections::BTreeMap<String, u64>,
    /// Failed calls in percent.
    pub(crate) failed_percent: f64,
    /// Calls at one time.
    pub(crate) peak: usize,
    /// Answered calls a second, over the time in which calls came.
    pub(crate) setups_per_second: f64,
    /// From the scheduled moment to 200.
    pub(crate) setup: Percentiles,
    /// From the scheduled moment to the first marked sound at the caller.
    pub(crate) first_sound: Percentiles,
    /// What nobody could expect.
    pub(crate) unexpected: std::collections::BTreeMap<String, u64>,
    /// Calls in which somebody heard a stranger: must be 0.
    pub(crate) crossed: u64,
}

/// Sound.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Media {
    /// Packets that we sent.
    pub(crate) sent: u64,
    /// Marked packets that ears heard.
    pub(crate) received: u64,
    /// Those that never came.
    pub(crate) lost: u64,
    /// The same in percent.
    pub(crate) loss_percent: f64,
    /// Those that came twice.
    pub(crate) duplicated: u64,
    /// Those that came late.
    pub(crate) reordered: u64,
    /// Other sound.
    pub(crate) unmarked: u64,
    /// Packets for nobody.
    pub(crate) stray: u64,
    /// Packets that SRTP did not take: not authentic.
    pub(crate) rejected: u64,
    /// Times that an ear listened for the tones of the other side; none where marks survive.
    pub(crate) looks: u64,
    /// Those in which it heard none, in percent.
    pub(crate) looks_in_vain_percent: f64,
    /// From sending to arrival of marked packets: what the target adds, on this machine.
    pub(crate) delay: Percentiles,
    /// The same under full load alone.
    pub(crate) delay_steady: Percentiles,
    /// Loss under full load alone, in percent.
    pub(crate) loss_steady_percent: f64,
    /// The longest silence of each caller.
    pub(crate) dead_air: Percentiles,
    /// What each role heard and lost.
    pub(crate) by_role: Vec<(&'static str, u64, u64)>,
}

/// Percentiles in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Percentiles {
    /// How many there are.
    pub(crate) count: u64,
    /// Mean.
    pub(crate) mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Longest.
    pub(crate) max_ms: f64,
}

impl Percentiles {
    /// Of some times.
    #[must_use]
    pub(crate) fn of(times: &Times) -> Self {
        let at = |part| milliseconds(times.quantile(part));
        Self {
            count: times.count(),
            mean_ms: times.mean() / 1e6,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: milliseconds(times.longest()),
        }
    }
}

/// What the target costs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    /// CPU milliseconds a call-second.
    pub(crate) cpu_ms_per_call_second: f64,
    /// Calls that one core would carry at that cost.
    pub(crate) calls_per_core: f64,
    /// CPU in percent of a core.
    pub(crate) cpu_percent: f64,
    /// Resident kilobytes a call: the slope of memory over calls.
    pub(crate) memory_kb_per_call: Option<f64>,
    /// CPU milliseconds a call set up, over the whole run.
    pub(crate) cpu_ms_per_setup: Option<f64>,
    /// CPU seconds of each thread over the whole run.
    pub(crate) threads: Vec<(String, f64)>,
}

/// Handoffs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HandoffTimes {
    /// Requests.
    pub(crate) asked: u64,
    /// Bridges.
    pub(crate) bridged: u64,
    /// Agents rung while they were in a call: must be 0.
    pub(crate) double_assigned: u64,
    /// Callers heard by agents who had not accepted: must be 0.
    pub(crate) leaked: u64,
    /// From the scheduled request to the announcement.
    pub(crate) announced: Percentiles,
    /// From the scheduled request to the ring.
    pub(crate) rung: Percentiles,
    /// From the agent's answer to the whisper.
    pub(crate) whispered: Percentiles,
    /// From the accepting key to the bridge at both ears.
    pub(crate) bridged_after: Percentiles,
}

/// The API.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rest {
    /// Requests whose moment came.
    pub(crate) asked: u64,
    /// Answers a second.
    pub(crate) per_second: f64,
    /// Requests without an answer.
    pub(crate) unanswered: u64,
    /// Why.
    pub(crate) failed: std::collections::BTreeMap<String, u64>,
    /// Answers by status.
    pub(crate) statuses: std::collections::BTreeMap<u16, u64>,
    /// Answers with a status of 500 and more, and requests without an answer, in percent.
    pub(crate) failed_percent: f64,
    /// From the scheduled moment to the whole answer.
    pub(crate) times: Percentiles,
    /// The same by kind.
    pub(crate) kinds: std::collections::BTreeMap<&'static str, Percentiles>,
}

impl Rest {
    /// Of what was asked in a time.
    pub(crate) fn of(scores: &RestScores, seconds: f64) -> Self {
        let unanswered = scores.failed.values().sum();
        let broken: u64 = scores.statuses.range(500..).map(|(_, count)| count).sum();
        Self {
            asked: scores.asked,
            per_second: scores.times.count() as f64 / seconds.max(1e-3),
            unanswered,
            failed: scores.failed.clone(),
            statuses: scores.statuses.clone(),
            failed_percent: 100.0 * (unanswered + broken) as f64 / scores.asked.max(1) as f64,
            times: Percentiles::of(&scores.times),
            kinds: scores.kinds.iter().map(|(kind, times)| (*kind, Percentiles::of(times))).collect(),
        }
    }

    /// Fast enough, if that was asked for, and never broken.
    pub(crate) fn judge(&self, p99_max: Option<f64>) -> Vec<Check> {
        let measured = (self.times.count > 0).then_some(self.times.p99_ms);
        let fast = p99_max.map(|limit| Check::new("API answer, 99th percentile", "ms", limit, measured));
        let whole = Check::new("API requests that failed", "%", 0.1, Some(self.failed_percent));
        fast.into_iter().chain([whole]).collect()
    }
}

/// The tester itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tester {
    /// CPU in percent of a core, under full load.
    pub(crate) cpu_percent: f64,
    /// Slots of the media wheel that were more than 5 ms late, in percent.
    pub(crate) late_percent: f64,
    /// The 99th percentile of how late slots were.
    pub lateness_p99_ms: f64,
    /// The 99th percentile of how late calls were begun.
    pub begun_late_p99_ms: f64,
    /// Packets that our own sockets had no room for.
    pub(crate) dropped: u64,
    /// Packets that the kernel did not take from us.
    pub(crate) refused: u64,
    /// Calls that found no free leg of ours.
    pub(crate) not_begun: u64,
    /// Why the tester was too slow; empty if it was not.
    pub(crate) too_slow: Vec<String>,
}

impl Summary {
    /// Of a run in which only the time under full load counts.
    pub(crate) fn under_full_load(order: &Order, outcome: &Outcome, thresholds: &Thresholds) -> Self {
        let mut steady = outcome.clone();
        steady.media = Interval {
            slots_left_out: outcome.media.slots_left_out,
            dropped: outcome.media.dropped,
            address_shared: outcome.media.address_shared,
            ..outcome.steady.media.clone()
        };
        Self::new(order, &steady, thresholds)
    }

    pub(crate) fn new(order: &Order, outcome: &Outcome, thresholds: &Thresholds) -> Self {
        let media = media(outcome);
        let calls = calls(order, outcome);
        let target = cost(outcome);
        let handoffs = (outcome.scores.handoffs.asked > 0).then(|| handoffs(outcome));
        let tester = tester(outcome);
        let seconds = order.plan.time.min(outcome.time).as_secs_f64();
        let rest = outcome.rest.as_ref().map(|scores| Rest::of(scores, seconds));
        let mut checks = judge(thresholds, &calls, &media, (target.as_ref(), handoffs.as_ref()));
        if let Some(rest) = &rest {
            checks.extend(rest.judge(thresholds.max_api_p99));
        }
        let verdict = Verdict::of(&checks, calls.begun, !tester.too_slow.is_empty());
        Self { verdict, checks, calls, media, target, handoffs, rest, tester }
    }
}

fn calls(order: &Order, outcome: &Outcome) -> Calls {
    let scores = &outcome.scores;
    let time = order.plan.time.min(outcome.time).as_secs_f64().max(1e-3);
    Calls {
        begun: scores.begun,
        answered: scores.answered,
        succeeded: scores.succeeded,
        failed: scores.failed.clone(),
        failed_percent: 100.0 * scores.failures() as f64 / scores.begun.max(1) as f64,
        peak: outcome.peak,
        setups_per_second: scores.answered as f64 / time,
        setup: Percentiles::of(&scores.setup),
        first_sound: Percentiles::of(&scores.first_sound),
        unexpected: scores.unexpected.clone(),
        crossed: scores.crossed,
    }
}

fn media(outcome: &Outcome) -> Media {
    let all = outcome.media.all_heard();
    let by_role = |role: Role| {
        let heard = outcome.media.heard_by(role);
        (role.name(), heard.received, heard.lost())
    };
    Media {
        sent: outcome.media.sent,
        received: all.received,
        lost: all.lost(),
        loss_percent: 100.0 * all.loss(),
        duplicated: all.duplicated,
        reordered: all.reordered,
        unmarked: all.unmarked,
        stray: outcome.media.stray,
        rejected: outcome.media.rejected,
        looks: all.looks,
        looks_in_vain_percent: 100.0 * all.looks_in_vain as f64 / all.looks.max(1) as f64,
        delay: Percentiles::of(&outcome.media.delay),
        delay_steady: Percentiles::of(&outcome.steady.media.delay),
        loss_steady_percent: 100.0 * outcome.steady.media.all_heard().loss(),
        dead_air: Percentiles::of(&outcome.scores.dead_air),
        by_role: Role::ALL.map(by_role).to_vec(),
    }
}

fn cost(outcome: &Outcome) -> Option<Cost> {
    let cpu = outcome.steady.target_cpu?;
    let per_call_second = cpu.as_secs_f64() * 1e3 / outcome.steady.call_seconds.max(1e-9);
    let memory: Vec<(f64, f64)> = outcome
        .rows
        .iter()
        .take_while(|row| row.calls <= outcome.peak && row.failed == 0 && row.succeeded == 0)
        .filter_map(|row| Some((row.calls as f64, row.target_memory_mb? * 1e3)))
        .collect();
    let whole: f64 = outcome.target_threads.iter().map(|(_, cpu)| cpu.as_secs_f64()).sum();
    let answered = outcome.scores.answered;
    Some(Cost {
        cpu_ms_per_call_second: per_call_second,
        calls_per_core: 1e3 / per_call_second.max(1e-9),
        cpu_percent: 100.0 * cpu.as_secs_f64() / outcome.steady.time.as_secs_f64().max(1e-9),
        memory_kb_per_call: line_through(&memory).map(|(slope, _)| slope),
        cpu_ms_per_setup: (answered > 0).then(|| whole * 1e3 / answered as f64),
        threads: outcome.target_threads.iter().map(|(name, cpu)| (name.clone(), cpu.as_secs_f64())).collect(),
    })
}

fn handoffs(outcome: &Outcome) -> HandoffTimes {
    let handoffs = &outcome.scores.handoffs;
    HandoffTimes {
        asked: handoffs.asked,
        bridged: handoffs.bridged,
        double_assigned: handoffs.double_assigned,
        leaked: handoffs.leaked,
        announced: Percentiles::of(&handoffs.announced),
        rung: Percentiles::of(&handoffs.rung),
        whispered: Percentiles::of(&handoffs.whispered),
        bridged_after: Percentiles::of(&handoffs.bridged_after),
    }
}

fn tester(outcome: &Outcome) -> Tester {
    let media = &outcome.media;
    let steady = outcome.steady.time.as_secs_f64();
    let cpu_percent = if steady > 0.0 {
        100.0 * outcome.steady.own_cpu.as_secs_f64() / steady
    } else {
        outcome.rows.iter().map(|row| row.own_cpu_percent).fold(0.0, f64::max)
    };
    let late_percent = 100.0 * media.slots_late as f64 / media.slots.max(1) as f64;
    Tester {
        cpu_percent,
        late_percent,
        lateness_p99_ms: milliseconds(media.lateness.quantile(0.99)),
        begun_late_p99_ms: milliseconds(outcome.scores.begun_late.quantile(0.99)),
        dropped: media.dropped,
        refused: media.refused,
        not_begun: outcome.scores.not_begun,
        too_slow: too_slow(cpu_percent, late_percent, media, outcome.scores.not_begun),
    }
}

/// Why nothing is proven about the target.
fn too_slow(cpu_percent: f64, late_percent: f64, media: &Interval, not_begun: u64) -> Vec<String> {
    let reasons = [
        (cpu_percent > 90.0, format!("the tester used {cpu_percent:.0} % of a core")),
        (late_percent > 1.0, format!("{late_percent:.1} % of its sending slots were more than 5 ms late")),
        (media.dropped > 0, format!("its own sockets dropped {} packets", media.dropped)),
        (media.slots_left_out > 0, format!("it left out {} sending slots", media.slots_left_out)),
        (not_begun > 0, format!("it had no free leg for {not_begun} calls")),
        (media.address_shared > 0, "the target has several legs on one address: try --ports own".to_owned()),
    ];
    reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
}

fn judge(
    thresholds: &Thresholds,
    calls: &Calls,
    media: &Media,
    (target, handoffs): (Option<&Cost>, Option<&HandoffTimes>),
) -> Vec<Check> {
    let some = |times: &Percentiles, value: f64| (times.count > 0).then_some(value);
    let heard = (media.received + media.lost > 0).then_some(media.loss_percent);
    let asked = [
        ("lost packets", "%", thresholds.max_loss, heard),
        (
            "looks in which no voice was heard",
            "%",
            thresholds.max_unheard,
            (media.looks > 0).then_some(media.looks_in_vain_percent),
        ),
        ("added delay, median", "ms", thresholds.max_delay_p50, some(&media.delay, media.delay.p50_ms)),
        (
            "added delay, 99th percentile",
            "ms",
            thresholds.max_delay_p99,
            some(&media.delay, media.delay.p99_ms),
        ),
        (
            "INVITE to 200, 99th percentile",
            "ms",
            thresholds.max_setup_p99,
            some(&calls.setup, calls.setup.p99_ms),
        ),
        (
            "longest silence at a caller",
            "ms",
            thresholds.max_dead_air,
            some(&media.dead_air, media.dead_air.max_ms),
        ),
        ("failed calls", "%", thresholds.max_failed, Some(calls.failed_percent)),
        (
            "CPU of the target",
            "ms/call-s",
            thresholds.max_cpu,
            target.map(|cost| cost.cpu_ms_per_call_second),
        ),
        (
            "memory of the target",
            "kB/call",
            thresholds.max_memory,
            target.and_then(|cost| cost.memory_kb_per_call),
        ),
        (
            "request to announcement, 99th percentile",
            "ms",
            thresholds.max_announce_p99,
            handoffs.and_then(|times| some(&times.announced, times.announced.p99_ms)),
        ),
        (
            "accept to bridge, 99th percentile",
            "ms",
            thresholds.max_bridge_p99,
            handoffs.and_then(|times| some(&times.bridged_after, times.bridged_after.p99_ms)),
        ),
    ];
    let mut checks: Vec<Check> = asked
        .into_iter()
        .filter_map(|(what, unit, limit, measured)| Some(Check::new(what, unit, limit?, measured)))
        .collect();
    // These are never allowed, so nobody has to ask.
    if let Some(handoffs) = handoffs {
        checks.push(Check::new("agents given to two calls", "", 0.0, Some(handoffs.double_assigned as f64)));
        checks.push(Check::new("callers heard before the accept", "", 0.0, Some(handoffs.leaked as f64)));
    }
    if calls.crossed > 0 {
        checks.push(Check::new("calls that heard a stranger", "", 0.0, Some(calls.crossed as f64)));
    }
    checks
}
