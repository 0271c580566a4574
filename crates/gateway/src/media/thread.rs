//! One media thread: sockets, one tick wheel and one engine. It never waits for anybody but the kernel.
//!
//! Orders come in over a bounded queue and a bell; packets by epoll; every 20 ms all legs tick. Packets that come
//! one by one within `gather` of one another are taken together (`gather.rs`): waking up costs as much as a packet.

use std::{
    collections::BTreeMap,
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, TryRecvError},
    },
    time::Duration,
};

use segue_media::{Channel, Command, EarFrame, Engine, EngineConfig, LegId, Places, Report, TapFrame};
use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::{
    gather::Gathering,
    poller::{Bell, Poller},
};
use crate::clock::Clock;

/// The distance of two ticks.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// Longer datagrams are cut; no RTP of ours comes near it.
const PACKET_MAX: usize = 2_048;

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
        rtp: UdpSocket,
        /// Its odd port.
        rtcp: UdpSocket,
        /// Who hears what the engine reports of it.
        reports: Sender<Box<Report>>,
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
    id: LegId,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    reports: Sender<Box<Report>>,
    listener: Option<Listener>,
    tape: Option<Tape>,
}

/// The thread's own state.
pub(super) struct MediaThread {
    poller: Poller,
    orders: Receiver<Order>,
    engine: Engine,
    legs: Vec<Option<Leg>>,
    free: Vec<usize>,
    places: Places<usize>,
    clock: Clock,
    legs_open: Arc<AtomicUsize>,
    /// Prompts by id, so that their end is told to the leg's owner.
    plays: BTreeMap<segue_media::PlayId, LegId>,
    gathering: Gathering,
}

/// What a media thread is made of.
pub(super) struct Parts {
    /// Where orders come from.
    pub(super) orders: Receiver<Order>,
    /// Of its engine.
    pub(super) config: EngineConfig,
    /// Of its engine.
    pub(super) seed: u64,
    /// Packets that come within this time are taken together.
    pub(super) gather: Duration,
    /// Counts the open legs for others.
    pub(super) legs_open: Arc<AtomicUsize>,
}

impl MediaThread {
    /// Makes the thread's state and the bell that orders come with.
    ///
    /// # Errors
    /// The kernel gives no epoll instance.
    pub(super) fn new(parts: Parts, clock: Clock) -> io::Result<(Self, Bell)> {
        let poller = Poller::new()?;
        let bell = poller.bell();
        let thread = Self {
            poller,
            orders: parts.orders,
            engine: Engine::new(parts.config, parts.seed),
            legs: Vec::new(),
            free: Vec::new(),
            places: Places::default(),
            clock,
            legs_open: parts.legs_open,
            plays: BTreeMap::new(),
            gathering: Gathering::new(parts.gather),
        };
        Ok((thread, bell))
    }

    /// Runs until it is told to finish.
    pub(super) fn run(mut self) {
        let mut buffer = [0_u8; PACKET_MAX];
        let mut now = self.clock.now();
        let mut tick_at = now + TICK;
        loop {
            let ready = self.poller.wait(tick_at.saturating_sub(now)).unwrap_or_else(|error| {
                tracing::error!(%error, "the media thread cannot wait for packets");
                0
            });
            let woken = self.clock.now();
            self.gathering.waited(woken.saturating_sub(now), ready);
            if self.take_orders(woken) {
                return;
            }
            for token in 0..ready {
                if let Some(token) = self.poller.ready(token) {
                    self.read(woken, token, &mut buffer);
                    self.send();
                }
            }
            now = self.clock.now();
            if now >= tick_at {
                self.engine.on_tick(now);
                tick_at += TICK;
                if tick_at < now {
                    // The engine made up for what was due; the wheel goes on from here.
                    tick_at = now + TICK;
                }
            }
            self.deliver();
            now = self.rest((woken, tick_at), ready);
        }
    }

    /// Lets packets gather where that pays, until the next tick at most; gives the time.
    fn rest(&mut self, (woken, tick_at): (Duration, Duration), ready: usize) -> Duration {
        let now = self.clock.now();
        let sleep = self.gathering.sleep(now.saturating_sub(woken), ready).min(tick_at.saturating_sub(now));
        if sleep.is_zero() {
            return now;
        }
        std::thread::sleep(sleep);
        self.clock.now()
    }

