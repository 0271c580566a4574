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

/// A mouth that sends a tone in the seconds that it is asked about, and nothing in others.
fn talks_in(seconds: impl Fn(u64) -> bool + 'static) -> Mouth {
    let mut tone = tone_of(BOT);
    Box::new(move |n| seconds(n / 50).then(|| tone(n)).flatten())
}

/// A caller and an agent who talk, both covered.
fn talking(agent: Mouth, config: EngineConfig) -> (World, LegId, LegId) {
    let mut world = World::with(config);
    let caller = world.open(1, Codec::Pcma, quiet());
    let agent = world.open(2, Codec::Pcma, agent);
    world.wire(&[(caller, Source::Leg(agent)), (agent, Source::Leg(caller))]);
    for leg in [caller, agent] {
        world.command(Command::Cover { leg, on: true });
    }
    (world, caller, agent)
}

#[test]
fn a_covered_ear_is_filled_for_a_voice_that_stops_or_never_comes_until_its_first_packet() {
    for config in [config(), world::buffered()] {
        for heard in [0_u64, 5] {
            let (mut world, caller, agent) =
                talking(talks_in(move |second| second < heard || second >= heard + 5), config.clone());
            world.run(SECOND * heard as u32 + SECOND * 5);
            let longest = longest(&mut world, caller);
            assert!(longest <= LIMIT && longest > SECOND, "heard for {heard} s: {longest:?}");
            assert_eq!(world.told(&Report::Filled { leg: caller }), 1);
            assert!((level::dbov(&world.far(caller).sound(50)) - level::MUSIC).abs() < 3.0);
            assert_eq!(world.told(&Report::Filled { leg: agent }), 0, "silence is packets too");
            world.run(SECOND);
            assert!((world.far(caller).hears(BOT, 30) + 20.0).abs() < 0.3, "{heard} s");
            assert!(world.far(caller).hears(392.0, 30) < -60.0, "no music under the voice");
        }
    }
}

#[test]
fn a_covered_ear_is_let_alone_with_a_voice_that_pauses_in_packets_or_leaves_them_out_on_purpose() {
    let (mut world, caller, _) = talking(quiet(), config());
    world.run(SECOND * 20);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 0);
    // It leaves packets out for half a second first: its numbers go on, its time does not wait.
    let mut tone = tone_of(BOT);
    let pauses = move |n: u64| (!(50..75).contains(&n) && n < 150).then(|| tone(n)).flatten();
    let (mut world, caller, _) = talking(Box::new(pauses), config());
    world.run(SECOND * 6);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 0);
}

#[test]
fn a_prompt_over_a_voice_that_is_gone_begins_the_time_anew_and_uncovered_ears_stay_silent() {
    let (mut world, caller, agent) = talking(talks_in(|second| second < 2), config());
    world.command(Command::Cover { leg: agent, on: false });
    world.run(SECOND * 3);
    world.play(caller, tone::sine(500.0, -22.0, 8000));
    world.run(STEP * 137);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 0, "1.8 s after the prompt");
    world.run(STEP * 10);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 1);
    world.fars.get_mut(&caller).expect("it is open").mouth = mute();
    world.run(SECOND * 5);
    assert_eq!(world.told(&Report::Filled { leg: agent }), 0);
}
