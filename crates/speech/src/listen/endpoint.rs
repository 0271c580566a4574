//! Where an utterance begins and ends, frame by frame. Pure: frames with their time and voice score in, cues out.
//!
//! ```text
//! Idle ──3 frames of voice──► Speaking ──200 ms without──► Pausing ──400 ms without──► Idle (Ended)
//!                              ▲  │                          │
//!                              │  └─12 s: Cut, goes on       │
//!                              └────2 frames of voice────────┘ (Resumed)
//! ```

use std::{collections::VecDeque, time::Duration};

use crate::sound::power;

/// Samples of a frame: 20 ms at 16 kHz.
pub const FRAME: usize = 320;
/// Length of a frame.
pub const FRAME_LENGTH: Duration = Duration::from_millis(20);

/// The rules of endpointing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Endpointing {
    /// Score from which a frame is voice while nobody speaks.
    pub voice_on: f32,
    /// Score from which a frame is voice while somebody speaks.
    pub voice_off: f32,
    /// Frames of voice in a row that begin an utterance.
    pub start_frames: usize,
    /// Sound kept from before the beginning.
    pub pre_roll: Duration,
    /// Silence after which the utterance is decoded on the chance that it has ended.
    pub soft_end: Duration,
    /// Silence after which it has ended.
    pub hard_end: Duration,
    /// An utterance is cut at its quietest place when it gets this long.
    pub longest: Duration,
    /// Voice an utterance must hold; less is a click and is forgotten.
    pub shortest: Duration,
}

impl Default for Endpointing {
    fn default() -> Self {
        Endpointing {
            voice_on: 0.5,
            voice_off: 0.35,
            start_frames: 3,
            pre_roll: Duration::from_millis(180),
            soft_end: Duration::from_millis(200),
            hard_end: Duration::from_millis(400),
            longest: Duration::from_secs(12),
            shortest: Duration::from_millis(80),
        }
    }
}

/// How an utterance came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndKind {
    /// The speaker fell silent.
    Silence,
    /// It was too long; the next one goes on at once.
    Cut,
    /// The stream ended or jumped.
    Flushed,
}

/// What a frame brought about.
#[derive(Clone, Debug, PartialEq)]
pub enum Cue {
    /// Nothing to tell.
    Nothing,
    /// Somebody began to speak; `Endpointer::current` grows from here on.
    Started,
    /// The soft end: decode what there is.
    Paused,
    /// The speaker went on after a soft end.
    Resumed,
    /// The utterance is over.
    Ended(Segment, EndKind),
    /// What began was no speech after all.
    Dropped {
        /// Which segment.
        segment: u64,
    },
}

/// The sound of one utterance.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Counted from 1 in its stream.
    pub number: u64,
    /// When its speech began.
    pub start: Duration,
    /// When its speech ended, or how far it was heard.
    pub end: Duration,
    /// 16 kHz, from the pre-roll to the soft end.
    pub samples: Vec<i16>,
    voiced: usize,
    loudness: Vec<f32>,
}

impl Segment {
    /// Length of the sound.
    #[must_use]
    pub fn length(&self) -> Duration {
        FRAME_LENGTH * u32::try_from(self.samples.len() / FRAME).unwrap_or(u32::MAX)
    }

    fn push(&mut self, frame: &Frame) {
        self.samples.extend_from_slice(&frame.samples);
        self.loudness.push(power(&frame.samples));
    }

    /// Takes the end off after a number of frames.
    fn split_off(&mut self, frames: usize) -> Segment {
        let samples = self.samples.split_off((frames * FRAME).min(self.samples.len()));
        let loudness = self.loudness.split_off(frames.min(self.loudness.len()));
        let voiced = self.voiced.min(loudness.len());
        Segment { number: self.number + 1, start: self.end, end: self.end, samples, voiced, loudness }
    }

    /// The frame in the middle of the quietest 300 ms of the later half.
    fn quietest(&self) -> usize {
        let from = self.loudness.len() / 2;
        let later = self.loudness.get(from..).unwrap_or_default();
        later
            .windows(QUIET_FRAMES)
            .map(|window| window.iter().sum::<f32>())
            .enumerate()
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map_or(self.loudness.len(), |(place, _)| from + place + QUIET_FRAMES / 2)
    }
}

/// Watches one stream.
#[derive(Clone, Debug)]
pub struct Endpointer {
    rules: Endpointing,
    state: State,
    before: VecDeque<Frame>,
    run: usize,
    next: u64,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    Speaking { segment: Segment, silent: usize, paused: bool },
}

#[derive(Clone, Debug)]
struct Frame {
    at: Duration,
    samples: [i16; FRAME],
}

impl Endpointer {
    /// A stream in which nobody speaks yet.
    #[must_use]
    pub fn new(rules: Endpointing) -> Endpointer {
        Endpointer { rules, state: State::Idle, before: VecDeque::new(), run: 0, next: 1 }
    }

