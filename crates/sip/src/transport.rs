//! Sockets: UDP readers, TCP listeners and connections, each a task that the driver owns.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
};

use crate::{
    message::{Frame, Framer, Transport},
    stack::Hop,
};

/// What the tasks tell the driver.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A datagram, or a message of a stream.
    Message { hop: Hop, bytes: Vec<u8> },
    /// A new connection from outside.
    Accepted { hop: Hop, stream: TcpStream },
    /// A connection is gone, or was never made.
    Closed { hop: Hop },
    /// A host name was looked up.
    LookedUp { leg: crate::words::SipLegId, found: Option<SocketAddr> },
}

/// Arrivals that wait for the driver. At the limit datagrams are dropped and streams are not read.
pub(crate) const ARRIVALS_MAX: usize = 4_096;

/// Messages that wait to be written to one connection; at the limit the connection is closed.
pub(crate) const UNSENT_MAX: usize = 256;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const WRITE_MAX: Duration = Duration::from_secs(10);

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

/// Accepts connections until the driver is gone.
pub(crate) async fn accept_tcp(listener: TcpListener, place: usize, arrivals: mpsc::Sender<Arrival>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let hop = Hop { transport: Transport::Tcp, socket: place, remote };
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

/// One connection's limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    pub(crate) message_bytes_max: usize,
    pub(crate) idle_max: Duration,
}

/// Connects, then serves the connection.
pub(crate) async fn connect_tcp(
    hop: Hop,
    unsent: mpsc::Receiver<Vec<u8>>,
    arrivals: mpsc::Sender<Arrival>,
    limits: StreamLimits,
) {
    match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(hop.remote)).await {
        Ok(Ok(stream)) => serve_tcp(hop, stream, (unsent, arrivals), limits).await,
        Ok(Err(error)) => {
            tracing::debug!(remote = %hop.remote, %error, "a connection could not be made");
            report_closed(hop, &arrivals).await;
        }
        Err(_) => report_closed(hop, &arrivals).await,
    }
}

async fn report_closed(hop: Hop, arrivals: &mpsc::Sender<Arrival>) {
    if arrivals.send(Arrival::Closed { hop }).await.is_err() {
        tracing::trace!("the driver was gone first");
    }
}

/// Reads and writes one connection until either side closes it, it is idle for too long, or it talks nonsense.
pub(crate) async fn serve_tcp(
    hop: Hop,
    stream: TcpStream,
    ends: (mpsc::Receiver<Vec<u8>>, mpsc::Sender<Arrival>),
    limits: StreamLimits,
) {
    let (unsent, arrivals) = ends;
    if let Err(error) = exchange(hop, stream, unsent, (&arrivals, limits)).await {
        tracing::debug!(remote = %hop.remote, %error, "a connection ended");
    }
    report_closed(hop, &arrivals).await;
}

async fn exchange(
    hop: Hop,
    stream: TcpStream,
    mut unsent: mpsc::Receiver<Vec<u8>>,
    (arrivals, limits): (&mpsc::Sender<Arrival>, StreamLimits),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.into_split();
    let mut framer = Framer::new(limits.message_bytes_max);
    let mut buffer = vec![0; 8_192];
    loop {
        tokio::select! {
            read = tokio::time::timeout(limits.idle_max, reader.read(&mut buffer)) => {
                let length = read??;
                if length == 0 {
                    return Ok(());
                }
                framer.push(buffer.get(..length).unwrap_or_default());
                while let Some(frame) = framer.next().map_err(io::Error::other)? {
                    match frame {
                        Frame::Message(bytes) => {
                            if arrivals.send(Arrival::Message { hop, bytes }).await.is_err() {
                                return Ok(());
                            }
                        }
                        Frame::Ping => write(&mut writer, b"\r\n").await?,
                    }
                }
            }
            bytes = unsent.recv() => match bytes {
                Some(bytes) => write(&mut writer, &bytes).await?,
                None => return Ok(()),
            },
        }
    }
}

async fn write(writer: &mut tokio::net::tcp::OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    tokio::time::timeout(WRITE_MAX, writer.write_all(bytes)).await?
}
