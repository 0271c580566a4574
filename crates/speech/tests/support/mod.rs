//! What the tests of this crate share: a clock, sound, a stream that is fed, an engine that counts.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use segue_media::{g711::Law, wav};
use segue_speech::{
    Clock, Flite, GapCause, Heard, Hypothesis, Recognizer, Speech, SpeechConfig, SpeechError, Stream,
    StreamOptions, Synthesizer, VoiceStyle,
    pool::{DecodeError, Decoded, Decoder, Engine, Frame, Stop},
};
use segue_trigger::{Speaker, Stage};

/// The first frame of every fed stream is due then.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_000);
/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "a test of threads needs a clock that runs")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// A clock that runs.
pub(crate) fn clock() -> Clock {
    let began = instant();
    Arc::new(move || BEGIN + began.elapsed())
}

pub(crate) fn config() -> SpeechConfig {
    SpeechConfig::new(clock())
}

/// Synthesised speech, 8 kHz.
pub(crate) fn said(text: &str) -> Vec<i16> {
    Flite.speak(text, VoiceStyle::PROMPT).unwrap()
}

/// Silence with a little noise, as a telephone line has it.
pub(crate) fn silence(seconds: f32) -> Vec<i16> {
    noise(seconds, 6.0)
}

/// White noise of an amplitude, always the same.
pub(crate) fn noise(seconds: f32, amplitude: f32) -> Vec<i16> {
    let mut state = 1_u32;
    let mut sample = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) as f32 / 32_768.0 - 1.0) * amplitude
    };
    (0..(seconds * 8_000.0) as usize).map(|_| sample() as i16).collect()
}

/// Each sound with a pause before and behind it.
pub(crate) fn script(parts: &[Vec<i16>]) -> Vec<i16> {
    let mut sound = silence(0.6);
    for part in parts {
        sound.extend(part);
        sound.extend(silence(0.8));
    }
    sound
}

/// One stream and what is heard on it.
pub(crate) struct Line {
    pub(crate) stream: Stream,
    pub(crate) heard: Receiver<Heard>,
    pub(crate) at: Duration,
}

impl Line {
    pub(crate) fn open(speech: &Speech, speaker: Speaker, partials: bool) -> Line {
        let (news, heard) = channel();
        let sink = Box::new(move |heard| news.send(heard).unwrap_or_default());
        let stream = speech.open(StreamOptions { speaker, language: None, partials, sink }).unwrap();
        Line { stream, heard, at: BEGIN }
    }

    pub(crate) fn push(&mut self, frame: Frame<'_>) {
        self.stream.push(self.at, frame);
        self.at += Duration::from_millis(20);
    }

    /// Feeds a sound as fast as the front thread takes it.
    pub(crate) fn feed(&mut self, speech: &Speech, sound: &[i16]) {
        for piece in sound.chunks(160 * 40) {
            let mut pushed = 0;
            let before = speech.stats().frames.taken;
            for frame in piece.as_chunks::<160>().0 {
                self.push(Frame::Linear(frame));
                pushed += 1;
            }
            until("the frames are taken", || speech.stats().frames.taken >= before + pushed);
        }
    }

    /// Feeds µ-law as it comes over RTP.
    pub(crate) fn feed_mulaw(&mut self, speech: &Speech, payload: &[u8]) {
        for piece in payload.chunks(160 * 40) {
            let before = speech.stats().frames.taken;
            let frames = piece.as_chunks::<160>().0;
            frames.iter().for_each(|frame| self.push(Frame::G711(frame, Law::Pcmu)));
            until("the frames are taken", || speech.stats().frames.taken >= before + frames.len() as u64);
        }
    }

    /// Hangs up and gives all that was heard.
    pub(crate) fn end(self) -> Vec<Heard> {
        drop(self.stream);
        let mut all = Vec::new();
        // The sink is dropped when the stream is over, which ends this.
        while let Ok(heard) = self.heard.recv_timeout(PATIENCE) {
            all.push(heard);
        }
        all
    }
}

/// The sound of a WAV file as µ-law.
pub(crate) fn mulaw(file: &[u8]) -> Vec<u8> {
    let (rate, samples) = wav::decode(file).unwrap();
    assert_eq!(rate, 8_000);
    samples.into_iter().map(|sample| Law::Pcmu.encode(sample)).collect()
}

