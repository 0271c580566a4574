//! What speech costs: a frame through voice activity, a sentence spoken, an utterance of four seconds decoded.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark that fails may panic"
)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segue_media::resample;
use segue_speech::{
    Clock, Endpointing, Flite, ModelCatalogue, Synthesizer, VoiceStyle, WhisperEngine, WhisperOptions,
    listen::{Hearing, Samples},
    normalise,
    pool::{Engine, Stop},
};

const SENTENCE: &str =
    "Your call is being handed to Anna, who has read your order number and knows what went wrong.";

fn listening(criterion: &mut Criterion) {
    let words = Flite.speak(SENTENCE, VoiceStyle::PROMPT).unwrap();
    let frames: Vec<Samples> =
        words.as_chunks::<160>().0.iter().map(|frame| Samples::Narrow(*frame)).collect();
    let mut hearing = Hearing::new(Endpointing::default());
    let mut at = Duration::ZERO;
    let mut group = criterion.benchmark_group("listen");
    group.throughput(Throughput::Elements(1));
    let mut place = 0;
    group.bench_function("one frame of a sentence: level, 16 kHz, voice activity, endpointing", |bencher| {
        bencher.iter(|| {
            at += Duration::from_millis(20);
            place = (place + 1) % frames.len();
            hearing.hear(at, &frames[place])
        });
    });
    group.finish();
}

fn speaking(criterion: &mut Criterion) {
    let length = Flite.speak(SENTENCE, VoiceStyle::PROMPT).unwrap().len() as f64 / 8_000.0;
    println!("the sentence lasts {length:.2} s");
    criterion.bench_function("flite speaks one sentence", |bencher| {
        bencher.iter(|| Flite.speak(SENTENCE, VoiceStyle::PROMPT).unwrap());
    });
    criterion.bench_function("normalise one sentence", |bencher| {
        bencher.iter(|| {
            normalise("Your order 40917 of $49.99 comes on 2026-11-20 at 10:30, call 555-123-4567.")
        });
    });
}

fn decoding(criterion: &mut Criterion) {
    let catalogue = ModelCatalogue::load(&models()).unwrap();
    let clock: Clock = Arc::new(|| Duration::ZERO);
    let sound: Vec<i16> = {
        let narrow = Flite.speak(SENTENCE, VoiceStyle::PROMPT).unwrap();
        let mut wide = resample::up(&narrow);
        wide.truncate(64_000);
        wide
    };
    for listed in catalogue.list() {
        let name = listed.model.name.clone();
        let Ok(verified) = catalogue.verify(&name) else { continue };
        let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
        let engine = WhisperEngine::load(&verified, &options).unwrap();
        let mut decoder = engine.decoder().unwrap();
        let longest =
            engine.longest().map_or(sound.len(), |longest| (longest.as_secs_f32() * 16_000.0) as usize);
        let stop = Stop::at(Duration::MAX, Arc::clone(&clock));
        let sound = sound.get(..longest.min(sound.len())).unwrap_or(&sound);
        criterion.bench_function(
            &format!("decode {:.1} s with {name}", sound.len() as f32 / 16_000.0),
            |bencher| {
                bencher.iter(|| decoder.decode(sound, Some("en"), &stop));
            },
        );
    }
}

/// The folder of models: SEGUE_MODELS, or the repository's own.
fn models() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    std::env::var_os("SEGUE_MODELS").map_or_else(own, PathBuf::from)
}

criterion_group!(benches, listening, speaking, decoding);
criterion_main!(benches);
