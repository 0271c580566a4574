//! What a relayed packet costs: taken in, held in the jitter buffer, taken out on the tick, handed to the driver.
//!
//! Elements are packets. A call is two legs, so two packets every 20 ms, and calls on one core are
//! 20 ms ÷ (2 × the time of one packet); sockets are not in it.

#![allow(clippy::indexing_slicing, reason = "a benchmark may stop where its own load is wrong")]

use std::{hint::black_box, net::SocketAddr, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use segue_media::{
    Channel, Codec, Command, Direction, Engine, EngineConfig, LegId, MediaDescription, OpusWishes, PlayId,
    Source, g711::FRAME, rtp::Header, tone,
};

const LEGS: u64 = 1000;
const STEP: Duration = Duration::from_millis(20);

struct Load {
    engine: Engine,
    now: Duration,
    packets: Vec<(LegId, SocketAddr, Vec<u8>)>,
    sequence: u16,
    timestamp: u32,
}

impl Load {
    /// Pairs of legs that hear each other; the second of each pair speaks `other`.
    fn new(config: &EngineConfig, other: Codec) -> Self {
        let mut engine = Engine::new(config.clone(), 1);
        let mut packets = Vec::new();
        let now = Duration::from_secs(1_700_000_000);
        let sound = tone::sine(613.0, -20.0, FRAME);
        for number in 0..LEGS {
            let leg = LegId(number);
            let codec = if number % 2 == 0 { Codec::Pcmu } else { other };
            let rtp = SocketAddr::from(([127, 1, (number / 250) as u8, (number % 250) as u8], 4000));
            let description = MediaDescription {
                rtp,
                rtcp: rtp,
                codecs: vec![(codec, codec.payload_type())],
                telephone_event: Some(101),
                ptime_ms: 20,
                direction: Direction::SendRecv,
                security: Vec::new(),
                opus: OpusWishes::default(),
            };
            engine.command(now, Command::Open { leg, codec, watched: number % 2 == 0 });
            engine.command(now, Command::Remote { leg, description, signalling: None });
            engine.command(now, Command::Wire(vec![(leg, Source::Leg(LegId(number ^ 1)))]));
            let mut bytes = Header {
                marker: false,
                payload_type: codec.payload_type(),
                sequence: 0,
                timestamp: 0,
                ssrc: number as u32,
            }
            .write()
            .to_vec();
            bytes.extend(sound.iter().map(|&sample| codec.law().map_or(0, |law| law.encode(sample))));
            packets.push((leg, rtp, bytes));
        }
        let mut load = Self { engine, now, packets, sequence: 0, timestamp: 0 };
        for _ in 0..50 {
            load.step();
        }
        load
    }

    fn step(&mut self) -> u64 {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        for (leg, from, bytes) in &mut self.packets {
            bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
            self.engine.on_packet(self.now, *leg, Channel::Rtp, *from, bytes);
        }
        self.now += STEP;
        self.engine.on_tick(self.now);
        let mut sent = 0;
        while let Some((transmit, bytes)) = self.engine.poll_transmit() {
            black_box((transmit, bytes));
            sent += 1;
        }
        while self.engine.poll_report().is_some() {}
        sent
    }

    /// As `step`, and every tapped frame is decoded, as recognition does it.
    fn step_and_decode(&mut self) -> u64 {
        let sent = self.step();
        while let Some(tap) = self.engine.poll_tap() {
            black_box(tap.payload.map(|payload| payload.narrow()));
        }
        sent
    }
}

fn relay(criterion: &mut Criterion) {
    let config = EngineConfig::default();
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(LEGS));
    group.sample_size(40);
    for (name, other) in [("same codec", Codec::Pcmu), ("other codec", Codec::Pcma)] {
        let mut load = Load::new(&config, other);
        assert!(load.step() >= LEGS, "every leg is sent a packet");
        group.bench_function(BenchmarkId::new("relayed", name), |bencher| bencher.iter(|| load.step()));
    }
    let mut tapped = Load::new(&config, Codec::Pcmu);
    for number in 0..LEGS {
        tapped.engine.command(tapped.now, Command::Tap { leg: LegId(number), on: true });
    }
    group.bench_function("tapped and decoded", |bencher| bencher.iter(|| tapped.step_and_decode()));
    let mut played = Load::new(&config, Codec::Pcmu);
    let sound: segue_media::Sound = tone::sine(440.0, -22.0, 8000 * 600).into();
    for number in 0..LEGS {
        let (leg, play) = (LegId(number), PlayId(number));
        played.engine.command(played.now, Command::Play { leg, play, sound: sound.clone() });
    }
    group.bench_function("prompt in every ear", |bencher| bencher.iter(|| played.step()));
    let mut held = Load::new(&config, Codec::Pcmu);
    let ears = |source| (0..LEGS).map(|number| (LegId(number), source)).collect();
    held.engine.command(held.now, Command::Wire(ears(Source::Hold)));
    group.bench_function("music in every ear", |bencher| bencher.iter(|| held.step()));
    held.engine.command(held.now, Command::Wire(ears(Source::Quiet)));
    group.bench_function("comfort noise in every ear", |bencher| bencher.iter(|| held.step()));
    let mut lossy = Load::new(&config, Codec::Pcmu);
    let mut round = 0_u32;
    group.bench_function("5 % lost and concealed", |bencher| {
        bencher.iter(|| {
            round += 1;
            if round.is_multiple_of(20) {
                lossy.sequence = lossy.sequence.wrapping_add(1);
                lossy.timestamp = lossy.timestamp.wrapping_add(FRAME as u32);
                lossy.now += STEP;
                lossy.engine.on_tick(lossy.now);
            }
            lossy.step()
        });
    });
    group.finish();
}

fn music(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start");
    group.sample_size(10);
    group.bench_function("render the hold music", |bencher| bencher.iter(segue_media::Music::render));
    group.finish();
}

criterion_group!(benches, relay, music);
criterion_main!(benches);
