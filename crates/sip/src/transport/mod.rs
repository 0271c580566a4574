//! Sockets: UDP readers, listeners and connections, each a task that the driver owns.
//!
//! A connection is set up (TCP, TLS, WebSocket) in its own task and within a time limit, so nobody waits for a slow
//! or silent peer. What is to be written waits in a queue with a limit; at the limit the connection is closed.

mod connection;
mod sockets;
mod tls;
mod web;

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
};

pub(crate) use self::{
    connection::{Link, Secure, StreamLimits, accept, connect},
    sockets::{listen_tcp, listen_udp},
    tls::{Connector, Tls},
};
use crate::{
    message::Transport,
    places::Place,
    stack::{Hop, Wanted},
};

pub use tls::TlsFiles;

/// What the tasks tell the driver.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A datagram, or a message of a stream.
    Message { hop: Hop, bytes: Vec<u8> },
    /// A new connection from outside.
    Accepted { hop: Hop, stream: TcpStream },
    /// A connection is gone, or was never made. Its number tells it from a later one of the same way.
    Closed { hop: Hop, number: u64 },
    /// A host name was looked up.
    LookedUp { wanted: Wanted, places: Vec<Place> },
}

/// Arrivals that wait for the driver. At the limit datagrams are dropped and streams are not read.
pub(crate) const ARRIVALS_MAX: usize = 4_096;

/// Messages that wait to be written to one connection; at the limit the connection is closed.
pub(crate) const UNSENT_MAX: usize = 256;

/// Reads datagrams until the driver is gone.
pub(crate) async fn read_udp(socket: Arc<UdpSocket>, place: usize, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, remote) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An ICMP error of an earlier datagram; the socket goes on.
            Err(error) => {
                tracing::debug!(%error, "a UDP socket reported an error");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        let hop = Hop { transport: Transport::Udp, socket: place, remote };
        match arrivals.try_send(Arrival::Message { hop, bytes }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!("a SIP datagram was dropped: too many wait")
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// A socket that takes connections.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) transport: Transport,
    /// Its place among those of its transport.
    pub(crate) place: usize,
}

impl Listener {
    /// Takes connections until the driver is gone.
    pub(crate) async fn run(self, arrivals: mpsc::Sender<Arrival>) {
        loop {
            match self.socket.accept().await {
                Ok((stream, remote)) => {
                    let hop = Hop { transport: self.transport, socket: self.place, remote };
                    if arrivals.send(Arrival::Accepted { hop, stream }).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
