//! The world as the actions make it, and the rules that it must never break. It knows nothing of the call's states.

use std::collections::{BTreeMap, BTreeSet};

use segue_acd::{Notice, ReservationId, TicketId};
use segue_call::{Action, AttemptId, Destination, Entry, Event, Party, Source, Style};

/// One of our legs, as the network sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Dialled,
    Up,
    Gone,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) newest_attempt: u32,
    pub(crate) newest_playback: u32,
    pub(crate) newest_ticket: u64,
    pub(crate) newest_reservation: u64,
    pub(crate) finished: bool,
    caller_gone: bool,
    legs: BTreeMap<AttemptId, (Party, Wire)>,
    ears: BTreeMap<Party, Source>,
    tickets: BTreeSet<TicketId>,
    /// The reservation that is held, and for which ticket.
    held: Option<(ReservationId, TicketId)>,
    /// The agent's leg was dialled with the brief shown and promised.
    brief_before_dial: bool,
    brief_promised: bool,
    /// The whisper began on this leg.
    whispered: bool,
    accepted: bool,
    bridge_promised: bool,
    bridged: BTreeSet<u32>,
    records: u32,
}

impl Model {
    /// Takes one event and all that it led to. Fails with the rule that is broken.
    pub(crate) fn take(&mut self, event: Option<&Event>, actions: &[Action]) -> Result<(), String> {
        if self.finished {
            return rule(actions.is_empty(), "nothing happens after the end");
        }
        if let Some(event) = event {
            self.happen(event);
        }
        for action in actions {
            rule(!self.finished, "nothing comes after Finished")?;
            self.act(action).map_err(|broken| format!("{broken}: {action:?}"))?;
        }
        if self.finished { self.check_end() } else { self.check_caller() }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Answered { attempt } => self.becomes(*attempt, Wire::Up),
            Event::Failed { attempt, .. } | Event::Ended { attempt, .. } => {
                self.caller_gone |= *attempt == AttemptId::CALLER;
                self.becomes(*attempt, Wire::Gone);
            }
            Event::Notice(Notice::Unqueued { ticket, .. }) if self.tickets.remove(ticket) => {
                self.held = self.held.filter(|(_, of)| of != ticket);
            }
            Event::Notice(Notice::Reserved { ticket, reservation, .. })
                if self.tickets.contains(ticket) && reservation.0 > self.newest_reservation =>
            {
                self.newest_reservation = reservation.0;
                self.held = self.held.or(Some((*reservation, *ticket)));
            }
            Event::Notice(Notice::Waiting { .. } | Notice::Unqueued { .. } | Notice::Reserved { .. })
            | Event::Alarm
            | Event::Ringing { .. }
            | Event::BotDeclared(_)
            | Event::Key { .. }
            | Event::Held { .. }
            | Event::Referred { .. }
            | Event::Transferred { .. }
            | Event::Heard(_)
            | Event::Voice(_)
            | Event::Language { .. }
            | Event::Played { .. }
            | Event::Asked(_)
            | Event::Recalled { .. }
            | Event::AgentChose { .. }
            | Event::Customer(_)
            | Event::Dead { .. }
            | Event::Shutdown => {}
        }
    }

    fn becomes(&mut self, attempt: AttemptId, wire: Wire) {
        if let Some((_, now)) = self.legs.get_mut(&attempt)
            && *now != Wire::Gone
        {
            *now = wire;
        }
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Dial { attempt, to } => self.dial(*attempt, to),
            Action::HangUp { attempt, .. } => {
                self.caller_gone |= *attempt == AttemptId::CALLER;
                self.becomes(*attempt, Wire::Gone);
                Ok(())
            }
            Action::Wire { ears } => self.wire(ears),
            Action::Play { playback, ear, prompt } => {
                self.newest_playback = self.newest_playback.max(playback.0);
                rule(*ear != Party::Bot, "nothing is ever said to the bot")?;
                let whisper = prompt.style == Style::Whisper;
                rule(
                    whisper == (*ear == Party::Agent),
                    "a whisper is for the agent alone, and nothing else is",
                )?;
                rule(!whisper || self.up(Party::Agent), "a whisper has an ear to go to")?;
                self.whispered |= whisper;
                Ok(())
            }
            Action::Enqueue { ticket } => {
                rule(self.tickets.is_empty(), "a call waits in one queue")?;
                rule(ticket.id.0 > self.newest_ticket, "a ticket's number is new")?;
                self.newest_ticket = ticket.id.0;
                self.tickets.insert(ticket.id);
                Ok(())
            }
            Action::Withdraw { ticket } => {
                rule(self.tickets.remove(ticket), "only a place that is held is given back")?;
                self.held = None;
                Ok(())
            }
            Action::AgentRefused { reservation, .. } => {
                let held = self.held.take().map(|(held, _)| held);
                rule(held == Some(*reservation), "only the agent who is held can refuse")
            }
            Action::AgentTook { reservation } => {
                rule(
                    self.held.map(|(held, _)| held) == Some(*reservation),
                    "only the agent who is held can take",
                )?;
                self.tickets.clear();
                Ok(())
            }
            Action::AgentMoved { reservation, .. } => rule(
                self.held.map(|(held, _)| held) == Some(*reservation),
                "only the agent who is held can give the call away",
            ),
            Action::AgentFree { reservation } => {
                let held = self.held.take().map(|(held, _)| held);
                rule(held == Some(*reservation), "an agent is freed once")
            }
            Action::Promise(entry) | Action::Note(entry) => self.keep(entry),
            Action::Finished => {
                self.finished = true;
                Ok(())
            }
            Action::RefuseCaller { .. } => Err("a caller who was answered is not refused".into()),
            Action::AnswerCaller
            | Action::StopPlay { .. }
            | Action::Prepare { .. }
            | Action::ShowBrief { .. }
            | Action::Publish(_) => Ok(()),
        }
    }

    fn dial(&mut self, attempt: AttemptId, to: &Destination) -> Result<(), String> {
        rule(attempt.0 > self.newest_attempt, "an attempt's number is new")?;
        self.newest_attempt = attempt.0;
        let party = match to {
            Destination::Bot => Party::Bot,
            Destination::Agent(_) => Party::Agent,
        };
        rule(!self.living(party), "a party has one leg at a time")?;
        self.legs.insert(attempt, (party, Wire::Dialled));
        if party == Party::Agent {
            rule(self.held.is_some(), "only an agent who is held is dialled")?;
            self.brief_before_dial = std::mem::take(&mut self.brief_promised);
            rule(self.brief_before_dial, "the brief is there before the phone rings")?;
            (self.whispered, self.accepted, self.bridge_promised) = (false, false, false);
        }
        Ok(())
    }

    fn wire(&mut self, ears: &[(Party, Source)]) -> Result<(), String> {
        for (ear, source) in ears {
            rule(
                !matches!((ear, source), (Party::Bot | Party::Agent, Source::Hold)),
                "music is for the caller",
            )?;
            rule(*ear != Party::Caller || *source != Source::Quiet, "the caller is never left in silence")?;
            self.ears.insert(*ear, *source);
        }
        let caller_hears_agent = (Party::Caller, Source::Voice(Party::Agent));
        let agent_hears_caller = (Party::Agent, Source::Voice(Party::Caller));
        rule(
            ears.contains(&caller_hears_agent) == ears.contains(&agent_hears_caller),
            "the bridge closes both ways on one tick",
        )?;
        if ears.contains(&caller_hears_agent) {
            rule(self.up(Party::Agent), "nobody is bridged to nobody")?;
            rule(self.whispered, "nobody is bridged before the whisper began")?;
            rule(self.brief_before_dial && self.accepted, "nobody is bridged without brief and acceptance")?;
            rule(self.bridge_promised, "a bridge is promised before it closes")?;
        }
        let bot_hears_caller = self.ears.get(&Party::Bot) == Some(&Source::Voice(Party::Caller));
        let caller_hears_bot = self.ears.get(&Party::Caller) == Some(&Source::Voice(Party::Bot));
        rule(
            !self.up(Party::Bot) || bot_hears_caller == caller_hears_bot,
            "caller and bot hear each other or not at all",
        )
    }

    fn keep(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::BriefDelivered { .. } => self.brief_promised = true,
            Entry::Accepted { .. } => self.accepted = true,
            Entry::Bridged { handoff, .. } => {
                self.bridge_promised = true;
                rule(self.bridged.insert(*handoff), "a handoff has one bridge")?;
            }
            Entry::CallRecord(record) => {
                self.records += 1;
                rule(
                    record.handoffs.iter().all(|handoff| handoff.closed.is_some()),
                    "every handoff is closed",
                )?;
            }
            Entry::HandoffOpened { .. }
            | Entry::Ticket { .. }
            | Entry::LegMeasured(_)
            | Entry::Echo { .. }
            | Entry::TranscriptGap(_)
            | Entry::HandoffClosed { .. } => {}
        }
        Ok(())
    }

    /// The caller always hears something that is there: music, a prompt over music, or a party whose leg is up.
    fn check_caller(&self) -> Result<(), String> {
        match self.ears.get(&Party::Caller) {
            Some(Source::Hold) => Ok(()),
            Some(Source::Voice(party)) => rule(self.up(*party), "the caller hears nobody who is gone"),
            Some(Source::Quiet) | None => Err("the caller hears nothing".into()),
        }
    }

    fn check_end(&self) -> Result<(), String> {
        rule(self.caller_gone, "the caller's leg is down at the end")?;
        rule(self.legs.values().all(|(_, wire)| *wire == Wire::Gone), "no leg is left")?;
        rule(self.tickets.is_empty(), "no place in a queue is left")?;
        rule(self.held.is_none(), "no agent is left held")?;
        rule(self.records == 1, "there is one record")
    }

    fn up(&self, party: Party) -> bool {
        self.legs.values().any(|leg| *leg == (party, Wire::Up))
    }

    fn living(&self, party: Party) -> bool {
        self.legs.values().any(|(whose, wire)| *whose == party && *wire != Wire::Gone)
    }
}

fn rule(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}
