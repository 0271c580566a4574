//! What a leg's sound is worth: the numbers of a span of time, and the score that the E-model makes of them.
//!
//! Two views of one leg. *Heard*: what reaches us from the far side, measured by us. *Told*: what reaches the far
//! side from us, as its RTCP reports say. Each is judged as if the other end of the conversation sat in the gateway.

use std::time::Duration;

use crate::{
    command::LegStats,
    emodel::{self, Connection, Equipment},
};

/// One direction of a leg over a span of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Mean opinion score, 1 to 4.5, on the narrow-band scale (ITU-T G.107 Annex B; MOS-CQE).
    pub mos: f32,
    /// The rating behind it (R of G.107), up to 93.2.
    pub rating: f32,
    /// Packets lost or too late, 0 to 1.
    pub loss: f32,
    /// Mean length of the bursts of loss, by that of random loss: 1 is random (BurstR of G.107).
    pub burst_ratio: f32,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// One way from mouth to ear: half the round trip, the jitter buffer, one frame.
    pub delay: Duration,
}

/// Both directions of a leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegQuality {
    /// What we hear of the far side; none if nothing came in the span.
    pub heard: Option<Quality>,
    /// What the far side hears of us; none if it did not report.
    pub told: Option<Quality>,
    /// Round trip by RTCP, if the far side reported.
    pub round_trip: Option<Duration>,
    /// The lowest score of any span of 5 s so far, of either direction.
    pub mos_lowest: Option<f32>,
}

/// Judges a leg every few seconds and over its whole life.
#[derive(Clone, Debug)]
pub(crate) struct Assessor {
    interval: Duration,
    next: Duration,
    before: LegStats,
    lowest: Option<f32>,
}

/// What the far side's jitter buffer is taken to hold, because RTCP does not tell.
const FAR_BUFFER: Duration = Duration::from_millis(40);
/// The scale is the narrow-band one. G.113 has no value of that scale for G.722 and none at all for Opus: both sound no
/// worse than G.711, and their concealment is taken to be no better.
const EQUIPMENT: Equipment = Equipment::G711;
const FRAME: Duration = Duration::from_millis(20);

impl Assessor {
    /// A leg that exists from `now` on; an `interval` of zero judges it only at its end.
    pub(crate) fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, next: now + interval, before: LegStats::default(), lowest: None }
    }

    pub(crate) fn is_due(&self, now: Duration) -> bool {
        !self.interval.is_zero() && now >= self.next
    }

    /// The span since the last judgement; the next one begins here.
    pub(crate) fn running(&mut self, now: Duration, stats: &LegStats) -> LegQuality {
        self.next = now + self.interval;
        let before = std::mem::replace(&mut self.before, *stats);
        let mut quality = judge(&before, stats);
        let scores = [quality.heard, quality.told].into_iter().flatten().map(|quality| quality.mos);
        self.lowest = self.lowest.into_iter().chain(scores).reduce(f32::min);
        quality.mos_lowest = self.lowest;
        quality
    }

    /// The whole life of the leg.
    pub(crate) fn whole(&self, stats: &LegStats) -> LegQuality {
        LegQuality { mos_lowest: self.lowest, ..judge(&LegStats::default(), stats) }
    }
}

/// Judges the span between two looks at a leg's numbers.
fn judge(before: &LegStats, now: &LegStats) -> LegQuality {
    let since = |field: fn(&LegStats) -> u64| field(now).saturating_sub(field(before));
    let (received, lost, late) = (since(|n| n.received), since(|n| n.lost), since(|n| n.late));
    let trip = now.round_trip.unwrap_or_default() / 2;
    let heard = (received > 0).then(|| {
        let loss = ratio(lost + late, received + lost);
        // Late packets make gaps of their own.
        let bursts = since(|n| n.loss_bursts) + late;
        quality(loss, burst_ratio(lost + late, bursts, loss), now.jitter, trip + now.delay + FRAME)
    });
    let told = (since(|n| n.far_reports) > 0).then(|| {
        let loss = ratio(since(|n| n.far_lost), since(|n| n.sent));
        // A report block tells how much was lost, not in how many bursts.
        quality(loss, 1.0, now.far_jitter, trip + FAR_BUFFER + FRAME)
    });
    LegQuality { heard, told, round_trip: now.round_trip, mos_lowest: None }
}

