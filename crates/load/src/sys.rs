//! The one place where the kernel is spoken to in C structures: many datagrams a call, with the time of arrival that
//! the kernel took, and what a socket dropped.
//!
//! The arrival is the kernel's, so that the tester's own lateness never counts as the target's delay.

#![expect(unsafe_code, reason = "the kernel's boundary; each block says why it holds")]

use std::{
    io,
    mem::{size_of, zeroed},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

use crate::clock::{Nanos, SECOND};

/// Datagrams a call to the kernel.
pub(crate) const BATCH: usize = 64;
/// Longer datagrams are cut; no 20 ms of sound comes near it.
pub(crate) const BYTES_MAX: usize = 512;

const CONTROL_BYTES: usize = 64;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// A socket address in the kernel's own form.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    storage: libc::sockaddr_in6,
    length: libc::socklen_t,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.address())
    }
}

impl Name {
    /// Room for any address.
    fn empty() -> Self {
        // SAFETY: all-zero bytes are a valid `sockaddr_in6`: plain integers.
        Self { storage: unsafe { zeroed() }, length: size_of::<libc::sockaddr_in6>() as libc::socklen_t }
    }

    /// The kernel's form of an address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut name = Self::empty();
        match address {
            SocketAddr::V4(v4) => {
                let short = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                // SAFETY: `sockaddr_in` (16 bytes) fits into `sockaddr_in6` (28 bytes), whose alignment is as strict.
                unsafe { (&raw mut name.storage).cast::<libc::sockaddr_in>().write(short) };
                name.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                name.storage.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.storage.sin6_port = v6.port().to_be();
                name.storage.sin6_addr.s6_addr = v6.ip().octets();
                name.storage.sin6_scope_id = v6.scope_id();
            }
        }
        name
    }

    /// The address in Rust's form.
    pub(crate) fn address(&self) -> SocketAddr {
        if self.storage.sin6_family == libc::AF_INET as libc::sa_family_t {
            // SAFETY: the family says that the beginning is a `sockaddr_in`, which fits and is aligned.
            let short = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(short.sin_addr.s_addr));
            return SocketAddrV4::new(ip, u16::from_be(short.sin_port)).into();
        }
        let ip = Ipv6Addr::from(self.storage.sin6_addr.s6_addr);
        SocketAddrV6::new(ip, u16::from_be(self.storage.sin6_port), 0, self.storage.sin6_scope_id).into()
    }
}

/// Asks the kernel to note when each datagram arrives.
///
/// # Errors
/// The kernel does not know how.
pub(crate) fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SO_TIMESTAMPNS, 1)
}

/// Asks for a long queue; beyond what the system allows if we may.
pub(crate) fn lengthen_queue(socket: &UdpSocket, bytes: i32) {
    if set_option(socket, libc::SO_RCVBUFFORCE, bytes).is_err()
        && let Err(error) = set_option(socket, libc::SO_RCVBUF, bytes)
    {
        tracing::debug!(%error, "a socket keeps its short queue");
    }
}

fn set_option(socket: &UdpSocket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open, and value and length describe a living `c_int`.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams that this socket had no room for since it was opened: our own slowness, not the target's.
pub(crate) fn dropped(socket: &UdpSocket) -> u64 {
    const SO_MEMINFO: libc::c_int = 55;
    const DROPS: usize = 8;
    let mut words = [0_u32; 9];
    let mut length = size_of::<[u32; 9]>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes into `words`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            words.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done == 0 { words.get(DROPS).copied().unwrap_or(0).into() } else { 0 }
}

/// Room for a batch of datagrams. Everything lies on the heap, so that the pointers between the parts stay true.
struct Room {
    bytes: Vec<[u8; BYTES_MAX]>,
    names: Vec<Name>,
    controls: Vec<Control>,
    _pieces: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in it point into its own heap memory, which moves along with it.
unsafe impl Send for Room {}

impl Room {
    fn new() -> Self {
        let mut bytes = vec![[0; BYTES_MAX]; BATCH];
        let mut names = vec![Name::empty(); BATCH];
        let mut controls = vec![Control([0; CONTROL_BYTES]); BATCH];
        let mut pieces: Vec<libc::iovec> = bytes
            .iter_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: BYTES_MAX })
            .collect();
        let parts = pieces.iter_mut().zip(&mut names).zip(&mut controls);
        let headers = parts
            .map(|((piece, name), control)| {
                // SAFETY: all-zero bytes are a valid `mmsghdr`: integers and null pointers.
                let mut header: libc::mmsghdr = unsafe { zeroed() };
                header.msg_hdr.msg_iov = piece;
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = (&raw mut name.storage).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                header.msg_hdr.msg_controllen = CONTROL_BYTES;
                header.msg_hdr.msg_control = (&raw mut *control).cast();
                header
            })
            .collect();
        Self { bytes, names, controls, _pieces: pieces, headers }
    }
}

/// Datagrams that came in.
pub(crate) struct Inbox {
    room: Room,
    filled: usize,
}

/// One datagram.
pub(crate) struct Datagram<'a> {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// When the kernel had it; `None` if it does not say.
    pub(crate) at: Option<Nanos>,
    /// What it is.
    pub(crate) bytes: &'a [u8],
}

