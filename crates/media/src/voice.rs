//! The receiving half of a leg: from packets to one frame of the far side's voice a tick.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    codec::{Decoders, packet_ticks},
    command::{InBandKeys, LegStats, TapPayload},
    dtmf::InBand,
    g711::{FRAME, Frame, Law, Samples},
    jitter::{JitterLimits, Packet},
    keys::{Event, KeyListener},
    life::Life,
    lock::{SourceLock, Verdict},
    playout::{Decode, Laid, Pace, Playout, Taken},
    reception::{Reception, Seen},
    resample::Down,
    rtp::Header,
    session::{Codec, MediaDescription, WIDE_FRAME, WideFrame},
};

pub(crate) struct Voice {
    codec: Codec,
    /// In which the frame is made: the codec, if that is a law.
    law: Law,
    clock: Clock,
    decoders: Decoders,
    /// There where the codec is wideband.
    wide: Option<Box<Wide>>,
    types: PayloadTypes,
    pub(crate) lock: SourceLock,
    pub(crate) reception: Reception,
    pub(crate) life: Life,
    listener: KeyListener,
    wish: InBandKeys,
    /// Listens for keys in the sound, where it has to.
    tones: Option<Box<InBand>>,
    /// A key that was heard in the sound of this tick.
    dialled: Option<char>,
    limits: JitterLimits,
    /// Its sound, while somebody needs it.
    playout: Option<Box<Playout>>,
    frame: Frame,
    /// Packets in a row that are one frame each in the voice's own codec.
    regular: u16,
    said: Said,
    /// Whether the frame is the noise that the far side described.
    resting: bool,
    heard: bool,
    counts: Counts,
}

/// What the far side said in this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing, or nothing for others' ears.
    Nothing,
    /// What is in the frame.
    Sound,
}

/// What a packet brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival<'a> {
    /// It is the first ever accepted.
    pub(crate) first: bool,
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
    pub(crate) kind: Arrived,
}

/// What kind of packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Sound in this codec.
    Audio(Codec),
    /// Part of a telephone event, and the key if it is the first to tell of its press.
    Event(Option<char>),
    /// The far side pauses (RFC 3389).
    Pause,
}

/// What the tap of a voice gets in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tapped {
    /// The far side has not been heard yet.
    NotYet,
    /// It said something; `Voice::tapped` has it.
    Sound,
    /// Lost, or not sent.
    Gap,
}

#[derive(Debug, Default)]
struct Counts {
    late: u64,
    duplicated: u64,
    rejected: u64,
    concealed: u64,
}

/// Sound of a wideband voice.
struct Wide {
    frame: WideFrame,
    down: Down,
    narrow: Vec<i16>,
}

/// Brings timestamps to ticks of 8 kHz, in which everything here counts.
#[derive(Debug, Default)]
struct Clock {
    last: Option<(u32, u64)>,
}

enum Kind {
    Audio(Codec),
    Event,
    ComfortNoise,
    Unknown,
}

struct PayloadTypes {
    codecs: Vec<(Codec, u8)>,
    /// As the far side wants to get it, and as our own offers name it: which of them it uses depends on who
    /// offered, and some phones get it wrong.
    events: [Option<u8>; 2],
}

/// RFC 3389.
const COMFORT_NOISE: u8 = 13;
/// 120 ms; longer packets are no speech of anybody's phone.
const PAYLOAD_MAX: usize = 960;
/// After a packet of another length or codec, so many in a row (1 s) make a voice fit to be forwarded again.
const REGULAR: u16 = 50;
/// Of a packet that can be forwarded.
const TICKS: u32 = FRAME as u32;

impl Voice {
    pub(crate) fn new(codec: Codec, limits: JitterLimits, telephone_event: u8) -> Self {
        let law = codec.law().unwrap_or(Law::Pcmu);
        Self {
            codec,
            law,
            clock: Clock::default(),
            decoders: Decoders::default(),
            wide: Wide::of(codec),
            types: PayloadTypes { codecs: Vec::new(), events: [None, Some(telephone_event)] },
            lock: SourceLock::default(),
            reception: Reception::default(),
            life: Life::default(),
            listener: KeyListener::default(),
            wish: InBandKeys::Never,
            tones: None,
            dialled: None,
            limits,
            playout: None,
            frame: [law.silence(); FRAME],
            regular: REGULAR,
            said: Said::Nothing,
            resting: false,
            heard: false,
            counts: Counts::default(),
        }
    }

