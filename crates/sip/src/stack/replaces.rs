//! An INVITE that takes the place of a dialog of ours (RFC 3891): the last step of an attended transfer.
//!
//! The leg stays the same to its owner; it only gets another far side.
//!
//! ```text
//! the dialog that Replaces names          answer
//! nobody's                                481
//! theirs and not answered yet             481
//! answered, but early-only                486
//! ending                                  603
//! of a party that may not be replaced     403
//! of ours and not answered yet            200, and our INVITE is cancelled
//! answered                                200, and the old dialog ends with BYE
//! ```

use super::{Alarm, Hop, Leg, LegNews, Stack, Stage, dialog::Dialog, leg::Media, ringing::Ringing};
use crate::{
    message::{Message, reason_of},
    sdp::Session,
    words::{HangUp, LegEvent, Replaces, SipLegId},
};

/// Whose place an INVITE takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// A leg that is up.
    Leg(SipLegId),
    /// A call of ours that rings.
    Dial(SipLegId),
}

impl Stack {
    /// Finds the dialog that an INVITE is to replace; the code if it may not (RFC 3891 §3).
    pub(super) fn find_replaced(&self, request: &Message) -> Result<Option<Replaced>, u16> {
        let mut named = request.all("Replaces");
        let Some(first) = named.next() else { return Ok(None) };
        if named.next().is_some() {
            return Err(400);
        }
        let replaces = read(first).ok_or(400_u16)?;
        let key = (replaces.call_id, replaces.to_tag, replaces.from_tag);
        if let Some((id, _)) = self.early.get(&key) {
            let allowed = self.dials.get(id).is_some_and(|dial| dial.request().options.transfer_allowed);
            return if allowed { Ok(Some(Replaced::Dial(*id))) } else { Err(403) };
        }
        let id = *self.dialogs.get(&key).ok_or(481_u16)?;
        let leg = self.legs.get(&id).ok_or(481_u16)?;
        match &leg.stage {
            Stage::Ringing(_) => Err(481),
            Stage::Ending | Stage::Up { then_end: Some(_), .. } => Err(603),
            Stage::Up { .. } if !leg.rights.transfer => Err(403),
            Stage::Up { .. } if replaces.early_only => Err(486),
            Stage::Up { .. } => Ok(Some(Replaced::Leg(id))),
        }
    }

    /// Answers the INVITE in the place of the dialog that it replaces.
    pub(super) fn replace(
        &mut self,
        request: &Message,
        hop: Hop,
        dialog: Dialog,
        what: (Replaced, Option<Session>),
    ) {
        let (replaced, offer) = what;
        let local = match replaced {
            Replaced::Leg(id) => self.legs.get(&id).and_then(|leg| leg.media.local.clone()),
            // Whoever waits for an answer wants to know both sides of it.
            Replaced::Dial(id) => {
                self.dials.get(&id).filter(|_| offer.is_some()).map(|dial| dial.request().offer.clone())
            }
        };
        let Some(local) = local else {
            self.reject(request, hop, 488, &[]);
            return;
        };
        let id = match replaced {
            Replaced::Leg(_) => self.next_leg(),
            Replaced::Dial(id) => id,
        };
        let who = request.sender().map(|from| from.uri).unwrap_or_default();
        let sip_call_id = dialog.call_id.clone();
        let invite = self.transactions.open_server(request, hop);
        self.transactions.bind(invite, id);
        let trying = Message::response(request, 100, reason_of(100));
        self.transactions.respond(&mut self.effects, invite, &trying);
        self.arrivals.remember(self.effects.now, request);
        let ringing = Ringing::new(invite, request.clone(), offer.map(Box::new));
        let mut leg = Leg::new(dialog, Stage::Ringing(Box::new(ringing)), Media::new(id.0));
        leg.incoming = true;
        leg.rights.transfer = true;
        leg.far.learn(request);
        self.insert(id, leg);
        let Ok((remote, local)) = self.answer(self.effects.now, id, local) else { return };
        match replaced {
            Replaced::Leg(old) => {
                self.exchange(old, id);
                self.transactions.bind(invite, old);
                self.send_bye(id, &HangUp::default());
                if let Some(remote) = remote {
                    self.tell_event(old, LegEvent::MediaChanged { remote, local });
                }
                self.tell_event(old, LegEvent::Transferred { to: who });
                tracing::info!(leg = %old, "a far side was replaced by another");
            }
            Replaced::Dial(id) => {
                self.settle(id);
                if let Some(remote) = remote {
                    let signalling = hop.remote;
                    self.tell(id, LegNews::Answered { remote, local, signalling, sip_call_id });
                }
            }
        }
    }

