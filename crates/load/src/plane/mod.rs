//! Real media for all parties: a few threads that send and hear, and the handle that a party holds on one leg.
//!
//! A thread has a wheel of twenty slots, one a millisecond; a leg sends in one of them every 20 ms. With shared ports,
//! the legs of a slot share one socket, so that a slot goes out in few calls to the kernel; who sent what comes in is
//! known by its address. With own ports, each leg has a socket, as phones do.

mod leg;
mod lines;
mod seal;
mod thread;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use rustix::event::{EventfdFlags, eventfd};
use segue_media::{Codec, g711::Law, security::SrtpKey};
use tokio::sync::mpsc;

pub(crate) use self::lines::PortUse;
use self::{
    lines::Lines,
    thread::{MediaThread, Order},
};
use crate::{
    clock::Nanos,
    hearing::Heard,
    measure::Interval,
    tones::{self, Loop},
    words::{LoadError, Role},
};

/// Slots of the wheel, a millisecond each.
pub(crate) const SLOTS: usize = 20;
/// Orders that may wait for one thread; a thread takes them every millisecond.
const ORDERS_MAX: usize = 16_384;
/// News that may wait for one leg's owner; what is beyond is lost and counted.
const NEWS_MAX: usize = 32;
/// Streams whose numbers are remembered, a power of two; a later one takes the place of a much earlier one.
const STREAMS: usize = 1 << 17;

/// How the media is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneConfig {
    /// Where RTP is heard.
    pub(crate) address: IpAddr,
    /// The first port that is tried.
    pub(crate) port: u16,
    /// How ports are used.
    pub(crate) ports: PortUse,
    /// Threads.
    pub(crate) threads: usize,
    /// Legs at the same time.
    pub(crate) legs_max: usize,
    /// What ears go by.
    pub(crate) ears: Ears,
}

/// What ears go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ears {
    /// Marks in every packet: where all speak the same G.711, they survive.
    Marks,
    /// Numbers of packets, and tones in a sample of them.
    Tones {
        /// Seconds between two looks of one ear; 0 listens always.
        every: u64,
    },
}

/// How many marks of each stream have gone out: what an ear should have heard.
#[derive(Debug)]
pub(crate) struct Sent(Vec<AtomicU32>);

impl Sent {
    fn new() -> Self {
        Self((0..STREAMS).map(|_| AtomicU32::new(0)).collect())
    }

    fn cell(&self, stream: u32) -> Option<&AtomicU32> {
        self.0.get(stream as usize >> ROLE_BITS & (STREAMS - 1))
    }

    fn set(&self, stream: u32, count: u32) {
        if let Some(cell) = self.cell(stream) {
            cell.store(count, Ordering::Relaxed);
        }
    }

    fn of(&self, stream: u32) -> Option<u32> {
        self.cell(stream).map(|cell| cell.load(Ordering::Relaxed))
    }
}

const ROLE_BITS: u32 = 2;

/// Whose stream it is: the number itself says so.
pub(crate) fn role_of(stream: u32) -> Option<Role> {
    Role::ALL.get(stream as usize & 0b11).copied()
}

