//! One leg on the media thread: what it says next, and its ear.

use segue_media::{g711::Law, rtp::Header};
use tokio::sync::mpsc;

use super::{LegNews, Sent, Way};
use crate::{
    clock::{self, Nanos},
    hearing::Hearing,
    mark::Mark,
    sound::{FRAME, Voice},
    sys::{BYTES_MAX, Name},
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
    pub(super) hearing: Hearing,
    pub(super) news: mpsc::Sender<LegNews>,
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

impl Leg {
    pub(super) fn new(
        (stream, role): (u32, Role),
        way: Way,
        news: mpsc::Sender<LegNews>,
        now: Nanos,
    ) -> Self {
        let mixed = (now ^ u64::from(stream) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let header = Header {
            marker: true,
            payload_type: way.payload_type,
            sequence: (mixed >> 16) as u16,
            timestamp: (mixed >> 32) as u32,
            // Unique in a run, and known to a bare relay.
            ssrc: stream,
        };
        Self {
            stream,
            role,
            way,
            name: Name::new(way.remote),
            hearing: Hearing::new(way.law, now),
            news,
            header,
            number: 0,
            key: None,
        }
    }

    /// Presses a key; what is no key is not pressed.
    pub(super) fn press(&mut self, key: char) {
        let code = KEYS.find(key.to_ascii_uppercase()).and_then(|code| u8::try_from(code).ok());
        self.key = code.map(|code| Key { code, timestamp: self.header.timestamp, packet: 0 });
    }

    /// The next packet of its timeline; gives its length.
    pub(super) fn speak(&mut self, voices: &Voices, sent: &Sent, bytes: &mut [u8; BYTES_MAX]) -> usize {
        let length = match (self.key, self.way.keys) {
            (Some(key), Some(payload_type)) => self.speak_key(key, payload_type, bytes),
            (Some(_) | None, _) => self.speak_voice(voices, sent, bytes),
        };
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME as u32);
        length
    }

    fn speak_voice(&mut self, voices: &Voices, sent: &Sent, bytes: &mut [u8; BYTES_MAX]) -> usize {
        let law = self.way.law;
        let header = Header { payload_type: self.way.payload_type, ..self.header };
        self.header.marker = false;
        if let Some((head, rest)) = bytes.split_first_chunk_mut::<HEADER>()
            && let Some(frame) = rest.get_mut(..FRAME)
        {
            *head = header.write();
            frame.copy_from_slice(voices.of(law).frame(self.number));
            let mark = Mark { stream: self.stream, number: self.number, sent: clock::now() };
            mark.write(law, frame);
        }
        self.number = self.number.wrapping_add(1);
        sent.set(self.stream, self.number);
        HEADER + FRAME
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
