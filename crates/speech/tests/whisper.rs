//! The whisper path: with random weights of the true shape that it loads, decodes and stops; with the demo model
//! that it hears words.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code fails by panicking"
)]

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use segue_speech::{
    Flite, Hypothesis, Ladder, ModelCatalogue, Pace, Speech, SpeechError, Synthesizer, Verified, Voice,
    VoiceStyle, WhisperEngine, WhisperOptions,
    models::Shape,
    pool::{DecodeError, Engine, Frame, Rung, Stop},
};
use segue_trigger::{Rules, Signal, Speaker, Stage, Triggers, Utterance, UtteranceId};
use sha2::{Digest, Sha256};
use support::{Line, assert_whole, clock, config, hypotheses, mulaw, noise, said, script, until};

/// A catalogue of one model, made of these bytes.
fn catalogue(folder: &Path, bytes: &[u8], demo: bool) -> ModelCatalogue {
    let manifest = format!(
        "[[model]]\nname = 'random'\nfile = 'random.bin'\nsize = {}\nsha256 = '{}'\nlicence = 'Apache-2.0'\n\
         languages = 'en'\npurpose = 'tests'\ndemo = {demo}\n",
        bytes.len(),
        hex::encode(Sha256::digest(bytes))
    );
    std::fs::write(folder.join("manifest.toml"), manifest).unwrap();
    std::fs::write(folder.join("random.bin"), bytes).unwrap();
    ModelCatalogue::load(folder).unwrap()
}

fn load(bytes: &[u8], demo: bool, options: &WhisperOptions) -> Result<WhisperEngine, SpeechError> {
    let folder = tempfile::tempdir().unwrap();
    WhisperEngine::load(&catalogue(folder.path(), bytes, demo).verify("random").unwrap(), options)
}

fn random() -> WhisperEngine {
    load(&Shape::SMALLEST.random_model(7), false, &WhisperOptions::default()).unwrap()
}

/// Never, as the tests go.
fn unhurried() -> Stop {
    Stop::at(Duration::MAX, clock())
}

fn wide(seconds: f32) -> Vec<i16> {
    noise(seconds * 2.0, 3_000.0)
}

#[test]
fn a_model_with_random_weights_loads_and_decodes_without_harm() {
    let engine = random();
    let mut decoder = engine.decoder().unwrap();
    for seconds in [0.05, 0.3, 1.0, 4.0, 12.0, 14.0] {
        match decoder.decode(&wide(seconds), Some("en"), &unhurried()) {
            Ok(decoded) => assert!((0.0..=1.0).contains(&decoded.confidence), "{decoded:?}"),
            Err(error) => assert!(matches!(error, DecodeError::Failed(_)), "{error}"),
        }
    }
}

#[test]
fn room_that_utterances_do_not_need_changes_no_word() {
    for seed in 1..=3 {
        let shape = Shape { words: 50_257, ..Shape::SMALLEST };
        let small = WhisperEngine::random("small", shape, seed).unwrap();
        let options = WhisperOptions { whole: true, ..WhisperOptions::default() };
        let whole = WhisperEngine::random_with("whole", shape, seed, &options).unwrap();
        let [mut small, mut whole] = [small, whole].map(|engine| engine.decoder().unwrap());
        for seconds in [0.5, 3.9, 9.0, 14.0] {
            let sound = wide(seconds);
            let [one, other] = [&mut small, &mut whole]
                .map(|decoder| decoder.decode(&sound, Some("en"), &unhurried()).unwrap());
            assert!(one == other && !one.text.is_empty(), "{seconds} s: {one:?} {other:?}");
        }
        let long = wide(16.0);
        let refused = small.decode(&long, Some("en"), &unhurried());
        assert!(matches!(refused, Err(DecodeError::Failed(_))), "{refused:?}");
        assert!(whole.decode(&long, Some("en"), &unhurried()).is_ok());
    }
}

#[test]
fn words_to_expect_and_odd_languages_are_taken() {
    let options = WhisperOptions { vocabulary: "order yes no ".repeat(60), ..WhisperOptions::default() };
    let engine = load(&Shape::SMALLEST.random_model(7), false, &options).unwrap();
    let mut decoder = engine.decoder().unwrap();
    for language in [None, Some("en"), Some("xx"), Some(""), Some("e\0n")] {
        let answer = decoder.decode(&wide(1.0), language, &unhurried());
        assert!(!matches!(answer, Err(DecodeError::Stopped)), "{language:?}");
    }
}

