//! A dialog: the identity and the route that both sides keep (RFC 3261 §12).

use std::net::{IpAddr, SocketAddr};

use super::effects::Hop;
use crate::message::{Message, Method, NameAddress, Transport, Uri};

/// Call-ID, local tag, remote tag.
pub(crate) type DialogKey = (String, String, String);

/// One side's view of a dialog.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
    /// Our From value in requests, with tag.
    local: String,
    /// Our To value in requests, with tag.
    remote: String,
    /// The URI that requests go to.
    target: String,
    /// Route values, first hop first.
    routes: Vec<String>,
    pub(crate) local_number: u32,
    remote_number: Option<u32>,
    /// Where the last message that made or refreshed the dialog came from.
    flow: Hop,
}

impl Dialog {
    /// The dialog that an INVITE makes once it is answered; `tag` is ours.
    pub(crate) fn of_request(request: &Message, tag: String, flow: Hop) -> Option<Self> {
        let mut to = request.to()?;
        to.params.retain(|(name, _)| !name.eq_ignore_ascii_case("tag"));
        to.params.push(("tag".to_owned(), Some(tag.clone())));
        let from = request.sender()?;
        Some(Self {
            call_id: request.call_id().to_owned(),
            local_tag: tag,
            remote_tag: from.tag().unwrap_or_default(),
            local: to.print(),
            remote: from.print(),
            target: request.contact().map_or_else(|| from.uri.clone(), |contact| contact.uri),
            routes: request.list("Record-Route").map(str::to_owned).collect(),
            local_number: 0,
            remote_number: request.cseq().map(|(number, _)| number),
            flow,
        })
    }

    /// The dialog that a 2xx to our INVITE makes.
    pub(crate) fn of_response(request: &Message, response: &Message, flow: Hop) -> Option<Self> {
        let to = response.to()?;
        let from = request.sender()?;
        let mut routes: Vec<String> = response.list("Record-Route").map(str::to_owned).collect();
        routes.reverse();
        Some(Self {
            call_id: request.call_id().to_owned(),
            local_tag: from.tag().unwrap_or_default(),
            remote_tag: to.tag().unwrap_or_default(),
            local: from.print(),
            remote: to.print(),
            target: response.contact().map_or_else(|| request.uri().to_owned(), |contact| contact.uri),
            routes,
            local_number: request.cseq().map_or(1, |(number, _)| number),
            remote_number: None,
            flow,
        })
    }

    pub(crate) fn key(&self) -> DialogKey {
        (self.call_id.clone(), self.local_tag.clone(), self.remote_tag.clone())
    }

    /// Which dialog a request inside of one is meant for.
    pub(crate) fn key_of(request: &Message) -> Option<DialogKey> {
        Some((request.call_id().to_owned(), request.to_tag()?, request.sender_tag()))
    }

    /// Takes a request's number; false if it is older than one that was taken (RFC 3261 §12.2.2).
    pub(crate) fn take_number(&mut self, number: u32) -> bool {
        let fresh = self.remote_number.is_none_or(|last| number > last);
        if fresh {
            self.remote_number = Some(number);
        }
        fresh
    }

    /// Goes on where the same dialog was before its answer.
    pub(crate) fn take_over(&mut self, early: &Self) {
        self.local_number = self.local_number.max(early.local_number);
        self.remote_number = early.remote_number;
    }

    /// Our address, as in From of our requests, without the tag.
    pub(crate) fn local_address(&self) -> String {
        NameAddress::read(&self.local).map(|local| format!("<{}>", local.uri)).unwrap_or_default()
    }

    /// The user part of our address.
    pub(crate) fn local_user(&self) -> String {
        NameAddress::read(&self.local)
            .and_then(|local| local.parsed())
            .and_then(|uri| uri.user)
            .unwrap_or_default()
    }

    /// A target refresh: re-INVITE, UPDATE or their 2xx.
    pub(crate) fn refresh(&mut self, message: &Message, flow: Hop) {
        if let Some(contact) = message.contact() {
            self.target = contact.uri;
        }
        self.flow = flow;
    }

    /// The connection to them is gone: from here on we connect to where they said they are.
    pub(crate) fn lose(&mut self, flow: Hop) {
        if self.flow == flow
            && let Some(address) = self.next_uri().and_then(|uri| uri.socket_address())
        {
            self.flow.remote = address;
        }
    }

    /// A new request in the dialog, all but Via and Contact. An ACK takes the number of its INVITE.
    pub(crate) fn request(&mut self, method: Method, number: Option<u32>) -> Message {
        let number = number.unwrap_or_else(|| {
            self.local_number += 1;
            self.local_number
        });
        let loose = self.routes.first().is_none_or(|route| {
            NameAddress::read(route)
                .and_then(|route| route.parsed())
                .is_none_or(|uri| uri.param("lr").is_some())
        });
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        if !loose && let Some(first) = NameAddress::read(&routes.remove(0)) {
            routes.push(format!("<{uri}>"));
            uri = first.uri;
        }
        let cseq = format!("{number} {}", method.name());
        let mut request = Message::request(method, uri);
        request.push("Max-Forwards", "70");
        request.push("From", self.local.clone());
        request.push("To", self.remote.clone());
        request.push("Call-ID", self.call_id.clone());
        request.push("CSeq", cseq);
        for route in routes {
            request.push("Route", route);
        }
        request
    }

    fn next_uri(&self) -> Option<Uri> {
        match self.routes.first() {
            Some(route) => NameAddress::read(route)?.parsed(),
            None => Uri::read(&self.target),
        }
    }

    /// Where the next request goes: to the first route or the target if that is an address that can be reached
    /// from here, else back to where they sent from. A connection is kept.
    pub(crate) fn hop(&self) -> Hop {
        let Some(uri) = self.next_uri() else { return self.flow };
        let Some(address) = uri.socket_address() else { return self.flow };
        match (self.flow.transport, uri.transport()) {
            (Transport::Udp, Some(transport @ (Transport::Tcp | Transport::Tls))) => {
                Hop { transport, socket: 0, remote: address }
            }
            (Transport::Udp, _) if can_reach(address, self.flow.remote) => {
                Hop { remote: address, ..self.flow }
            }
            (Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, _) => {
                self.flow
            }
        }
    }

    pub(crate) const fn flow(&self) -> Hop {
        self.flow
    }
}

/// A private address told by somebody who sends from a public one lies behind their NAT.
fn can_reach(told: SocketAddr, seen: SocketAddr) -> bool {
    let told = told.ip().to_canonical();
    let seen = seen.ip().to_canonical();
    !told.is_unspecified()
        && told.is_ipv4() == seen.is_ipv4()
        && (told == seen || !is_private(told) || is_private(seen))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || (v4.octets().starts_with(&[100]) && (64..128).contains(&v4.octets()[1]))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_private_contact_behind_nat_is_not_used() {
        assert!(!can_reach(address("192.168.1.5:5060"), address("203.0.113.9:40000")));
        assert!(!can_reach(address("0.0.0.0:5060"), address("203.0.113.9:40000")));
        assert!(!can_reach(address("100.64.0.1:5060"), address("203.0.113.9:40000")));
        assert!(can_reach(address("203.0.113.10:5060"), address("203.0.113.9:5060")));
        assert!(can_reach(address("10.0.0.7:5060"), address("10.0.0.1:5060")));
    }
}
