//! A leg: one dialog with its media, from the INVITE to the end of the BYE.
//!
//! ```text
//! in   Ringing ─answer► Up ─ACK─► Up        ─BYE from either side► Ending ─final► gone
//! out  (Dial) ─2xx────► Up
//! ```

use std::time::Duration;

use segue_media::MediaDescription;

use super::{
    Alarm, LegNews, Output, Owner, Stack,
    change::Change,
    dialog::Dialog,
    effects::Hop,
    extensions::Far,
    referral::Referring,
    ringing::{Rack, Ringing},
    session::Session,
    transaction::TransactionId,
};
use crate::{
    config::Credentials,
    message::{Message, Method, octets},
    sdp::{self, Origin},
    words::{Ended, HangUp, Headers, LegEvent, SipLegId},
};

#[derive(Debug)]
pub(crate) struct Leg {
    pub(super) dialog: Dialog,
    pub(super) stage: Stage,
    pub(super) media: Media,
    pub(super) incoming: bool,
    pub(super) rights: Rights,
    pub(super) credentials: Option<Credentials>,
    /// Questions in a row, whether it is still there, that nobody answered.
    pub(super) unanswered: u8,
    pub(super) far: Far,
    pub(super) change: Change,
    pub(super) session: Session,
    pub(super) referring: Referring,
    /// A reliable response that the answer overtook: its PRACK may still come (RFC 3262 §3).
    pub(super) overtaken: Option<Rack>,
}

impl Leg {
    /// A leg of theirs or ours that nothing is known about yet but its dialog.
    pub(super) fn new(dialog: Dialog, stage: Stage, media: Media) -> Self {
        Self {
            dialog,
            stage,
            media,
            incoming: false,
            rights: Rights::default(),
            credentials: None,
            unanswered: 0,
            far: Far::default(),
            change: Change::default(),
            session: Session::default(),
            referring: Referring::default(),
            overtaken: None,
        }
    }
}

/// What the far side may ask for by REFER. Nothing, unless the gateway says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// A handoff of the call.
    pub(super) handoff: bool,
    /// That somebody else takes its place.
    pub(super) transfer: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// They called and wait for an answer.
    Ringing(Box<Ringing>),
    /// Answered.
    Up {
        /// A 2xx of ours that they have not acknowledged.
        ack: Option<AckDue>,
        /// To be hung up when the ACK comes: a BYE must not overtake it (RFC 3261 §15).
        then_end: Option<HangUp>,
    },
    /// We sent BYE and wait for its answer.
    Ending,
}

impl Stage {
    /// Takes out what the answer to a ringing call needs: the INVITE and its offer.
    pub(super) fn take_ringing(&mut self) -> Option<(Message, Option<Box<sdp::Session>>)> {
        match std::mem::replace(self, Self::Ending) {
            Self::Ringing(ringing) => Some((ringing.request, ringing.offer)),
            other @ (Self::Up { .. } | Self::Ending) => {
                *self = other;
                None
            }
        }
    }
}

/// A 2xx of ours to an INVITE.
#[derive(Debug)]
pub(super) struct AckDue {
    pub(super) number: u32,
    pub(super) response: Vec<u8>,
    pub(super) hop: Hop,
    pub(super) interval: Duration,
    /// It carried our offer, so the ACK has to carry the answer.
    pub(super) offered: bool,
}

/// What both sides said about media.
#[derive(Debug)]
pub(super) struct Media {
    /// What the gateway gave: all that we could speak.
    pub(super) local: Option<MediaDescription>,
    /// Their side as agreed.
    pub(super) remote: Option<MediaDescription>,
    origin: Origin,
    /// What we said last.
    said: Option<String>,
    /// The last description of theirs that offered: our own offers have to keep its streams (RFC 3264 §8).
    pub(super) shape: Option<Box<sdp::Session>>,
    /// The last ACK that we sent to a 2xx, to be sent again if the 2xx comes again.
    pub(super) ack: Option<(Hop, Vec<u8>)>,
}

impl Media {
    pub(super) const fn new(session: u64) -> Self {
        let origin = Origin { session, version: 1 };
        Self { local: None, remote: None, origin, said: None, shape: None, ack: None }
    }

    /// The text of a description; its version grows if it says something new (RFC 3264 §8).
    pub(super) fn say(&mut self, print: impl Fn(Origin) -> String) -> String {
        let mut text = print(self.origin);
        if self.said.as_ref().is_some_and(|said| *said != text) {
            self.origin.version += 1;
            text = print(self.origin);
        }
        self.said = Some(text.clone());
        text
    }

    /// What we said last.
    pub(super) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// The text of an offer of ours: new, or with the streams that there are.
    pub(super) fn offer(&mut self, local: &MediaDescription) -> String {
        match self.shape.take() {
            Some(shape) => {
                let whole = sdp::Agreed { remote: shape.media.clone(), local: local.clone() };
                let text = self.say(|origin| shape.answer(&whole, origin));
                self.shape = Some(shape);
                text
            }
            None => self.say(|origin| sdp::offer(local, origin)),
        }
    }
}

/// How we end a leg of ourselves.
pub(super) enum EndBy {
    /// By order.
    Order(HangUp),
    /// Because of something that the far side did, or did not do.
    Fault(Ended),
}

impl Stack {
    pub(super) fn insert(&mut self, id: SipLegId, leg: Leg) {
        self.incoming += usize::from(leg.incoming);
        self.dialogs.insert(leg.dialog.key(), id);
        self.legs.insert(id, leg);
        self.ask_alive_later(id, self.timers.alive_every);
    }

