//! G.722 and Opus between legs: who hears what, and that wideband stays wide.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::{net::SocketAddr, time::Duration};

use audio_codec::{
    Decoder as _, Encoder as _,
    g722::{G722Decoder, G722Encoder},
};
use segue_media::{
    Channel, Codec, Command, Engine, LegId, MediaDescription, PlayId, Source, TapPayload,
    g711::{FRAME, Law},
    rtp::{Header, is_rtcp},
    tone,
};
use world::{config, description};

const STEP: Duration = Duration::from_millis(20);

/// A far side with a codec of its own. It says a tone and decodes what it hears, at 16 kHz (G.711: at 8 kHz).
struct Far {
    codec: Codec,
    hertz: f64,
    opus: (opus::Encoder, opus::Decoder),
    g722: (G722Encoder, G722Decoder),
    heard: Vec<i16>,
    headers: Vec<(Header, usize)>,
}

impl Far {
    fn new(codec: Codec, hertz: f64) -> Self {
        let mono = opus::Channels::Mono;
        let mut encoder = opus::Encoder::new(16_000, mono, opus::Application::Voip).expect("an encoder");
        encoder.set_inband_fec(true).expect("an encoder that can");
        encoder.set_packet_loss_perc(20).expect("an encoder that can");
        let decoder = opus::Decoder::new(16_000, mono).expect("a decoder");
        let g722 = (G722Encoder::new(), G722Decoder::new());
        Self { codec, hertz, opus: (encoder, decoder), g722, heard: Vec::new(), headers: Vec::new() }
    }

    fn rate(&self) -> f64 {
        f64::from(self.codec.sound_hz())
    }

    /// Its tone in the frame of that number, encoded.
    fn say(&mut self, frame: u32) -> Vec<u8> {
        let rate = self.codec.sound_hz() as usize;
        let sound = tone::sine(self.hertz * 8000.0 / self.rate(), -20.0, rate);
        let start = frame as usize * (rate / 50) % rate;
        let samples = &sound[start..start + rate / 50];
        let mut out = vec![0; 400];
        let length = match self.codec {
            Codec::Opus => self.opus.0.encode(samples, &mut out).expect("a packet"),
            Codec::G722 => self.g722.0.encode_into(samples, &mut out).expect("a packet"),
            Codec::Pcmu | Codec::Pcma => {
                let law = self.codec.law().expect("a law");
                law.encode_into(samples, &mut out);
                samples.len()
            }
        };
        out.truncate(length);
        out
    }

    fn hear(&mut self, payload: &[u8]) {
        let mut out = vec![0; 5000];
        let length = match self.codec {
            Codec::Opus => self.opus.1.decode(payload, &mut out, false).expect("a packet"),
            Codec::G722 => self.g722.1.decode_into(payload, &mut out).expect("a packet"),
            Codec::Pcmu | Codec::Pcma => {
                self.codec.law().expect("a law").decode_into(payload, &mut out);
                payload.len()
            }
        };
        self.heard.extend(&out[..length]);
    }

    /// The level of a tone in the last half second.
    fn level(&self, hertz: f64) -> f32 {
        let length = self.codec.sound_hz() as usize / 2;
        let last = &self.heard[self.heard.len().saturating_sub(length)..];
        tone::goertzel(last, hertz * 8000.0 / self.rate())
    }
}

struct Call {
    engine: Engine,
    now: Duration,
    fars: Vec<Far>,
    frame: u32,
    /// Every so many packets of the first far side are lost; 0 loses none.
    lose: u32,
}

impl Call {
    fn new(codecs: [Codec; 2], tones: [f64; 2], ptime_ms: u32) -> Self {
        let mut engine = Engine::new(config(), 5);
        let now = Duration::from_secs(1_700_000_000);
        for (number, codec) in (1..).zip(codecs) {
            let leg = LegId(number);
            engine.command(now, Command::Open { leg, codec, watched: false });
            let description = MediaDescription { ptime_ms, ..description(address(number), codec) };
            engine.command(now, Command::Remote { leg, description, signalling: None });
        }
        let wires = vec![(LegId(1), Source::Leg(LegId(2))), (LegId(2), Source::Leg(LegId(1)))];
        engine.command(now, Command::Wire(wires));
        let fars = codecs.into_iter().zip(tones).map(|(codec, hertz)| Far::new(codec, hertz)).collect();
        Self { engine, now, fars, frame: 0, lose: 0 }
    }

    fn run(&mut self, frames: u32) {
        for _ in 0..frames {
            for (number, far) in (1..).zip(&mut self.fars) {
                let payload = far.say(self.frame);
                let header = Header {
                    marker: false,
                    payload_type: far.codec.payload_type(),
                    sequence: (self.frame as u16).wrapping_add(65_500),
                    timestamp: (self.frame * far.codec.frame_ticks()).wrapping_sub(7000),
                    ssrc: 40 + number as u32,
                };
                if number == 1 && self.lose > 0 && (self.frame + 1).is_multiple_of(self.lose) {
                    continue;
                }
                let packet = [&header.write()[..], &payload].concat();
                self.engine.on_packet(self.now, LegId(number), Channel::Rtp, address(number), &packet);
            }
            self.frame += 1;
            self.now += STEP;
            self.engine.on_tick(self.now);
            while let Some((transmit, bytes)) = self.engine.poll_transmit() {
                if is_rtcp(bytes) {
                    continue;
                }
                let (header, payload) = Header::read(bytes).expect("RTP");
                let far = &mut self.fars[transmit.leg.0 as usize - 1];
                far.headers.push((header, payload.len()));
                let payload = payload.to_vec();
                far.hear(&payload);
            }
        }
    }
}

