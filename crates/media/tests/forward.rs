//! Forwarding: packets go to an ear as they come, and the tick takes over and hands back on one timeline.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::time::Duration;

use proptest::prelude::*;
use segue_media::{
    Codec, Command, Direction, EarMeasure, LegId, MediaDescription, PlayId, Report, Source,
    g711::{FRAME, Law},
    level,
    rtp::Header,
    tone,
};
use world::{EVENT, Heard, Mouth, STEP, World, description, mute, tone_of};

const CALLER: f64 = 613.0;
const BOT: f64 = 1033.0;
const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A caller and a bot who hear each other, both in µ-law.
fn pair(bot: Mouth) -> (World, LegId, LegId) {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    let bot = world.open(2, Codec::Pcmu, bot);
    world.wire(&[(caller, Source::Leg(bot)), (bot, Source::Leg(caller))]);
    (world, caller, bot)
}

fn measured(world: &mut World, leg: LegId) -> EarMeasure {
    world.command(Command::Measure { leg, mark: 7 });
    match world.reports.last() {
        Some((_, Report::Measured { leg: ear_of, mark: 7, ear })) if *ear_of == leg => *ear,
        other => panic!("no measure but {other:?}"),
    }
}

/// Steps of sequence and timestamp from each packet to the next.
fn steps(heard: &[Heard]) -> Vec<(u16, u32)> {
    let step = |pair: &[Heard]| {
        let (one, next) = (pair[0].header, pair[1].header);
        assert_eq!(one.ssrc, next.ssrc);
        (next.sequence.wrapping_sub(one.sequence), next.timestamp.wrapping_sub(one.timestamp))
    };
    heard.windows(2).map(step).collect()
}

fn is_unbroken(heard: &[Heard]) -> bool {
    steps(heard).iter().all(|step| *step == (1, 160))
}

#[test]
fn a_packet_leaves_as_it_comes_with_our_numbers_and_their_payload_type() {
    let (mut world, caller, bot) = pair(mute());
    let address = world.far(caller).address;
    let description =
        MediaDescription { codecs: vec![(Codec::Pcmu, 96)], ..description(address, Codec::Pcmu) };
    world.command(Command::Remote { leg: caller, description, signalling: None });
    world.run(SECOND);
    let before = world.far(caller).heard.clone();
    let far = world.far(bot);
    let (from, ssrc) = (far.address, far.ssrc);
    let header = Header { marker: true, payload_type: 0, sequence: 777, timestamp: 4_000_000_000, ssrc };
    let bytes = [&header.write()[..], &[0x55; FRAME]].concat();
    world.send(bot, from, &bytes);
    let heard = &world.far(caller).heard[before.len()..];
    assert_eq!(heard.len(), 1, "no tick was needed");
    let (last, sent) = (before.last().expect("noise").header, heard[0].header);
    assert_eq!((sent.payload_type, sent.marker, sent.ssrc), (96, true, last.ssrc));
    assert_eq!(
        (sent.sequence, sent.timestamp),
        (last.sequence.wrapping_add(1), last.timestamp.wrapping_add(160))
    );
    let count = before.len() + 1;
    world.step();
    assert_eq!(world.far(caller).heard.len(), count, "this tick's 20 ms are sent already");
    world.send(bot, from, &bytes);
    assert_eq!(world.far(caller).heard.len(), count, "a packet that comes twice goes out once");
}

#[test]
fn a_forwarded_call_sends_every_packet_once_and_holds_nothing_back() {
    let (mut world, caller, bot) = pair(tone_of(BOT));
    world.far(bot).phase = MS * 13;
    world.run(SECOND * 10);
    let stats = world.engine.stats(bot).expect("open");
    assert_eq!((stats.received, stats.lost, stats.late, stats.concealed), (500, 0, 0, 0));
    let heard = &world.far(caller).heard;
    assert_eq!(heard.len(), 500);
    assert!(is_unbroken(heard));
    assert!((world.far(caller).hears(BOT, 490) + 20.0).abs() < 0.1);
}

