//! The gateway's own voice: renders prompts on a thread of its own and keeps what it rendered.
//!
//! What must be said without delay is rendered at start; the rest is rendered when the call prepares it, and
//! at the latest when it is played. Nobody waits here: who asks is called back.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use segue_call::{Prompt, Style};
use segue_media::Sound;
use segue_speech::{SynthesisError, Synthesizer, VoiceStyle, normalise};
use thiserror::Error;

/// Prompts that may wait to be rendered. One takes about a hundredth of its own length.
const JOBS_MAX: usize = 1_024;

/// Who is called when a prompt is there, or cannot be had.
pub(crate) type Rendered = Box<dyn FnOnce(Result<Sound, VoiceError>) + Send>;

/// Why a prompt cannot be spoken.
#[derive(Debug, Error)]
pub(crate) enum VoiceError {
    /// The synthesiser refused.
    #[error("a prompt cannot be rendered: {0}")]
    Synthesis(#[from] SynthesisError),
    /// Too many prompts wait.
    #[error("the synthesiser is {JOBS_MAX} prompts behind")]
    Behind,
}

enum Job {
    Render { prompt: Prompt, done: Option<Rendered> },
    Finish,
}

/// Rendered prompts, the oldest given up first.
struct Cache {
    sounds: BTreeMap<Prompt, (u64, Sound)>,
    turn: u64,
    sounds_max: usize,
}

/// The voice. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Voice {
    jobs: SyncSender<Job>,
    cache: Arc<Mutex<Cache>>,
}

impl Voice {
    /// Starts the thread that renders.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        synthesizer: Arc<dyn Synthesizer>,
        settings: &crate::config::Synthesis,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, inbox) = sync_channel(JOBS_MAX);
        let cache = Cache { sounds: BTreeMap::new(), turn: 0, sounds_max: settings.cache_max.max(1) };
        let voice = Self { jobs, cache: Arc::new(Mutex::new(cache)) };
        let cache = Arc::clone(&voice.cache);
        let join = std::thread::Builder::new()
            .name("voice".to_owned())
            .spawn(move || render_all(&inbox, synthesizer.as_ref(), &cache))?;
        Ok((voice, join))
    }

    /// Has a prompt rendered and calls back, at once if it is there already.
    pub(crate) fn say(&self, prompt: Prompt, done: Rendered) {
        if let Some(sound) = self.cached(&prompt) {
            done(Ok(sound));
            return;
        }
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
            self.jobs.try_send(Job::Render { prompt, done: Some(done) })
            && let Job::Render { done: Some(done), .. } = job
        {
            done(Err(VoiceError::Behind));
        }
    }

    /// Has a prompt rendered before it is needed.
    pub(crate) fn prepare(&self, prompt: Prompt) {
        if self.cached(&prompt).is_none() && self.jobs.try_send(Job::Render { prompt, done: None }).is_err() {
            tracing::debug!("a prompt is not prepared: the synthesiser is behind");
        }
    }

    /// Ends the thread after what was asked of it before.
    pub(crate) fn finish(&self) {
        if self.jobs.send(Job::Finish).is_err() {
            tracing::debug!("the voice had ended before");
        }
    }

    /// The sound of a prompt that was rendered.
    pub(crate) fn cached(&self, prompt: &Prompt) -> Option<Sound> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.turn += 1;
        let turn = cache.turn;
        cache.sounds.get_mut(prompt).map(|(used, sound)| {
            *used = turn;
            Arc::clone(sound)
        })
    }
}

fn render_all(inbox: &Receiver<Job>, synthesizer: &dyn Synthesizer, cache: &Mutex<Cache>) {
    while let Ok(Job::Render { prompt, done }) = inbox.recv() {
        let known = cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sounds
            .get(&prompt)
            .map(|(_, sound)| Arc::clone(sound));
        let sound = match known {
            Some(sound) => Ok(sound),
            None => {
                let style = match prompt.style {
                    Style::Announcement => VoiceStyle::PROMPT,
                    Style::Whisper => VoiceStyle::WHISPER,
                };
                synthesizer.speak(&normalise(&prompt.text), style).map(Sound::from)
            }
        };
        if let Ok(sound) = &sound {
            cache.lock().unwrap_or_else(PoisonError::into_inner).keep(prompt, Arc::clone(sound));
        }
        match (sound, done) {
            (sound, Some(done)) => done(sound.map_err(VoiceError::from)),
            (Err(error), None) => tracing::warn!(%error, "a prepared prompt cannot be rendered"),
            (Ok(_), None) => {}
        }
    }
}

impl Cache {
    fn keep(&mut self, prompt: Prompt, sound: Sound) {
        self.turn += 1;
        self.sounds.insert(prompt, (self.turn, sound));
        if self.sounds.len() > self.sounds_max
            && let Some(oldest) =
                self.sounds.iter().min_by_key(|(_, (used, _))| *used).map(|(prompt, _)| prompt.clone())
        {
            self.sounds.remove(&oldest);
        }
    }
}
