//! Rules about promises, tickets and reservations: stored first, given back once, nothing invented.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use segue_acd::{AgentId, Notice, QueueId, ReservationId, Ticket, TicketId};
use segue_call::{Brief, CallRecord, Destination, EndedBy, Entry, Event, HandoffRecord, HandoffState};
use segue_trigger::{Stage, Utterance, UtteranceId};

use super::{Verdict, must};

/// What one call has promised and holds.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The ticket numbers that belong to the call.
    tickets: Range<u64>,
    used: BTreeSet<TicketId>,
    ticket: Option<TicketId>,
    held: Option<Held>,
    /// Reservations that are over: hearing of them again changes nothing.
    over: BTreeSet<ReservationId>,
    opened: u32,
    promised_ticket: Option<(u32, QueueId, std::time::Duration)>,
    bridged: BTreeSet<u32>,
    closed: Vec<(u32, HandoffState)>,
    /// The newest brief that was written, and the newest that was shown.
    written: u32,
    shown: u32,
    /// Agents who did not take the call, by handoff.
    refused: BTreeMap<u32, usize>,
    finals: BTreeSet<UtteranceId>,
    /// The caller left before anybody else ended the call.
    caller_left: bool,
    record: bool,
}

/// The agent that is held.
#[derive(Debug)]
struct Held {
    reservation: ReservationId,
    agent: AgentId,
    /// As the caller is to hear it.
    name: String,
    shown: bool,
    delivered: bool,
    accepted: bool,
    introduced: bool,
    took: bool,
}

impl Ledger {
    pub(crate) fn new(tickets: Range<u64>) -> Self {
        Self {
            tickets,
            used: BTreeSet::new(),
            ticket: None,
            held: None,
            over: BTreeSet::new(),
            opened: 0,
            promised_ticket: None,
            bridged: BTreeSet::new(),
            closed: Vec::new(),
            written: 0,
            shown: 0,
            refused: BTreeMap::new(),
            finals: BTreeSet::new(),
            caller_left: false,
            record: false,
        }
    }

    /// Whether a reservation was held once and is not any more.
    pub(crate) fn is_over(&self, reservation: ReservationId) -> bool {
        self.over.contains(&reservation)
    }

    pub(crate) fn bridged(&self, handoff: u32) -> bool {
        self.bridged.contains(&handoff)
    }

    /// Takes an event; `caller_left` tells whether the caller is gone and nobody said goodbye before.
    pub(crate) fn event(&mut self, event: &Event, caller_left: bool) {
        self.caller_left |= caller_left;
        let Event::Notice(notice) = event else { return };
        match notice {
            Notice::Reserved { ticket, reservation, agent, agent_name } => {
                if self.ticket == Some(*ticket) && self.held.is_none() && !self.over.contains(reservation) {
                    self.held = Some(Held {
                        reservation: *reservation,
                        agent: agent.clone(),
                        name: agent_name.clone(),
                        shown: false,
                        delivered: false,
                        accepted: false,
                        introduced: false,
                        took: false,
                    });
                }
            }
            Notice::Unqueued { ticket, .. } => {
                if self.ticket == Some(*ticket) {
                    self.ticket = None;
                    self.give_back();
                }
            }
            Notice::Waiting { .. } => {}
        }
    }

    pub(crate) fn enqueue(&mut self, ticket: &Ticket) -> Verdict {
        must!(self.tickets.contains(&ticket.id.0), "{} is not one of this call's tickets", ticket.id);
        must!(self.used.insert(ticket.id), "{} was used before", ticket.id);
        must!(self.ticket.is_none(), "a second ticket beside {:?}", self.ticket);
        let promised = self.promised_ticket.take();
        let matches =
            promised.is_some_and(|(_, queue, since)| queue == ticket.queue && since == ticket.since);
        must!(matches, "{} takes its place before it is promised", ticket.id);
        self.ticket = Some(ticket.id);
        Ok(())
    }

    pub(crate) fn withdraw(&mut self, ticket: TicketId, agent_live: bool) -> Verdict {
        must!(self.used.contains(&ticket), "{ticket} is withdrawn, which never was");
        if self.ticket == Some(ticket) {
            must!(self.held.is_none() || !agent_live, "an agent is given back while their leg is up");
            self.ticket = None;
            self.give_back();
        }
        Ok(())
    }

    pub(crate) fn refused(&mut self, reservation: ReservationId, agent_live: bool, handoff: u32) -> Verdict {
        *self.refused.entry(handoff).or_default() += 1;
        let held = self.holds(reservation)?;
        must!(!held.took, "{reservation} is refused after it was taken");
        must!(!agent_live, "an agent is given back while their leg is up");
        self.give_back();
        Ok(())
    }

