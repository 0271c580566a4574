//! The way of frames from a media thread to the front thread: one writer, one reader, room for half a minute.
//!
//! The writer never waits and never fails: when the reader is that far behind, the oldest frame is written over and
//! counted as dropped. Every place carries a number that tells the reader whether it was written over while
//! it read (a sequence lock). All storage is atomic, so a torn read gives wrong numbers, never undefined ones.
//!
//! Half a minute of sound is a lot for thousands of voices, and nearly always the reader is a few frames behind. So
//! the room comes in blocks that are made when they are first needed, and those whose frames were read serve again,
//! the same few first.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    time::Duration,
};

use segue_media::{WideFrame, g711::Law};

use super::Frame;
use crate::listen::Samples;

/// Places for frames: 30.72 s.
pub(super) const PLACES: u64 = BLOCKS as u64 * BLOCK;
/// Places in a block: 640 ms.
const BLOCK: u64 = 32;
const BLOCKS: usize = 48;
/// 160 samples of 16 bit.
const WORDS: usize = 40;
type Words = [AtomicU64; WORDS];

/// The places between one writer and one reader.
pub(super) struct Ring {
    blocks: [OnceLock<Block>; BLOCKS],
    /// Which block holds the frames of a block's turn, counted round.
    holders: [AtomicUsize; BLOCKS],
    written: AtomicU64,
    taken: AtomicU64,
    closed: AtomicBool,
}

struct Block {
    places: Vec<Place>,
    /// The second half of each place, made with the first wideband frame: most voices are narrow.
    wide: OnceLock<Vec<Words>>,
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
        Ring {
            blocks: [const { OnceLock::new() }; BLOCKS],
            holders: [const { AtomicUsize::new(0) }; BLOCKS],
            written: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// For the one writer. Wait-free but for the memory of a block that is needed for the first time.
    pub(super) fn write(&self, at: Duration, frame: Frame<'_>) {
        let turn = self.written.load(Ordering::Relaxed);
        if turn.is_multiple_of(BLOCK) {
            self.take_block(turn / BLOCK);
        }
        let Some(block) = self.holder(turn) else { return };
        let block = block.get_or_init(Block::new);
        let Some(place) = block.places.get((turn % BLOCK) as usize) else { return };
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
                let wide = block.wide.get_or_init(|| std::iter::repeat_with(words).take(SIZE).collect());
                if let Some(words) = wide.get((turn % BLOCK) as usize) {
                    store(words, second);
                }
            }
            Frame::Lost => {}
        }
        place.number.store(turn * 2 + 2, Ordering::Release);
        self.written.store(turn + 1, Ordering::Release);
    }

    /// Finds a block for the turns from `number * BLOCK` on: the first whose frames are all read, or the oldest.
    fn take_block(&self, number: u64) {
        let place = |number: u64| self.holders.get((number % BLOCKS as u64) as usize);
        let unread = self.taken.load(Ordering::Acquire) / BLOCK;
        if number.saturating_sub(unread) >= BLOCKS as u64 {
            // The place in the round names the oldest block already.
            return;
        }
        let in_use = (unread..number)
            .filter_map(place)
            .fold(0_u64, |in_use, holder| in_use | 1 << holder.load(Ordering::Relaxed));
        if let Some(holder) = place(number) {
            // There are as many blocks as places in the round, so one is free.
            holder.store((in_use.trailing_ones() as usize).min(BLOCKS - 1), Ordering::Release);
        }
    }

    fn holder(&self, turn: u64) -> Option<&OnceLock<Block>> {
        let holder = self.holders.get((turn / BLOCK % BLOCKS as u64) as usize)?;
        self.blocks.get(holder.load(Ordering::Acquire))
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
            let frame = ring.holder(turn).and_then(OnceLock::get).and_then(|block| block.read(turn));
            self.taken += 1;
            // Told after the read: until then the block is not written anew.
            ring.taken.store(self.taken, Ordering::Release);
            match frame {
                Some(frame) => return (dropped, Some(frame)),
                None => dropped += 1,
            }
        }
    }
}

impl Block {
    fn new() -> Block {
        let place = || Place {
            number: AtomicU64::new(0),
            kind: AtomicU64::new(LOST),
            at: AtomicU64::new(0),
            words: words(),
        };
        Block { places: std::iter::repeat_with(place).take(SIZE).collect(), wide: OnceLock::new() }
    }

    fn read(&self, turn: u64) -> Option<(Duration, Sound)> {
        let place = (turn % BLOCK) as usize;
        self.places.get(place)?.read(turn, self.wide.get().and_then(|wide| wide.get(place)))
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

const SIZE: usize = BLOCK as usize;
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
        for count in 0..PLACES + 36 {
            ring.write(millis(count), Frame::Lost);
        }
        let mut reader = Reader::default();
        assert_eq!(reader.read(&ring), (36, Some((millis(36), Sound::Lost))));
        assert_eq!(std::iter::from_fn(|| reader.read(&ring).1).count() as u64, PLACES - 1);
    }

    #[test]
    fn half_a_minute_is_kept_for_a_reader_that_stands_still() {
        let ring = Ring::new();
        let mut reader = Reader::default();
        let mut at = Duration::ZERO;
        for stall in [3, 1_500, 40, 1_500, 1] {
            for _ in 0..stall {
                ring.write(at, Frame::Linear(&[at.as_millis() as i16; 160]));
                at += millis(1);
            }
            for back in (1..=stall).rev() {
                let due = at - millis(back);
                let sound = Sound::Linear([due.as_millis() as i16; 160]);
                assert_eq!(reader.read(&ring), (0, Some((due, sound))));
            }
        }
    }

    #[test]
    fn a_reader_that_keeps_up_needs_two_blocks() {
        let ring = Ring::new();
        let mut reader = Reader::default();
        for count in 0..10_000 {
            ring.write(millis(count), Frame::Lost);
            if count >= 20 {
                assert!(reader.read(&ring).1.is_some());
            }
        }
        assert_eq!(ring.blocks.iter().filter(|block| block.get().is_some()).count(), 2);
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
