//! One row a second: what is shown live, written as CSV and drawn in the report.

use std::time::Duration;

use serde::Serialize;

use crate::{clock::milliseconds, measure::Interval, process::Look, scores::Scores};

/// One second of a run. Times in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    /// Seconds since the run began.
    pub(crate) at_s: f64,
    /// How long the row is, in seconds.
    pub(crate) length_s: f64,
    /// New calls a second.
    pub(crate) rate: f64,
    /// Calls that were due by now.
    pub(crate) begun: u64,
    /// Calls that are up or being set up.
    pub(crate) calls: usize,
    /// The most calls at one time by now.
    pub(crate) peak: usize,
    /// Calls that succeeded by now.
    pub(crate) succeeded: u64,
    /// Calls that failed by now.
    pub(crate) failed: u64,
    /// From the scheduled moment to 200: median.
    pub setup_p50_ms: f64,
    /// The same, 99th percentile.
    pub setup_p99_ms: f64,
    /// Delay of marked packets: median.
    pub delay_p50_ms: f64,
    /// The same, 99th percentile.
    pub delay_p99_ms: f64,
    /// The longest.
    pub(crate) delay_max_ms: f64,
    /// Packets that ears should have heard and did not, in percent.
    pub(crate) loss_percent: f64,
    /// Marked packets that were heard, a second.
    pub(crate) packets_per_second: f64,
    /// CPU of the target, in percent of a core.
    pub(crate) target_cpu_percent: Option<f64>,
    /// Resident memory of the target, in megabytes.
    pub(crate) target_memory_mb: Option<f64>,
    /// Context switches of the target, a second.
    pub(crate) target_switches: Option<f64>,
    /// CPU of the tester, in percent of a core.
    pub(crate) own_cpu_percent: f64,
    /// Slots of the tester that were more than 5 ms late, in percent.
    pub(crate) own_late_percent: f64,
}

/// What a row is made from.
pub(crate) struct Sample<'a> {
    pub(crate) at: Duration,
    pub(crate) length: Duration,
    pub(crate) calls: usize,
    pub(crate) peak: usize,
    pub(crate) interval: &'a Interval,
    pub(crate) scores: &'a Scores,
    /// The whole run up to now.
    pub(crate) total: &'a Scores,
    /// Looks at the target, at the beginning and at the end of the row.
    pub(crate) target: Option<(&'a Look, &'a Look)>,
    /// CPU of the tester.
    pub(crate) own_cpu: Duration,
}

impl Row {
    pub(crate) fn new(sample: &Sample<'_>) -> Self {
        let seconds = sample.length.as_secs_f64().max(1e-6);
        let heard = sample.interval.all_heard();
        let delay = |part| milliseconds(sample.interval.delay.quantile(part));
        let percent = |cpu: Duration| 100.0 * cpu.as_secs_f64() / seconds;
        Self {
            at_s: sample.at.as_secs_f64(),
            length_s: seconds,
            rate: sample.scores.begun as f64 / seconds,
            begun: sample.total.begun,
            calls: sample.calls,
            peak: sample.peak.max(sample.calls),
            succeeded: sample.total.succeeded,
            failed: sample.total.failures(),
            setup_p50_ms: milliseconds(sample.scores.setup.quantile(0.5)),
            setup_p99_ms: milliseconds(sample.scores.setup.quantile(0.99)),
            delay_p50_ms: delay(0.5),
            delay_p99_ms: delay(0.99),
            delay_max_ms: milliseconds(sample.interval.delay.longest()),
            loss_percent: 100.0 * heard.loss(),
            packets_per_second: heard.received as f64 / seconds,
            target_cpu_percent: sample
                .target
                .map(|(before, after)| percent(after.cpu.saturating_sub(before.cpu))),
            target_memory_mb: sample.target.map(|(_, after)| after.resident as f64 / 1e6),
            target_switches: sample.target.map(|(before, after)| switches(before, after) / seconds),
            own_cpu_percent: percent(sample.own_cpu),
            own_late_percent: 100.0 * sample.interval.slots_late as f64 / sample.interval.slots.max(1) as f64,
        }
    }
}

fn switches(before: &Look, after: &Look) -> f64 {
    let sum = |look: &Look| look.switches.0 + look.switches.1;
    sum(after).saturating_sub(sum(before)) as f64
}

/// The slope and the start of the straight line that fits best through some points; `None` if they are all above
/// one place.
#[must_use]
pub(crate) fn line_through(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count.max(1.0);
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if spread < 1e-9 {
        return None;
    }
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    Some((slope, y - slope * x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_a_single_place_has_none() {
        let points: Vec<_> = (0..50).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        let (slope, start) = line_through(&points).unwrap();
        assert!((slope - 3.0).abs() < 1e-9 && (start - 7.0).abs() < 1e-9);
        assert_eq!(line_through(&[(1.0, 2.0), (1.0, 5.0)]), None);
        assert_eq!(line_through(&[]), None);
    }
}
