//! One growing file: a mono WAV of 16-bit PCM, 8 kHz, that can be read at any moment, and a sidecar in JSON.
//!
//! While it grows it is called `….part`. The header is written anew with every second of sound, so what a crash leaves
//! is sound up to there. At its end it gets its name in one step.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Bytes of the header before the first sample.
const HEADER: u64 = 44;
/// Samples a second.
pub(super) const RATE: u32 = 8_000;
/// Sound that is held back before it is written: a second.
const HELD_MAX: usize = RATE as usize * 2;
/// A jump forward longer than this is not believed: the frame goes to the end instead.
const GAP_MAX: u64 = RATE as u64 * 600;
/// Sound so far from its time begins a new place on the timeline: a stream that began anew.
const ASTRAY: u64 = RATE as u64 / 2;
/// The format holds 4 GiB; 74 hours are enough for any call.
const SAMPLES_MAX: u64 = 0x7FFF_0000;

/// What a file is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The call's id.
    pub(crate) call: String,
    /// The leg's number in the call.
    pub(crate) leg: u32,
    /// Whose: `caller`, `bot` or `agent`.
    pub(crate) party: String,
    /// `heard`: what its ear was sent; `said`: what came from it.
    pub(crate) side: String,
    /// Which recording of the call: each that is begun has the next number, from 1.
    pub(crate) take: u32,
}

/// The sidecar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    /// What the file is of.
    #[serde(flatten)]
    pub(crate) about: About,
    /// How it is encoded.
    pub(crate) codec: String,
    /// Samples a second.
    pub(crate) rate: u32,
    /// When the first sample was, in milliseconds since the Unix epoch.
    pub(crate) started_ms: u64,
    /// When it ended; absent while it grows.
    pub(crate) ended_ms: Option<u64>,
    /// When it was paused, from and to, in milliseconds since the Unix epoch; the sound is silent there.
    pub(crate) pauses_ms: Vec<(u64, Option<u64>)>,
    /// Why it ended before the recording did.
    pub(crate) failed: Option<String>,
    /// It was cut off by the end of the program, and found again at its next start.
    pub(crate) recovered: bool,
}

/// A file that grows.
#[derive(Debug)]
pub(super) struct Track {
    file: File,
    path: PathBuf,
    started: Duration,
    sidecar: Sidecar,
    /// Samples that are in the file.
    written: u64,
    /// Sound after those.
    held: Vec<u8>,
    /// Where a stream's timestamp stands on the timeline.
    anchor: Option<(u32, u64)>,
}

impl Track {
    /// Makes the file and its sidecar, readable by the owner alone.
    pub(super) fn create(folder: &Path, about: About, at: Duration) -> io::Result<Self> {
        let About { call, leg, party, side, take } = &about;
        let name = format!("{call}-{leg}-{party}-{side}-{take}");
        let path = folder.join(name).with_extension("wav.part");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let sidecar = Sidecar {
            about,
            codec: "pcm_s16le".to_owned(),
            rate: RATE,
            started_ms: milliseconds(at),
            ended_ms: None,
            pauses_ms: Vec::new(),
            failed: None,
            recovered: false,
        };
        let track = Self { file, path, started: at, sidecar, written: 0, held: Vec::new(), anchor: None };
        track.file.write_all_at(&header(0), 0)?;
        write_sidecar(&track.path, &track.sidecar)?;
        Ok(track)
    }

