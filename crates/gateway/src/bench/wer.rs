//! `segue bench wer`: how many words a model gets wrong, over recordings whose true text is known.
//!
//! Each recording goes through the whole path of recognition as a caller's voice does (voice activity, utterances,
//! guards), once as it is and once through µ-law at 8 kHz; only the limits of time and load are lifted.

use std::{
    process::ExitCode,
    sync::{Arc, mpsc::channel},
    time::Duration,
};

use anyhow::Context;
use segue_media::{WIDE_FRAME, g711::Law, resample};
use segue_speech::{
    Heard, ModelCatalogue, Recognizer, Speech, SpeechConfig, Stream, StreamOptions, WhisperEngine,
    WhisperOptions,
    accuracy::WordErrors,
    models::Traits,
    pool::{Budget, Frame},
};
use segue_trigger::{Speaker, Stage};
use serde::Serialize;

use super::recordings::{Recording, Sound, find, read};
use crate::{
    bar,
    cli::WerArgs,
    clock::Clock,
    telemetry::{complain, say},
};

/// Measures, prints the table, and writes the JSON file if one is wanted.
///
/// # Errors
/// The folder, a recording or the model is not what it should be; the text says which and why.
pub(crate) fn run(args: &WerArgs) -> anyhow::Result<ExitCode> {
    let recordings = find(&args.folder)?;
    let engine = engine(args)?;
    let speech = pool(engine)?;
    let mut tables = Vec::new();
    for way in [Way::AsItIs, Way::Telephone] {
        let mut table = Table::new(way, &args.folder.display().to_string(), speech.engine_name());
        for (place, recording) in recordings.iter().enumerate() {
            bar::draw(way.name(), place, recordings.len(), "");
            table.add(recording, listen(&speech, recording, way, &args.language)?);
        }
        bar::draw(way.name(), recordings.len(), recordings.len(), "");
        tables.push(table);
    }
    print(&tables);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&tables)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// In what form a recording is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    AsItIs,
    Telephone,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::AsItIs => "as it is",
            Way::Telephone => "µ-law, 8 kHz",
        }
    }
}

/// What was heard in one recording.
struct Listened {
    heard: String,
    gaps: usize,
    seconds: f64,
    decoding: f64,
}

/// All recordings in one form.
#[derive(Serialize)]
struct Table {
    model: String,
    folder: String,
    way: Way,
    words: usize,
    substitutions: usize,
    insertions: usize,
    deletions: usize,
    /// Errors a word; none if nobody said one.
    rate: Option<f64>,
    gaps: usize,
    seconds: f64,
    decode_seconds: f64,
    files: Vec<Row>,
    #[serde(skip)]
    errors: WordErrors,
}

#[derive(Serialize)]
struct Row {
    name: String,
    said: String,
    heard: String,
    words: usize,
    errors: usize,
}

impl Table {
    fn new(way: Way, folder: &str, model: &str) -> Table {
        Table {
            model: model.to_owned(),
            folder: folder.to_owned(),
            way,
            words: 0,
            substitutions: 0,
            insertions: 0,
            deletions: 0,
            rate: None,
            gaps: 0,
            seconds: 0.0,
            decode_seconds: 0.0,
            files: Vec::new(),
            errors: WordErrors::default(),
        }
    }

    fn add(&mut self, recording: &Recording, listened: Listened) {
        let errors = WordErrors::between(&recording.text, &listened.heard);
        self.errors += errors;
        (self.words, self.rate) = (self.errors.words, self.errors.rate());
        self.substitutions = self.errors.substitutions;
        self.insertions = self.errors.insertions;
        self.deletions = self.errors.deletions;
        self.gaps += listened.gaps;
        self.seconds += listened.seconds;
        self.decode_seconds += listened.decoding;
        self.files.push(Row {
            name: recording.name.clone(),
            said: recording.text.clone(),
            heard: listened.heard,
            words: errors.words,
            errors: errors.errors(),
        });
    }

    fn line(&self) -> String {
        let rate = self.rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
        format!(
            "{:<14} {:>5} {:>6} {:>6} {:>6} {:>6} {rate:>9} {:>9.3} s",
            self.way.name(),
            self.files.len(),
            self.words,
            self.substitutions,
            self.insertions,
            self.deletions,
            self.decode_seconds / self.seconds.max(f64::MIN_POSITIVE),
        )
    }
}

