//! What a leg's sound was worth, in the words of records and events. Measured by the media engine, only carried here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::party::{AttemptId, Party};

/// One direction of a leg's sound over a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoundQuality {
    /// Mean opinion score, 1 to 4.5 (ITU-T G.107, narrow-band scale).
    pub mos: f32,
    /// The rating R behind it, up to 93.2.
    pub rating: f32,
    /// Packets lost or too late, 0 to 1.
    pub loss: f32,
    /// Mean length of the bursts of loss, by that of random loss: 1 is random.
    pub burst_ratio: f32,
    /// Interarrival jitter (RFC 3550).
    pub jitter: Duration,
    /// One way, from mouth to ear, as far as it is known.
    pub delay: Duration,
}

/// Both directions of a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegQuality {
    /// What we heard of the party; none if nothing came.
    pub heard: Option<SoundQuality>,
    /// What the party heard of us, by its RTCP; none if it did not report.
    pub told: Option<SoundQuality>,
    /// Round trip by RTCP.
    pub round_trip: Option<Duration>,
    /// The lowest score of any few seconds so far, of either direction.
    pub mos_lowest: Option<f32>,
}

/// The packets of a leg's whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketCounts {
    /// Accepted from the party.
    pub received: u64,
    /// Never came, by sequence number.
    pub lost: u64,
    /// Came too late to be played.
    pub late: u64,
    /// Came twice.
    pub duplicated: u64,
    /// Were not the party's, or made no sense.
    pub rejected: u64,
    /// Sent to the party.
    pub sent: u64,
}

/// The sum of one leg's sound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegRecord {
    /// Which leg.
    pub attempt: AttemptId,
    /// Whose.
    pub party: Party,
    /// What it was worth, over its whole life.
    pub quality: LegQuality,
    /// What came and went.
    pub packets: PacketCounts,
}