    /// Forgets a leg; nothing is left of it but transactions that end by themselves.
    pub(super) fn remove(&mut self, id: SipLegId) {
        let Some(leg) = self.legs.remove(&id) else { return };
        self.incoming -= usize::from(leg.incoming);
        self.dialogs.remove(&leg.dialog.key());
        for alarm in Alarm::of_leg(id) {
            self.effects.clear(alarm);
        }
    }

    pub(super) fn tell(&mut self, id: SipLegId, news: LegNews) {
        if self.transfers.contains_key(&id) {
            self.transferring(id, news);
            return;
        }
        self.effects.outputs.push_back(Output::Leg(id, news));
    }

    pub(super) fn tell_event(&mut self, id: SipLegId, event: LegEvent) {
        self.tell(id, LegNews::Event(event));
    }

    /// Hangs up by order: a ringing call is declined, a dialled one cancelled, an answered one ends by BYE.
    pub(crate) fn hang_up(&mut self, now: Duration, id: SipLegId, how: HangUp) {
        self.effects.now = now;
        if self.dials.get(&id).is_some_and(super::Dial::is_calling) {
            self.cancel(id);
            return;
        }
        self.end(id, EndBy::Order(how));
    }

    /// Ends a leg that is up with a BYE, now or when its ACK has come.
    pub(super) fn end(&mut self, id: SipLegId, by: EndBy) {
        let left = self.stop_transfer(id);
        let (ended, how) = match by {
            EndBy::Order(how) => (Ended::Local, how),
            EndBy::Fault(ended) => (ended, HangUp::default()),
        };
        if left {
            self.tell_event(id, LegEvent::Ended(ended));
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match &mut leg.stage {
            Stage::Ringing(ringing) => {
                let answered = ringing.answered;
                self.refuse_leg(id, 480, &[]);
                if answered {
                    self.tell_event(id, LegEvent::Ended(ended));
                }
                return;
            }
            Stage::Ending | Stage::Up { then_end: Some(_), .. } => return,
            Stage::Up { ack: Some(_), then_end } => *then_end = Some(how),
            Stage::Up { ack: None, .. } => self.send_bye(id, &how),
        }
        self.tell_event(id, LegEvent::Ended(ended));
    }

    /// Sends BYE; the leg stays until it is answered.
    pub(super) fn send_bye(&mut self, id: SipLegId, how: &HangUp) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.stage = Stage::Ending;
        let hop = leg.dialog.hop();
        let mut bye = leg.dialog.request(Method::Bye, None);
        if let Some((cause, text)) = how.cause {
            bye.push("Reason", format!("Q.850;cause={cause};text=\"{text}\""));
        }
        push_headers(&mut bye, &how.headers);
        for alarm in Alarm::of_leg(id) {
            self.effects.clear(alarm);
        }
        self.send_request(bye, hop, Owner::Bye(id));
    }

    /// Gives a request its Via and sends it in a transaction.
    pub(super) fn send_request(&mut self, mut request: Message, hop: Hop, owner: Owner) -> TransactionId {
        request.set_via(self.new_via(hop));
        self.transactions.open_client(&mut self.effects, request, hop, owner)
    }

    /// The answer to our BYE. Whatever it says, the leg is gone, unless it asks for credentials that we have.
    pub(super) fn bye_response(&mut self, id: SipLegId, bye: TransactionId, response: &Message) {
        let code = response.code().unwrap_or(500);
        if code < 200 {
            return;
        }
        let again = (code == 401 || code == 407).then(|| self.authorized(id, bye, response)).flatten();
        match again {
            Some((mut request, hop)) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog.local_number += 1;
                    leg.credentials = None;
                    request.set("CSeq", format!("{} BYE", leg.dialog.local_number));
                }
                self.send_request(request, hop, Owner::Bye(id));
            }
            None => self.remove(id),
        }
    }

    pub(super) fn authorized(
        &mut self,
        id: SipLegId,
        transaction: TransactionId,
        response: &Message,
    ) -> Option<(Message, Hop)> {
        let credentials = self.legs.get(&id)?.credentials.clone()?;
        let (request, hop) = self.transactions.request(transaction)?;
        let mut request = request.clone();
        let cnonce = self.effects.token();
        super::outbound::add_credentials(&mut request, response, &credentials, &cnonce)
            .then_some((request, hop))
    }
}

/// Headers that the stack writes itself, and that nobody may write for it. None of one letter: those are short forms.
const OWN: [&str; 37] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Content-Disposition",
    "MIME-Version",
    "Allow",
    "Allow-Events",
    "Require",
    "Proxy-Require",
    "Supported",
    "Unsupported",
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Expires",
    "Event",
    "Subscription-State",
    "Refer-To",
    "Refer-Sub",
    "Replaces",
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "RAck",
    "Retry-After",
    "Join",
    "Path",
];

/// Headers of others that are carried in one message, and the bytes of one.
const HEADERS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 2_048;

/// Adds the caller's headers, but none that is the stack's own and nothing that could end a line; at most 32, and
/// none longer than 2,048 bytes.
pub(super) fn push_headers(message: &mut Message, headers: &Headers) {
    let fit = headers.iter().filter(|(name, value)| {
        let token =
            name.len() > 1 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        token && value.len() <= HEADER_BYTES_MAX && !OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
    });
    for (name, value) in fit.take(HEADERS_MAX) {
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        message.push(name, value);
    }
}

/// Headers that the gateway gets to see, at most 32 of at most 2,048 bytes.
pub(super) fn pick_headers(message: &Message, names: &[&str]) -> Headers {
    message
        .headers()
        .iter()
        .filter(|(name, value)| {
            let extension = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"));
            value.len() <= HEADER_BYTES_MAX
                && (extension || names.iter().any(|known| known.eq_ignore_ascii_case(name)))
        })
        .take(HEADERS_MAX)
        .map(|(name, value)| (name.clone(), octets::shown(value)))
        .collect()
}
