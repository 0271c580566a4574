//! `segue bench media`: what a call's sound costs on this machine, with real sockets on loopback.
//!
//! One media thread relays calls between two far sides each, as it does in service; a second thread plays the far
//! sides. The cost is the process's CPU time without that thread's. The first line is a bare relay of the same
//! sockets in the same run: what is above it is ours.

mod bare;
mod far;

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use rustix::time::{ClockId, Timespec, clock_gettime};
use segue_media::{Codec, Command, Direction, EngineConfig, MediaDescription, OpusWishes, Source, g711::Law};
use segue_speech::{
    Flite, Recognizer, Speech, SpeechConfig, SpeechError, StreamOptions, Synthesizer, VoiceStyle,
    pool::{DecodeError, Decoded, Decoder, Engine, Stop},
};
use segue_trigger::Speaker;
use tokio::sync::mpsc;

use self::{
    bare::{Bare, BareLeg},
    far::{Far, Seen},
};
use crate::{
    cli::MediaBenchArgs,
    clock::Clock,
    config::Media,
    media::{CallMedia, MediaPlane, OpenLeg, allowed_cores},
    telemetry::say,
};

/// Runs the bench and prints one line for each way of handling sound.
///
/// # Errors
/// No ports, no thread.
pub(crate) fn run(args: &MediaBenchArgs) -> anyhow::Result<ExitCode> {
    say(&format!("{} calls, {} s each way, one media thread", args.calls, args.seconds));
    say(
        "way                        CPU ms per call-second   calls a core   µs a packet    lost   delay p50   p99",
    );
    let line = line_noise();
    let speech = speech()?;
    say(&bare(args, &line)?.line("bare relay"));
    say(&relay(args, &line, true, None)?.line("forwarded"));
    say(&relay(args, &line, false, None)?.line("from the jitter buffer"));
    let clock = Clock::start();
    let mut config = SpeechConfig::new(Arc::new(move || clock.now()));
    config.streams_max = 2 * usize::from(args.calls);
    config.workers = 1;
    let pool = Speech::start(config, Some(Arc::new(Deaf)))?;
    say(&relay(args, &line, true, Some(&pool))?.line("taps, decode, VAD: pauses"));
    say(&relay(args, &speech, true, Some(&pool))?.line("taps, decode, VAD: speech"));
    Ok(ExitCode::SUCCESS)
}

/// What was measured.
struct Cost {
    calls: u16,
    seconds: f64,
    cpu: Duration,
    seen: Seen,
}

impl Cost {
    fn line(&self, way: &str) -> String {
        let per_call_second = self.cpu.as_secs_f64() * 1e3 / (f64::from(self.calls) * self.seconds);
        let packets = self.seen.received.max(1) as f64;
        let lost = 100.0 * (1.0 - packets / self.seen.sent.max(1) as f64);
        format!(
            "{way:<27} {per_call_second:>21.3} {:>14.0} {:>13.2} {:>6.2} % {:>8.2} {:>6.2} ms",
            1e3 / per_call_second,
            self.cpu.as_secs_f64() * 1e6 / packets,
            lost.max(0.0),
            self.seen.delay(500).as_secs_f64() * 1e3,
            self.seen.delay(990).as_secs_f64() * 1e3,
        )
    }
}

/// The cores of the relay and of the far sides, if there are two.
fn cores() -> (Option<usize>, Option<usize>) {
    let allowed = allowed_cores();
    (allowed.first().copied(), allowed.last().copied())
}

/// The ports and addresses that all ways use alike.
fn settings() -> Media {
    Media { port_first: 20_000, port_last: 59_999, threads: 1, ..Media::default() }
}

fn bare(args: &MediaBenchArgs, sound: &[u8]) -> anyhow::Result<Cost> {
    let mut legs: Vec<BareLeg> = Vec::new();
    let mut far = Vec::new();
    for number in 0..2 * usize::from(args.calls) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let to = socket.local_addr()?;
        let side = far_socket()?;
        legs.push(BareLeg { socket, peer: number ^ 1, far: side.local_addr()? });
        far.push(Far { socket: side, to });
    }
    let clock = Clock::start();
    let gather = Duration::from_micros(settings().gather_us.into());
    let relay = Bare::start(legs, gather, cores().0, clock)?;
    let cost = measure(args, far, sound, clock)?;
    drop(relay);
    Ok(cost)
}