    /// True when the thread shall end.
    fn take_orders(&mut self, now: Duration) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Finish) | Err(TryRecvError::Disconnected) => return true,
                Ok(order) => self.take(now, order),
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn take(&mut self, now: Duration, order: Order) {
        match order {
            Order::Open { leg, rtp, rtcp, reports } => {
                if let Err(error) = self.open(Leg { id: leg, rtp, rtcp, reports, listener: None, tape: None })
                {
                    tracing::error!(%error, "a leg's sockets cannot be watched");
                }
            }
            Order::Engine(command) => {
                if let Command::Play { leg, play, .. } = &command {
                    self.plays.insert(*play, *leg);
                }
                self.engine.command(now, command);
            }
            Order::Listen { leg, listener } => {
                if let Some(open) = self.leg(leg) {
                    open.listener = Some(listener);
                    self.engine.command(now, Command::Tap { leg, on: true });
                }
            }
            Order::Record { leg, tape } => {
                if let Some(open) = self.leg(leg) {
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

    fn open(&mut self, leg: Leg) -> io::Result<()> {
        let place = self.free.pop().unwrap_or_else(|| {
            self.legs.push(None);
            self.legs.len() - 1
        });
        self.poller.watch(&leg.rtp, token(place, Channel::Rtp))?;
        self.poller.watch(&leg.rtcp, token(place, Channel::Rtcp))?;
        self.places.insert(leg.id, place);
        if let Some(free) = self.legs.get_mut(place) {
            *free = Some(leg);
        }
        self.legs_open.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn leg(&mut self, leg: LegId) -> Option<&mut Leg> {
        let place = self.places.get(leg)?;
        self.legs.get_mut(place)?.as_mut()
    }

    /// Reads one packet of a socket; what is left in it is told again.
    fn read(&mut self, now: Duration, token: u64, buffer: &mut [u8; PACKET_MAX]) {
        let (place, channel) = untoken(token);
        let Some(Some(open)) = self.legs.get(place) else { return };
        let socket = match channel {
            Channel::Rtp => &open.rtp,
            Channel::Rtcp => &open.rtcp,
        };
        match socket.recv_from(buffer) {
            Ok((length, from)) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.engine.on_packet(now, open.id, channel, from, bytes);
            }
            // An ICMP refusal of something we sent: the far side's port is not open (yet).
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::debug!(%error, "a media socket cannot be read"),
        }
    }

    /// Gives away everything the engine has: packets, tap frames, reports.
    fn deliver(&mut self) {
        self.send();
        while let Some(frame) = self.engine.poll_tap() {
            let Some(leg) = self.leg(frame.leg) else { continue };
            if let Some(listener) = leg.listener.as_mut() {
                listener(&frame);
            }
            if let Some(tape) = leg.tape.as_mut() {
                (tape.voice)(&frame);
            }
        }
        while let Some(frame) = self.engine.poll_ear_tap() {
            if let Some(tape) = self.leg(frame.leg).and_then(|leg| leg.tape.as_mut()) {
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
            let place = self.places.get(transmit.leg);
            let Some(Some(leg)) = place.and_then(|place| self.legs.get(place)) else { continue };
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
        if let Some(open) = self.leg(leg)
            && let Err(TrySendError::Full(_)) = open.reports.try_send(Box::new(report))
        {
            tracing::warn!(leg = leg.0, "a call does not take its media reports");
        }
        if closed {
            self.close(leg);
        }
    }

    fn close(&mut self, leg: LegId) {
        let Some(place) = self.places.remove(leg) else { return };
        let Some(open) = self.legs.get_mut(place).and_then(Option::take) else { return };
        for socket in [&open.rtp, &open.rtcp] {
            if let Err(error) = self.poller.forget(socket) {
                tracing::debug!(%error, "a closed leg's socket was not watched");
            }
        }
        self.free.push(place);
        self.legs_open.fetch_sub(1, Ordering::Relaxed);
    }
}

const fn token(place: usize, channel: Channel) -> u64 {
    let odd = match channel {
        Channel::Rtp => 0,
        Channel::Rtcp => 1,
    };
    2 * place as u64 + odd
}

const fn untoken(token: u64) -> (usize, Channel) {
    let channel = if token.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp };
    ((token / 2) as usize, channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_leg_and_port() {
        for place in [0, 1, 77] {
            for channel in [Channel::Rtp, Channel::Rtcp] {
                assert_eq!(untoken(token(place, channel)), (place, channel));
            }
        }
    }
}
