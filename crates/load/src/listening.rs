//! What one ear hears where marks do not survive: the far side's numbers packet by packet, and the voices of
//! `tones.rs` in a sample of the sound.
//!
//! Pure: a packet and the time it arrived in; counters and news out. Sound is decoded only during a look: all the time
//! until a voice is known, then once in `every` seconds around the step of its loop.
//!
//! ```text
//! phase of the second   0      0.4 ──────── look ──────── 0.95
//!                                   0.5 step + slot + delay
//! ```

use segue_media::{Codec, PayloadDecoder, level, rtp::Header};

use crate::{
    clock::{MILLISECOND, Nanos, SECOND},
    hearing::{Heard, Tally, Told},
    tones::{self, CHUNK, Finder},
    track::{JUMP_MAX, Place, Track},
};

/// A look begins at this phase of a second.
const LOOK_FROM: Nanos = 400 * MILLISECOND;
/// And ends here.
const LOOK_TO: Nanos = 950 * MILLISECOND;
/// A step that comes later than this is another one.
const DELAY_MAX: Nanos = 400 * MILLISECOND;
/// Chunks in a row that must agree before a voice or other sound is told.
const AGREE: u32 = 2;
const RATE: u64 = 8_000;
/// Samples of one measurement of loudness: 2.5 ms, the resolution of delays.
const BLOCK: usize = 20;
/// Blocks before and after a step that are compared: 40 and 20 ms.
const BEFORE: usize = 16;
const AFTER: usize = 8;
/// Power goes up by 12 dB at a step; so much of it must be there, 8 dB, and 6 dB in its first block.
const RISE: f64 = 6.3;
const RISE_FIRST: f64 = 4.0;

/// One ear.
pub(crate) struct Listening {
    codec: Codec,
    decoder: PayloadDecoder,
    /// Seconds between two looks; 0 listens always.
    every: u64,
    /// In which of them this ear looks.
    turn: u64,
    track: Option<Track>,
    /// The packet of sound before this one: its number and its timestamp.
    before: Option<(u32, u32)>,
    look: Option<Look>,
    /// The second whose look is over.
    looked: Option<u64>,
    heard: Option<Heard>,
    /// Whether a voice was ever heard: before, there is nothing to be missed.
    is_met: bool,
    audible: bool,
    audible_last: Nanos,
    silence_max: Nanos,
    tally: Tally,
}

/// What was decoded since a look began.
struct Look {
    second: u64,
    /// At 8 kHz.
    sound: Vec<i16>,
    /// How many samples there were when a packet came, and when that was.
    arrivals: Vec<(usize, Nanos)>,
    /// Samples in which a voice was looked for already.
    searched: usize,
    /// What the last chunk was, how many in a row, and since when.
    last: Option<(Option<u32>, u32, Nanos)>,
    voice: Option<u32>,
    stepped: bool,
}

impl Look {
    const fn new(second: u64) -> Self {
        Self {
            second,
            sound: Vec::new(),
            arrivals: Vec::new(),
            searched: 0,
            last: None,
            voice: None,
            stepped: false,
        }
    }

    /// When the sound at this sample came.
    fn time_of(&self, sample: usize) -> Nanos {
        let packet = self.arrivals.iter().rev().find(|(first, _)| *first <= sample);
        packet.map_or(0, |(first, at)| at + (sample - first) as u64 * SECOND / RATE)
    }

    /// Forgets the sound: what comes next does not follow it.
    fn cut(&mut self) {
        self.sound.clear();
        self.arrivals.clear();
        self.searched = 0;
    }
}

impl Listening {
    /// An ear that begins to listen; it looks every so many seconds, ears with other numbers in others of them.
    pub(crate) fn new(codec: Codec, (every, number): (u64, u32), now: Nanos) -> Self {
        Self {
            codec,
            decoder: PayloadDecoder::new(codec),
            every,
            turn: u64::from(number).checked_rem(every).unwrap_or(0),
            track: None,
            before: None,
            look: None,
            looked: None,
            heard: None,
            is_met: false,
            audible: false,
            audible_last: now,
            silence_max: 0,
            tally: Tally::default(),
        }
    }

