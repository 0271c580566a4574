//! Telephone keys by RFC 4733, heard, sent and relayed.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::time::Duration;

use segue_media::{
    Codec, Command, LegId, Source, TapPayload,
    g711::{FRAME, Law},
    random::Random,
    tone,
};
use world::{EVENT, Heard, STEP, World, mute, tone_of};

const CALLER: f64 = 613.0;
const SECOND: Duration = Duration::from_secs(1);

/// Caller and agent hear each other.
fn bridge() -> (World, LegId, LegId) {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    let agent = world.open(2, Codec::Pcma, mute());
    world.wire(&[(caller, Source::Leg(agent)), (agent, Source::Leg(caller))]);
    world.run(SECOND);
    (world, caller, agent)
}

/// One press as a phone sends it, 20 ms a packet in place of audio; gives how many packets came through.
fn press(world: &mut World, leg: LegId, code: u8, lose: &mut impl FnMut(usize) -> bool) -> usize {
    let start = world.far(leg).timestamp;
    let mouth = std::mem::replace(&mut world.far(leg).mouth, mute());
    let mut arrived = 0;
    for n in 0..8_usize {
        let duration = ((n as u16 + 1) * 160).min(960).to_be_bytes();
        let end = if n >= 5 { 0x80 } else { 0 };
        if lose(n) {
            world.far(leg).sequence = world.far(leg).sequence.wrapping_add(1);
        } else {
            world.send_event(leg, start, [code, end | 10, duration[0], duration[1]]);
            arrived += 1;
        }
        world.step();
    }
    world.far(leg).mouth = mouth;
    arrived
}

/// The presses in what a far side was sent: event code and the packets of each.
fn presses(heard: &[Heard]) -> Vec<(u8, Vec<&Heard>)> {
    let mut presses: Vec<(u8, Vec<&Heard>)> = Vec::new();
    for packet in heard.iter().filter(|heard| heard.header.payload_type == EVENT) {
        match presses.last_mut() {
            Some((_, packets)) if packets[0].header.timestamp == packet.header.timestamp => {
                packets.push(packet)
            }
            _ => presses.push((packet.payload[0], vec![packet])),
        }
    }
    presses
}

#[test]
fn a_press_is_told_once_and_relayed_to_whoever_listens() {
    let (mut world, caller, agent) = bridge();
    for code in [0, 9, 10, 11, 15] {
        press(&mut world, caller, code, &mut |_| false);
        world.run(STEP * 10);
    }
    assert_eq!(world.keys(caller), "09*#D");
    assert_eq!(world.keys(agent), "");
    let heard = &world.far(agent).heard;
    let codes: Vec<u8> = presses(heard).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [0, 9, 10, 11, 15]);
    let caller_side = &world.far(caller).heard;
    assert!(presses(caller_side).is_empty(), "nobody's keys come back to them");
}

#[test]
fn keys_are_not_relayed_over_a_prompt_or_to_an_ear_that_hears_something_else() {
    let (mut world, caller, agent) = bridge();
    let bot = world.open(3, Codec::Pcmu, mute());
    world.play(agent, vec![0; 8000]);
    press(&mut world, caller, 1, &mut |_| false);
    world.wire(&[(agent, Source::Hold)]);
    world.run(SECOND);
    press(&mut world, caller, 2, &mut |_| false);
    assert_eq!(world.keys(caller), "12");
    assert!(presses(&world.far(agent).heard).is_empty() && presses(&world.far(bot).heard).is_empty());
}

