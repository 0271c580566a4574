//! The sending half of a leg: one RTP timeline for its life, whatever sounds in it.
//!
//! ```text
//!  prompt ──► if one plays ─┐
//!  Quiet  ──► comfort noise ┤
//!  Hold   ──► music         ├─► watchdog ─► blend ─► meter ─► one SSRC, sequence +1, timestamp +160
//!  Leg    ──► its voice     ┘   (filler)   (no click)
//!  keys   ──► in place of audio, RFC 4733 ────────────────┘
//! ```

use crate::{
    command::{EarMeasure, PlayId, Sound, Source},
    g711::{FRAME, Frame, Law},
    keys::KeySender,
    music::Music,
    noise::Noise,
    random::Random,
    rtp::Header,
    session::{Codec, Direction, MediaDescription},
    voice::Voice,
    watchdog::{Blend, Meter, Order, Watchdog, is_silent},
};

pub(crate) struct Ear {
    codec: Law,
    payload_type: u8,
    telephone_event: Option<u8>,
    wants_sound: bool,
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
}

/// What an ear did in one tick, apart from making a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The prompt whose last frame this is.
    pub(crate) played: Option<PlayId>,
    /// The watchdog began to fill.
    pub(crate) filled: bool,
}

/// A packet, ready to be sent.
pub(crate) struct Made<'a> {
    pub(crate) header: [u8; 12],
    pub(crate) payload: Payload<'a>,
}

pub(crate) enum Payload<'a> {
    Sound(&'a Frame),
    Key([u8; 4]),
}

impl Payload<'_> {
    pub(crate) const fn bytes(&self) -> &[u8] {
        match self {
            Payload::Sound(frame) => frame.as_slice(),
            Payload::Key(event) => event.as_slice(),
        }
    }
}

/// The RTP side of it.
pub(crate) struct Timeline {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    /// The next packet of audio begins a talk spurt.
    pub(crate) marker: bool,
}

impl Timeline {
    /// Starts where nobody can guess (RFC 3550 §5.1), within what the seed is worth.
    pub(crate) const fn start(random: &mut Random) -> Self {
        Self {
            ssrc: random.word(),
            sequence: random.half(),
            timestamp: random.word(),
            packets: 0,
            octets: 0,
            marker: true,
        }
    }
}

struct Prompt {
    play: PlayId,
    sound: Sound,
    place: usize,
}

impl Ear {
    pub(crate) fn new(codec: Codec, watchdog: Watchdog, random: &mut Random) -> Self {
        let payload_type = codec.payload_type();
        let codec = codec.law().unwrap_or(Law::Pcmu);
        Self {
            codec,
            payload_type,
            telephone_event: None,
            wants_sound: true,
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
        }
    }

    pub(crate) fn remote(&mut self, description: &MediaDescription) {
        if let Some(&(codec, payload_type)) = description.codecs.first()
            && let Some(law) = codec.law()
        {
            (self.codec, self.payload_type) = (law, payload_type);
        }
        self.telephone_event = description.telephone_event;
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

    pub(crate) const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(crate) fn wire(&mut self, source: Source) {
        if source != self.source {
            self.source = source;
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

    pub(crate) fn mark(&mut self) -> EarMeasure {
        self.meter.mark()
    }

    /// Time went by in which nothing could be sent: the timeline goes on without it.
    pub(crate) fn skip(&mut self, frames: u32) {
        self.timeline.timestamp = self.timeline.timestamp.wrapping_add(frames.wrapping_mul(FRAME as u32));
        self.timeline.marker = true;
        self.watchdog.skipped(frames);
        self.meter.silent(frames);
    }

    /// Makes this tick's frame from the source's; `heard` is the voice that the source names, if it is there.
    pub(crate) fn tick(&mut self, heard: Option<&Voice>, music: &Music) -> Done {
        let played = self.own_frame(heard, music);
        self.silent = is_silent(self.codec, &self.frame);
        let order = self.watchdog.judge(self.silent && self.wants_sound);
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

    /// The packet of this tick; to be called once a tick where there is somewhere to send it.
    pub(crate) fn packet(&mut self) -> Made<'_> {
        let timeline = &mut self.timeline;
        let key = self.keys.step(timeline.timestamp).zip(self.telephone_event);
        let mut header = Header {
            marker: timeline.marker,
            payload_type: self.payload_type,
            sequence: timeline.sequence,
            timestamp: timeline.timestamp,
            ssrc: timeline.ssrc,
        };
        let payload = if let Some((key, telephone_event)) = key {
            header.marker = key.marker;
            header.payload_type = telephone_event;
            header.timestamp = key.timestamp;
            self.meter.key();
            Payload::Key(key.event.write())
        } else {
            timeline.marker = false;
            self.meter.sent(self.silent);
            Payload::Sound(&self.frame)
        };
        timeline.sequence = timeline.sequence.wrapping_add(1);
        timeline.packets += 1;
        timeline.octets += payload.bytes().len() as u64;
        Made { header: header.write(), payload }
    }

    /// Ends the tick: the timeline goes on, sent or not.
    pub(crate) const fn advance(&mut self) {
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
        match (self.source, heard.and_then(|voice| Some((voice.codec(), voice.frame()?)))) {
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
