//! Figures of a call that nobody decides by: dead air, what each leg's sound was worth. They go to the metrics, to
//! subscribers, onto the board, and the last ones into the log.

use std::time::Duration;

use segue_api::News as Told;
use segue_call::{Action, Entry, LegQuality, LegRecord, Milestone, PacketCounts, SoundQuality};
use segue_media::{LegId, LegStats, Report};
use segue_store::What;

use super::{News, task::CallTask};
use crate::metrics;

/// How long a call that is over waits for what its media thread still has to say about its legs.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

impl CallTask {
    /// Takes a report that the call is not asked about.
    pub(super) fn measured(&mut self, report: &Report) {
        match report {
            Report::Filled { .. } => metrics::filled(),
            // The first mark, at the request, begins the measure; the second one, at the bridge, is the answer.
            Report::Measured { mark: 1, ear, .. } => {
                metrics::dead_air(ear.silence_longest);
                let silence_ms = ear.silence_longest.as_millis();
                tracing::info!(silence_ms, fills = ear.fills, "dead air before the bridge");
            }
            Report::Quality { leg, quality } => {
                if let Some((attempt, party)) = self.legs.whose(*leg) {
                    let quality = in_words(quality);
                    self.report_to_homer(*leg, &quality, None);
                    self.show(Milestone::Quality { attempt, party, quality, whole: false });
                }
            }
            Report::Closed { leg, stats, quality } => {
                if let Some(entry) = self.last_word(*leg, stats, quality) {
                    self.append(self.parts.clock.now(), What::Entry(entry));
                }
            }
            Report::Measured { .. }
            | Report::Heard { .. }
            | Report::Played { .. }
            | Report::Key { .. }
            | Report::Dead { .. }
            | Report::Refused { .. } => {}
        }
    }

    /// Waits until the media thread has said its last word about every leg, for a short while. They are in the store
    /// before the call is forgotten here: whoever asks for it then finds it whole.
    pub(super) async fn take_last_words(&mut self) {
        let deadline = self.parts.clock.instant(self.parts.clock.now() + LAST_WORDS_MAX);
        while self.legs.closing() {
            match tokio::time::timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(News::Media(report))) => {
                    if let Report::Closed { leg, stats, quality } = *report
                        && let Some(entry) = self.last_word(leg, &stats, &quality)
                    {
                        self.promise(What::Entry(entry)).await;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    tracing::debug!("a leg's last numbers did not come");
                    return;
                }
            }
        }
    }

    /// A leg is over: tells and counts what its sound was worth, and gives what is to be kept of it.
    fn last_word(
        &mut self,
        leg: LegId,
        stats: &LegStats,
        quality: &segue_media::LegQuality,
    ) -> Option<Entry> {
        tracing::debug!(?stats, "a media leg is closed");
        let (attempt, party) = self.legs.closed(leg)?;
        self.taping.leg_over(attempt);
        // A party that was only dialled has no sound to speak of.
        if stats.received == 0 && quality.told.is_none() {
            return None;
        }
        let quality = in_words(quality);
        metrics::leg_quality(party, &quality);
        self.report_to_homer(leg, &quality, Some(&packets(stats)));
        let entry = Entry::LegMeasured(LegRecord { attempt, party, quality, packets: packets(stats) });
        let now = self.parts.clock.now();
        self.parts.board.see(&self.id, now, &Action::Note(entry.clone()));
        self.show(Milestone::Quality { attempt, party, quality, whole: true });
        Some(entry)
    }

    fn report_to_homer(&self, leg: LegId, quality: &LegQuality, packets: Option<&PacketCounts>) {
        if let (Some(homer), Some((sip_call_id, theirs, ours))) = (&self.parts.homer, self.legs.name(leg)) {
            homer.report(sip_call_id, (*theirs, *ours), quality, packets);
        }
    }

    pub(super) fn show(&self, milestone: Milestone) {
        let now = self.parts.clock.now();
        self.parts.board.see(&self.id, now, &Action::Publish(milestone.clone()));
        self.parts.feed.publish(now, Told::Call(self.id.clone(), milestone));
    }
}

fn in_words(quality: &segue_media::LegQuality) -> LegQuality {
    let sound = |sound: segue_media::Quality| SoundQuality {
        mos: sound.mos,
        rating: sound.rating,
        loss: sound.loss,
        burst_ratio: sound.burst_ratio,
        jitter: sound.jitter,
        delay: sound.delay,
    };
    LegQuality {
        heard: quality.heard.map(sound),
        told: quality.told.map(sound),
        round_trip: quality.round_trip,
        mos_lowest: quality.mos_lowest,
    }
}

fn packets(stats: &LegStats) -> PacketCounts {
    PacketCounts {
        received: stats.received,
        lost: stats.lost,
        late: stats.late,
        duplicated: stats.duplicated,
        rejected: stats.rejected,
        sent: stats.sent,
    }
}
