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
use serde::{Deserialize, Serialize};

use super::process::{Turns, resident};
use crate::{clock::Clock, media::claim_core};

/// How a pool is run.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) manner: Manner,
    /// The core that all its threads share; none for all cores.
    pub(super) core: Option<usize>,
}

/// What is done with the voices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Manner {
    /// One decoder for all, each utterance decoded once, on the chance that it has ended.
    Finals,
    /// The same, and partials while an utterance goes on.
    Partials,
    /// A decoder for each voice, which begins when an utterance has ended: no common queue, nothing decoded early.
    Plain,
}

impl Manner {
    pub(super) fn name(self) -> &'static str {
        match self {
            Manner::Finals => "finals only",
            Manner::Partials => "with partials",
            Manner::Plain => "the plain way",
        }
    }
}

/// How many voices speak, how they meet, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Crowd {
    pub(super) voices: usize,
    /// Decides when each begins and how long its pauses are.
    pub(super) seed: u64,
    pub(super) seconds: u32,
    /// Utterances that end nearer to the end than this do not count: there was no time to tell them.
    pub(super) limit: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) voices: usize,
    /// From the end of an utterance until its words are told.
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    /// Utterances that were told.
    pub(super) finals: usize,
    /// Utterances that ended in time to be told, and were not: they count among the slowest.
    pub(super) untold: usize,
    /// Utterances lost, decodes failed, frames dropped: what may not happen.
    pub(super) harm: u64,
    /// Partials told, for each utterance.
    pub(super) partials: f64,
    /// Share of the time that decodes took.
    pub(super) busy: f64,
    /// Share of the time that something else than recognition had its core: what was measured then is not its own.
    pub(super) disturbed: f64,
    /// CPU time that the front thread took for a second of one voice.
    pub(super) hearing_ms: f64,
    /// Resident memory that the voices added, each.
    pub(super) voice_mb: f64,
}

impl Trial {
    /// Whether too much of the core went elsewhere to say anything of recognition.
    pub(super) fn is_disturbed(&self) -> bool {
        self.disturbed > DISTURBED
    }

    /// Whether every voice was heard in time: 95 of 100 utterances within that time, nothing lost.
    pub(super) fn holds(&self, limit: Duration) -> bool {
        self.harm == 0 && self.finals > 0 && self.p95_ms <= limit.as_secs_f64() * 1e3
    }
}

/// The sound of a voice: 4 s of speech, and a line that is never quite still.
pub(super) struct Script {
    speech: Vec<[u8; FRAME]>,
    pause: Vec<[u8; FRAME]>,
}

impl Script {
    /// # Errors
    /// The synthesiser says nothing.
    pub(super) fn new() -> anyhow::Result<Script> {
        let coded = |samples: Vec<i16>| {
            let bytes: Vec<u8> = samples.into_iter().map(|sample| Law::Pcmu.encode(sample)).collect();
            bytes.as_chunks::<FRAME>().0.to_vec()
        };
        let still = (0..PAUSE_MEAN * 2 * FRAME).map(|at| ((at * 7 + at / FRAME) % 13) as i16 - 6).collect();
        Ok(Script { speech: coded(spoken()?), pause: coded(still) })
    }
}

/// Four seconds of speech without a pause, at 8 kHz.
pub(super) fn spoken() -> anyhow::Result<Vec<i16>> {
    let words =
        "the parcel that came to my house yesterday in the afternoon was empty when my brother opened it";
    let mut samples = Flite.speak(words, VoiceStyle::PROMPT)?;
    anyhow::ensure!(samples.len() >= UTTERANCE * FRAME, "the synthesiser gave {} samples", samples.len());
    samples.truncate(UTTERANCE * FRAME);
    Ok(samples)
}

/// One who speaks: 4 s, then a pause of 2.7 to 8 s, then again; 43 % of the time on the whole.
struct Talker {
    chance: Chance,
    speaks: bool,
    /// Frames of this piece that are over, and of the whole of it.
    place: usize,
    length: usize,
}