fn engine(args: &WerArgs) -> anyhow::Result<WhisperEngine> {
    // Nobody is served here: the demo model may be measured like any other.
    let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
    if let Some(path) = &args.model_file {
        std::fs::metadata(path).with_context(|| path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        return Ok(WhisperEngine::open(&name, path, Traits::default(), &options)?);
    }
    let verified = ModelCatalogue::load(&args.models)?.verify(&args.model)?;
    Ok(WhisperEngine::load(&verified, &options)?)
}

/// A pool that gives nothing up: recordings come faster than anybody speaks.
fn pool(engine: WhisperEngine) -> anyhow::Result<Speech> {
    let clock = Clock::start();
    let mut config = SpeechConfig::new(Arc::new(move || clock.now()));
    config.workers = 1;
    config.niceness = 0;
    config.finals_max = 4_096;
    config.ladder.gap = Duration::MAX;
    config.budget = Budget { base: Duration::from_secs(60), per_second: Duration::from_secs(10) };
    Ok(Speech::start(config, Some(Arc::new(engine)))?)
}

fn listen(speech: &Speech, recording: &Recording, way: Way, language: &str) -> anyhow::Result<Listened> {
    let sound = read(recording)?;
    let rate = if sound.wide { 16_000.0 } else { 8_000.0 };
    let seconds = sound.samples.len() as f64 / rate;
    let (news, heard) = channel();
    let sink = Box::new(move |heard| news.send(heard).unwrap_or_default());
    let language = Some(language.to_owned());
    let before = speech.stats().decoding;
    let mut stream =
        speech.open(StreamOptions { speaker: Speaker::Caller, language, partials: false, sink })?;
    feed(speech, &mut stream, &frames(&sound, way));
    drop(stream);
    let (mut words, mut gaps) = (Vec::new(), 0);
    // The stream's end drops the sink, which ends this.
    for news in heard {
        match news {
            Heard::Hypothesis(hypothesis) if hypothesis.stage == Stage::Final => words.push(hypothesis.text),
            Heard::Gap(_) => gaps += 1,
            Heard::Hypothesis(_) | Heard::Started { .. } | Heard::Withdrawn { .. } | Heard::PutOff { .. } => {
            }
        }
    }
    let decoding = speech.stats().decoding.saturating_sub(before).as_secs_f64();
    Ok(Listened { heard: words.join(" "), gaps, seconds, decoding })
}

/// 20 ms in the form in which it is heard.
#[expect(clippy::large_enum_variant, reason = "they lie in one list, all of one kind")]
enum Piece {
    Wide([i16; WIDE_FRAME]),
    Narrow([i16; 160]),
    Telephone([u8; 160]),
}

impl Piece {
    fn frame(&self) -> Frame<'_> {
        match self {
            Piece::Wide(samples) => Frame::Wide(samples),
            Piece::Narrow(samples) => Frame::Linear(samples),
            Piece::Telephone(bytes) => Frame::G711(bytes, Law::Pcmu),
        }
    }
}

fn frames(sound: &Sound, way: Way) -> Vec<Piece> {
    match (way, sound.wide) {
        (Way::AsItIs, true) => cut::<WIDE_FRAME>(&sound.samples).map(Piece::Wide).collect(),
        (Way::AsItIs, false) => cut::<160>(&sound.samples).map(Piece::Narrow).collect(),
        (Way::Telephone, true) => telephone(&resample::down(&sound.samples)),
        (Way::Telephone, false) => telephone(&sound.samples),
    }
}

fn telephone(narrow: &[i16]) -> Vec<Piece> {
    cut::<160>(narrow)
        .map(|samples| Piece::Telephone(samples.map(|sample| Law::Pcmu.encode(sample))))
        .collect()
}

/// Frames of a length; the last is filled up with silence.
fn cut<const LENGTH: usize>(samples: &[i16]) -> impl Iterator<Item = [i16; LENGTH]> + '_ {
    samples.chunks(LENGTH).map(|chunk| {
        let mut frame = [0; LENGTH];
        for (to, from) in frame.iter_mut().zip(chunk) {
            *to = *from;
        }
        frame
    })
}

/// Pushes frames as fast as they are taken.
fn feed(speech: &Speech, stream: &mut Stream, frames: &[Piece]) {
    let mut at = Duration::ZERO;
    for batch in frames.chunks(RING_HALF) {
        let before = speech.stats().frames.taken;
        for piece in batch {
            stream.push(at, piece.frame());
            at += Duration::from_millis(20);
        }
        while speech.stats().frames.taken < before + batch.len() as u64 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn print(tables: &[Table]) {
    if let Some(first) = tables.first() {
        say(&format!("model {}, recordings of {}", first.model, first.folder));
    }
    say("heard          files  words   sub.   ins.   del.     wrong  decode time a second of sound");
    for table in tables {
        say(&table.line());
        if table.gaps > 0 {
            complain(&format!("{}: {} utterances could not be decoded", table.way.name(), table.gaps));
        }
    }
}

/// Frames that a stream takes without losing one.
const RING_HALF: usize = 32;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use segue_speech::{Flite, Synthesizer, VoiceStyle};

    use super::*;

    fn args(folder: &Path) -> WerArgs {
        WerArgs {
            folder: folder.to_owned(),
            model: "demo".to_owned(),
            model_file: None,
            models: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models"),
            language: "en".to_owned(),
            json: Some(folder.join("out.json")),
        }
    }

    #[test]
    fn the_demo_model_hears_what_its_voices_say_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("one", "I want to talk to a human"), ("two", "where is my order")] {
            let spoken = Flite.speak(text, VoiceStyle::PROMPT).unwrap();
            let (rate, samples) =
                if name == "one" { (8_000, spoken) } else { (16_000, resample::up(&spoken)) };
            let file = segue_media::wav::encode(&samples, rate);
            std::fs::write(folder.path().join(format!("{name}.wav")), file).unwrap();
            std::fs::write(folder.path().join(format!("{name}.txt")), text).unwrap();
        }
        let args = args(folder.path());
        assert_eq!(run(&args).unwrap(), ExitCode::SUCCESS);
        let text = std::fs::read_to_string(args.json.unwrap()).unwrap();
        let tables: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(tables.as_array().unwrap().len(), 2);
        for table in tables.as_array().unwrap() {
            assert_eq!((table["words"].as_u64(), table["rate"].as_f64()), (Some(11), Some(0.0)), "{text}");
            assert!(table["decode_seconds"].as_f64().unwrap() > 0.0);
        }
    }

    #[test]
    fn a_file_that_is_no_model_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("own.bin"), "hello").unwrap();
        for (file, told) in
            [("own.bin", "the recognition model own cannot be used"), ("none.bin", "none.bin")]
        {
            let args = WerArgs { model_file: Some(folder.path().join(file)), ..args(folder.path()) };
            let error = format!("{:#}", engine(&args).unwrap_err());
            assert!(error.contains(told), "{error}");
        }
    }
}
