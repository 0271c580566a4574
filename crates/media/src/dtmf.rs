//! Keys as tones in the sound itself (ITU-T Q.23), to receiver limits like those of Q.24.
//!
//! Blocks of 10 ms go through eight Goertzel filters. Three blocks in a row are a key if, over them, one low and
//! one high frequency make up nearly all of the sound, each within 2.3 % of its place (measured by how its phase
//! turns), neither much louder than the other, and all of it steady. So tones of 40 ms and more with a twist of
//! −8 to +4 dB, 1.5 % off, at a signal-to-noise ratio of 15 dB are taken; those of 23 ms and less or 3.5 % off are
//! not. Speech and music are hardly ever two pure tones for 30 ms, and never two of these.

use crate::{level, tone};

/// Listens to one voice, 8000 samples a second.
#[derive(Clone, Debug)]
pub(crate) struct InBand {
    /// The block that is being filled.
    block: [i16; BLOCK],
    filled: usize,
    /// The last three blocks, the newest last.
    blocks: [Block; 3],
    /// The key that sounds.
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    key: char,
    /// Blocks since it was last heard.
    gone: u8,
}

/// What a block holds: its parts at the eight frequencies, and its mean square.
#[derive(Clone, Copy, Debug)]
struct Block {
    parts: [Complex; 8],
    power: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Complex {
    re: f32,
    im: f32,
}

/// One frequency found.
#[derive(Clone, Copy, Debug)]
struct Found {
    place: usize,
    /// Its mean square.
    power: f32,
}

/// 10 ms.
const BLOCK: usize = 80;
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// So far from its place a frequency may be; Q.24 accepts 1.5 % and refuses 3.5 %.
const OFF_MAX: f32 = 0.023;
/// The share of the sound that the two tones make up; 0.97 at a signal-to-noise ratio of 15 dB.
const PURE: f32 = 0.82;
/// The softest block against the loudest: a tone of 23 ms fills three blocks by 65, 100 and 65 %.
const STEADY: f32 = 0.76;
/// High over low, as powers: −9 dB and +5 dB, half a step beyond what has to be taken.
const TWIST: (f32, f32) = (0.126, 3.2);
/// The others of a group are so much weaker than the strongest.
const ALONE: f32 = 5.0;
/// Softer keys than −42 dBov are nobody's. Mean square.
const SOFTEST: f32 = 68_000.0;
/// Blocks without the key until it is over; interruptions up to 10 ms do not end it.
const OVER: u8 = 3;

impl InBand {
    pub(crate) const fn new() -> Self {
        Self { block: [0; BLOCK], filled: 0, blocks: [Block::EMPTY; 3], held: None }
    }

    /// Takes sound; gives the key that began in it, if one did.
    pub(crate) fn hear(&mut self, sound: &[i16]) -> Option<char> {
        let mut pressed = None;
        for &sample in sound {
            if let Some(place) = self.block.get_mut(self.filled) {
                *place = sample;
            }
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                self.blocks.rotate_left(1);
                self.blocks[2] = Block::of(&self.block);
                pressed = self.judge().or(pressed);
            }
        }
        pressed
    }

    fn judge(&mut self) -> Option<char> {
        let heard = self.key();
        match (&mut self.held, heard) {
            (None, None) => None,
            (Some(held), Some(key)) if held.key == key => {
                held.gone = 0;
                None
            }
            (_, Some(key)) => {
                self.held = Some(Held { key, gone: 0 });
                Some(key)
            }
            (Some(held), None) => {
                held.gone += 1;
                if held.gone >= OVER && !self.goes_on() {
                    self.held = None;
                }
                None
            }
        }
    }

    /// Whether the key held may still sound under noise that hides it: it ends with its energy.
    fn goes_on(&self) -> bool {
        let [_, _, last] = &self.blocks;
        let Some(held) = self.held.filter(|held| held.gone < 4 * OVER) else { return false };
        let places = KEYS
            .iter()
            .enumerate()
            .find_map(|(low, row)| row.iter().position(|key| *key == held.key).map(|high| [low, high + 4]));
        let tones: f32 = places.unwrap_or([0, 4]).iter().map(|&place| last.power_at(place)).sum();
        last.power > SOFTEST && tones > last.power / 2.0
    }