    /// The utterance that is being spoken.
    #[must_use]
    pub fn current(&self) -> Option<&Segment> {
        match &self.state {
            State::Idle => None,
            State::Speaking { segment, .. } => Some(segment),
        }
    }

    /// Frames before the present one that an utterance which begins with it holds.
    #[must_use]
    pub fn lead(&self) -> usize {
        frames(self.rules.pre_roll) + self.rules.start_frames
    }

    /// Takes the next frame, due at `at`, with its voice score.
    pub fn push(&mut self, at: Duration, samples: &[i16; FRAME], score: f32) -> Cue {
        let frame = Frame { at, samples: *samples };
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => self.idle(frame, score),
            State::Speaking { segment, silent, paused } => {
                self.speaking(segment, silent, paused, (frame, score))
            }
        }
    }

    /// The stream ends or jumps here: gives what was being said.
    pub fn flush(&mut self) -> Cue {
        self.before.clear();
        self.run = 0;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => Cue::Nothing,
            State::Speaking { segment, silent, .. } => self.end(segment, silent, EndKind::Flushed),
        }
    }

    fn idle(&mut self, frame: Frame, score: f32) -> Cue {
        self.run = if score >= self.rules.voice_on { self.run + 1 } else { 0 };
        let start =
            frame.at.saturating_sub(FRAME_LENGTH * (self.rules.start_frames.saturating_sub(1)) as u32);
        self.before.push_back(frame);
        while self.before.len() > self.lead() {
            self.before.pop_front();
        }
        if self.run < self.rules.start_frames.max(1) {
            return Cue::Nothing;
        }
        let mut segment = Segment {
            number: self.next,
            start,
            end: start,
            samples: Vec::with_capacity(FRAME * 100),
            voiced: self.run,
            loudness: Vec::with_capacity(100),
        };
        for frame in self.before.drain(..) {
            segment.push(&frame);
            segment.end = frame.at + FRAME_LENGTH;
        }
        self.next += 1;
        self.state = State::Speaking { segment, silent: 0, paused: false };
        Cue::Started
    }

    fn speaking(
        &mut self,
        mut segment: Segment,
        mut silent: usize,
        mut paused: bool,
        now: (Frame, f32),
    ) -> Cue {
        let (frame, score) = now;
        segment.push(&frame);
        let voice = score >= self.rules.voice_off;
        self.run = if voice { self.run + 1 } else { 0 };
        let mut cue = Cue::Nothing;
        // One lively frame in a pause is a click; two are a word.
        if voice && (!paused || self.run >= 2) {
            segment.voiced += 1;
            segment.end = frame.at + FRAME_LENGTH;
            silent = 0;
            if paused {
                (paused, cue) = (false, Cue::Resumed);
            }
        } else {
            silent += 1;
        }
        if silent >= frames(self.rules.hard_end) {
            return self.end(segment, silent, EndKind::Silence);
        }
        if silent >= frames(self.rules.soft_end) && !paused && self.enough(&segment) {
            (paused, cue) = (true, Cue::Paused);
        }
        if segment.length() >= self.rules.longest {
            return self.cut(segment);
        }
        self.state = State::Speaking { segment, silent, paused };
        cue
    }

    fn end(&mut self, mut segment: Segment, silent: usize, kind: EndKind) -> Cue {
        self.run = 0;
        if !self.enough(&segment) {
            return Cue::Dropped { segment: segment.number };
        }
        let kept = (segment.loudness.len() + frames(self.rules.soft_end)).saturating_sub(silent);
        if kept < segment.loudness.len() {
            segment.samples.truncate(kept * FRAME);
            segment.loudness.truncate(kept);
        }
        Cue::Ended(segment, kind)
    }

    /// Ends at the quietest place; what comes after it begins the next utterance.
    fn cut(&mut self, mut segment: Segment) -> Cue {
        let now = segment.end;
        let place = segment.quietest();
        let behind = u32::try_from(segment.loudness.len().saturating_sub(place)).unwrap_or(0);
        segment.end = now.saturating_sub(FRAME_LENGTH * behind).max(segment.start);
        let mut rest = segment.split_off(place);
        rest.end = now;
        self.next = rest.number + 1;
        self.state = State::Speaking { segment: rest, silent: 0, paused: false };
        Cue::Ended(segment, EndKind::Cut)
    }

    fn enough(&self, segment: &Segment) -> bool {
        segment.voiced >= frames(self.rules.shortest)
    }
}

fn frames(length: Duration) -> usize {
    usize::try_from(length.as_millis() / FRAME_LENGTH.as_millis()).unwrap_or(usize::MAX)
}

