//! Who hears whom, frame by frame, proved with a tone for each party.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::time::Duration;

use segue_media::{
    Codec, Command, Direction, LegId, Report, Source, TapPayload,
    g711::{FRAME, Law},
    level, tone,
};
use world::{STEP, World, description, mute, quiet, tone_of};

const CALLER: f64 = 613.0;
const BOT: f64 = 1033.0;
const AGENT: f64 = 1571.0;
const WHISPER: f64 = 2239.0;
/// A tone this far down is not heard: the whisper is sent at −20 dBov, and SPEC asks for −60 dB.
const NOTHING: f32 = -80.0;
const SECOND: Duration = Duration::from_secs(1);

struct Call {
    world: World,
    caller: LegId,
    bot: LegId,
    agent: LegId,
}

/// Caller (µ-law) and bot (A-law) talk; the agent (µ-law) has answered and hears nothing yet.
fn call() -> Call {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    let bot = world.open(2, Codec::Pcma, tone_of(BOT));
    let agent = world.open(3, Codec::Pcmu, tone_of(AGENT));
    world.wire(&[(caller, Source::Leg(bot)), (bot, Source::Leg(caller))]);
    Call { world, caller, bot, agent }
}

#[test]
fn two_parties_hear_each_other_at_their_level_across_codecs_and_nobody_else() {
    let Call { mut world, caller, bot, agent } = call();
    world.run(SECOND);
    assert!((world.far(caller).hears(BOT, 40) + 20.0).abs() < 0.2);
    assert!((world.far(bot).hears(CALLER, 40) + 20.0).abs() < 0.2);
    for hertz in [CALLER, BOT] {
        assert!(world.far(agent).hears(hertz, 40) < NOTHING);
    }
    assert!(world.far(caller).hears(AGENT, 40) < -60.0);
    assert!(world.far(caller).hears(CALLER, 40) < -60.0, "no echo");
}

#[test]
fn the_same_codec_on_both_sides_is_forwarded_byte_by_byte() {
    let Call { mut world, caller, agent, .. } = call();
    world.wire(&[(caller, Source::Leg(agent)), (agent, Source::Leg(caller))]);
    world.run(SECOND);
    let mut expected = [0; FRAME];
    let samples = tone::sine(AGENT, -20.0, 8000);
    let payloads: Vec<Vec<u8>> = world.far(caller).audio().map(|heard| heard.payload.clone()).collect();
    let frames: Vec<Vec<u8>> = samples
        .chunks_exact(FRAME)
        .map(|chunk| {
            Law::Pcmu.encode_into(chunk, &mut expected);
            expected.to_vec()
        })
        .collect();
    let first =
        payloads.iter().position(|payload| *payload == frames[1]).expect("the second frame as it was");
    assert!(first <= 4, "held back for at most 60 ms: {first}");
    assert_eq!(payloads[first..], frames[1..=payloads.len() - first]);
}

#[test]
fn a_bridge_changes_both_ears_on_the_same_tick_and_the_whisper_stays_with_the_agent() {
    let Call { mut world, caller, bot, agent } = call();
    world.run(SECOND);
    world.wire(&[(caller, Source::Hold), (bot, Source::Quiet)]);
    let whisper = world.play(agent, tone::sine(WHISPER, -20.0, 8000 * 2));
    world.run(SECOND);
    assert!((world.far(agent).hears(WHISPER, 40) + 20.0).abs() < 0.2);
    world.command(Command::Stop { play: whisper });
    world.wire(&[(caller, Source::Leg(agent)), (agent, Source::Leg(caller))]);
    world.step();
    let (caller_first, agent_first) = (world.far(caller).sound(1), world.far(agent).sound(1));
    assert!(tone::goertzel(&caller_first[40..], AGENT) > -22.0, "the very next frame is the agent's voice");
    assert!(tone::goertzel(&agent_first[40..], CALLER) > -22.0, "the very next frame is the caller's voice");
    world.run(SECOND);
    assert!((world.far(caller).hears(AGENT, 40) + 20.0).abs() < 0.2);
    assert!((world.far(agent).hears(CALLER, 40) + 20.0).abs() < 0.2);
    assert!(world.far(agent).hears(WHISPER, 40) < NOTHING);
    assert!(world.far(bot).hears(CALLER, 40) < NOTHING && world.far(bot).hears(AGENT, 40) < NOTHING);
    // Over its whole life the caller's ear holds nothing at the whisper's pitch, music and all.
    let whole = world.far(caller).sound(usize::MAX);
    let leak = whole.chunks_exact(800).map(|part| tone::goertzel(part, WHISPER)).fold(-200.0, f32::max);
    assert!(leak < level::MUSIC - 20.0);
    world.wire(&[(caller, Source::Leg(agent))]);
    let bridged = world.far(caller).sound(45);
    assert!(tone::goertzel(&bridged, WHISPER) < NOTHING);
}

