//! One measurement of one model, taken in this process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use segue_media::resample;
use segue_speech::{
    ModelCatalogue, WhisperEngine, WhisperOptions,
    models::Shape,
    pool::{Engine, Stop},
};
use serde::{Deserialize, Serialize};

use super::figures::Cost;
use crate::{
    bench::{
        live::{Crowd, Manner, Script, Setting, attempt, spoken},
        process::{cpu_time, resident},
    },
    cli::{ShapeName, TranscribeArgs},
    clock::Clock,
    media::{allowed_cores, claim_core},
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// One utterance of 4 s.
    Utterance { way: Way },
    /// Voices that speak live.
    Live { manner: Manner, crowd: Crowd },
}

/// How an utterance is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// As the gateway does.
    Ours,
    /// The same with all the tokens that it may take.
    Worst,
    /// As whisper.cpp does by itself.
    Plain { threads: i32 },
}

/// Where the weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Random(ShapeName),
    Manifest { name: String, folder: PathBuf },
}

impl Source {
    /// # Errors
    /// Neither a model nor a shape is named.
    pub(super) fn of(args: &TranscribeArgs) -> anyhow::Result<Source> {
        match (&args.model, args.shape) {
            (Some(name), _) => Ok(Source::Manifest { name: name.clone(), folder: args.models.clone() }),
            (None, Some(shape)) => Ok(Source::Random(shape)),
            (None, None) => anyhow::bail!("--part needs --model or --shape"),
        }
    }

    pub(super) fn is_random(&self) -> bool {
        matches!(self, Source::Random(_))
    }

    pub(super) fn name(&self) -> String {
        match self {
            Source::Random(ShapeName::TinyEn) => "tiny.en-q8_0, random weights".to_owned(),
            Source::Random(ShapeName::BaseEn) => "base.en-q8_0, random weights".to_owned(),
            Source::Manifest { name, .. } => name.clone(),
        }
    }

    /// The arguments that name it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let texts = match self {
            Source::Random(ShapeName::TinyEn) => vec!["--shape", "tiny.en"],
            Source::Random(ShapeName::BaseEn) => vec!["--shape", "base.en"],
            Source::Manifest { name, folder } => {
                let folder = folder.display().to_string();
                return ["--model", name, "--models", &folder].map(str::to_owned).to_vec();
            }
        };
        texts.into_iter().map(str::to_owned).collect()
    }

    fn engine(&self, whole: bool) -> anyhow::Result<WhisperEngine> {
        let options = WhisperOptions { allow_demo_model: true, whole, ..WhisperOptions::default() };
        let shape = match self {
            Source::Random(ShapeName::TinyEn) => Shape::TINY_EN,
            Source::Random(ShapeName::BaseEn) => Shape::BASE_EN,
            Source::Manifest { name, folder } => {
                let verified = ModelCatalogue::load(folder)?.verify(name)?;
                return Ok(WhisperEngine::load(&verified, &options)?);
            }
        };
        Ok(WhisperEngine::random_with(&self.name(), shape, 1, &options)?)
    }
}

/// Takes the measurement; gives it as JSON.
///
/// # Errors
/// The model is not there, or recognition cannot start.
pub(super) fn measured(source: &Source, part: &Part) -> anyhow::Result<String> {
    let plain = match part {
        Part::Utterance { way } => matches!(way, Way::Plain { .. }),
        Part::Live { manner, .. } => *manner == Manner::Plain,
    };
    let engine = source.engine(plain)?;
    let core = allowed_cores().first().copied();
    let answer = match *part {
        Part::Utterance { way } => {
            let (engine, core) = match way {
                Way::Ours => (engine, core),
                Way::Worst => (engine.at_worst(), core),
                Way::Plain { threads } => (engine.plainly(threads), core.filter(|_| threads == 1)),
            };
            serde_json::to_string(&utterance(&engine, core)?)?
        }
        Part::Live { manner, crowd } => {
            let engine = if plain { engine.plainly(1) } else { engine };
            let setting = Setting { engine: Arc::new(engine), manner, core };
            serde_json::to_string(&attempt(&setting, crowd, &Script::new()?)?)?
        }
    };
    Ok(answer)
}

/// Decodes a few times, on a thread of its own, and takes the median.
fn utterance(engine: &WhisperEngine, core: Option<usize>) -> anyhow::Result<Cost> {
    let sound = resample::up(&spoken()?);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            claim_core(core);
            decodes(engine, &sound)
        });
        thread.join().map_err(|_| anyhow::anyhow!("the decoder panicked"))
    })?
}

fn decodes(engine: &WhisperEngine, sound: &[i16]) -> anyhow::Result<Cost> {
    let clock = Clock::start();
    let stop = Stop::at(Duration::MAX, Arc::new(move || clock.now()));
    let before = resident();
    let mut decoder = engine.decoder()?;
    let words = decoder.decode(sound, Some("en"), &stop)?.text.split_whitespace().count();
    let memory = resident().saturating_sub(before);
    let mut costs = Vec::new();
    for _ in 0..DECODES {
        let (cpu_before, wall_before) = (cpu_time(), clock.now());
        decoder.decode(sound, Some("en"), &stop)?;
        costs.push((cpu_time().saturating_sub(cpu_before), clock.now() - wall_before));
    }
    costs.sort_unstable();
    let (cpu, wall) = costs.get(DECODES / 2).copied().unwrap_or_default();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Cost {
        cpu_ms: milliseconds(cpu),
        wall_ms: milliseconds(wall),
        words,
        decoder_mb: memory as f64 / 1e6,
    })
}

/// Decodes of one utterance that are timed.
const DECODES: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_weights_take_as_many_tokens_as_speech_and_at_worst_as_many_as_they_may() {
        let shape = Shape { words: 50_257, ..Shape::SMALLEST };
        let engine = WhisperEngine::random("narrowest", shape, 1).unwrap();
        let cost = utterance(&engine, None).unwrap();
        assert!((17..=18).contains(&cost.words), "{cost:?}");
        assert!(cost.cpu_ms > 0.0 && cost.voices() >= 1);
        let cost = utterance(&engine.at_worst(), None).unwrap();
        assert!((32..=33).contains(&cost.words), "{cost:?}");
    }

    #[test]
    fn the_plain_way_tells_words_too() {
        let engine = WhisperEngine::random("smallest", Shape::SMALLEST, 1).unwrap().plainly(1);
        let setting = Setting { engine: Arc::new(engine), manner: Manner::Plain, core: None };
        let crowd = Crowd { voices: 2, seed: 1, seconds: 8, limit: Duration::from_secs(1) };
        let trial = attempt(&setting, crowd, &Script::new().unwrap()).unwrap();
        assert!(trial.finals > 0 && trial.harm == 0, "{trial:?}");
        assert!(trial.p50_ms >= 380.0 && trial.partials == 0.0, "{trial:?}");
    }

    #[test]
    fn a_source_is_named_on_the_command_line_of_a_child() {
        let source = Source::Manifest { name: "demo".to_owned(), folder: PathBuf::from("models") };
        assert_eq!(source.arguments(), ["--model", "demo", "--models", "models"]);
        let part = Part::Live {
            manner: Manner::Partials,
            crowd: Crowd { voices: 3, seed: 1, seconds: 5, limit: Duration::from_secs(1) },
        };
        let text = serde_json::to_string(&part).unwrap();
        assert_eq!(serde_json::from_str::<Part>(&text).unwrap(), part);
    }
}
