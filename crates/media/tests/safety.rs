//! Strangers, broken packets, limits, and the numbers that RTCP carries.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails loudly")]

mod world;

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;
use rtcp::{goodbye::Goodbye, receiver_report::ReceiverReport, sender_report::SenderReport};
use segue_media::{
    Channel, Codec, Command, Engine, EngineConfig, LegId, MediaDescription, Report, Source,
    g711::{FRAME, Law},
    rtp::Header,
    tone,
};
use world::{EVENT, World, config, description, mute, tone_of};

const CALLER: f64 = 613.0;
const ATTACKER: f64 = 1571.0;
const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn pair() -> (World, LegId, LegId) {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    let agent = world.open(2, Codec::Pcmu, mute());
    world.wire(&[(agent, Source::Leg(caller)), (caller, Source::Leg(agent))]);
    (world, caller, agent)
}

fn foreign(sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut payload = [0; FRAME];
    Law::Pcmu.encode_into(&tone::sine(ATTACKER, -6.0, FRAME), &mut payload);
    let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc };
    [&header.write()[..], &payload].concat()
}

#[test]
fn an_attacker_who_knows_everything_but_the_address_is_not_heard_and_gets_nothing() {
    let (mut world, caller, agent) = pair();
    let elsewhere: SocketAddr = "192.0.2.66:4000".parse().expect("an address");
    let other_port: SocketAddr = "198.51.100.1:4002".parse().expect("an address");
    world.run(SECOND);
    for _ in 0..100 {
        let far = world.far(caller);
        let (sequence, timestamp, ssrc) = (far.sequence, far.timestamp, far.ssrc);
        for from in [elsewhere, other_port] {
            world.send(caller, from, &foreign(sequence, timestamp, ssrc));
        }
        world.step();
    }
    assert!(world.far(agent).hears(ATTACKER, 90) < -80.0);
    assert!((world.far(agent).hears(CALLER, 90) + 20.0).abs() < 0.2);
    let stats = world.engine.stats(caller).expect("open");
    assert_eq!((stats.rejected, stats.lost, stats.late), (200, 0, 0));
    assert_eq!(world.far(caller).heard.len(), 150, "we went on sending to the caller alone");
}

#[test]
fn an_attacker_who_fakes_the_address_too_is_kept_out_by_the_ssrc() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    for n in 0..100 {
        let far = world.far(caller);
        let (from, timestamp) = (far.address, far.timestamp);
        world.send(caller, from, &foreign(n, timestamp, 666));
        world.step();
    }
    assert!(world.far(agent).hears(ATTACKER, 90) < -80.0);
    assert_eq!(world.engine.stats(caller).expect("open").rejected, 100);
}

#[test]
fn an_attacker_who_is_first_does_not_take_the_place_of_the_sdp_address() {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, mute());
    for n in 0..100 {
        world.send(
            caller,
            "192.0.2.66:4000".parse().expect("an address"),
            &foreign(n, u32::from(n) * 160, 1),
        );
        world.step();
    }
    assert_eq!(world.told(&Report::Heard { leg: caller }), 0);
    assert_eq!(world.far(caller).heard.len(), 100);
    world.far(caller).mouth = tone_of(CALLER);
    world.run(SECOND);
    assert_eq!(world.told(&Report::Heard { leg: caller }), 1);
}

#[test]
fn a_caller_behind_a_translator_is_found_and_answered_where_it_really_is() {
    let mut world = World::new();
    let caller = world.open(1, Codec::Pcmu, mute());
    let real: SocketAddr = "203.0.113.9:61234".parse().expect("an address");
    let description = description("192.168.1.20:4000".parse().expect("an address"), Codec::Pcmu);
    let signalling = Some(SocketAddr::new(real.ip(), 5060));
    world.command(Command::Remote { leg: caller, description, signalling });
    let far = world.far(caller);
    (far.address, far.mouth) = (real, tone_of(CALLER));
    world.run(SECOND);
    assert_eq!(world.engine.stats(caller).expect("open").received, 50);
    assert_eq!(world.far(caller).heard.len(), 50);
}

