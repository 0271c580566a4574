//! Where an utterance begins and ends, frame by frame. Pure: frames with their time in, cues out.
//!
//! ```text
//! Idle ──3 frames of voice──► Speaking ──200 ms without──► Pausing ──400 ms without──► Idle (Ended)
//!                              ▲  │                          │
//!                              │  └─12 s: Cut, goes on       │
//!                              └────2 frames of voice────────┘ (Resumed)
//! ```
//! Whether a frame is voice is said by the network, and asking it costs more than all the rest. It is asked only where
//! its answer can move a bound: a frame in the line's noise is none without asking; before the beginning, once as
//! many frames in a row stand out as an utterance begins with; within it, frames as loud as the speaker are taken
//! for voice, and those in between are left open until nothing was certain for as long as a pause: then the
//! network hears what is open, and the last frame that was taken for voice. It is asked about one in 150 of those as
//! well. Where it does not agree, it hears all since it did last, and every frame until it agrees again.

use std::{collections::VecDeque, ops::Range, time::Duration};

use segue_media::resample::Up;

use super::{
    Cue, EndKind, Endpointing, FRAME, FRAME_LENGTH, Segment,
    endpoint::frames,
    level::{Level, Levels},
    network::{Judge, VoiceDetector},
};
use crate::sound::power;

/// 20 ms of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nothing is allocated per frame; a copy of 640 bytes costs less"
)]
pub enum Samples {
    /// At 8 kHz.
    Narrow([i16; FRAME / 2]),
    /// At 16 kHz.
    Wide([i16; FRAME]),
}

/// Listens to one stream.
pub struct Hearing<J = VoiceDetector> {
    rules: Endpointing,
    judge: J,
    levels: Levels,
    up: Up,
    /// Frames so far.
    heard: u64,
    /// The number of the next utterance.
    next: u64,
    state: State,
}

enum State {
    Idle(Idle),
    Speaking(Box<Speaking>),
}

/// Nobody speaks.
#[derive(Default)]
struct Idle {
    /// The last frames, as they came.
    before: VecDeque<(Duration, Samples)>,
    /// The same at 16 kHz, while they are being judged.
    wide: Vec<i16>,
    /// Frames in a row that stand out, and of voice.
    loud: usize,
    run: usize,
}

/// An utterance. Places are frames of its sound.
struct Speaking {
    segment: Segment,
    /// When its last frame ended.
    now: Duration,
    levels: Vec<Level>,
    /// Frames of the stream before its sound.
    origin: u64,
    /// One past the last frame that is taken for voice.
    voice: usize,
    /// Up to where the network agreed.
    sure: usize,
    /// Frames of voice in a row.
    run: usize,
    /// The soft end is over.
    paused: bool,
    /// The network did not agree: it is asked about every frame.
    doubted: bool,
}

/// A frame as loud as the speaker is asked about once in so many: 3 s.
const TRUSTED: usize = 150;
/// So many frames of voice in a row end all doubt.
const TRUST: usize = 5;
/// Frames before the one in question that the network hears if it missed them: half a second.
const CONTEXT: usize = 26;

impl Hearing {
    /// A stream in which nobody speaks yet.
    #[must_use]
    pub fn new(rules: Endpointing) -> Self {
        Self::with(rules, VoiceDetector::default())
    }
}

impl<J: Judge> Hearing<J> {
    pub(super) fn with(rules: Endpointing, judge: J) -> Self {
        let (levels, up) = (Levels::default(), Up::default());
        Self { rules, judge, levels, up, heard: 0, next: 1, state: State::Idle(Idle::default()) }
    }

    /// The utterance that is being spoken.
    #[must_use]
    pub fn current(&self) -> Option<&Segment> {
        match &self.state {
            State::Idle(_) => None,
            State::Speaking(speaking) => Some(&speaking.segment),
        }
    }

    /// Takes the next frame, due at `at`.
    pub fn hear(&mut self, at: Duration, samples: &Samples) -> Cue {
        self.heard += 1;
        let power = samples.power();
        let level = self.levels.hear(power);
        match &mut self.state {
            State::Idle(idle) => {
                idle.keep(at, samples, CONTEXT.max(self.rules.lead()));
                self.idle(level)
            }
            State::Speaking(speaking) => {
                samples.widen(&mut self.up, &mut speaking.segment.samples);
                speaking.segment.loudness.push(power);
                speaking.levels.push(level);
                speaking.now = at + FRAME_LENGTH;
                self.speaking(level)
            }
        }
    }

    /// The stream ends or jumps here: gives what was being said.
    pub fn flush(&mut self) -> Cue {
        match std::mem::replace(&mut self.state, State::Idle(Idle::default())) {
            State::Idle(_) => Cue::Nothing,
            State::Speaking(mut speaking) => {
                speaking.settle(&mut self.judge, &self.rules);
                speaking.segment.end = speaking.time(speaking.voice);
                speaking.end(&self.rules, EndKind::Flushed)
            }
        }
    }