fn quality(loss: f64, burst_ratio: f64, jitter: Duration, delay: Duration) -> Quality {
    let connection = Connection {
        delay_ms: delay.as_secs_f64() * 1000.0,
        loss_percent: loss * 100.0,
        burst_ratio,
        equipment: EQUIPMENT,
    };
    let rating = emodel::rating(&connection);
    Quality {
        mos: emodel::score(rating) as f32,
        rating: rating as f32,
        loss: loss as f32,
        burst_ratio: burst_ratio as f32,
        jitter,
        delay,
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// BurstR: the mean length of a burst by 1 ÷ (1 − p), which it would have if each packet were lost by itself.
fn burst_ratio(missing: u64, bursts: u64, loss: f64) -> f64 {
    if missing == 0 || bursts == 0 {
        return 1.0;
    }
    (missing as f64 / bursts as f64 * (1.0 - loss)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(received: u64, lost: u64, loss_bursts: u64) -> LegStats {
        LegStats {
            received,
            lost,
            loss_bursts,
            sent: received + lost,
            delay: Duration::from_millis(40),
            ..LegStats::default()
        }
    }

    #[test]
    fn an_undisturbed_leg_scores_what_the_model_gives_at_most() {
        let quality = judge(&LegStats::default(), &stats(500, 0, 0));
        let heard = quality.heard.expect("it was heard");
        assert!((4.36..=4.41).contains(&heard.mos), "{heard:?}");
        assert_eq!((heard.loss, heard.burst_ratio), (0.0, 1.0));
        assert_eq!(quality.told, None, "nobody reported");
    }

    #[test]
    fn a_leg_that_is_silent_in_a_span_has_no_score_there() {
        let before = stats(500, 5, 5);
        let quality = judge(&before, &before);
        assert_eq!((quality.heard, quality.told), (None, None));
    }

    #[test]
    fn the_same_loss_in_long_bursts_scores_less() {
        let spread = judge(&LegStats::default(), &stats(950, 50, 50)).heard.expect("heard");
        let bursts = judge(&LegStats::default(), &stats(950, 50, 5)).heard.expect("heard");
        assert_eq!((spread.loss, spread.burst_ratio), (0.05, 1.0));
        assert!((bursts.burst_ratio - 9.5).abs() < 0.01, "{bursts:?}");
        assert!(bursts.mos < spread.mos && spread.mos < 4.1, "{} {}", bursts.mos, spread.mos);
    }

    #[test]
    fn the_far_sides_view_comes_from_its_reports() {
        let now = LegStats {
            far_reports: 2,
            far_lost: 100,
            far_jitter: Duration::from_millis(3),
            round_trip: Some(Duration::from_millis(500)),
            ..stats(1000, 0, 0)
        };
        let told = judge(&LegStats::default(), &now).told.expect("it reported");
        assert!((told.loss - 0.1).abs() < 1e-6 && told.mos < 3.3, "{told:?}");
        assert_eq!((told.jitter, told.delay), (Duration::from_millis(3), Duration::from_millis(310)));
    }

    #[test]
    fn a_bad_span_is_seen_while_it_runs_and_remembered_as_the_lowest() {
        let second = Duration::from_secs(1);
        let mut assessor = Assessor::new(second * 5, Duration::ZERO);
        assert!(!assessor.is_due(second * 4) && assessor.is_due(second * 5));
        let good = assessor.running(second * 5, &stats(250, 0, 0));
        let bad = assessor.running(second * 10, &stats(400, 100, 100));
        let again = assessor.running(second * 15, &stats(650, 100, 100));
        let scores = [good, bad, again].map(|quality| quality.heard.expect("heard").mos);
        assert!(scores[0] == scores[2] && scores[1] < 2.5, "{scores:?}");
        assert_eq!(again.mos_lowest, Some(scores[1]));
        let whole = assessor.whole(&stats(650, 100, 100));
        let heard = whole.heard.expect("heard").mos;
        assert!(scores[1] < heard && heard < scores[0] && whole.mos_lowest == Some(scores[1]));
    }
}