    /// The key that the last three blocks are.
    fn key(&self) -> Option<char> {
        let powers = self.blocks.map(|block| block.power);
        let (softest, loudest) = powers
            .iter()
            .fold((f32::MAX, 0.0_f32), |(softest, loudest), &power| (softest.min(power), loudest.max(power)));
        if softest < SOFTEST || softest < loudest * STEADY {
            return None;
        }
        let (low, high) = (self.strongest(0)?, self.strongest(4)?);
        let twist = high.power / low.power;
        let pure = (low.power + high.power) * 3.0 / powers.iter().sum::<f32>();
        if pure < PURE || twist < TWIST.0 || twist > TWIST.1 {
            return None;
        }
        KEYS.get(low.place)?.get(high.place - 4).copied()
    }

    /// The strongest of the four frequencies from `first` on, if it is alone and in its place.
    fn strongest(&self, first: usize) -> Option<Found> {
        let power = |place: usize| self.over(1, place).power() + self.over(0, place).power();
        let mut order = [first, first + 1, first + 2, first + 3].map(|place| (power(place), place));
        order.sort_by(|one, other| other.0.total_cmp(&one.0));
        let [(best, place), (second, _), ..] = order;
        let (early, late) = (self.over(0, place), self.over(1, place));
        // From one window to the next, 10 ms later, the phase of a tone in its place turns as that place does.
        let turned = late.times(early.conjugate()).times(Complex::turn(-step(place) * BLOCK as f32));
        let off = turned.im.atan2(turned.re) / (std::f32::consts::TAU * BLOCK as f32) * tone::RATE as f32;
        if best < second * ALONE || off.abs() > frequency(place) * OFF_MAX {
            return None;
        }
        // A tone beside its place looks weaker than it is.
        let width = std::f32::consts::PI * off * 2.0 * BLOCK as f32 / tone::RATE as f32;
        let seen = if width.abs() < 0.01 { 1.0 } else { width.sin() / width };
        let length = 2.0 * BLOCK as f32;
        Some(Found { place, power: best * 2.0 / (2.0 * length * length * seen * seen) })
    }

    /// The part at a frequency of the two blocks from `first` on.
    fn over(&self, first: usize, place: usize) -> Complex {
        let part = |number: usize| {
            self.blocks.get(number).and_then(|block| block.parts.get(place)).copied().unwrap_or_default()
        };
        part(first).plus(part(first + 1).times(Complex::turn(-step(place) * BLOCK as f32)))
    }
}

impl Block {
    const EMPTY: Self = Self { parts: [Complex { re: 0.0, im: 0.0 }; 8], power: 0.0 };

    fn of(sound: &[i16; BLOCK]) -> Self {
        let power = level::mean_square(sound) as f32;
        let mut block = Self { power, ..Self::EMPTY };
        if power < SOFTEST {
            return block;
        }
        let samples = sound.map(f32::from);
        for (place, part) in block.parts.iter_mut().enumerate() {
            *part = goertzel(&samples, step(place));
        }
        block
    }

    /// The mean square of the part at a frequency.
    fn power_at(&self, place: usize) -> f32 {
        self.parts.get(place).map_or(0.0, |part| part.power() * 2.0 / (BLOCK * BLOCK) as f32)
    }
}

/// The sum of the samples, each turned back by `step` a sample.
fn goertzel(samples: &[f32; BLOCK], step: f32) -> Complex {
    let coefficient = 2.0 * step.cos();
    let (mut one, mut two) = (0.0_f32, 0.0_f32);
    for sample in samples {
        (one, two) = (sample + coefficient * one - two, one);
    }
    // The filter's last state, turned back to the block's first sample.
    let last = Complex { re: one - two * step.cos(), im: two * step.sin() };
    last.times(Complex::turn(-step * (BLOCK as f32 - 1.0)))
}

fn frequency(place: usize) -> f32 {
    LOW.iter().chain(&HIGH).nth(place).copied().unwrap_or(1.0)
}

