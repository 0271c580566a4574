//! Voices that speak live into a pool, in real time, and how long after their last word each utterance is known.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use segue_media::g711::Law;
use segue_speech::{
    Flite, Heard, Recognizer, Speech, SpeechConfig, Stream, StreamOptions, Synthesizer, VoiceStyle,
    pool::{Engine, Frame},
};
use segue_trigger::{Speaker, Stage};

use crate::{clock::Clock, media::claim_core};

/// How a pool with one decoder is run.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) partials: bool,
    /// The core that all its threads share; none for all cores.
    pub(super) core: Option<usize>,
}

/// What came of a number of voices.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trial {
    pub(super) voices: usize,
    pub(super) p50: Duration,
    pub(super) p95: Duration,
    pub(super) finals: usize,
    /// Utterances lost, frames dropped: what may not happen.
    pub(super) harm: u64,
    /// Resident memory that the voices added, each.
    pub(super) bytes_a_voice: u64,
    /// The fewest voices that a search found to be too many.
    pub(super) too_many: Option<usize>,
}

impl Trial {
    /// Whether every voice was heard in time: most finals are there, 95 of 100 within a second, nothing is lost.
    pub(super) fn holds(&self) -> bool {
        self.harm == 0 && self.p95 <= Duration::from_secs(1) && self.finals * 10 >= self.voices * 9
    }
}

/// The sound of a voice: so much speech, and the pause that makes it 43 % of the time.
pub(super) struct Script {
    bytes: Vec<u8>,
}

impl Script {
    /// # Errors
    /// The synthesiser says nothing.
    pub(super) fn new() -> anyhow::Result<Script> {
        let mut samples = spoken()?;
        // A line is never quite still.
        let pause = UTTERANCE * 57 / 43;
        samples.extend((0..pause).map(|at| ((at * 7 + at / 160) % 13) as i16 - 6));
        samples.truncate(samples.len() / 160 * 160);
        Ok(Script { bytes: samples.into_iter().map(|sample| Law::Pcmu.encode(sample)).collect() })
    }

    /// 20 ms of one voice; each begins elsewhere, by a chance that is the same every time.
    fn frame(&self, voice: usize, tick: usize) -> Option<&[u8; 160]> {
        let frames = self.bytes.len() / 160;
        let at = (tick + scattered(voice)) % frames.max(1) * 160;
        self.bytes.get(at..at + 160)?.as_array()
    }
}

/// The finaliser of splitmix64: numbers in a row come to lie anywhere, in clumps as chance has them.
fn scattered(number: usize) -> usize {
    let mut bits = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((bits ^ bits >> 31) >> 40) as usize
}

/// Four seconds of speech without a pause, at 8 kHz.
pub(super) fn spoken() -> anyhow::Result<Vec<i16>> {
    let words =
        "the parcel that came to my house yesterday in the afternoon was empty when my brother opened it";
    let mut samples = Flite.speak(words, VoiceStyle::PROMPT)?;
    anyhow::ensure!(samples.len() >= UTTERANCE, "the synthesiser gave {} samples", samples.len());
    samples.truncate(UTTERANCE);
    Ok(samples)
}

/// Lets so many voices speak for a time and looks at what comes of it.
///
/// # Errors
/// The pool cannot start.
pub(super) fn attempt(setting: &Setting, voices: usize, script: &Script) -> anyhow::Result<Trial> {
    let clock = Clock::start();
    let speech = start(setting, voices, clock)?;
    let before = resident();
    let delays = Arc::new(Mutex::new(Vec::new()));
    let mut streams = Vec::with_capacity(voices);
    for _ in 0..voices {
        let kept = Arc::clone(&delays);
        let sink = Box::new(move |heard| {
            if let Heard::Hypothesis(words) = heard
                && words.stage == Stage::Final
            {
                let delay = clock.now().saturating_sub(words.end);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(delay);
            }
        });
        let options =
            StreamOptions { speaker: Speaker::Caller, language: None, partials: setting.partials, sink };
        streams.push(speech.open(options)?);
    }
    play(&mut streams, script, clock);
    let stats = speech.stats();
    let bytes_a_voice = resident().saturating_sub(before) / voices.max(1) as u64;
    let mut delays = delays.lock().unwrap_or_else(PoisonError::into_inner).clone();
    delays.sort_unstable();
    let part = |percent: usize| {
        delays
            .get((delays.len() * percent / 100).min(delays.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok(Trial {
        voices,
        p50: part(50),
        p95: part(95),
        finals: delays.len(),
        harm: stats.decodes.gaps + stats.decodes.failed + stats.frames.dropped,
        bytes_a_voice,
        too_many: None,
    })
}

/// Starts a pool whose threads run where the setting wants them: they take over the core of the thread that makes
/// them.
fn start(setting: &Setting, voices: usize, clock: Clock) -> anyhow::Result<Speech> {
    let mut config = SpeechConfig::new(Arc::new(move || clock.now()));
    config.workers = 1;
    config.streams_max = voices;
    let (engine, core) = (Arc::clone(&setting.engine), setting.core);
    let started = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            claim_core(core);
            Speech::start(config, Some(engine))
        });
        thread.join().map_err(|_| anyhow::anyhow!("starting recognition panicked"))
    })?;
    Ok(started?)
}

/// In real time, a frame of each voice every 20 ms, the voices spread over them.
fn play(streams: &mut [Stream], script: &Script, clock: Clock) {
    const PHASES: usize = 10;
    let frame = Duration::from_millis(20);
    let start = clock.now();
    for tick in 0..TICKS {
        for phase in 0..PHASES {
            let due = start + frame * tick as u32 + frame * phase as u32 / PHASES as u32;
            std::thread::sleep(due.saturating_sub(clock.now()));
            for (voice, stream) in streams.iter_mut().enumerate().skip(phase).step_by(PHASES) {
                if let Some(bytes) = script.frame(voice, tick) {
                    // What is sent now was said in the 20 ms before.
                    stream.push(due.saturating_sub(frame), Frame::G711(bytes, Law::Pcmu));
                }
            }
        }
    }
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub(super) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// Four seconds at 8 kHz.
const UTTERANCE: usize = 32_000;
/// 15 s.
const TICKS: usize = 750;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_speaks_43_percent_of_the_time() {
        let script = Script::new().unwrap();
        let seconds = script.bytes.len() as f64 / 8_000.0;
        assert!((4.0 / seconds - 0.43).abs() < 0.002, "{seconds} s");
        assert!(script.frame(5, 1_000_000).is_some());
    }

    #[test]
    fn late_words_lost_words_and_missing_words_do_not_hold() {
        let good = Trial { voices: 10, p95: Duration::from_millis(900), finals: 14, ..Trial::default() };
        assert!(good.holds());
        assert!(!Trial { p95: Duration::from_millis(1_001), ..good }.holds());
        assert!(!Trial { harm: 1, ..good }.holds());
        assert!(!Trial { finals: 8, ..good }.holds());
    }
}