/// All media of one run.
pub(crate) struct Plane {
    threads: Vec<Thread>,
    studio: Arc<Studio>,
    next: AtomicU32,
    streams: AtomicU32,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

struct Thread {
    link: Link,
    addresses: Vec<SocketAddr>,
    free: Arc<Mutex<VecDeque<u32>>>,
    interval: Arc<Mutex<Interval>>,
}

#[derive(Clone)]
struct Link {
    orders: SyncSender<Order>,
    wake: Arc<OwnedFd>,
}

impl Link {
    /// False if the thread is gone or hopelessly behind.
    fn order(&self, order: Order) -> bool {
        // A full counter means that the thread is awake anyway.
        self.orders.try_send(order).is_ok()
            && rustix::io::write(&*self.wake, &1_u64.to_ne_bytes()).is_ok_and(|written| written > 0)
    }
}

impl Plane {
    /// Opens the sockets and starts the threads.
    ///
    /// # Errors
    /// The system gives no sockets or threads; the text says what to do.
    pub(crate) fn start(config: PlaneConfig) -> Result<Self, LoadError> {
        let failed = |what: &str, error: io::Error| LoadError::Media(format!("{what}: {error}"));
        let sent = Arc::new(Sent::new());
        let count = config.threads.max(1);
        let legs = config.legs_max.div_ceil(count).max(1);
        let mut port = config.port;
        let mut threads = Vec::with_capacity(count);
        let mut joins = Vec::with_capacity(count);
        for number in 0..count {
            let lines = Lines::open(config, legs, &mut port).map_err(|error| {
                failed("no ports for media; try --media-port, or raise `ulimit -n`", error)
            })?;
            let addresses = (0..legs).filter_map(|leg| lines.address(leg)).collect();
            let (orders, inbox) = sync_channel(ORDERS_MAX);
            let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
                .map_err(|error| failed("no event descriptor", error.into()))?;
            let wake = Arc::new(wake);
            let interval = Arc::new(Mutex::new(Interval::default()));
            let links = (Arc::clone(&wake), Arc::clone(&interval), Arc::clone(&sent));
            let thread = MediaThread::new((lines, legs), config.ears, inbox, links)
                .map_err(|error| failed("the media thread has no timer", error))?;
            let join = std::thread::Builder::new()
                .name(format!("load-media-{number}"))
                .spawn(move || thread.run())
                .map_err(|error| failed("no thread for media", error))?;
            joins.push(join);
            let free = (0..u32::try_from(legs).unwrap_or(u32::MAX)).collect();
            let link = Link { orders, wake };
            threads.push(Thread { link, addresses, free: Arc::new(Mutex::new(free)), interval });
        }
        let studio = Arc::new(Studio { ears: config.ears, loops: Mutex::default() });
        let (next, streams) = (AtomicU32::new(0), AtomicU32::new(1));
        Ok(Self { threads, studio, next, streams, joins: Mutex::new(joins) })
    }

    /// A leg for somebody; `None` if all are in use.
    pub(crate) fn open(&self, role: Role) -> Option<MediaLeg> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        let mut tries = (0..self.threads.len()).filter_map(|step| {
            let number = (turn + step) % self.threads.len();
            let thread = self.threads.get(number)?;
            let leg = lock(&thread.free).pop_front()?;
            Some((thread, leg, number as u32))
        });
        let (thread, leg, number) = tries.next()?;
        let address = *thread.addresses.get(leg as usize)?;
        let stream = self.streams.fetch_add(1, Ordering::Relaxed) << ROLE_BITS | role as u32;
        let voice = match self.studio.ears {
            Ears::Marks => stream,
            Ears::Tones { .. } => tones::voice(role, leg + number * SLOTS as u32),
        };
        let (link, free, studio) = (thread.link.clone(), Arc::clone(&thread.free), Arc::clone(&self.studio));
        Some(MediaLeg { link, free, studio, leg, address, stream, voice, role, started: false })
    }

    /// What was measured since it was asked last.
    pub(crate) fn take_interval(&self) -> Interval {
        let mut all = Interval::default();
        for thread in &self.threads {
            all.add(&std::mem::take(&mut *lock(&thread.interval)));
        }
        all
    }

