//! The report for people: one HTML file that needs nothing else. The verdict first, then why, then how it went.

use std::fmt::Write as _;

use super::{
    Report,
    plot::{Line, Plot, number_text},
};
use crate::{
    summary::{Percentiles, Summary},
    timeline::Row,
    verdict::Verdict,
};

/// The whole page.
pub(super) fn page(report: &Report<'_>) -> String {
    let mut page = String::with_capacity(64 * 1_024);
    let title = if report.title.is_empty() {
        format!("segue load {}", report.scenario)
    } else {
        escape(report.title)
    };
    add(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n"
        ),
    );
    verdict(&mut page, report);
    tiles(&mut page, report);
    checks(&mut page, report.summary);
    percentiles(&mut page, report.summary);
    plots(&mut page, report);
    details(&mut page, report.summary);
    page.push_str("</main></body></html>\n");
    page
}

fn verdict(page: &mut String, report: &Report<'_>) {
    let checks = &report.summary.checks;
    let missed = checks.iter().filter(|check| !check.holds).count();
    let (class, text) = match report.summary.verdict {
        Verdict::Passed if checks.is_empty() => {
            ("good", "Ran to its end; no threshold was asked for".to_owned())
        }
        Verdict::Passed => ("good", format!("Passed: all {} thresholds hold", checks.len())),
        Verdict::Missed => ("bad", format!("Missed: {missed} of {} thresholds do not hold", checks.len())),
        Verdict::TesterTooSlow => ("odd", "Nothing proven: the tester itself was too slow".to_owned()),
        Verdict::NothingMeasured => ("odd", "Nothing measured: no call was made".to_owned()),
    };
    add(page, format_args!("<p class=\"verdict {class}\">{text}</p>\n"));
    for reason in &report.summary.tester.too_slow {
        add(
            page,
            format_args!("<p class=\"warning\">The tester was the bottleneck: {}.</p>\n", escape(reason)),
        );
    }
    let load = match report.calls_planned {
        Some(calls) => format!(
            "{calls} calls at one time, at most {} new ones a second",
            number_text(report.rate_planned)
        ),
        None => format!("{} new calls a second", number_text(report.rate_planned)),
    };
    add(
        page,
        format_args!(
            "<p class=\"what\">Scenario <b>{}</b>, {load}, each for {} s; the run took {} s.</p>\n",
            report.scenario,
            number_text(report.hold_s),
            number_text(report.time_s.round()),
        ),
    );
}

fn tiles(page: &mut String, report: &Report<'_>) {
    let (calls, media) = (&report.summary.calls, &report.summary.media);
    let mut tiles = vec![
        ("calls as planned", format!("{} of {}", calls.succeeded, calls.begun), String::new()),
        ("most at one time", calls.peak.to_string(), "calls".to_owned()),
    ];
    if media.received > 0 {
        tiles.push(("packets lost", number_text(media.loss_percent), "%".to_owned()));
        tiles.push(("added delay, p99", number_text(media.delay.p99_ms), "ms".to_owned()));
    }
    if calls.setup.count > 0 {
        tiles.push(("INVITE to 200, p99", number_text(calls.setup.p99_ms), "ms".to_owned()));
    }
    if let Some(cost) = report.summary.target.as_ref().filter(|cost| cost.cpu_ms_per_call_second > 0.0) {
        tiles.push(("CPU a call-second", number_text(cost.cpu_ms_per_call_second), "ms".to_owned()));
        tiles.push(("calls a core", number_text(cost.calls_per_core.round()), String::new()));
        if let Some(memory) = cost.memory_kb_per_call {
            tiles.push(("memory a call", number_text(memory), "kB".to_owned()));
        }
    }
    page.push_str("<section class=\"tiles\">\n");
    for (name, value, unit) in tiles {
        add(page, format_args!("<div><span>{name}</span><b>{value} <small>{unit}</small></b></div>\n"));
    }
    page.push_str("</section>\n");
}

fn checks(page: &mut String, summary: &Summary) {
    if summary.checks.is_empty() {
        return;
    }
    page.push_str("<h2>Thresholds</h2>\n<table><tr><th></th><th>what</th><th class=\"n\">measured</th><th class=\"n\">at most</th><th>unit</th></tr>\n");
    for check in &summary.checks {
        let measured = check.measured.map_or("not measured".to_owned(), number_text);
        let (class, word) = if check.holds { ("good", "holds") } else { ("bad", "missed") };
        add(
            page,
            format_args!(
                "<tr><td><span class=\"badge {class}\">{word}</span></td><td>{}</td><td class=\"n\">{measured}</td>\
                 <td class=\"n\">{}</td><td>{}</td></tr>\n",
                escape(&check.what),
                number_text(check.limit),
                check.unit
            ),
        );
    }
    page.push_str("</table>\n");
}