impl Talker {
    /// Somewhere in its speech or its pause.
    fn new(voice: usize, seed: u64) -> Talker {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (voice as u64 + 1) << 32);
        let place = chance.below(UTTERANCE + PAUSE_MEAN);
        if place < UTTERANCE {
            return Talker { chance, speaks: true, place, length: UTTERANCE };
        }
        Talker { chance, speaks: false, place: place - UTTERANCE, length: PAUSE_MEAN }
    }

    /// 20 ms, and whether an utterance of a second or more is over with them.
    fn next<'a>(&mut self, script: &'a Script) -> Option<(&'a [u8; FRAME], bool)> {
        let piece = if self.speaks { &script.speech } else { &script.pause };
        let frame = piece.get(self.place)?;
        self.place += 1;
        let over = self.place >= self.length;
        if over {
            self.speaks = !self.speaks;
            self.place = 0;
            let pause = PAUSE_MEAN / 2 + self.chance.below(PAUSE_MEAN + 1);
            self.length = if self.speaks { UTTERANCE } else { pause };
        }
        Some((frame, over && !self.speaks))
    }
}

/// splitmix64: the same numbers every time, as chance would have them.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ bits >> 31) as usize % limit.max(1)
    }
}

/// Lets so many voices speak for a time and looks at what comes of it.
///
/// # Errors
/// The pool cannot start.
pub(super) fn attempt(setting: &Setting, crowd: Crowd, script: &Script) -> anyhow::Result<Trial> {
    let clock = Clock::start();
    let speech = start(setting, crowd.voices, clock)?;
    let (before, turns) = (resident(), Turns::of("segue-asr"));
    let known = Arc::new(Mutex::new(Vec::new()));
    let mut streams = Vec::with_capacity(crowd.voices);
    for _ in 0..crowd.voices {
        let kept = Arc::clone(&known);
        let sink = Box::new(move |heard| {
            if let Heard::Hypothesis(words) = heard
                && words.stage == Stage::Final
            {
                let news = (words.end, clock.now().saturating_sub(words.end));
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(news);
            }
        });
        let partials = setting.manner == Manner::Partials;
        let options = StreamOptions { speaker: Speaker::Caller, language: None, partials, sink };
        streams.push(speech.open(options)?);
    }
    let played = play(&mut streams, crowd, script, clock);
    let voice_mb = resident().saturating_sub(before) as f64 / 1e6 / crowd.voices.max(1) as f64;
    let seconds = f64::from(crowd.seconds.max(1));
    let hearing = Turns::of("segue-hear").ran.as_secs_f64();
    let waited = Turns::of("segue-asr").waited.saturating_sub(turns.waited).as_secs_f64();
    // Decoders that share a core wait for each other; one waits for the front thread.
    let others = if setting.manner == Manner::Plain { 0.0 } else { (waited - hearing).max(0.0) };
    let stats = speech.stats();
    let known = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let counted = known.into_iter().filter(|(end, _)| *end <= played.until);
    let mut delays: Vec<f64> = counted.map(|(_, delay)| delay.as_secs_f64() * 1e3).collect();
    let (finals, untold) = (delays.len(), played.ended.saturating_sub(delays.len()));
    delays.extend(std::iter::repeat_n(NEVER_MS, untold));
    Ok(Trial {
        voices: crowd.voices,
        p50_ms: percentile(&mut delays, 50),
        p95_ms: percentile(&mut delays, 95),
        finals,
        untold,
        harm: stats.decodes.gaps + stats.decodes.failed + stats.frames.dropped,
        partials: stats.decodes.partials as f64 / finals.max(1) as f64,
        busy: stats.decoding.as_secs_f64() / seconds,
        disturbed: others / seconds,
        hearing_ms: hearing * 1e3 / seconds / crowd.voices.max(1) as f64,
        voice_mb,
    })
}

fn percentile(delays: &mut [f64], percent: usize) -> f64 {
    delays.sort_unstable_by(f64::total_cmp);
    let place = (delays.len() * percent / 100).min(delays.len().saturating_sub(1));
    delays.get(place).copied().unwrap_or(NEVER_MS)
}

