//! The dead-air guarantee (M16): what is sent to a watched ear is never silent for more than two seconds.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::time::Duration;

use segue_media::{
    Codec, Command, EarMeasure, EngineConfig, LegId, Report, Source, g711::FRAME, level, tone,
};
use world::{Mouth, STEP, World, config, mute, quiet, tone_of};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);
const BOT: f64 = 1033.0;

/// A watched caller who listens to a bot with that voice.
fn watched(bot: Mouth) -> (World, LegId, LegId) {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcma, tone_of(613.0));
    let bot = world.open(2, Codec::Pcmu, bot);
    world.wire(&[(caller, Source::Leg(bot)), (bot, Source::Leg(caller))]);
    world.command(Command::Watch { leg: caller, on: true });
    (world, caller, bot)
}

fn measured(world: &mut World, leg: LegId) -> EarMeasure {
    world.command(Command::Measure { leg, mark: 7 });
    match world.reports.last() {
        Some((_, Report::Measured { leg: ear_of, mark: 7, ear })) if *ear_of == leg => *ear,
        other => panic!("no measure but {other:?}"),
    }
}

/// The longest silence by what the far side can hear, in frames; counted from outside the engine.
fn longest(world: &mut World, leg: LegId) -> Duration {
    let far = world.far(leg);
    let sound = far.sound(usize::MAX);
    let silent: Vec<bool> =
        sound.chunks_exact(FRAME).map(|frame| level::dbov(frame) < level::SILENCE).collect();
    let run = silent.split(|silent| !silent).map(<[bool]>::len).max().unwrap_or(0);
    STEP * run as u32
}

#[test]
fn a_peer_that_sends_nothing_or_only_silence_or_only_noise_is_filled_for_before_two_seconds() {
    let hiss: Mouth =
        Box::new(|n| Some(std::array::from_fn(|k| ((n as usize * 31 + k * 17) % 40) as i16 - 20)));
    for (name, bot) in [("mute", mute()), ("quiet", quiet()), ("noise", hiss)] {
        let (mut world, caller, _) = watched(bot);
        world.run(SECOND * 30);
        let longest = longest(&mut world, caller);
        assert!(longest <= LIMIT && longest > SECOND, "{name}: {longest:?}");
        let ear = measured(&mut world, caller);
        assert_eq!((ear.silence_longest, ear.frames, ear.fills), (longest, 1500, 1), "{name}");
        assert_eq!(world.told(&Report::Filled { leg: caller }), 1);
        assert!((level::dbov(&world.far(caller).sound(1000)) - level::MUSIC).abs() < 2.0);
    }
}

#[test]
fn the_filler_ends_with_the_first_sound_of_the_peer_and_comes_again() {
    let mut tone = tone_of(BOT);
    let (mut world, caller, _) =
        watched(Box::new(move |n| if (n / 50) % 6 == 5 { tone(n) } else { Some([0; FRAME]) }));
    world.run(SECOND * 5 + STEP * 4);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 1);
    world.run(STEP * 40);
    assert!((world.far(caller).hears(BOT, 30) + 20.0).abs() < 0.3);
    assert!(world.far(caller).hears(392.0, 30) < -60.0, "no music under the voice");
    world.run(SECOND * 30);
    assert!(longest(&mut world, caller) <= LIMIT);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 6);
}

#[test]
fn a_peer_that_talks_with_natural_pauses_is_never_talked_over() {
    let mut tone = tone_of(BOT);
    let (mut world, caller, _) =
        watched(Box::new(move |n| if n % 130 < 45 { tone(n) } else { Some([0; FRAME]) }));
    world.run(SECOND * 60);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 0);
    let longest = measured(&mut world, caller).silence_longest;
    assert!((STEP * 83..=STEP * 86).contains(&longest), "a pause of 85 frames: {longest:?}");
}

#[test]
fn the_watch_can_begin_and_end_at_any_time() {
    let (mut world, caller, _) = watched(quiet());
    world.command(Command::Watch { leg: caller, on: false });
    world.run(SECOND * 10);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 0);
    assert_eq!(measured(&mut world, caller).silence_longest, SECOND * 10);
    world.command(Command::Watch { leg: caller, on: true });
    world.run(SECOND * 4);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 1);
    assert!(measured(&mut world, caller).silence_longest <= LIMIT);
    world.command(Command::Watch { leg: caller, on: false });
    world.run(SECOND * 4);
    assert!(level::dbov(&world.far(caller).sound(100)) < level::SILENCE);
}

#[test]
fn every_source_a_call_goes_through_keeps_the_guarantee() {
    let (mut world, caller, bot) = watched(quiet());
    let agent = world.open(3, Codec::Pcmu, quiet());
    world.run(STEP * 60);
    world.play(caller, vec![0; 8000 * 3]);
    world.run(STEP * 170);
    world.play(caller, tone::sine(500.0, -22.0, 4000));
    world.run(STEP * 100);
    world.wire(&[(caller, Source::Quiet)]);
    world.run(STEP * 85);
    world.wire(&[(caller, Source::Hold)]);
    world.run(STEP * 200);
    world.command(Command::Close { leg: bot });
    world.wire(&[(caller, Source::Leg(agent)), (agent, Source::Leg(caller))]);
    world.run(STEP * 300);
    let ear = measured(&mut world, caller);
    assert_eq!(ear.silence_longest, longest(&mut world, caller));
    assert!(ear.silence_longest <= LIMIT, "{ear:?}");
    assert!(ear.fills >= 3, "{ear:?}");
}

#[test]
fn zero_switches_the_watchdog_off_for_all() {
    let mut world = World::with(EngineConfig { watchdog: Duration::ZERO, ..config() });
    let caller = world.open(1, Codec::Pcmu, mute());
    world.command(Command::Watch { leg: caller, on: true });
    world.run(SECOND * 10);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 0);
}

#[test]
fn a_stall_of_our_own_counts_as_silence_in_the_measure() {
    let (mut world, caller, _) = watched(tone_of(BOT));
    world.run(SECOND);
    world.now += SECOND * 3;
    world.run(SECOND);
    let ear = measured(&mut world, caller);
    assert!(ear.silence_longest >= SECOND * 3 - Duration::from_millis(220), "{ear:?}");
}