/// Waits for a condition that another thread brings about.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let began = instant();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

pub(crate) fn hypotheses(heard: &[Heard], wanted: Stage) -> Vec<Hypothesis> {
    heard
        .iter()
        .filter_map(|news| if let Heard::Hypothesis(words) = news { Some(words) } else { None })
        .filter(|words| words.stage == wanted)
        .cloned()
        .collect()
}

pub(crate) fn gaps(heard: &[Heard]) -> Vec<GapCause> {
    heard.iter().filter_map(|news| if let Heard::Gap(gap) = news { Some(gap.cause) } else { None }).collect()
}

/// Every start has exactly one end: a final, a withdrawal or a gap.
pub(crate) fn assert_whole(heard: &[Heard]) {
    let mut open = Vec::new();
    for news in heard {
        let ended = match news {
            Heard::Started { segment, .. } => {
                assert!(!open.contains(segment), "segment {segment} started twice");
                open.push(*segment);
                continue;
            }
            Heard::Hypothesis(hypothesis) if hypothesis.stage == Stage::Partial => {
                assert!(open.contains(&hypothesis.segment), "a partial outside its segment");
                continue;
            }
            // What comes late comes after its segment was closed by having been put off.
            Heard::Hypothesis(hypothesis) if hypothesis.stage == Stage::Late => continue,
            Heard::Hypothesis(hypothesis) => Some(hypothesis.segment),
            Heard::Withdrawn { segment } | Heard::PutOff { segment, .. } => Some(*segment),
            Heard::Gap(gap) => gap.segment,
        };
        if let Some(ended) = ended {
            let place = open.iter().position(|segment| *segment == ended);
            open.remove(place.unwrap_or_else(|| panic!("segment {ended} ended without a start: {heard:?}")));
        }
    }
    assert!(open.is_empty(), "segments {open:?} never ended: {heard:?}");
}

/// Writes a word for each half second of sound. Waits while its gate is shut; fails when told.
#[derive(Clone, Default)]
pub(crate) struct Counting {
    pub(crate) shut: Arc<AtomicBool>,
    /// So many decodes panic.
    pub(crate) panics: Arc<AtomicUsize>,
    /// So many decodes hang until the gate, which is shut for them, opens: they do not ask whether to stop.
    pub(crate) hangs: Arc<AtomicUsize>,
    /// So many decoders cannot be had.
    pub(crate) refusals: Arc<AtomicUsize>,
    pub(crate) decodes: Arc<AtomicUsize>,
    pub(crate) longest: Option<Duration>,
}

fn one_of(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

impl Engine for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn longest(&self) -> Option<Duration> {
        self.longest
    }

    fn silent_max(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, SpeechError> {
        if one_of(&self.refusals) {
            return Err(SpeechError::Model {
                model: "counting".to_owned(),
                reason: "told to refuse".to_owned(),
            });
        }
        Ok(Box::new(CountingDecoder { engine: self.clone(), warm: false }))
    }
}

struct CountingDecoder {
    engine: Counting,
    warm: bool,
}

impl Decoder for CountingDecoder {
    fn decode(&mut self, sound: &[i16], _: Option<&str>, stop: &Stop) -> Result<Decoded, DecodeError> {
        if !std::mem::replace(&mut self.warm, true) && sound.len() == MURMUR {
            return Ok(Decoded::default());
        }
        let engine = &self.engine;
        engine.decodes.fetch_add(1, Ordering::Relaxed);
        assert!(!one_of(&engine.panics), "told to panic");
        let hangs = one_of(&engine.hangs);
        while engine.shut.load(Ordering::Relaxed) {
            if !hangs && stop.asked() {
                return Err(DecodeError::Stopped);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let words: Vec<String> = (1..=sound.len() / 8_000).map(|count| format!("w{count}")).collect();
        Ok(Decoded { text: words.join(" "), confidence: 0.9, ..Decoded::default() })
    }
}

/// The samples that a pool lets a new decoder warm up with.
const MURMUR: usize = 16_000;
