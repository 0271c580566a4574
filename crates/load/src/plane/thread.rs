//! One media thread: its wheel, its sockets, its legs. It waits for nothing but the kernel.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, TryRecvError},
    },
};

use rustix::{
    event::epoll,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use segue_media::{
    rtp::{self, Header},
    srtp::SrtpError,
};
use tokio::sync::mpsc;

use super::{
    Ears, LegNews, SLOTS, Sent, Speech, Way,
    leg::{Leg, Voices},
    lines::Lines,
};
use crate::{
    clock::{self, MILLISECOND, Nanos},
    hearing::Tally,
    measure::Interval,
    sys::{BYTES_MAX, Inbox, Outbox},
    tones::Finder,
    words::Role,
};

/// The distance of two slots.
const SLOT: Nanos = MILLISECOND;
/// A slot that is later than this is told as late.
const LATE: Nanos = 5 * MILLISECOND;
/// A slot that is later than this is left out: the wheel would never catch up.
const HOPELESS: Nanos = 1_000 * MILLISECOND;
/// How often measurements are handed over.
const HAND_OVER: Nanos = 100 * MILLISECOND;
/// Batches read from one socket before the others have their turn.
const TURNS: usize = 4;
const EVENTS: usize = 256;
const TOKEN_TIMER: u64 = u64::MAX;
const TOKEN_ORDERS: u64 = u64::MAX - 1;
const TOKEN_RTCP: u64 = 1 << 32;

/// What a media thread is told.
pub(super) enum Order {
    /// A leg begins.
    Start(Box<Opening>),
    /// A leg's far side moved, or changed its codec or its keys.
    Turn(u32, Box<(Way, Speech)>),
    /// A leg presses a key.
    Press(u32, char),
    /// A leg ends.
    Stop(u32),
    /// The thread ends.
    Finish,
}

/// A leg that begins.
pub(super) struct Opening {
    pub(super) leg: u32,
    pub(super) stream: u32,
    pub(super) role: Role,
    pub(super) way: Way,
    pub(super) speech: Speech,
    pub(super) news: mpsc::Sender<LegNews>,
}

/// What a thread shares with the others: its alarm, where its measurements go, and how far all streams are.
pub(super) type Links = (Arc<OwnedFd>, Arc<Mutex<Interval>>, Arc<Sent>);

/// One thread's own state.
pub(super) struct MediaThread {
    lines: Lines,
    legs: Vec<Option<Leg>>,
    /// The legs of each slot, those of one line together.
    wheel: Vec<Vec<u32>>,
    orders: Receiver<Order>,
    links: Links,
    epoll: OwnedFd,
    timer: OwnedFd,
    local: Interval,
    dropped: u64,
    ears: Ears,
    voices: Voices,
    finder: Finder,
}

impl MediaThread {
    pub(super) fn new(
        (lines, legs): (Lines, usize),
        ears: Ears,
        orders: Receiver<Order>,
        links: Links,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let slot = Timespec { tv_sec: 0, tv_nsec: SLOT.cast_signed() };
        let spec = Itimerspec { it_interval: slot, it_value: slot };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        let watch = |token: u64| (epoll::EventData::new_u64(token), epoll::EventFlags::IN);
        let (data, flags) = watch(TOKEN_TIMER);
        epoll::add(&epoll, &timer, data, flags)?;
        let (data, flags) = watch(TOKEN_ORDERS);
        epoll::add(&epoll, &*links.0, data, flags)?;
        for (line, control, socket) in lines.all() {
            let (data, flags) = watch(line as u64 | if control { TOKEN_RTCP } else { 0 });
            epoll::add(&epoll, socket, data, flags)?;
        }
        Ok(Self {
            lines,
            legs: (0..legs).map(|_| None).collect(),
            wheel: vec![Vec::new(); SLOTS],
            orders,
            links,
            epoll,
            timer,
            local: Interval::default(),
            dropped: 0,
            ears,
            voices: Voices::new(),
            finder: Finder::new(),
        })
    }

    /// Runs until it is told to finish.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut inbox = Inbox::new();
        let mut outbox = Outbox::new();
        // Slots lie on whole milliseconds of the clock: all voices become louder at moments that all ears know.
        let mut due = (clock::now() / SLOT + 1) * SLOT;
        let mut hand_over = due;
        loop {
            let mut now = clock::now();
            // What has come in is read between two slots, however late they are: a full socket would lose packets.
            if now >= due {
                let late = now - due;
                self.local.tick(late, late > LATE);
                if late > HOPELESS {
                    let slots = late / SLOT;
                    self.local.slots_left_out += slots;
                    due += slots * SLOT;
                } else {
                    self.turn(due, &mut outbox);
                    due += SLOT;
                }
                now = clock::now();
            }
            if now >= hand_over {
                self.hand_over();
                hand_over = now + HAND_OVER;
            }
            events.clear();
            let wait = (now >= due).then_some(Timespec { tv_sec: 0, tv_nsec: 0 });
            let spare = rustix::buffer::spare_capacity(&mut events);
            if let Err(error) = epoll::wait(&self.epoll, spare, wait.as_ref())
                && error != rustix::io::Errno::INTR
            {
                tracing::error!(%error, "the media thread cannot wait for packets");
            }
            for event in &events {
                let token = event.data.u64();
                if token == TOKEN_TIMER {
                    calm(&self.timer);
                } else if token == TOKEN_ORDERS {
                    calm(&self.links.0);
                    if self.take_orders() {
                        self.hand_over();
                        return;
                    }
                } else if token & TOKEN_RTCP != 0 {
                    self.lines.hush((token & !TOKEN_RTCP) as usize);
                } else {
                    self.read(token as usize, &mut inbox);
                }
            }
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
        match order {
            Order::Start(opening) => self.open(*opening),
            Order::Turn(leg, turn) => self.redirect(leg, *turn),
            Order::Press(leg, key) => {
                if let Some(leg) = self.leg(leg) {
                    leg.press(key);
                }
            }
            Order::Stop(leg) => self.close(leg),
            Order::Finish => {}
        }
    }

    fn leg(&mut self, leg: u32) -> Option<&mut Leg> {
        self.legs.get_mut(leg as usize)?.as_mut()
    }

    fn open(&mut self, opening: Opening) {
        let number = opening.leg;
        if !self.lines.meet(number, opening.way.remote) {
            self.local.address_shared += 1;
        }
        let leg = Leg::new(opening, self.ears, clock::now());
        let (Some(place), Some(slot)) =
            (self.legs.get_mut(number as usize), self.wheel.get_mut(number as usize % SLOTS))
        else {
            return;
        };
        *place = Some(leg);
        slot.push(number);
    }

    fn redirect(&mut self, number: u32, (way, speech): (Way, Speech)) {
        let remote = way.remote;
        let Some(leg) = self.leg(number) else { return };
        let before = leg.turn(way, speech, clock::now());
        self.lines.part(number, before.remote);
        if !self.lines.meet(number, remote) {
            self.local.address_shared += 1;
        }
    }

    fn close(&mut self, number: u32) {
        let Some(mut leg) = self.legs.get_mut(number as usize).and_then(Option::take) else { return };
        self.lines.part(number, leg.way.remote);
        if let Some(slot) = self.wheel.get_mut(number as usize % SLOTS) {
            slot.retain(|other| *other != number);
        }
        let silence = leg.ear.finish(clock::now(), &self.links.2);
        self.local.tally(leg.role, &leg.ear.take_tally());
        if !leg.tell(LegNews::Over { silence }) {
            tracing::trace!("nobody waits for the end of a leg");
        }
    }

    /// Everybody whose slot is due speaks.
    fn turn(&mut self, due: Nanos, outbox: &mut Outbox) {
        let Some(numbers) = self.wheel.get((due / SLOT) as usize % SLOTS) else { return };
        let mut line = usize::MAX;
        for number in numbers {
            let Some(leg) = self.legs.get_mut(*number as usize).and_then(Option::as_mut) else { continue };
            let own = self.lines.of(*number as usize);
            if own != line || outbox.is_full() {
                self.local.refused += flush(&self.lines, line, outbox);
                line = own;
            }
            let name = leg.name;
            outbox.push(&name, |bytes| leg.speak(due, &self.voices, &self.links.2, bytes));
            self.local.sent += 1;
        }
        self.local.refused += flush(&self.lines, line, outbox);
    }

    /// Reads one socket until it is empty or its turn is over; what is left is told again.
    fn read(&mut self, line: usize, inbox: &mut Inbox) {
        for _ in 0..TURNS {
            let Some(socket) = self.lines.socket(line) else { return };
            let count = match inbox.receive(socket) {
                Ok(count) => count,
                Err(error) => {
                    tracing::debug!(%error, "a media socket cannot be read");
                    return;
                }
            };
            for datagram in inbox.datagrams() {
                if rtp::is_rtcp(datagram.bytes) {
                    continue;
                }
                let leg = self
                    .lines
                    .leg(line, datagram.from)
                    .and_then(|leg| self.legs.get_mut(leg as usize))
                    .and_then(Option::as_mut);
                let at = datagram.at.unwrap_or_else(clock::now);
                match leg {
                    Some(leg) => hear(leg, &mut self.local, (at, datagram.bytes), &self.finder),
                    None => self.local.stray += 1,
                }
            }
            if count < crate::sys::BATCH {
                return;
            }
        }
    }

    fn hand_over(&mut self) {
        for leg in self.legs.iter_mut().flatten() {
            self.local.tally(leg.role, &leg.ear.take_tally());
        }
        let dropped = self.lines.dropped();
        self.local.dropped += dropped - self.dropped;
        self.dropped = dropped;
        let mut shared = self.links.1.lock().unwrap_or_else(PoisonError::into_inner);
        shared.add(&self.local);
        drop(shared);
        self.local.clear();
    }
}

/// Takes back what made a descriptor readable; that nothing was there is as good.
fn calm(descriptor: &OwnedFd) {
    if let Err(error) = rustix::io::read(descriptor, &mut [0_u8; 8]) {
        tracing::trace!(%error, "an alarm was gone");
    }
}

fn flush(lines: &Lines, line: usize, outbox: &mut Outbox) -> u64 {
    lines.socket(line).map_or(0, |socket| outbox.send(socket) as u64)
}

fn hear(leg: &mut Leg, local: &mut Interval, (at, bytes): (Nanos, &[u8]), finder: &Finder) {
    let mut room = [0; BYTES_MAX];
    let plain = match leg.seal.open(at, bytes, &mut room) {
        Ok(plain) => plain,
        Err(SrtpError::Replayed) => {
            local.tally(leg.role, &Tally { duplicated: 1, ..Tally::default() });
            return;
        }
        Err(_) => {
            local.rejected += 1;
            return;
        }
    };
    let Ok(packet) = Header::read(plain) else {
        local.stray += 1;
        return;
    };
    let told = leg.hear(at, packet, finder);
    if let Some(delay) = told.delay {
        local.delayed(delay);
    }
    if let Some((heard, since)) = told.change
        && !leg.tell(LegNews::Heard(heard, since))
    {
        local.news_lost += 1;
    }
}
