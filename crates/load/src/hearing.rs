//! What one ear hears, packet by packet: whose marks, what is missing, double or late, and how long it is quiet.
//!
//! Pure: a packet and the time it arrived in; counters and news out. Loss is counted within one stream of marks from
//! its first packet on; the tester adds what never came at the end ([`Hearing::finish`]). A stretch of other sound,
//! such as an announcement, is no loss: the system under test put it there in place of the marks.

use segue_media::{g711::Law, level};

use crate::{
    clock::{MILLISECOND, Nanos},
    mark::Mark,
    track::{JUMP_MAX, Place, Track},
};

/// Unmarked frames that are told as sound; one or two may be a concealed loss.
const SOUND_FRAMES: u32 = 3;
/// Unmarked frames after which missing marks count as replaced and not as lost.
const REPLACED_FRAMES: u32 = 10;
/// Marks at the end that may still be on their way: 200 ms.
const UNDERWAY: u32 = 10;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Marked packets, each counted once.
    pub(crate) received: u64,
    /// Marked packets that were not there when a later one came.
    pub(crate) missing: u64,
    /// Marked packets that came again.
    pub(crate) duplicated: u64,
    /// Marked packets that came after a later one: they were missing for a while.
    pub(crate) reordered: u64,
    /// Packets with other sound: announcements, music, noise, concealed losses.
    pub(crate) unmarked: u64,
    /// Times that an ear listened for a voice of tones.
    pub(crate) looks: u64,
    /// Those in which it heard none.
    pub(crate) looks_in_vain: u64,
    /// Marked packets whose arrival lies before their departure: a step of the system's clock.
    pub(crate) before_sent: u64,
}

impl Tally {
    /// Adds another tally.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.missing += other.missing;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.unmarked += other.unmarked;
        self.before_sent += other.before_sent;
        self.looks += other.looks;
        self.looks_in_vain += other.looks_in_vain;
    }

    /// Marked packets that never came.
    #[must_use]
    pub(crate) const fn lost(&self) -> u64 {
        self.missing.saturating_sub(self.reordered)
    }

    /// The part of marked packets that never came, 0 to 1.
    #[must_use]
    pub(crate) fn loss(&self) -> f64 {
        self.lost() as f64 / (self.received + self.lost()).max(1) as f64
    }
}

/// What an ear hears from now on, told when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The marks of this stream.
    Stream(u32),
    /// Sound without a mark.
    Sound,
}

/// What one packet meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// How long a marked packet was under way; of a packet that came twice, the first time only.
    pub(crate) delay: Option<Nanos>,
    /// What the ear hears now, and since when.
    pub(crate) change: Option<(Heard, Nanos)>,
}

/// One ear.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    law: Law,
    track: Option<Track>,
    heard: Option<Heard>,
    /// Unmarked frames in a row, and when the first audible one of them came.
    unmarked: u32,
    sound_since: Option<Nanos>,
    sound_frames: u32,
    audible_last: Nanos,
    silence_max: Nanos,
    tally: Tally,
}

impl Hearing {
    /// An ear that begins to listen.
    pub(crate) fn new(law: Law, now: Nanos) -> Self {
        Self {
            law,
            track: None,
            heard: None,
            unmarked: 0,
            sound_since: None,
            sound_frames: 0,
            audible_last: now,
            silence_max: 0,
            tally: Tally::default(),
        }
    }

    /// One frame of sound.
    pub(crate) fn hear(&mut self, at: Nanos, frame: &[u8]) -> Told {
        match Mark::read(self.law, frame) {
            Some(mark) => self.marked(at, mark),
            None => self.other(at, frame),
        }
    }

    /// What was counted since it was asked last.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// The stream that is heard at the moment.
    pub(crate) fn stream(&self) -> Option<u32> {
        match self.heard {
            Some(Heard::Stream(stream)) => Some(stream),
            Some(Heard::Sound) | None => None,
        }
    }