    pub(crate) fn remote(
        &mut self,
        now: Duration,
        description: &MediaDescription,
        signalling: Option<IpAddr>,
    ) {
        self.life.agreed(now, description.direction);
        self.lock.remote(description.rtp, signalling);
        self.types.codecs.clone_from(&description.codecs);
        if let Some(event) = self.types.events.first_mut() {
            *event = description.telephone_event;
        }
        let in_band = match self.wish {
            InBandKeys::Auto => description.telephone_event.is_none(),
            InBandKeys::Always => true,
            InBandKeys::Never => false,
        };
        self.tones = in_band.then(|| self.tones.take().unwrap_or_else(|| Box::new(InBand::new())));
        if let Some(&(codec, _)) = self.types.codecs.first()
            && codec != self.codec
        {
            self.speak(codec);
        }
    }

    /// The far side speaks another codec from here on.
    fn speak(&mut self, codec: Codec) {
        self.codec = codec;
        self.law = codec.law().unwrap_or(self.law);
        self.playout = None;
        self.clock = Clock::default();
        self.decoders = Decoders::default();
        self.wide = Wide::of(codec);
        self.frame.fill(self.law.silence());
    }

    /// Takes in a packet; gives what it brought if it is the far side's and was not seen before.
    pub(crate) fn on_rtp<'a>(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &'a [u8],
    ) -> Option<Arrival<'a>> {
        let Ok((mut header, payload)) = Header::read(bytes) else {
            self.reject();
            return None;
        };
        let kind = self.types.kind(header.payload_type);
        if matches!(kind, Kind::Unknown) || payload.len() > PAYLOAD_MAX {
            self.reject();
            return None;
        }
        match self.lock.admit(now, from, &header) {
            Verdict::Ours => {}
            Verdict::OursAnew => self.restart(),
            Verdict::Foreign => {
                self.reject();
                return None;
            }
        }
        match kind {
            Kind::ComfortNoise => self.life.comfort_noise(now),
            Kind::Audio(_) | Kind::Event | Kind::Unknown => self.life.sound(now),
        }
        if self.reception.note(header.sequence) == Seen::Again {
            self.counts.duplicated += 1;
            return None;
        }
        if let Kind::Audio(codec) = kind
            && (codec.law().is_none() || self.codec.law().is_none())
            && codec != self.codec
        {
            self.speak(codec);
        }
        header.timestamp = self.clock.narrow(self.codec, header.timestamp);
        let kind = match kind {
            Kind::Audio(codec) => {
                self.reception.arrived(now, header.timestamp);
                self.life.numbered(now, header.sequence, header.timestamp);
                Arrived::Audio(codec)
            }
            Kind::Event => Arrived::Event(self.on_event(&header, payload)),
            Kind::ComfortNoise | Kind::Unknown => {
                self.playing().rest(now, header.sequence, header.timestamp, payload);
                Arrived::Pause
            }
        };
        let first = !std::mem::replace(&mut self.heard, true);
        Some(Arrival { first, header, payload, kind })
    }

    /// The packet's sound if it can be forwarded: one frame in the voice's own codec, and no odd one before it.
    pub(crate) fn regular<'a>(&mut self, codec: Codec, payload: &'a [u8]) -> Option<&'a [u8]> {
        let frame = Some(payload).filter(|_| codec == self.codec && ticks(codec, payload) == Some(TICKS));
        self.regular = if frame.is_some() { (self.regular + 1).min(REGULAR) } else { 0 };
        frame.filter(|_| self.is_regular())
    }

    /// Whether the voice's packets are such as can be forwarded.
    pub(crate) const fn is_regular(&self) -> bool {
        self.regular >= REGULAR
    }

    /// Lays a packet's sound down where its time is.
    pub(crate) fn lay(&mut self, now: Duration, header: &Header, (codec, payload): (Codec, &[u8])) {
        let Some(ticks) = ticks(codec, payload) else { return };
        let packet = Packet {
            sequence: header.sequence,
            timestamp: header.timestamp,
            ticks,
            tag: tag(codec),
            bytes: payload,
        };
        match self.playing().lay(now, &packet) {
            Laid::InTime | Laid::Anew => {}
            Laid::Late | Laid::Astray => self.counts.late += 1,
        }
    }

    /// Says how it is to listen for keys in the sound, from the next description on.
    pub(crate) const fn listen_in_band(&mut self, wish: InBandKeys) {
        self.wish = wish;
    }

    /// Whether keys may be in the sound: it has to be decoded, whoever else needs it.
    pub(crate) const fn is_dialling(&self) -> bool {
        self.tones.is_some()
    }

    /// Whether this tick's frame is the noise that the far side described for its pause.
    pub(crate) const fn is_resting(&self) -> bool {
        self.resting
    }

    /// The key that began in the sound of this tick, once.
    pub(crate) const fn dialled(&mut self) -> Option<char> {
        self.dialled.take()
    }

    /// Nobody needs the sound: what waits is forgotten.
    pub(crate) fn pass_by(&mut self) {
        self.playout = None;
    }

    /// Makes this tick's frame.
    pub(crate) fn tick(&mut self, now: Duration) -> Tapped {
        let nothing = if self.heard { Tapped::Gap } else { Tapped::NotYet };
        (self.said, self.resting) = (Said::Nothing, false);
        let Some(playout) = &mut self.playout else { return nothing };
        let mut sound: Samples = [0; FRAME];
        let taken = match &mut self.wide {
            Some(wide) => {
                let taken = playout.take(now, &mut self.decoders, &mut wide.frame);
                wide.narrow.clear();
                wide.down.push(&wide.frame, &mut wide.narrow);
                sound.iter_mut().zip(&wide.narrow).for_each(|(to, from)| *to = *from);
                taken
            }
            None => playout.take(now, &mut self.decoders, &mut sound),
        };
        let faded = playout.is_faded();
        self.resting = taken == Taken::Resting;
        self.dialled = self.tones.as_mut().and_then(|tones| tones.hear(&sound));
        self.law.encode_into(&sound, &mut self.frame);
        match taken {
            Taken::Idle => nothing,
            Taken::Whole | Taken::Resting => {
                self.said = Said::Sound;
                Tapped::Sound
            }
            Taken::Broken => {
                self.counts.concealed += 1;
                if !faded {
                    self.said = Said::Sound;
                }
                Tapped::Gap
            }
            Taken::Key => Tapped::Sound,
        }
    }

    pub(crate) const fn codec(&self) -> Codec {
        self.codec
    }

    pub(crate) const fn law(&self) -> Law {
        self.law
    }

    /// What the tap gets of this tick.
    pub(crate) fn tapped(&self) -> TapPayload {
        match &self.wide {
            Some(wide) => TapPayload::Wide(wide.frame),
            None => TapPayload::G711(self.law, self.frame),
        }
    }

    /// This tick's frame at 16 kHz, if the voice is wideband.
    pub(crate) fn wide(&self) -> Option<&WideFrame> {
        match self.said {
            Said::Nothing => None,
            Said::Sound => self.wide.as_ref().map(|wide| &wide.frame),
        }
    }

    /// This tick's frame in the voice's law.
    pub(crate) const fn frame(&self) -> Option<&Frame> {
        match self.said {
            Said::Nothing => None,
            Said::Sound => Some(&self.frame),
        }
    }

    pub(crate) fn reject(&mut self) {
        self.counts.rejected += 1;
    }

    /// The receiving half of a leg's numbers.
    pub(crate) fn stats(&self) -> LegStats {
        LegStats {
            received: self.reception.totals().received,
            lost: self.reception.lost(),
            loss_bursts: self.reception.bursts(),
            late: self.counts.late,
            duplicated: self.counts.duplicated,
            rejected: self.counts.rejected,
            jitter: self.reception.jitter(),
            concealed: self.counts.concealed,
            delay: self.playout.as_ref().map_or(Duration::ZERO, |playout| playout.delay()),
            ..LegStats::default()
        }
    }

    fn restart(&mut self) {
        self.reception.restart();
        self.listener.restart();
        self.clock = Clock::default();
        if let Some(playout) = &mut self.playout {
            playout.restart();
        }
    }

    fn playing(&mut self) -> &mut Playout {
        let (limits, seed) = (self.limits, u64::from(self.lock.ssrc().unwrap_or(0)));
        let pace = Pace { clock: 8000, rate: self.codec.sound_hz() };
        self.playout.get_or_insert_with(|| Box::new(Playout::new(pace, limits, seed)))
    }

    fn on_event(&mut self, header: &Header, payload: &[u8]) -> Option<char> {
        let Some(event) = Event::read(payload) else {
            self.reject();
            return None;
        };
        let duration = u32::from(event.duration);
        // Until the next packet of the event says how far it reaches, it reaches two frames further.
        let reach = duration + if event.end { 0 } else { 2 * FRAME as u32 };
        if let Some(playout) = &mut self.playout {
            playout.key(header.timestamp, reach, event.end);
        }
        self.listener.hear(header.timestamp, event)
    }
}

