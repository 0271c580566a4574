//! What the media engine is told and what it tells. One engine owns all legs of a call.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    g711::Law,
    quality::LegQuality,
    security::SrtpKey,
    session::{Codec, MediaDescription, WideFrame},
};

/// Names a leg inside one engine. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// Names a prompt given to one ear. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u64);

/// Mono sound at 8 kHz, 16 bit, shared between all who play it.
pub type Sound = Arc<[i16]>;

/// An order to the engine.
#[derive(Clone, Debug)]
pub enum Command {
    /// A leg exists from here on; it may send before the far side is known.
    Open {
        /// Its name.
        leg: LegId,
        /// The codec to start with; `Remote` may change it.
        codec: Codec,
        /// Watch this ear: after 2 s without energy the engine plays filler by itself (M16).
        watched: bool,
    },
    /// What the far side offered or answered, first or by re-INVITE.
    Remote {
        /// Which leg.
        leg: LegId,
        /// Their side. The first codec is the one in use.
        description: MediaDescription,
        /// The host that signalling comes from, for the source lock when the SDP address is private.
        signalling: Option<SocketAddr>,
    },
    /// Both sides agreed on keys of SRTP (RFC 3711), or on others. A `Remote` without keys ends it.
    Secure {
        /// Which leg.
        leg: LegId,
        /// Opens what the far side sends: the key of its own a=crypto line (RFC 4568 §6.1).
        theirs: SrtpKey,
        /// Closes what we send: the key of our a=crypto line.
        ours: SrtpKey,
    },
    /// Set what ears hear when no prompt plays; all on one tick.
    Wire(Vec<(LegId, Source)>),
    /// Play to one ear in place of its source; replaces a prompt that plays there.
    Play {
        /// The ear.
        leg: LegId,
        /// The id that comes back.
        play: PlayId,
        /// What.
        sound: Sound,
    },
    /// Stop a prompt.
    Stop {
        /// Which one.
        play: PlayId,
    },
    /// Send keys by RFC 4733, one after the other.
    SendKeys {
        /// To whom.
        leg: LegId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        keys: Vec<char>,
    },
    /// A key of the far side that signalling told (SIP INFO). It counts like one heard on the leg itself, and
    /// once if it is heard there too.
    Press {
        /// Whose leg.
        leg: LegId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// Give or stop giving the frames of a leg to the outside.
    Tap {
        /// Which leg.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Give or stop giving what an ear is sent to the outside.
    TapEar {
        /// Which ear.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Begin or end the watch over an ear; one that begins counts silence from there (M16).
    Watch {
        /// Which ear.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Begin or end to fill this ear while the voice that it is wired to sends no packets at all, though its far side
    /// agreed to and does not suppress silence. Begins with the filler before the watchdog's time is over, ends with
    /// the first packet; pauses of who speaks are let alone. Every ear is born without it: it is for people.
    Cover {
        /// Which ear.
        leg: LegId,
        /// On or off.
        on: bool,
    },
    /// Report what this ear was sent since the last such mark; begins a new measure.
    Measure {
        /// Which ear.
        leg: LegId,
        /// Comes back.
        mark: u64,
    },
    /// The leg is gone. Its prompt ends as stopped, its last statistics are reported.
    Close {
        /// Which leg.
        leg: LegId,
    },
}

/// Whether keys are looked for in the sound itself (ITU-T Q.23), for far sides that send them so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InBandKeys {
    /// Where the far side does not speak telephone-event.
    #[default]
    Auto,
    /// On every leg; costs decoding all of its sound.
    Always,
    /// On none.
    Never,
}

/// What an ear hears when no prompt plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Comfort noise at −62 dBov.
    Quiet,
    /// Hold music at −28 dBov.
    Hold,
    /// Another leg of the same engine.
    Leg(LegId),
}

/// News from the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A prompt ended.
    Played {
        /// Which one.
        play: PlayId,
        /// To its end, or stopped.
        finished: bool,
    },
    /// A key was pressed, told once, when it began.
    Key {
        /// Whose leg.
        leg: LegId,
        /// Which key.
        key: char,
    },
    /// The watchdog had to fill an ear.
    Filled {
        /// Which ear.
        leg: LegId,
    },
    /// The first packet from the far side was accepted.
    Heard {
        /// Which leg.
        leg: LegId,
    },
    /// A leg could not be opened: the engine is full, or the id was used before.
    Refused {
        /// Which leg.
        leg: LegId,
    },
    /// The answer to `Measure`.
    Measured {
        /// Which ear.
        leg: LegId,
        /// As given.
        mark: u64,
        /// What was sent to it.
        ear: EarMeasure,
    },
    /// Nothing came from the far side for too long ([`EngineConfig::dead`](crate::EngineConfig::dead)). Told
    /// again when it lasts as long again.
    Dead {
        /// Which leg.
        leg: LegId,
        /// For how long.
        silent: Duration,
    },
    /// What the sound of the last few seconds was worth.
    Quality {
        /// Which leg.
        leg: LegId,
        /// How it sounded.
        quality: LegQuality,
    },
    /// The last word about a leg.
    Closed {
        /// Which leg.
        leg: LegId,
        /// Its numbers.
        stats: LegStats,
        /// How it sounded, over its whole life.
        quality: LegQuality,
    },
}

/// What was sent to one ear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarMeasure {
    /// The longest run without energy (below −55 dBov; comfort noise counts as silence).
    pub silence_longest: Duration,
    /// Frames sent.
    pub frames: u64,
    /// How often the watchdog filled.
    pub fills: u32,
}