    /// Puts a frame where its time is. `timestamp` is the stream's own clock, if the frame comes with one: packets
    /// come unevenly, and their timestamps do not.
    pub(super) fn frame(&mut self, at: Duration, timestamp: Option<u32>, samples: &[i16]) -> io::Result<()> {
        let by_clock = (at.saturating_sub(self.started).as_micros() * u128::from(RATE) / 1_000_000) as u64;
        let place = match timestamp {
            None => by_clock,
            Some(timestamp) => self.place(timestamp, by_clock),
        };
        let end = self.end();
        if self.is_paused() || place + (samples.len() as u64) <= end {
            return Ok(());
        }
        let gap = place.saturating_sub(end);
        let silence = if gap > GAP_MAX { 0 } else { gap };
        if end + silence + samples.len() as u64 > SAMPLES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the file is as long as the format allows",
            ));
        }
        for _ in 0..silence {
            self.held.extend_from_slice(&[0, 0]);
            if self.held.len() >= HELD_MAX {
                self.flush()?;
            }
        }
        let overlap = end.saturating_sub(place) as usize;
        for sample in samples.iter().skip(overlap) {
            self.held.extend_from_slice(&sample.to_le_bytes());
        }
        if self.held.len() >= HELD_MAX { self.flush() } else { Ok(()) }
    }

    /// From here on nothing is kept, until `resume`.
    pub(super) fn pause(&mut self, at: Duration) -> io::Result<()> {
        if !self.is_paused() {
            self.sidecar.pauses_ms.push((milliseconds(at), None));
            write_sidecar(&self.path, &self.sidecar)?;
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, at: Duration) -> io::Result<()> {
        if let Some((_, end @ None)) = self.sidecar.pauses_ms.last_mut() {
            *end = Some(milliseconds(at));
            self.anchor = None;
            write_sidecar(&self.path, &self.sidecar)?;
        }
        Ok(())
    }

    /// Writes what is held and gives the file its name.
    pub(super) fn finish(mut self, at: Duration, failed: Option<String>) -> io::Result<PathBuf> {
        let flushed = self.flush();
        self.sidecar.ended_ms = Some(milliseconds(at));
        self.sidecar.failed = failed.or_else(|| flushed.as_ref().err().map(ToString::to_string));
        self.file.sync_data()?;
        publish(&self.path, &self.sidecar)
    }

    fn is_paused(&self) -> bool {
        matches!(self.sidecar.pauses_ms.last(), Some((_, None)))
    }

    fn end(&self) -> u64 {
        self.written + self.held.len() as u64 / 2
    }

    fn place(&mut self, timestamp: u32, by_clock: u64) -> u64 {
        if let Some((from, place)) = self.anchor {
            let place = place.saturating_add_signed(i64::from(timestamp.wrapping_sub(from).cast_signed()));
            if place.abs_diff(by_clock) <= ASTRAY {
                self.anchor = Some((timestamp, place));
                return place;
            }
        }
        let place = by_clock.max(self.end());
        self.anchor = Some((timestamp, place));
        place
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.held, HEADER + self.written * 2)?;
        self.written += self.held.len() as u64 / 2;
        self.held.clear();
        self.file.write_all_at(&header(self.written), 0)
    }
}

/// Gives every file that a crash left behind its header, its name and an end. Gives how many there were.
pub(super) fn recover(folder: &Path) -> io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.to_string_lossy().ends_with(".wav.part") {
            continue;
        }
        let file = OpenOptions::new().write(true).open(&path)?;
        let samples = file.metadata()?.len().saturating_sub(HEADER) / 2;
        file.set_len(HEADER + samples * 2)?;
        file.write_all_at(&header(samples), 0)?;
        let sidecar = fs::read(sidecar_path(&path)).ok();
        match sidecar.and_then(|bytes| serde_json::from_slice::<Sidecar>(&bytes).ok()) {
            Some(mut sidecar) => {
                sidecar.recovered = true;
                sidecar.ended_ms = Some(sidecar.started_ms + samples * 1000 / u64::from(RATE));
                publish(&path, &sidecar)?;
            }
            None => fs::rename(&path, named(&path))?,
        }
        found += 1;
    }
    Ok(found)
}

/// The sidecar first: a file that has its name has a sidecar that is whole.
fn publish(part: &Path, sidecar: &Sidecar) -> io::Result<PathBuf> {
    write_sidecar(part, sidecar)?;
    let named = named(part);
    fs::rename(part, &named)?;
    Ok(named)
}

fn named(part: &Path) -> PathBuf {
    part.with_extension("")
}

fn sidecar_path(part: &Path) -> PathBuf {
    named(part).with_extension("json")
}

/// Writes the sidecar in one step: whoever reads it finds the old or the new one.
fn write_sidecar(part: &Path, sidecar: &Sidecar) -> io::Result<()> {
    let path = sidecar_path(part);
    let new = path.with_extension("json.new");
    let text = serde_json::to_vec_pretty(sidecar)?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all_at(&text, 0)?;
    fs::rename(new, path)
}

/// A header that says how many samples follow.
fn header(samples: u64) -> Vec<u8> {
    let mut header = segue_media::wav::encode(&[], RATE);
    let bytes = (samples * 2) as u32;
    for (place, length) in [(4, bytes + 36), (40, bytes)] {
        if let Some(field) = header.get_mut(place..place + 4) {
            field.copy_from_slice(&length.to_le_bytes());
        }
    }
    header
}