impl Wide {
    fn of(codec: Codec) -> Option<Box<Self>> {
        let wide =
            || Self { frame: [0; WIDE_FRAME], down: Down::default(), narrow: Vec::with_capacity(FRAME) };
        codec.law().is_none().then(|| Box::new(wide()))
    }
}

impl Clock {
    fn narrow(&mut self, codec: Codec, timestamp: u32) -> u32 {
        let pace = u64::from(codec.clock_hz() / 8000);
        if pace == 1 {
            return timestamp;
        }
        // Far from both ends of the numbers, so that steps back are safe.
        let (last, extended) = self.last.unwrap_or((timestamp, (1 << 40) + u64::from(timestamp)));
        let extended = extended.saturating_add_signed(i64::from(timestamp.wrapping_sub(last).cast_signed()));
        self.last = Some((timestamp, extended));
        (extended / pace) as u32
    }
}

/// How long a payload lasts, in ticks of 8 kHz; `None` if it is none of that codec.
fn ticks(codec: Codec, payload: &[u8]) -> Option<u32> {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(payload.len() as u32).filter(|ticks| *ticks > 0),
        Codec::Opus => packet_ticks(payload),
    }
}

/// Tells the decoder which codec a packet is in.
const fn tag(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 1,
        Codec::G722 => 2,
        Codec::Opus => 3,
    }
}