fn percentiles(page: &mut String, summary: &Summary) {
    let mut rows = vec![
        ("INVITE to 200, from the scheduled moment", &summary.calls.setup),
        ("INVITE to the first sound", &summary.calls.first_sound),
        ("added delay of a packet", &summary.media.delay),
        ("added delay under full load", &summary.media.delay_steady),
        ("longest silence of each caller", &summary.media.dead_air),
    ];
    if let Some(handoffs) = &summary.handoffs {
        rows.push(("request to announcement", &handoffs.announced));
        rows.push(("request to ring", &handoffs.rung));
        rows.push(("agent's answer to whisper", &handoffs.whispered));
        rows.push(("accept to bridge", &handoffs.bridged_after));
    }
    if let Some(rest) = &summary.rest {
        rows.push(("REST request, from the scheduled moment", &rest.times));
    }
    page.push_str(
        "<h2>Times in milliseconds</h2>\n<table><tr><th>what</th><th class=\"n\">count</th><th class=\"n\">p50</th>\
         <th class=\"n\">p90</th><th class=\"n\">p95</th><th class=\"n\">p99</th><th class=\"n\">p99.9</th>\
         <th class=\"n\">longest</th></tr>\n",
    );
    for (name, times) in rows.into_iter().filter(|(_, times)| times.count > 0) {
        percentile_row(page, name, times);
    }
    page.push_str("</table>\n");
}

fn percentile_row(page: &mut String, name: &str, times: &Percentiles) {
    add(page, format_args!("<tr><td>{name}</td><td class=\"n\">{}</td>", times.count));
    for value in [times.p50_ms, times.p90_ms, times.p95_ms, times.p99_ms, times.p999_ms, times.max_ms] {
        add(page, format_args!("<td class=\"n\">{}</td>", number_text(value)));
    }
    page.push_str("</tr>\n");
}

/// A line of a plot, from a number of each row.
fn line<'a>(rows: &[&Row], name: &'a str, of: impl Fn(&Row) -> Option<f64>) -> Line<'a> {
    Line { name, values: rows.iter().map(|row| of(row)).collect(), filled: false }
}

fn filled<'a>(rows: &[&Row], name: &'a str, of: impl Fn(&Row) -> Option<f64>) -> Line<'a> {
    Line { filled: true, ..line(rows, name, of) }
}

/// A second without a packet has no delay and no loss rather than none at all.
fn heard(row: &Row, value: f64) -> Option<f64> {
    (row.packets_per_second > 0.0).then_some(value)
}

/// A second without a new call has no time for it.
fn called(row: &Row, value: f64) -> Option<f64> {
    (row.setup_p99_ms > 0.0).then_some(value)
}

fn plots(page: &mut String, report: &Report<'_>) {
    let rows: Vec<&Row> = report.rows.iter().filter(|row| row.length_s > 0.3).collect();
    let at: Vec<f64> = rows.iter().map(|row| row.at_s).collect();
    let limit = |what: &str| {
        report.summary.checks.iter().find(|check| check.what.starts_with(what)).map(|check| check.limit)
    };
    let setup = vec![
        line(&rows, "p99", |row| called(row, row.setup_p99_ms)),
        line(&rows, "p50", |row| called(row, row.setup_p50_ms)),
    ];
    let delay = vec![
        line(&rows, "p99", |row| heard(row, row.delay_p99_ms)),
        line(&rows, "p50", |row| heard(row, row.delay_p50_ms)),
        line(&rows, "longest", |row| heard(row, row.delay_max_ms)),
    ];
    let cpu = vec![
        filled(&rows, "target", |row| row.target_cpu_percent),
        line(&rows, "tester", |row| Some(row.own_cpu_percent)),
    ];
    let lost = vec![filled(&rows, "lost", |row| heard(row, row.loss_percent))];
    let plot = |title, unit, lines, limit| Plot { title, unit, at: at.clone(), lines, limit };
    let all = [
        plot("Calls up", "calls", vec![filled(&rows, "calls", |row| Some(row.calls as f64))], None),
        plot("New calls", "a second", vec![filled(&rows, "begun", |row| Some(row.rate))], None),
        plot("INVITE to 200", "ms", setup, limit("INVITE to 200")),
        plot("Added delay", "ms", delay, limit("added delay, 99th")),
        plot("Packets lost", "%", lost, limit("lost packets")),
        plot("CPU", "% of a core", cpu, None),
        plot("Memory of the target", "MB", vec![filled(&rows, "resident", |row| row.target_memory_mb)], None),
        plot(
            "Context switches of the target",
            "a second",
            vec![filled(&rows, "switches", |row| row.target_switches)],
            None,
        ),
    ];
    page.push_str("<h2>Over time</h2>\n<section class=\"plots\">\n");
    for plot in &all {
        page.push_str(&plot.draw());
    }
    page.push_str("</section>\n");
}

