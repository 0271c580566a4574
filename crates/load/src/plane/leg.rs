//! One leg on the media thread: what it says next, and its ear.

use segue_media::{g711::Law, rtp::Header};
use tokio::sync::mpsc;

use super::{Ears, LegNews, Sent, Speech, Way, seal::Seal, thread::Opening};
use crate::{
    clock::{self, Nanos},
    hearing::{Hearing, Tally, Told},
    listening::Listening,
    mark::Mark,
    sound::{FRAME, Voice},
    sys::{BYTES_MAX, Name},
    tones::Finder,
    words::Role,
};

/// Packets of a key: 100 ms, and its end twice again (RFC 4733 §2.5.1.4).
const KEY_PACKETS: u16 = 7;
const KEY_FRAMES: u16 = 5;
const HEADER: usize = 12;
const KEYS: &str = "0123456789*#ABCD";

/// One leg.
pub(super) struct Leg {
    pub(super) stream: u32,
    pub(super) role: Role,
    pub(super) way: Way,
    pub(super) name: Name,
    pub(super) ear: Ear,
    pub(super) seal: Seal,
    news: mpsc::Sender<LegNews>,
    speech: Speech,
    header: Header,
    number: u32,
    key: Option<Key>,
}

/// A key that is being pressed.
#[derive(Clone, Copy)]
struct Key {
    code: u8,
    timestamp: u32,
    packet: u16,
}

/// The loops in both laws.
pub(super) struct Voices {
    pcmu: Voice,
    pcma: Voice,
}

impl Voices {
    pub(super) fn new() -> Self {
        Self { pcmu: Voice::new(Law::Pcmu), pcma: Voice::new(Law::Pcma) }
    }

    fn of(&self, law: Law) -> &Voice {
        match law {
            Law::Pcmu => &self.pcmu,
            Law::Pcma => &self.pcma,
        }
    }
}

/// What an ear goes by.
pub(super) enum Ear {
    /// Marks in every packet.
    Marks(Hearing),
    /// Numbers of packets, and voices in a sample of them.
    Tones(Box<Listening>),
}

impl Ear {
    fn new(ears: Ears, leg: u32, (way, speech): (&Way, &Speech), now: Nanos) -> Self {
        let every = match (ears, speech) {
            (Ears::Marks, Speech::Marked(law)) => return Self::Marks(Hearing::new(*law, now)),
            (Ears::Marks, Speech::Loop(_)) => 0,
            (Ears::Tones { every }, _) => every,
        };
        // The two legs of a call mostly have numbers that follow each other.
        Self::Tones(Box::new(Listening::new(way.codec, (every, leg / 2), now)))
    }

    fn hear(&mut self, at: Nanos, (header, payload): (Header, &[u8]), way: &Way, finder: &Finder) -> Told {
        let is_sound = header.payload_type == way.payload_type;
        match self {
            Self::Marks(hearing) if is_sound => hearing.hear(at, payload),
            Self::Marks(_) => Told::default(),
            Self::Tones(listening) => listening.hear(at, (header, payload), is_sound, finder),
        }
    }

    pub(super) fn take_tally(&mut self) -> Tally {
        match self {
            Self::Marks(hearing) => hearing.take_tally(),
            Self::Tones(listening) => listening.take_tally(),
        }
    }

    /// The end; gives the longest silence.
    pub(super) fn finish(&mut self, now: Nanos, sent: &Sent) -> Nanos {
        match self {
            Self::Marks(hearing) => {
                let count = hearing.stream().and_then(|stream| sent.of(stream));
                hearing.finish(now, count)
            }
            Self::Tones(listening) => listening.finish(now),
        }
    }
}