impl Decode for Decoders {
    fn decode(&mut self, known: u8, bytes: &[u8], sound: &mut Vec<i16>) {
        let codec = Codec::ALL.into_iter().find(|codec| tag(*codec) == known).unwrap_or(Codec::Pcmu);
        match codec {
            Codec::Pcmu => sound.extend(bytes.iter().map(|&byte| Law::Pcmu.decode(byte))),
            Codec::Pcma => sound.extend(bytes.iter().map(|&byte| Law::Pcma.decode(byte))),
            Codec::G722 => self.g722(bytes, sound),
            Codec::Opus => {
                if let Some(decoder) = self.opus() {
                    decoder.decode(bytes, sound);
                }
            }
        }
    }

    fn recover(&mut self, known: u8, next: &[u8], hole: &mut [i16]) -> bool {
        known == tag(Codec::Opus) && self.opus().is_some_and(|decoder| decoder.recover(next, hole))
    }
}

impl PayloadTypes {
    fn kind(&self, payload_type: u8) -> Kind {
        if let Some(&(codec, _)) = self.codecs.iter().find(|(_, known)| *known == payload_type) {
            return Kind::Audio(codec);
        }
        match payload_type {
            _ if self.events.contains(&Some(payload_type)) => Kind::Event,
            0 => Kind::Audio(Codec::Pcmu),
            8 => Kind::Audio(Codec::Pcma),
            COMFORT_NOISE => Kind::ComfortNoise,
            _ => Kind::Unknown,
        }
    }
}
