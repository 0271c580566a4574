//! Voices for ways that transcode: no mark survives those, but tones do.
//!
//! A voice is what `sound.rs` renders, with two tones above it that say whose it is: the lower one the role and a
//! part of the leg's number, the higher one the slot of the wheel in which the leg speaks. Once a second, at
//! [`STEP_AT`] and the slot, everything becomes 12 dB louder: whoever hears that step knows when it was sent. The
//! tones keep clear of keys (RFC 4733), of fax and of each other.
//!
//! ```text
//! 0 s             0.2              STEP_AT             1 s, and again
//! loud ───────────┐ soft           ┌─────────────────── loud
//!                 └────────────────┘
//! ```

use std::f64::consts::TAU;

use segue_media::{Codec, PayloadEncoder, level};

use crate::{
    clock::{MILLISECOND, Nanos, SECOND},
    sound,
    words::Role,
};

/// Frames of 20 ms in a loop: a second.
pub(crate) const FRAMES: usize = 50;
/// The moment of each second at which the voice of slot 0 becomes louder.
pub(crate) const STEP_AT: Nanos = 500 * MILLISECOND;
/// Numbers of one role's voices.
pub(crate) const NUMBERS: u32 = 80;
/// Samples in which a voice is looked for: 60 ms at 8 kHz.
pub(crate) const CHUNK: usize = 480;

const LOWS: usize = 12;
const HIGHS: usize = 20;
const LOW_FIRST: f64 = 350.0;
const HIGH_FIRST: f64 = 1_720.0;
/// More than four bins of [`CHUNK`], which its window keeps apart.
const APART: f64 = 70.0;
/// Each tone, while it is loud.
const TONE_DBOV: f32 = -23.0;
/// The speech below them.
const SPEECH_DBOV: f32 = -27.0;
/// 12 dB.
const SOFT: f64 = 0.25;
const SOFT_FROM: f64 = 0.2;
/// So much stronger than any other of its group must a tone be: 6 dB.
const CLEAR: f32 = 4.0;
/// A tone weaker than this is none.
const TONE_MIN_DBOV: f32 = -48.0;

/// The voice of a leg: like the stream of a mark, its two lowest bits say whose it is.
pub(crate) const fn voice(role: Role, leg: u32) -> u32 {
    (leg % NUMBERS) << 2 | role as u32
}

/// When in each second this voice becomes louder.
pub(crate) fn step_at(voice: u32) -> Nanos {
    STEP_AT + Nanos::from((voice >> 2) % HIGHS as u32) * MILLISECOND
}

/// The places of a voice's two tones.
const fn places(voice: u32) -> (usize, usize) {
    let (number, role) = ((voice >> 2) as usize % NUMBERS as usize, (voice & 3) as usize);
    (role * (LOWS / 3) + number / HIGHS, number % HIGHS)
}

fn voice_of((low, high): (usize, usize)) -> Option<u32> {
    let role = *Role::ALL.get(low / (LOWS / 3))?;
    let number = u32::try_from(low % (LOWS / 3) * HIGHS + high).ok()?;
    Some(voice(role, number))
}

fn hertz((low, high): (usize, usize)) -> [f64; 2] {
    [LOW_FIRST + APART * low as f64, HIGH_FIRST + APART * high as f64]
}

/// A second of one voice in one codec, encoded once.
#[derive(Debug)]
pub(crate) struct Loop {
    frames: Vec<Vec<u8>>,
}

impl Loop {
    /// Renders and encodes a voice; `None` if the codec has no encoder.
    pub(crate) fn new(codec: Codec, voice: u32) -> Option<Self> {
        let rate = codec.sound_hz() as usize;
        let second = render(rate, voice);
        let mut encoder = PayloadEncoder::new(codec)?;
        let mut encode = |frame: &[i16]| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload
        };
        // The first second brings the encoder to where each later one begins.
        second.chunks_exact(rate / FRAMES).for_each(|frame| drop(encode(frame)));
        let frames = second.chunks_exact(rate / FRAMES).map(&mut encode).collect();
        Some(Self { frames })
    }

    /// The frame that is due in this 20 ms of the clock.
    pub(crate) fn frame(&self, due: Nanos) -> &[u8] {
        let place = (due / (20 * MILLISECOND)) as usize % FRAMES;
        self.frames.get(place).map_or(&[], Vec::as_slice)
    }
}

fn render(rate: usize, voice: u32) -> Vec<i16> {
    let mut speech: Vec<i16> = (0..rate).map(|at| sound::sample(at as f64 / rate as f64)).collect();
    level::normalise(&mut speech, SPEECH_DBOV);
    let amplitude = f64::from(level::rms(TONE_DBOV)) * std::f64::consts::SQRT_2;
    let step = STEP_AT as f64 / SECOND as f64;
    let sound = speech.iter().enumerate().map(|(at, speech)| {
        let time = at as f64 / rate as f64;
        let tones: f64 = hertz(places(voice)).iter().map(|hertz| (hertz * TAU * time).sin()).sum();
        let loudness = if (SOFT_FROM..step).contains(&time) { SOFT } else { 1.0 };
        ((tones * amplitude + f64::from(*speech)) * loudness) as i16
    });
    sound.collect()
}

