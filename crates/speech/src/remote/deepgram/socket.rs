//! One WebSocket to the service, with or without TLS, whose reads and writes return soon: what cannot be done now
//! is done at the next call.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use tungstenite::{
    Error, HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    http::{HeaderValue, Uri, header},
    protocol::WebSocketConfig,
};

use super::super::{failure::Failure, trust::Authorities};
use crate::pool::Stop;

/// Where the service is and how it is greeted.
#[derive(Clone)]
pub(super) struct Place {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    key: Option<HeaderValue>,
}

impl Place {
    /// # Errors
    /// When the address or the key cannot be used; the text says why.
    pub(super) fn new(address: &str, key: Option<&str>, authorities: &Authorities) -> Result<Place, String> {
        let uri: Uri = format!("{}/v1/listen", address.trim_end_matches('/'))
            .parse()
            .map_err(|error| format!("{address} is no address: {error}"))?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(format!("{address} begins neither with ws:// nor with wss://")),
        };
        let host = uri.host().ok_or_else(|| format!("{address} names no host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let key = key.map(|key| HeaderValue::from_str(&format!("Token {key}"))).transpose();
        let mut key = key.map_err(|_| "the key holds characters that no header may".to_owned())?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        let tls = if secure { Some(authorities.client()?) } else { None };
        Ok(Place { uri, host, port, tls, key })
    }
}

/// An open connection.
pub(super) struct Socket {
    socket: WebSocket<Pipe>,
    /// Something lies in a buffer that the service did not take yet.
    pub(super) behind: bool,
}

enum Pipe {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Waits until the service has greeted back, its deadline, or the end of whoever waits.
    ///
    /// # Errors
    /// Why there is no connection, for the log.
    pub(super) fn dial(place: &Place, query: &str, stop: &Stop) -> Result<Socket, Failure> {
        let mut request =
            format!("{}?{query}", place.uri).into_client_request().map_err(|error| error.to_string())?;
        if let Some(key) = &place.key {
            request.headers_mut().insert(header::AUTHORIZATION, key.clone());
        }
        let stream = place.connect(stop).map_err(|error| format!("no connection: {error}"))?;
        let pipe = place.secure(stream)?;
        let limits = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX));
        let mut tried = tungstenite::client::client_with_config(request, pipe, Some(limits));
        loop {
            match tried {
                Ok((socket, _)) => return Ok(Socket { socket, behind: false }),
                Err(HandshakeError::Failure(error)) => return Err(refusal(error)),
                Err(HandshakeError::Interrupted(_)) if stop.asked() => {
                    return Err("the service did not answer in time".into());
                }
                Err(HandshakeError::Interrupted(half)) => tried = half.handshake(),
            }
        }
    }

    /// What the service says next; `None` if nothing came within a moment.
    ///
    /// # Errors
    /// When the connection is over.
    pub(super) fn read(&mut self) -> Result<Option<Message>, String> {
        match self.socket.read() {
            Ok(message) => Ok(Some(message)),
            Err(error) if waits(&error) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends a message, or as much of it as the service takes now: then `behind` is set.
    ///
    /// # Errors
    /// When the connection is over.
    pub(super) fn send(&mut self, message: Message) -> Result<(), String> {
        self.settle(|socket| socket.send(message))
    }

    /// Goes on with what `send` left.
    ///
    /// # Errors
    /// When the connection is over.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        self.settle(WebSocket::flush)
    }

    fn settle(
        &mut self,
        write: impl FnOnce(&mut WebSocket<Pipe>) -> Result<(), Error>,
    ) -> Result<(), String> {
        let written = write(&mut self.socket);
        self.behind = written.as_ref().is_err_and(waits);
        if self.behind { Ok(()) } else { written.map_err(|error| error.to_string()) }
    }
}

impl Place {
    fn connect(&self, stop: &Stop) -> io::Result<TcpStream> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            if stop.asked() {
                break;
            }
            let rest = stop.rest().clamp(MOMENT, CONNECT_MAX);
            match TcpStream::connect_timeout(&address, rest) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(MOMENT))?;
                    stream.set_write_timeout(Some(MOMENT))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn secure(&self, stream: TcpStream) -> Result<Pipe, String> {
        let Some(config) = &self.tls else { return Ok(Pipe::Plain(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        let connection =
            ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
        Ok(Pipe::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

impl Read for Pipe {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

fn waits(error: &Error) -> bool {
    matches!(error, Error::Io(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn refusal(error: Error) -> Failure {
    let Error::Http(response) = &error else { return error.to_string().into() };
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
    Failure::refused(response.status(), response.headers(), &body)
}

/// How long one read or write may wait: two frames go out together when nothing comes in.
const MOMENT: Duration = Duration::from_millis(40);
/// How long one address may take to answer a connection.
const CONNECT_MAX: Duration = Duration::from_secs(2);
const BUFFER: usize = 4_096;
/// A result has a few kilobytes.
const MESSAGE_MAX: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_websocket_s_and_has_the_port_of_its_scheme() {
        let place = |address| Place::new(address, None, &Authorities::default());
        let told =
            |address| place(address).map(|place| (place.host, place.port, place.uri.path().to_owned()));
        assert_eq!(told("wss://api.example.com/"), Ok(("api.example.com".into(), 443, "/v1/listen".into())));
        assert_eq!(told("ws://[::1]:8080/hear"), Ok(("::1".into(), 8_080, "/hear/v1/listen".into())));
        assert!(told("http://api.example.com").is_err_and(|reason| reason.contains("wss://")));
        assert!(told("ws://").is_err() && told("").is_err());
        assert!(Place::new("ws://a", Some("two\nlines"), &Authorities::default()).is_err());
    }
}
