//! The far sides of the bench, all on one thread: each sends a packet every 20 ms at a moment of its own, and
//! every packet carries the time when it was sent, in the lowest bits of its first 32 samples, where it is not heard.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use rustix::time::ClockId;

use super::cpu;
use crate::{
    clock::Clock,
    media::{Poller, claim_core},
};

/// One far side: its socket, and where it sends.
pub(super) struct Far {
    /// Its socket.
    pub(super) socket: UdpSocket,
    /// Where it sends.
    pub(super) to: SocketAddr,
}

/// What the far sides saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Packets sent.
    pub(super) sent: u64,
    /// Packets that came.
    pub(super) received: u64,
    /// CPU time that the far sides took themselves.
    pub(super) cpu: Duration,
    /// From sending to receiving, in microseconds, in order.
    pub(super) delays: Vec<u32>,
}

impl Seen {
    /// The delay that so many thousandths of the packets stay below.
    pub(super) fn delay(&self, thousandths: usize) -> Duration {
        let place = (self.delays.len() * thousandths / 1000).min(self.delays.len().saturating_sub(1));
        Duration::from_micros(self.delays.get(place).copied().unwrap_or(0).into())
    }
}

const HEADER: usize = 12;
/// Header and 20 ms of G.711.
const PACKET: usize = HEADER + 160;
/// Ten seconds, in microseconds.
const DELAY_MAX: u32 = 10_000_000;
const FRAME: Duration = Duration::from_millis(20);
/// Moments in 20 ms at which far sides send.
const PHASES: usize = 40;

/// Plays every far side for so many frames. `sound` is what they say, each from another place on.
pub(super) fn play(
    far: &[Far],
    frames: u64,
    sound: &[u8],
    core: Option<usize>,
    clock: Clock,
) -> anyhow::Result<Seen> {
    claim_core(core);
    let mut poller = Poller::new()?;
    for (place, side) in far.iter().enumerate() {
        poller.watch(&side.socket, place as u64)?;
    }
    let before = cpu(ClockId::ThreadCPUTime);
    let mut seen = Seen::default();
    let start = clock.now();
    let step = FRAME / PHASES as u32;
    for turn in 0..frames * PHASES as u64 {
        let (frame, phase) = (turn / PHASES as u64, turn as usize % PHASES);
        for (number, side) in far.iter().enumerate().skip(phase).step_by(PHASES) {
            let bytes = packet(frame, number, sound, clock.now());
            seen.sent += u64::from(side.socket.send_to(&bytes, side.to).is_ok());
        }
        receive(&mut poller, far, (start + step * (turn as u32 + 1), clock), &mut seen);
    }
    // What is still under way.
    receive(&mut poller, far, (clock.now() + FRAME * 5, clock), &mut seen);
    seen.cpu = cpu(ClockId::ThreadCPUTime) - before;
    seen.delays.sort_unstable();
    Ok(seen)
}

/// Takes what comes until a moment.
fn receive(poller: &mut Poller, far: &[Far], (until, clock): (Duration, Clock), seen: &mut Seen) {
    let mut buffer = [0; 2_048];
    loop {
        let ready = poller.wait(Duration::ZERO).unwrap_or(0);
        for number in 0..ready {
            let Some(side) = poller.ready(number).and_then(|place| far.get(place as usize)) else { continue };
            // RTCP on the same port is not counted.
            if let Ok(PACKET) = side.socket.recv(&mut buffer) {
                seen.received += 1;
                let bits = buffer.iter().skip(HEADER).take(32).map(|byte| u32::from(byte & 1));
                let sent = bits.fold(0, |sent: u32, bit| sent << 1 | bit);
                let delay = micros(clock.now()).wrapping_sub(sent);
                // Noise of our own from before the far side was heard carries no time.
                if delay < DELAY_MAX {
                    seen.delays.push(delay);
                }
            }
        }
        let now = clock.now();
        if now >= until {
            return;
        }
        if ready == 0 {
            // Looked at often, so that the delay measured is the relay's and not ours.
            std::thread::sleep((until - now).min(Duration::from_micros(50)));
        }
    }
}

fn packet(frame: u64, number: usize, sound: &[u8], now: Duration) -> [u8; PACKET] {
    let mut bytes = [0xFF; PACKET];
    let ssrc = (number as u32).to_be_bytes();
    let sequence = (frame as u16).to_be_bytes();
    let timestamp = (frame as u32).wrapping_mul(160).to_be_bytes();
    let head = [0x80, 0].into_iter().chain(sequence).chain(timestamp).chain(ssrc);
    let place = (frame as usize * 160 + number * 7_919) % sound.len().max(1);
    let words = sound.iter().cycle().skip(place).copied();
    for (to, from) in bytes.iter_mut().zip(head.chain(words)) {
        *to = from;
    }
    let sent = micros(now);
    for (place, byte) in bytes.iter_mut().skip(HEADER).take(32).enumerate() {
        *byte = *byte & 0xFE | (sent >> (31 - place) & 1) as u8;
    }
    bytes
}

const fn micros(now: Duration) -> u32 {
    now.as_micros() as u32
}
