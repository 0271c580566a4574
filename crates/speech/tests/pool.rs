//! The pool with an engine that counts: what is told, in which order, and what happens at the limits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code fails by panicking"
)]

mod support;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use segue_speech::{
    GapCause, Heard, Ladder, Speech, SpeechConfig, SpeechError, StreamOptions,
    pool::{Frame, Rung},
};
use segue_trigger::{Speaker, Stage};
use support::{
    BEGIN, Counting, Line, assert_whole, config, gaps, hypotheses, mulaw, noise, said, script, silence, until,
};

const SENTENCE: &str = "I have been waiting for my order since Monday and nobody can tell me where it is";

fn pool(engine: Counting) -> Speech {
    Speech::start(config(), Some(Arc::new(engine))).unwrap()
}

/// With one worker.
fn alone(engine: Counting) -> Speech {
    Speech::start(SpeechConfig { workers: 1, ..config() }, Some(Arc::new(engine))).unwrap()
}

#[test]
fn an_utterance_is_told_from_its_start_over_partials_to_one_final() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, true);
    // One frame at a time: partials come while the speaker speaks.
    for piece in script(&[said(SENTENCE)]).chunks(160 * 4) {
        line.feed(&speech, piece);
    }
    let heard = line.end();
    assert_whole(&heard);
    assert!(matches!(heard[0], Heard::Started { segment: 1, .. }), "{heard:?}");
    let finals = hypotheses(&heard, Stage::Final);
    assert_eq!(finals.len(), 1, "{heard:?}");
    assert_eq!((finals[0].segment, finals[0].stable_prefix()), (1, finals[0].text.as_str()));
    let partials = hypotheses(&heard, Stage::Partial);
    assert!(!partials.is_empty(), "{heard:?}");
    for (earlier, later) in partials.iter().zip(partials.iter().skip(1)) {
        assert_eq!(later.stable_prefix(), earlier.text, "a growing text is stable as far as it went");
    }
}

#[test]
fn times_are_those_of_the_speech_on_the_gateways_clock() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    let words = said("My order number is one two three four");
    let length = Duration::from_micros(words.len() as u64 * 125);
    line.feed(&speech, &script(&[words]));
    let finals = hypotheses(&line.end(), Stage::Final);
    let begin = BEGIN + Duration::from_millis(600);
    let near = |one: Duration, other: Duration| one.abs_diff(other) < Duration::from_millis(150);
    assert!(near(finals[0].start, begin), "{:?} against {begin:?}", finals[0].start);
    assert!(near(finals[0].end, begin + length), "{:?} against {:?}", finals[0].end, begin + length);
}

#[test]
fn a_pause_makes_two_utterances_and_their_finals_come_in_order() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed(&speech, &script(&[said("I need some help with my order"), said("It has not arrived yet")]));
    let heard = line.end();
    assert_whole(&heard);
    let segments: Vec<u64> = hypotheses(&heard, Stage::Final).iter().map(|words| words.segment).collect();
    assert_eq!(segments, [1, 2], "{heard:?}");
}

#[test]
fn silence_and_line_noise_are_no_speech() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed(&speech, &[silence(3.0), noise(3.0, 60.0), vec![0; 16_000]].concat());
    assert_eq!(line.end(), []);
}

#[test]
fn speech_is_found_in_line_noise() {
    let speech = pool(Counting::default());
    for amplitude in [60.0, 300.0, 800.0] {
        let mut line = Line::open(&speech, Speaker::Caller, false);
        let clean = script(&[said("Where is my order"), said("I want to talk to somebody")]);
        let noisy: Vec<i16> =
            clean.iter().zip(noise(60.0, amplitude)).map(|(one, other)| one.saturating_add(other)).collect();
        line.feed(&speech, &noisy);
        let heard = line.end();
        assert_whole(&heard);
        assert_eq!(hypotheses(&heard, Stage::Final).len(), 2, "noise {amplitude}: {heard:?}");
    }
}

#[test]
fn speech_is_found_in_recordings_of_people() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/speech/mulaw8k");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: there are no recordings at {}", folder.display());
        return;
    };
    let speech = pool(Counting::default());
    for file in files {
        let path = file.unwrap().path();
        let payload = mulaw(&std::fs::read(&path).unwrap());
        let mut line = Line::open(&speech, Speaker::Caller, false);
        line.feed_mulaw(&speech, &payload);
        let heard = line.end();
        assert_whole(&heard);
        let finals = hypotheses(&heard, Stage::Final);
        let voiced: Duration = finals.iter().map(|words| words.end - words.start).sum();
        let length = Duration::from_micros(payload.len() as u64 * 125);
        println!("{:?}: {} utterances, {voiced:?} of {length:?}", path.file_name(), finals.len());
        assert!(voiced > length.mul_f32(0.4), "{}: {voiced:?} of {length:?}", path.display());
    }
}