fn relay(
    args: &MediaBenchArgs,
    sound: &[u8],
    forward: bool,
    speech: Option<&Speech>,
) -> anyhow::Result<Cost> {
    let clock = Clock::start();
    let engine = EngineConfig { forward, ..EngineConfig::default() };
    let plane = MediaPlane::start(&settings(), &engine, clock)?;
    let (reports, _unread) = mpsc::channel(1);
    let mut calls = Vec::with_capacity(args.calls.into());
    let mut far = Vec::with_capacity(2 * usize::from(args.calls));
    for _ in 0..args.calls {
        let mut call = plane.place().context("no media thread")?;
        let (a, b) = (
            call.open(Codec::Pcmu, false, reports.clone())?,
            call.open(Codec::Pcmu, false, reports.clone())?,
        );
        for leg in [a, b] {
            far.push(far_side(&call, leg)?);
            if let Some(speech) = speech {
                listen(&call, leg, speech)?;
            }
        }
        call.command(Command::Wire(vec![(a.leg, Source::Leg(b.leg)), (b.leg, Source::Leg(a.leg))]))?;
        calls.push(call);
    }
    let cost = measure(args, far, sound, clock)?;
    drop(calls);
    plane.finish();
    Ok(cost)
}

/// Lets the far sides play, first a second that is not counted.
fn measure(args: &MediaBenchArgs, far: Vec<Far>, sound: &[u8], clock: Clock) -> anyhow::Result<Cost> {
    let sound = sound.to_vec();
    let frames = u64::from(args.seconds) * 50;
    let core = cores().1;
    let player = std::thread::Builder::new().name("far-sides".to_owned()).spawn(move || {
        let before = cpu(ClockId::ProcessCPUTime);
        let seen = far::play(&far, frames, &sound, core, clock)?;
        let whole = cpu(ClockId::ProcessCPUTime) - before;
        Ok::<_, anyhow::Error>((whole.saturating_sub(seen.cpu), seen))
    })?;
    let (cpu, seen) = player.join().map_err(|_| anyhow::anyhow!("the far sides panicked"))??;
    Ok(Cost { calls: args.calls, seconds: f64::from(args.seconds), cpu, seen })
}

fn far_socket() -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn far_side(call: &CallMedia, leg: OpenLeg) -> anyhow::Result<Far> {
    let socket = far_socket()?;
    let rtp: SocketAddr = socket.local_addr()?;
    let description = MediaDescription {
        rtp,
        rtcp: rtp,
        codecs: vec![(Codec::Pcmu, 0)],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    };
    call.command(Command::Remote { leg: leg.leg, description, signalling: None })?;
    Ok(Far { socket, to: leg.rtp })
}

fn listen(call: &CallMedia, leg: OpenLeg, speech: &Speech) -> anyhow::Result<()> {
    let options = StreamOptions {
        speaker: Speaker::Caller,
        language: None,
        partials: true,
        sink: Box::new(|_heard| {}),
    };
    let mut stream = speech.open(options)?;
    call.listen(leg.leg, Box::new(move |frame| stream.push(frame.at, frame.into())))?;
    Ok(())
}

/// Quiet noise: what a line sounds like while nobody speaks.
fn line_noise() -> Vec<u8> {
    (0..8_000_usize).map(|at| if (at * 7 + at / 160).is_multiple_of(3) { 0xFE } else { 0x7E }).collect()
}

/// A sentence, and a pause of the same length: half of the time somebody speaks, as on a line in a conversation.
fn speech() -> anyhow::Result<Vec<u8>> {
    let words = "My order number is four zero nine one seven, and the parcel that came yesterday was empty.";
    let samples = Flite.speak(words, VoiceStyle::PROMPT)?;
    let mut bytes: Vec<u8> = samples.iter().map(|&sample| Law::Pcmu.encode(sample)).collect();
    let pause: Vec<u8> = line_noise().into_iter().cycle().take(bytes.len()).collect();
    bytes.extend(pause);
    Ok(bytes)
}

/// Recognition whose cost is nothing: the bench ends where an utterance is ready for it.
struct Deaf;

impl Engine for Deaf {
    fn name(&self) -> &str {
        "none"
    }

    fn longest(&self) -> Option<Duration> {
        None
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, SpeechError> {
        Ok(Box::new(Self))
    }
}

impl Decoder for Deaf {
    fn decode(&mut self, _: &[i16], _: Option<&str>, _: &Stop) -> Result<Decoded, DecodeError> {
        Ok(Decoded::default())
    }
}

fn cpu(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}
