//! Sounds that are no speech and come from telephones: tones, keys, music on hold. None of them may become words.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code fails by panicking"
)]

mod support;

use std::{f32::consts::TAU, path::PathBuf, sync::Arc};

use segue_media::{Music, g711::Law};
use segue_speech::{ModelCatalogue, Speech, WhisperEngine, WhisperOptions};
use segue_trigger::{Speaker, Stage};
use support::{Line, config, hypotheses, noise, said, silence};

/// Sines of these frequencies, each with this amplitude, with this much vibrato in parts of the frequency.
fn tones(hertz: &[f32], amplitude: f32, seconds: f32, vibrato: f32) -> Vec<i16> {
    let mut phases = vec![0.0_f32; hertz.len()];
    (0..(seconds * 8_000.0) as usize)
        .map(|place| {
            let at = place as f32 / 8_000.0;
            let sway = 1.0 + vibrato * (TAU * 5.5 * at).sin();
            let mut sum = 0.0;
            for (phase, hertz) in phases.iter_mut().zip(hertz) {
                *phase = (*phase + TAU * hertz * sway / 8_000.0) % TAU;
                sum += phase.sin();
            }
            (sum * amplitude) as i16
        })
        .collect()
}

fn repeated(sound: &[i16], pause: f32, times: usize) -> Vec<i16> {
    std::iter::repeat_n([sound.to_vec(), silence(pause)].concat(), times).flatten().collect()
}

/// A melody of chords with overtones, each struck and fading, as music on hold of another exchange.
fn melody(seconds: f32) -> Vec<i16> {
    let roots = [262.0, 220.0, 175.0, 196.0, 247.0, 330.0];
    let length = seconds / 12.0;
    let mut sound = Vec::new();
    for turn in 0..12 {
        let root = roots[turn % roots.len()];
        let chord = [root, root * 1.26, root * 1.5, root * 2.0, root * 3.0];
        let struck = tones(&chord, 2_200.0, length, 0.004);
        let count = struck.len() as f32;
        sound.extend(
            struck
                .iter()
                .enumerate()
                .map(|(place, sample)| (f32::from(*sample) * (1.0 - 0.85 * place as f32 / count)) as i16),
        );
    }
    sound
}

/// What another exchange's line may carry beside speech.
fn sounds() -> Vec<(&'static str, Vec<i16>)> {
    let keys = [(697.0, 1_209.0), (770.0, 1_336.0), (852.0, 1_477.0), (941.0, 1_336.0), (697.0, 1_477.0)];
    let pressed: Vec<i16> = keys
        .iter()
        .flat_map(|(low, high)| [tones(&[*low, *high], 4_000.0, 0.12, 0.0), silence(0.1)].concat())
        .collect();
    let hold = Music::render();
    let hold: Vec<i16> = hold.sound().iter().copied().take(8_000 * 20).collect();
    vec![
        ("ringing 425 Hz", repeated(&tones(&[425.0], 6_000.0, 1.0, 0.0), 4.0, 3)),
        ("ringing 440 and 480 Hz", repeated(&tones(&[440.0, 480.0], 3_000.0, 2.0, 0.0), 4.0, 3)),
        ("busy 425 Hz", repeated(&tones(&[425.0], 6_000.0, 0.48, 0.0), 0.48, 12)),
        ("congestion", repeated(&tones(&[480.0, 620.0], 3_000.0, 0.25, 0.0), 0.25, 20)),
        ("dial tone", tones(&[350.0, 440.0], 3_000.0, 8.0, 0.0)),
        ("keys", repeated(&pressed, 0.5, 6)),
        ("one long key", tones(&[770.0, 1_336.0], 4_000.0, 3.0, 0.0)),
        ("fax", repeated(&tones(&[1_100.0], 5_000.0, 0.5, 0.0), 3.0, 4)),
        ("modem", tones(&[2_100.0], 5_000.0, 3.3, 0.0)),
        ("two tones with vibrato", repeated(&tones(&[330.0, 415.0], 4_000.0, 2.5, 0.02), 0.7, 5)),
        (
            "a voice-like chord with vibrato",
            repeated(&tones(&[220.0, 440.0, 660.0, 880.0], 2_500.0, 1.5, 0.03), 0.6, 6),
        ),
        ("our hold music", hold),
        ("a melody", melody(20.0)),
        ("a hiss that comes and goes", repeated(&noise(1.2, 2_500.0), 1.0, 8)),
    ]
}

fn demo_pool() -> Option<Speech> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let catalogue = ModelCatalogue::load(&folder).unwrap();
    catalogue.find("demo").ok()?;
    let verified = catalogue.verify("demo").unwrap();
    let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
    let engine = WhisperEngine::load(&verified, &options).unwrap();
    Some(Speech::start(config(), Some(Arc::new(engine))).unwrap())
}

#[test]
fn tones_keys_and_music_are_no_words_and_a_caller_behind_them_is_heard() {
    let Some(speech) = demo_pool() else {
        println!("skipped: models/demo has no card.json yet");
        return;
    };
    let mut leaks = Vec::new();
    for (name, sound) in sounds() {
        for gain in [1.0, 0.25] {
            let sound: Vec<i16> = sound.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect();
            let line = [silence(0.6), sound, silence(1.0), said("where is my order"), silence(0.8)].concat();
            let coded: Vec<u8> = line.iter().map(|sample| Law::Pcmu.encode(*sample)).collect();
            let mut ear = Line::open(&speech, Speaker::Caller, true);
            ear.feed_mulaw(&speech, &coded);
            let heard = ear.end();
            let texts = |stage| -> Vec<String> {
                hypotheses(&heard, stage).into_iter().map(|words| words.text).collect()
            };
            let (finals, partials) = (texts(Stage::Final), texts(Stage::Partial));
            println!("{name} at {gain}: {} news, finals {finals:?}, partials {partials:?}", heard.len());
            if finals != ["where is my order"] {
                leaks.push(format!("{name} at {gain}: {finals:?}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}