    pub(crate) fn took(&mut self, reservation: ReservationId, handoff: u32) -> Verdict {
        let bridged = self.bridged(handoff);
        let held = self.holds(reservation)?;
        must!(!held.took, "{reservation} is taken twice");
        must!(bridged, "{reservation} is taken before the bridge is promised");
        held.took = true;
        Ok(())
    }

    pub(crate) fn moved(&mut self, reservation: ReservationId) -> Verdict {
        let held = self.holds(reservation)?;
        must!(held.took, "{reservation} is given on, which was not taken");
        Ok(())
    }

    pub(crate) fn freed(&mut self, reservation: ReservationId, agent_live: bool) -> Verdict {
        let held = self.holds(reservation)?;
        must!(held.took, "{reservation} is freed, which was not taken");
        must!(!agent_live, "an agent is given back while their leg is up");
        self.ticket = None;
        self.give_back();
        Ok(())
    }

    pub(crate) fn show_brief(&mut self, agent: &AgentId, brief: &Brief, handoff: u32) -> Verdict {
        must!(
            brief.handoff == handoff,
            "the brief of handoff {} is shown in handoff {handoff}",
            brief.handoff
        );
        must!(brief.revision >= self.shown, "brief {} is shown after {}", brief.revision, self.shown);
        must!(
            brief.revision == self.written,
            "brief {} is shown, but {} is written",
            brief.revision,
            self.written
        );
        self.shown = brief.revision;
        match self.held.as_mut().filter(|held| held.agent == *agent) {
            Some(held) => held.shown = true,
            None => return Err(format!("the brief is shown to {agent}, who is not held")),
        }
        Ok(())
    }

    /// A piece of transcript is told to others.
    pub(crate) fn heard(&mut self, utterance: &Utterance) -> Verdict {
        if utterance.stage != Stage::Partial {
            must!(self.finals.insert(utterance.id), "{:?} is told twice", utterance.id);
        }
        Ok(())
    }

    /// A brief is rewritten.
    pub(crate) fn rewritten(&mut self, brief: &Brief) -> Verdict {
        must!(brief.revision > self.written, "brief {} is written after {}", brief.revision, self.written);
        self.written = brief.revision;
        Ok(())
    }

    /// The caller is told something: perhaps who comes.
    pub(crate) fn told_caller(&mut self, text: &str) {
        if let Some(held) = &mut self.held {
            held.introduced |= held.accepted && text.contains(&held.name);
        }
    }

    pub(crate) fn dial(&mut self, to: &Destination, handoff: u32) -> Verdict {
        let Destination::Agent(agent) = to else { return Ok(()) };
        must!(handoff > 0, "{agent} is dialled without a handoff");
        let held = self.held.as_ref().filter(|held| held.agent == *agent);
        let Some(held) = held else { return Err(format!("{agent} is dialled, who is not held")) };
        must!(held.shown, "{agent} is dialled before the brief is shown");
        must!(held.delivered, "{agent} is dialled before the brief is promised as delivered");
        Ok(())
    }

    /// Something is stored before the next action.
    pub(crate) fn promise(&mut self, entry: &Entry, handoff: u32) -> Verdict {
        match entry {
            Entry::HandoffOpened { handoff: opened, brief, .. } => {
                must!(
                    *opened == handoff && *opened == self.opened + 1,
                    "handoff {opened} opens out of order"
                );
                must!(brief.handoff == *opened, "handoff {opened} opens with the brief of {}", brief.handoff);
                self.opened = *opened;
            }
            Entry::Ticket { handoff: of, queue, since } => {
                must!(
                    *of == self.opened && *of == handoff,
                    "a ticket is promised for handoff {of}, which is not open"
                );
                self.promised_ticket = Some((*of, queue.clone(), *since));
            }
            Entry::BriefDelivered { agent, handoff: of, .. } => self.delivered(agent, *of == handoff)?,
            Entry::Accepted { agent, handoff: of } => {
                let held = self
                    .held
                    .as_mut()
                    .filter(|held| held.agent == *agent && held.delivered && *of == handoff);
                let Some(held) = held else {
                    return Err(format!("{agent} accepts handoff {of} without a brief or a reservation"));
                };
                must!(!held.accepted, "{agent} accepts handoff {of} twice");
                held.accepted = true;
            }
            Entry::Bridged { agent, handoff: of } => {
                let held = self.held.as_ref().filter(|held| held.agent == *agent && *of == handoff);
                let Some(held) = held else { return Err(format!("{agent} is bridged, who is not held")) };
                must!(held.delivered, "{agent} is bridged before the brief was delivered");
                must!(held.accepted, "{agent} is bridged before they accepted");
                must!(held.introduced, "the caller was not told that {agent} comes");
                must!(self.bridged.insert(*of), "handoff {of} is bridged twice");
            }
            Entry::HandoffClosed { handoff: of, state } => self.closed.push((*of, *state)),
            Entry::Echo { .. } => {}
            Entry::TranscriptGap(_) => return Err("a call does not know what it does not hear".to_owned()),
            Entry::LegMeasured(_) => return Err("a call measures its legs itself".to_owned()),
            Entry::CallRecord(record) => {
                must!(!self.record, "a second record is written");
                self.record = true;
                self.check_record(record)?;
            }
        }
        Ok(())
    }