#[test]
fn a_taker_that_panics_harms_no_other_call() {
    let speech = pool(Counting::default());
    let sink = Box::new(|_| panic!("the taker is broken"));
    let broken = speech
        .open(StreamOptions { speaker: Speaker::Caller, language: None, partials: true, sink })
        .unwrap();
    let mut broken = Line { stream: broken, ..Line::open(&speech, Speaker::Caller, false) };
    broken.feed(&speech, &script(&[said("My parcel is late")]));
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said("My parcel is late")]));
    assert_eq!(hypotheses(&line.end(), Stage::Final).len(), 1);
}

#[test]
fn hanging_up_in_the_middle_of_a_word_still_gives_a_final() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    let words = said(SENTENCE);
    line.feed(&speech, &[silence(0.5), words[..words.len() / 2].to_vec()].concat());
    let heard = line.end();
    assert_whole(&heard);
    assert_eq!(hypotheses(&heard, Stage::Final).len(), 1, "{heard:?}");
    until("the stream is gone", || speech.stats().streams == 0);
}

#[test]
fn a_final_is_decoded_at_the_soft_end_and_promoted_at_the_hard_end() {
    let engine = Counting::default();
    let decodes = Arc::clone(&engine.decodes);
    let speech = pool(engine);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said("Where is my parcel")]));
    let heard = line.end();
    assert_eq!(hypotheses(&heard, Stage::Final).len(), 1);
    assert_eq!(speech.stats().decodes.promoted, 1);
    assert_eq!(decodes.load(Ordering::Relaxed), 1, "the promoted decode is the only one");
}

#[test]
fn what_is_known_at_the_soft_end_is_told_before_the_hard_end() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, true);
    line.feed(&speech, &[silence(0.6), said("Where is it"), silence(0.26)].concat());
    until("the words are told", || speech.stats().decodes.partials >= 1);
    assert_eq!(speech.stats().decodes.promoted, 0, "the utterance has not ended yet");
    line.feed(&speech, &silence(0.6));
    let heard = line.end();
    assert_whole(&heard);
    let (partials, finals) = (hypotheses(&heard, Stage::Partial), hypotheses(&heard, Stage::Final));
    assert_eq!(partials.last().unwrap().text, finals[0].text);
}

#[test]
fn without_partials_a_pause_in_a_sentence_is_not_told() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    let pause = [said("My order is"), silence(0.16), said("very late")].concat();
    line.feed(&speech, &script(&[pause]));
    let heard = line.end();
    assert_whole(&heard);
    assert!(hypotheses(&heard, Stage::Partial).is_empty(), "{heard:?}");
}

#[test]
fn a_long_speech_is_cut_to_what_the_engine_takes() {
    let speech = pool(Counting { longest: Some(Duration::from_secs(3)), ..Counting::default() });
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said(SENTENCE)]));
    let heard = line.end();
    assert_whole(&heard);
    let finals = hypotheses(&heard, Stage::Final);
    assert!(finals.len() >= 2, "{heard:?}");
    assert!(finals.iter().all(|words| words.end - words.start <= Duration::from_secs(3)));
    assert!(finals.windows(2).all(|pair| pair[0].end <= pair[1].start), "{finals:?}");
}

#[test]
fn frames_that_never_came_in_a_word_are_told_as_a_gap() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    let words = said(SENTENCE);
    line.feed(&speech, &[silence(0.5), words[..16_000].to_vec()].concat());
    for _ in 0..12 {
        line.push(Frame::Lost);
    }
    line.feed(&speech, &words[16_000..]);
    let heard = line.end();
    assert_eq!(gaps(&heard), [GapCause::AudioLost], "{heard:?}");
    assert_eq!(speech.stats().frames.lost, 12);
    assert_whole(&heard);
}