#[test]
fn while_the_whisper_plays_not_one_bit_of_it_changes_what_the_caller_is_sent() {
    let payloads = |whisper: bool| {
        let Call { mut world, caller, agent, .. } = call();
        world.wire(&[(caller, Source::Hold)]);
        if whisper {
            world.play(agent, tone::sine(WHISPER, -10.0, 8000));
        }
        world.run(SECOND * 2);
        world.far(caller).audio().map(|heard| heard.payload.clone()).collect::<Vec<_>>()
    };
    assert_eq!(payloads(true), payloads(false));
}

#[test]
fn one_timeline_goes_through_ten_changes_of_source() {
    let Call { mut world, caller, bot, agent } = call();
    let music = tone::sine(440.0, -20.0, 1000);
    let sources = [Source::Hold, Source::Quiet, Source::Leg(bot), Source::Leg(agent), Source::Leg(LegId(99))];
    for change in 0..10 {
        world.wire(&[(caller, sources[change % sources.len()])]);
        if change % 3 == 0 {
            world.play(caller, music.clone());
        }
        world.run(STEP * 13);
    }
    let heard = &world.far(caller).heard;
    assert_eq!(heard.len(), 130);
    assert!(heard[0].header.marker, "a talk spurt begins");
    for pair in heard.windows(2) {
        let (one, next) = (pair[0].header, pair[1].header);
        assert_eq!(next.ssrc, one.ssrc);
        assert_eq!(next.sequence, one.sequence.wrapping_add(1));
        assert_eq!(next.timestamp, one.timestamp.wrapping_add(160));
        assert!(!next.marker);
        assert_eq!(pair[1].payload.len(), FRAME);
    }
}

#[test]
fn a_change_of_source_makes_no_click() {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, mute());
    let bot = world.open(2, Codec::Pcmu, tone_of(200.0));
    let agent = world.open(3, Codec::Pcmu, tone_of(230.0));
    world.wire(&[(caller, Source::Leg(bot))]);
    world.run(SECOND);
    for _ in 0..20 {
        world.wire(&[(caller, Source::Leg(agent))]);
        world.run(STEP * 3);
        world.wire(&[(caller, Source::Leg(bot))]);
        world.run(STEP * 4);
    }
    let sound = world.far(caller).sound(130);
    let steepest = sound.windows(2).map(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs()).max();
    // A 230 Hz sine at −20 dBov moves by 840 a sample; a hard cut could move by 9,300.
    assert!(steepest < Some(1300), "{steepest:?}");
}

#[test]
fn a_prompt_is_heard_in_place_of_the_source_and_reports_its_end_with_its_last_frame() {
    let Call { mut world, caller, .. } = call();
    world.run(SECOND);
    let play = world.play(caller, tone::sine(WHISPER, level::SPEECH, 8000));
    let started = world.now;
    world.run(STEP * 49);
    assert!((world.far(caller).hears(WHISPER, 40) - level::SPEECH).abs() < 0.3);
    assert!(world.far(caller).hears(BOT, 40) < NOTHING);
    assert_eq!(world.told(&Report::Played { play, finished: true }), 0);
    world.step();
    assert_eq!(world.reports.last(), Some(&(started + SECOND, Report::Played { play, finished: true })));
    world.run(SECOND);
    assert!((world.far(caller).hears(BOT, 40) + 20.0).abs() < 0.2);
}

#[test]
fn every_prompt_ends_exactly_once_whatever_happens_to_it() {
    let Call { mut world, caller, agent, .. } = call();
    let sound = vec![5000; 8000];
    let replaced = world.play(caller, sound.clone());
    let stopped = world.play(caller, sound.clone());
    world.command(Command::Stop { play: stopped });
    world.command(Command::Stop { play: stopped });
    let empty = world.play(caller, Vec::new());
    world.run(STEP * 2);
    let closed = world.play(agent, sound.clone());
    world.command(Command::Close { leg: agent });
    let nowhere = world.play(agent, sound);
    world.run(SECOND * 2);
    let mut told = Vec::new();
    for (_, report) in &world.reports {
        if let Report::Played { play, finished } = report {
            told.push((*play, *finished));
        }
    }
    assert_eq!(told, [(replaced, false), (stopped, false), (empty, true), (closed, false), (nowhere, false)]);
}

#[test]
fn hold_music_and_comfort_noise_have_their_levels_and_the_music_goes_on_where_it_stopped() {
    let Call { mut world, caller, agent, .. } = call();
    world.wire(&[(caller, Source::Hold), (agent, Source::Quiet)]);
    world.run(SECOND * 80);
    let music = level::dbov(&world.far(caller).sound(4000));
    let noise = level::dbov(&world.far(agent).sound(4000));
    assert!(
        (music - level::MUSIC).abs() < 0.5 && (noise - level::COMFORT_NOISE).abs() < 0.5,
        "{music} {noise}"
    );
    let before: Vec<Vec<u8>> = world.far(caller).audio().map(|heard| heard.payload.clone()).collect();
    world.play(caller, vec![0; 8000]);
    world.run(SECOND * 2);
    let after = world.far(caller).audio().last().expect("a frame").payload.clone();
    assert_eq!(after, before[49], "80 s of loop, one second of prompt, one second on");
}

