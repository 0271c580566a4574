//! The parameters of Opus (RFC 7587 §6.1, §7): what a side wants to get.

use segue_media::OpusWishes;

/// Reads the parameters of an a=fmtp line; unknown and impossible ones are as if they were not there.
pub(super) fn read_opus(parameters: &str) -> OpusWishes {
    let mut wishes = OpusWishes::default();
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let number: Option<u32> = value.trim().parse().ok();
        match (name.trim().to_ascii_lowercase().as_str(), number) {
            ("useinbandfec", Some(on)) => wishes.fec = on == 1,
            ("usedtx", Some(on)) => wishes.dtx = on == 1,
            ("maxaveragebitrate", Some(rate)) => wishes.bitrate_max = Some(rate.clamp(6_000, 510_000)),
            ("maxplaybackrate", Some(hertz)) => wishes.playback_hz = hertz.clamp(8_000, 48_000),
            _ => {}
        }
    }
    wishes
}

/// What we want: one channel, and nothing above what we play.
pub(super) fn print_opus(wishes: OpusWishes) -> String {
    let mut text =
        format!("maxplaybackrate={};sprop-maxcapturerate=16000;stereo=0;sprop-stereo=0", wishes.playback_hz);
    if let Some(rate) = wishes.bitrate_max {
        text.push_str(&format!(";maxaveragebitrate={rate}"));
    }
    text.push_str(if wishes.fec { ";useinbandfec=1" } else { ";useinbandfec=0" });
    if wishes.dtx {
        text.push_str(";usedtx=1");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_phones_and_browsers_write_them() {
        let browser = read_opus("minptime=10;useinbandfec=1");
        assert_eq!(browser, OpusWishes { fec: true, ..OpusWishes::default() });
        let phone =
            read_opus(" maxplaybackrate=16000; sprop-stereo=0; MaxAverageBitrate = 20000 ;usedtx=1;cbr=0;x");
        let expected = OpusWishes { fec: false, dtx: true, bitrate_max: Some(20_000), playback_hz: 16_000 };
        assert_eq!(phone, expected);
        let odd = read_opus("maxaveragebitrate=1;maxplaybackrate=99999999999;usedtx=2");
        assert_eq!(odd, OpusWishes { bitrate_max: Some(6_000), ..OpusWishes::default() });
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (fec, dtx, bitrate_max) in [(true, false, Some(24_000)), (false, true, None)] {
            let wishes = OpusWishes { fec, dtx, bitrate_max, playback_hz: 16_000 };
            assert_eq!(read_opus(&print_opus(wishes)), wishes);
        }
    }
}
