//! Makes the recogniser that the configuration asks for.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use segue_speech::{
    Authorities, DeepgramEngine, DeepgramOptions, ModelCatalogue, OpenAiEngine, OpenAiOptions, Speech,
    SpeechConfig, WhisperEngine, WhisperOptions,
};

use crate::{
    clock::Clock,
    config::{Recognition, RecognitionEngine, RemoteRecognition},
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
        RecognitionEngine::Openai => elsewhere(settings, clock).map(Some),
        RecognitionEngine::Deepgram => streaming(settings, clock).map(Some),
    }
}

fn whisper(settings: &Recognition, clock: Clock) -> anyhow::Result<Speech> {
    let catalogue = ModelCatalogue::load(&settings.models)?;
    let verified = catalogue.verify(&settings.model)?;
    let options = WhisperOptions {
        allow_demo_model: settings.allow_demo_model,
        languages: settings.codes(),
        ..WhisperOptions::default()
    };
    let engine = WhisperEngine::load(&verified, &options).context("recognition.model")?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut config = pool(settings, clock);
    config.workers = if settings.workers == 0 { (cores / 2).max(1) } else { settings.workers };
    Ok(Speech::start(config, Some(Arc::new(engine)))?)
}

/// Its workers only wait for answers, so there are as many as requests may be under way.
fn elsewhere(settings: &Recognition, clock: Clock) -> anyhow::Result<Speech> {
    let remote = &settings.remote;
    let engine = OpenAiEngine::new(OpenAiOptions {
        address: remote.address.clone(),
        model: remote.model.clone(),
        key: Some(remote.key.clone()).filter(|key| !key.is_empty()),
        deadline: Duration::from_millis(remote.deadline_ms),
        vocabulary: String::new(),
        authorities: authorities(remote)?,
    });
    let mut config = pool(settings, clock);
    config.workers = remote.requests;
    Ok(Speech::start(config, Some(Arc::new(engine)))?)
}

/// Neither workers nor utterances of ours: a thread and a connection for each voice.
fn streaming(settings: &Recognition, clock: Clock) -> anyhow::Result<Speech> {
    let remote = &settings.remote;
    let engine = DeepgramEngine::new(DeepgramOptions {
        address: remote.address.clone(),
        model: remote.model.clone(),
        key: Some(remote.key.clone()).filter(|key| !key.is_empty()),
        deadline: Duration::from_millis(remote.deadline_ms),
        authorities: authorities(remote)?,
    })
    .context("recognition.remote")?;
    Ok(Speech::start_streaming(pool(settings, clock), Arc::new(engine)))
}

fn authorities(remote: &RemoteRecognition) -> anyhow::Result<Authorities> {
    if remote.authorities.as_os_str().is_empty() {
        return Ok(Authorities::default());
    }
    Authorities::read(&remote.authorities).context("recognition.remote.authorities")
}

fn pool(settings: &Recognition, clock: Clock) -> SpeechConfig {
    let mut config = SpeechConfig::new(Arc::new(move || clock.now()));
    config.partial_interval = Duration::from_millis(settings.partial_interval_ms);
    config.streams_max = settings.voices_max;
    config
}
