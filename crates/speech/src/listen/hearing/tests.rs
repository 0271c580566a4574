//! Scripted scores through the rules, and real sound against a network that is always asked.

use earshot::Detector;
use std::net::SocketAddr;

use segue_media::{
    Codec, Command, Direction, Engine, EngineConfig, LegId, MediaDescription, OpusWishes, Source, g711::Law,
    random::Random,
};

use super::*;
use crate::{Flite, Synthesizer, VoiceStyle};

/// Knows the score of every frame beforehand.
struct Script(Vec<f32>);

impl Judge for Script {
    fn score(&mut self, place: u64, sound: &[i16]) -> f32 {
        assert!(sound.len() >= FRAME && place.is_multiple_of(FRAME as u64));
        self.0[place as usize / FRAME - 1]
    }
}

/// Plays a script of (frames, score, amplitude); gives each cue with its frame number.
fn play(script: &[(usize, f32, i16)]) -> Vec<(usize, Cue)> {
    let frames: Vec<(f32, i16)> = script
        .iter()
        .flat_map(|&(count, score, amplitude)| std::iter::repeat_n((score, amplitude), count))
        .collect();
    let scores = Script(frames.iter().map(|(score, _)| *score).collect());
    let mut hearing = Hearing::with(Endpointing::default(), scores);
    let mut cues = Vec::new();
    for (number, (_, amplitude)) in frames.into_iter().enumerate() {
        let at = Duration::from_secs(100) + FRAME_LENGTH * number as u32;
        // The longest speech has a breath in it, which tells it from noise.
        let amplitude = if number % 100 / 5 == 15 { 1 } else { amplitude };
        let cue = hearing.hear(at, &Samples::Wide([amplitude; FRAME]));
        if cue != Cue::Nothing {
            cues.push((number, cue));
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
    let cues = play(&[(50, 0.1, 1), (40, 0.9, 1_000), (40, 0.1, 1)]);
    assert_eq!(names(&cues), [(52, "started"), (99, "paused"), (109, "ended")]);
    let Some((_, Cue::Ended(segment, _))) = cues.last() else { panic!("no end") };
    assert_eq!(segment.start, Duration::from_millis(101_000));
    assert_eq!(segment.end, Duration::from_millis(101_800));
    // 180 ms of pre-roll, 800 of speech, 200 after it.
    assert_eq!(segment.length(), Duration::from_millis(1_180));
}

#[test]
fn two_lively_frames_are_no_speech() {
    assert_eq!(play(&[(20, 0.0, 1), (2, 0.9, 900), (1, 0.2, 1), (2, 0.9, 900), (30, 0.0, 1)]), []);
}

#[test]
fn a_start_without_enough_voice_is_dropped() {
    let cues = play(&[(20, 0.0, 1), (3, 0.9, 900), (30, 0.0, 1)]);
    assert_eq!(names(&cues), [(22, "started"), (42, "dropped")]);
}

#[test]
fn a_word_after_a_soft_end_goes_on_with_the_same_utterance() {
    let cues = play(&[(100, 0.0, 1), (30, 0.9, 900), (12, 0.1, 1), (20, 0.9, 900), (30, 0.0, 1)]);
    assert_eq!(
        names(&cues),
        [(102, "started"), (139, "paused"), (143, "resumed"), (171, "paused"), (181, "ended")]
    );
}

#[test]
fn a_soft_word_after_a_soft_end_is_noticed_at_the_hard_end_at_the_latest() {
    let cues = play(&[(100, 0.0, 1), (30, 0.9, 9_000), (12, 0.1, 1), (5, 0.9, 300), (30, 0.0, 1)]);
    assert_eq!(
        names(&cues),
        [(102, "started"), (139, "paused"), (149, "resumed"), (156, "paused"), (166, "ended")]
    );
}

#[test]
fn a_click_in_a_pause_does_not_prolong_it() {
    let cues = play(&[(100, 0.0, 1), (30, 0.9, 900), (12, 0.1, 1), (1, 0.9, 9_000), (30, 0.1, 1)]);
    assert_eq!(names(&cues), [(102, "started"), (139, "paused"), (149, "ended")]);
}

#[test]
fn what_is_as_loud_as_the_speaker_and_no_voice_ends_an_utterance_where_the_voice_did() {
    for noise in [100, 160] {
        let cues = play(&[(100, 0.0, 1), (50, 0.9, 900), (noise, 0.1, 1_000), (30, 0.0, 1)]);
        let Some((_, Cue::Ended(segment, EndKind::Silence))) = cues.last() else { panic!("{cues:?}") };
        assert_eq!(segment.end, Duration::from_secs(100) + FRAME_LENGTH * 150);
        assert_eq!(segment.length(), FRAME_LENGTH * (9 + 50 + 10), "its sound ends 200 ms later");
        assert!(cues.len() <= 3, "{:?}", names(&cues));
    }
}

#[test]
fn twelve_seconds_are_cut_at_the_quietest_place_and_go_on() {
    let cues = play(&[
        (10, 0.0, 1),
        (440, 0.9, 5_000),
        (7, 0.5, 30),
        (1, 0.9, 5_000),
        (7, 0.5, 30),
        (300, 0.9, 5_000),
        (30, 0.0, 1),
    ]);
    let stages: Vec<&str> = names(&cues).into_iter().map(|(_, name)| name).collect();
    assert_eq!(stages, ["started", "cut", "paused", "ended"]);
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
    let mut hearing = Hearing::with(Endpointing::default(), Script(vec![0.9; 20]));
    for number in 0..20 {
        hearing.hear(FRAME_LENGTH * number, &Samples::Wide([500; FRAME]));
    }
    assert!(
        matches!(hearing.flush(), Cue::Ended(segment, EndKind::Flushed) if segment.end == FRAME_LENGTH * 20)
    );
    assert_eq!(hearing.flush(), Cue::Nothing);
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

/// The first and the last frame of an utterance.
type Bounds = (usize, usize);

/// Where utterances are if the network is asked about every frame.
fn asked_always(sound: &[i16]) -> (Vec<Bounds>, u64) {
    let (rules, mut detector, mut levels) =
        (Endpointing::default(), Detector::default_boxed(), Levels::default());
    let (mut waiting, mut found, mut open) = (Vec::new(), Vec::new(), None::<(usize, usize, usize, bool)>);
    let (mut run, mut up, mut windows) = (0, Up::default(), 0);
    for (number, frame) in sound.as_chunks::<160>().0.iter().enumerate() {
        up.push(frame, &mut waiting);
        let mut score = 0.0_f32;
        for window in waiting.chunks_exact(256) {
            score = score.max(detector.predict_i16(window));
            windows += 1;
        }
        waiting.drain(..waiting.len() / 256 * 256);
        let score = if levels.hear(power(frame)) == Level::Quiet { 0.0 } else { score };
        let Some((start, end, voiced, paused)) = &mut open else {
            run = if score >= rules.voice_on { run + 1 } else { 0 };
            if run == rules.start_frames {
                open = Some((number + 1 - run, number + 1, run, false));
            }
            continue;
        };
        run = if score >= rules.voice_off { run + 1 } else { 0 };
        if run > 0 && (!*paused || run >= 2) {
            (*end, *voiced, *paused) = (number + 1, *voiced + 1, false);
        }
        let silent = number + 1 - *end;
        *paused |= silent >= frames(rules.soft_end) && *voiced >= 4;
        if silent >= frames(rules.hard_end) {
            if *voiced >= 4 {
                found.push((*start, *end));
            }
            (open, run) = (None, 0);
        }
    }
    (found, windows)
}

/// Where utterances are.
fn heard(sound: &[i16]) -> (Vec<Bounds>, u64) {
    let rules = Endpointing { longest: Duration::from_secs(3_600), ..Endpointing::default() };
    let mut hearing = Hearing::new(rules);
    let mut found = Vec::new();
    for (number, frame) in sound.as_chunks::<160>().0.iter().enumerate() {
        if let Cue::Ended(segment, _) = hearing.hear(FRAME_LENGTH * number as u32, &Samples::Narrow(*frame)) {
            let [start, end] = [segment.start, segment.end].map(|time| (time.as_millis() / 20) as usize);
            found.push((start, end));
        }
    }
    (found, hearing.judge.windows())
}

fn with_noise(sound: &[i16], amplitude: u64, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let hiss = |sample: &i16| {
        let hiss = random.below(amplitude * 2 + 1) as i64 - amplitude as i64;
        sample.saturating_add(hiss as i16)
    };
    sound.iter().map(hiss).collect()
}

/// How far utterances are from where they are if the network is always asked.
#[derive(Debug, Default)]
struct Difference {
    utterances: usize,
    /// Those with a bound that is more than two frames off.
    moved: usize,
    windows: u64,
    asked: u64,
}

impl Difference {
    fn add(&mut self, sound: &[i16]) {
        let ((always, windows), (found, asked)) = (asked_always(sound), heard(sound));
        let near =
            |one: &Bounds, other: &Bounds| one.0.abs_diff(other.0) <= 2 && one.1.abs_diff(other.1) <= 2;
        let far = |one: &[Bounds], other: &[Bounds]| {
            one.iter().filter(|bounds| !other.iter().any(|other| near(bounds, other))).count()
        };
        self.utterances += always.len();
        self.moved += far(&always, &found).max(far(&found, &always));
        self.windows += windows;
        self.asked += asked;
    }
}

#[test]
fn a_network_that_is_seldom_asked_finds_words_where_one_that_is_always_asked_does() {
    let words = ["Where is my order?", "It was blue.", "I have waited for two weeks now and nobody called."];
    let mut call = Vec::new();
    for (place, text) in words.into_iter().cycle().take(9).enumerate() {
        call.resize(call.len() + 8_000 * (2 + place % 3), 0);
        call.extend(Flite.speak(text, VoiceStyle::PROMPT).expect("flite speaks"));
    }
    call.resize(call.len() + 16_000, 0);
    for (noise, seed) in [(0, 1), (20, 2), (60, 3), (200, 4)] {
        let mut difference = Difference::default();
        difference.add(&with_noise(&call, noise, seed));
        println!("noise of {noise}: {difference:?}");
        assert!(difference.utterances >= 9, "noise of {noise}: {difference:?}");
        assert!(difference.moved == 0, "noise of {noise}: {difference:?}");
        assert!(difference.asked < difference.windows / 2, "noise of {noise}: {difference:?}");
    }
}

#[test]
fn recordings_of_people_have_their_bounds_where_they_were() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/speech/mulaw8k");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: there are no recordings at {}", folder.display());
        return;
    };
    let sounds: Vec<Vec<i16>> =
        files.map(|file| read(&std::fs::read(file.expect("an entry").path()).expect("a file"))).collect();
    let music = music(60);
    let pause = vec![0; 16_000];
    for (line, noise) in [("still", 0), ("good", 20), ("bad", 100), ("then music", 20)] {
        let mut difference = Difference::default();
        for (seed, sound) in sounds.iter().enumerate() {
            let behind = if line == "then music" { &music[..80_000] } else { &pause };
            let mut whole = with_noise(&[&pause[..], &sound[..]].concat(), noise, seed as u64);
            whole.extend(with_noise(&[behind, &pause[..]].concat(), noise, 99));
            difference.add(&whole);
        }
        println!("{line} line: {difference:?}");
        assert!(difference.moved * 8 <= difference.utterances, "{line}: {difference:?}");
    }
}

