//! `segue serve`: the gateway as a service.
//!
//! The API runs on a thread and runtime of its own: a busy page never delays a call.

use std::{path::PathBuf, pin::pin, process::ExitCode, sync::Arc, thread::JoinHandle};

use anyhow::Context;
use segue_api::{ApiConfig, ApiKey, Scope, Transcription};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    call::Parts,
    check,
    cli::ConfigArgs,
    clock::Clock,
    config::{self, Api},
    desk::{API_ENDING, GatewayDesk},
    gateway::{Gateway, Knock},
    metrics, recognition, signalling, telemetry,
};

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// Something cannot be opened; the text says what to do.
pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config, &std::env::vars().collect()) {
        Ok(config) => config,
        Err(problems) => {
            check::report(&problems);
            return Ok(ExitCode::FAILURE);
        }
    };
    telemetry::start(&config.settings.log.filter, config.settings.log.json)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let recorder = metrics::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("calls").build()?;
    runtime.block_on(async {
        let api_settings = config.settings.api.clone();
        let waiting_max =
            config.people.queues.iter().map(|queue| (queue.id.clone(), queue.size_limit)).collect();
        let gateway = Gateway::start(config, Clock::start()).await?;
        let desk = GatewayDesk {
            parts: gateway.parts(),
            calls: gateway.calls(),
            draining: gateway.draining(),
            metrics: recorder.clone(),
            waiting_max,
        };
        let api_end = CancellationToken::new();
        let api = start_api(&api_settings, desk, api_end.clone())?;
        let mut signals = JoinSet::new();
        signals.spawn(pass_on(SignalKind::terminate(), gateway.door(), || Knock::Drain)?);
        signals.spawn(pass_on(SignalKind::interrupt(), gateway.door(), || Knock::Stop)?);
        signals.spawn(reload(gateway.parts(), args.config.clone())?);
        signals.spawn(metrics::tend(recorder));
        tracing::info!(sip = ?gateway.parts().sip.addresses(), api = %api_settings.bind, "ready for calls");
        let outcome = gateway.run().await;
        drop(signals);
        api_end.cancel();
        if api.join().is_err() {
            tracing::error!("the API thread panicked");
        }
        outcome.map(|()| ExitCode::SUCCESS)
    })
}

/// Knocks whenever the signal comes.
fn pass_on(
    kind: SignalKind,
    door: mpsc::Sender<Knock>,
    knock: fn() -> Knock,
) -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut signals = signal(kind).context("signals cannot be heard")?;
    Ok(async move {
        while signals.recv().await.is_some() {
            if door.send(knock()).await.is_err() {
                return;
            }
        }
    })
}

/// Reads the certificates again at every SIGHUP.
fn reload(parts: Arc<Parts>, file: PathBuf) -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut signals = signal(SignalKind::hangup()).context("signals cannot be heard")?;
    Ok(async move {
        while signals.recv().await.is_some() {
            signalling::reload_certificates(&parts.sip, &file).await;
        }
    })
}

/// Binds the API's address here, so that a mistake is told at start, and serves on a thread of its own.
pub(crate) fn start_api(
    settings: &Api,
    desk: GatewayDesk,
    end: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let mut keys = Vec::with_capacity(settings.keys.len());
    for key in &settings.keys {
        let scope = if key.write { Scope::Write } else { Scope::Read };
        keys.push(ApiKey::new(&key.name, &key.sha256, scope)?);
    }
    segue_api::bind_allowed(settings.bind, &keys)?;
    let listener =
        std::net::TcpListener::bind(settings.bind).with_context(|| format!("api.bind {}", settings.bind))?;
    listener.set_nonblocking(true)?;
    let hearing = &desk.parts.settings.recognition;
    let transcription = Transcription {
        engine: recognition::engine(hearing).to_owned(),
        turn_on: recognition::turned_on_by(hearing),
    };
    let config =
        ApiConfig { keys, sockets_max: settings.subscribers_max, transcription, ..ApiConfig::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "the API cannot listen"),
            };
            let mut served =
                pin!(segue_api::serve(listener, Arc::new(desk), config, end.clone().cancelled_owned()));
            tokio::select! {
                () = &mut served => {}
                () = end.cancelled() => {
                    if tokio::time::timeout(API_ENDING, served).await.is_err() {
                        tracing::warn!("API clients were cut off");
                    }
                }
            }
        });
    })?;
    Ok(thread)
}
