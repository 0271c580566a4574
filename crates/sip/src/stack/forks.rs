//! Dialogs of our calls before the answer: each far side that rings for one INVITE has its own (RFC 3261 §12.1, §13.2.2.4),
//! with its own reliable responses (RFC 3262 §4) and its own offer and answer (RFC 3264, RFC 6337 §2.2).

use segue_media::MediaDescription;

use super::{
    Hop, Owner, Stack,
    dialog::Dialog,
    extensions::{Far, names},
    leg::Media,
};
use crate::{
    message::{ALLOW, Message, Method, reason_of},
    sdp::{self, Agreed, Session},
    stack::LegNews,
    words::{DialRequest, SipLegId},
};

/// One far side that has not answered yet.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) dialog: Dialog,
    pub(super) media: Media,
    pub(super) far: Far,
    /// The number of the last reliable response.
    number: Option<u32>,
    pub(super) described: Described,
    /// Its place among those that were heard of.
    place: u32,
}

/// What is known of a far side's media before the answer.
#[derive(Debug, Default)]
pub(super) enum Described {
    #[default]
    Nothing,
    /// Not reliably: the 200 says it again.
    Preview(Box<Agreed>),
    /// Agreed; the 200 says nothing new.
    Agreed(Box<Agreed>),
}

impl Described {
    fn remote(&self) -> Option<&MediaDescription> {
        match self {
            Self::Nothing => None,
            Self::Preview(agreed) | Self::Agreed(agreed) => Some(&agreed.remote),
        }
    }
}

/// Far sides that are followed for one INVITE. Others may ring and answer, but nothing is heard of them before.
const FORKS_MAX: usize = 8;

impl Stack {
    /// A provisional response that may make or further an early dialog. False if it is a reliable one that came again
    /// or out of turn, and so says nothing.
    pub(super) fn fork_progress(&mut self, place: (SipLegId, u64), response: &Message, hop: Hop) -> bool {
        let (id, branch) = place;
        let Some(number) = self.fork_of(place, response, hop) else { return true };
        let reliable = names(response, "Require", "100rel");
        let rseq: Option<u32> = response.first("RSeq").and_then(|value| value.trim().parse().ok());
        let Some(dial) = self.dials.get_mut(&id) else { return true };
        let request = dial.request().clone();
        let Some(fork) = dial.branch_mut(branch).and_then(|known| known.forks.get_mut(number)) else {
            return true;
        };
        fork.far.learn(response);
        let to_acknowledge = rseq.filter(|_| reliable);
        if let Some(rseq) = to_acknowledge {
            if fork.number.is_some_and(|last| rseq != last.wrapping_add(1)) {
                return false;
            }
            fork.number = Some(rseq);
        }
        let before = fork.described.remote().cloned();
        let text = fork.describe(&request, response, hop, to_acknowledge.is_some());
        let (remote, heard_of) = (fork.described.remote().cloned(), fork.place);
        if let Some(rseq) = to_acknowledge {
            self.send_prack((id, branch, number), response, rseq, text);
        }
        if let Some(remote) = remote.filter(|remote| before.as_ref() != Some(remote)) {
            self.tell(id, LegNews::Early { remote, fork: heard_of });
        }
        true
    }

    /// The place of the fork that a response comes from; a new one if there is room.
    fn fork_of(&mut self, place: (SipLegId, u64), response: &Message, hop: Hop) -> Option<usize> {
        let (id, branch) = place;
        let tag = response.to_tag()?;
        let dial = self.dials.get_mut(&id).filter(|dial| dial.is_calling())?;
        let heard_of = dial.forks_heard;
        let late = dial.request().options.late_offer;
        let offer = dial.request().offer.clone();
        let known = dial.branch_mut(branch)?;
        if let Some(at) = known.forks.iter().position(|fork| fork.dialog.remote_tag == tag) {
            return Some(at);
        }
        if known.forks.len() >= FORKS_MAX {
            return None;
        }
        let (request, sent_to) = self.transactions.request(known.invite)?;
        let dialog = Dialog::of_response(request, response, Hop { socket: sent_to.socket, ..hop })?;
        let mut media = Media::new(id.0);
        if !late {
            media.say(|origin| sdp::offer(&offer, origin));
        }
        media.local = Some(offer);
        self.early.insert(dialog.key(), place);
        let far = Far::default();
        known.forks.push(Fork {
            dialog,
            media,
            far,
            number: None,
            described: Described::Nothing,
            place: heard_of,
        });
        let at = known.forks.len() - 1;
        dial.forks_heard += 1;
        Some(at)
    }

    /// Acknowledges a reliable provisional response, with the answer to an offer in it.
    fn send_prack(
        &mut self,
        place: (SipLegId, u64, usize),
        response: &Message,
        rseq: u32,
        text: Option<String>,
    ) {
        let (id, branch, number) = place;
        let invite = response.cseq().map_or(1, |(number, _)| number);
        let fork = self.dials.get_mut(&id).and_then(|dial| dial.branch_mut(branch));
        let Some(fork) = fork.and_then(|known| known.forks.get_mut(number)) else { return };
        let hop = fork.dialog.hop();
        let mut prack = fork.dialog.request(Method::Prack, None);
        prack.push("RAck", format!("{rseq} {invite} INVITE"));
        if let Some(text) = text {
            prack.set_sdp(text);
        }
        prack.push("Contact", self.contact(id, hop));
        self.send_request(prack, hop, Owner::Nobody);
    }