/// Starts a pool whose threads run where the setting wants them: they take over the core of the thread that makes
/// them.
fn start(setting: &Setting, voices: usize, clock: Clock) -> anyhow::Result<Speech> {
    let mut config = SpeechConfig::new(Arc::new(move || clock.now()));
    config.workers = 1;
    config.streams_max = voices;
    if setting.manner == Manner::Plain {
        config.workers = voices;
        // Where both ends are one nothing is decoded before the end is sure.
        config.endpointing.soft_end = config.endpointing.hard_end;
    }
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

/// What was said.
struct Played {
    /// Utterances of a second or more that ended while there was time to tell them.
    ended: usize,
    /// Until when an utterance must have ended to count.
    until: Duration,
}

/// In real time, a frame of each voice every 20 ms, the voices spread over them.
fn play(streams: &mut [Stream], crowd: Crowd, script: &Script, clock: Clock) -> Played {
    const PHASES: usize = 10;
    let frame = Duration::from_millis(20);
    let start = clock.now();
    let length = Duration::from_secs(crowd.seconds.into());
    let until = start + length.saturating_sub(crowd.limit + MARGIN);
    let mut talkers: Vec<Talker> = (0..streams.len()).map(|voice| Talker::new(voice, crowd.seed)).collect();
    let mut begun: Vec<u32> = vec![0; streams.len()];
    let mut ended = 0;
    for tick in 0..crowd.seconds * 50 {
        for phase in 0..PHASES {
            let due = start + frame * tick + frame * phase as u32 / PHASES as u32;
            std::thread::sleep(due.saturating_sub(clock.now()));
            let voices = streams.iter_mut().zip(&mut talkers).zip(&mut begun);
            for ((stream, talker), spoken) in voices.skip(phase).step_by(PHASES) {
                let speaks = talker.speaks;
                let Some((bytes, over)) = talker.next(script) else { continue };
                // What is sent now was said in the 20 ms before.
                stream.push(due.saturating_sub(frame), Frame::G711(bytes, Law::Pcmu));
                *spoken = if speaks { *spoken + 1 } else { 0 };
                // The ear may hear the end a little later than the script has it.
                ended += usize::from(over && *spoken >= 50 && due + MARGIN <= until);
            }
        }
    }
    Played { ended, until }
}

/// Samples of a frame at 8 kHz.
const FRAME: usize = 160;
/// Frames of an utterance: 4 s.
const UTTERANCE: usize = 200;
/// Frames of a pause on the whole: speech is 43 % of the time.
const PAUSE_MEAN: usize = UTTERANCE * 57 / 43;
/// What an ear may differ from the script.
const MARGIN: Duration = Duration::from_millis(300);
/// A share of the core that can be overlooked.
const DISTURBED: f64 = 0.03;
/// Stands for an utterance that was not told.
const NEVER_MS: f64 = 60_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_speaks_43_percent_of_the_time_and_no_two_speak_alike() {
        let script = Script::new().unwrap();
        let frames = 100_000;
        let mut talkers: Vec<Talker> = (0..4).map(|voice| Talker::new(voice, 1)).collect();
        let mut spoken = [0_usize; 4];
        let mut alike = 0;
        for _ in 0..frames {
            let speaks: Vec<bool> = talkers.iter().map(|talker| talker.speaks).collect();
            alike += usize::from(speaks[0] == speaks[1]);
            for (talker, count) in talkers.iter_mut().zip(&mut spoken) {
                *count += usize::from(talker.speaks);
                assert!(talker.next(&script).is_some());
            }
        }
        for count in spoken {
            assert!((count as f64 / f64::from(frames) - 0.43).abs() < 0.02, "{spoken:?}");
        }
        assert!(alike < frames as usize * 7 / 10, "{alike}");
    }

    #[test]
    fn the_same_seed_lets_voices_meet_alike_and_another_does_not() {
        let script = Script::new().unwrap();
        let ends = |seed| {
            let mut talker = Talker::new(3, seed);
            let mut over = |_: &u32| talker.next(&script).unwrap().1;
            (0..2_000).filter(|tick| over(tick)).collect::<Vec<u32>>()
        };
        assert_eq!(ends(1), ends(1));
        assert_ne!(ends(1), ends(2));
    }

    #[test]
    fn late_words_lost_words_and_missing_words_do_not_hold() {
        let second = Duration::from_secs(1);
        let good = Trial { voices: 10, p95_ms: 900.0, finals: 14, ..Trial::default() };
        assert!(good.holds(second) && !good.holds(second / 2));
        assert!(!Trial { p95_ms: 1_001.0, ..good }.holds(second));
        assert!(!Trial { harm: 1, ..good }.holds(second));
        assert!(!Trial { finals: 0, ..good }.holds(second));
        let mut delays = vec![300.0; 18];
        delays.extend([NEVER_MS; 2]);
        assert!((percentile(&mut delays, 95), percentile(&mut [], 50)) == (NEVER_MS, NEVER_MS));
    }
}