    fn idle(&mut self, level: Level) -> Cue {
        let State::Idle(idle) = &mut self.state else { return Cue::Nothing };
        let begin = self.rules.start_frames.max(1);
        if level == Level::Quiet {
            (idle.loud, idle.run) = (0, 0);
            idle.wide.clear();
            return Cue::Nothing;
        }
        idle.loud += 1;
        if idle.loud < begin {
            return Cue::Nothing;
        }
        // The first time all that begins here is judged, later on what came since.
        let fresh = if idle.wide.is_empty() { begin } else { 1 };
        idle.widen(&mut self.up);
        for behind in (0..fresh).rev() {
            let end = idle.wide.len() - (behind * FRAME).min(idle.wide.len());
            let sound = idle.wide.get(..end).unwrap_or_default();
            let place = (self.heard - behind as u64) * FRAME as u64;
            let voice = self.judge.score(place, sound) >= self.rules.voice_on;
            idle.run = if voice { idle.run + 1 } else { 0 };
        }
        if idle.run < begin {
            return Cue::Nothing;
        }
        let speaking = idle.begin(self.heard, self.next, &self.rules);
        self.next += 1;
        self.state = State::Speaking(Box::new(speaking));
        Cue::Started
    }

    fn speaking(&mut self, level: Level) -> Cue {
        let State::Speaking(speaking) = &mut self.state else { return Cue::Nothing };
        let (soft, hard) = (frames(self.rules.soft_end), frames(self.rules.hard_end));
        let was_paused = speaking.paused;
        let now = speaking.levels.len();
        if speaking.doubted {
            speaking.ask(now - 1..now, &mut self.judge, &self.rules);
        } else if level == Level::Clear {
            speaking.run += 1;
            speaking.speak(now);
            if now - speaking.sure >= TRUSTED {
                speaking.check(&mut self.judge, &self.rules);
            }
        } else {
            speaking.run = 0;
        }
        let limit = if speaking.paused { hard } else { soft };
        if speaking.silent() >= limit || speaking.silent() >= hard {
            speaking.settle(&mut self.judge, &self.rules);
        }
        speaking.segment.end = speaking.time(speaking.voice);
        if speaking.silent() >= hard {
            return self.over(EndKind::Silence);
        }
        let mut cue = if was_paused && !speaking.paused { Cue::Resumed } else { Cue::Nothing };
        if speaking.silent() >= soft && !speaking.paused && speaking.segment.is_enough(&self.rules) {
            speaking.paused = true;
            cue = if was_paused { Cue::Nothing } else { Cue::Paused };
        }
        if speaking.segment.length() >= self.rules.longest {
            let segment = speaking.cut();
            self.next = segment.number + 2;
            return Cue::Ended(segment, EndKind::Cut);
        }
        cue
    }

    fn over(&mut self, kind: EndKind) -> Cue {
        match std::mem::replace(&mut self.state, State::Idle(Idle::default())) {
            State::Idle(_) => Cue::Nothing,
            State::Speaking(speaking) => speaking.end(&self.rules, kind),
        }
    }
}

impl Samples {
    fn power(&self) -> f32 {
        match self {
            Self::Narrow(samples) => power(samples),
            Self::Wide(samples) => power(samples),
        }
    }

    fn widen(&self, up: &mut Up, wide: &mut Vec<i16>) {
        match self {
            Self::Narrow(samples) => up.push(samples, wide),
            Self::Wide(samples) => wide.extend_from_slice(samples),
        }
    }
}

impl Idle {
    fn keep(&mut self, at: Duration, samples: &Samples, most: usize) {
        while self.before.len() >= most {
            self.before.pop_front();
        }
        self.before.push_back((at, *samples));
    }

    /// Brings the sound at 16 kHz up to the present.
    fn widen(&mut self, up: &mut Up) {
        if self.wide.is_empty() {
            up.restart();
            for (_, samples) in &self.before {
                samples.widen(up, &mut self.wide);
            }
        } else if let Some((_, samples)) = self.before.back() {
            samples.widen(up, &mut self.wide);
            let surplus = self.wide.len().saturating_sub(self.before.len() * FRAME);
            self.wide.drain(..surplus);
        }
    }

