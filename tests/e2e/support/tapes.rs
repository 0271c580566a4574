//! The gateway's own recordings, read back: how loud a tone is in each second, how long it was silent.

use std::{fs, path::Path, time::Duration};

use segue_media::tone::goertzel;
use serde_json::Value;
use tempfile::TempDir;

use super::listening::silence_longest;

/// A folder that a gateway records into.
pub(crate) struct Tapes(TempDir);

/// One file of it.
pub(crate) struct Tape {
    pub(crate) samples: Vec<i16>,
    pub(crate) sidecar: Value,
}

impl Tapes {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A call's file by leg, party and side, such as `0-caller-heard`; its first take.
    pub(crate) fn read(&self, call: &str, which: &str) -> Tape {
        let path = self.0.path().join(format!("{call}-{which}-1.wav"));
        let (rate, samples) = segue_media::wav::decode(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(rate, 8_000);
        let sidecar = fs::read(path.with_extension("json")).unwrap();
        Tape { samples, sidecar: serde_json::from_slice(&sidecar).unwrap() }
    }

    /// How many files have not been given their end.
    pub(crate) fn unfinished(&self) -> usize {
        let names = fs::read_dir(self.0.path()).unwrap().flatten();
        names.filter(|entry| entry.path().to_string_lossy().ends_with(".part")).count()
    }
}

impl Tape {
    /// In how many whole seconds a tone is as loud as it was sent.
    pub(crate) fn seconds_of(&self, hertz: f64, level: f32) -> usize {
        let seconds = self.samples.chunks_exact(8_000);
        seconds.filter(|second| (goertzel(second, hertz) - level).abs() < 3.0).count()
    }

    /// The level of a tone in the half second in which it is loudest.
    pub(crate) fn loudest(&self, hertz: f64) -> f32 {
        let levels = self.samples.chunks_exact(4_000).map(|half| goertzel(half, hertz));
        levels.max_by(f32::total_cmp).unwrap_or(f32::NEG_INFINITY)
    }

    pub(crate) fn silence_longest(&self) -> Duration {
        silence_longest(&self.samples)
    }
}
