//! Recording: what each ear was sent and what each leg said, as files of their own, off unless configured.
//!
//! The media thread hands each frame to a bounded queue and goes on; one thread of its own decodes and writes. What
//! finds the queue full is dropped and counted. A disk that is full ends the recording, and the call goes on.

mod track;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use segue_media::{EarFrame, TapFrame, TapPayload};

pub(crate) use self::track::About;
use self::track::Track;
use crate::metrics;

/// Orders that may wait: ten calls' frames of three seconds, about 5 MB at most.
const QUEUE_MAX: usize = 8_192;

/// Names a file while it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TrackId(u64);

/// Told when a file cannot be written any more: why.
pub(crate) type Failed = Box<dyn FnOnce(String) + Send>;

#[expect(
    clippy::large_enum_variant,
    reason = "nothing is allocated per frame; a copy of 640 bytes costs less"
)]
enum Order {
    Open { track: TrackId, about: About, at: Duration, failed: Failed },
    Frame { track: TrackId, at: Duration, timestamp: Option<u32>, payload: TapPayload },
    Pause { track: TrackId, at: Duration },
    Resume { track: TrackId, at: Duration },
    Close { track: TrackId, at: Duration },
    Finish,
}

/// Where recordings go. Cheap to clone; the thread ends by `finish` or with the last of them, after what waits is
/// written.
#[derive(Clone)]
pub(crate) struct Recorder {
    orders: SyncSender<Order>,
    next: Arc<AtomicU64>,
}

/// One growing file, as a call holds it. Dropped, it ends.
pub(crate) struct Recording {
    recorder: Recorder,
    track: TrackId,
    clock: crate::clock::Clock,
}

impl Recorder {
    /// Makes the folder, finds what a crash left there, forgets what is too old, and starts the thread.
    ///
    /// # Errors
    /// The folder cannot be made or read, or the system gives no thread.
    pub(crate) fn start(folder: &Path, keep: Duration) -> io::Result<(Self, JoinHandle<()>)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let found = track::recover(folder)?;
        let forgotten = forget(folder, keep)?;
        if found + forgotten > 0 {
            tracing::info!(found, forgotten, "recordings of earlier runs");
        }
        let (orders, inbox) = sync_channel(QUEUE_MAX);
        let folder = folder.to_owned();
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || Desk { folder, tracks: BTreeMap::new() }.run(&inbox))?;
        Ok((Self { orders, next: Arc::new(AtomicU64::new(1)) }, thread))
    }

    /// Begins a file. `failed` is called at most once, on the recorder's thread.
    pub(crate) fn open(&self, about: About, clock: crate::clock::Clock, failed: Failed) -> Recording {
        let track = TrackId(self.next.fetch_add(1, Ordering::Relaxed));
        self.order(Order::Open { track, about, at: clock.now(), failed });
        Recording { recorder: self.clone(), track, clock }
    }

    /// Ends the thread, after what was given to it before.
    pub(crate) fn finish(&self) {
        if self.orders.send(Order::Finish).is_err() {
            tracing::error!("the recorder was gone before it was told to end");
        }
    }

    fn order(&self, order: Order) {
        match self.orders.try_send(order) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => metrics::recording_dropped(),
        }
    }
}

impl Recording {
    /// Takes what was sent to an ear. For the media thread: never waits.
    pub(crate) fn of_ear(&self) -> impl FnMut(&EarFrame) + Send + use<> {
        let (recorder, track) = (self.recorder.clone(), self.track);
        move |frame| {
            recorder.order(Order::Frame {
                track,
                at: frame.at,
                timestamp: Some(frame.timestamp),
                payload: frame.payload.clone(),
            });
        }
    }

    /// Takes what came from a leg. For the media thread: never waits.
    pub(crate) fn of_voice(&self) -> impl FnMut(&TapFrame) + Send + use<> {
        let (recorder, track) = (self.recorder.clone(), self.track);
        move |frame| {
            if let Some(payload) = frame.payload.clone() {
                recorder.order(Order::Frame { track, at: frame.at, timestamp: None, payload });
            }
        }
    }

    /// Keeps nothing from here on.
    pub(crate) fn pause(&self) {
        self.recorder.order(Order::Pause { track: self.track, at: self.clock.now() });
    }

    /// Keeps what comes from here on.
    pub(crate) fn resume(&self) {
        self.recorder.order(Order::Resume { track: self.track, at: self.clock.now() });
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.recorder.order(Order::Close { track: self.track, at: self.clock.now() });
    }
}

/// The recorder's thread.
struct Desk {
    folder: PathBuf,
    tracks: BTreeMap<TrackId, (Track, Failed)>,
}

