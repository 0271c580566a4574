//! Where we are, as others are told it, and the names of those whom we connect to.

use std::net::{IpAddr, SocketAddr};

use super::{Effects, Hop, Stack};
use crate::{message::Transport, resolver::Families, words::SipLegId};

/// The addresses that we listen on, as others are told them, by transport and place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locals {
    pub(crate) udp: Vec<SocketAddr>,
    pub(crate) tcp: Vec<SocketAddr>,
    pub(crate) tls: Vec<SocketAddr>,
    pub(crate) ws: Vec<SocketAddr>,
    pub(crate) wss: Vec<SocketAddr>,
}

impl Locals {
    pub(crate) fn list(&self, transport: Transport) -> &[SocketAddr] {
        match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls,
            Transport::Ws => &self.ws,
            Transport::Wss => &self.wss,
        }
    }

    /// The families that we have a socket in.
    pub(crate) fn families(&self) -> Families {
        let all = || [&self.udp, &self.tcp, &self.tls, &self.ws, &self.wss].into_iter().flatten();
        Families { v4: all().any(SocketAddr::is_ipv4), v6: all().any(SocketAddr::is_ipv6) }
    }

    /// Whether an address is one of ours.
    pub(super) fn are(&self, ip: IpAddr) -> bool {
        let all = [&self.udp, &self.tcp, &self.tls, &self.ws, &self.wss];
        all.into_iter().flatten().any(|local| local.ip() == ip)
    }

    /// Our address towards a peer: the socket itself, else one of its transport, else any, of the peer's family and
    /// on the loopback if the peer is.
    pub(crate) fn of(&self, hop: Hop) -> SocketAddr {
        let own = self.list(hop.transport);
        let exact = own.get(hop.socket).filter(|local| same_family(local, &hop.remote));
        exact
            .or_else(|| nearest(own, &hop.remote).and_then(|place| own.get(place)))
            .or_else(|| nearest(&self.tcp, &hop.remote).and_then(|place| self.tcp.get(place)))
            .or_else(|| nearest(&self.udp, &hop.remote).and_then(|place| self.udp.get(place)))
            .or_else(|| own.first().or(self.tcp.first()).or(self.udp.first()).or(self.tls.first()))
            .copied()
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5060)))
    }
}

fn same_family(local: &SocketAddr, remote: &SocketAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4()
}

/// The place of the socket that reaches a peer: of its family, and on the loopback if it is.
fn nearest(sockets: &[SocketAddr], remote: &SocketAddr) -> Option<usize> {
    let fits = |near: bool| {
        sockets.iter().position(|local| {
            same_family(local, remote) && (!near || local.ip().is_loopback() == remote.ip().is_loopback())
        })
    };
    fits(true).or_else(|| fits(false))
}

/// From here on, the socket of a [`Hop`] is the place of a name: the connection is one that we make to that name.
const NAMED: usize = 1 << 24;
/// Names that are kept; they come from the configuration and from the API, so there are few.
const NAMES_MAX: usize = 4_096;

/// The host names that certificates have to show (RFC 5922 §7.1): one connection never serves two names.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// The socket of a connection to this name; none at the limit.
    fn socket(&mut self, name: &str) -> Option<usize> {
        let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if let Some(place) = self.0.iter().position(|known| *known == name) {
            return Some(NAMED + place);
        }
        (self.0.len() < NAMES_MAX).then(|| {
            self.0.push(name);
            NAMED + self.0.len() - 1
        })
    }
}

/// Whether we make this connection, and do not wait for it.
pub(crate) const fn is_ours(hop: Hop) -> bool {
    hop.socket >= NAMED
}

impl Stack {
    /// Whom the other end of a connection has to be: the name that was dialled, else its address.
    pub(crate) fn peer_name(&self, hop: Hop) -> String {
        hop.socket
            .checked_sub(NAMED)
            .and_then(|place| self.names.0.get(place).cloned())
            .unwrap_or_else(|| hop.remote.ip().to_canonical().to_string())
    }

    /// A way to a destination that goes by this name: by a local socket of its family, or by a connection.
    pub(super) fn hop_to(&mut self, transport: Transport, remote: SocketAddr, name: &str) -> Option<Hop> {
        let socket = match transport {
            Transport::Udp => nearest(&self.locals.udp, &remote)?,
            // A connection needs no listener.
            Transport::Tcp => 0,
            Transport::Tls | Transport::Ws | Transport::Wss => self.names.socket(name)?,
        };
        Some(Hop { transport, socket, remote })
    }

    /// What Via and Contact say of where we are. A WebSocket that we opened can only be answered on itself, and a
    /// name that cannot be looked up says so (RFC 7118 §5.2).
    fn sent_by(&self, hop: Hop) -> String {
        if hop.transport.is_web() && is_ours(hop) {
            format!("{}.invalid", self.effects.token_for("web"))
        } else {
            self.locals.of(hop).to_string()
        }
    }

    /// The Via that a new request of ours begins with.
    pub(super) fn new_via(&mut self, hop: Hop) -> String {
        let local = self.sent_by(hop);
        let token = Effects::token(&mut self.effects);
        format!("SIP/2.0/{} {local};rport;branch={}{token}", hop.transport.name(), crate::message::COOKIE)
    }

    pub(super) fn contact(&self, leg: SipLegId, hop: Hop) -> String {
        self.contact_of(&format!("leg{leg}"), hop)
    }

    /// A Contact value with this user part.
    pub(super) fn contact_of(&self, user: &str, hop: Hop) -> String {
        format!("<sip:{user}@{}{}>", self.sent_by(hop), hop.transport.uri_suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(transport: Transport, socket: usize, remote: &str) -> Hop {
        Hop { transport, socket, remote: remote.parse().unwrap() }
    }

    #[test]
    fn a_peer_is_told_an_address_of_its_own_family() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let locals = Locals {
            udp: list(&["192.0.2.1:5060", "[2001:db8::1]:5060", "127.0.0.1:5070"]),
            tcp: list(&["192.0.2.1:5060", "[2001:db8::1]:5062"]),
            tls: list(&["[2001:db8::1]:5061"]),
            ..Locals::default()
        };
        let check = |hop: Hop, expected: &str| assert_eq!(locals.of(hop), expected.parse().unwrap());
        check(hop(Transport::Udp, 1, "[2001:db8::9]:5060"), "[2001:db8::1]:5060");
        check(hop(Transport::Tcp, 0, "[2001:db8::9]:5060"), "[2001:db8::1]:5062");
        check(hop(Transport::Tls, NAMED, "[2001:db8::9]:5061"), "[2001:db8::1]:5061");
        check(hop(Transport::Tls, NAMED, "192.0.2.9:5061"), "192.0.2.1:5060");
        check(hop(Transport::Udp, 2, "127.0.0.1:9"), "127.0.0.1:5070");
    }

    #[test]
    fn one_connection_never_serves_two_names() {
        let mut names = Names::default();
        let one = names.socket("sip.example.com").unwrap();
        assert_eq!(names.socket("SIP.example.com"), Some(one));
        assert_ne!(names.socket("other.example.com"), Some(one));
        for number in 0..NAMES_MAX {
            names.socket(&format!("n{number}"));
        }
        assert_eq!(names.socket("one.too.many"), None);
    }
}