#[test]
fn loss_stays_a_gap_and_what_was_overtaken_goes_out_after() {
    let (mut world, caller, bot) = pair(mute());
    world.run(STEP * 2);
    let far = world.far(bot);
    let from = far.address;
    let packets: Vec<Vec<u8>> =
        (0..8_u32).map(|n| far.packet(0, 9000 + n * 160, &[0x40 + n as u8; FRAME])).collect();
    for n in [0, 1, 3, 2, 5, 6, 7] {
        world.send(bot, from, &packets[n]);
        world.step();
    }
    let heard: Vec<Heard> = world.far(caller).heard[2..].to_vec();
    let first = heard[0].header;
    let places: Vec<(u16, u32, u8)> = heard
        .iter()
        .map(|heard| {
            let header = heard.header;
            let place = header.sequence.wrapping_sub(first.sequence);
            (place, header.timestamp.wrapping_sub(first.timestamp) / 160, heard.payload[80])
        })
        .collect();
    let expected = [0, 1, 3, 2, 5, 6, 7].map(|n| (n as u16, n, 0x40 + n as u8));
    assert_eq!(places, expected);
}

#[test]
fn after_100_ms_without_a_packet_the_tick_takes_over_and_hands_back() {
    let mut tone = tone_of(BOT);
    let (mut world, caller, _) =
        pair(Box::new(move |n| if (100..150).contains(&n) { None } else { tone(n) }));
    world.run(SECOND * 5);
    let heard = &world.far(caller).heard;
    let steps = steps(heard);
    let gaps: Vec<(usize, (u16, u32))> =
        steps.iter().copied().enumerate().filter(|(_, step)| *step != (1, 160)).collect();
    assert_eq!(
        gaps,
        [(99, (1, 160 * 5))],
        "100 ms are waited for, then comfort noise; no gap on the way back"
    );
    assert!(heard[100].header.marker && heard.iter().filter(|heard| heard.header.marker).count() == 2);
    assert_eq!(heard.len(), 246);
    let noise: Vec<i16> = heard[101..144]
        .iter()
        .flat_map(|heard| heard.payload.iter().map(|&byte| Law::Pcmu.decode(byte)))
        .collect();
    assert!((level::dbov(&noise) - level::COMFORT_NOISE).abs() < 1.5);
    assert!((world.far(caller).hears(BOT, 90) + 20.0).abs() < 0.1);
}

#[test]
fn a_prompt_takes_the_place_of_forwarded_packets_and_gives_it_back_on_one_timeline() {
    for phase in [0, 1, 10, 19] {
        let (mut world, caller, bot) = pair(tone_of(BOT));
        world.far(bot).phase = MS * phase;
        for _ in 0..10 {
            world.run(STEP * 7);
            world.play(caller, tone::sine(2239.0, -20.0, 800));
            world.run(STEP * 11);
        }
        let heard = &world.far(caller).heard;
        assert!(is_unbroken(heard), "{phase} ms: {:?}", steps(heard));
        assert_eq!(heard.len(), 180, "{phase} ms");
        assert_eq!(
            world.reports.iter().filter(|(_, report)| matches!(report, Report::Played { .. })).count(),
            10
        );
    }
}

#[test]
fn the_watchdog_and_the_measure_see_what_is_forwarded() {
    let mut tone = tone_of(BOT);
    let (mut world, caller, _) =
        pair(Box::new(move |n| if (n / 50) % 6 == 5 { tone(n) } else { Some([0; FRAME]) }));
    world.command(Command::Watch { leg: caller, on: true });
    world.run(SECOND * 60);
    let sound = world.far(caller).sound(usize::MAX);
    let silent: Vec<bool> =
        sound.chunks_exact(FRAME).map(|frame| level::dbov(frame) < level::SILENCE).collect();
    let longest = silent.split(|silent| !silent).map(<[bool]>::len).max().unwrap_or(0);
    let ear = measured(&mut world, caller);
    assert_eq!(ear.silence_longest, STEP * longest as u32);
    assert!(ear.silence_longest <= SECOND * 2 && ear.silence_longest > SECOND, "{ear:?}");
    assert_eq!((ear.frames, ear.fills), (3000, 10));
    assert!(is_unbroken(&world.far(caller).heard));
}

