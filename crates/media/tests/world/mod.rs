//! A small world around an engine: far sides that send and listen, and a network between that can be bad.
//! Time goes in steps of 20 ms; packets within a step arrive in the order of their own times.
#![allow(dead_code, reason = "each test file uses its own part of the world")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails loudly")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use segue_media::{
    Channel, Codec, Command, Direction, Engine, EngineConfig, LegId, MediaDescription, OpusWishes, PlayId,
    Report, Source, TapFrame, Transmit,
    g711::{FRAME, Law},
    random::Random,
    rtp::{Header, is_rtcp},
    tone,
};

pub(crate) const STEP: Duration = Duration::from_millis(20);
pub(crate) const EVENT: u8 = 101;

/// What a far side says in the frame of that number; `None` sends nothing.
pub(crate) type Mouth = Box<dyn FnMut(u64) -> Option<[i16; FRAME]>>;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Duration,
    pub(crate) fars: BTreeMap<LegId, Far>,
    pub(crate) reports: Vec<(Duration, Report)>,
    pub(crate) taps: Vec<TapFrame>,
    pub(crate) network: Network,
    random: Random,
    flying: BTreeMap<(Duration, u64), Flight>,
    flights: u64,
    plays: u64,
}

/// A packet on its way: to which leg, from where, what.
type Flight = (LegId, SocketAddr, Vec<u8>);

/// What the network does to packets of voice on their way to us.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    /// Of 1000 packets.
    pub(crate) lost: u64,
    /// Of 1000 packets.
    pub(crate) doubled: u64,
    /// Every packet.
    pub(crate) delay: Duration,
    /// On top, evenly spread.
    pub(crate) jitter: Duration,
}

pub(crate) struct Far {
    pub(crate) leg: LegId,
    pub(crate) address: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) mouth: Mouth,
    /// How long after the tick its packets come, below 20 ms.
    pub(crate) phase: Duration,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) frames: u64,
    pub(crate) heard: Vec<Heard>,
    pub(crate) control: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Duration,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

/// The default configuration without forwarding: every voice is played from its jitter buffer.
pub(crate) fn buffered() -> EngineConfig {
    EngineConfig { forward: false, ..config() }
}

/// The default configuration, its music rendered once for all tests.
pub(crate) fn config() -> EngineConfig {
    static CONFIG: OnceLock<EngineConfig> = OnceLock::new();
    CONFIG.get_or_init(EngineConfig::default).clone()
}

pub(crate) fn tone_of(hertz: f64) -> Mouth {
    let period: Arc<[i16]> = tone::sine(hertz, -20.0, 8000).into();
    Box::new(move |frame| {
        let mut out = [0; FRAME];
        let start = (frame as usize * FRAME) % 8000;
        out.copy_from_slice(&period[start..start + FRAME]);
        Some(out)
    })
}

/// Sends packets of pure silence.
pub(crate) fn quiet() -> Mouth {
    Box::new(|_| Some([0; FRAME]))
}

/// Sends nothing.
pub(crate) fn mute() -> Mouth {
    Box::new(|_| None)
}