    /// One packet; `is_sound` if it is no key.
    pub(crate) fn hear(
        &mut self,
        at: Nanos,
        (header, payload): (Header, &[u8]),
        is_sound: bool,
        finder: &Finder,
    ) -> Told {
        if !self.follow(header, is_sound) || !is_sound {
            return Told::default();
        }
        if !self.is_to_look(at) {
            self.end_look();
            if self.audible {
                self.sounds(at);
            }
            return Told::default();
        }
        self.listen(at, payload);
        let change = self.search(finder);
        let delay = self.find_step();
        if delay.is_some() && self.every > 0 {
            self.end_look();
        }
        Told { delay, change }
    }

    /// What was counted since it was asked last.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// The end. Gives the longest silence.
    pub(crate) fn finish(&mut self, now: Nanos) -> Nanos {
        self.sounds(now);
        self.silence_max
    }

    /// Counts a packet by its numbers; false for one that came before or too late.
    fn follow(&mut self, header: Header, is_sound: bool) -> bool {
        let Some(track) = self.track.as_mut().filter(|track| track.stream == header.ssrc) else {
            // Far from zero, so that what was sent before it has a number.
            let number = 1 << 20 | u32::from(header.sequence);
            self.track = Some(Track::new(header.ssrc, number));
            self.tally.received += 1;
            self.before = is_sound.then_some((number, header.timestamp));
            return true;
        };
        let number = track.whole(header.sequence);
        match track.follow(number) {
            Place::Again => {
                self.tally.duplicated += 1;
                return false;
            }
            Place::Late => {
                self.tally.received += 1;
                self.tally.reordered += 1;
                return false;
            }
            Place::Next { missing } => {
                self.tally.received += 1;
                self.tally.missing += u64::from(missing);
                if missing > 0
                    && let Some(look) = &mut self.look
                {
                    look.cut();
                }
            }
        }
        // Numbers that follow each other with a hole in the timestamps: sound that was never sent.
        if let Some((before, timestamp)) = self.before
            && is_sound
            && before.wrapping_add(1) == number
        {
            let ticks = header.timestamp.wrapping_sub(timestamp);
            let left_out = (ticks / self.codec.frame_ticks()).saturating_sub(1);
            self.tally.missing += if left_out <= JUMP_MAX { u64::from(left_out) } else { 0 };
        }
        self.before = is_sound.then_some((number, header.timestamp));
        true
    }

    fn is_to_look(&mut self, at: Nanos) -> bool {
        let second = at / SECOND;
        if self.look.as_ref().is_some_and(|look| look.second != second) {
            self.end_look();
        }
        let is_known = matches!(self.heard, Some(Heard::Stream(_)));
        if self.every == 0 || !is_known {
            return true;
        }
        let in_turn = second % self.every == self.turn && self.looked != Some(second);
        in_turn && (LOOK_FROM..LOOK_TO).contains(&(at % SECOND))
    }

    fn end_look(&mut self) {
        let Some(look) = self.look.take() else { return };
        self.looked = Some(look.second);
        // A look that is too short to hear anything proves nothing.
        if look.last.is_some() && self.is_met {
            self.tally.looks += 1;
            self.tally.looks_in_vain += u64::from(look.voice.is_none());
        }
    }