#[test]
fn at_ten_percent_loss_no_key_is_lost_and_none_is_doubled() {
    let (mut world, caller, _) = bridge();
    let mut random = Random::new(5);
    let mut expected = String::new();
    for n in 0..200_u8 {
        let code = n % 12;
        if press(&mut world, caller, code, &mut |_| random.below(10) == 0) > 0 {
            expected.push(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#'][usize::from(code)]);
        }
        world.run(STEP * 2);
    }
    assert_eq!(expected.len(), 200, "eight packets are not all lost at 10 %");
    assert_eq!(world.keys(caller), expected);
}

#[test]
fn an_event_is_not_heard_even_if_the_phone_sends_its_tone_as_audio_too_and_the_tap_gets_silence() {
    let (mut world, caller, agent) = bridge();
    world.command(Command::Tap { leg: caller, on: true });
    let start = world.far(caller).timestamp;
    let mut caller_tone = tone_of(CALLER);
    let mut in_band = tone_of(1477.0);
    let first = world.far(caller).frames;
    world.far(caller).mouth =
        Box::new(move |n| if (first..first + 6).contains(&n) { in_band(n) } else { caller_tone(n) });
    for n in 0..6_u16 {
        let [high, low] = ((n + 1) * 160).to_be_bytes();
        world.send_event(caller, start, [3, 10 | if n == 5 { 0x80 } else { 0 }, high, low]);
        world.step();
    }
    world.run(STEP * 20);
    assert_eq!(world.keys(caller), "3");
    let whole = world.far(agent).sound(26);
    let loudest = whole.chunks_exact(FRAME).map(|frame| tone::goertzel(frame, 1477.0)).fold(-200.0, f32::max);
    assert!(loudest < -45.0, "{loudest}");
    let silent = world
        .taps
        .iter()
        .filter(|tap| tap.payload == Some(TapPayload::G711(Law::Pcmu, [Law::Pcmu.silence(); FRAME])))
        .count();
    assert!((6..=7).contains(&silent), "120 ms touch six or seven frames: {silent}");
    assert!((world.far(agent).hears(CALLER, 15) + 20.0).abs() < 0.5);
    let stats = world.engine.stats(caller).expect("open");
    assert_eq!((stats.concealed, stats.late, stats.lost), (0, 0, 0));
}

#[test]
fn sent_keys_have_the_timestamps_of_rfc_4733_and_the_timeline_goes_on_through_them() {
    let (mut world, caller, agent) = bridge();
    let before = world.far(agent).heard.len();
    world.command(Command::SendKeys { leg: agent, keys: vec!['1', '1', '#'] });
    world.run(SECOND);
    let heard = &world.far(agent).heard[before..];
    let presses = presses(heard);
    assert_eq!(presses.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [1, 1, 11]);
    for (_, packets) in &presses {
        let durations: Vec<u16> =
            packets.iter().map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]])).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        let ends: Vec<bool> = packets.iter().map(|packet| packet.payload[1] & 0x80 != 0).collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        let markers = packets.iter().filter(|packet| packet.header.marker).count();
        assert!(markers == 1 && packets[0].header.marker);
    }
    // Sequence numbers run through audio and events; timestamps are those of the clock, events' of their start.
    for (n, packet) in heard.iter().enumerate() {
        assert_eq!(packet.header.sequence, heard[0].header.sequence.wrapping_add(n as u16));
        let clock = heard[0].header.timestamp.wrapping_add(n as u32 * 160);
        if packet.header.payload_type == EVENT {
            assert!(clock.wrapping_sub(packet.header.timestamp) <= 6 * 160);
        } else {
            assert_eq!(packet.header.timestamp, clock);
        }
    }
    assert!((world.far(agent).hears(CALLER, 20) + 20.0).abs() < 0.3);
    assert_eq!(world.keys(caller), "");
}

#[test]
fn keys_for_a_far_side_that_does_not_speak_telephone_event_are_counted_and_dropped() {
    let (mut world, _, agent) = bridge();
    let address = world.far(agent).address;
    let description =
        segue_media::MediaDescription { telephone_event: None, ..world::description(address, Codec::Pcma) };
    world.command(Command::Remote { leg: agent, description, signalling: None });
    world.command(Command::SendKeys { leg: agent, keys: vec!['1', '2'] });
    world.run(SECOND);
    assert!(presses(&world.far(agent).heard).is_empty());
    assert_eq!(world.engine.counters().keys_dropped, 2);
}
