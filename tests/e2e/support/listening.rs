//! Judging sound: levels, silence, whether a sound is in a recording, and whether a recording is hold music.

use std::{collections::BTreeMap, time::Duration};

use segue_media::{Music, g711::Law, level};
use segue_speech::{Flite, Pace, Synthesizer, Voice, VoiceStyle, normalise};

use super::{
    endpoint::FRAME,
    recording::{Packet, time_of},
};

/// Samples of the piece that is looked for first: a quarter of a second.
const PROBE: usize = 2_000;

/// Speech in a voice.
pub(crate) fn speech(voice: Voice, text: &str) -> Vec<i16> {
    Flite.speak(&normalise(text), VoiceStyle { voice, pace: Pace::Normal }).unwrap()
}

/// Noise that no other seed gives, at −26 dBov, in the telephone band: unlike a voice it can be aligned anywhere.
pub(crate) fn noise(seed: u64, length: Duration) -> Vec<i16> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut smooth = 0.0_f64;
    let count = (length.as_micros() / 125) as usize;
    let mut samples: Vec<i16> = (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            smooth = 0.5 * smooth + f64::from((state >> 40) as i32 - (1 << 23));
            (smooth / 2_000.0) as i16
        })
        .collect();
    level::normalise(&mut samples, -26.0);
    samples
}

/// The longest run of frames that a person calls silence.
pub(crate) fn silence_longest(samples: &[i16]) -> Duration {
    let (mut longest, mut run) = (0, 0);
    for frame in samples.chunks_exact(FRAME) {
        run = if level::dbov(frame) < level::SILENCE { run + FRAME } else { 0 };
        longest = longest.max(run);
    }
    time_of(longest)
}

/// The loudest frame, in dBov.
pub(crate) fn loudest(samples: &[i16]) -> f32 {
    samples.chunks_exact(FRAME).map(level::dbov).fold(f32::NEG_INFINITY, f32::max)
}

/// How much two pieces of the same length are the same: 1 is alike but for the volume.
pub(crate) fn correlation(a: &[i16], b: &[i16]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (ab / (aa * bb).sqrt().max(1.0)) as f32
}

/// Where a recording sounds most like the beginning of `sound`.
pub(crate) fn find(sound: &[i16], recording: &[i16]) -> Option<usize> {
    let probe: Vec<f32> = sound.iter().take(PROBE).map(|sample| f32::from(*sample)).collect();
    let recording: Vec<f32> = recording.iter().map(|sample| f32::from(*sample)).collect();
    let square = |at: usize| recording.get(at).map_or(0.0, |sample| f64::from(sample * sample));
    let mut energy: f64 = (0..probe.len()).map(square).sum();
    let mut best = (0.0_f64, None);
    for (at, window) in recording.windows(probe.len().max(1)).enumerate() {
        let product: f32 = window.iter().zip(&probe).map(|(a, b)| a * b).sum();
        let likeness = f64::from(product) / energy.max(1.0).sqrt();
        if likeness > best.0 {
            best = (likeness, Some(at));
        }
        energy += square(at + window.len()) - square(at);
    }
    best.1
}

/// How alike each second of a sound is to the same second in a recording, where it fits best.
pub(crate) fn alike_by_second(sound: &[i16], recording: &[i16]) -> Vec<f32> {
    let Some(at) = find(sound, recording) else { return Vec::new() };
    let whole = recording.get(at..).unwrap_or_default();
    sound.chunks_exact(8_000).zip(whole.chunks_exact(8_000)).map(|(a, b)| correlation(a, b)).collect()
}

/// The middle value: a frame that a busy machine delayed spoils one second, not the verdict.
pub(crate) fn median(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The loudest trace of a sound in a recording at any shift up to `slack` samples, in dB against its own level.
/// Both are pre-emphasised, so that the low notes that everything shares count little.
pub(crate) fn trace_of(sound: &[i16], recording: &[i16], slack: usize) -> f32 {
    let emphasised = |samples: &[i16]| -> Vec<f32> {
        samples.windows(2).map(|pair| f32::from(pair[1]) - 0.95 * f32::from(pair[0])).collect()
    };
    let (sound, recording) = (emphasised(sound), emphasised(recording));
    let energy: f64 = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let loudest = (0..slack)
        .filter_map(|shift| recording.get(shift..shift + sound.len()))
        .map(|window| window.iter().zip(&sound).map(|(a, b)| a * b).sum::<f32>().abs())
        .fold(0.0_f32, f32::max);
    (20.0 * (f64::from(loudest) / energy.max(1.0)).max(1e-9).log10()) as f32
}

/// The hold music, frame by frame, to prove that an ear heard it and nothing else, to the last bit.
pub(crate) struct Hold {
    places: BTreeMap<Vec<u8>, usize>,
    frames: usize,
}

impl Hold {
    pub(crate) fn known() -> Self {
        let music = Music::render();
        let encoded: Vec<u8> = music.sound().iter().map(|sample| Law::Pcmu.encode(*sample)).collect();
        let frames = encoded.chunks_exact(FRAME).enumerate();
        let places: BTreeMap<_, _> = frames.map(|(place, frame)| (frame.to_vec(), place)).collect();
        Self { places, frames: encoded.len() / FRAME }
    }

    fn place(&self, packet: &Packet) -> Option<usize> {
        self.places.get(&packet.payload).copied()
    }

    /// Whether a packet is a frame of the music, bit by bit.
    pub(crate) fn is_heard_in(&self, packet: &Packet) -> bool {
        self.place(packet).is_some()
    }

    /// How many packets are the music's frame that comes after the one before.
    pub(crate) fn goes_on_in(&self, packets: &[Packet]) -> usize {
        let next = |pair: &&[Packet]| match (self.place(&pair[0]), self.place(&pair[1])) {
            (Some(before), Some(after)) => (before + 1) % self.frames == after,
            (_, _) => false,
        };
        packets.windows(2).filter(next).count()
    }
}

#[test]
fn a_sound_is_found_where_it_is_and_leaves_no_trace_elsewhere() {
    let sound = noise(1, Duration::from_secs(2));
    let mut with = noise(2, Duration::from_secs(1));
    with.extend(&sound);
    assert_eq!(find(&sound, &with), Some(8_000));
    assert!(median(&alike_by_second(&sound, &with)) > 0.999);
    assert!(trace_of(&sound, &with, 9_000) > -1.0);
    assert!(trace_of(&sound, &noise(3, Duration::from_secs(4)), 2_000) < -25.0);
    assert_eq!(silence_longest(&[vec![0; 1_600], with].concat()), Duration::from_millis(200));
}

#[test]
fn a_whisper_sixty_db_down_would_change_most_frames_of_the_hold_music() {
    let mut whisper =
        speech(Voice::Rms, "the caller wants a refund of five hundred dollars for order one two three four");
    level::normalise(&mut whisper, level::SPEECH - 60.0);
    let music = Music::render();
    let encode = |sample: i16| Law::Pcmu.encode(sample);
    let changed = whisper
        .chunks_exact(FRAME)
        .zip(music.sound().chunks_exact(FRAME))
        .filter(|(whisper, music)| {
            music
                .iter()
                .zip(*whisper)
                .any(|(music, leak)| encode(*music) != encode(music.saturating_add(*leak)))
        })
        .count();
    let frames = whisper.len() / FRAME;
    assert!(changed * 2 > frames, "{changed} of {frames} frames");
}
