//! Copies of SIP messages and media reports for a Homer collector (HEP version 3 over UDP), off unless configured.
//!
//! Whoever saw something hands a copy to a bounded queue and goes on; a thread of its own writes and sends. What finds
//! the queue full is dropped and counted: signalling and media never wait for a collector.

mod packet;
mod report;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use segue_call::{LegQuality, PacketCounts};

use self::packet::{Agent, Kind, Seen};
use crate::{clock::Clock, metrics};

/// Copies that may wait: at 5,000 messages a second a fifth of a second, about a megabyte.
const QUEUE_MAX: usize = 1_024;

/// The way to the collector. Cheap to clone; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Homer {
    queue: SyncSender<Copied>,
    clock: Clock,
}

/// A copy of something seen.
#[derive(Debug)]
struct Copied {
    kind: Kind,
    from: SocketAddr,
    to: SocketAddr,
    stream: bool,
    at: Duration,
    correlation: String,
    payload: Vec<u8>,
}

impl Homer {
    /// Starts the thread that sends.
    ///
    /// # Errors
    /// The system gives no socket or no thread.
    pub(crate) fn start(
        settings: &crate::config::Homer,
        clock: Clock,
    ) -> io::Result<Option<(Self, JoinHandle<()>)>> {
        let Ok(collector) = settings.collector.parse::<SocketAddr>() else { return Ok(None) };
        let unspecified: SocketAddr = if collector.is_ipv4() {
            (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(unspecified)?;
        socket.connect(collector)?;
        // A full socket buffer drops the packet instead of holding the queue up.
        socket.set_nonblocking(true)?;
        let agent = Agent { id: settings.agent_id, key: settings.key.clone() };
        let (queue, copies) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("homer".to_owned())
            .spawn(move || send(&copies, &socket, &agent))?;
        Ok(Some((Self { queue, clock }, thread)))
    }

    /// Shows every SIP message to the collector.
    pub(crate) fn observer(self) -> segue_sip::Observer {
        segue_sip::Observer(std::sync::Arc::new(move |observed| self.sip(observed)))
    }

    /// A SIP message was received or sent.
    fn sip(&self, observed: &segue_sip::Observed<'_>) {
        self.copy(Copied {
            kind: Kind::Sip,
            from: observed.from,
            to: observed.to,
            stream: observed.stream,
            at: self.clock.now(),
            correlation: call_id(observed.bytes).unwrap_or_default().to_owned(),
            payload: observed.bytes.to_vec(),
        });
    }

    /// A leg's sound was judged. `ends` are the far side's address and ours.
    pub(crate) fn report(
        &self,
        sip_call_id: &str,
        ends: (SocketAddr, SocketAddr),
        quality: &LegQuality,
        packets: Option<&PacketCounts>,
    ) {
        self.copy(Copied {
            kind: Kind::RtcpJson,
            from: ends.0,
            to: ends.1,
            stream: false,
            at: self.clock.now(),
            correlation: sip_call_id.to_owned(),
            payload: report::json(quality, packets).to_string().into_bytes(),
        });
    }

    fn copy(&self, copied: Copied) {
        match self.queue.try_send(copied) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => metrics::homer_dropped(),
        }
    }
}

fn send(copies: &Receiver<Copied>, socket: &UdpSocket, agent: &Agent) {
    while let Ok(copied) = copies.recv() {
        let seen = Seen {
            kind: copied.kind,
            from: copied.from,
            to: copied.to,
            stream: copied.stream,
            at: copied.at,
            correlation: &copied.correlation,
            payload: &copied.payload,
        };
        if let Err(error) = socket.send(&packet::encode(&seen, agent)) {
            // Nobody listens there, or the buffer is full: the next one may get through.
            metrics::homer_dropped();
            tracing::debug!(%error, "the collector did not get a packet");
        }
    }
}

/// The Call-ID of a message, as far as its bytes have one.
fn call_id(bytes: &[u8]) -> Option<&str> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut lines = lines.take_while(|line| !line.is_empty());
    let value = lines.find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = line.get(..colon)?.trim_ascii();
        let named = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
        named.then(|| line.get(colon + 1..))?
    })?;
    std::str::from_utf8(value.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn collector() -> (UdpSocket, crate::config::Homer) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let collector = socket.local_addr().unwrap().to_string();
        (socket, crate::config::Homer { collector, agent_id: 7, key: String::new() })
    }

    #[test]
    fn a_message_reaches_the_collector_with_its_call_id() {
        let (socket, settings) = collector();
        let (homer, thread) = Homer::start(&settings, Clock::start()).unwrap().unwrap();
        let bytes = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\nCALL-ID : 77@there \r\n\r\nbody";
        homer.sip(&segue_sip::Observed {
            from: "192.0.2.1:5060".parse().unwrap(),
            to: "192.0.2.2:5060".parse().unwrap(),
            stream: false,
            bytes,
        });
        let mut packet = [0; 2_048];
        let length = socket.recv(&mut packet).unwrap();
        let chunks = packet::tests::decode(&packet[..length]);
        assert_eq!((&chunks[&15][..], &chunks[&17][..]), (&bytes[..], &b"77@there"[..]));
        drop(homer);
        thread.join().unwrap();
    }

    #[test]
    fn without_a_collector_there_is_no_thread() {
        let settings = crate::config::Homer::default();
        assert!(Homer::start(&settings, Clock::start()).unwrap().is_none());
    }

    #[test]
    fn a_call_id_is_found_by_its_short_name_and_not_in_the_body() {
        assert_eq!(call_id(b"INVITE a SIP/2.0\r\ni: 5\r\n\r\n"), Some("5"));
        assert_eq!(call_id(b"INVITE a SIP/2.0\r\nTo: b\r\n\r\nCall-ID: 5\r\n"), None);
        assert_eq!(call_id(b"\xff\xfe"), None);
    }
}
