//! Whose packets are heard and where ours go: translators, forgers, pauses, and keys in the sound.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::{net::SocketAddr, time::Duration};

use segue_media::{Codec, Command, LegId, Report, Source, TapPayload, g711::FRAME, level, rtp::Header, tone};
use world::{EVENT, STEP, World, mute, tone_of};

const CALLER: f64 = 613.0;
const FOREIGN: f64 = 2600.0;
const SECOND: Duration = Duration::from_secs(1);

/// A caller with a tone whom the agent hears; `agent` in another codec, so that the buffer plays.
fn pair(agent: Codec) -> (World, LegId, LegId) {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    let agent = world.open(2, agent, mute());
    world.wire(&[(agent, Source::Leg(caller)), (caller, Source::Leg(agent))]);
    (world, caller, agent)
}

/// The level of a tone in every 20 ms that the agent heard in the last `frames`.
fn loudest(world: &mut World, agent: LegId, frames: usize, hertz: f64) -> f32 {
    let sound = world.far(agent).sound(frames);
    sound.chunks_exact(FRAME).map(|frame| tone::goertzel(frame, hertz)).fold(-200.0, f32::max)
}

/// The longest run of frames without the caller's tone.
fn longest_gap(world: &mut World, agent: LegId, frames: usize) -> usize {
    let sound = world.far(agent).sound(frames);
    let mut gaps = vec![0];
    for frame in sound.chunks_exact(FRAME) {
        if tone::goertzel(frame, CALLER) < -35.0 {
            *gaps.last_mut().expect("one") += 1;
        } else {
            gaps.push(0);
        }
    }
    gaps.into_iter().max().unwrap_or(0)
}

/// A packet of the foreign tone.
fn foreign(ssrc: u32, n: u32) -> Vec<u8> {
    let header = Header { marker: false, payload_type: 0, sequence: n as u16, timestamp: n * 160, ssrc };
    let mut payload = [0; FRAME];
    Codec::Pcmu.law().expect("a law").encode_into(&tone::sine(FOREIGN, -10.0, FRAME), &mut payload);
    [&header.write()[..], &payload].concat()
}

#[test]
fn a_translator_that_moves_the_caller_to_another_port_costs_at_most_400_ms_both_ways() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let (mut world, caller, agent) = pair(codec);
        world.run(SECOND * 2);
        let moved: SocketAddr = "198.51.100.1:5000".parse().expect("an address");
        world.far(caller).address = moved;
        let heard_before = world.far(caller).heard.len();
        world.run(SECOND * 2);
        assert!(longest_gap(&mut world, agent, 100) <= 20, "{codec:?}");
        assert!(world.far(caller).heard.len() - heard_before >= 80, "{codec:?}: our sound follows");
        assert!((world.far(agent).hears(CALLER, 50) + 20.0).abs() < 1.0, "{codec:?}");
    }
}

#[test]
fn who_forges_the_callers_address_is_not_heard_while_the_caller_speaks_and_never_mutes() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let (mut world, caller, agent) = pair(codec);
        world.run(SECOND);
        let address = world.far(caller).address;
        for n in 0..200 {
            world.send(caller, address, &foreign(77, n));
            world.step();
        }
        assert!(loudest(&mut world, agent, 200, FOREIGN) < -50.0, "{codec:?}");
        assert!(longest_gap(&mut world, agent, 200) <= 2, "{codec:?}");
        // In a pause of the caller it may be heard, as a new stream of theirs would be; the caller's next words end it.
        world.far(caller).mouth = mute();
        for n in 200..300 {
            world.send(caller, address, &foreign(77, n));
            world.step();
        }
        world.far(caller).mouth = tone_of(CALLER);
        for n in 300..500 {
            world.send(caller, address, &foreign(77, n));
            world.step();
        }
        assert!(longest_gap(&mut world, agent, 190) <= 5, "{codec:?}");
        assert!(loudest(&mut world, agent, 180, FOREIGN) < -50.0, "{codec:?}");
    }
}

#[test]
fn keys_in_the_sound_are_told_once_where_events_are_not_spoken_and_not_relayed_twice() {
    for spoken in [false, true] {
        let (mut world, caller, agent) = pair(Codec::Pcmu);
        let address = world.far(caller).address;
        let description = segue_media::MediaDescription {
            telephone_event: spoken.then_some(EVENT),
            ..world::description(address, Codec::Pcmu)
        };
        world.command(Command::Remote { leg: caller, description, signalling: None });
        // 5 and 9 as tones of 100 ms, half a second apart.
        let press = |low: f64, high: f64| -> Vec<i16> {
            let (low, high) = (tone::sine(low, -18.0, 800), tone::sine(high, -18.0, 800));
            low.iter().zip(&high).map(|(low, high)| low + high).collect()
        };
        let mut sound = vec![0_i16; 8000 * 3];
        sound[8000..8800].copy_from_slice(&press(770.0, 1336.0));
        sound[12_000..12_800].copy_from_slice(&press(852.0, 1477.0));
        world.far(caller).mouth = Box::new(move |n| {
            let start = n as usize * FRAME;
            sound.get(start..start + FRAME).and_then(|frame| frame.try_into().ok())
        });
        world.run(SECOND * 3);
        assert_eq!(world.keys(caller), if spoken { "" } else { "59" });
        assert_eq!(world.keys(agent), "");
        assert!(world.far(agent).heard.iter().all(|heard| heard.header.payload_type != EVENT));
    }
}

#[test]
fn a_described_pause_is_heard_at_its_level_and_is_neither_loss_nor_the_end() {
    let (mut world, caller, agent) = pair(Codec::Pcma);
    world.command(Command::Tap { leg: caller, on: true });
    world.run(SECOND);
    world.far(caller).mouth = mute();
    for _ in 0..10 {
        let far = world.far(caller);
        let (timestamp, from) = (far.timestamp, far.address);
        let bytes = far.packet(13, timestamp, &[50]);
        world.send(caller, from, &bytes);
        world.run(STEP * 10);
    }
    let level = level::dbov(&world.far(agent).sound(80));
    assert!((level + 50.0).abs() < 2.0, "{level}");
    let stats = world.engine.stats(caller).expect("open");
    assert!(stats.lost == 0 && stats.concealed <= 3, "{stats:?}");
    assert_eq!(world.told(&Report::Heard { leg: caller }), 1);
    let noise =
        world.taps.iter().rev().take(50).filter(|tap| matches!(tap.payload, Some(TapPayload::G711(..))));
    assert_eq!(noise.count(), 50, "recognition hears the pause too");
}
