//! The last seconds of a voice in µ-law: what was not sent yet, and what is sent again when a connection is cut;
//! and which moment of the call a moment of the service's is.

use std::{collections::VecDeque, time::Duration};

use crate::listen::FRAME_LENGTH;

/// Frames in the order of time. What was sent stays for a replay; what was not sent waits, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Tape {
    frames: VecDeque<Kept>,
    /// How many of them went over the present connection.
    sent: usize,
    due: Option<Duration>,
    /// The first moment that was not lost, if sound was lost that no connection took.
    lost_until: Option<Duration>,
}

#[derive(Debug)]
struct Kept {
    at: Duration,
    sound: [u8; 160],
    /// Nothing was there to hear before it for a while.
    jumped: bool,
}

/// Frames that go out together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) sound: Vec<u8>,
    /// What was sent before should be settled first.
    pub(super) jumped: bool,
}

impl Tape {
    pub(super) fn push(&mut self, at: Duration, sound: [u8; 160]) {
        let jumped = self.due.is_some_and(|due| at > due + FRAME_LENGTH);
        self.due = Some(at + FRAME_LENGTH);
        self.frames.push_back(Kept { at, sound, jumped });
        self.shorten();
        if self.frames.len() - self.sent > WAITING_MAX {
            self.frames.drain(..=self.sent.min(self.frames.len() - 1));
            self.sent = 0;
            self.lost_until = self.begin();
        }
    }

    /// When the oldest frame began.
    pub(super) fn begin(&self) -> Option<Duration> {
        self.frames.front().map(|frame| frame.at)
    }

    /// Sound before that moment, and not all of it, was lost before a connection took it.
    pub(super) fn lost(&self) -> Option<Duration> {
        self.lost_until
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.frames.len()
    }

    /// The next frames to send, as far as they belong together; none if all are sent.
    pub(super) fn next(&mut self, times: &mut Times) -> Option<Batch> {
        let mut batch = Batch::default();
        while batch.sound.len() < BATCH_MAX
            && let Some(frame) = self.frames.get(self.sent)
        {
            if frame.jumped && !batch.sound.is_empty() {
                break;
            }
            batch.jumped |= frame.jumped && times.frames > 0;
            batch.sound.extend_from_slice(&frame.sound);
            times.sent(frame.at);
            self.sent += 1;
        }
        (!batch.sound.is_empty()).then_some(batch)
    }

    /// A new connection begins with the oldest frame.
    pub(super) fn rewind(&mut self) {
        self.shorten();
        self.sent = 0;
    }

    /// All of it was heard: nothing is sent again.
    pub(super) fn forget(&mut self) {
        self.frames.clear();
        self.sent = 0;
    }

    fn shorten(&mut self) {
        let over = self.sent.saturating_sub(REPLAY);
        self.frames.drain(..over);
        self.sent -= over;
    }
}

/// The times of one connection: the service counts seconds of the sound that it got.
#[derive(Debug, Default)]
pub(super) struct Times {
    frames: u64,
    /// From that frame on, sound lies at that moment.
    anchors: VecDeque<(u64, Duration)>,
}

impl Times {
    fn sent(&mut self, at: Duration) {
        let expected = self.anchors.back().map(|anchor| moment(*anchor, length(self.frames)));
        if expected.is_none_or(|expected| expected.abs_diff(at) > FRAME_LENGTH / 2) {
            self.anchors.push_back((self.frames, at));
            if self.anchors.len() > ANCHORS_MAX {
                self.anchors.pop_front();
            }
        }
        self.frames += 1;
    }

    /// The moment of the call that lies so many seconds into the sound, or the end of what was sent, if the
    /// service counts further than that.
    pub(super) fn at(&self, seconds: f64) -> Duration {
        let place = Duration::try_from_secs_f64(seconds).unwrap_or_default().min(length(self.frames));
        let before = self.anchors.iter().rev().find(|(frames, _)| length(*frames) <= place);
        before.or(self.anchors.front()).map_or(Duration::ZERO, |anchor| moment(*anchor, place))
    }
}

fn moment((frames, at): (u64, Duration), place: Duration) -> Duration {
    at + place.saturating_sub(length(frames))
}

fn length(frames: u64) -> Duration {
    Duration::from_millis(frames.saturating_mul(20))
}

/// Frames that are sent again over a new connection: 2 s.
const REPLAY: usize = 100;
/// Frames that wait for a connection: 5 s, as long as a patient dial takes; older ones are lost.
const WAITING_MAX: usize = 250;
/// Bytes in one message: a quarter of a second.
const BATCH_MAX: usize = 2_000;
/// Jumps in one connection whose times are still known; words come within seconds.
const ANCHORS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn drain(tape: &mut Tape, times: &mut Times) -> Vec<u8> {
        std::iter::from_fn(|| tape.next(times)).flat_map(|batch| batch.sound).collect()
    }

    #[test]
    fn two_seconds_of_what_was_sent_are_sent_again() {
        let (mut tape, mut times) = (Tape::default(), Times::default());
        for count in 0..300 {
            tape.push(millis(count * 20), [count as u8; 160]);
            drain(&mut tape, &mut times);
        }
        assert!(tape.is_sent());
        tape.rewind();
        let again = drain(&mut tape, &mut Times::default());
        let seconds = again.len() / 8_000;
        assert_eq!((seconds, again.last(), tape.lost()), (2, Some(&(299_u32 as u8)), None));
    }

    #[test]
    fn sound_that_nobody_takes_is_lost_from_its_beginning_and_that_is_told() {
        let mut tape = Tape::default();
        for count in 0..300 {
            tape.push(millis(count * 20), [count as u8; 160]);
        }
        assert_eq!((tape.lost(), tape.begin()), (Some(millis(1_000)), Some(millis(1_000))));
        let mut times = Times::default();
        assert_eq!(drain(&mut tape, &mut times).len(), 250 * 160);
        assert_eq!(times.at(0.5), millis(1_500));
    }

    #[test]
    fn the_seconds_of_the_service_are_moments_of_the_call_across_a_jump() {
        let (mut tape, mut times) = (Tape::default(), Times::default());
        for count in 0..10 {
            tape.push(millis(5_000 + count * 20), [1; 160]);
        }
        for count in 0..10 {
            tape.push(millis(60_000 + count * 20), [2; 160]);
        }
        let first = tape.next(&mut times).unwrap();
        assert_eq!((first.sound.len(), first.jumped), (1_600, false));
        assert!(tape.next(&mut times).unwrap().jumped, "what was said before the jump is settled first");
        assert_eq!(times.at(0.1), millis(5_100));
        assert_eq!(times.at(0.3), millis(60_100));
        assert_eq!(times.at(1e300), millis(5_000), "no such length: the beginning, never a panic");
        assert_eq!(times.at(99.0), millis(60_200), "no further than was sent");
    }
}