    /// Ends all threads.
    pub(crate) fn finish(&self) {
        for thread in &self.threads {
            if !thread.link.order(Order::Finish) {
                tracing::warn!("a media thread was gone before it was told to end");
            }
        }
        for join in std::mem::take(&mut *lock(&self.joins)) {
            if join.join().is_err() {
                tracing::error!("a media thread panicked");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a leg's owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegNews {
    /// It hears something else now, since then.
    Heard(Heard, Nanos),
    /// The first packet of a key has gone out.
    Pressed(Nanos),
    /// It is over. Nothing comes after this.
    Over {
        /// The longest time without sound, in nanoseconds.
        silence: Nanos,
    },
}

/// Where and how a leg speaks.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Where the far side hears.
    pub(crate) remote: SocketAddr,
    /// The codec.
    pub(crate) codec: Codec,
    /// Its payload type.
    pub(crate) payload_type: u8,
    /// The payload type of keys, if spoken.
    pub(crate) keys: Option<u8>,
    /// Keys of SRTP, theirs and ours; none for plain RTP.
    pub(crate) srtp: Option<Box<(SrtpKey, SrtpKey)>>,
}

/// What a leg says.
#[derive(Clone)]
enum Speech {
    /// A loop whose frames are marked one by one.
    Marked(Law),
    /// A loop as it is.
    Loop(Arc<Loop>),
}

/// Where loops are made, each once.
struct Studio {
    ears: Ears,
    loops: Mutex<BTreeMap<(Codec, u32), Arc<Loop>>>,
}

impl Studio {
    /// What a voice says in a codec; `None` if that cannot be: a mark in what is no G.711.
    fn speech(&self, codec: Codec, voice: u32) -> Option<Speech> {
        if self.ears == Ears::Marks {
            return codec.law().map(Speech::Marked);
        }
        let known = lock(&self.loops).get(&(codec, voice)).cloned();
        if let Some(known) = known {
            return Some(Speech::Loop(known));
        }
        let made = Arc::new(Loop::new(codec, voice)?);
        lock(&self.loops).insert((codec, voice), Arc::clone(&made));
        Some(Speech::Loop(made))
    }
}

/// One party's hold on its leg; given back when it is dropped.
pub(crate) struct MediaLeg {
    link: Link,
    free: Arc<Mutex<VecDeque<u32>>>,
    studio: Arc<Studio>,
    leg: u32,
    /// Where the far side shall send.
    pub(crate) address: SocketAddr,
    /// The number of its stream: never used twice in one run.
    pub(crate) stream: u32,
    /// What ears know it by: the stream where marks say it, otherwise the voice of its tones.
    pub(crate) voice: u32,
    role: Role,
    started: bool,
}

impl MediaLeg {
    /// Begins to speak and to hear; news comes until [`LegNews::Over`].
    pub(crate) fn start(&mut self, way: Way) -> mpsc::Receiver<LegNews> {
        let (news, inbox) = mpsc::channel(NEWS_MAX);
        let (leg, stream, role) = (self.leg, self.stream, self.role);
        let speech = self.studio.speech(way.codec, self.voice);
        self.started = speech.is_some_and(|speech| {
            let opening = thread::Opening { leg, stream, role, way, speech, news };
            self.link.order(Order::Start(Box::new(opening)))
        });
        if !self.started {
            tracing::warn!("a leg cannot speak: no codec, or a media thread that does not take orders");
        }
        inbox
    }

    /// The far side moved, or changed its codec or its keys.
    pub(crate) fn turn(&self, way: Way) {
        let speech = self.studio.speech(way.codec, self.voice);
        let turned =
            speech.is_some_and(|speech| self.link.order(Order::Turn(self.leg, Box::new((way, speech)))));
        if self.started && !turned {
            tracing::warn!("a media thread does not take orders");
        }
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: char) {
        if !self.link.order(Order::Press(self.leg, key)) {
            tracing::warn!("a media thread does not take orders");
        }
    }

    /// Ends speaking and hearing.
    pub(crate) fn stop(&mut self) {
        if std::mem::take(&mut self.started) && !self.link.order(Order::Stop(self.leg)) {
            tracing::warn!("a media thread does not take orders");
        }
    }
}

impl Drop for MediaLeg {
    fn drop(&mut self) {
        self.stop();
        lock(&self.free).push_back(self.leg);
    }
}