/// 300 ms.
const QUIET_FRAMES: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script of (frames, score, amplitude); gives each cue with its frame number.
    fn play(script: &[(usize, f32, i16)]) -> Vec<(usize, Cue)> {
        let mut ear = Endpointer::new(Endpointing::default());
        let mut cues = Vec::new();
        let mut number = 0;
        for &(count, score, amplitude) in script {
            for _ in 0..count {
                let at = Duration::from_secs(100) + FRAME_LENGTH * number as u32;
                let cue = ear.push(at, &[amplitude; FRAME], score);
                if cue != Cue::Nothing {
                    cues.push((number, cue));
                }
                number += 1;
            }
        }
        cues
    }

    fn names(cues: &[(usize, Cue)]) -> Vec<(usize, &'static str)> {
        let name = |cue: &Cue| match cue {
            Cue::Nothing => "nothing",
            Cue::Started => "started",
            Cue::Paused => "paused",
            Cue::Resumed => "resumed",
            Cue::Ended(_, EndKind::Silence) => "ended",
            Cue::Ended(_, EndKind::Cut) => "cut",
            Cue::Ended(_, EndKind::Flushed) => "flushed",
            Cue::Dropped { .. } => "dropped",
        };
        cues.iter().map(|(at, cue)| (*at, name(cue))).collect()
    }

    #[test]
    fn an_utterance_starts_at_three_frames_pauses_at_200_ms_and_ends_at_400() {
        let cues = play(&[(50, 0.1, 0), (40, 0.9, 1_000), (40, 0.1, 0)]);
        assert_eq!(names(&cues), [(52, "started"), (99, "paused"), (109, "ended")]);
        let Some((_, Cue::Ended(segment, _))) = cues.last() else { panic!("no end") };
        assert_eq!(segment.start, Duration::from_millis(101_000));
        assert_eq!(segment.end, Duration::from_millis(101_800));
        // 180 ms of pre-roll, 800 of speech, 200 after it.
        assert_eq!(segment.length(), Duration::from_millis(1_180));
    }

    #[test]
    fn two_lively_frames_are_no_speech() {
        assert_eq!(play(&[(20, 0.0, 0), (2, 0.9, 900), (1, 0.2, 0), (2, 0.9, 900), (30, 0.0, 0)]), []);
    }

    #[test]
    fn a_start_without_enough_voice_is_dropped() {
        assert_eq!(
            names(&play(&[(20, 0.0, 0), (3, 0.9, 900), (30, 0.0, 0)])),
            [(22, "started"), (42, "dropped")]
        );
    }

    #[test]
    fn a_word_after_a_soft_end_goes_on_with_the_same_utterance() {
        let cues = play(&[(10, 0.0, 0), (30, 0.9, 900), (12, 0.1, 0), (20, 0.9, 900), (30, 0.0, 0)]);
        assert_eq!(
            names(&cues),
            [(12, "started"), (49, "paused"), (53, "resumed"), (81, "paused"), (91, "ended")]
        );
    }

    #[test]
    fn a_click_in_a_pause_does_not_prolong_it() {
        let cues = play(&[(10, 0.0, 0), (30, 0.9, 900), (12, 0.1, 0), (1, 0.9, 9_000), (30, 0.1, 0)]);
        assert_eq!(names(&cues), [(12, "started"), (49, "paused"), (59, "ended")]);
    }

    #[test]
    fn twelve_seconds_are_cut_at_the_quietest_place_and_go_on() {
        let cues = play(&[(10, 0.0, 0), (440, 0.9, 5_000), (15, 0.5, 10), (300, 0.9, 5_000), (30, 0.0, 0)]);
        let stages = names(&cues);
        assert_eq!(
            stages.iter().map(|(_, name)| *name).collect::<Vec<_>>(),
            ["started", "cut", "paused", "ended"]
        );
        let segments: Vec<&Segment> = cues
            .iter()
            .filter_map(|(_, cue)| if let Cue::Ended(segment, _) = cue { Some(segment) } else { None })
            .collect();
        assert_eq!(segments[0].number + 1, segments[1].number);
        // The quiet place lies at frames 450–465 of the stream.
        assert_eq!(segments[0].end, Duration::from_secs(100) + FRAME_LENGTH * 457);
        assert_eq!(segments[1].start, segments[0].end);
        let total = segments[0].samples.len() + segments[1].samples.len();
        assert_eq!(total, (9 + 1 + 440 + 15 + 300 + 10 - 1) * FRAME);
    }

    #[test]
    fn a_flush_gives_what_was_said_so_far() {
        let mut ear = Endpointer::new(Endpointing::default());
        for number in 0..20 {
            ear.push(FRAME_LENGTH * number, &[500; FRAME], 0.9);
        }
        assert!(
            matches!(ear.flush(), Cue::Ended(segment, EndKind::Flushed) if segment.end == FRAME_LENGTH * 20)
        );
        assert_eq!(ear.flush(), Cue::Nothing);
    }

    #[test]
    fn endless_voice_never_makes_a_segment_over_the_limit() {
        let cues = play(&[(5_000, 0.9, 3_000)]);
        assert!(names(&cues).iter().filter(|(_, name)| *name == "cut").count() >= 8);
        for (_, cue) in cues {
            if let Cue::Ended(segment, _) = cue {
                assert!(segment.length() <= Duration::from_secs(12));
            }
        }
    }
}
