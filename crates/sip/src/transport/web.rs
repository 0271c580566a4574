//! SIP over WebSocket (RFC 7118): the subprotocol `sip`, one message a frame, text or binary.

use std::{io, time::Duration};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode, header},
        protocol::WebSocketConfig,
    },
};

use super::{Arrival, Link};
use crate::stack::Hop;

const SUBPROTOCOL: &str = "sip";
/// How often the peer is asked whether it is still there; a browser that was closed hard says nothing.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Three questions without an answer: the peer is gone.
const SILENCE_MAX: Duration = Duration::from_secs(95);
const WRITE_MAX: Duration = Duration::from_secs(10);

fn config(bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(bytes_max)).max_frame_size(Some(bytes_max))
}

/// Answers the upgrade of a client that speaks SIP, and refuses all others with 400.
pub(super) async fn accept<S>(stream: S, bytes_max: usize) -> io::Result<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio_tungstenite::accept_hdr_async_with_config(stream, judge, Some(config(bytes_max)))
        .await
        .map_err(io::Error::other)
}

#[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
fn judge(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let speaks_sip = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL));
    if speaks_sip {
        let chosen = HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
        return Ok(response);
    }
    let mut refusal =
        ErrorResponse::new(Some("only the WebSocket subprotocol sip is spoken here\n".to_owned()));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

/// Opens a WebSocket to somebody who speaks SIP.
pub(super) async fn connect<S>(
    stream: S,
    hop: Hop,
    name: &str,
    bytes_max: usize,
) -> io::Result<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let scheme = if hop.transport.is_secure() { "wss" } else { "ws" };
    let host = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let mut request = format!("{scheme}://{host}:{}/", hop.remote.port())
        .into_client_request()
        .map_err(io::Error::other)?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config(bytes_max))).await;
    opened.map(|(socket, _)| socket).map_err(io::Error::other)
}

/// Reads and writes frames.
pub(super) async fn exchange<S>(link: &mut Link, socket: WebSocketStream<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (sink, source) = socket.split();
    let (pongs, pongs_due) = mpsc::channel(1);
    let reading = read(source, link.hop, &link.arrivals, pongs);
    let writing = write(sink, &mut link.unsent, pongs_due);
    tokio::select! {
        over = reading => over,
        over = writing => over,
    }
}

type Received = Result<Message, tungstenite::Error>;

async fn read(
    mut source: impl Stream<Item = Received> + Unpin,
    hop: Hop,
    arrivals: &mpsc::Sender<Arrival>,
    pongs: mpsc::Sender<()>,
) -> io::Result<()> {
    while let Some(received) = tokio::time::timeout(SILENCE_MAX, source.next()).await? {
        let bytes = match received.map_err(io::Error::other)? {
            Message::Text(text) => text.as_bytes().to_vec(),
            Message::Binary(bytes) => bytes.to_vec(),
            Message::Close(_) => return Ok(()),
            // The library answers pings by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            // A keep-alive of RFC 5626; one answer that waits is enough.
            if bytes.len() >= 4 && pongs.try_send(()).is_err() {
                tracing::trace!("a keep-alive is answered by the answer that waits");
            }
        } else if arrivals.send(Arrival::Message { hop, bytes }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn write(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    unsent: &mut mpsc::Receiver<Vec<u8>>,
    mut pongs_due: mpsc::Receiver<()>,
) -> io::Result<()> {
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        let message = tokio::select! {
            bytes = unsent.recv() => match bytes {
                Some(bytes) => frame(bytes),
                None => break,
            },
            Some(()) = pongs_due.recv() => Message::text("\r\n"),
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        tokio::time::timeout(WRITE_MAX, sink.send(message)).await?.map_err(io::Error::other)?;
    }
    tokio::time::timeout(WRITE_MAX, sink.close()).await?.map_err(io::Error::other)
}

/// Text where it is text: some clients take nothing else.
fn frame(bytes: Vec<u8>) -> Message {
    match String::from_utf8(bytes) {
        Ok(text) => Message::text(text),
        Err(error) => Message::binary(error.into_bytes()),
    }
}
