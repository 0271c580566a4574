//! How recognition keeps up, told to those who run the gateway: each step of its ladder as an event, and all of it as
//! metrics (`segue_recognition_…`).

use std::{sync::Arc, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use segue_api::{Feed, News, RecognitionStep};
use segue_speech::{
    SpeechStats,
    pool::{Rung, RungStep, Watch},
};

use crate::clock::Clock;

/// Tells what the speech threads say.
pub(crate) struct Teller {
    clock: Clock,
    feed: Arc<Feed>,
}

impl Teller {
    /// One that publishes to a feed.
    pub(crate) fn new(clock: Clock, feed: &Arc<Feed>) -> Self {
        Self { clock, feed: Arc::clone(feed) }
    }
}

impl Watch for Teller {
    fn rung(&self, step: RungStep) {
        gauge!("segue_recognition_rung").set(f64::from(step.to as u8));
        let (from, to) = (step.from.name(), step.to.name());
        counter!("segue_recognition_steps_total", "to" => to).increment(1);
        let news = News::Recognition(RecognitionStep { from, to, wait: step.wait });
        self.feed.publish(self.clock.now(), news);
    }

    fn waited(&self, wait: Duration) {
        histogram!("segue_recognition_wait_seconds").record(wait.as_secs_f64());
    }
}

/// Names what is measured here.
pub(crate) fn describe() {
    describe_gauge!(
        "segue_recognition_rung",
        "What recognition has given up: 0 nothing, 1 and 2 partials slower, 3 partials nobody waits for, 4 the bot \
         and the better model, 5 finals go elsewhere too, 6 agents are put off."
    );
    describe_counter!(
        "segue_recognition_steps_total",
        "Steps on the ladder of recognition, by where they led."
    );
    describe_counter!("segue_recognition_rung_seconds_total", Unit::Seconds, "Time spent on each rung.");
    describe_histogram!(
        "segue_recognition_wait_seconds",
        Unit::Seconds,
        "How long a final waited until somebody decoded it."
    );
    describe_gauge!("segue_recognition_voices", "Voices listened to at this moment.");
    describe_gauge!("segue_recognition_finals_waiting", "Finals that wait for a decoder at this moment.");
    describe_gauge!(
        "segue_recognition_partial_stretch",
        "By how much the interval between partials is stretched to fit into what finals leave."
    );
    describe_counter!("segue_recognition_finals_total", "Finals with words, by what decoded them.");
    describe_counter!(
        "segue_recognition_partials_total",
        "Partials by their end: told, dropped, stopped for a final."
    );
    describe_counter!(
        "segue_recognition_elsewhere_failed_total",
        "Requests to the service that helps out which came to nothing; their finals were decoded here."
    );
    describe_gauge!(
        "segue_recognition_late_waiting_seconds",
        Unit::Seconds,
        "Speech of agents that was put off and waits."
    );
    describe_counter!(
        "segue_recognition_late_seconds_total",
        Unit::Seconds,
        "Speech of agents that was put off, by its end: decoded or lost."
    );
    describe_counter!("segue_recognition_decoding_seconds_total", Unit::Seconds, "Time spent in decodes.");
    describe_counter!("segue_recognition_frames_dropped_total", "Frames that recognition was too late for.");
    describe_counter!("segue_recognition_workers_replaced_total", "Workers that hung or ended.");
}

/// The pool at this moment.
pub(crate) fn measure(stats: &SpeechStats) {
    gauge!("segue_recognition_rung").set(f64::from(stats.rung as u8));
    gauge!("segue_recognition_voices").set(stats.streams as f64);
    gauge!("segue_recognition_finals_waiting").set(stats.finals_waiting as f64);
    gauge!("segue_recognition_partial_stretch").set(f64::from(stats.stretch));
    gauge!("segue_recognition_late_waiting_seconds").set(stats.late.waiting.as_secs_f64());
    for (rung, time) in Rung::ALL.into_iter().zip(stats.on_rung) {
        counter!("segue_recognition_rung_seconds_total", "rung" => rung.name()).absolute(time.as_secs());
    }
    let by = stats.finals_by;
    for (by, finals) in [("model", by.model), ("lighter", by.lighter), ("elsewhere", by.elsewhere)] {
        counter!("segue_recognition_finals_total", "by" => by).absolute(finals);
    }
    counter!("segue_recognition_elsewhere_failed_total").absolute(by.elsewhere_failed);
    let ends = stats.decodes;
    for (end, partials) in [("told", ends.partials), ("dropped", ends.dropped), ("stopped", ends.stopped)] {
        counter!("segue_recognition_partials_total", "end" => end).absolute(partials);
    }
    for (end, time) in [("decoded", stats.late.decoded), ("lost", stats.late.lost)] {
        counter!("segue_recognition_late_seconds_total", "end" => end).absolute(time.as_secs());
    }
    counter!("segue_recognition_decoding_seconds_total").absolute(stats.decoding.as_secs());
    counter!("segue_recognition_frames_dropped_total").absolute(stats.frames.dropped);
    counter!("segue_recognition_workers_replaced_total").absolute(stats.workers_replaced);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn a_step_is_an_event_and_a_metric() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let feed = Arc::new(Feed::new(Duration::ZERO, 8));
        let teller = Teller::new(Clock::start(), &feed);
        metrics::with_local_recorder(&recorder, || {
            let wait = Duration::from_millis(640);
            teller.rung(RungStep { from: Rung::Full, to: Rung::FinalsOnly, wait });
            teller.waited(wait);
        });
        let news = feed.after(0, 8).unwrap();
        let step = RecognitionStep { from: "full", to: "finals_only", wait: Duration::from_millis(640) };
        assert_eq!(news.first().unwrap().news, News::Recognition(step));
        let page = recorder.handle().render();
        assert!(page.contains("segue_recognition_rung 3"), "{page}");
        assert!(page.contains(r#"segue_recognition_steps_total{to="finals_only"} 1"#), "{page}");
        assert!(page.contains("segue_recognition_wait_seconds"), "{page}");
    }

    #[test]
    fn the_pool_is_measured_by_its_own_counts() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let mut stats = SpeechStats { rung: Rung::CallerOnly, ..SpeechStats::default() };
        stats.on_rung[6] = Duration::from_secs(9);
        stats.finals_by.elsewhere = 4;
        stats.late.waiting = Duration::from_millis(2_500);
        metrics::with_local_recorder(&recorder, || measure(&stats));
        let page = recorder.handle().render();
        for line in [
            "segue_recognition_rung 6",
            r#"segue_recognition_rung_seconds_total{rung="caller_only"} 9"#,
            r#"segue_recognition_finals_total{by="elsewhere"} 4"#,
            "segue_recognition_late_waiting_seconds 2.5",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
    }
}
