//! Waiting for packets: one epoll instance, told by level, and a bell that rings when orders come.
//!
//! By level, one read a readiness is enough: no second read that finds nothing, and no socket keeps the others
//! waiting. What is left is told again.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    io::Errno,
    time::Timespec,
};

/// Sockets that are read between two looks at the clock: below half a millisecond's work.
const EVENTS_MAX: usize = 128;
const BELL: u64 = u64::MAX;

/// Waits for sockets and for the bell.
pub(crate) struct Poller {
    epoll: OwnedFd,
    bell: Bell,
    /// Tokens of the sockets that are ready.
    ready: Vec<u64>,
}

/// Wakes the thread that waits.
#[derive(Clone)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Rings. Ringing twice before the other has looked is ringing once.
    ///
    /// # Errors
    /// The thread's end of it is gone.
    pub(crate) fn ring(&self) -> io::Result<()> {
        match rustix::io::write(&*self.0, &1_u64.to_ne_bytes()) {
            // A full counter rings already.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Poller {
    /// # Errors
    /// The kernel gives no epoll instance or no event counter.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Self { epoll, bell: Bell(Arc::new(bell)), ready: Vec::with_capacity(EVENTS_MAX) })
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Watches a socket under a token of the caller's.
    ///
    /// # Errors
    /// The kernel's limit of watched sockets is reached.
    pub(crate) fn watch(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)?)
    }

    /// # Errors
    /// The socket was not watched.
    pub(crate) fn forget(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Waits for at most so long, rounded up to milliseconds; gives how many sockets are ready.
    ///
    /// # Errors
    /// As epoll says; an interruption is none.
    pub(crate) fn wait(&mut self, longest: Duration) -> io::Result<usize> {
        self.ready.clear();
        let whole = longest + Duration::from_micros(999);
        let nanoseconds = i64::from(whole.subsec_millis()) * 1_000_000;
        let timeout = Timespec { tv_sec: whole.as_secs().cast_signed(), tv_nsec: nanoseconds };
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; EVENTS_MAX];
        let told = match epoll::wait(&self.epoll, &mut events, Some(&timeout)) {
            Ok((told, _)) => told,
            Err(Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let tokens = told.iter().map(|event| event.data.u64());
        self.ready.extend(tokens.filter(|token| *token != BELL));
        if self.ready.len() < told.len() {
            let mut count = [0; 8];
            match rustix::io::read(&*self.bell.0, &mut count) {
                Ok(_) | Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.ready.len())
    }

    /// The token of a ready socket.
    pub(crate) fn ready(&self, number: usize) -> Option<u64> {
        self.ready.get(number).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_socket_is_told_until_it_is_read_and_the_bell_is_no_socket() {
        let mut poller = Poller::new().expect("epoll");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let to = socket.local_addr().expect("an address");
        poller.watch(&socket, 7).expect("watched");
        poller.bell().ring().expect("rings");
        assert_eq!(poller.wait(Duration::from_secs(5)).expect("waits"), 0);
        for byte in [1, 2] {
            socket.send_to(&[byte], to).expect("sent");
        }
        for _ in 0..2 {
            assert_eq!(poller.wait(Duration::from_secs(5)).expect("waits"), 1);
            assert_eq!(poller.ready(0), Some(7));
            socket.recv_from(&mut [0; 4]).expect("there is one");
        }
        assert_eq!(poller.wait(Duration::ZERO).expect("waits"), 0);
        poller.forget(&socket).expect("was watched");
    }
}
