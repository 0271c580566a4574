//! The yardstick: a thread that does nothing but pass packets between the same sockets, by the same epoll.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    clock::Clock,
    media::{Gathering, Poller, claim_core},
};

/// One leg of the bare relay.
pub(super) struct BareLeg {
    /// Where it hears.
    pub(super) socket: UdpSocket,
    /// The leg whose far side gets what it hears.
    pub(super) peer: usize,
    /// Its own far side.
    pub(super) far: SocketAddr,
}

/// A relay that runs until it is dropped.
pub(super) struct Bare {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bare {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread or no epoll instance.
    pub(super) fn start(
        legs: Vec<BareLeg>,
        gather: Duration,
        core: Option<usize>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let poller = Poller::new()?;
        for (place, leg) in legs.iter().enumerate() {
            poller.watch(&leg.socket, place as u64)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("bare".to_owned()).spawn(move || {
            claim_core(core);
            relay(poller, &legs, (gather, clock), &told);
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the bare relay panicked");
        }
    }
}

fn relay(mut poller: Poller, legs: &[BareLeg], (gather, clock): (Duration, Clock), stop: &AtomicBool) {
    let mut buffer = [0; 2_048];
    let mut gathering = Gathering::new(gather);
    let mut now = clock.now();
    while !stop.load(Ordering::Relaxed) {
        let ready = poller.wait(Duration::from_millis(20)).unwrap_or(0);
        let woken = clock.now();
        gathering.waited(woken.saturating_sub(now), ready);
        for number in 0..ready {
            let Some(leg) = poller.ready(number).and_then(|place| legs.get(place as usize)) else { continue };
            let Some(peer) = legs.get(leg.peer) else { continue };
            if let Ok((length, _from)) = leg.socket.recv_from(&mut buffer)
                && let Err(error) = peer.socket.send_to(buffer.get(..length).unwrap_or_default(), peer.far)
            {
                tracing::trace!(%error, "not sent");
            }
        }
        now = clock.now();
        let sleep = gathering.sleep(now.saturating_sub(woken), ready);
        if !sleep.is_zero() {
            std::thread::sleep(sleep);
            now = clock.now();
        }
    }
}
