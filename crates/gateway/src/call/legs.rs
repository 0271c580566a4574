//! The legs of one call: for each attempt its signalling and its place on the media thread.

use std::{collections::BTreeMap, net::SocketAddr};

use segue_call::{AttemptId, Destination, HangUpWhy, Party};
use segue_media::{Direction, LegId, MediaDescription};
use segue_sip::{Answer, HangUp, IncomingCall, LegControl};
use tokio::{sync::oneshot, task::AbortHandle};

use super::early::Decision;
use crate::media::OpenLeg;

/// How a leg's signalling stands.
pub(super) enum Signalling {
    /// The caller has not been answered.
    Waiting(Box<IncomingCall>),
    /// The caller hears us and has not been answered; the answer it will be given.
    Early(oneshot::Sender<Decision>, Answer),
    /// The caller heard us early and is being answered.
    Answering,
    /// A party is being dialled; aborting the task gives up.
    Dialling(AbortHandle),
    /// The leg is up.
    Up(LegControl),
}

/// One leg.
pub(super) struct Leg {
    /// Whose.
    pub(super) party: Party,
    /// Its place on the media thread.
    pub(super) media: OpenLeg,
    /// Its signalling.
    pub(super) signalling: Signalling,
    /// Where its signalling comes from, once that is known.
    pub(super) from: Option<SocketAddr>,
    /// It has put the call on hold.
    pub(super) holds: bool,
}

/// All legs of one call.
#[derive(Default)]
pub(super) struct Legs {
    legs: BTreeMap<AttemptId, Leg>,
    /// Legs that were taken out and whose last word the media thread owes us.
    closing: BTreeMap<LegId, (AttemptId, Party)>,
    /// What collectors know a leg by.
    names: BTreeMap<LegId, (String, SocketAddr, SocketAddr)>,
}

impl Legs {
    /// Adds a leg, or puts one back that was taken out.
    pub(super) fn insert(&mut self, attempt: AttemptId, leg: Leg) {
        self.closing.remove(&leg.media.leg);
        self.legs.insert(attempt, leg);
    }

    /// One leg.
    pub(super) fn get_mut(&mut self, attempt: AttemptId) -> Option<&mut Leg> {
        self.legs.get_mut(&attempt)
    }

    /// Takes a leg out.
    pub(super) fn remove(&mut self, attempt: AttemptId) -> Option<Leg> {
        let leg = self.legs.remove(&attempt)?;
        self.closing.insert(leg.media.leg, (attempt, leg.party));
        Some(leg)
    }

    /// The legs that are up: their attempts, whose they are, and their places on the media thread.
    pub(super) fn up(&self) -> Vec<(AttemptId, Party, LegId)> {
        let up = self.legs.iter().filter(|(_, leg)| matches!(leg.signalling, Signalling::Up(_)));
        up.map(|(attempt, leg)| (*attempt, leg.party, leg.media.leg)).collect()
    }

    /// What collectors know a leg by: its SIP Call-ID, its far side's address for sound and ours.
    pub(super) fn known_as(&mut self, media: LegId, name: (String, SocketAddr, SocketAddr)) {
        self.names.insert(media, name);
    }

    /// What collectors know a leg by, if it ever was up.
    pub(super) fn name(&self, media: LegId) -> Option<&(String, SocketAddr, SocketAddr)> {
        self.names.get(&media)
    }

    /// Whose a media leg is, or was until its last word comes.
    pub(super) fn whose(&self, media: LegId) -> Option<(AttemptId, Party)> {
        let mut open = self.legs.iter().filter(|(_, leg)| leg.media.leg == media);
        let open = open.next().map(|(attempt, leg)| (*attempt, leg.party));
        open.or_else(|| self.closing.get(&media).copied())
    }

    /// The media thread said its last word about a leg.
    pub(super) fn closed(&mut self, media: LegId) -> Option<(AttemptId, Party)> {
        self.closing.remove(&media)
    }

    /// Whether the media thread still owes a last word.
    pub(super) fn closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// The first of the legs that are left.
    pub(super) fn any(&self) -> Option<AttemptId> {
        self.legs.keys().next().copied()
    }

    /// The signalling of a party's newest leg, if that is up.
    pub(super) fn control(&self, party: Party) -> Option<&LegControl> {
        let newest = self.legs.values().rev().find(|leg| leg.party == party)?;
        match &newest.signalling {
            Signalling::Up(control) => Some(control),
            Signalling::Waiting(_)
            | Signalling::Early(..)
            | Signalling::Answering
            | Signalling::Dialling(_) => None,
        }
    }

    /// The ear of a party: its newest leg.
    pub(super) fn ear(&self, party: Party) -> Option<LegId> {
        self.legs.values().rev().find(|leg| leg.party == party).map(|leg| leg.media.leg)
    }

    /// The attempt that a media leg belongs to.
    pub(super) fn attempt(&self, media: LegId) -> Option<AttemptId> {
        self.legs.iter().find(|(_, leg)| leg.media.leg == media).map(|(attempt, _)| *attempt)
    }
}

/// Whether a party has put the call on hold with its phone: it wants to hear nothing (RFC 3264 §8.4).
pub(super) fn holds(theirs: &MediaDescription) -> bool {
    match theirs.direction {
        Direction::SendOnly | Direction::Inactive => true,
        Direction::SendRecv | Direction::RecvOnly => false,
    }
}

/// Whose leg a destination's is.
pub(super) fn party(to: &Destination) -> Party {
    match to {
        Destination::Bot => Party::Bot,
        Destination::Agent(_) => Party::Agent,
    }
}

/// Why a leg is hung up, for the far side's logs (Q.850).
pub(super) fn hang_up(why: HangUpWhy) -> HangUp {
    let cause = match why {
        HangUpWhy::PeerHungUp | HangUpWhy::Replaced => (16, "Normal call clearing"),
        HangUpWhy::NotAccepted | HangUpWhy::NoAnswer => (19, "No answer from user"),
        HangUpWhy::Canceled => (16, "Canceled"),
        HangUpWhy::Failed => (41, "Temporary failure"),
        HangUpWhy::Dead => (31, "No media"),
        HangUpWhy::ShuttingDown => (38, "Network out of order"),
    };
    HangUp { cause: Some(cause), headers: Vec::new() }
}
