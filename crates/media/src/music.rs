//! Hold music, composed and rendered here: a sustained pad with plucked notes over it, so nobody's rights are
//! touched and nothing has to be fetched. The loop has no seam: every note rings on across its end.
//!
//! All partials lie within 200–3300 Hz, and no note is A4 or G♯4, so a receiver finds no DTMF, no CNG or
//! 2100 Hz answer tone and none of the usual dial, ringing or busy tones in it. Tests look for them all.

use std::{collections::BTreeMap, f32::consts::TAU, sync::Arc};

use crate::{
    command::Sound,
    g711::{FRAME, Frame, Law},
    level,
    random::Random,
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
        let mut strings = Strings::default();
        let mut random = Random::new(MELODY_SEED);
        for (number, bar) in BARS.iter().enumerate() {
            for &hertz in &bar.pad {
                canvas.paint(number * BAR, strings.pad(hertz), 1.0);
            }
            canvas.melody(number, bar, (&mut strings, &mut random));
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
            Some(frames) if whole > 0 => frames.into(),
            Some(_) | None => [0; FRAME].into(),
        };
        let encoded = |codec: Law| linear.iter().map(|&sample| codec.encode(sample)).collect();
        let (pcmu, pcma) = (encoded(Law::Pcmu), encoded(Law::Pcma));
        Self { linear, pcmu, pcma }
    }

    /// The loop as 16-bit samples.
    #[must_use]
    pub const fn sound(&self) -> &Sound {
        &self.linear
    }

    /// The encoded frame at a place in the loop, and the place after it.
    pub(crate) fn frame(&self, codec: Law, place: usize) -> (Frame, usize) {
        let bytes = match codec {
            Law::Pcmu => &self.pcmu,
            Law::Pcma => &self.pcma,
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
    /// Plucks on the beats and on some of the half beats between them.
    fn melody(&mut self, number: usize, bar: &Bar, (strings, random): (&mut Strings, &mut Random)) {
        for step in 0..8 {
            let played = step % 2 == 0 || random.below(3) == 0;
            let note = bar.melody.get(random.below(4) as usize).copied().unwrap_or(D5);
            let accent = 0.5 + 0.1 * random.below(4) as f32;
            if played {
                self.paint(number * BAR + step * BAR / 8, strings.pluck(note), accent);
            }
        }
    }

    fn paint(&mut self, start: usize, note: &[f32], gain: f32) {
        let length = self.0.len();
        let (before, after) = self.0.split_at_mut(start.min(length));
        for (sample, sound) in after.iter_mut().chain(before).zip(note) {
            *sample += sound * gain;
        }
    }
}

/// The notes that were played once already, by their frequency: each is rendered a single time.
#[derive(Default)]
struct Strings {
    pads: BTreeMap<u32, Vec<f32>>,
    plucks: BTreeMap<u32, Vec<f32>>,
}

impl Strings {
    /// One note of the pad: it swells within a second, is held, and fades under the next bar.
    fn pad(&mut self, hertz: f32) -> &[f32] {
        self.pads.entry(hertz.to_bits()).or_insert_with(|| {
            let mut note = vec![0.0; BAR + 12_000];
            for (times, gain) in [(1.0, 0.5), (2.0, 0.22), (3.0, 0.12), (4.0, 0.07), (5.0, 0.04)] {
                // Two strings a little out of tune with each other: the sound lives without moving.
                for detune in [0.9985, 1.0015] {
                    add_wave(&mut note, hertz * times * detune, gain);
                }
            }
            let length = note.len();
            for (n, sample) in note.iter_mut().enumerate() {
                let rise = (n as f32 / 8_000.0).min(1.0);
                let fall = ((length - n) as f32 / 12_000.0).min(1.0);
                *sample *= (rise * fall).sqrt();
            }
            note
        })
    }

    /// A plucked string: partials that die away, the high ones sooner.
    fn pluck(&mut self, hertz: f32) -> &[f32] {
        self.plucks.entry(hertz.to_bits()).or_insert_with(|| {
            let mut note = vec![0.0; 24_000];
            for (times, gain) in [(1.0, 0.8), (2.0, 0.35), (3.0, 0.2), (4.0, 0.1)] {
                let mut partial = vec![0.0; note.len()];
                add_wave(&mut partial, hertz * times, gain);
                for (n, (sample, partial)) in note.iter_mut().zip(partial).enumerate() {
                    let attack = (n as f32 / 40.0).min(1.0);
                    *sample += partial * attack * (-(n as f32) * times / 4_500.0).exp();
                }
            }
            note
        })
    }
}

/// Adds a sine, unless it is too high for a telephone.
fn add_wave(note: &mut [f32], hertz: f32, gain: f32) {
    if hertz > HIGHEST {
        return;
    }
    // A turning pointer instead of a sine a sample.
    let (sin, cos) = (TAU * hertz / RATE).sin_cos();
    let (mut x, mut y) = (gain, 0.0_f32);
    for sample in note {
        *sample += y;
        (x, y) = (x * cos - y * sin, x * sin + y * cos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    /// The share of all power in a stretch of sound that lies at `hertz`.
    fn share(samples: &[i16], hertz: f64) -> f64 {
        let all: f64 =
            samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64;
        tone::power(samples, hertz) / all.max(1.0)
    }

    fn strongest(samples: &[i16], tones: &[f64]) -> f64 {
        tones.iter().map(|&hertz| share(samples, hertz)).fold(0.0, f64::max)
    }

    #[test]
    fn it_lasts_eighty_seconds_at_its_level_and_has_no_hole() {
        let music = Music::render();
        let sound = music.sound();
        assert_eq!(sound.len(), 80 * 8000);
        assert!((level::dbov(sound) - level::MUSIC).abs() < 0.1, "{}", level::dbov(sound));
        assert!(sound.iter().all(|sample| sample.unsigned_abs() < 16_000));
        let levels = sound.chunks_exact(FRAME).map(level::dbov);
        let (least, most) =
            levels.fold((0.0_f32, -99.0_f32), |(least, most), dbov| (least.min(dbov), most.max(dbov)));
        assert!(least > -40.0 && most < -16.0, "frames between {least} and {most} dBov");
    }

    #[test]
    fn its_end_runs_into_its_beginning() {
        let music = Music::render();
        let sound = music.sound();
        let steepest = |samples: &[i16]| {
            samples.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max().unwrap_or(0)
        };
        let seam: Vec<i16> = sound[sound.len() - 400..].iter().chain(&sound[..400]).copied().collect();
        assert!(steepest(&seam[399..401]) <= steepest(sound) / 2);
        assert!((level::dbov(&seam[..400]) - level::dbov(&seam[400..])).abs() < 6.0);
    }

    #[test]
    fn nobody_takes_it_for_a_signal() {
        let music = Music::render();
        let (rows, columns) = ([697.0, 770.0, 852.0, 941.0], [1209.0, 1336.0, 1477.0, 1633.0]);
        let mut worst = [0.0_f64; 4];
        // Windows of 40 ms, the shortest key that a receiver has to take, over the whole loop and its seam.
        let sound: Vec<i16> = music.sound().iter().chain(music.sound().iter().take(800)).copied().collect();
        for window in (0..sound.len() - 800).step_by(160).map(|start| &sound[start..start + 800]) {
            let key = &window[..320];
            let (row, column) = (strongest(key, &rows), strongest(key, &columns));
            // A key is two tones that carry most of the power, neither of them 9 dB below the other.
            let twin = row.min(column) * 8.0 > row.max(column);
            worst[0] = worst[0].max(if twin { row + column } else { 0.0 });
            worst[1] = worst[1].max(strongest(window, &[1100.0, 2100.0, 2225.0, 2250.0]));
            let dial = [(350.0, 440.0), (440.0, 480.0), (480.0, 620.0)];
            let pair = dial.map(|(low, high)| {
                let (low, high) = (share(window, low), share(window, high));
                if low.min(high) * 8.0 > low.max(high) { low + high } else { 0.0 }
            });
            worst[2] = worst[2].max(pair.into_iter().fold(0.0, f64::max));
            worst[3] = worst[3].max(strongest(window, &[400.0, 425.0, 440.0, 450.0]));
        }
        assert!(worst.iter().all(|share| *share < 0.35), "keys, fax, dial pairs, single: {worst:?}");
    }

    #[test]
    fn it_lies_within_the_telephone_band() {
        let music = Music::render();
        for hertz in [50.0, 100.0, 150.0, 180.0, 3400.0, 3600.0, 3900.0] {
            let most = music
                .sound()
                .chunks_exact(8000)
                .map(|second| tone::goertzel(second, hertz))
                .fold(-200.0, f32::max);
            assert!(most < -60.0, "{hertz} Hz at {most} dBov");
        }
    }

    #[test]
    fn music_of_others_is_cut_to_whole_frames_and_comes_round() {
        let music = Music::from_sound(vec![1000; FRAME * 2 + 7].into());
        let (_, place) = music.frame(Law::Pcma, 0);
        let (frame, place) = music.frame(Law::Pcma, place);
        assert_eq!((frame, place), ([Law::Pcma.encode(1000); FRAME], 0));
        let nothing = Music::from_sound(Vec::new().into());
        assert_eq!(nothing.frame(Law::Pcmu, 0), ([Law::Pcmu.silence(); FRAME], 0));
        assert_eq!(nothing.frame(Law::Pcmu, 5000).1, 0);
    }
}