impl Desk {
    fn run(mut self, inbox: &Receiver<Order>) {
        let mut last = Duration::ZERO;
        while let Ok(order) = inbox.recv() {
            match self.take(order) {
                Some(at) => last = last.max(at),
                None => break,
            }
        }
        for track in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.close(track, last);
        }
    }

    /// Carries an order out; gives its time, or none if it was the last.
    fn take(&mut self, order: Order) -> Option<Duration> {
        let at = match order {
            Order::Finish => return None,
            Order::Open { track, about, at, failed } => {
                match Track::create(&self.folder, about, at) {
                    Ok(made) => {
                        self.tracks.insert(track, (made, failed));
                    }
                    Err(error) => told(failed, &error),
                }
                at
            }
            Order::Frame { track, at, timestamp, payload } => {
                self.on_track(track, at, |track| track.frame(at, timestamp, &payload.narrow()));
                at
            }
            Order::Pause { track, at } => {
                self.on_track(track, at, |track| track.pause(at));
                at
            }
            Order::Resume { track, at } => {
                self.on_track(track, at, |track| track.resume(at));
                at
            }
            Order::Close { track, at } => {
                self.close(track, at);
                at
            }
        };
        Some(at)
    }

    /// Does something to a file; one that fails is ended with what it has.
    fn on_track(&mut self, track: TrackId, at: Duration, act: impl FnOnce(&mut Track) -> io::Result<()>) {
        let Some((open, _)) = self.tracks.get_mut(&track) else { return };
        let Err(error) = act(open) else { return };
        let Some((open, failed)) = self.tracks.remove(&track) else { return };
        if let Err(second) = open.finish(at, Some(error.to_string())) {
            tracing::debug!(%second, "a recording that failed has no end");
        }
        told(failed, &error);
    }

    fn close(&mut self, track: TrackId, at: Duration) {
        let Some((open, failed)) = self.tracks.remove(&track) else { return };
        if let Err(error) = open.finish(at, None) {
            told(failed, &error);
        }
    }
}

fn told(failed: Failed, error: &io::Error) {
    tracing::warn!(%error, "a recording ends before its call: make room on the disk, or move recording.folder");
    metrics::recording_failed();
    failed(error.to_string());
}

/// Removes files that were last written longer ago than `keep`; zero keeps all. Gives how many there were.
fn forget(folder: &Path, keep: Duration) -> io::Result<usize> {
    if keep.is_zero() {
        return Ok(0);
    }
    let mut forgotten = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let ours = entry.path().extension().is_some_and(|end| end == "wav" || end == "json");
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if ours && age > keep {
            fs::remove_file(entry.path())?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use segue_media::{LegId, g711::Law};

    use super::*;
    use crate::clock::Clock;

    fn about(side: &str) -> About {
        About { call: "c".into(), leg: 1, party: "agent".into(), side: side.into(), take: 1 }
    }

    fn said(at: Duration, byte: u8) -> TapFrame {
        TapFrame { leg: LegId(1), at, payload: Some(TapPayload::G711(Law::Pcmu, [byte; 160])) }
    }

    #[test]
    fn what_a_leg_says_is_in_its_file_when_the_recording_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, thread) = Recorder::start(folder.path(), Duration::ZERO).unwrap();
        let clock = Clock::start();
        let recording = recorder.open(about("said"), clock, Box::new(|_| ()));
        let mut sink = recording.of_voice();
        let start = clock.now();
        for frame in 0..50 {
            sink(&said(start + Duration::from_millis(20 * frame), 0x10));
        }
        drop((recording, sink, recorder));
        thread.join().unwrap();
        let path = folder.path().join("c-1-agent-said-1.wav");
        let (_, sound) = segue_media::wav::decode(&fs::read(path).unwrap()).unwrap();
        let loud = sound.iter().filter(|sample| **sample == Law::Pcmu.decode(0x10)).count();
        assert_eq!(loud, 50 * 160);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_told_once_and_frames_for_it_go_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, thread) = Recorder::start(folder.path(), Duration::ZERO).unwrap();
        let (tell, told) = channel();
        let clock = Clock::start();
        let first = recorder.open(about("said"), clock, Box::new(|_| ()));
        let second = recorder.open(about("said"), clock, Box::new(move |why| tell.send(why).unwrap()));
        second.of_voice()(&said(clock.now(), 1));
        assert!(told.recv().unwrap().contains("exists"));
        drop((first, second, recorder));
        thread.join().unwrap();
        assert!(told.recv().is_err());
    }

    #[test]
    fn what_is_too_old_is_forgotten_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.wav", "a.json", "notes.txt"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(forget(folder.path(), Duration::ZERO).unwrap(), 0);
        assert_eq!(forget(folder.path(), Duration::from_nanos(1)).unwrap(), 2);
        assert!(folder.path().join("notes.txt").exists());
    }
}
