//! The media plane: pinned threads, each with its own engine, and the handle that a call holds on one of them.
//!
//! A call is given to one thread at set-up; all its legs stay there. Orders never block: a thread that does
//! not take them any more is a failure of the call, not a wait.

mod gather;
mod poller;
mod ports;
mod thread;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use segue_media::{Codec, Command, EngineConfig, LegId, PlayId, Report};
use thiserror::Error;
use tokio::sync::mpsc;

pub(crate) use self::{
    gather::Gathering,
    poller::Poller,
    thread::{Listener, Tape},
};
use self::{
    poller::Bell,
    ports::Ports,
    thread::{MediaThread, Order, Parts},
};
use crate::clock::Clock;

/// Orders that may wait for one thread. A thread takes them at least every 20 ms.
const ORDERS_MAX: usize = 8_192;

/// What goes wrong between a call and its media thread.
#[derive(Debug, Error)]
pub(crate) enum MediaError {
    /// No port, no socket.
    #[error("no media port could be opened: {0}; widen media.port_first..port_last or check media.address")]
    Ports(#[source] io::Error),
    /// No keys for SRTP.
    #[error("{0}")]
    Keys(String),
    /// The thread is gone or hopelessly behind.
    #[error("the media thread does not take orders")]
    Stuck,
}

/// Every media thread of the process.
pub(crate) struct MediaPlane {
    threads: Vec<Thread>,
    ports: Arc<Ports>,
    ids: Arc<AtomicU64>,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Thread {
    orders: SyncSender<Order>,
    bell: Bell,
    legs: Arc<AtomicUsize>,
}

impl Thread {
    fn order(&self, order: Order) -> Result<(), MediaError> {
        match self.orders.try_send(order) {
            Ok(()) => self.bell.ring().map_err(|_gone| MediaError::Stuck),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(MediaError::Stuck),
        }
    }
}

impl MediaPlane {
    /// Starts the threads, each pinned to a core of its own where there are enough.
    ///
    /// # Errors
    /// The system gives no thread or no epoll instance.
    pub(crate) fn start(
        settings: &crate::config::Media,
        engine: &EngineConfig,
        clock: Clock,
    ) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = if settings.threads == 0 { cores.saturating_sub(1).max(1) } else { settings.threads };
        let allowed = allowed_cores();
        let ids = Arc::new(AtomicU64::new(1));
        let mut threads = Vec::with_capacity(count);
        let mut joins = Vec::with_capacity(count);
        for number in 0..count {
            let (orders, inbox) = sync_channel(ORDERS_MAX);
            let legs = Arc::new(AtomicUsize::new(0));
            let seed = clock.now().as_nanos() as u64 ^ (number as u64) << 48;
            let parts = Parts {
                orders: inbox,
                config: engine.clone(),
                seed,
                gather: Duration::from_micros(settings.gather_us.into()),
                legs_open: Arc::clone(&legs),
            };
            let (thread, bell) = MediaThread::new(parts, clock)?;
            let core = allowed.get(number % allowed.len().max(1)).copied();
            joins.push(std::thread::Builder::new().name(format!("media-{number}")).spawn(move || {
                claim_core(core);
                thread.run();
            })?);
            threads.push(Thread { orders, bell, legs });
        }
        // What cannot be read was refused with the configuration.
        let told = settings.advertised.parse().unwrap_or(settings.address);
        let ports = Ports::new((settings.address, told), settings.port_first, settings.port_last);
        let ports = Arc::new(ports);
        Ok(Self { threads, ports, ids, joins: Mutex::new(joins) })
    }

    /// Gives a new call to the thread with the fewest legs.
    pub(crate) fn place(&self) -> Option<CallMedia> {
        let thread = self.threads.iter().min_by_key(|thread| thread.legs.load(Ordering::Relaxed))?;
        Some(CallMedia {
            thread: thread.clone(),
            ports: Arc::clone(&self.ports),
            ids: Arc::clone(&self.ids),
            open: Vec::new(),
        })
    }

    /// Legs that are open on all threads.
    pub(crate) fn legs(&self) -> usize {
        self.threads.iter().map(|thread| thread.legs.load(Ordering::Relaxed)).sum()
    }