/// Finds voices in sound at 8 kHz.
pub(crate) struct Finder {
    window: Vec<f32>,
    /// Twice the cosine of each tone's step.
    lows: [f32; LOWS],
    highs: [f32; HIGHS],
}

impl Finder {
    /// A finder; one is enough for all ears of a thread.
    pub(crate) fn new() -> Self {
        let turn = |at: usize| TAU * (at as f64 + 0.5) / CHUNK as f64;
        let coefficient =
            |first: f64, place: usize| (2.0 * (TAU * (first + APART * place as f64) / 8_000.0).cos()) as f32;
        Self {
            window: (0..CHUNK).map(|at| (1.0 - turn(at).cos()) as f32).collect(),
            lows: std::array::from_fn(|place| coefficient(LOW_FIRST, place)),
            highs: std::array::from_fn(|place| coefficient(HIGH_FIRST, place)),
        }
    }

    /// The voice in [`CHUNK`] samples, if there is one and one alone.
    pub(crate) fn find(&self, chunk: &[i16]) -> Option<u32> {
        let windowed: Vec<f32> =
            chunk.iter().zip(&self.window).map(|(sample, window)| f32::from(*sample) * window).collect();
        let floor = level::rms(TONE_MIN_DBOV).powi(2);
        let low = clearest(&windowed, &self.lows, floor)?;
        let high = clearest(&windowed, &self.highs, floor)?;
        voice_of((low, high))
    }
}

/// The tone that is clearly the strongest, by Goertzel's filter.
fn clearest<const N: usize>(windowed: &[f32], coefficients: &[f32; N], floor: f32) -> Option<usize> {
    // All filters step through the sound together: the compiler does several at once.
    let (mut one, mut two) = ([0.0_f32; N], [0.0_f32; N]);
    for sample in windowed {
        for ((coefficient, one), two) in coefficients.iter().zip(&mut one).zip(&mut two) {
            let next = sample + coefficient * *one - *two;
            *two = std::mem::replace(one, next);
        }
    }
    let length = windowed.len().max(1) as f32;
    let power = |((coefficient, one), two): ((&f32, &f32), &f32)| {
        (one * one + two * two - coefficient * one * two) * 2.0 / (length * length)
    };
    let (mut best, mut place, mut second) = (0.0, 0, 0.0);
    for (at, power) in coefficients.iter().zip(&one).zip(&two).map(power).enumerate() {
        if power > best {
            (second, best, place) = (best, power, at);
        } else if power > second {
            second = power;
        }
    }
    (best > floor && best > CLEAR * second).then_some(place)
}

#[cfg(test)]
mod tests {
    use segue_media::PayloadDecoder;

    use super::*;

    /// A loop played through a decoder, at 8 kHz.
    fn played(codec: Codec, voice: u32) -> Vec<i16> {
        let whole = Loop::new(codec, voice).unwrap();
        let mut decoder = PayloadDecoder::new(codec);
        let mut sound = Vec::new();
        for number in 0..2 * FRAMES as u64 {
            decoder.decode(whole.frame(number * 20 * MILLISECOND), &mut sound);
        }
        let step = codec.sound_hz() as usize / 8_000;
        sound.into_iter().step_by(step).collect()
    }

    #[test]
    fn every_voice_is_found_in_every_codec() {
        let finder = Finder::new();
        for codec in Codec::ALL {
            for number in (0..NUMBERS).step_by(7) {
                for role in Role::ALL {
                    let voice = voice(role, number);
                    let sound = played(codec, voice);
                    let mut found = sound[8_000..].chunks_exact(CHUNK).map(|chunk| finder.find(chunk));
                    assert!(found.all(|found| found == Some(voice)), "{codec:?} {voice}");
                }
            }
        }
    }

    #[test]
    fn two_voices_at_once_and_none_are_no_voice() {
        let finder = Finder::new();
        let (one, other) = (played(Codec::Pcmu, 1), played(Codec::Pcmu, 6 << 2));
        let both: Vec<i16> = one.iter().zip(&other).map(|(one, other)| one / 2 + other / 2).collect();
        assert!(both.chunks_exact(CHUNK).all(|chunk| finder.find(chunk).is_none()));
        assert_eq!(finder.find(&[0; CHUNK]), None);
        let mut speech: Vec<i16> = (0..8_000).map(|at| sound::sample(f64::from(at) / 8e3)).collect();
        level::normalise(&mut speech, level::SPEECH);
        assert!(speech.chunks_exact(CHUNK).all(|chunk| finder.find(chunk).is_none()));
    }

    #[test]
    fn a_voice_says_its_role_and_its_slot() {
        for number in 0..NUMBERS {
            for role in Role::ALL {
                let voice = voice(role, number + NUMBERS);
                assert_eq!(voice_of(places(voice)), Some(voice));
                assert_eq!(step_at(voice), STEP_AT + u64::from(number % 20) * MILLISECOND);
            }
        }
    }
}