    /// The end: `sent` marks of the stream that was heard had gone out by now. Gives the longest silence.
    pub(crate) fn finish(&mut self, now: Nanos, sent: Option<u32>) -> Nanos {
        // Whoever hears other frames instead, even quiet ones, has nothing of the stream due.
        let due = self.stream().filter(|_| self.unmarked < REPLACED_FRAMES);
        if let (Some(sent), Some(track), Some(_)) = (sent, self.track, due) {
            let missing = sent.saturating_sub(track.highest.saturating_add(1));
            if missing > UNDERWAY && missing <= JUMP_MAX {
                self.tally.missing += u64::from(missing - UNDERWAY);
            }
        }
        self.audible(now);
        self.silence_max
    }

    fn marked(&mut self, at: Nanos, mark: Mark) -> Told {
        self.audible(at);
        let replaced = self.unmarked >= REPLACED_FRAMES;
        self.unmarked = 0;
        self.sound_since = None;
        self.sound_frames = 0;
        let first_time = self.follow(mark, replaced);
        let delay = if !first_time {
            None
        } else if at < mark.sent {
            self.tally.before_sent += 1;
            Some(0)
        } else {
            Some(at - mark.sent)
        };
        Told { delay, change: self.changed(Heard::Stream(mark.stream), at) }
    }

    /// False for a duplicate.
    fn follow(&mut self, mark: Mark, replaced: bool) -> bool {
        let Some(track) = self.track.as_mut().filter(|track| track.stream == mark.stream) else {
            self.track = Some(Track::new(mark.stream, mark.number));
            self.tally.received += 1;
            return true;
        };
        match track.follow(mark.number) {
            // What other sound stood in for did not get lost, and will not come late.
            Place::Next { .. } if replaced => track.forgive(),
            Place::Next { missing } => self.tally.missing += u64::from(missing),
            Place::Late => self.tally.reordered += 1,
            Place::Again => {
                self.tally.duplicated += 1;
                return false;
            }
        }
        self.tally.received += 1;
        true
    }

    fn other(&mut self, at: Nanos, frame: &[u8]) -> Told {
        self.tally.unmarked += 1;
        self.unmarked = self.unmarked.saturating_add(1);
        if self.law.power(frame) < silence_power() {
            return Told::default();
        }
        self.audible(at);
        self.sound_frames += 1;
        let since = *self.sound_since.get_or_insert(at);
        let change = if self.sound_frames >= SOUND_FRAMES { self.changed(Heard::Sound, since) } else { None };
        Told { delay: None, change }
    }

    fn changed(&mut self, heard: Heard, since: Nanos) -> Option<(Heard, Nanos)> {
        if self.heard == Some(heard) {
            return None;
        }
        self.heard = Some(heard);
        Some((heard, since))
    }

    fn audible(&mut self, at: Nanos) {
        // One frame follows another after 20 ms: that is no silence.
        let gap = at.saturating_sub(self.audible_last).saturating_sub(20 * MILLISECOND);
        self.silence_max = self.silence_max.max(gap);
        self.audible_last = self.audible_last.max(at);
    }
}

/// The mean square of a frame that is silence to a caller (−55 dBov).
fn silence_power() -> u64 {
    let rms = u64::from(level::rms(level::SILENCE) as u16);
    rms * rms
}

#[cfg(test)]
mod tests {
    use segue_media::tone::sine;

    use super::*;

    const FRAME: Nanos = 20 * MILLISECOND;

    struct World {
        ear: Hearing,
        now: Nanos,
        tally: Tally,
    }

    impl World {
        fn new() -> Self {
            Self { ear: Hearing::new(Law::Pcmu, 0), now: 0, tally: Tally::default() }
        }

        fn mark(&mut self, stream: u32, number: u32) -> Told {
            self.now += FRAME;
            let mut frame = [0x50; 160];
            Mark { stream, number, sent: self.now - MILLISECOND }.write(Law::Pcmu, &mut frame);
            let told = self.ear.hear(self.now, &frame);
            self.tally.add(&self.ear.take_tally());
            told
        }

        fn sound(&mut self, dbov: f32) -> Told {
            self.now += FRAME;
            let mut frame = [0; 160];
            Law::Pcmu.encode_into(&sine(400.0, dbov, 160), &mut frame);
            let told = self.ear.hear(self.now, &frame);
            self.tally.add(&self.ear.take_tally());
            told
        }

