//! The sending half of a leg: one RTP timeline for its life, whatever sounds in it.
//!
//! ```text
//!  prompt ──► if one plays ─┐
//!  Quiet  ──► comfort noise ┤
//!  Hold   ──► music         ├─► watchdog ─► blend ─► meter ─► one SSRC, sequence +1, timestamp +160
//!  Leg    ──► its voice     ┘   (filler)   (no click)
//!  keys   ──► in place of audio, RFC 4733 ────────────────┘
//! ```
//! A voice in the ear's own codec and packet time does not wait for the tick: its packets are forwarded as they
//! come (`forward.rs`), and the tick makes frames only where they fail to.

use std::time::Duration;

use crate::{
    codec::OpusEffort,
    command::{EarMeasure, PlayId, Sound, Source, TapPayload},
    forward::{Forward, Place, Way, after},
    g711::{FRAME, Frame, Law},
    keys::{Event, KeyPacket, KeySender},
    level,
    mouth::Mouth,
    music::Music,
    noise::Noise,
    random::Random,
    rtp::Header,
    session::{Codec, Direction, MediaDescription},
    voice::Voice,
    watchdog::{Blend, FRAME_TIME, Meter, Order, Watchdog, is_silent},
};

pub(crate) struct Ear {
    /// In which the frame is made.
    codec: Law,
    /// What the far side gets.
    spoken: Codec,
    payload_type: u8,
    telephone_event: Option<u8>,
    wants_sound: bool,
    /// Whether voices may be forwarded to it: allowed, and it takes packets of 20 ms.
    forwards: Forwards,
    forward: Option<Forward>,
    timeline: Timeline,
    source: Source,
    prompt: Option<Prompt>,
    hold_place: usize,
    noise: Noise,
    keys: KeySender,
    watchdog: Watchdog,
    meter: Meter,
    blend: Blend,
    frame: Frame,
    /// Whether the frame is silence to the one who hears it.
    silent: bool,
    /// Whether this tick's sound is wideband, the voice's own.
    wide: bool,
    /// Whether the frame of this tick waits to be sent.
    due: bool,
    /// Ticks for which the source has been as it is, with no prompt over it.
    settled: u32,
    /// Makes what the far side gets of the frame, unless it gets it as it is.
    mouth: Option<Box<Mouth>>,
    effort: OpusEffort,
}

/// What an ear did in one tick, apart from making a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The prompt whose last frame this is.
    pub(crate) played: Option<PlayId>,
    /// The watchdog began to fill.
    pub(crate) filled: bool,
}

/// Whether an ear takes packets as they come.
#[derive(Clone, Copy, Debug)]
struct Forwards {
    allowed: bool,
    packet_time: bool,
}

/// A packet, ready to be sent.
pub(crate) struct Made<'a> {
    pub(crate) header: [u8; 12],
    pub(crate) payload: Payload<'a>,
}

pub(crate) enum Payload<'a> {
    Sound(&'a [u8]),
    Key([u8; 4]),
    Forwarded(&'a [u8]),
}

impl Made<'_> {
    /// The timestamp and the sound of a frame of G.711 that was forwarded.
    pub(crate) fn forwarded(&self, law: Law) -> Option<(u32, TapPayload)> {
        let frame = match &self.payload {
            Payload::Sound(bytes) | Payload::Forwarded(bytes) => (*bytes).try_into().ok()?,
            Payload::Key(_) => return None,
        };
        let [_, _, _, _, t3, t2, t1, t0, ..] = self.header;
        Some((u32::from_be_bytes([t3, t2, t1, t0]), TapPayload::G711(law, frame)))
    }
}

impl Payload<'_> {
    pub(crate) const fn bytes(&self) -> &[u8] {
        match self {
            Payload::Sound(bytes) => bytes,
            Payload::Key(event) => event.as_slice(),
            Payload::Forwarded(bytes) => bytes,
        }
    }
}

/// The RTP side of it.
pub(crate) struct Timeline {
    pub(crate) ssrc: u32,
    /// Of the next packet.
    pub(crate) sequence: u16,
    /// Of the next tick's frame.
    pub(crate) timestamp: u32,
    /// One past the newest sample that was sent.
    pub(crate) end: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    /// The next packet of audio begins a talk spurt.
    pub(crate) marker: bool,
    /// Ticks of the codec's RTP clock in one of ours, which are of 8 kHz.
    pub(crate) pace: u32,
}

