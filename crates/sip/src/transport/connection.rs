//! One connection: set up, then read and written at the same time until either side closes it, it is idle for too
//! long, or it talks nonsense.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;

use super::{Arrival, Connector, web};
use crate::{
    message::{Frame, Framer},
    stack::{Hop, is_ours},
};

/// One connection's limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    pub(crate) message_bytes_max: usize,
    pub(crate) idle_max: Duration,
    /// How long TCP, TLS and WebSocket may take together before anything is said.
    pub(crate) setup_max: Duration,
    /// How long a message may take from its first byte to its last, and the first one to come.
    pub(crate) message_max: Duration,
}

/// How long the peer may take to take what we write.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How often we show on a connection of ours that we are still there (RFC 5626 §4.4.1).
const KEEPALIVE: Duration = Duration::from_secs(100);
/// How long a stream that cannot be read on stays open for the answer to what could be read.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A double line end asks; a single one answers.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// A connection's two ends at the driver.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) hop: Hop,
    pub(crate) number: u64,
    /// What is to be written. Its end closes the connection.
    pub(crate) unsent: mpsc::Receiver<Vec<u8>>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) limits: StreamLimits,
}

/// What a new connection of ours needs beside an address.
pub(crate) struct Secure {
    /// Whom the certificate has to name, and what the WebSocket's Host header says.
    pub(crate) name: String,
    pub(crate) connector: Option<Connector>,
}

/// Serves a connection from outside.
pub(crate) async fn accept(mut link: Link, stream: TcpStream, tls: Option<TlsAcceptor>) {
    let served = async {
        stream.set_nodelay(true)?;
        match tls {
            None => serve_accepted(&mut link, stream, Instant::now()).await,
            Some(acceptor) => {
                let begun = Instant::now();
                let stream = tokio::time::timeout(link.limits.setup_max, acceptor.accept(stream)).await??;
                serve_accepted(&mut link, stream, begun).await
            }
        }
    };
    let outcome = served.await;
    link.over(outcome).await;
}

async fn serve_accepted<S>(link: &mut Link, stream: S, begun: Instant) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    if link.hop.transport.is_web() {
        let limit = begun + link.limits.setup_max;
        let setup = web::accept(stream, link.limits.message_bytes_max);
        let socket = tokio::time::timeout_at(limit, setup).await??;
        web::exchange(link, socket).await
    } else {
        exchange(link, stream).await
    }
}

/// Connects, then serves the connection.
pub(crate) async fn connect(mut link: Link, secure: Secure) {
    let outcome = connect_and_serve(&mut link, secure).await;
    link.over(outcome).await;
}

async fn connect_and_serve(link: &mut Link, secure: Secure) -> io::Result<()> {
    let limit = Instant::now() + link.limits.setup_max;
    let stream = tokio::time::timeout_at(limit, TcpStream::connect(link.hop.remote)).await??;
    stream.set_nodelay(true)?;
    if !link.hop.transport.is_secure() {
        return serve_connected(link, stream, &secure.name, limit).await;
    }
    let connector = secure.connector.ok_or_else(|| {
        io::Error::other("no certificate authorities to trust: set sip.tls.ca to a file with them")
    })?;
    let stream = tokio::time::timeout_at(limit, connector.connect(&secure.name, stream)).await?;
    let stream = stream.inspect_err(|error| {
        tracing::warn!(name = secure.name, remote = %link.hop.remote, %error, "TLS with a peer failed");
    })?;
    serve_connected(link, stream, &secure.name, limit).await
}

async fn serve_connected<S>(link: &mut Link, stream: S, name: &str, limit: Instant) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    if link.hop.transport.is_web() {
        let setup = web::connect(stream, link.hop, name, link.limits.message_bytes_max);
        let socket = tokio::time::timeout_at(limit, setup).await??;
        web::exchange(link, socket).await
    } else {
        exchange(link, stream).await
    }
}

impl Link {
    async fn over(self, outcome: io::Result<()>) {
        let Self { hop, number, arrivals, .. } = self;
        if let Err(error) = outcome {
            tracing::debug!(remote = %hop.remote, transport = hop.transport.name(), %error, "a connection ended");
        }
        if arrivals.send(Arrival::Closed { hop, number }).await.is_err() {
            tracing::trace!("the driver was gone first");
        }
    }
}

/// Reads and writes a plain or secured stream.
async fn exchange<S>(link: &mut Link, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    let (pongs, pongs_due) = mpsc::channel(1);
    let reading = read(reader, (link.hop, link.limits), &link.arrivals, pongs);
    let writing = write(writer, &mut link.unsent, pongs_due, is_ours(link.hop));
    tokio::select! {
        over = reading => over,
        over = writing => over,
    }
}

async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    (hop, limits): (Hop, StreamLimits),
    arrivals: &mpsc::Sender<Arrival>,
    pongs: mpsc::Sender<()>,
) -> io::Result<()> {
    let mut framer = Framer::new(limits.message_bytes_max);
    let mut buffer = vec![0; 8_192];
    // A stranger has to say something soon; a connection of ours may stay silent.
    let mut whole_by = (!is_ours(hop)).then(|| Instant::now() + limits.message_max);
    loop {
        let until = whole_by.unwrap_or_else(|| Instant::now() + limits.idle_max);
        let length = tokio::time::timeout_at(until, reader.read(&mut buffer)).await??;
        if length == 0 {
            return Ok(());
        }
        framer.push(buffer.get(..length).unwrap_or_default());
        while let Some(frame) = framer.next() {
            whole_by = None;
            match frame {
                Frame::Message(bytes) => {
                    if arrivals.send(Arrival::Message { hop, bytes }).await.is_err() {
                        return Ok(());
                    }
                }
                Frame::Last(bytes) => {
                    if arrivals.send(Arrival::Message { hop, bytes }).await.is_ok() {
                        tokio::time::sleep(LAST_WORDS).await;
                    }
                    return Err(io::Error::other("the stream cannot be cut into messages any more"));
                }
                Frame::Ping => {
                    if pongs.try_send(()).is_err() {
                        tracing::trace!("a keep-alive is answered by the answer that waits");
                    }
                }
            }
        }
        if framer.is_within_message() {
            whole_by.get_or_insert_with(|| Instant::now() + limits.message_max);
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut writer: W,
    unsent: &mut mpsc::Receiver<Vec<u8>>,
    mut pongs_due: mpsc::Receiver<()>,
    keep_alive: bool,
) -> io::Result<()> {
    loop {
        tokio::select! {
            bytes = unsent.recv() => match bytes {
                Some(bytes) => put(&mut writer, &bytes).await?,
                None => break,
            },
            Some(()) = pongs_due.recv() => put(&mut writer, PONG).await?,
            () = tokio::time::sleep(KEEPALIVE), if keep_alive => put(&mut writer, PING).await?,
        }
    }
    tokio::time::timeout(WRITE_MAX, writer.shutdown()).await?
}

/// Bytes that lie in the TLS layer have not been sent, so each message is flushed.
async fn put<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    tokio::time::timeout(WRITE_MAX, async {
        writer.write_all(bytes).await?;
        writer.flush().await
    })
    .await?
}