        fn finish(&mut self, sent: u32) -> Nanos {
            let silence = self.ear.finish(self.now, Some(sent));
            self.tally.add(&self.ear.take_tally());
            silence
        }
    }

    #[test]
    fn a_whole_stream_is_counted_without_loss_and_with_its_delay() {
        let mut world = World::new();
        let first = world.mark(7, 100);
        assert_eq!(first.change, Some((Heard::Stream(7), world.now)));
        for number in 101..200 {
            assert_eq!(world.mark(7, number), Told { delay: Some(MILLISECOND), change: None });
        }
        assert_eq!(world.finish(200), 0);
        assert_eq!(world.tally, Tally { received: 100, ..Tally::default() });
    }

    #[test]
    fn loss_duplicates_and_late_ones_are_told_apart() {
        let mut world = World::new();
        for number in [0, 1, 4, 3, 3, 0, 5, 70, 6, 5] {
            world.mark(1, number);
        }
        // Missing in the end are 2 and 7 to 69. What comes 64 or more late is past the window: 6 and 5.
        let wanted = Tally { received: 6, missing: 66, duplicated: 4, reordered: 1, ..Tally::default() };
        assert_eq!(world.tally, wanted);
        assert_eq!(world.tally.lost(), 65);
    }

    #[test]
    fn marks_that_never_came_at_the_end_are_lost() {
        let mut world = World::new();
        for number in 0..50 {
            world.mark(1, number);
        }
        world.finish(50 + UNDERWAY);
        assert_eq!(world.tally.lost(), 0, "these may still be under way");
        let mut world = World::new();
        world.mark(1, 0);
        world.finish(101);
        assert_eq!(world.tally.lost(), u64::from(100 - UNDERWAY));
    }

    #[test]
    fn marks_that_quiet_frames_stand_in_for_at_the_end_are_not_lost() {
        let mut world = World::new();
        world.mark(1, 0);
        for _ in 0..100 {
            world.sound(-62.0);
        }
        world.finish(101);
        assert_eq!(world.tally.lost(), 0);
    }

    #[test]
    fn an_announcement_replaces_marks_and_a_concealed_loss_does_not() {
        let mut world = World::new();
        world.mark(1, 0);
        for _ in 0..50 {
            world.sound(-22.0);
        }
        let back = world.mark(1, 51);
        assert_eq!(back.change, Some((Heard::Stream(1), world.now)));
        assert_eq!(world.tally.lost(), 0);
        world.sound(-22.0);
        let after = world.mark(1, 53);
        assert_eq!((world.tally.lost(), after.change), (1, None));
    }

    #[test]
    fn other_sound_is_told_after_three_frames_with_the_time_of_the_first() {
        let mut world = World::new();
        world.mark(1, 0);
        assert_eq!(world.sound(-22.0).change, None);
        let since = world.now;
        assert_eq!(world.sound(-22.0).change, None);
        assert_eq!(world.sound(-22.0).change, Some((Heard::Sound, since)));
        assert_eq!(world.sound(-22.0).change, None);
        assert_eq!(world.ear.stream(), None);
    }

    #[test]
    fn the_longest_silence_counts_gaps_quiet_frames_and_the_end() {
        let mut world = World::new();
        world.mark(1, 0);
        for _ in 0..10 {
            world.sound(-70.0);
        }
        world.mark(1, 1);
        assert_eq!(world.finish(2), 10 * FRAME);
        world.now += 2_000 * MILLISECOND;
        assert_eq!(world.finish(2), 1_980 * MILLISECOND);
    }

    #[test]
    fn a_packet_from_the_future_is_a_step_of_the_clock_and_not_a_delay() {
        let mut ear = Hearing::new(Law::Pcmu, 0);
        let mut frame = [0x50; 160];
        Mark { stream: 1, number: 0, sent: 5_000 }.write(Law::Pcmu, &mut frame);
        assert_eq!(ear.hear(4_000, &frame).delay, Some(0));
        assert_eq!(ear.take_tally().before_sent, 1);
    }
}