/// The numbers of one leg (RFC 3550 terms).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    /// RTP packets accepted.
    pub received: u64,
    /// Packets that never came, by sequence number.
    pub lost: u64,
    /// Runs of packets that never came.
    pub loss_bursts: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets that were not ours: wrong source, malformed, unknown payload.
    pub rejected: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Interarrival jitter, RFC 3550 §6.4.1.
    pub jitter: Duration,
    /// Round trip by RTCP, if the far side reported.
    pub round_trip: Option<Duration>,
    /// Frames concealed.
    pub concealed: u64,
    /// How long the jitter buffer holds sound back at present.
    pub delay: Duration,
    /// How often the far side reported of our packets.
    pub far_reports: u64,
    /// Of our packets, those that the far side reported as lost.
    pub far_lost: u64,
    /// The jitter that the far side reported of our packets.
    pub far_jitter: Duration,
}

/// A packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From which leg's socket.
    pub leg: LegId,
    /// RTP or RTCP socket.
    pub channel: Channel,
    /// Where to.
    pub to: SocketAddr,
}

/// Which of a leg's two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The even port.
    Rtp,
    /// The odd port; unused with rtcp-mux.
    Rtcp,
}

/// One frame that a tapped leg's far side said, in the order of its timeline, gaps filled by loss marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapFrame {
    /// Whose voice.
    pub leg: LegId,
    /// When it was due at our ear, on the gateway's clock.
    pub at: Duration,
    /// The 20 ms; `None` for a lost frame.
    pub payload: Option<TapPayload>,
}

/// One frame that an ear was sent, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarFrame {
    /// Whose ear.
    pub leg: LegId,
    /// When it was sent, on the gateway's clock.
    pub at: Duration,
    /// The stream's own clock.
    pub timestamp: u32,
    /// The 20 ms.
    pub payload: TapPayload,
}

/// What a tapped far side said in 20 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nothing is allocated per frame; a copy of 640 bytes costs less"
)]
pub enum TapPayload {
    /// Narrowband, encoded as it came: 160 bytes.
    G711(Law, [u8; 160]),
    /// Decoded at 16 kHz.
    Wide(WideFrame),
}

impl TapPayload {
    /// As 160 samples at 8 kHz. Wideband loses what lies above 4 kHz, by a short filter: good for measures,
    /// not for ears.
    #[must_use]
    pub fn narrow(&self) -> [i16; 160] {
        let mut samples = [0; 160];
        match self {
            Self::G711(law, bytes) => law.decode_into(bytes, &mut samples),
            Self::Wide(wide) => {
                for (sample, pair) in samples.iter_mut().zip(wide.as_chunks::<2>().0) {
                    let sum: i32 = pair.iter().map(|&sample| i32::from(sample)).sum();
                    *sample = (sum / 2) as i16;
                }
            }
        }
        samples
    }
}