fn address(number: u64) -> SocketAddr {
    ([198, 51, 100, number as u8], 4000).into()
}

#[test]
fn every_pair_of_codecs_hears_each_other() {
    for one in Codec::ALL {
        for other in Codec::ALL {
            let mut call = Call::new([one, other], [600.0, 900.0], 20);
            call.run(150);
            let [first, second] = &call.fars[..] else { panic!("two far sides") };
            let levels = [first.level(900.0), second.level(600.0)];
            assert!(levels.iter().all(|level| (level + 20.0).abs() < 4.0), "{one:?} {other:?}: {levels:?}");
            assert!(first.level(600.0) < -45.0 && second.level(900.0) < -45.0, "{one:?} {other:?}");
        }
    }
}

#[test]
fn wideband_stays_wide_between_wideband_codecs() {
    for codecs in [[Codec::G722, Codec::Opus], [Codec::Opus, Codec::G722], [Codec::Opus, Codec::Opus]] {
        let mut call = Call::new(codecs, [5200.0, 4700.0], 20);
        call.run(150);
        let levels = [call.fars[0].level(4700.0), call.fars[1].level(5200.0)];
        // Opus keeps a pure tone up there at a lower level; narrowband would have none.
        assert!(levels.iter().all(|level| *level > -32.0), "{codecs:?}: {levels:?}");
    }
}

#[test]
fn timestamps_go_on_by_the_codecs_clock_and_sequence_numbers_by_one() {
    for (codec, ticks) in [(Codec::Opus, 960), (Codec::G722, 160), (Codec::Pcma, 160)] {
        let mut call = Call::new([codec, Codec::Pcmu], [600.0, 900.0], 20);
        call.run(60);
        let headers = &call.fars[0].headers;
        assert!(headers.len() >= 59);
        for pair in headers.windows(2) {
            assert_eq!(pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp), ticks, "{codec:?}");
            assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1));
        }
    }
}

#[test]
fn packets_have_the_length_that_the_far_side_asked_for() {
    for codec in Codec::ALL {
        for ms in [10, 20, 30, 40, 60] {
            let mut call = Call::new([codec, Codec::Pcmu], [600.0, 900.0], ms);
            call.run(150);
            let far = &call.fars[0];
            let ms = if codec == Codec::Opus && ms == 30 { 20 } else { ms };
            let ticks = codec.clock_hz() / 1000 * ms;
            for pair in far.headers.windows(2) {
                assert_eq!(pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp), ticks, "{codec:?} {ms} ms");
            }
            if codec != Codec::Opus {
                assert!(far.headers.iter().all(|(_, length)| *length as u32 == ms * 8));
            }
            assert!((far.level(900.0) + 20.0).abs() < 4.0, "{codec:?} {ms} ms: {}", far.level(900.0));
        }
    }
}

#[test]
fn prompts_music_and_a_bridge_sound_on_wideband_ears() {
    for codec in [Codec::G722, Codec::Opus] {
        let mut call = Call::new([codec, Codec::Pcmu], [600.0, 900.0], 20);
        let sound = tone::sine(1300.0, -20.0, 8000);
        let play = Command::Play { leg: LegId(1), play: PlayId(1), sound: sound.into() };
        call.engine.command(call.now, play);
        call.run(45);
        assert!((call.fars[0].level(1300.0) + 20.0).abs() < 4.0, "{codec:?}: {}", call.fars[0].level(1300.0));
        call.run(60);
        assert!((call.fars[0].level(900.0) + 20.0).abs() < 4.0, "{codec:?}: the bridge after the prompt");
        call.engine.command(call.now, Command::Wire(vec![(LegId(1), Source::Hold)]));
        call.run(100);
        let length = call.fars[0].heard.len();
        let music = segue_media::level::dbov(&call.fars[0].heard[length - 16_000..]);
        assert!((-40.0..-20.0).contains(&music), "{codec:?}: music at {music} dBov");
    }
}

#[test]
fn a_lost_packet_of_opus_is_made_up_from_the_next_one() {
    let mut call = Call::new([Codec::Opus, Codec::Pcmu], [600.0, 900.0], 20);
    call.lose = 10;
    call.run(300);
    let heard = &call.fars[1];
    assert!((heard.level(600.0) + 20.0).abs() < 2.0, "{}", heard.level(600.0));
    let lost = call.engine.stats(LegId(1)).expect("a leg").lost;
    assert!((28..=30).contains(&lost), "{lost}");
}

#[test]
fn the_tap_of_a_wideband_voice_is_at_16_khz() {
    let mut call = Call::new([Codec::G722, Codec::Pcmu], [5200.0, 900.0], 20);
    for leg in [1, 2] {
        call.engine.command(call.now, Command::Tap { leg: LegId(leg), on: true });
    }
    call.run(100);
    let (mut wide, mut narrow) = (Vec::new(), 0);
    while let Some(tap) = call.engine.poll_tap() {
        match tap.payload {
            Some(TapPayload::Wide(frame)) => wide.extend(frame),
            Some(TapPayload::G711(Law::Pcmu, bytes)) => narrow += bytes.len() / FRAME,
            Some(TapPayload::G711(Law::Pcma, _)) | None => {}
        }
    }
    assert!(narrow > 90);
    assert!(tone::goertzel(&wide[wide.len() - 8000..], 2600.0) > -24.0);
}