/// Radians a sample.
fn step(place: usize) -> f32 {
    std::f32::consts::TAU * frequency(place) / tone::RATE as f32
}

impl Complex {
    fn turn(angle: f32) -> Self {
        Self { re: angle.cos(), im: angle.sin() }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn conjugate(self) -> Self {
        Self { im: -self.im, ..self }
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, music::Music, random::Random};

    const NAMES: &str = "123A456B789C*0#D";

    /// What a key sounds like.
    #[derive(Clone, Copy)]
    struct Press {
        key: char,
        milliseconds: usize,
        /// High over low, in dB.
        twist: f32,
        /// Percent by which both frequencies are off.
        off: f64,
        /// Of the two together, dBov.
        level: f32,
        /// Signal to noise, in dB.
        snr: f32,
    }

    const PLAIN: Press = Press { key: '5', milliseconds: 40, twist: 0.0, off: 0.0, level: -15.0, snr: 40.0 };

    /// The press after `before` samples of silence, and silence after it, all in noise.
    fn sound(press: Press, before: usize, random: &mut Random) -> Vec<i16> {
        let place = NAMES.find(press.key).unwrap();
        let (low, high) = (LOW[place / 4], HIGH[place % 4]);
        let part = |hertz: f32, gain: f32, phase: f64| {
            let step = f64::from(hertz) * (1.0 + press.off / 100.0) * std::f64::consts::TAU / 8000.0;
            let amplitude = f64::from(level::rms(press.level + gain)) * std::f64::consts::SQRT_2;
            move |n: usize| amplitude * (step * n as f64 + phase).sin()
        };
        let share = 10.0 * (1.0 + 10.0_f32.powf(press.twist / 10.0)).log10();
        let phase = random.below(628) as f64 / 100.0;
        let (low, high) = (part(low, -share, phase), part(high, press.twist - share, phase * 1.7));
        let noise = f64::from(level::rms(press.level - press.snr)) * 3.0_f64.sqrt();
        let length = press.milliseconds * 8;
        let sample = |n: usize, random: &mut Random| {
            let hiss = (random.below(20_001) as f64 / 10_000.0 - 1.0) * noise;
            let tone = if (before..before + length).contains(&n) { low(n) + high(n) } else { 0.0 };
            (tone + hiss) as i16
        };
        let samples: Vec<i16> = (0..before + length + 800).map(|n| sample(n, random)).collect();
        samples.iter().map(|&sample| through_g711(sample)).collect()
    }

    fn through_g711(sample: i16) -> i16 {
        let law = Codec::Pcmu.law().unwrap();
        law.decode(law.encode(sample))
    }

    fn heard(sound: &[i16]) -> String {
        let mut ear = InBand::new();
        sound.chunks(160).filter_map(|frame| ear.hear(frame)).collect()
    }

    /// How many of 200 presses at all alignments are told, exactly once and right.
    fn taken(press: Press) -> usize {
        let mut random = Random::new(77);
        let told = (0..200).filter(|n| {
            let key = NAMES.chars().nth(n % 16).unwrap();
            let sound = sound(Press { key, ..press }, 400 + n * 7 % 160, &mut random);
            heard(&sound) == key.to_string()
        });
        told.count()
    }

    #[test]
    fn what_has_to_be_taken_is_taken() {
        for milliseconds in [40, 50, 65, 100, 1000] {
            assert_eq!(taken(Press { milliseconds, ..PLAIN }), 200, "{milliseconds} ms");
        }
        for twist in [-8.0, -4.0, 2.0, 4.0] {
            assert_eq!(taken(Press { twist, ..PLAIN }), 200, "twist {twist} dB");
        }
        for off in [-1.5, -0.7, 0.8, 1.5] {
            assert_eq!(taken(Press { off, ..PLAIN }), 200, "{off} % off");
            for twist in [-6.0, 4.0] {
                let told = taken(Press { off, twist, ..PLAIN });
                assert!(told >= 198, "{off} % off, twist {twist} dB: {told}");
            }
        }
        for level in [-3.5, -10.0, -30.0, -36.0] {
            assert_eq!(taken(Press { level, ..PLAIN }), 200, "{level} dBov");
        }
        let noisy = taken(Press { snr: 15.0, ..PLAIN });
        assert!(noisy >= 199, "in noise: {noisy}");
    }

    #[test]
    fn what_has_to_be_refused_is_refused() {
        for milliseconds in [5, 10, 15, 20, 23] {
            assert_eq!(taken(Press { milliseconds, ..PLAIN }), 0, "{milliseconds} ms");
        }
        for off in [-5.0, -3.5, 3.5, 5.0] {
            assert_eq!(taken(Press { off, milliseconds: 100, ..PLAIN }), 0, "{off} % off");
        }
        for twist in [-15.0, 10.0] {
            assert_eq!(taken(Press { twist, milliseconds: 100, ..PLAIN }), 0, "twist {twist} dB");
        }
        assert_eq!(taken(Press { level: -50.0, milliseconds: 100, ..PLAIN }), 0);
    }

    #[test]
    fn presses_follow_each_other_and_a_short_interruption_is_none() {
        let mut random = Random::new(5);
        let press = |key| Press { key, milliseconds: 60, ..PLAIN };
        let row: Vec<i16> = "159#0044".chars().flat_map(|key| sound(press(key), 0, &mut random)).collect();
        assert_eq!(heard(&row), "159#0044");
        let mut long = sound(Press { milliseconds: 500, ..PLAIN }, 80, &mut random);
        long[1600..1680].fill(0);
        assert_eq!(heard(&long), "5");
    }

    #[test]
    fn other_tones_are_no_keys() {
        let tones = |hertz: &[f64]| -> Vec<i16> {
            let all: Vec<Vec<i16>> = hertz.iter().map(|&hertz| tone::sine(hertz, -18.0, 8000)).collect();
            (0..8000).map(|n| all.iter().map(|tone| tone[n]).sum()).collect()
        };
        // Dial tone, ringing, busy, fax, answer tone, one half of a key, a chord that has a key in it.
        for hertz in [
            &[350.0, 440.0][..],
            &[440.0, 480.0],
            &[480.0, 620.0],
            &[425.0],
            &[1100.0],
            &[2100.0],
            &[770.0],
            &[1336.0],
            &[770.0, 1336.0, 1000.0],
            &[770.0, 1336.0, 2004.0],
            &[770.0, 852.0],
        ] {
            assert_eq!(heard(&tones(hertz)), "", "{hertz:?}");
        }
    }

    #[test]
    fn our_hold_music_and_noise_are_no_keys() {
        let music = Music::render();
        let mut ear = InBand::new();
        let (mut place, law) = (0, Codec::Pcmu.law().unwrap());
        for _ in 0..50 * 100 {
            let frame;
            (frame, place) = music.frame(law, place);
            assert_eq!(ear.hear(&frame.map(|byte| law.decode(byte))), None);
        }
        let mut random = Random::new(1);
        for _ in 0..50 * 200 {
            let noise: [i16; 160] = std::array::from_fn(|_| random.half() as i16 / 4);
            assert_eq!(ear.hear(&noise), None);
        }
    }

    #[test]
    fn real_speech_is_no_key() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/speech/mulaw8k");
        let Ok(files) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: no recordings of real speech in {}", folder.display());
            return;
        };
        let mut seconds = 0;
        for file in files.filter_map(Result::ok) {
            let Ok((8000, sound)) = crate::wav::decode(&std::fs::read(file.path()).unwrap()) else {
                continue;
            };
            // At every alignment to the blocks, and at three levels.
            for shift in (0..80).step_by(16) {
                for gain in [1, 2, 4] {
                    let louder = |sample: &i16| sample.saturating_mul(gain);
                    let sound: Vec<i16> = sound.iter().skip(shift).map(louder).collect();
                    assert_eq!(heard(&sound), "", "{:?}", file.path());
                    seconds += sound.len() / 8000;
                }
            }
        }
        eprintln!("{seconds} s of speech, no key");
        assert!(seconds > 60);
    }
}
