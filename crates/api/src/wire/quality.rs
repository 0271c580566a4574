//! What a leg's sound was worth, on the wire.

use segue_call::{LegQuality as InnerLeg, PacketCounts as InnerCounts, SoundQuality as InnerSound};
use serde::Serialize;
use utoipa::ToSchema;

use super::milliseconds;

/// Both directions of a leg's sound.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LegQuality {
    /// What the gateway heard of the party; absent if nothing came.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<SoundQuality>,
    /// What the party heard of the gateway, by its own RTCP reports; absent if it sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<SoundQuality>,
    /// Round trip by RTCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<f64>,
    /// The lowest score of any five seconds so far, of either direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    mos_lowest: Option<f32>,
}

/// One direction of a leg's sound.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SoundQuality {
    /// Mean opinion score by the E-model (ITU-T G.107), narrow-band scale: 1 to 4.5, undisturbed 4.41.
    #[schema(minimum = 1.0, maximum = 4.5, example = 4.37)]
    mos: f32,
    /// The rating R behind the score; undisturbed 93.2.
    #[schema(example = 91.5)]
    rating: f32,
    /// Packets lost or too late, 0 to 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    loss: f32,
    /// Mean length of the bursts of loss, by that of random loss: 1 is random.
    #[schema(minimum = 1.0)]
    burst_ratio: f32,
    /// Interarrival jitter (RFC 3550).
    jitter_ms: f64,
    /// One way from mouth to ear, as far as the gateway knows it.
    delay_ms: u64,
}

/// The packets of a leg's whole life.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PacketCounts {
    /// Accepted from the party.
    received: u64,
    /// Never came.
    lost: u64,
    /// Came too late to be played.
    late: u64,
    /// Came twice.
    duplicated: u64,
    /// Were not the party's, or made no sense.
    rejected: u64,
    /// Sent to the party.
    sent: u64,
}

impl From<&InnerLeg> for LegQuality {
    fn from(leg: &InnerLeg) -> Self {
        Self {
            heard: leg.heard.as_ref().map(Into::into),
            told: leg.told.as_ref().map(Into::into),
            round_trip_ms: leg.round_trip.map(|trip| trip.as_secs_f64() * 1000.0),
            mos_lowest: leg.mos_lowest,
        }
    }
}

impl From<&InnerSound> for SoundQuality {
    fn from(sound: &InnerSound) -> Self {
        Self {
            mos: sound.mos,
            rating: sound.rating,
            loss: sound.loss,
            burst_ratio: sound.burst_ratio,
            jitter_ms: sound.jitter.as_secs_f64() * 1000.0,
            delay_ms: milliseconds(sound.delay),
        }
    }
}

impl From<InnerCounts> for PacketCounts {
    fn from(counts: InnerCounts) -> Self {
        let InnerCounts { received, lost, late, duplicated, rejected, sent } = counts;
        Self { received, lost, late, duplicated, rejected, sent }
    }
}