impl Leg {
    pub(super) fn new(opening: Opening, ears: Ears, now: Nanos) -> Self {
        let Opening { leg, stream, role, way, speech, news } = opening;
        let mixed = (now ^ u64::from(stream) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let header = Header {
            marker: true,
            payload_type: way.payload_type,
            sequence: (mixed >> 16) as u16,
            timestamp: (mixed >> 32) as u32,
            // Unique in a run, and known to a bare relay.
            ssrc: stream,
        };
        let ear = Ear::new(ears, leg, (&way, &speech), now);
        let name = Name::new(way.remote);
        let mut leg = Self {
            stream,
            role,
            way,
            name,
            ear,
            seal: Seal::default(),
            news,
            speech,
            header,
            number: 0,
            key: None,
        };
        leg.secure(now);
        leg
    }

    /// The far side moved, or changed its codec or its keys; gives where it was.
    pub(super) fn turn(&mut self, way: Way, speech: Speech, now: Nanos) -> Way {
        self.name = Name::new(way.remote);
        self.speech = speech;
        let before = std::mem::replace(&mut self.way, way);
        self.secure(now);
        before
    }

    fn secure(&mut self, now: Nanos) {
        if let Err(error) = self.seal.agree(self.way.srtp.as_deref(), now) {
            tracing::warn!(%error, "a leg has no SRTP");
        }
    }

    /// One plain packet that came.
    pub(super) fn hear(&mut self, at: Nanos, packet: (Header, &[u8]), finder: &Finder) -> Told {
        self.ear.hear(at, packet, &self.way, finder)
    }

    /// Presses a key; what is no key is not pressed.
    pub(super) fn press(&mut self, key: char) {
        let code = KEYS.find(key.to_ascii_uppercase()).and_then(|code| u8::try_from(code).ok());
        self.key = code.map(|code| Key { code, timestamp: self.header.timestamp, packet: 0 });
    }

    /// The next packet of its timeline, due at a moment; gives its length.
    pub(super) fn speak(
        &mut self,
        due: Nanos,
        voices: &Voices,
        sent: &Sent,
        bytes: &mut [u8; BYTES_MAX],
    ) -> usize {
        let length = match (self.key, self.way.keys) {
            (Some(key), Some(payload_type)) => self.speak_key(key, payload_type, bytes),
            (Some(_) | None, _) => self.speak_voice(due, voices, sent, bytes),
        };
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(self.way.codec.frame_ticks());
        self.seal.close(bytes, length)
    }

    fn speak_voice(
        &mut self,
        due: Nanos,
        voices: &Voices,
        sent: &Sent,
        bytes: &mut [u8; BYTES_MAX],
    ) -> usize {
        let header = Header { payload_type: self.way.payload_type, ..self.header };
        self.header.marker = false;
        let Some((head, rest)) = bytes.split_first_chunk_mut::<HEADER>() else { return 0 };
        *head = header.write();
        let sound = match &self.speech {
            Speech::Marked(law) => voices.of(*law).frame(self.number),
            Speech::Loop(sound) => sound.frame(due),
        };
        let Some(frame) = rest.get_mut(..sound.len()) else { return 0 };
        frame.copy_from_slice(sound);
        if let Speech::Marked(law) = &self.speech {
            let mark = Mark { stream: self.stream, number: self.number, sent: clock::now() };
            mark.write(*law, frame);
        }
        self.number = self.number.wrapping_add(1);
        sent.set(self.stream, self.number);
        HEADER + sound.len()
    }

    fn speak_key(&mut self, key: Key, payload_type: u8, bytes: &mut [u8; BYTES_MAX]) -> usize {
        let first = key.packet == 0;
        let header = Header { payload_type, timestamp: key.timestamp, marker: first, ..self.header };
        let packet = key.packet + 1;
        let end = if packet >= KEY_FRAMES { 0x80 } else { 0 };
        let [d0, d1] = (packet.min(KEY_FRAMES) * FRAME as u16).to_be_bytes();
        if let Some((head, rest)) = bytes.split_first_chunk_mut::<HEADER>()
            && let Some(event) = rest.first_chunk_mut::<4>()
        {
            *head = header.write();
            // At −10 dBm0, the level that every receiver takes.
            *event = [key.code, 10 | end, d0, d1];
        }
        if first {
            self.tell(LegNews::Pressed(clock::now()));
        }
        self.key = (packet < KEY_PACKETS).then_some(Key { packet, ..key });
        HEADER + 4
    }

    /// Tells the owner; false if there was no room, as with an owner that is gone.
    pub(super) fn tell(&self, news: LegNews) -> bool {
        self.news.try_send(news).is_ok()
    }
}
