//! Makes the recogniser that the configuration asks for.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use segue_api::Feed;
use segue_speech::{
    Authorities, DeepgramEngine, DeepgramOptions, ModelCatalogue, OpenAiEngine, OpenAiOptions, Speech,
    SpeechConfig, WhisperEngine, WhisperOptions,
    models::Presence,
    pool::{Elsewhere, Engine},
};

use crate::{
    clock::Clock,
    config::{Recognition, RecognitionEngine, RemoteRecognition},
    overload::Teller,
};

/// Starts recognition; `None` if it is switched off. What it gives up under load is told to the feed.
///
/// # Errors
/// The model is missing, damaged or not allowed; the text says what to do.
pub(crate) fn start(
    settings: &Recognition,
    clock: Clock,
    feed: &Arc<Feed>,
) -> anyhow::Result<Option<Speech>> {
    let mut pool = pool(settings, clock);
    pool.watch = Some(Arc::new(Teller::new(clock, feed)));
    match settings.engine {
        // What that means is among the configuration's warnings.
        RecognitionEngine::None => Ok(None),
        RecognitionEngine::Auto if turned_on_by(settings).is_some() => Ok(None),
        RecognitionEngine::Auto | RecognitionEngine::Whisper => whisper(settings, pool).map(Some),
        RecognitionEngine::Openai => elsewhere(settings, pool).map(Some),
        RecognitionEngine::Deepgram => streaming(settings, pool).map(Some),
    }
}

fn whisper(settings: &Recognition, mut config: SpeechConfig) -> anyhow::Result<Speech> {
    let catalogue = ModelCatalogue::load(&settings.models)?;
    let options = WhisperOptions {
        allow_demo_model: settings.allow_demo_model,
        languages: settings.codes(),
        ..WhisperOptions::default()
    };
    let load = |name: &str, key: &'static str| -> anyhow::Result<WhisperEngine> {
        WhisperEngine::load(&catalogue.verify(name).context(key)?, &options).context(key)
    };
    let engine = load(&settings.model, "recognition.model")?;
    if !settings.lighter_model.is_empty() {
        config.lighter = Some(Arc::new(load(&settings.lighter_model, "recognition.lighter_model")?));
    }
    if settings.remote.overflow {
        let engine: Arc<dyn Engine> = Arc::new(service(settings)?);
        config.elsewhere = Some(Elsewhere { engine, requests: settings.remote.requests });
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.workers = if settings.workers == 0 { (cores / 2).max(1) } else { settings.workers };
    Ok(Speech::start(config, Some(Arc::new(engine)))?)
}

/// Its workers only wait for answers, so there are as many as requests may be under way.
fn elsewhere(settings: &Recognition, mut config: SpeechConfig) -> anyhow::Result<Speech> {
    config.workers = settings.remote.requests;
    Ok(Speech::start(config, Some(Arc::new(service(settings)?)))?)
}

/// The service that is asked per utterance.
fn service(settings: &Recognition) -> anyhow::Result<OpenAiEngine> {
    let remote = &settings.remote;
    Ok(OpenAiEngine::new(OpenAiOptions {
        address: remote.address.clone(),
        model: remote.model.clone(),
        key: Some(remote.key.clone()).filter(|key| !key.is_empty()),
        deadline: Duration::from_millis(remote.deadline_ms),
        vocabulary: String::new(),
        authorities: authorities(remote)?,
    }))
}

/// Neither workers nor utterances of ours: a thread and a connection for each voice.
fn streaming(settings: &Recognition, config: SpeechConfig) -> anyhow::Result<Speech> {
    let remote = &settings.remote;
    let engine = DeepgramEngine::new(DeepgramOptions {
        address: remote.address.clone(),
        model: remote.model.clone(),
        key: Some(remote.key.clone()).filter(|key| !key.is_empty()),
        deadline: Duration::from_millis(remote.deadline_ms),
        authorities: authorities(remote)?,
    })
    .context("recognition.remote")?;
    Ok(Speech::start_streaming(config, Arc::new(engine)))
}

/// What turns transcription on, if it is off.
pub(crate) fn turned_on_by(settings: &Recognition) -> Option<String> {
    let model = &settings.model;
    match settings.engine {
        RecognitionEngine::Whisper | RecognitionEngine::Openai | RecognitionEngine::Deepgram => None,
        RecognitionEngine::None => {
            Some(format!("set engine = \"auto\", run `segue models fetch {model}` and start segue again"))
        }
        RecognitionEngine::Auto => match ModelCatalogue::load(&settings.models) {
            Ok(catalogue) => catalogue
                .list()
                .into_iter()
                .any(|listed| {
                    listed.model.name == *model
                        && matches!(listed.presence, Presence::Missing | Presence::Partial { .. })
                })
                .then(|| format!("run `segue models fetch {model}` and start segue again")),
            Err(error) => Some(format!("{error}; recognition.models says where the models lie")),
        },
    }
}

/// The engine's word in the configuration; `none` if nothing is transcribed.
pub(crate) fn engine(settings: &Recognition) -> &'static str {
    match settings.engine {
        RecognitionEngine::Whisper => "whisper",
        RecognitionEngine::Openai => "openai",
        RecognitionEngine::Deepgram => "deepgram",
        RecognitionEngine::Auto if turned_on_by(settings).is_none() => "whisper",
        RecognitionEngine::None | RecognitionEngine::Auto => "none",
    }
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
    config.put_off_max = Duration::from_secs(settings.late_seconds_max);
    config
}