#[test]
fn a_jump_of_the_timeline_ends_the_utterance() {
    let speech = pool(Counting::default());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    let words = said(SENTENCE);
    line.feed(&speech, &[silence(0.5), words[..16_000].to_vec()].concat());
    line.at += Duration::from_secs(5);
    line.feed(&speech, &[words[16_000..].to_vec(), silence(1.0)].concat());
    let heard = line.end();
    assert_whole(&heard);
    let finals = hypotheses(&heard, Stage::Final);
    assert_eq!(finals.len(), 2, "{heard:?}");
    assert!(finals[1].start - finals[0].end > Duration::from_secs(4));
}

#[test]
fn when_nothing_is_decoded_partials_stop_and_finals_become_gaps() {
    let engine = Counting::default();
    let shut = Arc::clone(&engine.shut);
    let mut config = config();
    config.workers = 1;
    config.finals_max = 2;
    config.ladder = Ladder { gap: Duration::from_millis(300), ..Ladder::default() };
    let speech = Speech::start(config, Some(Arc::new(engine))).unwrap();
    shut.store(true, Ordering::Relaxed);
    let mut lines: Vec<Line> = (0..6).map(|_| Line::open(&speech, Speaker::Caller, true)).collect();
    let sound = script(&[said("My parcel is late")]);
    for line in &mut lines {
        line.feed(&speech, &sound);
    }
    until("the ladder is climbed", || speech.stats().rung >= Rung::FinalsOnly);
    assert!(speech.stats().finals_waiting <= 2);
    shut.store(false, Ordering::Relaxed);
    let heard: Vec<Vec<Heard>> = lines.into_iter().map(Line::end).collect();
    heard.iter().for_each(|heard| assert_whole(heard));
    let overloads =
        heard.iter().flat_map(|heard| gaps(heard)).filter(|cause| *cause == GapCause::Overload).count();
    assert!(overloads >= 3, "{heard:?}");
    assert_eq!(
        speech.stats().decodes.gaps as usize,
        heard.iter().map(|heard| gaps(heard).len()).sum::<usize>()
    );
}

#[test]
fn a_decode_over_three_times_its_budget_is_stopped_and_the_pool_goes_on() {
    let engine = Counting::default();
    let shut = Arc::clone(&engine.shut);
    let mut config = config();
    config.budget.base = Duration::from_millis(20);
    config.budget.per_second = Duration::ZERO;
    let speech = Speech::start(config, Some(Arc::new(engine))).unwrap();
    shut.store(true, Ordering::Relaxed);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said("My parcel is late")]));
    let heard = line.end();
    assert_eq!(gaps(&heard), [GapCause::EngineFailed], "{heard:?}");
    shut.store(false, Ordering::Relaxed);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said("My parcel is late")]));
    assert_eq!(hypotheses(&line.end(), Stage::Final).len(), 1);
}

#[test]
fn a_decoder_that_panics_is_replaced_and_no_word_is_lost() {
    let engine = Counting::default();
    let panics = Arc::clone(&engine.panics);
    let speech = pool(engine);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    panics.store(1, Ordering::Relaxed);
    line.feed(&speech, &script(&[said("My parcel is late"), said("Is anybody there")]));
    let heard = line.end();
    assert_whole(&heard);
    assert_eq!(gaps(&heard), []);
    assert_eq!(hypotheses(&heard, Stage::Final).len(), 2, "{heard:?}");
    assert_eq!(speech.stats().decodes.fed_again, 1);
}

#[test]
fn an_utterance_that_panics_every_decoder_costs_one_gap() {
    let engine = Counting::default();
    let panics = Arc::clone(&engine.panics);
    let speech = pool(engine);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    // The decode on the chance of an end, twice, and the final, twice.
    panics.store(4, Ordering::Relaxed);
    line.feed(&speech, &script(&[said("My parcel is late")]));
    until("the gap is told", || speech.stats().decodes.failed == 1);
    line.feed(&speech, &script(&[said("Is anybody there")]));
    let heard = line.end();
    assert_whole(&heard);
    assert_eq!(gaps(&heard), [GapCause::EngineFailed]);
    assert_eq!(hypotheses(&heard, Stage::Final).len(), 1, "{heard:?}");
}