    /// Ends every thread and waits for it. A second time does nothing.
    pub(crate) fn finish(&self) {
        let joins = std::mem::take(&mut *self.joins.lock().unwrap_or_else(PoisonError::into_inner));
        if joins.is_empty() {
            return;
        }
        for thread in &self.threads {
            if thread.order(Order::Finish).is_err() {
                tracing::warn!("a media thread was gone before it was told to end");
            }
        }
        for join in joins {
            if join.join().is_err() {
                tracing::error!("a media thread panicked");
            }
        }
    }
}

/// The cores that this process may use, by number; empty where there is only one or the kernel does not tell.
pub(crate) fn allowed_cores() -> Vec<usize> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    let cores: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    if cores.len() > 1 { cores } else { Vec::new() }
}

/// Binds the thread to one core and asks for a better place in the queue; both are wishes.
pub(crate) fn claim_core(core: Option<usize>) {
    if let Some(core) = core {
        let mut set = rustix::thread::CpuSet::new();
        set.set(core);
        if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
            tracing::debug!(%error, "a media thread is not pinned");
        }
    }
    if let Err(error) = rustix::process::setpriority_process(None, -10) {
        tracing::debug!(%error, "media threads run at normal priority; CAP_SYS_NICE would allow a better one");
    }
}

/// One call's hold on its media thread. What it opened is closed when it is dropped.
pub(crate) struct CallMedia {
    thread: Thread,
    ports: Arc<Ports>,
    ids: Arc<AtomicU64>,
    open: Vec<LegId>,
}

/// A leg's name and where its far side shall send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenLeg {
    /// Its name on the media thread.
    pub(crate) leg: LegId,
    /// Where we hear RTP.
    pub(crate) rtp: SocketAddr,
    /// Where we hear RTCP.
    pub(crate) rtcp: SocketAddr,
}

impl CallMedia {
    /// Opens two ports and a leg behind them.
    ///
    /// # Errors
    /// No port is free, or the thread takes no orders.
    pub(crate) fn open(
        &mut self,
        codec: Codec,
        watched: bool,
        reports: mpsc::Sender<Box<Report>>,
    ) -> Result<OpenLeg, MediaError> {
        let pair = self.ports.bind().map_err(MediaError::Ports)?;
        let leg = LegId(self.ids.fetch_add(1, Ordering::Relaxed));
        let opened = OpenLeg { leg, rtp: pair.rtp_address, rtcp: pair.rtcp_address };
        self.thread.order(Order::Open { leg, rtp: pair.rtp, rtcp: pair.rtcp, reports })?;
        self.open.push(leg);
        self.command(Command::Open { leg, codec, watched })?;
        Ok(opened)
    }

    /// Tells the engine something.
    ///
    /// # Errors
    /// The thread takes no orders.
    pub(crate) fn command(&self, command: Command) -> Result<(), MediaError> {
        self.thread.order(Order::Engine(command))
    }

    /// Gives a leg's voice to somebody, such as a recogniser.
    ///
    /// # Errors
    /// The thread takes no orders.
    pub(crate) fn listen(&self, leg: LegId, listener: Listener) -> Result<(), MediaError> {
        self.thread.order(Order::Listen { leg, listener })
    }

    /// Records a leg, or stops it.
    ///
    /// # Errors
    /// The thread takes no orders.
    pub(crate) fn record(&self, leg: LegId, tape: Option<Tape>) -> Result<(), MediaError> {
        self.thread.order(Order::Record { leg, tape })
    }

    /// A new name for a prompt.
    pub(crate) fn play_id(&self) -> PlayId {
        PlayId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Closes one leg; its ports are free again.
    pub(crate) fn close(&mut self, leg: LegId) {
        self.open.retain(|open| *open != leg);
        if self.command(Command::Close { leg }).is_err() {
            tracing::error!(leg = leg.0, "a leg could not be closed");
        }
    }
}

impl Drop for CallMedia {
    fn drop(&mut self) {
        for leg in std::mem::take(&mut self.open) {
            self.close(leg);
        }
    }
}