impl Inbox {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { room: Room::new(), filled: 0 }
    }

    /// Takes what waits at a socket, at most [`BATCH`]; 0 if nothing does.
    ///
    /// # Errors
    /// The socket is broken.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for header in self.room.headers.iter_mut().take(self.filled) {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        self.filled = 0;
        // SAFETY: the headers point to buffers, names and control room that live in `room` and have the lengths given.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.room.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            // Refused is an ICMP answer to something we sent: the far side's port is not open (yet, or any more).
            let nothing =
                [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted, io::ErrorKind::ConnectionRefused];
            return if nothing.contains(&error.kind()) { Ok(0) } else { Err(error) };
        }
        self.filled = usize::try_from(count).unwrap_or(0);
        Ok(self.filled)
    }

    /// The datagrams of the last call.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let parts = self.room.headers.iter().zip(&self.room.bytes).zip(&self.room.names);
        parts.take(self.filled).map(|((header, bytes), name)| Datagram {
            from: name.address(),
            at: arrival(&header.msg_hdr),
            bytes: bytes.get(..header.msg_len as usize).unwrap_or(bytes),
        })
    }
}

fn arrival(header: &libc::msghdr) -> Option<Nanos> {
    // SAFETY: the kernel filled the control room that the header points to and set its length.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null()
            || (*control).cmsg_level != libc::SOL_SOCKET
            || (*control).cmsg_type != libc::SCM_TIMESTAMPNS
        {
            return None;
        }
        let time = libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned();
        Some(time.tv_sec.cast_unsigned().wrapping_mul(SECOND).wrapping_add(time.tv_nsec.cast_unsigned()))
    }
}

/// Datagrams that go out from one socket.
pub(crate) struct Outbox {
    room: Room,
    filled: usize,
}

impl Outbox {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let mut room = Room::new();
        for header in &mut room.headers {
            header.msg_hdr.msg_control = std::ptr::null_mut();
            header.msg_hdr.msg_controllen = 0;
        }
        room.controls.clear();
        Self { room, filled: 0 }
    }

    /// Whether the next datagram needs a [`send`](Self::send) first.
    pub(crate) const fn is_full(&self) -> bool {
        self.filled == BATCH
    }

    /// Puts one datagram in; `write` fills the bytes and says how many, 0 for none. A full outbox drops it.
    pub(crate) fn push(&mut self, to: &Name, write: impl FnOnce(&mut [u8; BYTES_MAX]) -> usize) {
        let at = self.filled;
        let (Some(bytes), Some(name), Some(header)) =
            (self.room.bytes.get_mut(at), self.room.names.get_mut(at), self.room.headers.get_mut(at))
        else {
            return;
        };
        let length = write(bytes).min(BYTES_MAX);
        if length == 0 {
            return;
        }
        *name = *to;
        header.msg_hdr.msg_namelen = to.length;
        // SAFETY: `msg_iov` points to this header's own piece in `room`, which lives.
        unsafe { (*header.msg_hdr.msg_iov).iov_len = length };
        self.filled += 1;
    }

    /// Sends everything; gives how many datagrams the kernel did not take.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> usize {
        let mut refused = 0;
        let mut sent = 0;
        while let Some(rest) = self.room.headers.get_mut(sent..self.filled).filter(|rest| !rest.is_empty()) {
            // SAFETY: the headers of `rest` point to names and buffers in `room` with the lengths given.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            // A refusal belongs to the first of the rest; an ICMP error of an earlier datagram is told here too.
            if count <= 0 {
                refused += 1;
            }
            sent += usize::try_from(count).unwrap_or(0).max(1);
        }
        self.filled = 0;
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_batch_goes_out_and_comes_in_with_address_and_time() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let here = UdpSocket::bind(host).unwrap();
            let there = UdpSocket::bind(host).unwrap();
            stamp_arrivals(&there).unwrap();
            let to = Name::new(there.local_addr().unwrap());
            let before = clock::now();
            let mut outbox = Outbox::new();
            for number in 0..3_u8 {
                outbox.push(&to, |bytes| {
                    bytes[..=usize::from(number)].fill(number);
                    usize::from(number) + 1
                });
            }
            assert_eq!(outbox.send(&here), 0);
            let mut inbox = Inbox::new();
            for _ in 0..2 {
                let mut seen = 0;
                while seen < 3 {
                    inbox.receive(&there).unwrap();
                    for datagram in inbox.datagrams() {
                        assert_eq!(datagram.from, here.local_addr().unwrap());
                        assert_eq!(datagram.bytes, vec![seen; usize::from(seen) + 1]);
                        let at = datagram.at.unwrap();
                        assert!(at >= before && at <= clock::now(), "{at}");
                        seen += 1;
                    }
                }
                for number in 0..3_u8 {
                    outbox.push(&to, |bytes| {
                        bytes[..=usize::from(number)].fill(number);
                        usize::from(number) + 1
                    });
                }
                assert_eq!(outbox.send(&here), 0);
            }
        }
    }

    #[test]
    fn what_a_socket_has_no_room_for_is_counted() {
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_option(&there, libc::SO_RCVBUF, 4_096).unwrap();
        assert_eq!(dropped(&there), 0);
        for _ in 0..200 {
            here.send_to(&[0; 172], there.local_addr().unwrap()).unwrap();
        }
        assert!(dropped(&there) > 100, "{}", dropped(&there));
    }

    #[test]
    fn addresses_of_both_families_keep_their_value() {
        for text in ["192.0.2.7:5060", "[2001:db8::1]:16384"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::new(address).address(), address);
        }
    }
}
