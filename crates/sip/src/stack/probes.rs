//! The health of trunk targets: OPTIONS every now and then (RFC 3261 §11). Any answer shows life, but 408, 503 and 504.
//!
//! ```text
//! Resting ─alarm► Looking ─places► Asking ─answer► Resting      up after N good rounds
//!                                    └─silence, next place► Asking ─none left► Resting   down after N bad ones
//! ```

use std::{collections::VecDeque, time::Duration};

use super::{
    Alarm, Hop, Output, Owner, Stack, TransactionId,
    turns::{Turn, Wanted},
};
use crate::message::{Message, Method};

/// One target and what is known of it.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) trunk: usize,
    pub(super) uri: String,
    /// A target counts as up until it proves otherwise.
    pub(super) up: bool,
    good: u32,
    bad: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Resting,
    Looking { host: String },
    Asking { transaction: TransactionId, hop: Hop, left: VecDeque<Hop> },
}

/// How long the driver may look a name up before the round counts as bad.
const LOOKING_MAX: Duration = Duration::from_secs(10);

impl Probe {
    pub(super) fn new(trunk: usize, uri: &str) -> Self {
        Self { trunk, uri: uri.to_owned(), up: true, good: 0, bad: 0, stage: Stage::Resting }
    }
}

impl Stack {
    pub(super) fn start_probes(&mut self) {
        for target in 0..self.ways_out.probes.len() {
            if let Some(health) = self.health_of(target) {
                // Targets are not asked all in the same moment.
                let first = health.every.min(Duration::from_secs(1)).mul_f64(self.effects.fraction());
                self.effects.set(Alarm::Probe(target), first);
            }
        }
    }

    fn health_of(&self, target: usize) -> Option<crate::trunks::TrunkHealth> {
        let probe = self.ways_out.probes.get(target)?;
        self.ways_out.routes.get(probe.trunk)?.health.clone()
    }

    /// The alarm: time to ask, or the answer has taken too long.
    pub(super) fn probe(&mut self, target: usize) {
        let Some(probe) = self.ways_out.probes.get(target) else { return };
        match &probe.stage {
            Stage::Asking { transaction, .. } => {
                let transaction = *transaction;
                // Nobody waits for it any more; the next question is a new one.
                self.transactions.expire(&mut self.effects, transaction);
                self.probe_unanswered(target, transaction);
            }
            Stage::Looking { .. } => self.probe_round(target, false),
            Stage::Resting => {
                let uri = probe.uri.clone();
                match self.turn_to(&uri, uri.clone()) {
                    Some(Turn::Place(contact)) => self.probe_places(target, vec![contact.hop]),
                    Some(Turn::Name { question, .. }) => {
                        self.set_probe(target, Stage::Looking { host: question.host.clone() });
                        self.effects.set(Alarm::Probe(target), LOOKING_MAX);
                        let wanted = Wanted::Target(target);
                        self.effects.outputs.push_back(Output::Lookup { wanted, question });
                    }
                    None => self.probe_round(target, false),
                }
            }
        }
    }

    fn set_probe(&mut self, target: usize, stage: Stage) {
        if let Some(probe) = self.ways_out.probes.get_mut(target) {
            probe.stage = stage;
        }
    }

    /// The host whose places are looked up for a target.
    pub(super) fn probe_host(&self, target: usize) -> Option<String> {
        match &self.ways_out.probes.get(target)?.stage {
            Stage::Looking { host } => Some(host.clone()),
            Stage::Resting | Stage::Asking { .. } => None,
        }
    }

    /// Asks the first of these places; the others are asked if it is silent.
    pub(super) fn probe_places(&mut self, target: usize, hops: Vec<Hop>) {
        let Some(probe) = self.ways_out.probes.get(target) else { return };
        if let Stage::Asking { .. } = probe.stage {
            return;
        }
        let uri = probe.uri.clone();
        let mut left = VecDeque::from(hops);
        let Some(hop) = left.pop_front() else {
            self.probe_round(target, false);
            return;
        };
        let Some(health) = self.health_of(target) else { return };
        let options = self.outside(Method::Options, &uri, hop);
        let transaction = self.send_request(options, hop, Owner::Probe(target));
        self.set_probe(target, Stage::Asking { transaction, hop, left });
        self.effects.set(Alarm::Probe(target), health.answer_max);
    }

    /// A request of ours to nobody in particular at a URI.
    fn outside(&mut self, method: Method, uri: &str, hop: Hop) -> Message {
        let contact = self.contact_of("segue", hop);
        let tag = self.effects.token();
        let call_id = format!("{}{}", self.effects.token(), self.effects.token());
        let cseq = format!("1 {}", method.name());
        let from = contact.replacen(hop.transport.uri_suffix(), "", 1);
        let mut request = Message::request(method, uri.to_owned());
        request.push("Max-Forwards", "70");
        request.push("From", format!("{from};tag={tag}"));
        request.push("To", format!("<{uri}>"));
        request.push("Call-ID", call_id);
        request.push("CSeq", cseq);
        request.push("Contact", contact);
        request.push("Accept", "application/sdp");
        request
    }

    pub(super) fn probe_response(&mut self, target: usize, id: TransactionId, response: &Message) {
        let Some(probe) = self.ways_out.probes.get(target) else { return };
        let Stage::Asking { transaction, hop, .. } = &probe.stage else { return };
        let hop = *hop;
        if *transaction != id {
            return;
        }
        match response.code().unwrap_or(500) {
            ..200 => {}
            code @ (408 | 503 | 504) => {
                tracing::debug!(target = target, code, "a trunk target is not well");
                self.note_busy(hop, response);
                self.probe_round(target, false);
            }
            _ => {
                self.note_answer(hop);
                self.probe_round(target, true);
            }
        }
    }

    /// No answer, or no way to send: the next place of the target, else the round is lost.
    pub(super) fn probe_unanswered(&mut self, target: usize, id: TransactionId) {
        let Some(probe) = self.ways_out.probes.get_mut(target) else { return };
        let Stage::Asking { transaction, hop, left } = &mut probe.stage else { return };
        if *transaction != id {
            return;
        }
        let (hop, left) = (*hop, std::mem::take(left));
        probe.stage = Stage::Resting;
        self.note_silence(hop);
        self.probe_places(target, left.into());
    }

    fn probe_round(&mut self, target: usize, good: bool) {
        let Some(health) = self.health_of(target) else { return };
        let Some(probe) = self.ways_out.probes.get_mut(target) else { return };
        probe.stage = Stage::Resting;
        (probe.good, probe.bad) =
            if good { (probe.good.saturating_add(1), 0) } else { (0, probe.bad.saturating_add(1)) };
        let up = if probe.up { probe.bad < health.down_after } else { probe.good >= health.up_after };
        let changed = up != probe.up;
        probe.up = up;
        if changed {
            let uri = probe.uri.clone();
            if up {
                tracing::info!(uri, "a trunk target answers again");
            } else {
                tracing::warn!(uri, "a trunk target does not answer: calls take the others");
            }
            self.tell_trunks();
        }
        self.effects.set(Alarm::Probe(target), health.every);
    }
}