/// Hold music, as an engine plays it.
fn music(seconds: u32) -> Vec<i16> {
    let mut engine = Engine::new(EngineConfig::default(), 1);
    let (leg, to) = (LegId(1), SocketAddr::from(([127, 0, 0, 1], 4000)));
    let description = MediaDescription {
        rtp: to,
        rtcp: to,
        codecs: vec![(Codec::Pcmu, 0)],
        telephone_event: None,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    };
    engine.command(Duration::ZERO, Command::Open { leg, codec: Codec::Pcmu, watched: false });
    engine.command(Duration::ZERO, Command::Remote { leg, description, signalling: None });
    engine.command(Duration::ZERO, Command::Wire(vec![(leg, Source::Hold)]));
    let mut sound = Vec::new();
    for frame in 0..seconds * 50 {
        engine.on_tick(FRAME_LENGTH * frame);
        while let Some((_, bytes)) = engine.poll_transmit() {
            if bytes.len() == 172 {
                sound.extend(bytes[12..].iter().map(|&byte| Law::Pcmu.decode(byte)));
            }
        }
    }
    sound
}

fn read(bytes: &[u8]) -> Vec<i16> {
    let place = bytes.windows(4).position(|word| word == b"data").expect("a sound") + 8;
    bytes[place..].iter().map(|&byte| Law::Pcmu.decode(byte)).collect()
}
