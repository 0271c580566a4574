//! The recording of one call: every leg that is up has two files, what its ear was sent and what it said.

use std::collections::BTreeMap;

use segue_api::{DeskError, RecordingOrder, RecordingState};
use segue_call::{AttemptId, Milestone, Party, RecordingNews};
use segue_media::LegId;

use super::{News, task::CallTask};
use crate::{
    media::Tape,
    metrics,
    recording::{About, Recording},
};

/// What is being recorded of a call.
#[derive(Default)]
pub(super) struct Taping {
    state: RecordingState,
    /// How often a recording was begun: each has files of its own.
    take: u32,
    legs: BTreeMap<AttemptId, [Recording; 2]>,
}

impl Taping {
    /// A leg is over: its files end.
    pub(super) fn leg_over(&mut self, attempt: AttemptId) {
        self.legs.remove(&attempt);
    }
}

impl CallTask {
    /// Carries out a wish of the API.
    pub(super) fn record(&mut self, order: RecordingOrder) -> Result<RecordingState, DeskError> {
        if self.parts.recorder.is_none() {
            return Err(DeskError::RecordingOff);
        }
        match (order, self.taping.state) {
            (RecordingOrder::Start, RecordingState::Off) => self.start_recording(),
            (RecordingOrder::Start, RecordingState::Running | RecordingState::Paused) => {}
            (RecordingOrder::Pause | RecordingOrder::Resume, RecordingState::Off) => {
                return Err(DeskError::NotRecorded);
            }
            (RecordingOrder::Pause, _) => {
                self.taping.legs.values().flatten().for_each(Recording::pause);
                self.taping.state = RecordingState::Paused;
                self.show(Milestone::Recording(RecordingNews::Paused));
            }
            (RecordingOrder::Resume, _) => {
                self.taping.legs.values().flatten().for_each(Recording::resume);
                self.taping.state = RecordingState::Running;
                self.show(Milestone::Recording(RecordingNews::Resumed));
            }
            (RecordingOrder::Stop, RecordingState::Off) => {}
            (RecordingOrder::Stop, _) => self.stop_recording(RecordingNews::Stopped),
        }
        Ok(self.taping.state)
    }

    /// Begins to record every leg that is up; those that come later join.
    pub(super) fn start_recording(&mut self) {
        self.taping.state = RecordingState::Running;
        self.taping.take += 1;
        for (attempt, party, leg) in self.legs.up() {
            self.tape(attempt, party, leg);
        }
        self.show(Milestone::Recording(RecordingNews::Started));
    }

    /// The disk did not take it any more: the recording ends, the call goes on.
    pub(super) fn recording_failed(&mut self, why: &str) {
        if self.taping.state != RecordingState::Off {
            tracing::warn!(why, "the call is not recorded any more");
            self.stop_recording(RecordingNews::Failed);
        }
    }

    /// A leg is up: it is recorded if the call is.
    pub(super) fn tape(&mut self, attempt: AttemptId, party: Party, leg: LegId) {
        let Some(recorder) = self.parts.recorder.clone().filter(|_| self.taping.state != RecordingState::Off)
        else {
            return;
        };
        let open = |side: &str| {
            let about = About {
                call: self.id.0.clone(),
                leg: attempt.0,
                party: format!("{party:?}").to_lowercase(),
                side: side.to_owned(),
                take: self.taping.take,
            };
            let sender = self.sender.clone();
            let failed = move |why| {
                if sender.try_send(News::RecordingFailed(why)).is_err() {
                    metrics::news_lost();
                }
            };
            recorder.open(about, self.parts.clock, Box::new(failed))
        };
        let files = [open("heard"), open("said")];
        if self.taping.state == RecordingState::Paused {
            files.iter().for_each(Recording::pause);
        }
        let [heard, said] = &files;
        let tape = Tape { ear: Box::new(heard.of_ear()), voice: Box::new(said.of_voice()) };
        match self.media.record(leg, Some(tape)) {
            Ok(()) => {
                self.taping.legs.insert(attempt, files);
            }
            Err(error) => tracing::error!(%error, "a leg is not recorded"),
        }
    }

    fn stop_recording(&mut self, news: RecordingNews) {
        for (_, _, leg) in self.legs.up() {
            if let Err(error) = self.media.record(leg, None) {
                tracing::error!(%error, "a leg is still listened to");
            }
        }
        self.taping.legs.clear();
        self.taping.state = RecordingState::Off;
        self.show(Milestone::Recording(news));
    }
}
