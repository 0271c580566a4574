//! What is printed: a line a second, and the summary at the end.

use std::io::Write;

use crate::{
    measure::Interval,
    run::{Order, Watcher, Wish},
    scores::Scores,
    summary::{Percentiles, Rest, Summary},
    timeline::Row,
    verdict::{Check, Verdict},
};

/// Prints a line. Where nobody reads any more, nothing is lost.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Plain lines.
pub(crate) struct Plain;

impl Watcher for Plain {
    fn second(&mut self, _order: &Order, row: &Row, _total: &Scores, _media: &Interval) -> Wish {
        let target = row.target_cpu_percent.map_or_else(String::new, |cpu| {
            format!("  target {cpu:.0} % CPU {:.0} MB", row.target_memory_mb.unwrap_or(0.0))
        });
        say(&format!(
            "{:>6.1} s  calls {:>5}  begun {:>6}  failed {:>4}  setup p99 {:>7.2} ms  delay p50 {:>6.3} p99 {:>7.3} ms  \
             loss {:.3} %{target}  tester {:.0} %",
            row.at_s,
            row.calls,
            row.begun,
            row.failed,
            row.setup_p99_ms,
            row.delay_p50_ms,
            row.delay_p99_ms,
            row.loss_percent,
            row.own_cpu_percent,
        ));
        Wish::GoOn
    }
}

/// Prints what a run came to.
pub(crate) fn summary(summary: &Summary) {
    let calls = &summary.calls;
    say("");
    say(&format!(
        "calls       {} begun, {} answered, {} as planned, {:.2} % failed; {} at one time; {:.1} set up a second",
        calls.begun,
        calls.answered,
        calls.succeeded,
        calls.failed_percent,
        calls.peak,
        calls.setups_per_second
    ));
    for (reason, count) in calls.failed.iter().chain(&calls.unexpected) {
        say(&format!("            {count} × {reason}"));
    }
    let media = &summary.media;
    say(&format!(
        "sound       {} sent, {} heard, {} lost ({:.4} %), {} twice, {} late, {} stray",
        media.sent,
        media.received,
        media.lost,
        media.loss_percent,
        media.duplicated,
        media.reordered,
        media.stray
    ));
    if media.looks > 0 {
        say(&format!(
            "            {} looks for the voice of the other side, {:.3} % in vain; delays are to 2.5 ms",
            media.looks, media.looks_in_vain_percent
        ));
    }
    if media.rejected > 0 {
        say(&format!("            {} packets were not authentic", media.rejected));
    }
    say(
        "                                  count        p50        p90        p99      p99.9        max   (ms)",
    );
    times("INVITE to 200", &calls.setup);
    times("INVITE to the first sound", &calls.first_sound);
    times("added delay", &media.delay);
    times("added delay, full load", &media.delay_steady);
    times("longest silence of a caller", &media.dead_air);
    if let Some(handoffs) = &summary.handoffs {
        times("request to announcement", &handoffs.announced);
        times("request to ring", &handoffs.rung);
        times("answer to whisper", &handoffs.whispered);
        times("accept to bridge", &handoffs.bridged_after);
        say(&format!(
            "handoffs    {} asked, {} bridged, {} agents given twice, {} callers heard too early",
            handoffs.asked, handoffs.bridged, handoffs.double_assigned, handoffs.leaked
        ));
    }
    if let Some(cost) = &summary.target {
        let memory =
            cost.memory_kb_per_call.map_or("no slope".to_owned(), |memory| format!("{memory:.1} kB a call"));
        say(&format!(
            "target      {:.3} CPU ms a call-second ({:.0} calls a core), {:.0} % of a core, {memory}",
            cost.cpu_ms_per_call_second, cost.calls_per_core, cost.cpu_percent
        ));
        let threads: Vec<String> =
            cost.threads.iter().map(|(name, seconds)| format!("{name} {seconds:.2} s")).collect();
        say(&format!("            {}", threads.join(", ")));
    }
    if let Some(rest) = &summary.rest {
        requests(rest);
    }
    tester(summary);
    verdict(summary.verdict, &summary.checks);
}

/// Prints what an API answered.
pub(crate) fn requests(rest: &Rest) {
    say(&format!(
        "requests    {} asked, {} answered ({:.1} a second), {} without an answer",
        rest.asked, rest.times.count, rest.per_second, rest.unanswered
    ));
    times("request, from its moment", &rest.times);
    for (kind, kind_times) in &rest.kinds {
        times(&format!("  {kind}"), kind_times);
    }
    let statuses: Vec<String> =
        rest.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    say(&format!("            {}", statuses.join(", ")));
    for (reason, count) in &rest.failed {
        say(&format!("            {count} × {reason}"));
    }
}

fn tester(summary: &Summary) {
    let tester = &summary.tester;
    say(&format!(
        "tester      {:.0} % of a core, slots p99 {:.2} ms late, calls p99 {:.2} ms late",
        tester.cpu_percent, tester.lateness_p99_ms, tester.begun_late_p99_ms
    ));
    for reason in &tester.too_slow {
        say(&format!("            THE TESTER WAS THE BOTTLENECK: {reason}"));
    }
}

/// Prints what was asked, and whether it holds.
pub(crate) fn verdict(verdict: Verdict, checks: &[Check]) {
    for check in checks {
        let measured = check.measured.map_or("not measured".to_owned(), |measured| format!("{measured:.3}"));
        let word = if check.holds { "holds " } else { "MISSED" };
        say(&format!("{word}      {}: {measured} of at most {} {}", check.what, check.limit, check.unit));
    }
    say(match verdict {
        Verdict::Passed => "verdict     passed",
        Verdict::Missed => "verdict     MISSED",
        Verdict::TesterTooSlow => "verdict     nothing proven: the tester was too slow",
        Verdict::NothingMeasured => "verdict     nothing measured",
    });
}

fn times(what: &str, times: &Percentiles) {
    if times.count == 0 {
        return;
    }
    say(&format!(
        "  {what:<28} {:>9} {:>10.3} {:>10.3} {:>10.3} {:>10.3} {:>10.3}",
        times.count, times.p50_ms, times.p90_ms, times.p99_ms, times.p999_ms, times.max_ms
    ));
}
