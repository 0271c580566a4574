//! The way of frames from a media thread to the front thread: one writer, one reader, a fixed number of places.
//!
//! The writer never waits and never fails: when the reader is behind, the oldest frame is written over and
//! counted as dropped. Every place carries a number that tells the reader whether it was written over while
//! it read (a sequence lock). All storage is atomic, so a torn read gives wrong numbers, never undefined ones.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    time::Duration,
};

use segue_media::{WideFrame, g711::Law};

use super::Frame;
use crate::listen::Samples;

/// Places for frames: 1.28 s.
pub(super) const PLACES: u64 = 64;
/// 160 samples of 16 bit.
const WORDS: usize = 40;
type Words = [AtomicU64; WORDS];

/// The places between one writer and one reader.
pub(super) struct Ring {
    places: Vec<Place>,
    /// The second half of each place, made with the first wideband frame: most voices are narrow.
    wide: OnceLock<Vec<Words>>,
    written: AtomicU64,
    closed: AtomicBool,
}

struct Place {
    number: AtomicU64,
    kind: AtomicU64,
    at: AtomicU64,
    words: Words,
}

/// A frame read from a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one frame lives on the stack for a moment; a box would allocate"
)]
pub(super) enum Sound {
    G711([u8; 160], Law),
    Linear([i16; 160]),
    Wide(WideFrame),
    Lost,
}

impl Sound {
    /// Decoded; silence for what was lost.
    pub(super) fn samples(&self) -> Samples {
        let mut narrow = [0; 160];
        match self {
            Self::G711(payload, law) => law.decode_into(payload, &mut narrow),
            Self::Linear(samples) => narrow = *samples,
            Self::Wide(samples) => return Samples::Wide(*samples),
            Self::Lost => {}
        }
        Samples::Narrow(narrow)
    }

    /// As it was written.
    pub(super) fn frame(&self) -> Frame<'_> {
        match self {
            Self::G711(payload, law) => Frame::G711(payload, *law),
            Self::Linear(samples) => Frame::Linear(samples),
            Self::Wide(samples) => Frame::Wide(samples),
            Self::Lost => Frame::Lost,
        }
    }
}

/// The reader's side.
#[derive(Default)]
pub(super) struct Reader {
    taken: u64,
}