    /// The utterance that begins with the last frames.
    fn begin(&mut self, heard: u64, number: u64, rules: &Endpointing) -> Speaking {
        let length = rules.lead().min(self.before.len());
        let skipped = self.before.len() - length;
        let first = skipped + length.saturating_sub(rules.start_frames.max(1));
        let start = self.before.get(first).map_or(Duration::ZERO, |(at, _)| *at);
        let end = self.before.back().map_or(start, |(at, _)| *at + FRAME_LENGTH);
        let samples = self.wide.split_off(skipped * FRAME);
        let loudness: Vec<f32> =
            self.before.iter().skip(skipped).map(|(_, samples)| samples.power()).collect();
        Speaking {
            segment: Segment { number, start, end, samples, voiced: self.run, loudness },
            now: end,
            levels: vec![Level::Quiet; length],
            origin: heard - length as u64,
            voice: length,
            sure: length,
            run: self.run,
            paused: false,
            doubted: false,
        }
    }
}

impl Speaking {
    /// Frames since the last voice.
    fn silent(&self) -> usize {
        self.levels.len() - self.voice
    }

    /// When a frame of its sound begins.
    fn time(&self, frame: usize) -> Duration {
        let behind = (self.levels.len() - frame.min(self.levels.len())) as u32;
        self.now.saturating_sub(FRAME_LENGTH * behind).max(self.segment.start)
    }

    /// A frame is voice, whose end this is. One in a pause is a click; two are a word.
    fn speak(&mut self, end: usize) {
        if !self.paused || self.run >= 2 {
            self.segment.voiced += 1;
            self.voice = self.voice.max(end);
            self.paused = false;
        }
    }

    /// Asks the network about some frames, in order.
    fn ask(&mut self, frames: Range<usize>, judge: &mut impl Judge, rules: &Endpointing) {
        for frame in frames {
            let level = self.levels.get(frame).copied().unwrap_or(Level::Quiet);
            let voice = level != Level::Quiet && self.score(frame, judge) >= rules.voice_off;
            self.run = if voice { self.run + 1 } else { 0 };
            if voice {
                self.speak(frame + 1);
            }
            self.doubted &= self.run < TRUST;
            self.sure = self.sure.max(frame + 1);
        }
    }

    fn score(&self, frame: usize, judge: &mut impl Judge) -> f32 {
        let sound = frame.saturating_sub(CONTEXT) * FRAME..(frame + 1) * FRAME;
        let sound = self.segment.samples.get(sound).unwrap_or_default();
        judge.score((self.origin + frame as u64 + 1) * FRAME as u64, sound)
    }

    /// Makes sure that what is taken for voice is it.
    fn check(&mut self, judge: &mut impl Judge, rules: &Endpointing) {
        if let Some(last) = self.voice.checked_sub(1).filter(|_| self.sure < self.voice) {
            if self.score(last, judge) >= rules.voice_off {
                self.sure = self.voice;
            } else {
                self.reconsider(judge, rules);
            }
        }
    }

    /// Makes sure where the last voice is: asks about it, and about what was left open since.
    fn settle(&mut self, judge: &mut impl Judge, rules: &Endpointing) {
        self.check(judge, rules);
        let open = self.sure.max(self.voice)..self.levels.len();
        let last = self
            .levels
            .get(open.clone())
            .and_then(|levels| levels.iter().rposition(|level| *level != Level::Quiet));
        if let Some(last) = last {
            self.run = 0;
            self.ask(open.start..open.start + last + 1, judge, rules);
        }
        // What is quiet up to here needs no asking later on.
        if self.levels.last() == Some(&Level::Quiet) {
            self.run = 0;
        }
        self.sure = self.levels.len();
    }

    /// What was taken for voice is none: the network hears all since it agreed last.
    fn reconsider(&mut self, judge: &mut impl Judge, rules: &Endpointing) {
        let (taken, sure) = (self.voice, self.sure);
        self.segment.voiced = self.segment.voiced.saturating_sub(taken - sure);
        (self.voice, self.run, self.doubted) = (sure, 0, true);
        self.ask(sure..self.levels.len(), judge, rules);
    }

    fn end(mut self, rules: &Endpointing, kind: EndKind) -> Cue {
        if !self.segment.is_enough(rules) {
            return Cue::Dropped { segment: self.segment.number };
        }
        let kept = (self.voice + frames(rules.soft_end)).min(self.levels.len());
        self.segment.samples.truncate(kept * FRAME);
        self.segment.loudness.truncate(kept);
        Cue::Ended(self.segment, kind)
    }

    /// Ends at the quietest place; what comes after it begins the next utterance.
    fn cut(&mut self) -> Segment {
        let place = self.segment.quietest();
        let middle = self.time(place);
        let rest = self.segment.split_off(place);
        let mut segment = std::mem::replace(&mut self.segment, rest);
        segment.end = middle;
        self.segment.start = middle;
        self.segment.end = self.now;
        self.levels.drain(..place);
        self.origin += place as u64;
        self.voice = self.levels.len();
        self.sure = self.sure.saturating_sub(place);
        self.paused = false;
        segment
    }
}

#[cfg(test)]
mod tests;
