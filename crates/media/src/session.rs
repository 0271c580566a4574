//! What two sides of a leg agree on: addresses, codec, telephone-event. The parsed form of an SDP answer.

use std::net::SocketAddr;

/// An audio codec that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law, RTP payload type 0.
    Pcmu,
    /// G.711 A-law, RTP payload type 8.
    Pcma,
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
}
