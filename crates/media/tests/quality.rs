//! What is told of a leg beside its sound: whether its far side is there, what it is worth, which keys it pressed.

mod world;

use std::time::Duration;

use segue_media::{Codec, Command, Direction, EarFrame, LegId, Report, Source, TapPayload};
use world::{Network, World, description, mute, tone_of};

const SECOND: Duration = Duration::from_secs(1);

/// When, after which time of the world, a leg was told as dead.
fn deaths(world: &World, leg: LegId, since: Duration) -> Vec<f64> {
    let told = world.reports.iter().filter_map(|(at, report)| match report {
        Report::Dead { leg: dead, .. } if *dead == leg => Some((*at - since).as_secs_f64()),
        Report::Dead { .. }
        | Report::Played { .. }
        | Report::Key { .. }
        | Report::Filled { .. }
        | Report::Heard { .. }
        | Report::Refused { .. }
        | Report::Measured { .. }
        | Report::Quality { .. }
        | Report::Closed { .. } => None,
    });
    told.collect()
}

#[test]
fn a_far_side_that_stops_is_told_within_six_seconds_and_the_others_are_not() {
    let mut world = World::new();
    let (caller, agent) =
        (world.open(1, Codec::Pcmu, tone_of(400.0)), world.open(2, Codec::Pcmu, tone_of(600.0)));
    world.wire(&[(caller, Source::Leg(agent)), (agent, Source::Leg(caller))]);
    world.run(SECOND * 10);
    let stopped = world.now;
    world.far(agent).mouth = mute();
    world.run(SECOND * 10);
    let told = deaths(&world, agent, stopped);
    assert!(told.len() == 1 && (5.8..=6.0).contains(&told[0]), "{told:?}");
    assert_eq!(deaths(&world, caller, stopped), []);
}

#[test]
fn a_far_side_on_hold_without_control_packets_is_not_judged() {
    let mut world = World::new();
    let leg = world.open(1, Codec::Pcmu, tone_of(400.0));
    world.run(SECOND);
    let mut held = description(world.far(leg).address, Codec::Pcmu);
    held.direction = Direction::Inactive;
    world.far(leg).mouth = mute();
    world.command(Command::Remote { leg, description: held, signalling: None });
    let since = world.now;
    world.run(SECOND * 60);
    assert_eq!(deaths(&world, leg, since), []);
}

#[test]
fn loss_lowers_the_score_of_what_was_heard() {
    let score_at = |lost| {
        let mut world = World::new();
        world.network = Network { lost, ..Network::default() };
        let leg = world.open(1, Codec::Pcmu, tone_of(400.0));
        world.run(SECOND * 11);
        world.command(Command::Close { leg });
        let told =
            world.reports.iter().filter(|(_, report)| matches!(report, Report::Quality { .. })).count();
        assert_eq!(told, 2, "one every five seconds");
        let Some((_, Report::Closed { quality, .. })) = world.reports.last() else { panic!("no last word") };
        quality.heard.expect("it was heard")
    };
    let (clean, bad) = (score_at(0), score_at(100));
    assert!(clean.mos > 4.35 && clean.loss == 0.0, "{clean:?}");
    assert!((0.07..0.13).contains(&bad.loss), "{bad:?}");
    assert!((2.9..3.6).contains(&bad.mos), "{bad:?}");
}

#[test]
fn a_key_told_by_signalling_reaches_the_call_and_the_listener_and_counts_once() {
    let mut world = World::new();
    let (caller, bot) =
        (world.open(1, Codec::Pcmu, tone_of(400.0)), world.open(2, Codec::Pcmu, tone_of(600.0)));
    world.wire(&[(bot, Source::Leg(caller))]);
    world.run(SECOND);
    world.command(Command::Press { leg: caller, key: '4' });
    world.run(Duration::from_millis(100));
    world.send_event(caller, 5000, [4, 0x8A, 3, 0x20]);
    world.run(SECOND);
    assert_eq!(world.keys(caller), "4");
    world.command(Command::Press { leg: caller, key: '4' });
    world.run(SECOND);
    assert_eq!(world.keys(caller), "44", "a press of its own");
    let starts = world
        .far(bot)
        .heard
        .iter()
        .filter(|heard| heard.header.payload_type == world::EVENT && heard.header.marker);
    assert_eq!(starts.count(), 2, "the bot gets both as RFC 4733");
}

#[test]
fn what_a_tapped_ear_is_sent_is_given_to_the_outside_whether_forwarded_or_made() {
    let mut world = World::new();
    let (caller, bot) =
        (world.open(1, Codec::Pcmu, tone_of(400.0)), world.open(2, Codec::Pcmu, tone_of(600.0)));
    world.wire(&[(caller, Source::Leg(bot))]);
    world.command(Command::TapEar { leg: caller, on: true });
    world.run(SECOND);
    world.wire(&[(caller, Source::Hold)]);
    world.run(SECOND);
    world.command(Command::TapEar { leg: caller, on: false });
    let before = world.far(caller).heard.len();
    world.run(SECOND);
    let taped: Vec<EarFrame> = std::iter::from_fn(|| world.engine.poll_ear_tap()).collect();
    let sent = &world.far(caller).heard[..before];
    assert!(taped.len() > 90 && taped.iter().all(|frame| frame.leg == caller));
    // The far side has its frames in the order in which they were sent; so has the tape, byte by byte.
    let sent: Vec<(u32, Vec<u8>)> =
        sent.iter().map(|heard| (heard.header.timestamp, heard.payload.clone())).collect();
    for frame in &taped {
        let TapPayload::G711(_, bytes) = &frame.payload else { panic!("it is narrowband") };
        assert!(sent.contains(&(frame.timestamp, bytes.to_vec())), "a frame that was never sent");
    }
}
