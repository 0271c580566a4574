//! Bad networks, played from the jitter buffer: loss, jitter, reordering, duplicates, drift, and streams that change under our feet.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::time::Duration;

use segue_media::{
    Codec, LegId, LegStats, Source,
    g711::{FRAME, Law},
    level, tone,
};
use world::{STEP, World, buffered, mute, tone_of};

const CALLER: f64 = 613.0;
const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A caller with a tone whom the agent hears.
fn pair() -> (World, LegId, LegId) {
    let mut world = World::with(buffered());
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    let agent = world.open(2, Codec::Pcmu, mute());
    world.wire(&[(agent, Source::Leg(caller))]);
    (world, caller, agent)
}

fn stats(world: &World, leg: LegId) -> LegStats {
    world.engine.stats(leg).expect("an open leg")
}

/// The level of everything but the tone, against the tone, over the last frames, in dB.
fn distortion(world: &mut World, agent: LegId, frames: usize) -> f32 {
    let sound = world.far(agent).sound(frames);
    let all: f64 = sound.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / sound.len() as f64;
    let tone = tone::power(&sound, CALLER);
    (10.0 * ((all - tone).max(1.0) / tone).log10()) as f32
}

#[test]
fn a_good_network_costs_no_frame_and_40_ms() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND * 20);
    let stats = stats(&world, caller);
    assert_eq!((stats.lost, stats.late, stats.duplicated, stats.concealed), (0, 0, 0, 0));
    assert_eq!(stats.received, 1000);
    assert!(stats.delay <= MS * 40, "{:?}", stats.delay);
    assert!(distortion(&mut world, agent, 900) < -30.0);
}

#[test]
fn duplicates_are_counted_and_not_heard() {
    let (mut world, caller, agent) = pair();
    world.network.doubled = 300;
    world.run(SECOND * 4);
    let stats = stats(&world, caller);
    assert!((40..80).contains(&stats.duplicated), "{stats:?}");
    assert_eq!((stats.received, stats.lost, stats.late, stats.concealed), (200, 0, 0, 0));
    // Before that the delay settles: a tone is made shorter by periods that are not quite whole samples.
    assert!(distortion(&mut world, agent, 50) < -30.0);
}

#[test]
fn loss_is_counted_and_concealed_so_that_the_tone_goes_on() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    world.network.lost = 50;
    world.run(SECOND * 20);
    let stats = stats(&world, caller);
    assert!((30..70).contains(&stats.lost), "{stats:?}");
    assert!(stats.concealed.abs_diff(stats.lost) <= 3, "{stats:?}");
    // Cut out, 5 % of the sound would be missing: a distortion of −13 dB.
    let heard = distortion(&mut world, agent, 1000);
    assert!(heard < -16.0, "{heard} dB");
    let holes =
        world.far(agent).sound(1000).chunks_exact(80).filter(|part| level::dbov(part) < -45.0).count();
    assert!(holes <= 4, "{holes} holes of 10 ms");
}

#[test]
fn jitter_and_reordering_are_smoothed_and_the_delay_follows_the_jitter_and_comes_back() {
    let (mut world, caller, agent) = pair();
    world.network.jitter = MS * 90;
    world.run(SECOND * 10);
    let settled = stats(&world, caller);
    world.run(SECOND * 20);
    let after = stats(&world, caller);
    assert_eq!(after.lost, 0);
    assert!(after.late - settled.late <= 2, "{settled:?} {after:?}");
    assert!(after.concealed - settled.concealed <= 3, "{settled:?} {after:?}");
    assert!(after.jitter > MS * 15 && after.jitter < MS * 45, "{:?}", after.jitter);
    assert!(distortion(&mut world, agent, 900) < -20.0);
    // The network is good again: the delay comes back where the caller pauses.
    world.network.jitter = Duration::ZERO;
    let mut tone = tone_of(CALLER);
    world.far(caller).mouth = Box::new(move |n| if n % 50 < 20 { Some([0; FRAME]) } else { tone(n) });
    world.run(SECOND * 30);
    let calm = stats(&world, caller);
    assert!(calm.delay <= MS * 60, "{:?}", calm.delay);
    assert_eq!(calm.concealed, after.concealed);
}

#[test]
fn jitter_beyond_the_limit_loses_packets_but_never_holds_sound_back_longer() {
    let (mut world, caller, _) = pair();
    world.network.jitter = MS * 600;
    world.run(SECOND * 20);
    let stats = stats(&world, caller);
    assert!(stats.late > 50, "{stats:?}");
    assert!(stats.delay <= MS * 220, "{stats:?}");
}

#[test]
fn a_network_that_becomes_slower_for_good_is_followed() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND * 2);
    for delay in [100, 180, 900, 5] {
        world.network.delay = MS * delay;
        world.run(SECOND * 8);
        let settled = stats(&world, caller);
        world.run(SECOND * 2);
        let after = stats(&world, caller);
        assert_eq!((after.late, after.concealed), (settled.late, settled.concealed), "after {delay} ms");
        assert!(distortion(&mut world, agent, 90) < -30.0, "after {delay} ms");
    }
}

#[test]
fn clocks_that_drift_apart_either_way_never_run_the_buffer_dry_or_full() {
    for parts in [-400_i64, 400] {
        let (mut world, caller, agent) = pair();
        let mut tone = tone_of(CALLER);
        world.far(caller).mouth = Box::new(move |n| if n % 40 < 12 { Some([0; FRAME]) } else { tone(n) });
        // 400 parts a million for five minutes: 120 ms.
        for n in 0..15_000_i64 {
            let drift = n * parts / 50;
            world.network.delay = Duration::from_micros((130_000 + drift).unsigned_abs());
            world.step();
        }
        let stats = stats(&world, caller);
        assert_eq!(stats.late, 0);
        assert!(stats.concealed <= 4, "{parts}: {stats:?}");
        assert!(stats.delay <= MS * 60, "{parts}: {stats:?}");
        assert!(world.far(agent).hears(CALLER, 20) > -40.0);
    }
}

