//! What two sides of a leg agree on: addresses, codec, telephone-event. The parsed form of an SDP answer.

use std::net::SocketAddr;

use crate::{g711::Law, security::SrtpKey};

/// An audio codec that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law, RTP payload type 0.
    Pcmu,
    /// G.711 A-law, RTP payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, RTP payload type 9. Its RTP clock says 8000 though it is sampled at 16 kHz
    /// (RFC 3551 §4.5.2).
    G722,
    /// Opus, mono (RFC 6716, RFC 7587). Its RTP clock is always 48000.
    Opus,
}

/// One linear frame of 20 ms at 16 kHz.
pub type WideFrame = [i16; WIDE_FRAME];

/// Samples in 20 ms at 16 kHz.
pub const WIDE_FRAME: usize = 320;

impl Codec {
    /// Every codec, the cheapest first.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// The law, if it is G.711.
    #[must_use]
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Pcmu),
            Self::Pcma => Some(Law::Pcma),
            Self::G722 | Self::Opus => None,
        }
    }

    /// The payload type that our own offers use: the static one (RFC 3551 §6), 111 for Opus.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// Ticks of the RTP clock in a second, as rtpmap says it.
    #[must_use]
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Ticks of the RTP clock in 20 ms.
    #[must_use]
    pub const fn frame_ticks(self) -> u32 {
        self.clock_hz() / 50
    }

    /// Bytes in 20 ms; `None` where the size varies.
    #[must_use]
    pub const fn frame_bytes(self) -> Option<usize> {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => Some(160),
            Self::Opus => None,
        }
    }

    /// Samples of sound in a second: 8000 for narrowband, 16000 for wideband.
    #[must_use]
    pub const fn sound_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 | Self::Opus => 16_000,
        }
    }

    /// The name in rtpmap and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }
}

impl From<Law> for Codec {
    fn from(law: Law) -> Self {
        match law {
            Law::Pcmu => Self::Pcmu,
            Law::Pcma => Self::Pcma,
        }
    }
}

impl MediaDescription {
    /// Forgets the keys; false if it has some that are not optional, so that it is worth nothing without them.
    pub fn hide_keys(&mut self) -> bool {
        let optional = self.security.iter().all(|key| key.optional);
        self.security.clear();
        optional
    }
}

/// What a side says about the Opus that it wants to get (RFC 7587 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusWishes {
    /// It makes use of in-band forward error correction.
    pub fec: bool,
    /// It wants pauses not to be sent.
    pub dtx: bool,
    /// Bits in a second, at most; 6000 to 510000.
    pub bitrate_max: Option<u32>,
    /// The highest rate at which it plays sound, in hertz: 8000 to 48000.
    pub playback_hz: u32,
}

impl Default for OpusWishes {
    /// What holds where nothing is said.
    fn default() -> Self {
        Self { fec: false, dtx: false, bitrate_max: None, playback_hz: 48_000 }
    }
}

/// Which way sound flows, seen from the side that says it (RFC 4566 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// That side only sends: we are on hold.
    SendOnly,
    /// That side only listens.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// One side's audio stream, as offered or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// Where that side wants RTP.
    pub rtp: SocketAddr,
    /// Where that side wants RTCP; the same as `rtp` with rtcp-mux (RFC 5761).
    pub rtcp: SocketAddr,
    /// Codecs with their payload types, most wanted first.
    pub codecs: Vec<(Codec, u8)>,
    /// Payload type of telephone-event/8000 (RFC 4733), if spoken.
    pub telephone_event: Option<u8>,
    /// Packet time, 10 to 60 ms.
    pub ptime_ms: u32,
    /// Which way sound flows.
    pub direction: Direction,
    /// The keys it offers to send with, most wanted first; the first one is in use. Empty for plain RTP.
    pub security: Vec<SrtpKey>,
    /// How it wants its Opus.
    pub opus: OpusWishes,
}
