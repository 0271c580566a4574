//! Who is registered where (RFC 3261 §10.3). A contact is reached by the way its REGISTER came, so NAT does not matter.

use std::{collections::BTreeMap, time::Duration};

use super::{Alarm, Contact, Effects, Hop, Output, Stack, outbound::request_uri};
use crate::{
    config::{SipLimits, SipTimers},
    message::{Message, NameAddress, Uri, reason_of},
    words::UnregisteredWhy,
};

#[derive(Clone, Debug)]
struct Binding {
    contact: NameAddress,
    hop: Hop,
    call_id: String,
    number: u32,
    expires_at: Duration,
}

/// All bindings, by user.
#[derive(Debug)]
pub(crate) struct Registrar {
    users: BTreeMap<String, Vec<Binding>>,
    contacts_max: usize,
    users_max: usize,
    expires_min: Duration,
    expires_max: Duration,
}

/// What a REGISTER asks for.
enum Wish {
    Query,
    RemoveAll,
    Change(Vec<(NameAddress, Duration)>),
}

/// Why a REGISTER changes nothing.
enum Fault {
    Malformed,
    TooBrief,
    OutOfOrder,
    /// As many users are registered as may be.
    Full,
}

impl Registrar {
    pub(crate) const fn new(limits: &SipLimits, timers: &SipTimers) -> Self {
        Self {
            users: BTreeMap::new(),
            contacts_max: limits.contacts_per_user_max,
            users_max: limits.registrations_max,
            expires_min: timers.register_expires_min,
            expires_max: timers.register_expires_max,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.users.values().map(Vec::len).sum()
    }

    /// Where a user's phones are, the latest first.
    pub(crate) fn contacts(&self, user: &str, now: Duration) -> Vec<Contact> {
        let bindings = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
        bindings
            .iter()
            .rev()
            .filter(|binding| binding.expires_at > now)
            .map(|binding| Contact { uri: request_uri(&binding.contact), hop: binding.hop })
            .collect()
    }

    /// Whether one of a user's phones is reached by this address.
    pub(crate) fn is_at(&self, user: &str, address: std::net::IpAddr) -> bool {
        let bindings = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
        bindings.iter().any(|binding| binding.hop.remote.ip().to_canonical() == address)
    }

    fn read(&self, request: &Message) -> Result<Wish, Fault> {
        let values: Vec<&str> = request.list("Contact").collect();
        let whole = request.first("Expires").map(|value| value.trim().parse::<u64>());
        if values.is_empty() {
            return Ok(Wish::Query);
        }
        if values.contains(&"*") {
            return if values.len() == 1 && whole == Some(Ok(0)) {
                Ok(Wish::RemoveAll)
            } else {
                Err(Fault::Malformed)
            };
        }
        let mut changes = Vec::with_capacity(values.len());
        for value in values {
            let contact = NameAddress::read(value).ok_or(Fault::Malformed)?;
            let uri = contact.parsed().ok_or(Fault::Malformed)?;
            if !uri.is_sip() || uri.host.is_empty() {
                return Err(Fault::Malformed);
            }
            // A value that is no number counts as absent (RFC 3261 §20.10).
            let own = contact.param("expires").and_then(|value| value.parse::<u64>().ok());
            let wanted = own
                .or_else(|| whole.clone().and_then(Result::ok))
                .map_or(self.expires_max, Duration::from_secs);
            if !wanted.is_zero() && wanted < self.expires_min {
                return Err(Fault::TooBrief);
            }
            changes.push((contact, wanted.min(self.expires_max)));
        }
        Ok(Wish::Change(changes))
    }

    /// Applies a REGISTER of a proven user; all of it or nothing.
    fn apply(&mut self, effects: &mut Effects, user: &str, request: &Message, hop: Hop) -> Result<(), Fault> {
        let wish = self.read(request)?;
        let call_id = request.call_id();
        let number = request.cseq().map_or(0, |(number, _)| number);
        let now = effects.now;
        let mut bindings = self.users.get(user).cloned().unwrap_or_default();
        let had = !bindings.is_empty();
        if bindings.iter().any(|known| known.call_id == call_id && known.number >= number) {
            return Err(Fault::OutOfOrder);
        }
        if !had && self.users.len() >= self.users_max && matches!(wish, Wish::Change(_)) {
            return Err(Fault::Full);
        }
        match wish {
            Wish::Query => {}
            Wish::RemoveAll => bindings.clear(),
            Wish::Change(changes) => {
                for (contact, expires) in changes {
                    bindings.retain(|known| !same_contact(&known.contact, &contact));
                    if !expires.is_zero() {
                        let binding = Binding {
                            contact,
                            hop,
                            call_id: call_id.to_owned(),
                            number,
                            expires_at: now + expires,
                        };
                        bindings.push(binding);
                    }
                }
                while bindings.len() > self.contacts_max {
                    let first = bindings
                        .iter()
                        .enumerate()
                        .min_by_key(|(_, binding)| binding.expires_at)
                        .map(|(at, _)| at);
                    if let Some(first) = first {
                        bindings.remove(first);
                    }
                }
            }
        }
        let newest = bindings.last().map(|binding| binding.contact.uri.clone());
        match newest {
            Some(contact) if !had => {
                effects.outputs.push_back(Output::Registered { user: user.to_owned(), contact })
            }
            None if had => {
                let why = UnregisteredWhy::Asked;
                effects.outputs.push_back(Output::Unregistered { user: user.to_owned(), why });
            }
            Some(_) | None => {}
        }
        self.keep(effects, user.to_owned(), bindings);
        Ok(())
    }

    fn keep(&mut self, effects: &mut Effects, user: String, bindings: Vec<Binding>) {
        if bindings.is_empty() {
            self.users.remove(&user);
        } else {
            self.users.insert(user, bindings);
        }
        let next = self.users.values().flatten().map(|binding| binding.expires_at).min();
        match next {
            Some(at) => effects.set(Alarm::Registration, at.saturating_sub(effects.now)),
            None => effects.clear(Alarm::Registration),
        }
    }

    /// Drops what has expired.
    pub(crate) fn expire(&mut self, effects: &mut Effects) {
        let now = effects.now;
        self.drop_where(effects, UnregisteredWhy::Expired, |binding| binding.expires_at <= now);
    }

    /// Drops what was reached by a connection that is gone (RFC 5626 §5.3).
    pub(crate) fn flow_lost(&mut self, effects: &mut Effects, hop: Hop) {
        self.drop_where(effects, UnregisteredWhy::ConnectionLost, |binding| binding.hop == hop);
    }

    fn drop_where(&mut self, effects: &mut Effects, why: UnregisteredWhy, gone: impl Fn(&Binding) -> bool) {
        let touched: Vec<String> = self
            .users
            .iter()
            .filter(|(_, bindings)| bindings.iter().any(&gone))
            .map(|(user, _)| user.clone())
            .collect();
        for user in touched {
            let mut bindings = self.users.remove(&user).unwrap_or_default();
            bindings.retain(|binding| !gone(binding));
            if bindings.is_empty() {
                effects.outputs.push_back(Output::Unregistered { user: user.clone(), why });
            }
            self.keep(effects, user, bindings);
        }
        if let Some(at) = self.users.values().flatten().map(|binding| binding.expires_at).min() {
            effects.set(Alarm::Registration, at.saturating_sub(effects.now));
        }
    }

    fn list(&self, user: &str, now: Duration) -> Vec<String> {
        let bindings = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
        bindings
            .iter()
            .map(|binding| {
                let left = binding.expires_at.saturating_sub(now).as_secs_f64().ceil();
                format!("<{}>;expires={left}", binding.contact.uri)
            })
            .collect()
    }
}

/// Two contacts are the same if user, host, port and transport are (RFC 3261 §19.1.4, as far as phones differ).
fn same_contact(a: &NameAddress, b: &NameAddress) -> bool {
    let parts = |contact: &NameAddress| {
        contact.parsed().map(|uri: Uri| {
            (uri.user.clone(), uri.host.to_ascii_lowercase(), uri.port.unwrap_or(5060), uri.transport())
        })
    };
    parts(a) == parts(b)
}

impl Stack {
    /// REGISTER: challenge first, whoever it is; then the proven user may change their own address only. Phones of
    /// open networks need no proof for a name that has no password.
    pub(super) fn register(&mut self, request: &Message, hop: Hop) {
        let now = self.effects.now;
        let address = request.to().and_then(|to| to.parsed()).and_then(|uri| uri.user);
        let ip = self.seen.remote.ip();
        let open = self.open_networks.iter().any(|network| network.contains(ip));
        let user = match address.clone().filter(|user| open && !self.guard.knows(user)) {
            Some(user) => user,
            None => match self.prove(request, "REGISTER") {
                Ok(user) => user,
                Err((code, headers)) => {
                    self.reject(request, hop, code, &headers);
                    return;
                }
            },
        };
        if address.as_deref() != Some(user.as_str()) {
            self.say_registered(request, hop, 403, &[]);
            return;
        }
        match self.registrar.apply(&mut self.effects, &user, request, self.seen) {
            Ok(()) => {
                let headers: Vec<_> =
                    self.registrar.list(&user, now).into_iter().map(|value| ("Contact", value)).collect();
                self.say_registered(request, hop, 200, &headers);
            }
            Err(Fault::Malformed) => self.say_registered(request, hop, 400, &[]),
            Err(Fault::OutOfOrder) => self.say_registered(request, hop, 500, &[]),
            Err(Fault::Full) => {
                tracing::warn!("refused a registration: the limit is reached");
                let seconds = self.limits.retry_after.as_secs().max(1).to_string();
                self.say_registered(request, hop, 503, &[("Retry-After", seconds)]);
            }
            Err(Fault::TooBrief) => {
                let least = self.timers.register_expires_min.as_secs().to_string();
                self.say_registered(request, hop, 423, &[("Min-Expires", least)]);
            }
        }
    }

    /// Answers in a transaction: a repetition of a REGISTER must not use up its nonce count again.
    fn say_registered(&mut self, request: &Message, hop: Hop, code: u16, headers: &[(&str, String)]) {
        let response = self.refusal(request, (code, reason_of(code)), headers);
        self.answer_once(request, hop, &response);
    }
}