fn details(page: &mut String, summary: &Summary) {
    let (calls, media, tester) = (&summary.calls, &summary.media, &summary.tester);
    page.push_str("<h2>Counts</h2>\n<table>\n");
    let mut row = |name: &str, value: String| {
        add(
            page,
            format_args!("<tr><td>{}</td><td class=\"n\">{}</td></tr>\n", escape(name), escape(&value)),
        );
    };
    for (reason, count) in calls.failed.iter() {
        row(&format!("calls failed: {reason}"), count.to_string());
    }
    for (what, count) in &calls.unexpected {
        row(&format!("unexpected: {what}"), count.to_string());
    }
    row("calls that heard a stranger", calls.crossed.to_string());
    if let Some(handoffs) = &summary.handoffs {
        row("handoffs asked", handoffs.asked.to_string());
        row("handoffs bridged", handoffs.bridged.to_string());
        row("agents given to two calls", handoffs.double_assigned.to_string());
        row("callers heard before the accept", handoffs.leaked.to_string());
    }
    row("packets sent", media.sent.to_string());
    row("packets heard", media.received.to_string());
    row("packets lost", media.lost.to_string());
    row("packets twice", media.duplicated.to_string());
    row("packets late", media.reordered.to_string());
    row("packets of other sound", media.unmarked.to_string());
    row("packets that were not authentic", media.rejected.to_string());
    row("looks for a voice", format!("{}, {:.3} % in vain", media.looks, media.looks_in_vain_percent));
    row("packets for nobody", media.stray.to_string());
    if let Some(cost) = &summary.target {
        for (name, seconds) in &cost.threads {
            row(&format!("CPU of the target's {name}"), format!("{seconds:.2} s"));
        }
    }
    row("tester: CPU of a core", format!("{:.0} %", tester.cpu_percent));
    row("tester: sending slots late, p99", format!("{} ms", number_text(tester.lateness_p99_ms)));
    row("tester: calls begun late, p99", format!("{} ms", number_text(tester.begun_late_p99_ms)));
    row("tester: packets its sockets dropped", tester.dropped.to_string());
    page.push_str("</table>\n");
}

fn add(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(words).unwrap_or_default();
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "\
:root{--paper:#fbfbfa;--ink:#1c1d1f;--soft:#6a6d73;--rule:#e2e2df;--tile:#fff;--good:#157f4a;--bad:#b3261e;\
--odd:#8a5a00;--c0:#2563b0;--c1:#c2571a;--c2:#7a7f87}\
@media(prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e8e8e6;--soft:#9a9ea6;--rule:#2e3237;--tile:#1e2125;\
--good:#4cc38a;--bad:#ff7b70;--odd:#e0a63a;--c0:#6ea8fe;--c1:#f0995a;--c2:#8b919a}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
main{max-width:1120px;margin:0 auto;padding:28px 24px 60px}h1{font-size:24px;margin:0 0 14px}\
h2{font-size:17px;margin:34px 0 10px}.verdict{font-size:20px;font-weight:650;margin:0 0 8px;padding:14px 18px;\
border-left:6px solid;background:var(--tile);border-radius:4px}.verdict.good{color:var(--good)}\
.verdict.bad{color:var(--bad)}.verdict.odd{color:var(--odd)}.warning{color:var(--odd);margin:4px 0}\
.what{color:var(--soft);margin:6px 0 18px}.tiles{display:grid;gap:10px;\
grid-template-columns:repeat(auto-fill,minmax(160px,1fr))}.tiles div{background:var(--tile);\
border:1px solid var(--rule);border-radius:6px;padding:10px 14px}.tiles span{display:block;color:var(--soft);\
font-size:13px}.tiles b{font-size:20px;font-weight:620;font-variant-numeric:tabular-nums}\
.tiles small{font-size:13px;color:var(--soft);font-weight:400}table{border-collapse:collapse;width:100%;\
background:var(--tile);border:1px solid var(--rule)}th,td{text-align:left;padding:6px 12px;\
border-bottom:1px solid var(--rule);vertical-align:top}th{color:var(--soft);font-weight:500;font-size:13px}\
.n{text-align:right;font-variant-numeric:tabular-nums}.badge{font-weight:650}.badge.good{color:var(--good)}\
.badge.bad{color:var(--bad)}.plots{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(440px,1fr))}\
figure{margin:0;background:var(--tile);border:1px solid var(--rule);border-radius:6px;padding:10px 12px 6px}\
figcaption{font-size:13px;color:var(--soft)}figcaption b{color:var(--ink);font-size:14px;margin-right:8px}\
.key{display:inline-block;width:14px;height:3px;vertical-align:middle;margin:0 5px 0 8px}\
.k0{background:var(--c0)}.k1{background:var(--c1)}.k2{background:var(--c2)}svg{width:100%;height:auto;display:block}\
svg text{fill:var(--soft);font-size:12px}svg text.axis{font-size:11px}.grid{stroke:var(--rule)}\
.line{fill:none;stroke-width:2;stroke-linejoin:round}.l0{stroke:var(--c0)}.l1{stroke:var(--c1)}\
.l2{stroke:var(--c2);stroke-width:1.2}.area{opacity:.14}.a0{fill:var(--c0)}\
line.limit{stroke:var(--bad);stroke-dasharray:5 4}svg text.limit{fill:var(--bad)}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_no_markup() {
        assert_eq!(escape("<b a=\"x\">&"), "&lt;b a=&quot;x&quot;&gt;&amp;");
    }
}
