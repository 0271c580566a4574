//! The words of endpointing: its rules, its cues, and the sound of an utterance. How they come about: `hearing.rs`.

use std::time::Duration;

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
    /// Somebody began to speak; `Hearing::current` grows from here on.
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
    pub(super) voiced: usize,
    /// The mean square of each frame.
    pub(super) loudness: Vec<f32>,
}

impl Segment {
    /// Length of the sound.
    #[must_use]
    pub fn length(&self) -> Duration {
        FRAME_LENGTH * u32::try_from(self.samples.len() / FRAME).unwrap_or(u32::MAX)
    }

    /// How loud it is: the mean power of the louder half of its frames, in dB against full scale; `None` for silence.
    #[must_use]
    pub fn level(&self) -> Option<f32> {
        let mut powers = self.loudness.clone();
        powers.sort_by(|one, other| other.total_cmp(one));
        powers.truncate(powers.len().div_ceil(2));
        let mean = powers.iter().sum::<f32>() / powers.len().max(1) as f32;
        (mean >= 1.0).then(|| 10.0 * (mean / (32_768.0 * 32_768.0)).log10())
    }

    pub(super) fn is_enough(&self, rules: &Endpointing) -> bool {
        self.voiced >= frames(rules.shortest)
    }

    /// Takes the end off after a number of frames.
    pub(super) fn split_off(&mut self, frames: usize) -> Segment {
        let samples = self.samples.split_off((frames * FRAME).min(self.samples.len()));
        let loudness = self.loudness.split_off(frames.min(self.loudness.len()));
        let voiced = self.voiced.min(loudness.len());
        Segment { number: self.number + 1, start: self.end, end: self.end, samples, voiced, loudness }
    }

    /// The frame in the middle of the quietest 300 ms of the later half.
    pub(super) fn quietest(&self) -> usize {
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

impl Endpointing {
    /// Frames before the present one that an utterance which begins with it holds.
    pub(super) fn lead(&self) -> usize {
        frames(self.pre_roll) + self.start_frames
    }
}

/// A length in whole frames.
pub(super) fn frames(length: Duration) -> usize {
    usize::try_from(length.as_millis() / FRAME_LENGTH.as_millis()).unwrap_or(usize::MAX)
}

/// 300 ms.
const QUIET_FRAMES: usize = 15;