#[test]
fn a_decode_stops_at_its_deadline_and_the_decoder_can_be_used_again() {
    let mut decoder = random().decoder().unwrap();
    // Each look at the clock takes a millisecond: the deadline passes in the middle of the decode.
    let asked = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&asked);
    let slow = Arc::new(move || Duration::from_millis(counting.fetch_add(1, Ordering::Relaxed)));
    let answer = decoder.decode(&wide(4.0), None, &Stop::at(Duration::from_millis(20), slow));
    assert_eq!(answer, Err(DecodeError::Stopped));
    let looks = asked.load(Ordering::Relaxed);
    assert!((20..60).contains(&looks), "it went on for {looks} looks");
    assert!(!matches!(decoder.decode(&wide(1.0), None, &unhurried()), Err(DecodeError::Stopped)));
}

#[test]
fn what_is_no_model_is_refused_in_words() {
    let whole = Shape::SMALLEST.random_model(7);
    for bytes in [b"hello".to_vec(), Vec::new(), whole[..whole.len() / 2].to_vec()] {
        let error = load(&bytes, false, &WhisperOptions::default()).unwrap_err();
        assert!(error.to_string().starts_with("the recognition model random cannot be used"), "{error}");
    }
}

#[test]
fn a_demo_model_is_refused_unless_it_is_allowed() {
    let bytes = Shape::SMALLEST.random_model(7);
    let error = load(&bytes, true, &WhisperOptions::default()).unwrap_err();
    assert!(matches!(error, SpeechError::DemoModelRefused { .. }), "{error}");
    let allowed = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
    assert!(load(&bytes, true, &allowed).is_ok());
}

/// Runs `loads_and_decodes_alone` in a program of its own and looks at what it printed.
#[test]
fn whisper_prints_nothing() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_model_with_random_weights_loads_and_decodes_without_harm", "--nocapture"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 passed") && !printed.contains("whisper_"), "{printed}");
}

/// The demo model, where it has been trained.
fn demo() -> Option<Verified> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let catalogue = ModelCatalogue::load(&folder).unwrap();
    catalogue.find("demo").ok()?;
    Some(catalogue.verify("demo").unwrap())
}

fn demo_pool() -> Option<Speech> {
    let Some(verified) = demo() else {
        println!("skipped: models/demo has no card.json yet");
        return None;
    };
    let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
    let engine = WhisperEngine::load(&verified, &options).unwrap();
    Some(Speech::start(config(), Some(Arc::new(engine))).unwrap())
}

#[test]
fn the_demo_model_hears_a_caller_ask_for_a_human() {
    let Some(speech) = demo_pool() else { return };
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed(&speech, &script(&[said("I want to talk to a human")]));
    let heard = line.end();
    assert_whole(&heard);
    let finals = hypotheses(&heard, Stage::Final);
    assert_eq!(finals.len(), 1, "{heard:?}");
    assert!(finals[0].text.to_lowercase().contains("human"), "{heard:?}");
    assert!(finals[0].confidence > 0.5, "{heard:?}");
}

#[test]
fn voices_that_the_demo_model_knows_are_never_doubted() {
    let Some(speech) = demo_pool() else { return };
    let sentences = [
        "I want to talk to a human",
        "can I speak to somebody please",
        "get me an agent now",
        "where is my order",
    ];
    for voice in [Voice::Rms, Voice::Slt, Voice::Awb] {
        let style = VoiceStyle { voice, pace: Pace::Normal };
        let spoken: Vec<Vec<i16>> = sentences.iter().map(|text| Flite.speak(text, style).unwrap()).collect();
        let mut line = Line::open(&speech, Speaker::Caller, false);
        line.feed(&speech, &script(&spoken));
        let texts: Vec<String> =
            hypotheses(&line.end(), Stage::Final).into_iter().map(|words| words.text).collect();
        assert_eq!(texts, sentences.map(str::to_lowercase), "{voice:?}");
    }
    assert_eq!(speech.stats().decodes.withdrawn, 0);
}