    /// Something is stored without waiting. Only a brief that is kept current may be.
    pub(crate) fn note(&mut self, entry: &Entry) -> Verdict {
        let Entry::BriefDelivered { agent, .. } = entry else {
            return Err(format!("{entry:?} is noted, which must be promised"));
        };
        let again = self.held.as_ref().is_some_and(|held| held.agent == *agent && held.delivered);
        must!(again, "the first delivery of a brief to {agent} is noted, which must be promised");
        Ok(())
    }

    pub(crate) fn nothing_left(&self) -> Verdict {
        must!(self.record, "the call is finished without a record");
        must!(self.held.is_none(), "an agent is left: {:?}", self.held);
        must!(self.ticket.is_none(), "a ticket is left: {:?}", self.ticket);
        Ok(())
    }

    fn delivered(&mut self, agent: &AgentId, current: bool) -> Verdict {
        match self.held.as_mut().filter(|held| held.agent == *agent && held.shown && current) {
            Some(held) => held.delivered = true,
            None => {
                return Err(format!("a brief is promised as delivered to {agent}, to whom none was shown"));
            }
        }
        Ok(())
    }

    fn holds(&mut self, reservation: ReservationId) -> Result<&mut Held, String> {
        let held = self.held.as_mut().filter(|held| held.reservation == reservation);
        held.ok_or_else(|| format!("reservation {reservation} is spoken of, which is not held"))
    }

    fn give_back(&mut self) {
        if let Some(held) = self.held.take() {
            self.over.insert(held.reservation);
        }
    }

    fn check_record(&self, record: &CallRecord) -> Verdict {
        let told: Vec<_> = record.handoffs.iter().map(|handoff| (handoff.handoff, handoff.state)).collect();
        must!(told == self.closed, "the record tells of {told:?}, but {:?} happened", self.closed);
        must!(record.started <= record.ended, "the call ends before it begins");
        let heard = u32::try_from(self.finals.len()).unwrap_or(u32::MAX);
        must!(record.utterances == heard, "the record counts {} utterances of {heard}", record.utterances);
        must!(
            matches!(record.ended_by, EndedBy::Caller | EndedBy::Lost) == self.caller_left,
            "the record says {:?}, and the caller left first: {}",
            record.ended_by,
            self.caller_left
        );
        for handoff in &record.handoffs {
            let refused = self.refused.get(&handoff.handoff).copied().unwrap_or(0);
            must!(
                handoff.refused.len() == refused,
                "handoff {} was refused {refused} times",
                handoff.handoff
            );
        }
        record.handoffs.iter().try_for_each(|handoff| check_times(handoff, self.bridged(handoff.handoff)))
    }
}

/// The moments of a handoff are in order, and those of a bridge are all there.
fn check_times(record: &HandoffRecord, bridged: bool) -> Verdict {
    let number = record.handoff;
    must!(record.bridged.is_some() == bridged, "the record of handoff {number} does not know of its bridge");
    must!(
        record.announced.is_some() && record.closed.is_some(),
        "handoff {number} has no announcement or no end"
    );
    if bridged {
        let whole = [record.brief_delivered, record.answered, record.accepted].iter().all(Option::is_some);
        must!(whole && record.agent.is_some(), "the record of the bridge of handoff {number} is not whole");
    }
    let moments = [
        Some(record.requested),
        record.brief_delivered,
        record.answered,
        record.accepted,
        record.bridged,
        record.closed,
    ];
    let moments: Vec<_> = moments.into_iter().flatten().collect();
    must!(moments.is_sorted(), "the moments of handoff {number} are not in order: {moments:?}");
    Ok(())
}