#[test]
fn a_worker_that_hangs_is_replaced_and_no_word_is_lost() {
    let engine = Counting::default();
    let Counting { shut, hangs, refusals, .. } = engine.clone();
    let speech = alone(engine);
    shut.store(true, Ordering::Relaxed);
    hangs.store(1, Ordering::Relaxed);
    // The first to take its place comes to nothing and ends.
    refusals.store(1, Ordering::Relaxed);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said("My parcel is late"), said("Is anybody there")]));
    until("two workers were lost", || speech.stats().workers_replaced == 2);
    shut.store(false, Ordering::Relaxed);
    let heard = line.end();
    assert_whole(&heard);
    assert_eq!(gaps(&heard), []);
    assert_eq!(hypotheses(&heard, Stage::Final).len(), 2, "{heard:?}");
    assert_eq!(speech.stats().decodes.fed_again, 1);
}

#[test]
fn an_utterance_that_hangs_two_workers_is_given_up_and_a_pool_with_one_that_hangs_can_stop() {
    let engine = Counting::default();
    let Counting { shut, hangs, decodes, .. } = engine.clone();
    let mut speech = alone(engine);
    shut.store(true, Ordering::Relaxed);
    hangs.store(2, Ordering::Relaxed);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &script(&[said("My parcel is late")]));
    until("the gap is told", || speech.stats().decodes.failed == 1);
    hangs.store(1, Ordering::Relaxed);
    line.feed(&speech, &script(&[said("Is anybody there")]));
    until("a third one hangs", || decodes.load(Ordering::Relaxed) == 3);
    speech.stop();
    let heard = line.end();
    assert_whole(&heard);
    assert_eq!(gaps(&heard), [GapCause::EngineFailed, GapCause::Stopped], "{heard:?}");
}

#[test]
fn twenty_voices_on_two_workers_are_all_told_to_their_end() {
    let speech = pool(Counting::default());
    let sound = script(&[said("Hello I have a question"), said(SENTENCE)]);
    let mut lines: Vec<Line> = (0..20).map(|_| Line::open(&speech, Speaker::Caller, true)).collect();
    let mut pushed = 0;
    for piece in sound.chunks(160 * 20) {
        pushed += (piece.len() / 160 * lines.len()) as u64;
        for line in &mut lines {
            for frame in piece.as_chunks::<160>().0 {
                line.push(Frame::Linear(frame));
            }
        }
        until("all frames are taken", || speech.stats().frames.taken == pushed);
        assert!(speech.stats().finals_waiting <= 64);
    }
    let heard: Vec<Vec<Heard>> = lines.into_iter().map(Line::end).collect();
    for heard in &heard {
        assert_whole(heard);
        assert_eq!(hypotheses(heard, Stage::Final).len() + gaps(heard).len(), 2, "{heard:?}");
    }
    let stats = speech.stats();
    assert_eq!((stats.streams, stats.frames.dropped), (0, 0));
}

#[test]
fn without_an_engine_streams_hear_nothing_and_say_so() {
    let speech = Speech::start(config(), None).unwrap();
    assert_eq!((speech.engine_name(), speech.recognises()), ("none", false));
    let mut line = Line::open(&speech, Speaker::Caller, true);
    for _ in 0..100 {
        line.push(Frame::Linear(&[5_000; 160]));
    }
    assert_eq!(line.end(), []);
}

#[test]
fn more_voices_than_the_limit_are_refused() {
    let mut config = config();
    config.streams_max = 2;
    let speech = Speech::start(config, Some(Arc::new(Counting::default()))).unwrap();
    let lines = [Line::open(&speech, Speaker::Caller, true), Line::open(&speech, Speaker::Bot, true)];
    let options =
        || StreamOptions { speaker: Speaker::Agent, language: None, partials: false, sink: Box::new(|_| {}) };
    assert!(matches!(speech.open(options()), Err(SpeechError::TooManyStreams { limit: 2 })));
    drop(lines);
    until("there is room again", || speech.stats().streams == 0);
    assert!(speech.open(options()).is_ok());
}

#[test]
fn a_stopped_pool_tells_gaps_and_opens_nothing() {
    let engine = Counting::default();
    let shut = Arc::clone(&engine.shut);
    let mut speech = pool(engine);
    shut.store(true, Ordering::Relaxed);
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed(&speech, &[script(&[said("My parcel is late")]), said("and I")].concat());
    speech.stop();
    let heard = line.end();
    assert_whole(&heard);
    assert!(gaps(&heard).iter().all(|cause| matches!(cause, GapCause::Stopped | GapCause::EngineFailed)));
    assert!(!gaps(&heard).is_empty());
    let options =
        StreamOptions { speaker: Speaker::Caller, language: None, partials: false, sink: Box::new(|_| {}) };
    assert!(matches!(speech.open(options), Err(SpeechError::Stopped)));
}