    fn listen(&mut self, at: Nanos, payload: &[u8]) {
        let look = self.look.get_or_insert_with(|| Look::new(at / SECOND));
        look.arrivals.push((look.sound.len(), at));
        if self.codec.sound_hz() == 8_000 {
            self.decoder.decode(payload, &mut look.sound);
            return;
        }
        let mut wide = Vec::with_capacity(960);
        self.decoder.decode(payload, &mut wide);
        look.sound.extend(wide.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, half| sum + half / 2)));
    }

    /// Looks for a voice in whatever is new; tells a change.
    fn search(&mut self, finder: &Finder) -> Option<(Heard, Nanos)> {
        let look = self.look.as_mut()?;
        let chunk = look.sound.get(look.searched..look.searched + CHUNK)?;
        let voice = finder.find(chunk);
        let audible = level::dbov(chunk) >= level::SILENCE;
        let since = look.time_of(look.searched);
        let now = look.time_of(look.searched + CHUNK - 1);
        look.searched += CHUNK;
        let (row, since) = match look.last {
            Some((last, row, since)) if last == voice && (voice.is_some() || audible) => (row + 1, since),
            Some(_) | None => (1, since),
        };
        look.last = Some((voice, row, since));
        if voice.is_some() && row >= AGREE {
            look.voice = voice;
            self.is_met = true;
        }
        self.audible = audible;
        if audible {
            self.sounds(now);
        }
        let heard = voice.map_or(Heard::Sound, Heard::Stream);
        if !audible || row < AGREE || self.heard == Some(heard) {
            return None;
        }
        self.heard = Some(heard);
        Some((heard, since))
    }

    /// How long the step of the voice was under way, once a look.
    fn find_step(&mut self) -> Option<Nanos> {
        let look = self.look.as_mut().filter(|look| !look.stepped)?;
        let Some(Heard::Stream(voice)) = self.heard.filter(|_| look.voice.is_some()) else { return None };
        let at = look.time_of(step(&look.sound)?);
        look.stepped = true;
        let delay = (at % SECOND + SECOND - tones::step_at(voice)) % SECOND;
        (delay < DELAY_MAX).then_some(delay)
    }

    fn sounds(&mut self, at: Nanos) {
        let gap = at.saturating_sub(self.audible_last).saturating_sub(20 * MILLISECOND);
        self.silence_max = self.silence_max.max(gap);
        self.audible_last = self.audible_last.max(at);
    }
}

