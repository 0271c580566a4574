//! Makes the recogniser that the configuration asks for.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use segue_speech::{ModelCatalogue, Speech, SpeechConfig, WhisperEngine, WhisperOptions};

use crate::{
    clock::Clock,
    config::{Recognition, RecognitionEngine},
};

/// Starts recognition; `None` if it is switched off.
///
/// # Errors
/// The model is missing, damaged or not allowed; the text says what to do.
pub(crate) fn start(settings: &Recognition, clock: Clock) -> anyhow::Result<Option<Speech>> {
    match settings.engine {
        // What that means is among the configuration's warnings.
        RecognitionEngine::None => Ok(None),
        RecognitionEngine::Whisper => whisper(settings, clock).map(Some),
    }
}

fn whisper(settings: &Recognition, clock: Clock) -> anyhow::Result<Speech> {
    let catalogue = ModelCatalogue::load(&settings.models)?;
    let verified = catalogue.verify(&settings.model)?;
    let options = WhisperOptions { allow_demo_model: settings.allow_demo_model, ..WhisperOptions::default() };
    let engine = WhisperEngine::load(&verified, &options).context("recognition.model")?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut config = SpeechConfig::new(Arc::new(move || clock.now()));
    config.workers = if settings.workers == 0 { (cores / 2).max(1) } else { settings.workers };
    config.partial_interval = Duration::from_millis(settings.partial_interval_ms);
    Ok(Speech::start(config, Some(Arc::new(engine)))?)
}
