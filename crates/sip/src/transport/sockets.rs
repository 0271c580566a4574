//! Opens sockets. One for IPv6 takes IPv6 alone, so that `0.0.0.0:5060` and `[::]:5060` can stand side by side.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// Connections that the system holds until we take them.
const BACKLOG: i32 = 1_024;

/// A UDP socket.
pub(crate) fn listen_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(open(address, Type::DGRAM, Protocol::UDP)?.into())
}

/// A socket that takes connections.
pub(crate) fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        // A port whose last connections still linger can be taken again at once.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
