//! Finds two neighbouring UDP ports for a leg: the even one for RTP, the odd one above it for RTCP (RFC 3550 §11).

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
};

/// The range that legs take their ports from.
#[derive(Debug)]
pub(crate) struct Ports {
    address: IpAddr,
    /// What far sides are told in its place, where a translator stands before us.
    told: IpAddr,
    first: u16,
    pairs: u32,
    next: AtomicU32,
}

/// The two sockets of one leg.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The even port.
    pub(crate) rtp: UdpSocket,
    /// The odd port.
    pub(crate) rtcp: UdpSocket,
    /// The address of the even port, as far sides are told it.
    pub(crate) rtp_address: SocketAddr,
    /// The address of the odd port, as far sides are told it.
    pub(crate) rtcp_address: SocketAddr,
}

impl Ports {
    /// Takes the range `first..=last` of an address that far sides know as `told`; an odd `first` begins at the next
    /// port.
    pub(crate) fn new((address, told): (IpAddr, IpAddr), first: u16, last: u16) -> Self {
        let first = first.saturating_add(first % 2);
        let pairs = u32::from(last.saturating_sub(first).saturating_add(1) / 2).max(1);
        Self { address, told, first, pairs, next: AtomicU32::new(0) }
    }

    /// Binds the next free pair. Ports are taken in turn, so a port just given back is the last to be reused.
    ///
    /// # Errors
    /// No pair of the range is free, or the address is not ours.
    pub(crate) fn bind(&self) -> io::Result<Pair> {
        let mut last_error = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..self.pairs {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.pairs;
            let port = u32::from(self.first) + 2 * turn;
            match self.bind_at(u16::try_from(port).unwrap_or(self.first)) {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last_error = error,
                Err(error) => return Err(error),
            }
        }
        Err(last_error)
    }

    fn bind_at(&self, port: u16) -> io::Result<Pair> {
        let above = port.saturating_add(1);
        let rtp = UdpSocket::bind((self.address, port))?;
        let rtcp = UdpSocket::bind((self.address, above))?;
        rtp.set_nonblocking(true)?;
        rtcp.set_nonblocking(true)?;
        let (rtp_address, rtcp_address) =
            (SocketAddr::new(self.told, port), SocketAddr::new(self.told, above));
        Ok(Pair { rtp, rtcp, rtp_address, rtcp_address })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn pairs_are_even_and_odd_neighbours_and_come_back_after_use() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports = Ports::new((here, here), 41_201, 41_205);
        let first = ports.bind().expect("free");
        let second = ports.bind().expect("free");
        assert_eq!(first.rtp_address.port() % 2, 0);
        assert_eq!(first.rtcp_address.port(), first.rtp_address.port() + 1);
        assert_ne!(first.rtp_address, second.rtp_address);
        assert_eq!(ports.bind().expect_err("only two pairs fit").kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(ports.bind().is_ok());
    }

    #[test]
    fn far_sides_are_told_the_address_that_the_translator_has() {
        let told = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5));
        let pair = Ports::new((Ipv4Addr::LOCALHOST.into(), told), 41_210, 41_213).bind().expect("free");
        assert_eq!((pair.rtp_address.ip(), pair.rtcp_address.ip()), (told, told));
        assert!(pair.rtp.local_addr().expect("it is bound").ip().is_loopback());
    }
}
