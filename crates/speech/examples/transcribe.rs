//! Transcribes telephone recordings through the whole path of recognition, for measuring a model:
//! `cargo run --release -p segue-speech --example transcribe -- models demo *.wav` prints a line a file, its name
//! and its words with a tab between. WAV files with 8 kHz, mono, 16 bit, µ-law or A-law.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool of the command line")]

use std::{
    error::Error,
    path::Path,
    sync::{Arc, mpsc::channel},
    time::{Duration, Instant},
};

use segue_speech::{
    Clock, Heard, ModelCatalogue, Recognizer, Speech, SpeechConfig, StreamOptions, WhisperEngine,
    WhisperOptions, pool::Frame,
};
use segue_trigger::{Speaker, Stage};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(model)) = (arguments.next(), arguments.next()) else {
        return Err("usage: transcribe <models' folder> <model> <file.wav>...".into());
    };
    let verified = ModelCatalogue::load(Path::new(&folder))?.verify(&model)?;
    let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
    let engine = WhisperEngine::load(&verified, &options)?;
    let clock = clock();
    let speech = Speech::start(SpeechConfig::new(Arc::clone(&clock)), Some(Arc::new(engine)))?;
    for file in arguments {
        let began = clock();
        let (rate, samples) = segue_media::wav::decode(&std::fs::read(&file)?)?;
        if rate != 8_000 {
            return Err(format!("{file} has {rate} samples a second; 8000 are needed").into());
        }
        let words = transcribe(&speech, &samples)?;
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy();
        println!("{name}\t{words}");
        eprintln!("{name}: {:.1} s in {:?}", samples.len() as f32 / 8_000.0, clock() - began);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the only clock of this tool")]
fn clock() -> Clock {
    let began = Instant::now();
    Arc::new(move || began.elapsed())
}

/// The finals of a recording, one after the other; a hole is written as `[gap]`.
fn transcribe(speech: &Speech, samples: &[i16]) -> Result<String, Box<dyn Error>> {
    let (news, heard) = channel();
    let sink = Box::new(move |heard| news.send(heard).unwrap_or_default());
    let options =
        StreamOptions { speaker: Speaker::Caller, language: Some("en".to_owned()), partials: false, sink };
    let mut stream = speech.open(options)?;
    let mut at = Duration::ZERO;
    for piece in samples.chunks(160 * 40) {
        let before = speech.stats().frames.taken;
        let mut frames = 0;
        for chunk in piece.chunks(160) {
            let mut frame = [0; 160];
            for (to, from) in frame.iter_mut().zip(chunk) {
                *to = *from;
            }
            stream.push(at, Frame::Linear(&frame));
            at += Duration::from_millis(20);
            frames += 1;
        }
        while speech.stats().frames.taken < before + frames {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    drop(stream);
    let words = heard.iter().filter_map(|news| match news {
        Heard::Hypothesis(words) if words.stage == Stage::Final => Some(words.text),
        Heard::Gap(_) => Some("[gap]".to_owned()),
        Heard::Hypothesis(_) | Heard::Started { .. } | Heard::Withdrawn { .. } | Heard::PutOff { .. } => None,
    });
    Ok(words.collect::<Vec<_>>().join(" "))
}