    /// Two legs change places: what `id` was is `other` from here on, to be ended.
    pub(super) fn exchange(&mut self, id: SipLegId, other: SipLegId) {
        let (Some(old), Some(mut fresh)) = (self.legs.remove(&id), self.legs.remove(&other)) else { return };
        for alarm in Alarm::of_leg(id).into_iter().chain(Alarm::of_leg(other)) {
            self.effects.clear(alarm);
        }
        fresh.rights = old.rights;
        if self.dialogs.contains_key(&old.dialog.key()) {
            self.dialogs.insert(old.dialog.key(), other);
        }
        self.dialogs.insert(fresh.dialog.key(), id);
        if let Stage::Up { ack: Some(due), .. } = &fresh.stage {
            self.effects.set(Alarm::Reanswer(id), due.interval);
            self.effects.set(Alarm::AckLost(id), self.transactions.patience());
        }
        let session = fresh.session.on;
        self.legs.insert(id, fresh);
        self.legs.insert(other, old);
        self.session_runs(id, session);
        self.ask_alive_later(id, self.timers.alive_every);
    }
}

/// Reads a Replaces value: `call-id;to-tag=…;from-tag=…[;early-only]`.
pub(super) fn read(text: &str) -> Option<Replaces> {
    let mut parts = text.split(';').map(str::trim);
    let call_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
    let mut replaces = Replaces { call_id, ..Replaces::default() };
    let (mut to, mut from) = (None, None);
    for part in parts {
        match part.split_once('=') {
            Some((name, tag)) if name.trim().eq_ignore_ascii_case("to-tag") => to = Some(tag.trim()),
            Some((name, tag)) if name.trim().eq_ignore_ascii_case("from-tag") => from = Some(tag.trim()),
            None if part.eq_ignore_ascii_case("early-only") => replaces.early_only = true,
            Some(_) | None => {}
        }
    }
    to?.clone_into(&mut replaces.to_tag);
    from?.clone_into(&mut replaces.from_tag);
    Some(replaces)
}

/// A Replaces value. What could end the header line or a parameter is left out.
pub(super) fn print(replaces: &Replaces) -> String {
    let clean = |text: &str| -> String {
        text.chars().filter(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, ';' | ',')).collect()
    };
    let (call_id, to, from) = (clean(&replaces.call_id), clean(&replaces.to_tag), clean(&replaces.from_tag));
    let early = if replaces.early_only { ";early-only" } else { "" };
    format!("{call_id};to-tag={to};from-tag={from}{early}")
}

/// Escapes everything in a URI's header part that means something there (RFC 3261 §19.1.1).
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The headers in a URI's header part, unescaped.
pub(super) fn uri_headers(uri: &str) -> Vec<(String, String)> {
    let Some((_, headers)) = uri.split_once('?') else { return Vec::new() };
    headers
        .split('&')
        .filter_map(|header| header.split_once('='))
        .map(|(name, value)| (unescape(name), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let code = (byte == b'%').then(|| {
            let digits = [rest.clone().next()?, rest.clone().nth(1)?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        });
        match code.flatten() {
            Some(code) => {
                bytes.push(code);
                rest.nth(1);
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaces_value_is_read_as_it_is_printed() {
        let replaces = read("98732@h;from-tag=r33; to-tag=xyz;early-only").unwrap();
        assert_eq!((replaces.to_tag.as_str(), replaces.from_tag.as_str()), ("xyz", "r33"));
        assert!(replaces.early_only);
        assert_eq!(read(&print(&replaces)), Some(replaces));
        for wrong in ["", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let text = "98732@h;to-tag=a b%;from-tag=1";
        let uri = format!("sip:bob@h?X=1&Replaces={}", escape(text));
        assert_eq!(uri_headers(&uri), [("X".into(), "1".into()), ("Replaces".into(), text.to_owned())]);
        assert_eq!(unescape("%4"), "%4");
        assert_eq!(unescape("%zz%41"), "%zzA");
    }
}