#[test]
fn packets_of_any_length_come_out_as_frames_of_20_ms() {
    for (length, every) in [(80_usize, 1_u64), (160, 2), (240, 3), (320, 4), (400, 5), (480, 6), (37, 1)] {
        let (mut world, caller, agent) = pair();
        world.far(caller).mouth = mute();
        let sound = tone::sine(CALLER, -20.0, 8000 * 6);
        let mut said = 0;
        // Half steps of 10 ms: every so many of them a packet goes out, when its sound has been spoken.
        for half in 1..=400_u64 {
            while half % every == 0 && said + length <= half as usize * 80 {
                let mut payload = vec![0; length];
                Law::Pcmu.encode_into(&sound[said..said + length], &mut payload);
                let far = world.far(caller);
                let (bytes, from) = (far.packet(0, 5000 + said as u32, &payload), far.address);
                world.send(caller, from, &bytes);
                said += length;
            }
            if half % 2 == 0 {
                world.step();
            }
        }
        let stats = stats(&world, caller);
        assert!(stats.concealed <= 3 && stats.late == 0, "{length}: {stats:?}");
        assert!(world.far(agent).audio().all(|heard| heard.payload.len() == FRAME));
        let noise = distortion(&mut world, agent, 50);
        assert!(noise < -30.0, "{length} samples: {noise} dB");
    }
}

#[test]
fn a_jump_of_the_timestamps_is_followed_after_two_packets() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    for jump in [1_000_000_u32, 3_000_000_000, 4000, 0_u32.wrapping_sub(4000)] {
        let far = world.far(caller);
        far.timestamp = far.timestamp.wrapping_add(jump);
        let before = stats(&world, caller);
        world.run(SECOND);
        let after = stats(&world, caller);
        assert!(
            after.late - before.late <= 1 && after.concealed - before.concealed <= 5,
            "{jump}: {after:?}"
        );
        assert!(distortion(&mut world, agent, 40) < -30.0, "{jump}");
    }
}

#[test]
fn another_ssrc_from_the_same_address_is_followed_when_the_first_is_quiet() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    let far = world.far(caller);
    (far.ssrc, far.sequence, far.timestamp) = (99, 4, 17);
    world.run(SECOND);
    let stats = stats(&world, caller);
    assert!((3..=6).contains(&stats.rejected), "{stats:?}");
    assert_eq!(stats.lost, 0);
    assert!(distortion(&mut world, agent, 30) < -30.0);
}

#[test]
fn a_pause_without_packets_is_comfort_noise_and_not_endless_concealment() {
    let (mut world, caller, agent) = pair();
    let mut tone = tone_of(CALLER);
    world.far(caller).mouth = Box::new(move |n| if (100..300).contains(&n) { None } else { tone(n) });
    world.run(SECOND * 3);
    let paused = stats(&world, caller);
    assert!(paused.concealed <= 10, "{paused:?}");
    assert!((level::dbov(&world.far(agent).sound(20)) - level::COMFORT_NOISE).abs() < 1.5);
    world.run(SECOND * 5);
    let after = stats(&world, caller);
    assert_eq!((after.lost, after.late, after.concealed), (0, 0, paused.concealed));
    assert!(distortion(&mut world, agent, 80) < -30.0);
}

#[test]
fn after_a_stall_of_the_network_everything_is_played_within_the_limit() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    let mut tone = tone_of(CALLER);
    // Half a second of packets comes at once.
    world.network.delay = MS * 500;
    world.run(STEP * 25);
    world.network.delay = Duration::ZERO;
    world.run(SECOND * 2);
    assert!(stats(&world, caller).delay <= MS * 220);
    assert!(distortion(&mut world, agent, 40) < -30.0);
    world.far(caller).mouth = Box::new(move |n| if n % 25 < 10 { Some([0; FRAME]) } else { tone(n) });
    world.run(SECOND * 40);
    assert!(stats(&world, caller).delay <= MS * 60, "{:?}", stats(&world, caller));
}

#[test]
fn late_ticks_make_up_for_lost_time_and_very_late_ones_skip_it() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    let before = world.far(agent).heard.len();
    world.now += MS * 100;
    world.step();
    assert_eq!(world.far(agent).heard.len(), before + 6);
    let last = world.far(agent).heard.last().expect("a packet").header;
    world.now += SECOND * 3;
    world.step();
    let heard = &world.far(agent).heard;
    assert_eq!(heard.len(), before + 6 + 11, "200 ms made up for and the tick itself");
    let next = heard[before + 6].header;
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, last.timestamp.wrapping_add(160 * 141));
    assert!(next.marker);
    let counters = world.engine.counters();
    assert_eq!((counters.ticks_late, counters.ticks_skipped), (5 + 10, 140));
    // A tick a few milliseconds early or late is on time.
    for wobble in [3, 0, 5, 1, 4, 0] {
        world.now += STEP;
        let now = world.now - MS * wobble;
        let before = world.engine.counters().ticks;
        world.engine.on_tick(now);
        assert_eq!(world.engine.counters().ticks, before + 1);
    }
    assert_eq!(stats(&world, caller).rejected, 0);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_sound() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    world.now -= SECOND * 600;
    let before = world.far(agent).heard.len();
    world.run(SECOND);
    assert_eq!(world.far(agent).heard.len(), before + 50);
    assert!(distortion(&mut world, agent, 40) < -30.0);
    assert_eq!(stats(&world, caller).late, 0);
}