#[test]
fn a_far_side_that_falls_mute_is_filled_for_before_two_seconds() {
    let mut tone = tone_of(BOT);
    let (mut world, caller, _) = pair(Box::new(move |n| if n < 100 { tone(n) } else { None }));
    world.command(Command::Watch { leg: caller, on: true });
    world.run(SECOND * 20);
    assert_eq!(world.told(&Report::Filled { leg: caller }), 1);
    let ear = measured(&mut world, caller);
    assert!(ear.silence_longest <= SECOND * 2 && ear.silence_longest > SECOND, "{ear:?}");
    assert!((level::dbov(&world.far(caller).sound(800)) - level::MUSIC).abs() < 2.0);
}

#[test]
fn a_key_is_told_once_and_its_packets_are_passed_on_under_the_ears_own_type() {
    let (mut world, caller, bot) = pair(tone_of(BOT));
    let address = world.far(bot).address;
    let description = MediaDescription { telephone_event: Some(110), ..description(address, Codec::Pcmu) };
    world.command(Command::Remote { leg: bot, description, signalling: None });
    world.run(SECOND);
    let start = world.far(caller).timestamp;
    let mut tone = tone_of(CALLER);
    let first = world.far(caller).frames;
    world.far(caller).mouth = Box::new(move |n| if n < first + 6 { None } else { tone(n) });
    let before = world.far(bot).heard.len();
    for n in 0..8_u16 {
        let [high, low] = ((n + 1) * 160).min(960).to_be_bytes();
        world.send_event(caller, start, [5, 10 | if n >= 5 { 0x80 } else { 0 }, high, low]);
        world.step();
    }
    world.run(SECOND);
    assert_eq!(world.keys(caller), "5");
    let heard = &world.far(bot).heard;
    let last_audio = heard[before - 1].header;
    let events: Vec<&Heard> = heard.iter().filter(|heard| heard.header.payload_type == 110).collect();
    assert_eq!(events.len(), 8);
    assert!(events.iter().all(|event| event.header.timestamp == last_audio.timestamp.wrapping_add(160)));
    assert_eq!(events[5].payload, [5, 0x8A, 3, 192]);
    let sequences: Vec<u16> = heard.iter().map(|heard| heard.header.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    let next = heard.iter().skip(before).find(|heard| heard.header.payload_type == 0).expect("audio again");
    assert_eq!(next.header.timestamp.wrapping_sub(last_audio.timestamp), 160 * 7);
    assert!(heard.iter().all(|heard| heard.header.payload_type != EVENT));
    assert_eq!(world.engine.counters().keys_dropped, 0);
}

#[test]
fn keys_of_our_own_come_between_and_the_voice_goes_on_after_them() {
    let (mut world, caller, bot) = pair(tone_of(BOT));
    world.far(bot).phase = MS * 9;
    world.run(SECOND);
    world.command(Command::SendKeys { leg: caller, keys: vec!['7', '8'] });
    world.run(SECOND);
    let events = world.far(caller).heard.iter().filter(|heard| heard.header.payload_type == EVENT).count();
    assert_eq!(events, 14);
    let sequences: Vec<u16> = world.far(caller).heard.iter().map(|heard| heard.header.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    assert_eq!(sequences.len(), 100);
    assert!((world.far(caller).hears(BOT, 30) + 20.0).abs() < 0.1);
}

#[test]
fn another_stream_from_the_same_far_side_goes_on_where_the_first_ended() {
    let (mut world, caller, bot) = pair(tone_of(BOT));
    world.run(SECOND);
    let far = world.far(bot);
    (far.ssrc, far.sequence, far.timestamp) = (99, 40_000, 17);
    world.run(SECOND);
    let far = world.far(bot);
    far.timestamp = far.timestamp.wrapping_sub(1_000_000);
    world.run(SECOND);
    let heard = &world.far(caller).heard;
    let mut odd = steps(heard);
    odd.retain(|step| *step != (1, 160));
    assert!(
        odd.len() <= 1 && odd.iter().all(|(sequence, time)| *sequence == 1 && *time <= 160 * 7),
        "{odd:?}"
    );
    assert!((140..=150).contains(&heard.len()), "{}", heard.len());
}

#[test]
fn clocks_that_drift_apart_never_break_the_timeline() {
    for every in [250_u64, 1000] {
        for fast in [false, true] {
            let (mut world, caller, bot) = pair(mute());
            world.run(STEP);
            // Every so many packets one comes a whole tick too many, or too few.
            for n in 0..20_000_u64 {
                let extra = n % every == 0;
                for _ in 0..if extra { 2 * u64::from(fast) } else { 1 } {
                    let far = world.far(bot);
                    let (timestamp, from) = (far.frames as u32 * 160, far.address);
                    far.frames += 1;
                    let bytes = far.packet(0, timestamp, &[0x33; FRAME]);
                    world.send(bot, from, &bytes);
                }
                world.far(caller).frames += 1;
                world.now += STEP;
                world.engine.on_tick(world.now);
                world.drain();
            }
            world.wire(&[(caller, Source::Hold)]);
            world.run(STEP * 10);
            let heard = &world.far(caller).heard;
            let odd: Vec<(u16, u32)> = steps(heard).into_iter().filter(|step| *step != (1, 160)).collect();
            assert!(odd.is_empty(), "fast {fast}, 1 in {every}: {odd:?}");
            assert!(heard.len() as u64 >= 20_000 - 20_000 / every);
        }
    }
}

#[test]
fn after_a_source_that_was_early_and_falls_mute_only_whole_frames_are_missing() {
    for flowed in 3..25_u32 {
        let (mut world, caller, bot) = pair(mute());
        world.run(STEP);
        // Two packets at once to begin with: the ear's clock follows by a few samples a packet.
        let mut timestamp = 0;
        for n in 0..flowed {
            for _ in 0..if n == 0 { 2 } else { 1 } {
                let far = world.far(bot);
                let (from, bytes) = (far.address, far.packet(0, timestamp, &[0x33; FRAME]));
                timestamp += 160;
                world.send(bot, from, &bytes);
            }
            world.step();
        }
        world.run(STEP * 10);
        let steps = steps(&world.far(caller).heard);
        assert!(steps.iter().all(|(_, time)| time % 160 == 0), "{flowed} packets: {steps:?}");
        assert!(steps.iter().all(|(sequence, _)| *sequence == 1), "{flowed} packets: {steps:?}");
    }
}

#[test]
fn after_a_stall_of_ours_what_waited_is_not_poured_out() {
    let (mut world, caller, bot) = pair(tone_of(BOT));
    world.run(SECOND);
    let before = world.far(caller).heard.len();
    let far = world.far(bot);
    let from = far.address;
    let late: Vec<Vec<u8>> = (0..200)
        .map(|_| {
            let timestamp = far.timestamp;
            far.timestamp = far.timestamp.wrapping_add(160);
            far.packet(0, timestamp, &[0x20; FRAME])
        })
        .collect();
    world.now += SECOND * 4;
    for bytes in late {
        world.send(bot, from, &bytes);
    }
    world.run(SECOND);
    let heard = &world.far(caller).heard[before..];
    assert!((50..=80).contains(&heard.len()), "{}", heard.len());
    let steps = steps(&world.far(caller).heard);
    assert!(steps.iter().all(|(_, time)| (160..=160 * 210).contains(time)), "{steps:?}");
    assert!((world.far(caller).hears(BOT, 30) + 20.0).abs() < 0.1);
}

#[test]
fn other_packet_times_and_codecs_are_played_from_the_buffer() {
    let (mut world, caller, bot) = pair(tone_of(BOT));
    world.run(SECOND);
    let far = world.far(caller);
    let address = far.address;
    let description = MediaDescription { ptime_ms: 30, ..description(address, Codec::Pcmu) };
    world.command(Command::Remote { leg: caller, description, signalling: None });
    world.run(SECOND);
    // Packets of 30 ms now.
    assert!((world.far(caller).hears(BOT, 25) + 20.0).abs() < 0.2);
    assert!(world.engine.stats(bot).expect("open").delay >= MS * 20);
    let description = world::description(address, Codec::Pcmu);
    let held = MediaDescription { direction: Direction::SendOnly, ..description.clone() };
    world.command(Command::Remote { leg: caller, description: held, signalling: None });
    let before = world.far(caller).heard.len();
    world.run(SECOND);
    assert_eq!(world.far(caller).heard.len(), before, "nothing goes to a far side on hold");
    world.command(Command::Remote { leg: caller, description, signalling: None });
    world.run(SECOND);
    assert!((world.far(caller).hears(BOT, 40) + 20.0).abs() < 0.1);
    assert!(is_unbroken(&world.far(caller).heard[before..]));
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Run(u8),
    Wire(u8),
    Play(u16),
    Stop,
    Keys,
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        4 => (1_u8..40).prop_map(Order::Run),
        3 => any::<u8>().prop_map(Order::Wire),
        2 => (0_u16..4000).prop_map(Order::Play),
        1 => Just(Order::Stop),
        1 => Just(Order::Keys),
    ]
}

fn ordered(world: &mut World, orders: &[Order], (caller, bot, agent): (LegId, LegId, LegId)) {
    let mut playing = PlayId(0);
    for order in orders {
        match *order {
            Order::Run(frames) => world.run(STEP * u32::from(frames)),
            Order::Wire(n) => {
                let source =
                    [Source::Quiet, Source::Hold, Source::Leg(bot), Source::Leg(agent)][usize::from(n % 4)];
                world.wire(&[(caller, source)]);
            }
            Order::Play(length) => playing = world.play(caller, vec![3000; usize::from(length)]),
            Order::Stop => world.command(Command::Stop { play: playing }),
            Order::Keys => world.command(Command::SendKeys { leg: caller, keys: vec!['3'] }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// On a good network, whatever an ear is switched between, at whatever phase its sources send: one packet
    /// after the other, 20 ms each, no time sent twice and none left out.
    #[test]
    fn an_ears_time_is_unbroken_whatever_it_is_switched_between(
        orders in proptest::collection::vec(order(), 1..60),
        phases in (0_u32..20, 0_u32..20),
    ) {
        let (mut world, caller, bot) = pair(tone_of(BOT));
        let agent = world.open(3, Codec::Pcmu, tone_of(CALLER));
        world.far(bot).phase = MS * phases.0;
        world.far(agent).phase = MS * phases.1;
        world.run(STEP * 3);
        ordered(&mut world, &orders, (caller, bot, agent));
        let elapsed = world.far(caller).frames;
        let heard = &world.far(caller).heard;
        prop_assert!(heard.len() as u64 >= elapsed && heard.len() as u64 <= elapsed + 1, "{} {elapsed}", heard.len());
        let mut clock = heard[0].header.timestamp;
        for (n, packet) in heard.iter().enumerate() {
            prop_assert_eq!(packet.header.sequence, heard[0].header.sequence.wrapping_add(n as u16));
            if packet.header.payload_type != EVENT {
                prop_assert_eq!(packet.header.timestamp, clock);
            }
            clock = clock.wrapping_add(160);
        }
    }

    /// On a bad network: sequence numbers are used once, later ones have later times, and no two packets share
    /// a sample.
    #[test]
    fn on_a_bad_network_no_time_is_sent_twice(
        orders in proptest::collection::vec(order(), 1..40),
        lost in 0_u64..300,
        jitter in 0_u32..150,
        phase in 0_u32..20,
    ) {
        let (mut world, caller, bot) = pair(tone_of(BOT));
        let agent = world.open(3, Codec::Pcmu, tone_of(CALLER));
        world.far(bot).phase = MS * phase;
        world.network.lost = lost;
        world.network.doubled = lost;
        world.network.jitter = MS * jitter;
        ordered(&mut world, &orders, (caller, bot, agent));
        let heard = &world.far(caller).heard;
        let Some(first) = heard.first().map(|heard| heard.header) else { return Ok(()) };
        let mut places: Vec<(u16, u32)> = heard
            .iter()
            .filter(|heard| heard.header.payload_type != EVENT)
            .map(|heard| {
                let header = heard.header;
                (header.sequence.wrapping_sub(first.sequence), header.timestamp.wrapping_sub(first.timestamp))
            })
            .collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            prop_assert!(pair[1].0 > pair[0].0 && pair[1].1 >= pair[0].1 + 160, "{:?}", pair);
        }
    }
}