impl Ring {
    pub(super) fn new() -> Ring {
        let place = || Place {
            number: AtomicU64::new(0),
            kind: AtomicU64::new(LOST),
            at: AtomicU64::new(0),
            words: words(),
        };
        Ring {
            wide: OnceLock::new(),
            places: std::iter::repeat_with(place).take(PLACES as usize).collect(),
            written: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// For the one writer. Wait-free.
    pub(super) fn write(&self, at: Duration, frame: Frame<'_>) {
        let turn = self.written.load(Ordering::Relaxed);
        let Some(place) = self.places.get((turn % PLACES) as usize) else { return };
        place.number.store(turn * 2 + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        place.at.store(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        place.kind.store(kind(&frame), Ordering::Relaxed);
        match frame {
            Frame::G711(payload, _) => {
                for (word, bytes) in place.words.iter().zip(payload.as_chunks::<8>().0) {
                    word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
                }
            }
            Frame::Linear(samples) => {
                store(&place.words, samples);
            }
            Frame::Wide(samples) => {
                let (first, second) = samples.split_at(WORDS * 4);
                store(&place.words, first);
                let wide =
                    self.wide.get_or_init(|| std::iter::repeat_with(words).take(PLACES as usize).collect());
                if let Some(words) = wide.get((turn % PLACES) as usize) {
                    store(words, second);
                }
            }
            Frame::Lost => {}
        }
        place.number.store(turn * 2 + 2, Ordering::Release);
        self.written.store(turn + 1, Ordering::Release);
    }

    /// The writer is gone; what it wrote can still be read.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Reader {
    /// The next frame, and how many before it were dropped.
    pub(super) fn read(&mut self, ring: &Ring) -> (u64, Option<(Duration, Sound)>) {
        let mut dropped = 0;
        loop {
            let written = ring.written.load(Ordering::Acquire);
            if self.taken == written {
                return (dropped, None);
            }
            let oldest = written.saturating_sub(PLACES);
            if oldest > self.taken {
                dropped += oldest - self.taken;
                self.taken = oldest;
            }
            let turn = self.taken;
            self.taken += 1;
            let Some(place) = ring.places.get((turn % PLACES) as usize) else { return (dropped, None) };
            let wide = ring.wide.get().and_then(|wide| wide.get((turn % PLACES) as usize));
            match place.read(turn, wide) {
                Some(frame) => return (dropped, Some(frame)),
                None => dropped += 1,
            }
        }
    }
}

impl Place {
    /// What was written in that turn, unless the writer has come round again.
    fn read(&self, turn: u64, wide: Option<&Words>) -> Option<(Duration, Sound)> {
        let number = self.number.load(Ordering::Acquire);
        if number != turn * 2 + 2 {
            return None;
        }
        let at = Duration::from_nanos(self.at.load(Ordering::Relaxed));
        let kind = self.kind.load(Ordering::Relaxed);
        let mut words = [0; WORDS * 2];
        let second = wide.filter(|_| kind == WIDE).into_iter().flatten();
        for (word, stored) in words.iter_mut().zip(self.words.iter().chain(second)) {
            *word = stored.load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        (self.number.load(Ordering::Relaxed) == number).then(|| (at, sound(kind, &words)))
    }
}

const PCMU: u64 = 0;
const PCMA: u64 = 1;
const LINEAR: u64 = 2;
const LOST: u64 = 3;
const WIDE: u64 = 4;

const fn words() -> Words {
    [const { AtomicU64::new(0) }; WORDS]
}

fn store(words: &Words, samples: &[i16]) {
    for (word, [a, b, c, d]) in words.iter().zip(samples.as_chunks::<4>().0) {
        let [a, b, c, d] = [*a, *b, *c, *d].map(i16::to_le_bytes);
        let bytes = [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]];
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
}

fn load(words: &[u64; WORDS * 2], samples: &mut [i16]) {
    for (four, word) in samples.chunks_mut(4).zip(words) {
        for (sample, pair) in four.iter_mut().zip(word.to_le_bytes().as_chunks::<2>().0) {
            *sample = i16::from_le_bytes(*pair);
        }
    }
}

const fn kind(frame: &Frame<'_>) -> u64 {
    match frame {
        Frame::G711(_, Law::Pcmu) => PCMU,
        Frame::G711(_, Law::Pcma) => PCMA,
        Frame::Linear(_) => LINEAR,
        Frame::Wide(_) => WIDE,
        Frame::Lost => LOST,
    }
}

fn sound(kind: u64, words: &[u64; WORDS * 2]) -> Sound {
    if kind == LINEAR {
        let mut samples = [0; 160];
        load(words, &mut samples);
        return Sound::Linear(samples);
    }
    if kind == WIDE {
        let mut samples = [0; 320];
        load(words, &mut samples);
        return Sound::Wide(samples);
    }
    if kind == LOST {
        return Sound::Lost;
    }
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let mut payload = [0; 160];
    for (byte, stored) in payload.iter_mut().zip(bytes) {
        *byte = stored;
    }
    Sound::G711(payload, if kind == PCMA { Law::Pcma } else { Law::Pcmu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let ring = Ring::new();
        let mut reader = Reader::default();
        let payload: [u8; 160] = std::array::from_fn(|place| place as u8);
        let samples: [i16; 160] = std::array::from_fn(|place| place as i16 * 200 - 16_000);
        ring.write(millis(20), Frame::G711(&payload, Law::Pcma));
        ring.write(millis(40), Frame::Linear(&samples));
        let wide: WideFrame = std::array::from_fn(|place| place as i16 * 100 - 16_000);
        ring.write(millis(50), Frame::Wide(&wide));
        ring.write(millis(60), Frame::Lost);
        assert_eq!(reader.read(&ring), (0, Some((millis(20), Sound::G711(payload, Law::Pcma)))));
        assert_eq!(reader.read(&ring), (0, Some((millis(40), Sound::Linear(samples)))));
        assert_eq!(reader.read(&ring), (0, Some((millis(50), Sound::Wide(wide)))));
        assert_eq!(reader.read(&ring), (0, Some((millis(60), Sound::Lost))));
        assert_eq!(reader.read(&ring), (0, None));
    }

    #[test]
    fn a_slow_reader_loses_the_oldest_frames_and_knows_how_many() {
        let ring = Ring::new();
        for count in 0..100 {
            ring.write(millis(count), Frame::Lost);
        }
        let mut reader = Reader::default();
        assert_eq!(reader.read(&ring), (36, Some((millis(36), Sound::Lost))));
        assert_eq!(std::iter::from_fn(|| reader.read(&ring).1).count(), 63);
    }

    #[test]
    fn no_frame_is_torn_while_writer_and_reader_race() {
        let ring = Ring::new();
        const COUNT: u64 = 200_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for count in 1..=COUNT {
                    ring.write(Duration::from_nanos(count), Frame::Linear(&[(count % 30_000) as i16; 160]));
                }
                ring.close();
            });
            let mut reader = Reader::default();
            let (mut read, mut dropped, mut before) = (0, 0, 0);
            loop {
                let closed = ring.closed();
                let (lost, frame) = reader.read(&ring);
                dropped += lost;
                match frame {
                    Some((at, Sound::Linear(samples))) => {
                        let count = at.as_nanos() as u64;
                        assert!(count > before, "frames came out of order");
                        assert!(
                            samples.iter().all(|sample| *sample == (count % 30_000) as i16),
                            "a torn frame"
                        );
                        (read, before) = (read + 1, count);
                    }
                    Some(other) => panic!("{other:?} was never written"),
                    None if closed => break,
                    None => std::thread::yield_now(),
                }
            }
            assert_eq!(read + dropped, COUNT);
        });
    }
}
