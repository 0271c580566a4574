//! `segue bench`: what a call's sound costs on this machine, with real sockets on loopback.
//!
//! One media thread relays calls between two far sides each, as it does in service; a second thread plays the far
//! sides. The cost is the process's CPU time without that thread's, so it is the same on a busy machine.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::ExitCode,
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use rustix::time::{ClockId, Timespec, clock_gettime};
use segue_media::{Codec, Command, Direction, EngineConfig, MediaDescription, OpusWishes, Source};
use segue_speech::{Recognizer, Speech, StreamOptions};
use segue_trigger::Speaker;
use tokio::sync::mpsc;

use crate::{
    cli::BenchArgs,
    clock::Clock,
    config::{Media, Recognition, RecognitionEngine},
    media::{CallMedia, MediaPlane, OpenLeg},
    recognition,
    telemetry::say,
};

const FRAME: Duration = Duration::from_millis(20);
/// Header and 20 ms of G.711.
const PACKET: usize = 172;

/// Runs the bench and prints one line for each way of handling sound.
///
/// # Errors
/// No ports, no thread, no model.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    say(&format!("{} calls, {} s each way, one media thread", args.calls, args.seconds));
    say("way                     CPU ms per call-second   calls a core   µs a packet   lost");
    let relay = measure(args, None)?;
    say(&relay.line("relay, same codec"));
    let settings = Recognition {
        engine: RecognitionEngine::Whisper,
        model: "demo".to_owned(),
        models: args.models.clone(),
        allow_demo_model: true,
        workers: 1,
        ..Recognition::default()
    };
    let speech = recognition::start(&settings, Clock::start())?;
    let tapped = measure(args, speech.as_ref())?;
    say(&tapped.line("with tap, decode, VAD"));
    Ok(ExitCode::SUCCESS)
}

/// What was measured.
struct Cost {
    calls: u16,
    seconds: f64,
    cpu: Duration,
    sent: u64,
    received: u64,
}

impl Cost {
    fn line(&self, way: &str) -> String {
        let per_call_second = self.cpu.as_secs_f64() * 1e3 / (f64::from(self.calls) * self.seconds);
        let packets = self.received.max(1) as f64;
        let lost = 100.0 * (1.0 - packets / self.sent.max(1) as f64);
        format!(
            "{way:<24} {per_call_second:>21.3} {:>14.0} {:>13.2} {:>5.2} %",
            1e3 / per_call_second,
            self.cpu.as_secs_f64() * 1e6 / packets,
            lost.max(0.0),
        )
    }
}

/// One far side: its socket, and where it sends.
struct Far {
    socket: UdpSocket,
    to: SocketAddr,
}

fn measure(args: &BenchArgs, speech: Option<&Speech>) -> anyhow::Result<Cost> {
    let clock = Clock::start();
    let media = Media { port_first: 44_000, port_last: 59_999, threads: 1, ..Media::default() };
    let plane = MediaPlane::start(&media, &EngineConfig::default(), clock)?;
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
    let frames = u64::from(args.seconds) * 50;
    let before = cpu(ClockId::ProcessCPUTime);
    let player: JoinHandle<(u64, u64, Duration)> =
        std::thread::Builder::new().name("far-sides".to_owned()).spawn(move || play(&far, frames, clock))?;
    let (sent, received, theirs) = player.join().map_err(|_| anyhow::anyhow!("the far sides panicked"))?;
    let cpu = (cpu(ClockId::ProcessCPUTime) - before).saturating_sub(theirs);
    drop(calls);
    plane.finish();
    Ok(Cost { calls: args.calls, seconds: f64::from(args.seconds), cpu, sent, received })
}

fn far_side(call: &CallMedia, leg: OpenLeg) -> anyhow::Result<Far> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let rtp = socket.local_addr()?;
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

/// Plays every far side for so many frames; gives packets sent, packets received, and the CPU time it took.
fn play(far: &[Far], frames: u64, clock: Clock) -> (u64, u64, Duration) {
    let before = cpu(ClockId::ThreadCPUTime);
    let (mut sent, mut received) = (0, 0);
    let mut due = clock.now();
    let mut buffer = [0; 2_048];
    for frame in 0..frames {
        for (number, side) in far.iter().enumerate() {
            sent += u64::from(side.socket.send_to(&packet(frame, number), side.to).is_ok());
            received += drain(&side.socket, &mut buffer);
        }
        due += FRAME;
        std::thread::park_timeout(due.saturating_sub(clock.now()));
    }
    (sent, received, cpu(ClockId::ThreadCPUTime) - before)
}

fn drain(socket: &UdpSocket, buffer: &mut [u8]) -> u64 {
    let mut packets = 0;
    loop {
        match socket.recv(buffer) {
            // RTCP on the same port is not counted.
            Ok(length) => packets += u64::from(length == PACKET),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return packets,
            Err(_refused) => return packets,
        }
    }
}

/// A packet of quiet noise: what a line sounds like while nobody speaks.
fn packet(frame: u64, number: usize) -> [u8; PACKET] {
    let mut bytes = [0xFF; PACKET];
    let ssrc = (number as u32).to_be_bytes();
    let sequence = (frame as u16).to_be_bytes();
    let timestamp = (frame as u32).wrapping_mul(160).to_be_bytes();
    let head = [0x80, 0].into_iter().chain(sequence).chain(timestamp).chain(ssrc);
    for (to, from) in bytes.iter_mut().zip(head) {
        *to = from;
    }
    for (at, byte) in bytes.iter_mut().skip(12).enumerate() {
        *byte = if (at * 7 + frame as usize).is_multiple_of(3) { 0xFE } else { 0x7E };
    }
    bytes
}

fn cpu(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}