impl Timeline {
    /// Starts where nobody can guess (RFC 3550 §5.1), within what the seed is worth.
    pub(crate) const fn start(random: &mut Random) -> Self {
        let (ssrc, sequence, timestamp) = (random.word(), random.half(), random.word());
        Self { ssrc, sequence, timestamp, end: timestamp, packets: 0, octets: 0, marker: true, pace: 1 }
    }

    /// A time of ours on the codec's RTP clock. It wraps where that clock does.
    pub(crate) const fn on_clock(&self, ticks: u32) -> u32 {
        ticks.wrapping_mul(self.pace)
    }

    /// One packet with so many octets of payload was numbered.
    const fn sent(&mut self, octets: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets += octets as u64;
    }
}

/// The packet time that is forwarded.
const PACKET_MS: u32 = 20;
/// Shorter packets of Opus are pauses (RFC 6716 §2.1.9).
const OPUS_SOUND_MIN: usize = 3;

struct Prompt {
    play: PlayId,
    sound: Sound,
    place: usize,
}

impl Ear {
    pub(crate) fn new(
        spoken: Codec,
        (forwards, effort): (bool, OpusEffort),
        watchdog: Watchdog,
        random: &mut Random,
    ) -> Self {
        let codec = spoken.law().unwrap_or(Law::Pcmu);
        Self {
            codec,
            spoken,
            payload_type: spoken.payload_type(),
            telephone_event: None,
            wants_sound: true,
            forwards: Forwards { allowed: forwards, packet_time: true },
            forward: None,
            timeline: Timeline::start(random),
            source: Source::Quiet,
            prompt: None,
            hold_place: 0,
            noise: Noise::new(random.bits()),
            keys: KeySender::default(),
            watchdog,
            meter: Meter::default(),
            blend: Blend::default(),
            frame: [codec.silence(); FRAME],
            silent: true,
            wide: false,
            due: false,
            settled: 0,
            mouth: None,
            effort,
        }
    }

    pub(crate) fn remote(&mut self, description: &MediaDescription) {
        if let Some(&(codec, payload_type)) = description.codecs.first() {
            (self.spoken, self.payload_type) = (codec, payload_type);
            self.codec = codec.law().unwrap_or(self.codec);
            self.timeline.pace = codec.clock_hz() / 8000;
            if !self.mouth.as_ref().is_some_and(|mouth| mouth.suits(description)) {
                self.mouth = Mouth::new(description, self.effort);
            }
        }
        self.telephone_event = description.telephone_event;
        self.forwards.packet_time = description.ptime_ms == PACKET_MS;
        let wants_sound = match description.direction {
            Direction::SendRecv | Direction::RecvOnly => !description.rtp.ip().is_unspecified(),
            Direction::SendOnly | Direction::Inactive => false,
        };
        self.timeline.marker |= wants_sound && !self.wants_sound;
        self.wants_sound = wants_sound;
    }

    pub(crate) const fn source(&self) -> Source {
        self.source
    }

    /// The leg whose voice this ear hears now, if no prompt plays over it.
    pub(crate) const fn listens_to(&self) -> Source {
        match self.prompt {
            Some(_) => Source::Quiet,
            None => self.source,
        }
    }

    pub(crate) const fn wants_sound(&self) -> bool {
        self.wants_sound
    }

    /// How its sound is encoded.
    pub(crate) const fn law(&self) -> Law {
        self.codec
    }

    pub(crate) const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(crate) fn wire(&mut self, source: Source) {
        if source != self.source {
            self.source = source;
            self.settled = 0;
            self.release();
            if self.prompt.is_none() {
                self.blend.change();
            }
        }
    }

    /// Gives the prompt that this one replaces.
    pub(crate) fn play(&mut self, play: PlayId, sound: Sound) -> Option<PlayId> {
        self.blend.change();
        self.prompt.replace(Prompt { play, sound, place: 0 }).map(|prompt| prompt.play)
    }

    /// Whether the prompt played here and does no longer.
    pub(crate) fn stop(&mut self, play: PlayId) -> bool {
        let stopped = self.prompt.take_if(|prompt| prompt.play == play).is_some();
        if stopped {
            self.blend.change();
        }
        stopped
    }

    /// Takes away whatever prompt plays.
    pub(crate) fn silence(&mut self) -> Option<PlayId> {
        self.prompt.take().map(|prompt| prompt.play)
    }

