//! From the 20 ms that an ear hears to payloads of its far side's codec and packet time.
//!
//! ```text
//!  G.711 frame ─────────────────────────────────────► bytes ─┐
//!  G.711 frame ─► 16 kHz ─┐                                  ├─► packets of 10 to 60 ms
//!  wideband voice ────────┴─► soft joint ─► G.722 ─► bytes ──┤
//!                                       └─► Opus ────────────┘
//! ```
//! G.711 and G.722 have 8 bytes a millisecond, so packets are cut from one row of bytes. Opus is encoded in pieces
//! that are one packet each. Times are ticks of 8 kHz.

use crate::{
    codec::{Band, Encoder, OpusEffort},
    g711::{FRAME, Frame, Law},
    resample::Up,
    session::{Codec, MediaDescription, OpusWishes, WIDE_FRAME, WideFrame},
};

/// The part of an ear that is there only where the far side wants anything but 20 ms of G.711.
pub(crate) struct Mouth {
    wide: Option<Wide>,
    /// Sound of this tick that came at 16 kHz, and whether another source begins with it.
    frame: WideFrame,
    direct: Option<bool>,
    /// Ticks in a packet.
    packet: u32,
    /// What waits to be sent, encoded; for Opus, samples wait in `Wide`.
    bytes: Vec<u8>,
    /// The payload that was cut last.
    payload: Vec<u8>,
}

/// Sound at 16 kHz on its way to an encoder.
struct Wide {
    codec: Codec,
    wishes: OpusWishes,
    encoder: Encoder,
    up: Up,
    band: Band,
    last: i16,
    /// Encoded pieces are cut from here.
    waiting: Vec<i16>,
}

/// A payload and the ticks that lie between its beginning and the end of the frame that was put in last.
pub(crate) struct Cut<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) back: u32,
}

/// 5 ms.
const SOFT: usize = 80;
const TICKS_MS: u32 = 8;

impl Mouth {
    /// What a description needs; `None` where frames of G.711 are packets already.
    pub(crate) fn new(description: &MediaDescription, effort: OpusEffort) -> Option<Box<Self>> {
        let (codec, _) = *description.codecs.first()?;
        let encoder = Encoder::new(codec, effort, description.opus);
        let wide = encoder.map(|encoder| Wide {
            codec,
            wishes: description.opus,
            encoder,
            up: Up::default(),
            band: Band::Narrow,
            last: 0,
            waiting: Vec::with_capacity(WIDE_FRAME * 3),
        });
        let packet = packet_ticks(codec, description.ptime_ms);
        if wide.is_none() && packet == FRAME as u32 {
            return None;
        }
        let (bytes, payload) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
        let (frame, direct) = ([0; WIDE_FRAME], None);
        Some(Box::new(Self { wide, frame, direct, packet, bytes, payload }))
    }

    /// Whether it would be made the same again for this description.
    pub(crate) fn suits(&self, description: &MediaDescription) -> bool {
        let Some(&(codec, _)) = description.codecs.first() else { return true };
        let same = match &self.wide {
            Some(wide) => wide.codec == codec && wide.wishes == description.opus,
            None => codec.law().is_some(),
        };
        same && self.packet == packet_ticks(codec, description.ptime_ms)
    }

    /// Whether wideband sound is worth something here.
    pub(crate) const fn is_wide(&self) -> bool {
        self.wide.is_some()
    }

    /// Notes the frame of this tick at 16 kHz, which `take` takes; `softly` if another source begins with it.
    pub(crate) fn hear(&mut self, frame: &WideFrame, softly: bool) {
        self.frame = *frame;
        self.direct = Some(softly);
    }

    /// Takes this tick's sound: what was heard at 16 kHz, else the frame in G.711.
    pub(crate) fn take(&mut self, law: Law, frame: &Frame) {
        match self.direct.take() {
            Some(softly) => self.wide(softly),
            None => self.narrow(law, frame),
        }
    }

    fn narrow(&mut self, law: Law, frame: &Frame) {
        let Some(wide) = &mut self.wide else {
            self.bytes.extend_from_slice(frame);
            return;
        };
        let mut samples = [0; FRAME];
        law.decode_into(frame, &mut samples);
        wide.joint(Band::Narrow, |up, waiting| up.push(&samples, waiting));
        self.encode();
    }

    fn wide(&mut self, softly: bool) {
        let Some(wide) = &mut self.wide else { return };
        if softly {
            wide.band = Band::Narrow;
        }
        wide.joint(Band::Wide, |_, waiting| waiting.extend_from_slice(&self.frame));
        self.encode();
    }

    /// Forgets what waits: something else is sent in its place.
    pub(crate) fn clear(&mut self) {
        self.direct = None;
        self.bytes.clear();
        if let Some(wide) = &mut self.wide {
            wide.waiting.clear();
        }
    }