#[test]
fn a_re_invite_with_another_address_moves_the_leg_and_the_old_one_is_a_stranger() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    let old = world.far(caller).address;
    let new: SocketAddr = "198.51.100.1:9000".parse().expect("an address");
    world.command(Command::Remote {
        leg: caller,
        description: description(new, Codec::Pcmu),
        signalling: None,
    });
    let far = world.far(caller);
    (far.address, far.ssrc) = (new, 31);
    let before = far.heard.len();
    world.run(SECOND);
    let (sequence, timestamp) = (world.far(caller).sequence, world.far(caller).timestamp);
    world.send(caller, old, &foreign(sequence, timestamp, 31));
    assert!((world.far(agent).hears(CALLER, 40) + 20.0).abs() < 0.3);
    assert_eq!(world.far(caller).heard.len(), before + 50);
    assert_eq!(world.engine.stats(caller).expect("open").rejected, 1);
}

#[test]
fn what_is_no_media_of_ours_is_counted_and_changes_nothing() {
    let (mut world, caller, agent) = pair();
    world.run(SECOND);
    let (from, ssrc) = (world.far(caller).address, world.far(caller).ssrc);
    let header = Header { marker: false, payload_type: 96, sequence: 1, timestamp: 1, ssrc };
    let unknown = [&header.write()[..], &[0; FRAME]].concat();
    let huge = [&Header { payload_type: 0, ..header }.write()[..], &[0; 1200]].concat();
    let broken_report = [0x81, 200, 0, 6, 0, 0];
    let bad: [&[u8]; 6] = [&[], &[0x80], &[0xFF; 40], &unknown, &huge, &broken_report];
    for bytes in bad {
        world.send(caller, from, bytes);
    }
    world.run(SECOND);
    let stats = world.engine.stats(caller).expect("open");
    assert_eq!((stats.rejected, stats.lost, stats.late), (6, 0, 0));
    assert!((world.far(agent).hears(CALLER, 40) + 20.0).abs() < 0.2);
    world.engine.on_packet(world.now, LegId(77), Channel::Rtp, from, &unknown);
    assert_eq!(world.engine.counters().packets_unknown, 1);
}

#[test]
fn control_reports_say_what_was_sent_and_received_and_a_closed_leg_says_goodbye() {
    let (mut world, caller, agent) = pair();
    world.network.lost = 100;
    world.run(SECOND * 30);
    world.network.lost = 0;
    world.command(Command::Close { leg: caller });
    let Some((_, Report::Closed { stats, .. })) = world.reports.last() else { panic!("no last word") };
    let lost = stats.lost;
    let ssrc = world.far(caller).heard[0].header.ssrc;
    let control = &world.far(caller).control;
    assert!((4..=12).contains(&control.len()), "{}", control.len());
    let read =
        |bytes: &[u8]| rtcp::packet::unmarshal(&mut bytes::Bytes::copy_from_slice(bytes)).expect("RTCP");
    let last = read(control.last().expect("a report"));
    let report = last[0].as_any().downcast_ref::<SenderReport>().expect("a sender report");
    assert_eq!((report.ssrc, report.packet_count, report.octet_count), (ssrc, 1500, 1500 * 160));
    assert_eq!(report.reports[0].ssrc, 7001);
    assert_eq!(u64::from(report.reports[0].total_lost), lost);
    assert!((100..200).contains(&lost), "{lost}");
    assert_eq!(last[2].as_any().downcast_ref::<Goodbye>().expect("BYE").sources, [ssrc]);
    // The agent never sent: its reports have no block.
    let quiet = read(&world.far(agent).control[0]);
    assert!(quiet[0].as_any().downcast_ref::<SenderReport>().expect("a sender report").reports.is_empty());
}

