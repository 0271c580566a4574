//! The sockets of one media thread, and who is behind which address.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    io,
    net::{SocketAddr, UdpSocket},
};

use super::{PlaneConfig, SLOTS};
use crate::sys;

/// Bytes that may wait at a socket that is shared: 10,000 packets with what the kernel keeps of each.
const QUEUE_SHARED: i32 = 8 << 20;
/// Bytes that may wait at a socket of one leg.
const QUEUE_OWN: i32 = 256 << 10;

/// How ports are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PortUse {
    /// Twenty ports for all legs of a thread: cheap, as long as the target has a port for each leg.
    Shared,
    /// A port for each leg, as with phones.
    Own,
}

/// The sockets of one thread.
pub(super) struct Lines {
    ports: PortUse,
    lines: Vec<Line>,
    /// With shared ports: the leg that an address belongs to.
    peers: HashMap<u64, u32, BuildHasherDefault<Mix>>,
}

struct Line {
    rtp: UdpSocket,
    /// Heard and thrown away, so that the target's reports meet no closed port.
    rtcp: Option<UdpSocket>,
    address: SocketAddr,
}

impl Lines {
    /// Opens the sockets from `port` on, and moves `port` behind them.
    ///
    /// # Errors
    /// Not enough ports or descriptors.
    pub(super) fn open(config: PlaneConfig, legs: usize, port: &mut u16) -> io::Result<Self> {
        let count = match config.ports {
            PortUse::Shared => SLOTS.min(legs),
            PortUse::Own => legs,
        };
        let mut lines = Vec::with_capacity(count);
        while lines.len() < count {
            let even = port.saturating_add(*port % 2);
            let next = even.checked_add(2).ok_or_else(|| {
                io::Error::new(io::ErrorKind::AddrNotAvailable, "the ports up to 65535 do not suffice")
            })?;
            *port = next;
            match Line::open(config, even) {
                Ok(line) => lines.push(line),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { ports: config.ports, lines, peers: HashMap::default() })
    }

    /// The line of a leg.
    pub(super) fn of(&self, leg: usize) -> usize {
        match self.ports {
            PortUse::Shared => leg % self.lines.len().max(1),
            PortUse::Own => leg,
        }
    }

    /// Where a leg hears.
    pub(super) fn address(&self, leg: usize) -> Option<SocketAddr> {
        self.lines.get(self.of(leg)).map(|line| line.address)
    }

    /// The socket of a line.
    pub(super) fn socket(&self, line: usize) -> Option<&UdpSocket> {
        self.lines.get(line).map(|line| &line.rtp)
    }

    /// Every socket to be watched, with its line; the second ones hear RTCP.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, bool, &UdpSocket)> {
        let rtcp = |line: &'_ Line| line.rtcp.is_some();
        self.lines.iter().enumerate().flat_map(move |(at, line)| {
            let control = line.rtcp.as_ref().filter(|_| rtcp(line)).map(|socket| (at, true, socket));
            std::iter::once((at, false, &line.rtp)).chain(control)
        })
    }

    /// Throws away what waits at a line's second socket.
    pub(super) fn hush(&self, line: usize) {
        let mut buffer = [0; sys::BYTES_MAX];
        if let Some(socket) = self.lines.get(line).and_then(|line| line.rtcp.as_ref()) {
            while socket.recv(&mut buffer).is_ok() {}
        }
    }

    /// The leg that a packet at a line is for.
    pub(super) fn leg(&self, line: usize, from: SocketAddr) -> Option<u32> {
        match self.ports {
            PortUse::Shared => self.peers.get(&key(line, from)).copied(),
            PortUse::Own => u32::try_from(line).ok(),
        }
    }

    /// A leg's far side is at this address. False if another leg of the line has the same.
    pub(super) fn meet(&mut self, leg: u32, remote: SocketAddr) -> bool {
        let key = key(self.of(leg as usize), remote);
        self.ports == PortUse::Own || *self.peers.entry(key).or_insert(leg) == leg
    }

    /// A leg has no far side any more.
    pub(super) fn part(&mut self, leg: u32, remote: SocketAddr) {
        let key = key(self.of(leg as usize), remote);
        if self.peers.get(&key) == Some(&leg) {
            self.peers.remove(&key);
        }
    }

    /// Packets that found no room at our sockets since they were opened.
    pub(super) fn dropped(&self) -> u64 {
        self.lines.iter().map(|line| sys::dropped(&line.rtp)).sum()
    }
}

impl Line {
    fn open(config: PlaneConfig, port: u16) -> io::Result<Self> {
        let address = SocketAddr::new(config.address, port);
        let rtp = UdpSocket::bind(address)?;
        rtp.set_nonblocking(true)?;
        sys::stamp_arrivals(&rtp)?;
        let shared = config.ports == PortUse::Shared;
        sys::lengthen_queue(&rtp, if shared { QUEUE_SHARED } else { QUEUE_OWN });
        let rtcp = if shared {
            let socket = UdpSocket::bind(SocketAddr::new(config.address, port.saturating_add(1)))?;
            socket.set_nonblocking(true)?;
            Some(socket)
        } else {
            None
        };
        Ok(Self { rtp, rtcp, address })
    }
}

/// An address at a line. An IPv4 one is kept whole; of an IPv6 one the mixed bits.
fn key(line: usize, address: SocketAddr) -> u64 {
    let place = (line as u64) << 48 | u64::from(address.port()) << 32;
    match address {
        SocketAddr::V4(v4) => place | u64::from(u32::from(*v4.ip())),
        SocketAddr::V6(v6) => {
            let bits = u128::from(*v6.ip());
            place ^ ((bits >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ bits as u64
        }
    }
}

/// One multiplication: the keys are ours, so nobody can choose them to collide.
#[derive(Clone, Copy, Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 29;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn lines(ports: PortUse, legs: usize) -> Lines {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ears = crate::plane::Ears::Marks;
        let config = PlaneConfig { address, port: 47_000, ports, threads: 1, legs_max: legs, ears };
        Lines::open(config, legs, &mut config.port.clone()).unwrap()
    }

    #[test]
    fn shared_ports_tell_legs_apart_by_the_far_side() {
        let mut lines = lines(PortUse::Shared, 100);
        let remote = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(lines.address(3), lines.address(23));
        assert!(lines.meet(3, remote(9_000)) && lines.meet(23, remote(9_002)));
        assert!(!lines.meet(43, remote(9_000)), "leg 3 has that one");
        assert!(lines.meet(4, remote(9_000)), "another line");
        assert_eq!(lines.leg(3, remote(9_000)), Some(3));
        assert_eq!(lines.leg(3, remote(9_002)), Some(23));
        lines.part(43, remote(9_000));
        assert_eq!(lines.leg(3, remote(9_000)), Some(3));
        lines.part(3, remote(9_000));
        assert_eq!(lines.leg(3, remote(9_000)), None);
    }

    #[test]
    fn own_ports_need_no_address() {
        let lines = lines(PortUse::Own, 30);
        assert_ne!(lines.address(3), lines.address(23));
        assert_eq!(lines.leg(23, SocketAddr::from(([192, 0, 2, 1], 1))), Some(23));
    }
}