pub(crate) fn description(address: SocketAddr, codec: Codec) -> MediaDescription {
    MediaDescription {
        rtp: address,
        rtcp: SocketAddr::new(address.ip(), address.port() + 1),
        codecs: vec![(codec, codec.payload_type())],
        telephone_event: Some(EVENT),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: EngineConfig) -> Self {
        Self {
            engine: Engine::new(config, 42),
            now: Duration::from_secs(1_700_000_000),
            fars: BTreeMap::new(),
            reports: Vec::new(),
            taps: Vec::new(),
            network: Network::default(),
            random: Random::new(4711),
            flying: BTreeMap::new(),
            flights: 0,
            plays: 0,
        }
    }

    /// Opens a leg, and a far side at an address of its own that says `mouth`.
    pub(crate) fn open(&mut self, number: u64, codec: Codec, mouth: Mouth) -> LegId {
        let leg = LegId(number);
        let address = SocketAddr::from(([198, 51, 100, number as u8], 4000));
        self.command(Command::Open { leg, codec, watched: false });
        let description = description(address, codec);
        self.command(Command::Remote { leg, description, signalling: Some(address) });
        let far = Far {
            leg,
            address,
            codec,
            mouth,
            phase: Duration::ZERO,
            ssrc: 7000 + number as u32,
            sequence: 65_500,
            timestamp: u32::MAX - 4000,
            frames: 0,
            heard: Vec::new(),
            control: Vec::new(),
        };
        self.fars.insert(leg, far);
        leg
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.engine.command(self.now, command);
        self.drain();
    }

    pub(crate) fn wire(&mut self, ears: &[(LegId, Source)]) {
        self.command(Command::Wire(ears.to_vec()));
    }

    pub(crate) fn play(&mut self, leg: LegId, sound: Vec<i16>) -> PlayId {
        self.plays += 1;
        let play = PlayId(self.plays);
        self.command(Command::Play { leg, play, sound: sound.into() });
        play
    }

    pub(crate) fn far(&mut self, leg: LegId) -> &mut Far {
        self.fars.get_mut(&leg).expect("a far side of that name")
    }

    pub(crate) fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.step();
        }
    }

    pub(crate) fn step(&mut self) {
        for far in self.fars.values_mut() {
            far.frames += 1;
            let spoken = (far.mouth)(far.frames - 1);
            let timestamp = far.timestamp;
            far.timestamp = far.timestamp.wrapping_add(FRAME as u32);
            let Some(samples) = spoken else { continue };
            let mut payload = [0; FRAME];
            far.law().encode_into(&samples, &mut payload);
            let bytes = far.packet(far.codec.payload_type(), timestamp, &payload);
            let (leg, address, phase) = (far.leg, far.address, far.phase);
            for _ in 0..1 + u64::from(self.random.below(1000) < self.network.doubled) {
                if self.random.below(1000) < self.network.lost {
                    continue;
                }
                let jitter = self.random.below(self.network.jitter.as_micros() as u64 + 1);
                let at = self.now + self.network.delay + phase + Duration::from_micros(jitter);
                self.flights += 1;
                self.flying.insert((at, self.flights), (leg, address, bytes.clone()));
            }
        }
        self.arrive();
        self.now += STEP;
        self.engine.on_tick(self.now);
        self.drain();
    }

    /// Puts a packet on the wire now.
    pub(crate) fn send(&mut self, leg: LegId, from: SocketAddr, bytes: &[u8]) {
        self.engine.on_packet(self.now, leg, Channel::Rtp, from, bytes);
        self.drain();
    }

    /// Sends a telephone event's packet from a far side.
    pub(crate) fn send_event(&mut self, leg: LegId, timestamp: u32, payload: [u8; 4]) {
        let far = self.far(leg);
        let (bytes, from) = (far.packet(EVENT, timestamp, &payload), far.address);
        self.send(leg, from, &bytes);
    }

    pub(crate) fn told(&self, wanted: &Report) -> usize {
        self.reports.iter().filter(|(_, report)| report == wanted).count()
    }

    pub(crate) fn keys(&self, from: LegId) -> String {
        let mut keys = String::new();
        for (_, report) in &self.reports {
            if let Report::Key { leg, key } = report
                && *leg == from
            {
                keys.push(*key);
            }
        }
        keys
    }

    fn arrive(&mut self) {
        let later = self.flying.split_off(&(self.now + STEP, 0));
        for ((at, _), (leg, from, bytes)) in std::mem::replace(&mut self.flying, later) {
            self.engine.on_packet(at, leg, Channel::Rtp, from, &bytes);
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Some((Transmit { leg, channel, to }, bytes)) = self.engine.poll_transmit() {
            let Some(far) = self.fars.get_mut(&leg) else { continue };
            if channel == Channel::Rtcp || is_rtcp(bytes) {
                far.control.push(bytes.to_vec());
            } else if to == far.address {
                let (header, payload) = Header::read(bytes).expect("what we send is RTP");
                far.heard.push(Heard { at: self.now, header, payload: payload.to_vec() });
            }
        }
        while let Some(report) = self.engine.poll_report() {
            self.reports.push((self.now, report));
        }
        while let Some(frame) = self.engine.poll_tap() {
            self.taps.push(frame);
        }
    }
}

impl Far {
    /// The law it speaks.
    pub(crate) fn law(&self) -> Law {
        self.codec.law().expect("a far side that speaks G.711")
    }

    /// The next packet of its stream.
    pub(crate) fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let header =
            Header { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        [&header.write(), payload].concat()
    }

    /// The audio packets it heard, in order.
    pub(crate) fn audio(&self) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(|heard| heard.header.payload_type != EVENT)
    }

    /// What it heard in the last `frames` frames, linear.
    pub(crate) fn sound(&self, frames: usize) -> Vec<i16> {
        let audio: Vec<&Heard> = self.audio().collect();
        let last = &audio[audio.len().saturating_sub(frames)..];
        last.iter().flat_map(|heard| heard.payload.iter().map(|&byte| self.law().decode(byte))).collect()
    }

    /// The level of a tone in the last `frames` frames.
    pub(crate) fn hears(&self, hertz: f64, frames: usize) -> f32 {
        tone::goertzel(&self.sound(frames), hertz)
    }
}