/// The sample at which everything becomes 12 dB louder, to a block.
fn step(sound: &[i16]) -> Option<usize> {
    let power = |block: &[i16]| block.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() + 1.0;
    let blocks: Vec<f64> = sound.chunks_exact(BLOCK).map(power).collect();
    let mean = |blocks: &[f64]| blocks.iter().sum::<f64>() / blocks.len().max(1) as f64;
    let found = blocks.windows(BEFORE + AFTER).position(|blocks| {
        let (before, after) = blocks.split_at(BEFORE);
        let quiet = mean(before);
        mean(after) > RISE * quiet && after.first().is_some_and(|first| *first > RISE_FIRST * quiet)
    })?;
    Some((found + BEFORE) * BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tones::Loop, words::Role};

    const FRAME: Nanos = 20 * MILLISECOND;
    const DELAY: Nanos = 37 * MILLISECOND;

    /// A far side with one voice whose packets are all under way for [`DELAY`].
    struct World {
        ear: Listening,
        finder: Finder,
        codec: Codec,
        due: Nanos,
        header: Header,
        tally: Tally,
        delays: Vec<Nanos>,
        changes: Vec<(Heard, Nanos)>,
    }

    impl World {
        fn new(codec: Codec, every: u64) -> Self {
            let due = 1_000 * SECOND;
            let header =
                Header { marker: false, payload_type: 0, sequence: 65_500, timestamp: u32::MAX, ssrc: 7 };
            let ear = Listening::new(codec, (every, 0), due);
            let finder = Finder::new();
            let (tally, delays, changes) = (Tally::default(), Vec::new(), Vec::new());
            Self { ear, finder, codec, due, header, tally, delays, changes }
        }

        fn step(&mut self) {
            self.due += FRAME;
            self.header.sequence = self.header.sequence.wrapping_add(1);
            self.header.timestamp = self.header.timestamp.wrapping_add(self.codec.frame_ticks());
        }

        fn hear(&mut self, payload: &[u8], slot: Nanos) {
            let at = self.due + slot + DELAY;
            let told = self.ear.hear(at, (self.header, payload), true, &self.finder);
            self.delays.extend(told.delay);
            self.changes.extend(told.change);
            self.tally.add(&self.ear.take_tally());
        }

        fn speak(&mut self, frames: u64, voice: u32) {
            let sound = Loop::new(self.codec, voice).unwrap();
            let slot = tones::step_at(voice) - tones::STEP_AT;
            for _ in 0..frames {
                self.hear(sound.frame(self.due), slot);
                self.step();
            }
        }
    }

    #[test]
    fn a_voice_is_told_with_its_beginning_and_its_delay_to_three_milliseconds() {
        for (codec, own) in [(Codec::Pcmu, 0), (Codec::G722, 3), (Codec::Opus, 14)] {
            for every in [0, 2] {
                let voice = tones::voice(Role::Bot, 33);
                let mut world = World::new(codec, every);
                world.speak(501, voice);
                let begun = 1_000 * SECOND + 13 * MILLISECOND + DELAY;
                let [(heard, since)] = world.changes[..] else { panic!("{codec:?} {:?}", world.changes) };
                assert_eq!(heard, Heard::Stream(voice));
                assert!((begun..begun + 140 * MILLISECOND).contains(&since), "{codec:?} {}", since - begun);
                let (wanted, looks) = if every == 0 { (10, 10) } else { (5, 5) };
                assert!(world.delays.len().abs_diff(wanted) <= 1, "{codec:?} {every} {:?}", world.delays);
                for delay in &world.delays {
                    let beyond = (*delay as i64 - DELAY as i64) / MILLISECOND as i64;
                    assert!((-1..=own + 3).contains(&beyond), "{codec:?} every {every}: {beyond} ms");
                }
                let tally = world.tally;
                assert!(tally.looks.abs_diff(looks) <= 1, "{codec:?} {every} {tally:?}");
                assert_eq!((tally.looks_in_vain, tally.received, tally.lost()), (0, 501, 0), "{codec:?}");
            }
        }
    }

    #[test]
    fn packets_are_counted_by_numbers_and_holes_in_time() {
        let mut world = World::new(Codec::G722, 2);
        world.speak(10, 0);
        world.step();
        world.speak(10, 0);
        let next = world.header;
        world.header.sequence = next.sequence.wrapping_sub(1);
        world.hear(&[0; 160], 0);
        world.header = next;
        world.header.timestamp = world.header.timestamp.wrapping_add(3 * 160);
        world.speak(10, 0);
        let Tally { received, missing, duplicated, .. } = world.tally;
        assert_eq!((received, missing, duplicated), (30, 1 + 3, 1));
    }

    #[test]
    fn music_in_place_of_the_voice_is_told_and_looked_at_in_vain() {
        let mut world = World::new(Codec::Pcma, 0);
        world.speak(100, 5 << 2);
        let music = segue_media::tone::sine(1_000.0, -20.0, 160);
        let mut payload = Vec::new();
        segue_media::PayloadEncoder::new(Codec::Pcma).unwrap().encode(&music, &mut payload);
        for _ in 0..100 {
            world.hear(&payload, 0);
            world.step();
        }
        world.speak(100, 5 << 2);
        let heard: Vec<Heard> = world.changes.iter().map(|(heard, _)| *heard).collect();
        assert_eq!(heard, [Heard::Stream(20), Heard::Sound, Heard::Stream(20)]);
        assert!((1..=2).contains(&world.tally.looks_in_vain), "{:?}", world.tally);
    }

    #[test]
    fn silence_is_the_time_without_audible_sound() {
        let mut world = World::new(Codec::Pcmu, 0);
        world.speak(100, 0);
        for _ in 0..50 {
            world.hear(&[0xFF; 160], 0);
            world.step();
        }
        world.speak(50, 0);
        let silence = world.ear.finish(world.due + DELAY) / MILLISECOND;
        assert!((900..=1_100).contains(&silence), "{silence}");
    }
}