    /// Gives how many keys could not be taken: no keys, too many, or no telephone-event at the far side.
    pub(crate) fn send_keys(&mut self, keys: impl IntoIterator<Item = char>) -> u64 {
        match self.telephone_event {
            Some(_) => self.keys.push(keys),
            None => keys.into_iter().count() as u64,
        }
    }

    pub(crate) fn watch(&mut self, on: bool) {
        self.watchdog.watch(on);
    }

    /// Whether a voice that sends nothing is filled for.
    pub(crate) const fn cover(&mut self, on: bool) {
        self.watchdog.cover(on);
    }

    pub(crate) fn mark(&mut self) -> EarMeasure {
        self.meter.mark()
    }

    /// Time went by in which nothing could be sent: the timeline goes on without it.
    pub(crate) fn skip(&mut self, frames: u32) {
        self.timeline.timestamp = self.timeline.timestamp.wrapping_add(frames.wrapping_mul(FRAME as u32));
        self.timeline.marker = true;
        // What is forwarded is measured by its timestamps, when it goes on or fails to.
        if self.forward.is_none() {
            self.watchdog.skipped(frames);
            self.meter.silent(frames);
        }
    }

    /// Whether the packets of a voice that speaks this codec can go to this ear as they come.
    /// What wideband packets hold nobody knows without decoding them, so watched ears do not take them.
    pub(crate) fn is_like(&self, codec: Codec) -> bool {
        let known = codec.law().is_some() || !self.watchdog.is_on();
        self.forwards.allowed && self.forwards.packet_time && codec == self.spoken && known
    }

    /// Takes a packet of 20 ms from the voice that this ear listens to; gives what is to be sent at once.
    pub(crate) fn forward<'a>(&'a mut self, heard: &Header, payload: &'a [u8]) -> Option<Made<'a>> {
        let frame: Option<&Frame> = payload.try_into().ok().filter(|_| self.spoken.law().is_some());
        let silent = match frame {
            Some(frame) => is_silent(self.codec, frame),
            None => self.spoken == Codec::Opus && payload.len() < OPUS_SOUND_MIN,
        };
        if !self.is_free() || (silent && self.watchdog.is_out_of_patience()) {
            self.release();
            return None;
        }
        let place = self.place(heard)?;
        if !place.overtaken {
            self.passed(after(place.timestamp, self.timeline.end));
            self.timeline.end = place.timestamp.wrapping_add(FRAME as u32);
            if self.watchdog.judge(silent) == Order::Resume {
                self.blend.change();
            }
            self.meter.sent(silent);
        }
        let marker = (heard.marker || self.timeline.marker) && !place.overtaken;
        self.timeline.marker &= place.overtaken;
        let header = self.number(place, marker, self.payload_type, payload.len());
        let Some(frame) = frame.filter(|_| !place.overtaken) else {
            return Some(Made { header, payload: Payload::Forwarded(payload) });
        };
        if !self.blend.is_due() {
            self.blend.note(self.codec, frame);
            return Some(Made { header, payload: Payload::Forwarded(payload) });
        }
        self.frame = *frame;
        self.blend.apply(self.codec, &mut self.frame);
        Some(Made { header, payload: Payload::Sound(&self.frame) })
    }

