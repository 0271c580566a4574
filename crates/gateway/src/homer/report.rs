//! What a leg's RTCP says, as the JSON that Homer draws its curves from (protocol type 5).

use segue_call::{LegQuality, PacketCounts};
use serde_json::{Value, json};

/// One look at a leg: the numbers of a report block in each direction, and the scores.
pub(super) fn json(quality: &LegQuality, packets: Option<&PacketCounts>) -> Value {
    let (sent, received, lost) =
        packets.map_or((0, 0, 0), |packets| (packets.sent, packets.received, packets.lost));
    let blocks: Vec<Value> = [quality.heard, quality.told]
        .into_iter()
        .flatten()
        .map(|sound| {
            json!({
                "fraction_lost": (f64::from(sound.loss) * 256.0).min(255.0) as u8,
                "packets_lost": lost,
                // Jitter is told in ticks of the RTP clock; ours runs at 8 kHz.
                "ia_jitter": (sound.jitter.as_secs_f64() * 8_000.0).round(),
                "mos": f64::from(sound.mos),
                "rfactor": f64::from(sound.rating),
                "delay_ms": sound.delay.as_millis() as u64,
            })
        })
        .collect();
    json!({
        "type": 200,
        "report_count": blocks.len(),
        "sender_information": { "packets": sent, "octets": sent * 160, "received": received },
        "report_blocks": blocks,
        "round_trip_ms": quality.round_trip.map(|trip| trip.as_secs_f64() * 1000.0),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_call::SoundQuality;

    use super::*;

    #[test]
    fn both_directions_of_a_leg_are_report_blocks() {
        let sound = SoundQuality {
            mos: 4.1,
            rating: 84.0,
            loss: 0.25,
            burst_ratio: 1.0,
            jitter: Duration::from_millis(3),
            delay: Duration::from_millis(70),
        };
        let quality = LegQuality { heard: Some(sound), told: None, ..LegQuality::default() };
        let report = json(&quality, Some(&PacketCounts { sent: 50, lost: 2, ..PacketCounts::default() }));
        assert_eq!(report["report_count"], 1);
        assert_eq!(report["report_blocks"][0]["fraction_lost"], 64);
        assert_eq!(report["report_blocks"][0]["ia_jitter"], 24.0);
        assert_eq!(report["sender_information"]["packets"], 50);
    }
}