#[test]
fn round_trip_loss_and_jitter_are_those_that_the_far_side_reports() {
    let (mut world, caller, _) = pair();
    world.run(SECOND * 8);
    let sent_at = |bytes: &[u8]| {
        let mut bytes = bytes::Bytes::copy_from_slice(bytes);
        let packets = rtcp::packet::unmarshal(&mut bytes).expect("RTCP");
        let report = packets[0].as_any().downcast_ref::<SenderReport>().expect("a sender report").clone();
        (report.ssrc, (report.ntp_time >> 16) as u32, report.ntp_time)
    };
    let (ssrc, middle, whole) = sent_at(world.far(caller).control.last().expect("a report"));
    let sent = Duration::from_secs((whole >> 32) - 2_208_988_800)
        + Duration::from_nanos(((whole & 0xFFFF_FFFF) * 1_000_000_000) >> 32);
    let thought = world.now - sent - MS * 70;
    let block = rtcp::reception_report::ReceptionReport {
        ssrc,
        fraction_lost: 10,
        total_lost: 17,
        last_sequence_number: 9,
        jitter: 80,
        last_sender_report: middle,
        delay: ((thought.as_nanos() << 16) / 1_000_000_000) as u32,
    };
    let report = ReceiverReport { ssrc: 7001, reports: vec![block], ..ReceiverReport::default() };
    let bytes = rtcp::packet::marshal(&[Box::new(report)]).expect("RTCP");
    let from = SocketAddr::new(world.far(caller).address.ip(), 4001);
    world.engine.on_packet(
        world.now,
        caller,
        Channel::Rtcp,
        "192.0.2.1:4001".parse().expect("an address"),
        &bytes,
    );
    assert_eq!(world.engine.stats(caller).expect("open").round_trip, None, "strangers report nothing");
    world.engine.on_packet(world.now, caller, Channel::Rtcp, from, &bytes);
    let stats = world.engine.stats(caller).expect("open");
    assert!(stats.round_trip.is_some_and(|trip| trip.abs_diff(MS * 70) < MS), "{stats:?}");
    assert_eq!((stats.far_lost, stats.far_jitter), (17, MS * 10));
}

#[test]
fn beyond_its_legs_an_engine_refuses_and_beyond_its_taps_it_drops_the_oldest() {
    let mut world = World::with(EngineConfig { legs_max: 2, taps_max: 10, ..config() });
    let caller = world.open(1, Codec::Pcmu, tone_of(CALLER));
    world.open(2, Codec::Pcmu, mute());
    world.command(Command::Open { leg: LegId(3), codec: Codec::Pcmu, watched: true });
    world.command(Command::Open { leg: LegId(1), codec: Codec::Pcmu, watched: true });
    assert_eq!(world.told(&Report::Refused { leg: LegId(3) }), 1);
    assert_eq!(world.told(&Report::Refused { leg: LegId(1) }), 1);
    world.command(Command::Tap { leg: caller, on: true });
    world.run(SECOND);
    let before = world.taps.len();
    // A stall of the driver: nobody drains for a while.
    let (from, start) = (world.far(caller).address, world.now);
    for n in 1..=30_u32 {
        let far = world.far(caller);
        let bytes = far.packet(0, 0, &[0x55; FRAME]);
        world.engine.on_packet(start + MS * (20 * n), caller, Channel::Rtp, from, &bytes);
        world.engine.on_tick(start + MS * (20 * n));
    }
    world.now = start + MS * 600;
    world.drain();
    assert_eq!(world.taps.len(), before + 10);
    assert_eq!(world.engine.counters().taps_dropped, 20);
    assert_eq!(world.taps.last().expect("a frame").at, world.now);
}

