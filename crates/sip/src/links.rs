//! The driver's connections: one sender each, counted in all and by source, so that nobody takes everybody's share.

use std::{collections::BTreeMap, net::IpAddr};

use tokio::sync::mpsc;

use crate::{
    stack::{Hop, is_ours},
    transport::UNSENT_MAX,
};

/// Open connections, and those that are being set up.
#[derive(Debug)]
pub(crate) struct Connections {
    open: BTreeMap<Hop, Connection>,
    by_source: BTreeMap<IpAddr, usize>,
    all_max: usize,
    per_source_max: usize,
    last: u64,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    unsent: mpsc::Sender<Vec<u8>>,
}

/// Why a message cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// There is no such connection.
    Missing,
    /// The peer does not take what we send; the connection is closed.
    Stuck,
}

impl Connections {
    pub(crate) const fn new(all_max: usize, per_source_max: usize) -> Self {
        Self { open: BTreeMap::new(), by_source: BTreeMap::new(), all_max, per_source_max, last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes up a connection: its number, and what is to be written to it. `None` at a limit.
    pub(crate) fn open(&mut self, hop: Hop) -> Option<(u64, mpsc::Receiver<Vec<u8>>)> {
        let source = hop.remote.ip().to_canonical();
        let of_source = self.by_source.get(&source).copied().unwrap_or_default();
        let crowded = !is_ours(hop) && of_source >= self.per_source_max;
        if self.open.len() >= self.all_max || crowded {
            return None;
        }
        let (unsent, queue) = mpsc::channel(UNSENT_MAX);
        self.last += 1;
        if self.open.insert(hop, Connection { number: self.last, unsent }).is_none() {
            self.by_source.insert(source, of_source + 1);
        }
        Some((self.last, queue))
    }

    /// Forgets a connection, if it is still the one of this number.
    pub(crate) fn closed(&mut self, hop: Hop, number: u64) -> bool {
        let known = self.open.get(&hop).is_some_and(|connection| connection.number == number);
        if known {
            self.forget(hop);
        }
        known
    }

    /// Queues bytes for a connection.
    pub(crate) fn write(&mut self, hop: Hop, bytes: Vec<u8>) -> Result<(), Unwritten> {
        let connection = self.open.get(&hop).ok_or(Unwritten::Missing)?;
        if connection.unsent.try_send(bytes).is_ok() {
            return Ok(());
        }
        self.forget(hop);
        Err(Unwritten::Stuck)
    }

    fn forget(&mut self, hop: Hop) {
        self.open.remove(&hop);
        let source = hop.remote.ip().to_canonical();
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Transport;

    fn hop(remote: &str) -> Hop {
        Hop { transport: Transport::Tcp, socket: 0, remote: remote.parse().unwrap() }
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let mut connections = Connections::new(3, 2);
        let (first, _queue) = connections.open(hop("192.0.2.1:1")).unwrap();
        let _second = connections.open(hop("192.0.2.1:2")).unwrap();
        assert!(connections.open(hop("192.0.2.1:3")).is_none(), "a third one of this source");
        let _other = connections.open(hop("192.0.2.2:1")).unwrap();
        assert!(connections.open(hop("192.0.2.3:1")).is_none(), "a fourth one in all");
        assert!(connections.closed(hop("192.0.2.1:1"), first));
        assert!(connections.open(hop("192.0.2.1:3")).is_some());
        assert_eq!(connections.len(), 3);
    }

    #[test]
    fn the_end_of_an_earlier_connection_does_not_end_a_later_one() {
        let mut connections = Connections::new(3, 2);
        let (first, queue) = connections.open(hop("192.0.2.1:1")).unwrap();
        drop(queue);
        assert_eq!(connections.write(hop("192.0.2.1:1"), Vec::new()), Err(Unwritten::Stuck));
        let (_, _queue) = connections.open(hop("192.0.2.1:1")).unwrap();
        assert!(!connections.closed(hop("192.0.2.1:1"), first));
        assert_eq!(connections.write(hop("192.0.2.1:1"), Vec::new()), Ok(()));
    }

    #[test]
    fn a_connection_that_takes_nothing_is_closed_at_the_limit() {
        let mut connections = Connections::new(3, 2);
        let (_, _queue) = connections.open(hop("192.0.2.1:1")).unwrap();
        for _ in 0..UNSENT_MAX {
            assert_eq!(connections.write(hop("192.0.2.1:1"), Vec::new()), Ok(()));
        }
        assert_eq!(connections.write(hop("192.0.2.1:1"), Vec::new()), Err(Unwritten::Stuck));
        assert_eq!(connections.write(hop("192.0.2.1:1"), Vec::new()), Err(Unwritten::Missing));
        assert_eq!((connections.len(), connections.by_source.len()), (0, 0));
    }
}
