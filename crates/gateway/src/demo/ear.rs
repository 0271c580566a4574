//! An ear of the demo: keeps what a party heard, tells when somebody finished speaking, and measures silence.

use std::{collections::VecDeque, io, path::Path, sync::Arc, time::Duration};

use segue_media::{TapFrame, TapPayload, level};
use tokio::sync::{mpsc, watch};

use crate::media::Listener;

/// Samples of one frame.
const FRAME: usize = 160;
/// The length of one frame.
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Sound louder than this is speech or music, in dBov.
const AUDIBLE: f32 = -55.0;
/// Speech is louder than this, in dBov.
const SPEECH: f32 = -38.0;
/// Frames of speech that make an utterance.
const SPEECH_FRAMES: usize = 8;
/// Frames without speech that end it: 600 ms.
const PAUSE_FRAMES: usize = 30;
/// Frames that may wait; at the limit they are lost from the recording.
const FRAMES_MAX: usize = 512;
/// What is kept at most: ten minutes.
const RECORDING_MAX: usize = 10 * 60 * 8_000;

/// What an ear heard so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording {
    /// When the first sample was heard, since the Unix epoch.
    pub(super) from: Option<Duration>,
    /// Mono, 8 kHz.
    pub(super) samples: Vec<i16>,
}

impl Recording {
    /// The part between two moments.
    pub(super) fn between(&self, from: Duration, to: Duration) -> &[i16] {
        let index = |at: Duration| {
            let since = at.saturating_sub(self.from.unwrap_or_default());
            ((since.as_millis() as usize) * 8).min(self.samples.len())
        };
        self.samples.get(index(from)..index(to)).unwrap_or_default()
    }

    /// The longest run of frames without audible sound.
    pub(super) fn silence_longest(samples: &[i16]) -> Duration {
        let mut longest = 0;
        let mut run = 0;
        for frame in samples.chunks_exact(FRAME) {
            run = if level::dbov(frame) < AUDIBLE { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        FRAME_TIME * longest
    }

    /// When audible sound is first heard at or after a moment.
    pub(super) fn sound_after(&self, from: Duration) -> Option<Duration> {
        let begin = self.from?;
        let skipped = (from.saturating_sub(begin).as_millis() / FRAME_TIME.as_millis()) as usize;
        let at =
            self.samples.chunks_exact(FRAME).skip(skipped).position(|frame| level::dbov(frame) >= SPEECH)?;
        Some(begin + FRAME_TIME * u32::try_from(skipped + at).unwrap_or(u32::MAX))
    }

    /// Writes a WAV file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, segue_media::wav::encode(&self.samples, 8_000))
    }
}

/// How loud a known sound is in a recording that begins with it, give or take `slack` samples: in dB against its
/// own level, at the place where it fits best.
///
/// Both are pre-emphasised first: without the loud low notes that all speech shares, strangers correlate less.
pub(super) fn trace_of(sound: &[i16], recording: &[i16], slack: usize) -> f32 {
    let (sound, recording) = (emphasised(sound), emphasised(recording));
    let energy: f64 = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let best = recording
        .windows(sound.len().max(1))
        .take(slack)
        .map(|window| window.iter().zip(&sound).map(|(a, b)| a * b).sum::<f32>())
        .fold(0.0_f32, |best, dot| best.max(dot.abs()));
    (20.0 * (f64::from(best) / energy.max(1.0)).max(1e-9).log10()) as f32
}

fn emphasised(samples: &[i16]) -> Vec<f32> {
    samples
        .windows(2)
        .filter_map(|pair| Some(f32::from(*pair.get(1)?) - 0.95 * f32::from(*pair.first()?)))
        .collect()
}

/// What a phone's script can wait for.
#[derive(Clone)]
pub(super) struct Ear {
    finished: watch::Receiver<u64>,
    recording: Arc<std::sync::Mutex<Recording>>,
}

impl Ear {
    /// The ear, what feeds it on the media thread, and the task that listens.
    pub(super) fn new() -> (Self, Listener, impl Future<Output = ()> + Send) {
        let (frames, inbox) = mpsc::channel(FRAMES_MAX);
        let (finished, seen) = watch::channel(0);
        let recording = Arc::new(std::sync::Mutex::new(Recording::default()));
        let ear = Self { finished: seen, recording: Arc::clone(&recording) };
        let listener = Box::new(move |frame: &TapFrame| {
            if frames.try_send(frame.clone()).is_err() {
                tracing::debug!("a demo recording lost a frame");
            }
        });
        (ear, listener, listen(inbox, recording, finished))
    }

    /// How many utterances have ended so far.
    pub(super) fn utterances(&self) -> u64 {
        *self.finished.borrow()
    }

    /// Waits until more utterances than these have ended.
    pub(super) async fn utterance_after(&mut self, seen: u64) {
        // The listening task outlives every script; when it ends there is nothing to wait for.
        drop(self.finished.wait_for(|ended| *ended > seen).await);
    }

    /// What was heard so far.
    pub(super) fn recording(&self) -> Recording {
        self.recording.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

async fn listen(
    mut inbox: mpsc::Receiver<TapFrame>,
    recording: Arc<std::sync::Mutex<Recording>>,
    finished: watch::Sender<u64>,
) {
    let mut recent = VecDeque::with_capacity(PAUSE_FRAMES);
    let mut speaking = false;
    while let Some(frame) = inbox.recv().await {
        let samples = frame.payload.as_ref().map_or([0; FRAME], TapPayload::narrow);
        {
            let mut recording = recording.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            recording.from.get_or_insert(frame.at);
            if recording.samples.len() < RECORDING_MAX {
                recording.samples.extend_from_slice(&samples);
            }
        }
        if recent.len() == PAUSE_FRAMES {
            recent.pop_front();
        }
        recent.push_back(level::dbov(&samples) >= SPEECH);
        let loud = recent.iter().filter(|loud| **loud).count();
        if loud >= SPEECH_FRAMES {
            speaking = true;
        } else if speaking && loud == 0 {
            speaking = false;
            finished.send_modify(|ended| *ended += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use segue_media::tone::sine;

    use super::*;

    #[test]
    fn the_longest_silence_is_found() {
        let mut samples = sine(400.0, -20.0, 8_000);
        samples.extend(vec![0; 4_000]);
        samples.extend(sine(400.0, -20.0, 800));
        assert_eq!(Recording::silence_longest(&samples), Duration::from_millis(500));
    }

    #[test]
    fn a_sound_is_found_where_it_is_and_not_where_it_is_not() {
        let sound = sine(440.0, -20.0, 8_000);
        let mut with = vec![0; 3_000];
        with.extend(&sound);
        with.extend(vec![0; 8_000]);
        assert!(trace_of(&sound, &with, 8_000) > -1.0);
        let without = sine(1_000.0, -20.0, 32_000);
        assert!(trace_of(&sound, &without, 8_000) < -40.0);
    }
}