#[test]
fn the_same_seed_and_the_same_events_give_the_same_packets() {
    let run = |seed| {
        let mut engine = Engine::new(config(), seed);
        let mut out = Vec::new();
        let at = SocketAddr::from(([127, 0, 0, 1], 4000));
        engine.command(SECOND, Command::Open { leg: LegId(1), codec: Codec::Pcma, watched: true });
        engine.command(
            SECOND,
            Command::Remote { leg: LegId(1), description: description(at, Codec::Pcma), signalling: None },
        );
        for n in 0..400 {
            engine.on_tick(SECOND + MS * (20 * n));
            while let Some((transmit, bytes)) = engine.poll_transmit() {
                out.push((transmit, bytes.to_vec()));
            }
        }
        out
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[derive(Clone, Debug)]
enum Happening {
    Raw(Vec<u8>),
    Packet { kind: u8, sequence: u16, timestamp: u32, ssrc: u32, length: usize },
    Control(Vec<u8>),
    Time(u16),
    Wire(u8),
    Play(u16),
    Stop(u8),
    Keys,
    Remote(u8),
    Close,
    Open,
}

fn happening() -> impl Strategy<Value = Happening> {
    let packet = (any::<u8>(), any::<u16>(), any::<u32>(), 0_u32..3, 0_usize..1000).prop_map(
        |(kind, sequence, timestamp, ssrc, length)| {
            let kind = [0, 8, 13, 101, 101, kind & 0x7F][usize::from(kind) % 6];
            Happening::Packet { kind, sequence, timestamp, ssrc, length }
        },
    );
    prop_oneof![
        8 => packet,
        2 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(Happening::Raw),
        2 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(|mut bytes| {
            bytes.splice(0..0, [0x81, 200 + (bytes.len() % 4) as u8]);
            Happening::Control(bytes)
        }),
        8 => (0_u16..60).prop_map(Happening::Time),
        1 => any::<u16>().prop_map(Happening::Time),
        1 => any::<u8>().prop_map(Happening::Wire),
        1 => (0_u16..2000).prop_map(Happening::Play),
        1 => any::<u8>().prop_map(Happening::Stop),
        1 => Just(Happening::Keys),
        1 => any::<u8>().prop_map(Happening::Remote),
        1 => Just(Happening::Close),
        2 => Just(Happening::Open),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens in whatever order: no panic, whole frames, every prompt ends at most once, and no ear
    /// is given a sequence number twice.
    #[test]
    fn nothing_that_can_happen_breaks_the_engine(
        happenings in proptest::collection::vec((0_u64..3, happening()), 0..200),
    ) {
        let mut world = World::new();
        for leg in 0..3 {
            world.command(Command::Open { leg: LegId(leg), codec: Codec::Pcmu, watched: true });
        }
        let mut last = std::collections::BTreeMap::new();
        let mut now = world.now;
        let mut plays = 0;
        for (number, happening) in happenings {
            let leg = LegId(number);
            let address = |n: u8| SocketAddr::from(([192, 168, 0, n % 3], 4000));
            let engine = &mut world.engine;
            match happening {
                Happening::Raw(bytes) => engine.on_packet(now, leg, Channel::Rtp, address(1), &bytes),
                Happening::Control(bytes) => engine.on_packet(now, leg, Channel::Rtcp, address(1), &bytes),
                Happening::Packet { kind, sequence, timestamp, ssrc, length } => {
                    let header = Header { marker: false, payload_type: kind, sequence, timestamp, ssrc };
                    let bytes = [&header.write()[..], &vec![kind; length]].concat();
                    engine.on_packet(now, leg, Channel::Rtp, address(1), &bytes);
                }
                Happening::Time(milliseconds) => {
                    now += MS * u32::from(milliseconds);
                    engine.on_tick(now);
                }
                Happening::Wire(source) => {
                    let source = [Source::Quiet, Source::Hold, Source::Leg(LegId(u64::from(source) % 5))]
                        [usize::from(source) % 3];
                    engine.command(now, Command::Wire(vec![(leg, source)]));
                }
                Happening::Play(length) => {
                    plays += 1;
                    let sound = vec![i16::MIN; usize::from(length)].into();
                    engine.command(now, Command::Play { leg, play: segue_media::PlayId(plays), sound });
                }
                Happening::Stop(play) => {
                    engine.command(now, Command::Stop { play: segue_media::PlayId(u64::from(play) % 20) });
                }
                Happening::Keys => engine.command(now, Command::SendKeys { leg, keys: vec!['1', 'é', '#'] }),
                Happening::Remote(n) => {
                    let codec = if n % 2 == 0 { Codec::Pcmu } else { Codec::Pcma };
                    let codecs = if n > 250 { Vec::new() } else { vec![(codec, n % 64)] };
                    let description = MediaDescription { codecs, ..description(address(n / 2), codec) };
                    engine.command(now, Command::Remote { leg, description, signalling: Some(address(1)) });
                }
                Happening::Close => engine.command(now, Command::Close { leg }),
                Happening::Open => {
                    engine.command(now, Command::Open { leg, codec: Codec::Pcma, watched: true });
                }
            }
            while let Some((transmit, bytes)) = world.engine.poll_transmit() {
                if segue_media::rtp::is_rtcp(bytes) {
                    continue;
                }
                let (header, payload) = Header::read(bytes).expect("what we send is RTP");
                prop_assert!(payload.len() == FRAME || header.payload_type == EVENT);
                let key = (transmit.leg, header.ssrc);
                let seen: &mut Vec<u16> = last.entry(key).or_default();
                prop_assert!(!seen.contains(&header.sequence), "a sequence number is used once");
                seen.push(header.sequence);
            }
            while let Some(report) = world.engine.poll_report() {
                world.reports.push((now, report));
            }
            while world.engine.poll_tap().is_some() {}
        }
        let mut ended = Vec::new();
        for (_, report) in &world.reports {
            if let Report::Played { play, .. } = report {
                ended.push(*play);
            }
        }
        let count = ended.len();
        ended.sort_unstable();
        ended.dedup();
        prop_assert_eq!(ended.len(), count);
    }
}
