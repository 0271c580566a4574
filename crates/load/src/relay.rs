//! `segue load relay`: the barest relay there can be, to write beside any measurement.
//!
//! Packets come in and go out to the partner, untouched; a partner is where its last packet came from. No signalling,
//! no check, no header, no timer: whatever a gateway costs more than this is its logic, and what it costs less is its
//! sockets. Two designs: a socket for each leg with one call to the kernel a packet, and one shared socket with many
//! packets a call. It speaks with `segue load pairs`.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use rustix::event::epoll;

use crate::{
    clock::{SECOND, now},
    sys::{self, Inbox, Name, Outbox},
    words::LoadError,
};

/// How the relay's sockets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Design {
    /// A socket for each leg, epoll, one call to the kernel a packet each way.
    Epoll,
    /// One socket for all, many packets a call to the kernel. Needs `segue load pairs --ports own --design shared`.
    Shared,
}

/// Room for packets at the shared socket.
const QUEUE: i32 = 32 << 20;
const EVENTS: usize = 256;
/// Packets read from one socket before the others have their turn.
const TURN: usize = 16;

/// The port of one side of a call at the relay.
pub(crate) fn port(first: u16, design: Design, call: u32, side: u32) -> Option<u16> {
    match design {
        Design::Epoll => u16::try_from(u32::from(first) + 2 * call + side).ok(),
        Design::Shared => Some(first),
    }
}

/// Relays until the time is over.
///
/// # Errors
/// The ports are not free.
pub(crate) fn run(listen: SocketAddr, calls: u32, design: Design, time: Duration) -> Result<(), LoadError> {
    let until = now() + time.as_secs() * SECOND;
    let outcome = match design {
        Design::Epoll => by_epoll(listen, calls, until),
        Design::Shared => by_batches(listen, until),
    };
    outcome.map_err(|error| LoadError::Media(format!("the relay at {listen}: {error}; raise `ulimit -n`?")))
}

fn bind(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn by_epoll(listen: SocketAddr, calls: u32, until: u64) -> io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut sides: Vec<(UdpSocket, Option<SocketAddr>)> = Vec::new();
    for side in 0..2 * calls {
        let port = port(listen.port(), Design::Epoll, side / 2, side % 2)
            .ok_or_else(|| io::Error::other("the ports up to 65535 do not suffice"))?;
        let socket = bind(listen.ip(), port)?;
        epoll::add(&epoll, &socket, epoll::EventData::new_u64(side.into()), epoll::EventFlags::IN)?;
        sides.push((socket, None));
    }
    let mut events = Vec::with_capacity(EVENTS);
    let mut buffer = [0; 2_048];
    while now() < until {
        events.clear();
        let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&epoll, spare, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            pass(&mut sides, event.data.u64() as usize, &mut buffer);
        }
    }
    Ok(())
}

/// Reads one side and sends to its partner.
fn pass(sides: &mut [(UdpSocket, Option<SocketAddr>)], side: usize, buffer: &mut [u8; 2_048]) {
    for _ in 0..TURN {
        let Some((socket, remote)) = sides.get_mut(side) else { return };
        let Ok((length, from)) = socket.recv_from(buffer) else { return };
        *remote = Some(from);
        if let Some((partner, Some(to))) = sides.get(side ^ 1)
            && let Err(error) = partner.send_to(buffer.get(..length).unwrap_or_default(), to)
        {
            tracing::debug!(%error, "the relay could not send");
        }
    }
}

fn by_batches(listen: SocketAddr, until: u64) -> io::Result<()> {
    let socket = bind(listen.ip(), listen.port())?;
    sys::lengthen_queue(&socket, QUEUE);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &socket, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
    let mut events = Vec::with_capacity(1);
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let mut known: HashMap<u32, Name> = HashMap::new();
    while now() < until {
        events.clear();
        let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        while inbox.receive(&socket)? > 0 {
            for datagram in inbox.datagrams() {
                let Some(ssrc) = ssrc(datagram.bytes) else { continue };
                known.insert(ssrc, Name::new(datagram.from));
                if let Some(to) = known.get(&partner(ssrc)) {
                    outbox.push(to, |bytes| {
                        let length = datagram.bytes.len().min(bytes.len());
                        bytes.iter_mut().zip(datagram.bytes).for_each(|(to, from)| *to = *from);
                        length
                    });
                }
            }
            outbox.send(&socket);
        }
    }
    Ok(())
}

fn ssrc(packet: &[u8]) -> Option<u32> {
    let words: &[u8; 12] = packet.first_chunk()?;
    let [.., a, b, c, d] = *words;
    Some(u32::from_be_bytes([a, b, c, d]))
}

/// Sides of a pair are numbered one after the other, the odd number first; their roles are 0 and 1.
const fn partner(ssrc: u32) -> u32 {
    let (number, role) = (ssrc >> 2, ssrc & 3);
    let other = if number % 2 == 1 { number.wrapping_add(1) } else { number.wrapping_sub(1) };
    other << 2 | role ^ 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_mutual() {
        for pair in [(1 << 2, 2 << 2 | 1), (7 << 2, 8 << 2 | 1)] {
            assert_eq!(partner(pair.0), pair.1);
            assert_eq!(partner(pair.1), pair.0);
        }
    }

    #[test]
    fn each_side_of_each_call_has_a_port_of_its_own() {
        let port = |call, side| port(30_000, Design::Epoll, call, side);
        assert_eq!((port(0, 0), port(0, 1), port(1, 0)), (Some(30_000), Some(30_001), Some(30_002)));
        assert_eq!(port(20_000, 0), None);
    }
}
