//! One media thread: sockets, one tick wheel and one engine. It never waits for anybody but the kernel.
//!
//! Orders come in over a bounded queue and a waker; packets by epoll; every 20 ms all legs tick.

use std::{
    collections::BTreeMap,
    io,
    net::UdpSocket as StdSocket,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use segue_media::{Channel, Command, EarFrame, Engine, EngineConfig, LegId, Report, TapFrame};
use tokio::sync::mpsc::{Sender, error::TrySendError};

use crate::clock::Clock;

/// The distance of two ticks.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// Packets read from one socket before the others have their turn.
const TURN_PACKETS: usize = 32;
/// Longer datagrams are cut; no RTP of ours comes near it.
const PACKET_MAX: usize = 2_048;
const WAKE: Token = Token(0);

/// Who takes a leg's voice, frame by frame. Called on the media thread: it must not wait.
pub(crate) type Listener = Box<dyn FnMut(&TapFrame) + Send>;

/// Who takes what an ear is sent and what its leg says, to record it. Called on the media thread: it must not wait.
pub(crate) struct Tape {
    /// What the ear is sent.
    pub(crate) ear: Box<dyn FnMut(&EarFrame) + Send>,
    /// What the leg says.
    pub(crate) voice: Listener,
}

/// What a media thread is told.
pub(crate) enum Order {
    /// A leg's sockets, and who hears its reports.
    Open {
        /// Its name.
        leg: LegId,
        /// Its even port.
        rtp: StdSocket,
        /// Its odd port.
        rtcp: StdSocket,
        /// Who hears what the engine reports of it.
        reports: Sender<Report>,
    },
    /// For the engine.
    Engine(Command),
    /// Give this leg's voice to somebody.
    Listen {
        /// Whose voice.
        leg: LegId,
        /// Who takes it.
        listener: Listener,
    },
    /// Record this leg, or stop it.
    Record {
        /// Whose ear and voice.
        leg: LegId,
        /// Who takes them; none stops it.
        tape: Option<Tape>,
    },
    /// End the thread.
    Finish,
}

struct Leg {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    reports: Sender<Report>,
    listener: Option<Listener>,
    tape: Option<Tape>,
}

/// The thread's own state.
pub(super) struct MediaThread {
    poll: Poll,
    orders: Receiver<Order>,
    engine: Engine,
    legs: BTreeMap<LegId, Leg>,
    clock: Clock,
    legs_open: Arc<AtomicUsize>,
    /// Prompts by id, so that their end is told to the leg's owner.
    plays: BTreeMap<segue_media::PlayId, LegId>,
    waiting: Vec<Token>,
}

impl MediaThread {
    /// Makes the thread's state and the waker that orders come with.
    ///
    /// # Errors
    /// The kernel gives no epoll instance.
    pub(super) fn new(
        orders: Receiver<Order>,
        config: EngineConfig,
        clock: Clock,
        seed: u64,
        legs_open: Arc<AtomicUsize>,
    ) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let engine = Engine::new(config, seed);
        let thread = Self {
            poll,
            orders,
            engine,
            legs: BTreeMap::new(),
            clock,
            legs_open,
            plays: BTreeMap::new(),
            waiting: Vec::new(),
        };
        Ok((thread, waker))
    }

    /// Runs until it is told to finish.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = [0_u8; PACKET_MAX];
        let mut tick_at = self.clock.now() + TICK;
        loop {
            let wait = if self.waiting.is_empty() {
                tick_at.saturating_sub(self.clock.now())
            } else {
                Duration::ZERO
            };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the media thread cannot wait for packets");
            }
            if self.take_orders() {
                return;
            }
            let mut readable = std::mem::take(&mut self.waiting);
            readable.extend(events.iter().map(|event| event.token()).filter(|token| *token != WAKE));
            for token in readable {
                self.read(token, &mut buffer);
                self.send();
            }
            let now = self.clock.now();
            if now >= tick_at {
                self.engine.on_tick(now);
                tick_at += TICK;
                if tick_at < now {
                    // The engine made up for what was due; the wheel goes on from here.
                    tick_at = now + TICK;
                }
            }
            self.deliver();
        }
    }

    /// True when the thread shall end.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Finish) | Err(TryRecvError::Disconnected) => return true,
                Ok(order) => self.take(order),
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn take(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Open { leg, rtp, rtcp, reports } => match self.register(leg, rtp, rtcp, reports) {
                Ok(opened) => {
                    self.legs.insert(leg, opened);
                    self.legs_open.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => tracing::error!(%error, "a leg's sockets cannot be watched"),
            },
            Order::Engine(command) => {
                if let Command::Play { leg, play, .. } = &command {
                    self.plays.insert(*play, *leg);
                }
                self.engine.command(now, command);
            }
            Order::Listen { leg, listener } => {
                if let Some(open) = self.legs.get_mut(&leg) {
                    open.listener = Some(listener);
                    self.engine.command(now, Command::Tap { leg, on: true });
                }
            }
            Order::Record { leg, tape } => {
                if let Some(open) = self.legs.get_mut(&leg) {
                    let on = tape.is_some();
                    open.tape = tape;
                    let tapped = on || open.listener.is_some();
                    self.engine.command(now, Command::TapEar { leg, on });
                    self.engine.command(now, Command::Tap { leg, on: tapped });
                }
            }
            Order::Finish => {}
        }
    }

    fn register(
        &self,
        leg: LegId,
        rtp: StdSocket,
        rtcp: StdSocket,
        reports: Sender<Report>,
    ) -> io::Result<Leg> {
        let mut rtp = UdpSocket::from_std(rtp);
        let mut rtcp = UdpSocket::from_std(rtcp);
        self.poll.registry().register(&mut rtp, token(leg, Channel::Rtp), Interest::READABLE)?;
        self.poll.registry().register(&mut rtcp, token(leg, Channel::Rtcp), Interest::READABLE)?;
        Ok(Leg { rtp, rtcp, reports, listener: None, tape: None })
    }

    /// Reads one socket until it is empty or its turn is over; readiness is told only once by the kernel.
    fn read(&mut self, token: Token, buffer: &mut [u8; PACKET_MAX]) {
        let (leg, channel) = untoken(token);
        let Some(open) = self.legs.get(&leg) else { return };
        let socket = match channel {
            Channel::Rtp => &open.rtp,
            Channel::Rtcp => &open.rtcp,
        };
        for _ in 0..TURN_PACKETS {
            match socket.recv_from(buffer) {
                Ok((length, from)) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    self.engine.on_packet(self.clock.now(), leg, channel, from, bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP refusal of something we sent: the far side's port is not open (yet).
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => {
                    tracing::debug!(%error, "a media socket cannot be read");
                    return;
                }
            }
        }
        self.waiting.push(token);
    }

    /// Gives away everything the engine has: packets, tap frames, reports.
    fn deliver(&mut self) {
        self.send();
        while let Some(frame) = self.engine.poll_tap() {
            let Some(leg) = self.legs.get_mut(&frame.leg) else { continue };
            if let Some(listener) = leg.listener.as_mut() {
                listener(&frame);
            }
            if let Some(tape) = leg.tape.as_mut() {
                (tape.voice)(&frame);
            }
        }
        while let Some(frame) = self.engine.poll_ear_tap() {
            if let Some(tape) = self.legs.get_mut(&frame.leg).and_then(|leg| leg.tape.as_mut()) {
                (tape.ear)(&frame);
            }
        }
        while let Some(report) = self.engine.poll_report() {
            self.report(report);
        }
    }

    /// Sends what is forwarded and what the tick made.
    fn send(&mut self) {
        while let Some((transmit, bytes)) = self.engine.poll_transmit() {
            let Some(leg) = self.legs.get(&transmit.leg) else { continue };
            let socket = match transmit.channel {
                Channel::Rtp => &leg.rtp,
                Channel::Rtcp => &leg.rtcp,
            };
            // A full socket buffer or an unreachable peer loses this packet, as the network might.
            if let Err(error) = socket.send_to(bytes, transmit.to) {
                tracing::trace!(%error, "a media packet was not sent");
            }
        }
    }

    fn report(&mut self, report: Report) {
        let leg = match &report {
            Report::Played { play, .. } => match self.plays.remove(play) {
                Some(leg) => leg,
                None => return,
            },
            Report::Key { leg, .. }
            | Report::Filled { leg }
            | Report::Heard { leg }
            | Report::Refused { leg }
            | Report::Measured { leg, .. }
            | Report::Dead { leg, .. }
            | Report::Quality { leg, .. }
            | Report::Closed { leg, .. } => *leg,
        };
        let closed = matches!(report, Report::Closed { .. });
        // A call that is over hears nothing any more, which is as it should be.
        if let Some(open) = self.legs.get(&leg)
            && let Err(TrySendError::Full(_)) = open.reports.try_send(report)
        {
            tracing::warn!(leg = leg.0, "a call does not take its media reports");
        }
        if closed {
            self.close(leg);
        }
    }

    fn close(&mut self, leg: LegId) {
        let Some(mut open) = self.legs.remove(&leg) else { return };
        for socket in [&mut open.rtp, &mut open.rtcp] {
            if let Err(error) = self.poll.registry().deregister(socket) {
                tracing::debug!(%error, "a closed leg's socket was not watched");
            }
        }
        self.legs_open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn token(leg: LegId, channel: Channel) -> Token {
    let leg = usize::try_from(leg.0).unwrap_or(usize::MAX / 4);
    Token(2 + 2 * leg + usize::from(channel == Channel::Rtcp))
}

fn untoken(token: Token) -> (LegId, Channel) {
    let channel = if token.0.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp };
    (LegId(((token.0 - 2) / 2) as u64), channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_leg_and_port() {
        for leg in [0, 1, 77] {
            for channel in [Channel::Rtp, Channel::Rtcp] {
                assert_eq!(untoken(token(LegId(leg), channel)), (LegId(leg), channel));
            }
        }
    }
}