#[test]
fn an_ear_whose_peer_is_gone_hears_comfort_noise() {
    let Call { mut world, caller, bot, .. } = call();
    world.run(SECOND);
    world.command(Command::Close { leg: bot });
    world.run(SECOND);
    assert!((level::dbov(&world.far(caller).sound(40)) - level::COMFORT_NOISE).abs() < 1.0);
    let Some((_, Report::Closed { leg, stats, .. })) = world.reports.last() else { panic!("no last word") };
    assert_eq!(*leg, bot);
    assert_eq!((stats.received, stats.sent, stats.lost, stats.late, stats.rejected), (50, 50, 0, 0, 0));
    assert_eq!(world.engine.legs(), 2);
}

#[test]
fn a_far_side_on_hold_gets_no_audio_but_its_prompts_end_and_its_timeline_goes_on() {
    let Call { mut world, caller, bot, .. } = call();
    world.run(SECOND);
    let address = world.far(caller).address;
    let held = |direction| {
        let description = segue_media::MediaDescription { direction, ..description(address, Codec::Pcmu) };
        Command::Remote { leg: caller, description, signalling: Some(address) }
    };
    world.command(held(Direction::SendOnly));
    let play = world.play(caller, vec![9000; 4000]);
    let before = world.far(caller).heard.len();
    world.run(SECOND);
    assert_eq!(world.far(caller).heard.len(), before);
    assert_eq!(world.told(&Report::Played { play, finished: true }), 1);
    assert!((world.far(bot).hears(CALLER, 20) + 20.0).abs() < 0.2, "it may still speak");
    world.command(held(Direction::SendRecv));
    world.run(SECOND);
    let heard = &world.far(caller).heard;
    let (last, next) = (heard[before - 1].header, heard[before].header);
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, last.timestamp.wrapping_add(160 * 51));
    assert!(next.marker);
}

#[test]
fn a_change_of_codec_by_re_invite_keeps_the_timeline() {
    let Call { mut world, caller, bot, .. } = call();
    world.run(SECOND);
    let far = world.far(caller);
    far.codec = Codec::Pcma;
    let (address, before) = (far.address, far.heard.len());
    let description = description(address, Codec::Pcma);
    world.command(Command::Remote { leg: caller, description, signalling: Some(address) });
    world.run(SECOND);
    assert!((world.far(bot).hears(CALLER, 40) + 20.0).abs() < 0.2);
    assert!((world.far(caller).hears(BOT, 40) + 20.0).abs() < 0.2);
    let heard = &world.far(caller).heard;
    let (last, next) = (heard[before - 1].header, heard[before].header);
    assert_eq!((last.payload_type, next.payload_type), (0, 8));
    assert_eq!((next.ssrc, next.sequence), (last.ssrc, last.sequence.wrapping_add(1)));
}

#[test]
fn a_tap_gives_the_far_sides_frames_in_order_and_marks_what_was_lost() {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcma, quiet());
    let mut frame = [0; FRAME];
    let samples = tone::sine(CALLER, -20.0, FRAME);
    Law::Pcma.encode_into(&samples, &mut frame);
    let shape: [i16; FRAME] = samples.try_into().expect("one frame");
    world.command(Command::Tap { leg: caller, on: true });
    for n in 0..50 {
        let lost = n % 10 == 7;
        let far = world.far(caller);
        far.sequence = far.sequence.wrapping_add(u16::from(lost));
        far.mouth = Box::new(move |_| (!lost).then_some(shape));
        world.step();
    }
    world.command(Command::Tap { leg: caller, on: false });
    let count = world.taps.len();
    world.run(SECOND);
    assert_eq!(world.taps.len(), count, "off is off");
    assert!(world.taps.windows(2).all(|pair| pair[1].at == pair[0].at + STEP));
    assert!(world.taps.iter().all(|tap| tap.leg == caller));
    let start = world.taps.iter().position(|tap| tap.payload.is_some()).expect("a frame");
    let taps = &world.taps[start..];
    let lost: Vec<usize> = (0..taps.len()).filter(|&n| taps[n].payload.is_none()).collect();
    // What is lost touches one frame or two.
    assert!((5..=10).contains(&lost.len()) && lost.iter().all(|n| (6..=8).contains(&(n % 10))), "{lost:?}");
    // The first frame fades in; those up to the first loss are as they came.
    let whole = TapPayload::G711(Law::Pcma, frame);
    assert!(taps[1..lost[0]].iter().all(|tap| tap.payload.as_ref() == Some(&whole)));
}