    /// The next packet, if enough waits for one.
    pub(crate) fn cut(&mut self) -> Option<Cut<'_>> {
        self.payload.clear();
        if let Some(wide) = &mut self.wide
            && wide.codec == Codec::Opus
        {
            let length = self.packet as usize * 2;
            let piece = wide.waiting.get(..length)?;
            let back = (wide.waiting.len() / 2) as u32;
            wide.encoder.encode(piece, wide.band, &mut self.payload);
            wide.waiting.drain(..length);
            return Some(Cut { payload: &self.payload, back });
        }
        let piece = self.bytes.get(..self.packet as usize)?;
        let back = self.bytes.len() as u32;
        self.payload.extend_from_slice(piece);
        self.bytes.drain(..self.packet as usize);
        Some(Cut { payload: &self.payload, back })
    }

    /// The payload that was cut last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// G.722 is encoded at once, as its bytes can be cut anywhere.
    fn encode(&mut self) {
        if let Some(wide) = &mut self.wide
            && wide.codec != Codec::Opus
        {
            wide.encoder.encode(&wide.waiting, wide.band, &mut self.bytes);
            wide.waiting.clear();
        }
    }
}

impl Wide {
    /// Puts sound behind what waits, without a step where the band changes.
    fn joint(&mut self, band: Band, put: impl FnOnce(&mut Up, &mut Vec<i16>)) {
        let start = self.waiting.len();
        put(&mut self.up, &mut self.waiting);
        let fresh = self.waiting.get_mut(start..).unwrap_or_default();
        if self.band != band {
            self.band = band;
            let old = i32::from(self.last);
            for (n, sample) in fresh.iter_mut().enumerate().take(SOFT) {
                let mixed = old + (i32::from(*sample) - old) * (n as i32 + 1) / SOFT as i32;
                *sample = mixed as i16;
            }
        }
        self.last = fresh.last().copied().unwrap_or(self.last);
    }
}

/// The ticks of a packet that suits a codec and the far side.
const fn packet_ticks(codec: Codec, ptime_ms: u32) -> u32 {
    let ms = match (codec, ptime_ms) {
        (_, 0..=10) => 10,
        (_, 60..) => 60,
        // Opus knows no others.
        (Codec::Opus, 11..40) => 20,
        (Codec::Opus, 40..) => 40,
        (Codec::Pcmu | Codec::Pcma | Codec::G722, ms) => ms,
    };
    ms * TICKS_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Decoders, session::Direction, tone};

    fn description(codec: Codec, ptime_ms: u32) -> MediaDescription {
        let address = ([198, 51, 100, 1], 4000).into();
        MediaDescription {
            rtp: address,
            rtcp: address,
            codecs: vec![(codec, codec.payload_type())],
            telephone_event: None,
            ptime_ms,
            direction: Direction::SendRecv,
            security: Vec::new(),
            opus: OpusWishes::default(),
        }
    }

    fn mouth(codec: Codec, ptime_ms: u32) -> Box<Mouth> {
        Mouth::new(&description(codec, ptime_ms), OpusEffort::default()).unwrap()
    }

    #[test]
    fn packets_have_the_far_sides_packet_time_and_no_byte_is_lost() {
        assert!(Mouth::new(&description(Codec::Pcma, 20), OpusEffort::default()).is_none());
        for ms in [10, 30, 40, 50, 60] {
            let mut mouth = mouth(Codec::Pcmu, ms);
            let (mut sent, mut end) = (Vec::new(), 0_u32);
            for number in 0..30_u8 {
                mouth.take(Law::Pcmu, &[number; FRAME]);
                end += 160;
                while let Some(cut) = mouth.cut() {
                    assert_eq!(cut.payload.len() as u32, ms * 8);
                    assert_eq!((end - cut.back) as usize, sent.len(), "{ms} ms: where the packet begins");
                    sent.extend_from_slice(cut.payload);
                }
            }
            let expected: Vec<u8> = (0..30).flat_map(|number| [number; FRAME]).collect();
            assert!(expected.len() - sent.len() < (ms * 8) as usize);
            assert_eq!(sent, expected[..sent.len()]);
        }
    }

    #[test]
    fn narrow_and_wide_sound_come_out_of_both_codecs_at_every_packet_time() {
        for (codec, ms) in
            [(Codec::G722, 20), (Codec::G722, 30), (Codec::Opus, 10), (Codec::Opus, 20), (Codec::Opus, 60)]
        {
            let mut mouth = mouth(codec, ms);
            let narrow = tone::sine(700.0, -20.0, 8000);
            let wide = tone::sine(2500.0, -20.0, 16_000);
            let (mut decoders, mut heard) = (Decoders::default(), Vec::new());
            for frame in 0..90 {
                if frame < 50 {
                    let mut law = [0; FRAME];
                    Law::Pcma.encode_into(&narrow[frame % 50 * FRAME..][..FRAME], &mut law);
                    mouth.take(Law::Pcma, &law);
                } else {
                    let piece = wide[(frame - 50) * WIDE_FRAME..][..WIDE_FRAME].try_into().unwrap();
                    mouth.hear(&piece, false);
                    mouth.take(Law::Pcma, &[0; FRAME]);
                }
                while let Some(cut) = mouth.cut() {
                    match codec {
                        Codec::Opus => decoders.opus().unwrap().decode(cut.payload, &mut heard),
                        Codec::Pcmu | Codec::Pcma | Codec::G722 => decoders.g722(cut.payload, &mut heard),
                    }
                }
            }
            let low = tone::goertzel(&heard[4800..12_800], 350.0);
            let high = tone::goertzel(&heard[19_200..27_200], 2500.0);
            // Opus is made for speech and keeps a pure tone up there at a lower level; narrowband would have none.
            assert!((low + 20.0).abs() < 3.0 && high > -40.0, "{codec:?} {ms} ms: {low} {high}");
        }
    }
}