fn milliseconds(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const START: Duration = Duration::from_secs(1_795_180_000);
    const FRAME: Duration = Duration::from_millis(20);

    fn about() -> About {
        About { call: "c1".into(), leg: 0, party: "caller".into(), side: "heard".into(), take: 1 }
    }

    fn track(folder: &Path) -> Track {
        Track::create(folder, about(), START).unwrap()
    }

    fn read(path: &Path) -> Vec<i16> {
        segue_media::wav::decode(&fs::read(path).unwrap()).unwrap().1
    }

    fn sidecar(path: &Path) -> Sidecar {
        serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap()
    }

    #[test]
    fn frames_stand_where_their_time_is_and_gaps_are_silent() {
        let folder = tempfile::tempdir().unwrap();
        let mut track = track(folder.path());
        track.frame(START, None, &[1; 160]).unwrap();
        track.frame(START + FRAME * 3, None, &[4; 160]).unwrap();
        let path = track.finish(START + FRAME * 4, None).unwrap();
        let sound = read(&path);
        assert_eq!(sound.len(), 640);
        assert_eq!((sound[0], sound[160], sound[479], sound[480]), (1, 0, 0, 4));
        assert_eq!(sidecar(&path).ended_ms, Some(milliseconds(START + FRAME * 4)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn packets_that_come_unevenly_stand_evenly_by_their_timestamps() {
        let folder = tempfile::tempdir().unwrap();
        let mut track = track(folder.path());
        for (number, late) in [(0, 0), (1, 15), (2, 1), (3, 19), (4, 0)] {
            let at = START + FRAME * number + Duration::from_millis(late);
            let timestamp = (u32::MAX - 200).wrapping_add(number * 160);
            track.frame(at, Some(timestamp), &[number as i16 + 1; 160]).unwrap();
        }
        let sound = read(&track.finish(START + FRAME * 5, None).unwrap());
        assert_eq!(sound.len(), 800);
        let whole = sound.chunks(160).all(|frame| frame.iter().all(|sample| *sample == frame[0]));
        assert!(whole && sound.chunks(160).map(|frame| frame[0]).eq(1..=5));
    }

    #[test]
    fn a_pause_is_silent_and_told_in_the_sidecar() {
        let folder = tempfile::tempdir().unwrap();
        let mut track = track(folder.path());
        for frame in 0..6_u32 {
            let at = START + FRAME * frame;
            match frame {
                2 => track.pause(at).unwrap(),
                4 => track.resume(at).unwrap(),
                _ => {}
            }
            track.frame(at, None, &[9; 160]).unwrap();
        }
        let path = track.finish(START + FRAME * 6, None).unwrap();
        let loud: Vec<bool> = read(&path).chunks(160).map(|frame| frame[0] == 9).collect();
        assert_eq!(loud, [true, true, false, false, true, true]);
        let start = milliseconds(START);
        assert_eq!(sidecar(&path).pauses_ms, [(start + 40, Some(start + 80))]);
    }

    #[test]
    fn what_a_crash_leaves_is_sound_up_to_its_last_second_and_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut track = track(folder.path());
        for frame in 0..120_u32 {
            track.frame(START + FRAME * frame, None, &[7; 160]).unwrap();
        }
        let part = track.path.clone();
        // A process that is killed closes nothing and renames nothing.
        std::mem::forget(track);
        assert_eq!(read(&part).len(), 16_000, "it can be read while it grows");
        assert_eq!(recover(folder.path()).unwrap(), 1);
        let path = folder.path().join("c1-0-caller-heard-1.wav");
        assert_eq!(read(&path).len(), 16_000);
        let sidecar = sidecar(&path);
        assert!(sidecar.recovered && sidecar.ended_ms == Some(milliseconds(START) + 2_000));
        assert_eq!(recover(folder.path()).unwrap(), 0);
    }

    #[test]
    fn a_recording_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let first = track(folder.path());
        assert!(Track::create(folder.path(), about(), START).is_err());
        drop(first);
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let mut track = track(folder.path());
        track.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let failed = (0..60_u32).find_map(|n| track.frame(START + FRAME * n, None, &[1; 160]).err());
        assert_eq!(failed.unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
