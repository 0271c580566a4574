//! Hold music, composed and rendered here: a sustained pad with plucked notes over it, so nobody's rights are
//! touched and nothing has to be fetched. The loop has no seam: every note rings on across its end.
//!
//! All partials lie within 200–3300 Hz, and no note is A4 or G♯4, so a receiver finds no DTMF, no CNG or
//! 2100 Hz answer tone and none of the usual dial, ringing or busy tones in it. Tests look for them all.

use std::{f32::consts::TAU, sync::Arc};

use crate::{
    command::Sound,
    g711::{FRAME, Frame},
    level,
    random::Random,
    session::Codec,
};

/// A loop of music, kept once for all who hear it, linear and encoded.
#[derive(Clone, Debug)]
pub struct Music {
    linear: Sound,
    pcmu: Arc<[u8]>,
    pcma: Arc<[u8]>,
}

impl Music {
    /// Renders the product's own music: 80 s, −28 dBov, the same on every machine of a kind.
    #[must_use]
    pub fn render() -> Self {
        let mut canvas = Canvas(vec![0.0; BARS.len() * BAR]);
        let mut random = Random::new(MELODY_SEED);
        for (number, bar) in BARS.iter().enumerate() {
            for &hertz in &bar.pad {
                canvas.pad(number * BAR, hertz);
            }
            canvas.melody(number, bar, &mut random);
        }
        let peak = canvas.0.iter().fold(1.0_f32, |peak, sample| peak.max(sample.abs()));
        let mut linear: Vec<i16> = canvas.0.iter().map(|sample| (sample / peak * 30_000.0) as i16).collect();
        level::normalise(&mut linear, level::MUSIC);
        Self::from_sound(linear.into())
    }

    /// Takes somebody's own music, 8 kHz mono, as it is. It is cut to whole frames of 20 ms; less than one
    /// frame becomes one frame of silence.
    #[must_use]
    pub fn from_sound(sound: Sound) -> Self {
        let whole = sound.len() / FRAME * FRAME;
        let linear: Sound = match sound.get(..whole) {
            Some(frames) if whole == sound.len() && whole > 0 => {
                debug_assert_eq!(frames.len(), whole);
                sound
            }
            Some(frames) if whole > 0 => frames.into(),
            Some(_) | None => [0; FRAME].into(),
        };
        let encoded = |codec: Codec| linear.iter().map(|&sample| codec.encode(sample)).collect();
        let (pcmu, pcma) = (encoded(Codec::Pcmu), encoded(Codec::Pcma));
        Self { linear, pcmu, pcma }
    }

    /// The loop as 16-bit samples.
    #[must_use]
    pub const fn sound(&self) -> &Sound {
        &self.linear
    }

    /// The encoded frame at a place in the loop, and the place after it.
    pub(crate) fn frame(&self, codec: Codec, place: usize) -> (Frame, usize) {
        let bytes = match codec {
            Codec::Pcmu => &self.pcmu,
            Codec::Pcma => &self.pcma,
        };
        let found = bytes.get(place..).and_then(|rest| rest.first_chunk());
        let (frame, place) = match found {
            Some(frame) => (frame, place),
            None => (bytes.first_chunk().unwrap_or(&[0; FRAME]), 0),
        };
        (*frame, (place + FRAME) % bytes.len().max(1))
    }
}

/// Four seconds, as samples.
const BAR: usize = 32_000;
const RATE: f32 = 8000.0;
const MELODY_SEED: u64 = 20;
const HIGHEST: f32 = 3200.0;

struct Bar {
    pad: [f32; 4],
    melody: [f32; 4],
}

// Equal temperament; octaves as in scientific pitch notation.
const B3: f32 = 246.94;
const C4: f32 = 261.63;
const D4: f32 = 293.66;
const E4: f32 = 329.63;
const FS4: f32 = 369.99;
const B4: f32 = 493.88;
const C5: f32 = 523.25;
const D5: f32 = 587.33;
const E5: f32 = 659.26;
const FS5: f32 = 739.99;
const G5: f32 = 783.99;
const B5: f32 = 987.77;
const D6: f32 = 1174.66;

const HOME: Bar = Bar { pad: [B3, D4, FS4, B4], melody: [D5, FS5, B5, E5] };
const LIFT: Bar = Bar { pad: [C4, E4, B4, D5], melody: [E5, G5, B5, D6] };
const WARM: Bar = Bar { pad: [B3, E4, B4, D5], melody: [E5, B5, G5, D5] };
const OPEN: Bar = Bar { pad: [D4, FS4, C5, E5], melody: [FS5, C5, D6, E5] };
const REST: Bar = Bar { pad: [D4, E4, B4, FS5], melody: [B5, FS5, E5, D6] };

const BARS: [Bar; 20] = [
    HOME, LIFT, WARM, OPEN, HOME, LIFT, OPEN, REST, WARM, LIFT, HOME, OPEN, WARM, REST, LIFT, OPEN, HOME,
    WARM, LIFT, REST,
];

/// The loop while it is painted; what runs over its end comes in again at its beginning.
struct Canvas(Vec<f32>);

impl Canvas {
    /// One note of the pad: it swells within a second, is held, and fades under the next bar.
    fn pad(&mut self, start: usize, hertz: f32) {
        let length = BAR + 12_000;
        let envelope = |n: usize| {
            let rise = (n as f32 / 8_000.0).min(1.0);
            let fall = ((length - n) as f32 / 12_000.0).min(1.0);
            (rise * fall).sqrt()
        };
        for (times, gain) in [(1.0, 0.5), (2.0, 0.22), (3.0, 0.12), (4.0, 0.07), (5.0, 0.04)] {
            // Two strings a little out of tune with each other: the sound lives without moving.
            for detune in [0.9985, 1.0015] {
                self.paint(start, Wave { hertz: hertz * times * detune, gain, length }, envelope);
            }
        }
    }

    /// Plucks on the beats and on some of the half beats between them.
    fn melody(&mut self, number: usize, bar: &Bar, random: &mut Random) {
        for step in 0..8 {
            let played = step % 2 == 0 || random.below(3) == 0;
            let note = bar.melody.get(random.below(4) as usize).copied().unwrap_or(D5);
            let accent = 0.5 + 0.1 * random.below(4) as f32;
            if played {
                self.pluck(number * BAR + step * BAR / 8, note, accent);
            }
        }
    }

    /// A plucked string: partials that die away, the high ones sooner.
    fn pluck(&mut self, start: usize, hertz: f32, accent: f32) {
        for (times, gain) in [(1.0, 0.8), (2.0, 0.35), (3.0, 0.2), (4.0, 0.1)] {
            let decay = 4_500.0 / times;
            let envelope = |n: usize| {
                let attack = (n as f32 / 40.0).min(1.0);
                attack * (-(n as f32) / decay).exp()
            };
            self.paint(start, Wave { hertz: hertz * times, gain: gain * accent, length: 24_000 }, envelope);
        }
    }

    fn paint(&mut self, start: usize, wave: Wave, envelope: impl Fn(usize) -> f32) {
        if wave.hertz > HIGHEST {
            return;
        }
        let size = self.0.len();
        // A turning pointer instead of a sine a sample.
        let (sin, cos) = (TAU * wave.hertz / RATE).sin_cos();
        let (mut x, mut y) = (wave.gain, 0.0_f32);
        for n in 0..wave.length {
            if let Some(sample) = self.0.get_mut((start + n) % size) {
                *sample += y * envelope(n);
            }
            (x, y) = (x * cos - y * sin, x * sin + y * cos);
        }
    }
}

struct Wave {
    hertz: f32,
    gain: f32,
    length: usize,
}