    /// Takes a packet of a telephone event from that voice; gives what is to be sent at once, if the voice is
    /// being forwarded and this far side speaks events.
    pub(crate) fn forward_event<'a>(&mut self, heard: &Header, payload: &'a [u8]) -> Option<Made<'a>> {
        let (event, telephone_event) = (Event::read(payload)?, self.telephone_event?);
        let free = self.is_free();
        let forward = self.forward.as_mut().filter(|_| free)?;
        let place = forward.event(heard, event.duration, event.end)?;
        let end = place.timestamp.wrapping_add(u32::from(event.duration));
        // The event is known as far as it lasts; the ear's time goes on no further than the next tick's frame.
        let beyond = after(end, self.timeline.end).min(self.timeline.gap() + FRAME as i32);
        if beyond > 0 {
            self.timeline.end = self.timeline.end.wrapping_add_signed(beyond);
            self.passed(beyond - FRAME as i32);
            self.meter.key();
            self.watchdog.skipped(1);
        }
        let header = self.number(place, heard.marker, telephone_event, payload.len());
        Some(Made { header, payload: Payload::Forwarded(payload) })
    }

    /// The voice goes on in a way that cannot be forwarded, or pauses: the next tick makes a frame.
    pub(crate) fn release(&mut self) {
        let Some(forward) = self.forward.take() else { return };
        self.blend.change();
        let gap = self.timeline.settle(forward.is_flowing());
        self.timeline.marker |= gap > 0;
        self.passed(gap);
    }

    /// Whether this tick's time was sent on arrival, or may still be.
    pub(crate) fn is_covered(&mut self) -> bool {
        if let Some(forward) = &mut self.forward {
            let waits = forward.wait();
            if waits && self.is_free() && !self.watchdog.is_out_of_patience() {
                return true;
            }
            self.release();
        }
        self.timeline.gap() < 0
    }

    fn is_free(&self) -> bool {
        self.prompt.is_none() && self.wants_sound && !self.keys.is_busy()
    }

    /// Where a packet goes that continues what was forwarded, or begins forwarding.
    fn place(&mut self, heard: &Header) -> Option<Place> {
        if let Some(forward) = &mut self.forward {
            match forward.audio(&mut self.timeline, heard) {
                Way::Send(place) => return Some(place),
                Way::Drop => return None,
                Way::Elsewhere => self.release(),
            }
        }
        self.timeline.marker |= self.timeline.gap() >= FRAME as i32;
        let mut forward = Forward::begin(&self.timeline, heard)?;
        let way = forward.audio(&mut self.timeline, heard);
        self.forward = Some(forward);
        match way {
            Way::Send(place) => Some(place),
            Way::Drop | Way::Elsewhere => None,
        }
    }

    /// So many samples of the timeline went by in which nothing was sent.
    fn passed(&mut self, samples: i32) {
        if let Ok(frames @ 1..) = u32::try_from(samples / FRAME as i32) {
            self.meter.silent(frames);
            self.watchdog.skipped(frames);
        }
    }

    fn number(&mut self, place: Place, marker: bool, payload_type: u8, octets: usize) -> [u8; 12] {
        let timeline = &mut self.timeline;
        if !place.overtaken {
            timeline.sequence = place.sequence.wrapping_add(1);
        }
        timeline.packets += 1;
        timeline.octets += octets as u64;
        let (sequence, ssrc) = (place.sequence, timeline.ssrc);
        let timestamp = timeline.on_clock(place.timestamp);
        Header { marker, payload_type, sequence, timestamp, ssrc }.write()
    }

    /// Makes this tick's frame from the source's; `heard` is the voice that the source names, if it is there, and
    /// `missing` for how long that voice should have sent something and did not.
    pub(crate) fn tick(&mut self, heard: Option<&Voice>, missing: Option<Duration>, music: &Music) -> Done {
        self.due = true;
        let absent = missing.is_some_and(|missing| self.is_left_alone(missing));
        self.wide = !absent && self.hear_wide(heard);
        if self.wide {
            return Done::default();
        }
        let played = self.own_frame(heard, music);
        self.silent = is_silent(self.codec, &self.frame);
        let order = match absent {
            true => self.watchdog.fill(),
            false => self.watchdog.judge(self.silent && self.wants_sound),
        };
        match order {
            Order::Send | Order::GoOn => {}
            Order::Resume => self.blend.change(),
            Order::Fill => {
                self.meter.filled();
                self.blend.change_slowly();
            }
        }
        if matches!(order, Order::Fill | Order::GoOn) {
            (self.frame, self.hold_place) = music.frame(self.codec, self.hold_place);
        }
        let blended = self.blend.apply(self.codec, &mut self.frame);
        if blended || matches!(order, Order::Fill | Order::GoOn) {
            self.silent = is_silent(self.codec, &self.frame);
        }
        if played.is_some() {
            self.blend.change();
        }
        Done { played, filled: order == Order::Fill }
    }

    /// The timestamp and the sound of this tick's frame; `heard` is what the tick was given.
    pub(crate) fn heard(&self, heard: Option<&Voice>) -> (u32, TapPayload) {
        let payload = match heard.and_then(Voice::wide).filter(|_| self.wide) {
            Some(wide) => TapPayload::Wide(*wide),
            None => TapPayload::G711(self.codec, self.frame),
        };
        (self.timeline.timestamp, payload)
    }

    /// The next packet of this tick; to be called until there is none, where there is somewhere to send it.
    pub(crate) fn packet(&mut self) -> Option<Made<'_>> {
        if std::mem::take(&mut self.due) {
            let key = self.keys.step(self.timeline.timestamp).zip(self.telephone_event);
            if let Some((key, telephone_event)) = key {
                return Some(self.key_packet(&key, telephone_event));
            }
            self.meter.sent(self.silent);
            self.timeline.end = self.timeline.timestamp.wrapping_add(FRAME as u32);
            match &mut self.mouth {
                Some(mouth) => mouth.take(self.codec, &self.frame),
                None => {
                    let header = self.header(FRAME as u32, FRAME);
                    return Some(Made { header, payload: Payload::Sound(&self.frame) });
                }
            }
        }
        let cut = self.mouth.as_mut()?.cut()?;
        let (back, octets) = (cut.back, cut.payload.len());
        let header = self.header(back, octets);
        Some(Made { header, payload: Payload::Sound(self.mouth.as_ref()?.payload()) })
    }

    fn key_packet(&mut self, key: &KeyPacket, telephone_event: u8) -> Made<'static> {
        if let Some(mouth) = &mut self.mouth {
            mouth.clear();
        }
        self.meter.key();
        let event = key.event.write();
        let timeline = &mut self.timeline;
        let header = Header {
            marker: key.marker,
            payload_type: telephone_event,
            sequence: timeline.sequence,
            timestamp: timeline.on_clock(key.timestamp),
            ssrc: timeline.ssrc,
        };
        timeline.sent(event.len());
        timeline.end = timeline.timestamp.wrapping_add(FRAME as u32);
        Made { header: header.write(), payload: Payload::Key(event) }
    }

    /// The header of the next packet of sound.
    fn header(&mut self, back: u32, octets: usize) -> [u8; 12] {
        let timeline = &mut self.timeline;
        let header = Header {
            marker: std::mem::take(&mut timeline.marker),
            payload_type: self.payload_type,
            sequence: timeline.sequence,
            timestamp: timeline.on_clock(timeline.timestamp.wrapping_add(FRAME as u32).wrapping_sub(back)),
            ssrc: timeline.ssrc,
        };
        timeline.sent(octets);
        header.write()
    }

    /// Takes the voice's wideband sound as it is, if the far side can hear it and nothing else is to sound.
    fn hear_wide(&mut self, heard: Option<&Voice>) -> bool {
        let Some(mouth) = self.mouth.as_mut().filter(|mouth| mouth.is_wide() && self.prompt.is_none()) else {
            return false;
        };
        let voice = heard.filter(|_| matches!(self.source, Source::Leg(_)));
        let Some(sound) = voice.and_then(Voice::wide) else { return false };
        let silent = level::mean_square(sound) < level::SILENCE_POWER;
        if silent && self.watchdog.is_out_of_patience() {
            return false;
        }
        let resumed = self.watchdog.judge(silent && self.wants_sound) == Order::Resume;
        let softly = self.blend.pass_by() || resumed;
        self.silent = silent;
        mouth.hear(sound, softly);
        true
    }

    /// Whether the voice that this ear hears has sent nothing for so long that the ear is filled for it.
    fn is_left_alone(&self, missing: Duration) -> bool {
        let hears_voice = self.prompt.is_none() && matches!(self.source, Source::Leg(_)) && self.wants_sound;
        hears_voice && self.watchdog.covers(missing.min(FRAME_TIME * self.settled))
    }

    /// Ends the tick: the timeline goes on, sent or not.
    pub(crate) const fn advance(&mut self) {
        self.settled = if self.prompt.is_some() { 0 } else { self.settled.saturating_add(1) };
        self.timeline.timestamp = self.timeline.timestamp.wrapping_add(FRAME as u32);
    }

    fn own_frame(&mut self, heard: Option<&Voice>, music: &Music) -> Option<PlayId> {
        if let Some(prompt) = &mut self.prompt
            && let Some(rest) = prompt.sound.get(prompt.place..).filter(|rest| !rest.is_empty())
        {
            self.frame.fill(self.codec.silence());
            self.codec.encode_into(rest, &mut self.frame);
            prompt.place += FRAME;
            if rest.len() > FRAME {
                return None;
            }
            return self.silence();
        }
        let empty = self.silence();
        match (self.source, heard.and_then(|voice| Some((voice.law(), voice.frame()?)))) {
            (Source::Leg(_), Some((codec, frame))) => {
                self.frame = *frame;
                codec.transcode(self.codec, &mut self.frame);
            }
            (Source::Hold, _) => (self.frame, self.hold_place) = music.frame(self.codec, self.hold_place),
            (Source::Quiet | Source::Leg(_), _) => self.frame = self.noise.frame(self.codec),
        }
        empty
    }
}