#[test]
fn a_flood_climbs_the_ladder_and_comes_down_and_no_caller_is_lost() {
    let Some(verified) = demo() else {
        println!("skipped: models/demo has no card.json yet");
        return;
    };
    let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
    let engine = WhisperEngine::load(&verified, &options).unwrap();
    let millis = Duration::from_millis;
    let mut config = config();
    config.workers = 1;
    // A tenth of the true waits: the demo model is ten times as fast as a true one.
    config.ladder = Ladder {
        slower: millis(30),
        slowest: millis(45),
        finals_only: millis(60),
        without_bot: millis(100),
        overflow: millis(200),
        caller_only: millis(400),
        gap: Duration::from_secs(60),
        calm: millis(300),
    };
    let speech = Speech::start(config, Some(Arc::new(engine))).unwrap();
    let sound = script(&[said("I want to talk to a human"), said("where is my order")]);
    let mut callers: Vec<Line> = (0..24).map(|_| Line::open(&speech, Speaker::Caller, true)).collect();
    let mut agent = Line::open(&speech, Speaker::Agent, false);
    // All at once and faster than anybody speaks.
    for frame in sound.as_chunks::<160>().0 {
        callers.iter_mut().chain([&mut agent]).for_each(|line| line.push(Frame::Linear(frame)));
    }
    for line in callers {
        let heard = line.end();
        assert_whole(&heard);
        let texts: Vec<String> =
            hypotheses(&heard, Stage::Final).into_iter().map(|words| words.text).collect();
        assert_eq!(texts, ["i want to talk to a human", "where is my order"]);
    }
    let stats = speech.stats();
    let climbed = stats.on_rung.iter().skip(1).sum::<Duration>();
    assert!(climbed > millis(300), "{:?}", stats.on_rung);
    until("all is well again", || speech.stats().rung == Rung::Full);
    let heard = agent.end();
    assert_whole(&heard);
    let words = [hypotheses(&heard, Stage::Final), hypotheses(&heard, Stage::Late)].concat();
    assert_eq!(words.len(), 2, "the agent is known too, sooner or later: {heard:?}");
}

#[test]
fn nothing_that_people_say_is_taken_for_a_request_and_most_guesses_are_withheld() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/speech/mulaw8k");
    let (Ok(files), Some(speech)) = (std::fs::read_dir(&folder), demo_pool()) else {
        println!("skipped: {} or the demo model is not there", folder.display());
        return;
    };
    let confidence_min = demo().unwrap().traits().confidence_min;
    let (mut spoken, mut finals) = (0, 0);
    for file in files {
        let path = file.unwrap().path();
        let mut line = Line::open(&speech, Speaker::Caller, true);
        // Piece by piece, with room for the partials that a live call would have.
        for second in mulaw(&std::fs::read(&path).unwrap()).chunks(8_000) {
            line.feed_mulaw(&speech, second);
        }
        let heard = line.end();
        assert_whole(&heard);
        spoken += usize::from(!heard.is_empty());
        let words = [hypotheses(&heard, Stage::Partial), hypotheses(&heard, Stage::Final)].concat();
        finals += words.iter().filter(|words| words.stage == Stage::Final).count();
        let mut triggers = Triggers::new(&Rules::default()).unwrap();
        for words in words {
            println!("{}: {:?} {:.2} {:?}", path.display(), words.stage, words.confidence, words.text);
            assert!(words.confidence >= confidence_min, "{words:?}");
            assert_eq!(triggers.observe(Signal::Heard(&utterance(&words))), None, "{}", path.display());
        }
    }
    assert!(spoken >= 20, "speech was found in {spoken} recordings only");
    let unsure = speech.stats().decodes.unsure;
    println!("{spoken} spoke, {finals} finals told, {unsure} texts withheld");
    // Without the model's own confidence_min it is eight finals, seven of them wrong.
    assert!(finals <= 4 && unsure >= 2, "{finals} finals were told and only {unsure} texts withheld");
}

/// As the gateway makes one of a hypothesis.
fn utterance(words: &Hypothesis) -> Utterance {
    Utterance {
        id: UtteranceId(1),
        speaker: words.speaker,
        text: words.text.clone(),
        start: words.start,
        end: words.end,
        confidence: words.confidence,
        stage: words.stage,
        level: None,
    }
}