    /// Takes a fork out when it answers: what was agreed before stays so.
    pub(super) fn take_fork(&mut self, place: (SipLegId, u64), tag: &str) -> Option<Fork> {
        let known = self.dials.get_mut(&place.0)?.branch_mut(place.1)?;
        let at = known.forks.iter().position(|fork| fork.dialog.remote_tag == tag)?;
        let fork = known.forks.remove(at);
        self.early.remove(&fork.dialog.key());
        Some(fork)
    }

    /// Forgets the early dialogs of a call that is settled.
    pub(super) fn forget_forks(&mut self, id: SipLegId) {
        let Some(dial) = self.dials.get_mut(&id) else { return };
        for fork in dial.branches_mut().flat_map(|known| std::mem::take(&mut known.forks)) {
            self.early.remove(&fork.dialog.key());
        }
    }

    /// A request of theirs in a dialog that is not answered yet, or in none.
    pub(super) fn within_early(&mut self, request: &Message, method: &Method, hop: Hop) {
        let place = Dialog::key_of(request).and_then(|key| self.early.get(&key)).copied();
        let Some((id, branch)) = place else {
            self.reject(request, hop, 481, &[]);
            return;
        };
        let tag = request.sender_tag();
        let number = request.cseq().map_or(0, |(number, _)| number);
        let known = self.dials.get_mut(&id).and_then(|dial| dial.branch_mut(branch));
        let fork = known.and_then(|known| known.forks.iter_mut().find(|fork| fork.dialog.remote_tag == tag));
        let fresh = fork.is_some_and(|fork| fork.dialog.take_number(number));
        match method {
            _ if !fresh => self.say(request, hop, 500, &[]),
            Method::Update => self.update_early((id, branch), request, hop),
            Method::Options => self.say(request, hop, 200, &self.capabilities()),
            Method::Info => self.say(request, hop, 200, &[]),
            Method::Message | Method::Subscribe | Method::Publish | Method::Register => {
                self.say(request, hop, 405, &[("Allow", ALLOW.to_owned())]);
            }
            Method::Other(_) => self.say(request, hop, 501, &[("Allow", ALLOW.to_owned())]),
            // Who is called has no BYE before the answer (RFC 3261 §15), and we subscribed to nothing.
            Method::Invite | Method::Bye | Method::Notify | Method::Prack | Method::Refer => {
                self.say(request, hop, 481, &[]);
            }
            Method::Ack | Method::Cancel => {}
        }
    }

    /// UPDATE before the answer: new media of theirs, such as an announcement server in place of the phone.
    fn update_early(&mut self, place: (SipLegId, u64), request: &Message, hop: Hop) {
        let offer = match self.offer_of(request, hop) {
            Ok(offer) => offer,
            Err((code, headers)) => {
                self.say(request, hop, code, &headers);
                return;
            }
        };
        let tag = request.sender_tag();
        let known = self.dials.get_mut(&place.0).and_then(|dial| dial.branch_mut(place.1));
        let fork = known.and_then(|known| known.forks.iter_mut().find(|fork| fork.dialog.remote_tag == tag));
        let Some(fork) = fork else { return };
        match fork.update(request, offer, hop) {
            Ok((text, remote)) => {
                let heard_of = fork.place;
                let mut response = Message::response(request, 200, reason_of(200));
                response.push("Contact", self.contact(place.0, hop));
                if let Some(text) = text {
                    response.set_sdp(text);
                }
                self.answer_once(request, hop, &response);
                if let Some(remote) = remote {
                    self.tell(place.0, LegNews::Early { remote, fork: heard_of });
                }
            }
            Err(code) => self.say(request, hop, code, &[]),
        }
    }
}

impl Fork {
    /// Takes the session description of a provisional response; gives our answer if it was an offer.
    fn describe(
        &mut self,
        request: &DialRequest,
        response: &Message,
        hop: Hop,
        reliable: bool,
    ) -> Option<String> {
        if matches!(self.described, Described::Agreed(_)) {
            return None;
        }
        let session = Session::read(response.sdp()?, hop.remote.ip()).ok()?;
        if request.options.late_offer {
            // An offer that is not reliable could not be answered (RFC 3262 §5).
            let agreed = session.agree(&request.offer).ok().filter(|_| reliable)?;
            let text = self.media.say(|origin| session.answer(&agreed, origin));
            self.media.shape = Some(Box::new(session));
            self.described = Described::Agreed(Box::new(agreed));
            return Some(text);
        }
        let agreed = Box::new(session.agree_to_offer(&request.offer).ok()?);
        self.described = if reliable { Described::Agreed(agreed) } else { Described::Preview(agreed) };
        None
    }

    /// Takes an UPDATE; gives our answer and their new media.
    fn update(
        &mut self,
        request: &Message,
        offer: Option<Session>,
        hop: Hop,
    ) -> Result<(Option<String>, Option<MediaDescription>), u16> {
        let Some(offer) = offer else {
            self.dialog.refresh(request, hop);
            return Ok((None, None));
        };
        // Our own offer waits for its answer (RFC 3311 §5.2).
        let Described::Agreed(known) = &mut self.described else { return Err(491) };
        let local = self.media.local.as_ref().ok_or(500_u16)?;
        let agreed = offer.agree(local).map_err(|_| 488_u16)?;
        self.dialog.refresh(request, hop);
        let text = self.media.say(|origin| offer.answer(&agreed, origin));
        self.media.shape = Some(Box::new(offer));
        let remote = (known.remote != agreed.remote).then(|| agreed.remote.clone());
        **known = agreed;
        Ok((Some(text), remote))
    }
}
